# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans on disk: found by all that they depend on, doubted where anything is odd."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from monother_ros.core.bundle import load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines.trt_api import TrtApi
from monother_ros.engines.trt_build import BuildSettings
from monother_ros.engines.trt_cache import (
    ENTRY,
    PLAN,
    EngineCache,
    Gpu,
    bundle_hash,
    default_folder,
    make_key,
)

ORIN = Gpu('Orin', '8.7', '12.6', '36.4.3')


class _Module:
    __version__ = '10.3.0'


API = TrtApi(_Module())


@pytest.fixture
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / 'engines')


@pytest.fixture
def key(bundle):
    return make_key(bundle, API, ORIN, BuildSettings())


def test_a_plan_comes_back_with_its_record(cache, key):
    assert cache.load(key) is None
    stored = cache.store(key, b'plan' * 100, {'name': 'tiny'})
    entry, plan = cache.load(key)
    assert plan == b'plan' * 100
    assert (entry.size, entry.notes, entry.acceptance) == (400, {'name': 'tiny'}, None)
    assert entry.key == key.as_dict() == stored.key
    cache.accept(entry, {'verdicts': [{'accepted': True, 'mean': 0.001}]})
    assert cache.load(key)[0].acceptance['verdicts'][0]['mean'] == 0.001
    assert cache.load(key)[0].created == pytest.approx(entry.created)


def test_the_folder_is_named_by_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv('MONOTHER_ENGINES', str(tmp_path))
    assert default_folder() == EngineCache().folder == tmp_path
    monkeypatch.delenv('MONOTHER_ENGINES')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'monother_ros' / 'engines'


