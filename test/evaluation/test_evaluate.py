# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of recordings: sources, the run, the journal, merging, intervals, the command."""

from __future__ import annotations

import json
import math
import shlex
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('rosbags')

from bundles import make_bundle
from recorded_run import CONDITIONS, HEIGHT, WIDTH, Drive, truth_of, write_input

from monother_ros.cli.evaluate_plan import found_bags, names_of
from monother_ros.cli.main import main
from monother_ros.core.errors import BagError, CalibrationError, SettingsError
from monother_ros.core.pipeline import Pipeline, PipelineSettings
from monother_ros.engines.select import load_engine
from monother_ros.evaluation import metrics
from monother_ros.evaluation.evaluate.bootstrap import BlockBootstrap
from monother_ros.evaluation.evaluate.journal import Journal
from monother_ros.evaluation.evaluate.merge import merge
from monother_ros.evaluation.evaluate.pictures import WIDEST, Keeper, KeptFrame, compressed, unpack
from monother_ros.evaluation.evaluate.runner import evaluate_frames
from monother_ros.evaluation.evaluate.schema import Evaluation, load_evaluation
from monother_ros.evaluation.evaluate.settings import POINTS, EvaluationSettings
from monother_ros.evaluation.evaluate.sources import SourceOptions, open_source
from monother_ros.evaluation.evaluate.task import Task, run_task
from monother_ros.evaluation.evaluate.unit import column_names
from monother_ros.ros.bags import BagReader

FAST = EvaluationSettings(block=0.5, bootstrap=200)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Two small real networks of the size of the recording; the second stretches contrast less."""
    folder = tmp_path_factory.mktemp('models')
    a = make_bundle(folder / 'one', HEIGHT, WIDTH, name='one', method='stable_percentile')
    b = make_bundle(folder / 'two', HEIGHT, WIDTH, name='two', low=0.0, high=100.0)
    return a, b


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    return write_input(tmp_path_factory.mktemp('bags') / 'drive', Drive())


def unit_of(source, model, settings=FAST, journal=None, name='', **options):
    task = Task(str(source), str(model.path), name, settings, SourceOptions(**options))
    return run_task(task, journal)


@pytest.fixture(scope='module')
def units(bag, models):
    return [unit_of(bag, model) for model in models]


def test_every_frame_of_a_bag_through_the_pipeline(bag, models, units):
    """The numbers are those of the pipeline's depth, frame by frame, shutter frames left out."""
    unit = units[0]
    assert (unit.frames, unit.skipped) == (40, {'shutter: frozen': 2})
    pipeline = Pipeline(
        load_engine(models[0], 'onnxruntime'), PipelineSettings(range_min=1e-3, range_max=1e6)
    )
    column = unit.rows.columns.index('abs_rel')
    expected = {}
    for item in open_source(str(bag)).frames():
        result = pipeline.process(item.frame)
        if result.depth is not None:
            expected[item.index] = metrics.depth_metrics(result.depth, item.truth)['abs_rel']
    assert list(unit.rows.index) == list(expected)
    np.testing.assert_allclose(unit.rows.matrix()[:, column], list(expected.values()), rtol=1e-9)
    assert unit.rows.conditions == ['street, day, clear', 'street, night, fog']
    assert list(unit.rows.condition) == [int(k >= 20) for k in unit.rows.index]


def test_truth_of_lidar_and_of_files(tmp_path, bag, models):
    """Points are projected with the static transforms; files are found by their stamps."""
    lidar = open_source(str(bag), SourceOptions(truth='lidar'))
    frame = next(iter(lidar.frames()))
    assert 0 < np.count_nonzero(frame.truth) <= 200
    assert 'projected' in lidar.truth
    folder = tmp_path / 'labels'
    folder.mkdir()
    for item in open_source(str(bag)).frames():
        truth = np.where(np.isfinite(item.truth), item.truth, 0) * 256
        cv2.imwrite(str(folder / f'{item.frame.stamp_ns + 1000}.png'), truth.astype(np.uint16))
    unit = unit_of(bag, models[0], truth=str(folder))
    column = unit.rows.columns.index('abs_rel')
    exact = unit_of(bag, models[0]).rows.matrix()[:, column]
    np.testing.assert_allclose(unit.rows.matrix()[:, column], exact, rtol=2e-2)
    late = unit_of(bag, models[0], truth=str(folder), slop=1e-7)
    assert not len(late.rows)
    assert late.skipped['no ground truth'] == 38
    pose = tmp_path / 'pose.txt'
    pose.write_text('0 -1 0 0\n0 0 -1 -0.3\n1 0 0 0\n0 0 0 1  # metres')
    given = open_source(str(bag), SourceOptions(truth='lidar', extrinsics=pose))
    np.testing.assert_allclose(next(iter(given.frames())).truth, frame.truth, atol=1e-4)


