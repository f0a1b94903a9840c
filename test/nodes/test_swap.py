# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions taken over by a running depth node: between frames, checked, or refused."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest

pytest.importorskip('rclpy')
from bundles import make_bundle
from depth_rig import depth_of, next_depth, stamps
from scaled_revisions import check_frame, scaled_store, write_scaled
from std_msgs.msg import String

from monother_ros.core.bundle import load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines.check import CHECK
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revisions import RevisionStore
from monother_ros.ros.qos import latched_profile

SCALES = (0.7, 1.3, 1.8)
PATIENCE = 60.0
"""Seconds for what takes milliseconds where the machine is free."""


@pytest.fixture(scope='module')
def filled(tmp_path_factory, tiny_bundle):
    """A store with three revisions whose depth differs by a factor; the base is in use."""
    folder = tmp_path_factory.mktemp('store') / 'revisions'
    _, names = scaled_store(folder, tiny_bundle, SCALES)
    return folder, names


@pytest.fixture
def store(filled, tmp_path):
    """A copy of that store which the test may change."""
    folder = tmp_path / 'revisions'
    shutil.copytree(filled[0], folder)
    return RevisionStore(folder), filled[1]


@pytest.fixture
def make_swapping(make_rig, store):
    """Makes a rig with revisions, a publisher of their names, and depth subscribed to."""

    def make(**parameters):
        rig = make_rig(revisions=str(store[0].folder), **parameters)
        rig.newest = rig.camera.create_publisher(String, 'revision', latched_profile())
        rig.listen('depth/image_raw')
        return rig

    return make


def scale(rig):
    """Nearest known factor of the next frame, by the median of its depth; base is 1."""
    depth = next_depth(rig)
    median = float(np.nanmedian(depth)) / rig.base_median
    return min((1.0, *SCALES), key=lambda known: abs(known - median))


def running(rig):
    rig.active().matched()
    rig.base_median = float(np.nanmedian(depth_of(rig.first('depth/image_raw', PATIENCE))))
    return rig


def offer(rig, name, until='swaps', count=1):
    """Publish a name and images until the node says that it swapped or refused so often."""
    rig.newest.publish(String(data=name))
    rig.until(
        lambda: getattr(rig.node.swap, until) >= count,
        PATIENCE,
        tick=rig.shoot,
        what=f'{until} of {name}',
    )


def wait_for_warning(rig, words):
    rig.until(
        lambda: rig.level('revision') == 1 and words in rig.message('revision'),
        PATIENCE,
        what=words,
    )


def test_the_newest_revision_is_taken_over_and_the_old_engine_is_closed(make_swapping, store):
    rig = running(make_swapping())
    old = rig.node.engine
    for k, (name, factor) in enumerate(zip(store[1], SCALES, strict=True)):
        offer(rig, name, count=k + 1)
        assert scale(rig) == factor
    assert rig.node.engine.bundle.revision == store[1][-1]
    rig.until(lambda: rig.value('revision', 'swaps') == '3', what='diagnostics')
    assert rig.level('revision') == 0 and rig.value('revision', 'refused') == '0'
    assert rig.value('revision', 'parent').startswith('1-base-')
    assert rig.value('revision', 'revision') == store[1][-1]
    with pytest.raises(EngineError, match='closed'):
        old.infer({'thermal': np.zeros((1, 1, 128, 160), np.float32)})
    # what runs already is not loaded again
    rig.newest.publish(String(data=store[1][-1]))
    engine = rig.node.engine
    rig.spin(0.3, rig.shoot)
    assert rig.node.swap.swaps == 3 and rig.node.engine is engine