@pytest.mark.parametrize(
    'change',
    [
        {'bundle': '0' * 64},
        {'trt': 'tensorrt 10.3.1'},
        {'gpu': dataclasses.replace(ORIN, name='Thor')},
        {'gpu': dataclasses.replace(ORIN, capability='11.0')},
        {'gpu': dataclasses.replace(ORIN, driver='13.0')},
        {'gpu': dataclasses.replace(ORIN, l4t='36.4.4')},
        {'settings': BuildSettings(precision='fp32').as_dict()},
        {'settings': BuildSettings(refit=True).as_dict()},
        {'settings': BuildSettings(level=5).as_dict()},
        {'settings': BuildSettings(workspace=1).as_dict()},
        {'settings': BuildSettings(version_compatible=True).as_dict()},
        {'shapes': {'thermal': [1, 1, 64, 64]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_plan_depends_on_makes_another_plan(cache, key, change):
    cache.store(key, b'plan')
    other = dataclasses.replace(key, **change)
    assert other.digest != key.digest
    assert cache.load(other) is None
    assert cache.load(key) is not None


def test_notes_of_a_bundle_do_not_count_and_weights_do(bundle):
    noted = dataclasses.replace(bundle, metrics={'abs_rel': 0.1}, digest='other')
    assert bundle_hash(noted) == bundle_hash(bundle)
    learned = dataclasses.replace(bundle, files={**bundle.files, 'model.onnx': '1' * 64})
    assert bundle_hash(learned) != bundle_hash(bundle)


def test_plans_for_rtx_are_found_by_capability_alone(bundle):
    rtx = TrtApi(_Module(), 'tensorrt_rtx')
    ahead = make_key(bundle, rtx, Gpu(), BuildSettings(targets=('8.6',)))
    here = make_key(bundle, rtx, Gpu('RTX A6000', '8.6', '13.0'), BuildSettings())
    assert ahead.digest == here.digest
    other = make_key(bundle, rtx, Gpu('RTX 4090', '8.9', '13.0'), BuildSettings())
    assert other.digest != here.digest


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_key(path: Path) -> None:
    data = json.loads(path.read_text())
    data['key']['trt'] = 'tensorrt 9.9'
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    'harm',
    [
        lambda p: flip(p / PLAN),
        lambda p: (p / PLAN).write_bytes((p / PLAN).read_bytes()[:-1]),
        lambda p: (p / PLAN).unlink(),
        lambda p: (p / ENTRY).unlink(),
        lambda p: (p / ENTRY).write_text('{'),
        lambda p: (p / ENTRY).write_text('[]'),
        lambda p: (p / ENTRY).write_text('{"format": 1}'),
        lambda p: (p / ENTRY).write_bytes(b'\xff\xfe'),
        lambda p: other_key(p / ENTRY),
    ],
    ids=['flipped', 'cut', 'missing', 'unrecorded', 'broken', 'list', 'empty', 'binary', 'other'],
)
def test_a_doubtful_entry_is_a_miss_and_goes(cache, key, harm):
    path = cache.store(key, b'plan' * 100).path
    harm(path)
    assert cache.load(key) is None
    assert not path.exists()
    _, plan, hit = cache.obtain(key, lambda: b'again')
    assert (plan, hit) == (b'again', False)
    assert cache.load(key)[1] == b'again'


def test_least_recently_used_plans_go_first(tmp_path, key):
    cache = EngineCache(tmp_path, limit_bytes=250)
    keys = [dataclasses.replace(key, bundle=str(k)) for k in range(3)]
    for k, item in enumerate(keys[:2]):
        entry = cache.store(item, bytes(100))
        os.utime(entry.path / ENTRY, (1000 + k, 1000 + k))
    cache.load(keys[0])
    cache.store(keys[2], bytes(100))
    assert [cache.load(item) is not None for item in keys] == [True, False, True]
    # a plan that is larger than everything stays, since it was asked for
    huge = dataclasses.replace(key, bundle='huge')
    cache.store(huge, bytes(1000))
    assert [entry.key['bundle'] for entry in cache.entries()] == ['huge']


def test_a_build_that_fails_leaves_nothing_and_the_old_plan(cache, key):
    other = dataclasses.replace(key, bundle='1')
    cache.store(other, b'old')

    def build():
        raise EngineError('no memory')

    with pytest.raises(EngineError, match='no memory'):
        cache.obtain(key, build)
    assert cache.load(key) is None
    assert [entry.path.name for entry in cache.entries()] == [other.digest]
    assert cache.load(other)[1] == b'old'


def build_in_process(folder, key, started, release, result):
    def build():
        started.set()
        release.wait(30)
        return f'built by {os.getpid()}'.encode()

    _, plan, hit = EngineCache(folder).obtain(key, build)
    result.put((plan, hit))


def wait_for(found, seconds=60.0):
    until = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < until, 'it took too long'
        time.sleep(0.02)


def test_of_two_processes_one_builds_and_the_other_waits(cache, key):
    context = multiprocessing.get_context('fork')
    events = [context.Event() for _ in range(3)]
    first, second, release = events
    result = context.Queue()
    arguments = [(cache.folder, key, event, release, result) for event in (first, second)]
    processes = [context.Process(target=build_in_process, args=args) for args in arguments]
    processes[0].start()
    assert first.wait(30)
    processes[1].start()
    assert not second.wait(0.5)
    release.set()
    plans = [result.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert {hit for _, hit in plans} == {False, True}
    assert len({plan for plan, _ in plans}) == 1


def test_a_builder_that_is_killed_frees_the_lock_and_leaves_nothing(cache, key):
    context = multiprocessing.get_context('fork')
    started, release, result = context.Event(), context.Event(), context.Queue()
    process = context.Process(
        target=build_in_process, args=(cache.folder, key, started, release, result)
    )
    process.start()
    assert started.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert cache.load(key) is None
    assert cache.entries() == []
    assert cache.obtain(key, lambda: b'mine')[1:] == (b'mine', False)


def test_what_a_killed_writer_left_is_no_entry_and_goes(cache, key):
    left = cache.folder / f'.{key.digest}.abc'
    left.mkdir(parents=True)
    (left / PLAN).write_bytes(b'half')
    assert cache.entries() == []
    assert cache.obtain(key, lambda: b'whole')[1] == b'whole'
    assert not left.exists()


def test_clean_removes_what_is_damaged_and_old_leftovers(cache, key):
    good = cache.store(key, b'good')
    bad = cache.store(dataclasses.replace(key, bundle='1'), b'bad')
    flip(bad.path / PLAN)
    young, old = cache.folder / '.young', cache.folder / '.old'
    for path in (young, old):
        path.mkdir()
    os.utime(old, (1, 1))
    assert set(cache.clean()) == {bad.path.name, '.old'}
    assert good.path.is_dir()
    assert young.is_dir()


def test_waiting_can_be_given_up(cache, key):
    stop, held, done = threading.Event(), threading.Event(), threading.Event()
    errors = []

    def wait():
        held.wait(10)
        try:
            cache.obtain(key, lambda: b'', cancelled=stop.is_set)
        except EngineError as err:
            errors.append(str(err))
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    with cache.locked(key):
        held.set()
        assert not done.wait(0.3)
        stop.set()
        assert done.wait(10)
    thread.join()
    assert errors == ['stopped while another process built the engine']


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path, key):
    (tmp_path / 'file').write_text('')
    with pytest.raises(EngineError, match='MONOTHER_ENGINES'):
        EngineCache(tmp_path / 'file').obtain(key, lambda: b'plan')
    with pytest.raises(EngineError, match='MONOTHER_ENGINES'):
        EngineCache(tmp_path / 'file').store(key, b'plan')


def test_entries_are_found_by_the_beginning_of_their_name(cache, key):
    entry = cache.store(key, b'plan')
    assert cache.find(key.digest[:6]).path == entry.path
    with pytest.raises(EngineError, match='no plan'):
        cache.find('zz')
    cache.store(dataclasses.replace(key, bundle='1'), b'plan')
    with pytest.raises(EngineError, match='2 plans'):
        cache.find('')