@pytest.mark.parametrize('kind', ['sqlite3', 'rosbag1'])
def test_bags_of_every_kind_say_the_same(tmp_path, bag, units, models, kind):
    """The same messages in the other two storages."""
    from rosbags import rosbag1, rosbag2
    from rosbags.typesys import Stores, get_typestore

    ros1 = get_typestore(Stores.ROS1_NOETIC)
    ros2 = get_typestore(Stores.ROS2_HUMBLE)
    if kind == 'rosbag1':
        writer = rosbag1.Writer(tmp_path / 'drive.bag')
    else:
        plugin = rosbag2.StoragePlugin.SQLITE3
        writer = rosbag2.Writer(tmp_path / 'drive', version=9, storage_plugin=plugin)
    links = {}
    with BagReader(bag) as reader, writer:
        for message in reader.messages():
            if message.type == 'tf2_msgs/msg/TFMessage' and kind == 'rosbag1':
                continue
            store = ros1 if kind == 'rosbag1' else ros2
            if message.topic not in links:
                link = writer.add_connection(message.topic, message.type, typestore=store)
                links[message.topic] = link
            data = message.data
            if kind == 'rosbag1':
                decoded = ros2.deserialize_cdr(data, message.type)
                data = ros1.serialize_ros1(as_ros1(decoded, ros1), message.type)
            writer.write(links[message.topic], message.stamp_ns, data)
    path = tmp_path / ('drive.bag' if kind == 'rosbag1' else 'drive')
    unit = unit_of(path, models[0])
    assert unit.rows.values.tobytes() == units[0].rows.values.tobytes()
    assert unit.rows.conditions == units[0].rows.conditions


def as_ros1(message, store):
    """The same message with the fields of ROS 1: a sequence number, capitals in CameraInfo."""
    name = message.__msgtype__
    if name == 'builtin_interfaces/msg/Time':
        return message
    kind = store.types[name]
    fields = {}
    for field in kind.__dataclass_fields__:
        if field == '__msgtype__':
            continue
        value = 0 if field == 'seq' else getattr(message, field, None)
        value = getattr(message, field.lower()) if value is None else value
        if isinstance(value, list):
            value = [as_ros1(v, store) if hasattr(v, '__msgtype__') else v for v in value]
        fields[field] = as_ros1(value, store) if hasattr(value, '__msgtype__') else value
    return kind(**fields)


def test_points_are_an_input_where_a_model_takes_them(bag):
    """The shipped model of sparse depth gets the LiDAR, and says something else without it."""
    few = replace(FAST, limit=3, metrics=('depth',))
    sparse = [Task(str(bag), 'lite-sparse', settings=replace(few, points=p)) for p in POINTS]
    auto, yes, no = (run_task(task) for task in sparse)
    assert (auto.model.points, yes.model.points, no.model.points) == (True, True, False)
    assert auto.rows.values.tobytes() == yes.rows.values.tobytes()
    assert auto.rows.values.tobytes() != no.rows.values.tobytes()
    frame = next(iter(open_source(str(bag), SourceOptions(points=True)).frames())).frame
    assert frame.points.extrinsics[:3, 3] == pytest.approx([0, -0.3, 0])
    with pytest.raises(SettingsError, match='ground truth and an input at once'):
        run_task(replace(sparse[0], options=SourceOptions(truth='lidar')))