def test_diagnostics_say_which_revision_made_which_frames(make_swapping, store):
    rig = running(make_swapping())
    for k, name in enumerate(store[1]):
        offer(rig, name, count=k + 1)
        next_depth(rig)
    received = rig.received['depth/image_raw']
    rig.until(lambda: len(received) == rig.node.outputs.published['depth'], PATIENCE)
    runs = rig.node.statistics.revisions.runs()
    base = RevisionStore(store[0].folder).current().revision
    assert [run.revision for run in runs] == [base, *store[1]]
    assert sum(run.count for run in runs) == len(received)
    by_stamp = {s: depth_of(m) for m in received for s in stamps([m])}
    for run, factor in zip(runs, (1.0, *SCALES), strict=True):
        medians = [
            float(np.nanmedian(d)) / rig.base_median
            for s, d in by_stamp.items()
            if run.first_ns <= s <= run.last_ns
        ]
        assert len(medians) == run.count
        assert np.allclose(medians, factor, rtol=0.1)
    shown = f'made by {store[1][-1]}'
    rig.until(lambda: rig.value('revision', shown) is not None)
    assert rig.value('revision', shown).split()[1] == 'frames,'
    assert float(rig.value('revision', 'longest gap between frames around swaps [ms]')) > 0


def test_store_record_alone_is_noticed(make_swapping, store):
    rig = running(make_swapping())
    store[0].use(store[1][1])
    rig.until(lambda: rig.node.swap.swaps == 1, PATIENCE, tick=rig.shoot, what='swap')
    assert scale(rig) == SCALES[1]
    # back to the model as it came, by its name in the store
    store[0].use(next(i.name for i in store[0].revisions() if i.number == 0))
    rig.until(lambda: rig.node.swap.swaps == 2, PATIENCE, tick=rig.shoot, what='swap back')
    assert scale(rig) == 1.0


def test_base_can_be_asked_for_by_its_own_name(make_swapping, store, tiny_bundle):
    rig = running(make_swapping())
    offer(rig, store[1][0])
    offer(rig, load_bundle(tiny_bundle).revision, count=2)
    assert scale(rig) == 1.0 and rig.node.engine.bundle.path == tiny_bundle


def foreign(store, other, folder):
    """Copy a revision of another model into the store; returns its name."""
    target = RevisionStore(folder)
    target.write_base(other, [check_frame(other).inputs])
    found = write_scaled(target, other, 1.1)
    shutil.copytree(found.path, store.folder / found.revision)
    return found.revision


def spoil(store, kind, tiny_bundle, tmp_path):
    """Make a bad revision; returns its name and words of the reason."""
    store, names = store
    path = store.folder / names[0]
    if kind == 'missing':
        return 'r-a9-01234567', 'no model bundle'
    if kind == 'path':
        return f'../revisions/{names[0]}', 'a path is never taken'
    if kind == 'absolute':
        return str(path), 'a path is never taken'
    if kind == 'renamed':
        path.replace(store.folder / '1-a7-01234567')
        return '1-a7-01234567', f'holds the revision {names[0]}'
    if kind == 'half':
        (path / 'initialisers.safetensors').unlink()
        return names[0], 'is missing'
    if kind == 'damaged':
        # hard links: a copy, so that only this revision is damaged
        data = bytearray((path / 'initialisers.safetensors').read_bytes())
        data[-1] ^= 1
        (path / 'initialisers.safetensors').write_bytes(data)
        return names[0], 'changed or damaged'
    if kind == 'other model':
        other = make_bundle(tmp_path / 'other', 128, 160, name='other')
        return foreign(store, other, tmp_path / 'o'), 'revision of the model other'
    if kind == 'other inputs':
        other = make_bundle(tmp_path / 'other', 64, 96)
        return foreign(store, other, tmp_path / 'o'), 'other inputs'
    if kind == 'no stored frame':
        manifest = json.loads((path / 'model.json').read_text())
        del manifest['files'][CHECK]
        (path / 'model.json').write_text(json.dumps(manifest))
        return names[0], 'no stored frame'
    if kind == 'other base':
        other = make_bundle(tmp_path / 'other', 128, 160, revision='2')
        return foreign(store, other, tmp_path / 'o'), 'was not learned from tiny 1'
    # the stored frames of another revision, with a manifest that fits
    manifest = json.loads((path / 'model.json').read_text())
    other = json.loads((store.folder / names[1] / 'model.json').read_text())
    (path / CHECK).write_bytes((store.folder / names[1] / CHECK).read_bytes())
    manifest['files'][CHECK] = other['files'][CHECK]
    (path / 'model.json').write_text(json.dumps(manifest))
    return names[0], 'differs from what is expected'