def test_a_folder_of_images(tmp_path, bag, models):
    """Thermal images with depth of the same names; another size of the truth is allowed."""
    images, depths = tmp_path / 'thermal', tmp_path / 'depth'
    images.mkdir()
    depths.mkdir()
    for item in open_source(str(bag)).frames():
        if item.index < 6:
            cv2.imwrite(str(images / f'{item.index:04d}.png'), item.frame.image)
            np.save(depths / f'{item.index:04d}.npy', np.kron(item.truth, np.ones((2, 2))))
    unit = unit_of(images, models[0], truth=str(depths))
    assert (unit.kind, len(unit.rows)) == ('folder', 6)
    pipeline = Pipeline(load_engine(models[0], 'onnxruntime'))
    first = next(iter(open_source(str(bag)).frames()))
    depth = pipeline.process(replace(first.frame, intrinsics=None)).depth
    large = cv2.resize(depth, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    expected = metrics.depth_metrics(large, np.kron(first.truth, np.ones((2, 2))))['abs_rel']
    column = unit.rows.columns.index('abs_rel')
    assert unit.rows.matrix()[0, column] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(SettingsError, match='--truth FOLDER'):
        open_source(str(images))


def test_simulated_world_is_rendered_once(tmp_path, models):
    pytest.importorskip('embreex')
    text = 'sim:corridor,night,smoke,seed=5,seconds=0.4,size=64x48'
    unit = unit_of(text, models[0], cache=tmp_path)
    assert (unit.kind, unit.frames, unit.rows.conditions) == ('sim', 4, ['night, smoke'])
    stamp = next(tmp_path.glob('corridor-*/*.mcap')).stat().st_mtime_ns
    again = unit_of(text, models[0], cache=tmp_path)
    assert next(tmp_path.glob('corridor-*/*.mcap')).stat().st_mtime_ns == stamp
    assert again.rows.values.tobytes() == unit.rows.values.tobytes()
    with pytest.raises(SettingsError, match="'lunch' is not known"):
        open_source('sim:street,lunch', SourceOptions(cache=tmp_path))
    with pytest.raises(SettingsError, match='speed: not known'):
        open_source('sim:street,speed=3', SourceOptions(cache=tmp_path))


def test_what_a_bag_lacks_is_said(tmp_path, bag):
    bare = write_input(tmp_path / 'bare', Drive(frames=3, truth=False, inputs=('thermal',)))
    with pytest.raises(SettingsError, match='has no depth topic or LiDAR'):
        open_source(str(bare))
    with pytest.raises(SettingsError, match='neither a topic of'):
        open_source(str(bag), SourceOptions(truth='/depth/of/nobody'))
    with pytest.raises(SettingsError, match='CameraInfo; ground truth is'):
        open_source(str(bag), SourceOptions(truth='/thermal/camera_info'))
    with pytest.raises(SettingsError, match='ground truth and an input at once'):
        open_source(str(bag), SourceOptions(truth='lidar', points=True))
    lost = write_input(
        tmp_path / 'lost', Drive(frames=3, truth=False, inputs=('thermal', 'lidar'))
    )
    with pytest.raises(CalibrationError, match='--calibration'):
        open_source(str(lost))
    odd = Drive(frames=3, truth=False, inputs=('thermal', 'thermal_info', 'lidar'))
    with pytest.raises(SettingsError, match='do not connect'):
        open_source(str(write_input(tmp_path / 'odd', odd)))
    blind = Drive(frames=3, inputs=('thermal', 'thermal_info'))
    with pytest.raises(SettingsError, match='no points of a range sensor'):
        open_source(str(write_input(tmp_path / 'blind', blind)), SourceOptions(points=True))
    with pytest.raises(BagError, match='does not exist'):
        open_source(str(tmp_path / 'nothing.mcap'))
    with pytest.raises(SettingsError, match='no such role'):
        open_source(str(bag), SourceOptions(topics={'sonar': '/s'}))


class Stopping:
    """A source that fails, or is interrupted, at a frame."""

    def __init__(self, source, at, error):
        self._source, self._at, self._error = source, at, error
        self.started = []
        for name in ('name', 'kind', 'truth', 'curated', 'notes', 'count', 'identity'):
            setattr(self, name, getattr(source, name))

    def frames(self, start=0):
        self.started.append(start)
        for item in self._source.frames(start):
            if item.index == self._at:
                raise self._error
            yield item


def run_with(source, model, folder, settings=FAST):
    engine = load_engine(model, 'onnxruntime')
    journal = Journal(folder, 'key', column_names(settings))
    return evaluate_frames(source, engine, settings, journal)


@pytest.mark.parametrize('error', [KeyboardInterrupt(), BagError('cut off')])
def test_interrupted_and_resumed_is_as_if_nothing_had_happened(tmp_path, bag, models, error):
    whole = run_with(open_source(str(bag)), models[0], None)
    source = Stopping(open_source(str(bag)), 25, error)
    before = threading.active_count()
    with pytest.raises(type(error)):
        run_with(source, models[0], tmp_path)
    assert threading.active_count() <= before
    journal = tmp_path / 'key.jsonl'
    lines = journal.read_bytes().splitlines(keepends=True)
    # what had been read is worked off
    assert len(lines) == 26
    # a crash leaves half a line
    journal.write_bytes(b''.join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    rest = Stopping(open_source(str(bag)), None, None)
    resumed = run_with(rest, models[0], tmp_path)
    assert resumed.rows.values.tobytes() == whole.rows.values.tobytes()
    assert list(resumed.rows.index) == list(whole.rows.index)
    assert resumed.skipped == whole.skipped
    assert (resumed.frames, resumed.first, resumed.last) == (40, whole.first, whole.last)
    assert resumed.keeper.frames == whole.keeper.frames
    # a journal that is complete needs neither source nor engine
    again = run_with(None, models[0], tmp_path)
    assert again.rows.values.tobytes() == whole.rows.values.tobytes()
    assert again.keeper.frames == whole.keeper.frames


def test_a_journal_of_other_settings_is_not_taken(tmp_path, bag, models):
    first = unit_of(bag, models[0], journal=tmp_path)
    unit_of(bag, models[0], replace(FAST, far=20.0), journal=tmp_path)
    unit_of(bag, models[1], journal=tmp_path)
    unit_of(bag, models[0], replace(FAST, bootstrap=7), journal=tmp_path)
    assert len(list(tmp_path.glob('*.jsonl'))) == 3
    damaged = next(f for f in tmp_path.glob('*.jsonl'))
    damaged.write_bytes(b'\xff\x00 no journal\n' + damaged.read_bytes())
    again = unit_of(bag, models[0], journal=tmp_path)
    assert again.rows.values.tobytes() == first.rows.values.tobytes()


def test_merge_of_units_in_any_process_is_the_same(tmp_path, bag, models, units):
    other = write_input(tmp_path / 'other', Drive(frames=30, conditions=False))
    more = [unit_of(other, model, name='other') for model in models]
    one = merge([*units, *more], FAST)
    # once more from nothing, through a journal, as another process would send it
    again = [unit_of(bag, model, journal=tmp_path / 'j') for model in models]
    again += [unit_of(other, model, name='other') for model in models]
    assert merge(again, FAST).json() == one.json()
    assert [r.name for r in one.recordings] == ['drive', 'other']
    assert [m.label for m in one.models] == ['one', 'two']
    assert one.conditions == ['street, day, clear', 'street, night, fog', 'whole drive']
    whole = one.group('one')
    assert whole is not None
    rows = np.concatenate([u.rows.matrix()[:, 0] for u in (units[0], more[0])])
    assert whole.frames == len(rows)
    assert whole.metrics['abs_rel'].mean == pytest.approx(rows.mean(), rel=1e-12)
    back = Evaluation.from_dict(json.loads(one.json()))
    assert back.json() == one.json()
    with pytest.raises(SettingsError, match='must be evaluated once with each model'):
        merge([*units, more[0]], FAST)


def test_paired_differences_and_who_is_better(units):
    one = merge(units, FAST)
    whole = next(d for d in one.differences if d.condition == '')
    column = units[0].rows.columns.index('abs_rel')
    gaps = units[1].rows.matrix()[:, column] - units[0].rows.matrix()[:, column]
    found = whole.metrics['abs_rel']
    assert (whole.a, whole.b) == ('one', 'two')
    assert found.mean == pytest.approx(gaps.mean())
    assert found.low < found.mean < found.high
    sides = {True: {'a', ''}, False: {'b', ''}}
    assert whole.certain['abs_rel'] in sides[bool(gaps.mean() > 0)]
    # the same model twice differs in nothing, and nobody is better
    same = merge([units[0], replace(units[0], model=replace(units[0].model, digest='x'))], FAST)
    assert [m.label for m in same.models] == ['one 1', 'one 1 (2)']
    assert same.differences[0].metrics['rmse'].high == 0
    assert set(same.differences[0].certain.values()) == {''}


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Frames that are alike within blocks: the interval by blocks covers, that by frames fails."""
    rng = np.random.default_rng(2)
    hits = {'blocks': 0, 'frames': 0}
    for k in range(120):
        blocks = np.repeat(np.arange(40), 10)
        values = np.repeat(rng.normal(0, 1, 40), 10) + rng.normal(0, 0.2, 400)
        for name, groups in (('blocks', blocks), ('frames', np.arange(400))):
            found = BlockBootstrap(groups, 300, 0.9, k).mean(values)
            hits[name] += found.low <= 0 <= found.high
    assert 0.8 <= hits['blocks'] / 120 <= 0.97
    assert hits['frames'] / 120 < 0.6
    short = BlockBootstrap(np.zeros(5, int), 100, 0.9, 0).mean(np.arange(5.0))
    assert (short.mean, short.low, short.frames) == (2.0, None, 5)
    empty = BlockBootstrap(np.arange(5), 100, 0.9, 0).mean(np.full(5, math.nan))
    assert (empty.mean, empty.frames) == (None, 0)


def test_kept_frames_are_best_worst_and_a_fixed_draw(units):
    column = units[0].rows.columns.index('abs_rel')
    values = dict(zip(units[0].rows.index, units[0].rows.matrix()[:, column], strict=True))
    for places in (range(20), range(20, 40)):
        kept = [f.index for f in units[0].pictures if f.index in places]
        here = {k: v for k, v in values.items() if k in places}
        assert min(here, key=here.get) in kept
        assert max(here, key=here.get) in kept
        assert len(kept) <= 10
    shared = {f.index for f in units[0].pictures} & {f.index for f in units[1].pictures}
    assert len(shared) >= 16
    look = unpack(units[0].pictures[0].data)
    truth = truth_of(units[0].pictures[0].index)
    np.testing.assert_allclose(look.truth, truth, rtol=1e-3)
    assert look.depth.shape == look.thermal.shape == look.confidence.shape == (HEIGHT, WIDTH)
    assert look.intrinsics[0] == pytest.approx(60.0)
    keeper, gone = Keeper(), []
    for k in range(200):
        keeper.offer(KeptFrame(k, k, 'night', float(k % 50), b'x'), gone.append)
    assert len(keeper.frames) <= 10
    assert set(gone).isdisjoint(f.index for f in keeper.frames)
    evaluation = merge(units, FAST)
    assert {c.kind for c in evaluation.chosen} == {'best', 'median', 'worst'}
    assert all(set(c.pictures) == {'one', 'two'} for c in evaluation.chosen)
    assert all(k in evaluation.pictures for c in evaluation.chosen for k in c.pictures.values())


def test_large_pictures_are_shrunk():
    from monother_ros.core.camera import Intrinsics
    from monother_ros.evaluation.evaluate.pictures import pack

    rng = np.random.default_rng(0)
    raw = rng.integers(0, 9999, (480, 640)).astype(np.uint16)
    sparse = np.zeros((480, 640), np.float32)
    sparse[::40, ::40] = 7.0
    data = pack(
        raw, np.full((480, 640), 5.0), sparse, None, Intrinsics(640, 480, 500, 500, 320, 240)
    )
    look = unpack(compressed(data))
    assert look.thermal.shape == (240, WIDEST)
    assert np.nansum(look.truth == 7.0) == np.count_nonzero(sparse)
    assert look.intrinsics[:2] == pytest.approx((250, 250))
    assert look.confidence is None


def test_the_command(tmp_path, bag, models, capsys):
    """Table, JSON, CSV, page; the second run goes on from the journal and says the same."""
    pytest.importorskip('matplotlib')
    words = ['evaluate', str(bag), '--model', *(str(m.path) for m in models), '--block', '0.5']
    words += ['--bootstrap', '100', '-o', str(tmp_path / 'out')]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert 'two - one' in told
    assert 'street, night, fog' in told
    out = tmp_path / 'out'
    evaluation = load_evaluation(out)
    assert evaluation.environment['command'] == shlex.join(['monother', *words])
    assert set(evaluation.pictures) == {k for c in evaluation.chosen for k in c.pictures.values()}
    frames = (out / 'frames.csv').read_text().splitlines()
    assert len(frames) == 1 + 2 * 38
    assert frames[0].startswith('recording,model,revision,index,stamp_ns,condition,abs_rel')
    rows = [line.split(',') for line in (out / 'summary.csv').read_text().splitlines()]
    first = next(r for r in rows if r[:2] == ['one', 'all'] and r[4] == 'abs_rel')
    assert float(first[6]) == evaluation.group('one').metrics['abs_rel'].mean
    assert 'AbsRel' in (out / 'index.html').read_text()
    assert main([*words, '--no-page']) == 0
    assert replace(load_evaluation(out), environment={}) == replace(evaluation, environment={})


def test_the_command_says_what_is_wrong(tmp_path, bag, models, capsys):
    model = ['--model', str(models[0].path)]
    assert main(['evaluate', *model]) == 1
    assert 'name a recording' in capsys.readouterr().err
    assert main(['evaluate', str(tmp_path / 'no.bag'), *model]) == 1
    assert 'does not exist' in capsys.readouterr().err
    assert main(['evaluate', '--bags', str(tmp_path / 'drive_*'), *model]) == 1
    assert 'nothing matches' in capsys.readouterr().err
    assert main(['evaluate', str(bag), '--near', '90', *model]) == 1
    assert 'positive metres' in capsys.readouterr().err
    far = ['--near', '70', '--far', '70.001']
    assert main(['evaluate', str(bag), *far, *model]) == 1
    assert 'no frame was scored: 38 no pixel with ground truth' in capsys.readouterr().err
    # of several recordings the good ones are evaluated
    good = ['evaluate', str(bag), str(tmp_path), *model, '--metrics', 'depth', '--limit', '3']
    assert main(good) == 1
    told = capsys.readouterr()
    assert 'frames' in told.out
    assert 'is not a rosbag2' in told.err


def test_names_and_patterns(tmp_path, bag):
    assert names_of(['/a/x.mcap', '/b/x.mcap', 'sim:street,fog']) == [
        'a/x',
        'b/x',
        'sim street fog',
    ]
    assert names_of(['/a/x', '/a/x']) == ['a/x (1)', 'a/x (2)']
    (bag.parent / 'notes.txt').touch()
    assert found_bags([str(bag.parent / '*')]) == [str(bag)]
    with pytest.raises(SettingsError, match='no bag; none of 1'):
        found_bags([str(bag.parent / '*.txt')])


def test_settings_that_cannot_be():
    for wrong in (
        {'near': 0.0},
        {'crop': 'oval'},
        {'level': 1.0},
        {'every': 0},
        {'bin_width': 0.1},
    ):
        with pytest.raises(SettingsError):
            EvaluationSettings(**wrong)
    settings = EvaluationSettings(metrics=('temporal',), far=30.0)
    assert settings.metrics == ('depth', 'temporal')
    assert EvaluationSettings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings
    with pytest.raises(SettingsError):
        EvaluationSettings.from_dict({'wings': 2})


def test_every_and_limit(bag, models):
    few = unit_of(bag, models[0], replace(FAST, every=4, limit=5))
    assert [k % 4 for k in few.rows.index] == [0] * 5
    assert few.rows.index[-1] == 20
    assert CONDITIONS[1]['weather'] == 'fog'
    assert few.skipped['between scored frames'] == 14
    assert isinstance(few.pictures[0].data, bytes)
    assert Path(few.source) == bag