BAD = (
    'missing',
    'path',
    'absolute',
    'renamed',
    'half',
    'damaged',
    'other model',
    'other inputs',
    'other base',
    'no stored frame',
    'fails its check',
)


@pytest.mark.parametrize('kind', BAD)
def test_a_bad_revision_is_refused_with_the_reason_and_the_old_one_stays(
    make_swapping, store, tiny_bundle, tmp_path, kind
):
    rig = running(make_swapping())
    engine = rig.node.engine
    name, words = spoil(store, kind, tiny_bundle, tmp_path)
    offer(rig, name, 'refusals')
    wait_for_warning(rig, words)
    assert rig.node.engine is engine and scale(rig) == 1.0
    assert rig.value('revision', 'refused') == '1' and rig.value('revision', 'swaps') == '0'
    # a good one after it is taken and ends the warning
    offer(rig, store[1][2])
    rig.until(lambda: rig.level('revision') == 0)
    assert scale(rig) == SCALES[2]


def test_a_revision_that_is_far_slower_is_refused(make_swapping, store, monkeypatch):
    rig = running(make_swapping())
    monkeypatch.setattr('monother_ros.nodes.revision_source.SLOWEST', 0.0)
    monkeypatch.setattr('monother_ros.nodes.revision_source.SLOWER', 0.0)
    offer(rig, store[1][0], 'refusals')
    wait_for_warning(rig, 's for a frame; at most 0.00 s is allowed')
    assert scale(rig) == 1.0


def test_an_empty_name_and_a_record_that_is_no_json_are_refused(make_swapping, store):
    rig = running(make_swapping())
    offer(rig, '', 'refusals')
    (store[0].folder / 'current.json').write_text('{"revision": ')
    rig.until(lambda: rig.node.swap.refusals == 2, PATIENCE, tick=rig.shoot, what='refusal')
    wait_for_warning(rig, 'damaged')
    assert scale(rig) == 1.0


def test_one_mended_revision_is_tried_again_at_once_and_an_unchanged_one_later(
    make_swapping, store, tiny_bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr('monother_ros.nodes.swap.RETRY', 1e9)
    rig = running(make_swapping())
    good = (store[0].folder / store[1][0] / 'model.json').read_text()
    good_check = (store[0].folder / store[1][0] / CHECK).read_bytes()
    name, _ = spoil(store, 'fails its check', tiny_bundle, tmp_path)
    offer(rig, name, 'refusals')
    rig.newest.publish(String(data=name))
    rig.spin(0.4, rig.shoot)
    assert rig.node.swap.refusals == 1
    monkeypatch.setattr('monother_ros.nodes.swap.RETRY', 0.0)
    offer(rig, name, 'refusals', count=2)
    monkeypatch.setattr('monother_ros.nodes.swap.RETRY', 1e9)
    (store[0].folder / name / CHECK).write_bytes(good_check)
    (store[0].folder / name / 'model.json').write_text(good)
    offer(rig, name)
    assert scale(rig) == SCALES[0]


class Held:
    """Holds the building of the next engines until it is let go."""

    def __init__(self, monkeypatch):
        self.built = []
        self.entered = threading.Event()
        self.go = threading.Event()
        real = OnnxRuntimeEngine.prepare

        def prepare(engine, bundle):
            self.entered.set()
            assert self.go.wait(20)
            made = real(engine, bundle)
            self.built.append(made)
            return made

        monkeypatch.setattr(OnnxRuntimeEngine, 'prepare', prepare)


def test_of_requests_that_wait_only_the_newest_is_loaded(make_swapping, store, monkeypatch):
    rig = running(make_swapping())
    held = Held(monkeypatch)
    rig.newest.publish(String(data=store[1][0]))
    rig.until(held.entered.is_set, PATIENCE, tick=rig.shoot)
    rig.until(
        lambda: 'loading' in (rig.value('revision', 'state') or ''), PATIENCE, tick=rig.shoot
    )
    # depth goes on meanwhile
    assert scale(rig) == 1.0
    for name in (store[1][1], store[1][2]):
        rig.newest.publish(String(data=name))
        rig.spin(0.1, rig.shoot)
    held.go.set()
    rig.until(lambda: rig.node.engine.bundle.revision == store[1][2], PATIENCE, tick=rig.shoot)
    assert [e.bundle.revision for e in held.built] == [store[1][0], store[1][2]]


@pytest.mark.parametrize('step', ['deactivate', 'cleanup', 'destroy'])
def test_lifecycle_goes_on_while_a_revision_loads(make_swapping, store, monkeypatch, step):
    rig = running(make_swapping())
    held = Held(monkeypatch)
    rig.newest.publish(String(data=store[1][0]))
    rig.until(held.entered.is_set, PATIENCE, tick=rig.shoot)
    threading.Timer(0.3, held.go.set).start()
    node, swap = rig.node, rig.node.swap
    if step == 'destroy':
        rig.executor.remove_node(node)
        node.destroy_node()
        assert node.engine is None
    else:
        assert node.trigger_deactivate().name == 'SUCCESS'
    if step == 'cleanup':
        assert node.trigger_cleanup().name == 'SUCCESS'
        assert node.engine is None and node.revision is None
    if step != 'deactivate':
        assert not swap._thread.is_alive()
        for engine in held.built:
            with pytest.raises(EngineError, match='closed'):
                engine.infer({'thermal': np.zeros((1, 1, 128, 160), np.float32)})
    if step == 'cleanup':
        assert node.trigger_configure().name == 'SUCCESS'
    if step != 'destroy':
        assert node.trigger_activate().name == 'SUCCESS'
        # the name is latched: a node that was cleaned up hears of it again
        rig.active().matched()
        rig.until(lambda: rig.node.swap.swaps == 1, PATIENCE, tick=rig.shoot, what='swap')
        assert scale(rig) == SCALES[0]


def test_an_engine_that_fails_its_first_frame_gives_that_frame_to_the_one_before(
    make_swapping, store, monkeypatch
):
    rig = running(make_swapping())
    rig.newest.publish(String(data=store[1][0]))
    rig.until(lambda: rig.node.swap._ready is not None, what='ready')

    def fail(_inputs):
        raise EngineError('out of memory')

    ready = rig.node.swap._ready
    monkeypatch.setattr(ready, 'infer', fail)
    stamp = rig.shoot()
    rig.until(lambda: stamp in stamps(rig.received['depth/image_raw']), what='the same frame')
    rig.until(lambda: rig.node.swap.refusals == 1)
    assert scale(rig) == 1.0
    wait_for_warning(rig, 'out of memory')
    assert rig.node.swap.swaps == 0
    assert store[1][0] not in {r.revision for r in rig.node.statistics.revisions.runs()}
    offer(rig, store[1][1])
    assert scale(rig) == SCALES[1]


def test_both_engines_failing_is_a_refusal_and_no_swap(make_swapping, store, monkeypatch):
    rig = running(make_swapping())
    rig.newest.publish(String(data=store[1][0]))
    rig.until(lambda: rig.node.swap._ready is not None, PATIENCE, what='ready')

    def fail(_inputs):
        raise EngineError('out of memory')

    monkeypatch.setattr(rig.node.swap._ready, 'infer', fail)
    with monkeypatch.context() as patch:
        patch.setattr(rig.node.engine, 'infer', fail)
        rig.shoot()
        rig.until(lambda: rig.node.statistics.drops.get('engine failed'), PATIENCE)
    assert scale(rig) == 1.0
    rig.until(lambda: rig.node.swap.refusals == 1, PATIENCE)
    assert rig.node.swap.swaps == 0


def test_asking_for_what_runs_ends_the_warning(make_swapping, store):
    rig = running(make_swapping())
    offer(rig, store[1][0])
    offer(rig, 'x' * 100_000, 'refusals')
    wait_for_warning(rig, 'is not the name of a revision')
    assert len(rig.value('revision', 'last refusal')) < 500
    rig.newest.publish(String(data=store[1][0]))
    rig.until(lambda: rig.level('revision') == 0, PATIENCE)
    assert rig.node.swap.swaps == 1


def test_the_revision_in_use_makes_the_first_frame(make_swapping, store):
    store[0].use(store[1][1])
    rig = make_swapping().active().matched()
    rig.first('depth/image_raw')
    assert rig.node.engine.bundle.revision == store[1][1]
    assert rig.node.statistics.revisions.runs()[0].revision == store[1][1]


@pytest.mark.parametrize('bad', ['current', 'both', 'all', 'record', 'changed'])
def test_start_with_the_last_good_revision(make_swapping, store, tiny_bundle, bad):
    folder, names = store[0].folder, store[1]
    store[0].use(names[0])
    store[0].use(names[1])
    spoiled = {
        'current': [names[1]],
        'both': [names[1], names[0]],
        'all': [p.name for p in folder.iterdir() if p.is_dir()],
    }.get(bad, [])
    for name in spoiled:
        (folder / name / CHECK).write_bytes(b'')
    if bad == 'record':
        (folder / 'current.json').write_text('')
    if bad == 'changed':
        manifest = folder / names[1] / 'model.json'
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {'metrics': {'x': 1}}))
    expected = {
        'current': names[0],
        'both': names[2],
        'all': load_bundle(tiny_bundle).revision,
        'record': names[2],
        'changed': names[0],
    }[bad]
    rig = make_swapping().active()
    assert rig.node.engine.bundle.revision == expected
    assert rig.node.swap.refusals == (4 if bad == 'all' else 2 if bad == 'both' else 1)
    wait_for_warning(rig, {'record': 'damaged', 'changed': 'was changed'}.get(bad, 'is refused'))


def test_latched_name_does_not_undo_a_later_use(make_swapping, store):
    rig = running(make_swapping())
    offer(rig, store[1][0])
    store[0].use(store[1][1])
    rig.until(lambda: rig.node.swap.swaps == 2, PATIENCE, tick=rig.shoot, what='swap')
    for step in ('deactivate', 'cleanup', 'configure', 'activate'):
        assert getattr(rig.node, f'trigger_{step}')().name == 'SUCCESS'
    rig.active().matched()
    # the first name is still latched and arrives once more
    rig.spin(0.5, rig.shoot)
    assert rig.node.swap.swaps == 0 and scale(rig) == SCALES[1]
    offer(rig, store[1][2])
    assert scale(rig) == SCALES[2]


def test_withdrawn_revisions_are_not_used_by_themselves(make_swapping, store):
    folder, names = store[0].folder, store[1]
    store[0].use(names[0])
    store[0].withdraw(names[2], 'worse at night')
    (folder / names[0] / CHECK).write_bytes(b'')
    (folder / next(i.name for i in store[0].revisions() if i.number == 0) / CHECK).write_bytes(b'')
    rig = make_swapping().active()
    assert rig.node.engine.bundle.revision == names[1]


def test_a_folder_that_comes_later_is_found(make_rig, store, tmp_path):
    folder = tmp_path / 'later' / 'revisions'
    rig = make_rig(revisions=str(folder))
    rig.listen('depth/image_raw')
    running(rig)
    rig.until(lambda: 'no folder yet' in rig.message('revision'))
    assert rig.level('revision') == 0
    store[0].use(store[1][2])
    shutil.copytree(store[0].folder, folder)
    rig.until(lambda: rig.node.swap.swaps == 1, PATIENCE, tick=rig.shoot, what='swap')
    assert scale(rig) == SCALES[2]


def test_without_the_parameter_nobody_listens_to_revisions(make_rig):
    rig = make_rig()
    newest = rig.camera.create_publisher(String, 'revision', latched_profile())
    rig.active()
    rig.spin(0.3)
    assert newest.get_subscription_count() == 0 and rig.node.swap is None
    rig.until(lambda: 'revisions is empty' in rig.message('revision'))
