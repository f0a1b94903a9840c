# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The memory of pairs: bounded, diverse, whole after restarts, kills and a full disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from online_pairs import make_pair, make_rig

from monother_ros.core.errors import AdaptationError, SettingsError
from monother_ros.learning import replay_store
from monother_ros.learning.replay import ReplayBuffer
from monother_ros.learning.replay_store import cost, pack_pair
from monother_ros.learning.replay_view import describe

PAIR = cost(len(pack_pair(make_pair(0), describe(make_pair(0)))))
RIG = 4096


def room(pairs):
    return pairs * PAIR + RIG


def on_disk(folder):
    return sum(cost(p.stat().st_size) for p in Path(folder).iterdir())


def shown(buffer):
    return [p.stamp_ns // 10**8 for p in buffer.pairs()]


@pytest.fixture(params=['folder', 'memory'])
def place(request, tmp_path):
    return tmp_path / 'pairs' if request.param == 'folder' else None


def test_a_pair_comes_back_as_it_went_in(place):
    buffer = ReplayBuffer(place, room(10))
    pair = make_pair(3, weight=True)
    assert buffer.add(pair)
    assert buffer.add(make_pair(4))
    (back,) = [p for p in buffer.sample(2) if p.stamp_ns == pair.stamp_ns]
    for name in ('thermal', 'rgb', 'teacher_depth', 'weight'):
        got, put = getattr(back, name), getattr(pair, name)
        assert got.dtype == put.dtype and np.array_equal(got, put) and got.flags.writeable
    assert back.rig.key == pair.rig.key
    assert np.array_equal(back.rig.extrinsics, pair.rig.extrinsics)
    assert buffer.pairs()[1].weight is None


def test_never_above_its_capacity_not_even_while_writing(tmp_path, monkeypatch):
    folder = tmp_path / 'pairs'
    capacity = room(6) + 100
    peaks = []
    write = replay_store.atomic_write

    def watched(path, data):
        peaks.append(on_disk(folder) + cost(len(data)))
        write(path, data)
        peaks.append(on_disk(folder))

    monkeypatch.setattr(replay_store, 'atomic_write', watched)
    buffer = ReplayBuffer(folder, capacity)
    for k in range(40):
        buffer.add(make_pair(k, weight=k % 3 == 0))
        assert buffer.bytes == on_disk(folder) <= capacity
    assert max(peaks) <= capacity
    assert 5 <= len(buffer) <= 6 and buffer.evicted >= 5


def test_memory_has_the_same_bound_and_choice(tmp_path):
    stored, kept = ReplayBuffer(tmp_path / 'pairs', room(8)), ReplayBuffer(None, room(8))
    for k in range(50):
        pair = make_pair(k % 20, noise=k, stamp=k)
        assert stored.add(pair) == kept.add(pair)
    assert shown(stored) == shown(kept) and stored.bytes == kept.bytes <= room(8)


def test_like_views_go_and_rare_ones_stay(place):
    buffer = ReplayBuffer(place, room(12))
    for k in range(200):
        # one place for most of the time, and eight others that are seen once
        view = 1000 + k // 20 if k % 20 == 10 else 7
        buffer.add(make_pair(view, noise=k, stamp=k))
    rare = [s for s in shown(buffer) if s % 20 == 10]
    assert len(rare) == 10
    assert len(buffer) == 12


def test_like_views_that_stay_spread_over_time(place):
    buffer = ReplayBuffer(place, room(10))
    for k in range(300):
        buffer.add(make_pair(7, noise=k, stamp=k))
    stamps = np.array(shown(buffer))
    assert len(stamps) == 10
    # every third of the time is there, and no gap is larger than three even steps
    assert set(np.minimum(stamps // 100, 2).tolist()) == {0, 1, 2}
    assert np.diff(np.concatenate([[0], stamps, [299]])).max() <= 90


def test_sample_favours_neither_old_nor_new_and_is_seeded(tmp_path):
    def drawn(seed):
        buffer = ReplayBuffer(None, room(40), seed=seed)
        for k in range(30):
            buffer.add(make_pair(k))
        return [[p.stamp_ns // 10**8 for p in buffer.sample(3)] for _ in range(400)]

    draws = drawn(3)
    assert drawn(3)[:20] == draws[:20] and drawn(4)[:20] != draws[:20]
    assert all(len(set(d)) == 3 for d in draws)
    counts = np.bincount(np.concatenate(draws), minlength=30)
    # 40 expected of each; five standard deviations
    assert counts.min() > 10 and counts.max() < 72
    assert abs(counts[:15].sum() - 600) < 90


def test_more_than_there_are_gives_all(place):
    buffer = ReplayBuffer(place, room(4))
    assert buffer.sample(3) == [] and buffer.pairs() == []
    buffer.add(make_pair(1))
    assert len(buffer.sample(5)) == 1


def test_newest_pairs_can_be_discarded(place):
    buffer = ReplayBuffer(place, room(9))
    for k in range(5):
        buffer.add(make_pair(k))
    assert buffer.discard_newest(2) == 2 and shown(buffer) == [0, 1, 2]
    assert buffer.discard_newest(0) == 0 and buffer.discard_newest(9) == 3
    assert len(buffer) == 0 and buffer.bytes == 0


def test_survives_a_restart(tmp_path):
    buffer = ReplayBuffer(tmp_path, room(9))
    for k in range(6):
        buffer.add(make_pair(k))
    before = shown(buffer)
    buffer.close()
    again = ReplayBuffer(tmp_path, room(9))
    assert shown(again) == before and again.damaged == 0 and again.bytes == on_disk(tmp_path)
    again.add(make_pair(77))
    assert shown(again) == [*before, 77]


def test_a_smaller_capacity_shrinks_at_the_start(tmp_path):
    buffer = ReplayBuffer(tmp_path, room(9))
    for k in range(9):
        buffer.add(make_pair(k))
    buffer.close()
    small = ReplayBuffer(tmp_path, room(4))
    assert len(small) == 4 and on_disk(tmp_path) <= room(4)
    small.close()
    none = ReplayBuffer(tmp_path, 1000)
    assert len(none) == 0 and on_disk(tmp_path) == 0
    with pytest.raises(AdaptationError, match='one pair takes'):
        none.add(make_pair(0))


def test_rigs_are_stored_once_and_go_with_their_last_pair(tmp_path):
    buffer = ReplayBuffer(tmp_path, 3 * PAIR + 2 * RIG)
    old, new = make_rig(), make_rig(0.5)
    for k in range(3):
        buffer.add(make_pair(k, rig=old))
    assert len(list(tmp_path.glob('rig-*'))) == 1
    for k in range(3, 40):
        buffer.add(make_pair(k % 7 + 50, rig=new, noise=k, stamp=k))
        assert on_disk(tmp_path) == buffer.bytes <= 3 * PAIR + 2 * RIG
    buffer.clear()
    assert len(buffer) == 0 and on_disk(tmp_path) == 0
    buffer.add(make_pair(1, rig=new))
    assert buffer.pairs()[0].rig.key == new.key


@pytest.mark.parametrize('damage', ['cut', 'bit', 'empty', 'text', 'rig'])
def test_damaged_files_are_dropped_and_counted(tmp_path, damage):
    buffer = ReplayBuffer(tmp_path, room(9))
    for k in range(4):
        buffer.add(make_pair(k))
    buffer.close()
    path = sorted(tmp_path.glob('rig-*' if damage == 'rig' else 'pair-*'))[-1]
    data = bytearray(path.read_bytes())
    if damage in ('bit', 'rig'):
        data[-20] ^= 4
    path.write_bytes(
        {'cut': data[: len(data) // 2], 'empty': b'', 'text': b'{}' * 99}.get(damage, data)
    )
    again = ReplayBuffer(tmp_path, room(9))
    if damage == 'rig':
        assert len(again) == 0 and again.damaged == 5
    else:
        assert shown(again) == [0, 1, 2] and again.damaged == 1
    assert on_disk(tmp_path) == again.bytes
    assert again.add(make_pair(8))


def test_damage_while_running_is_found_when_read(tmp_path):
    buffer = ReplayBuffer(tmp_path, room(9), cache_bytes=0)
    for k in range(4):
        buffer.add(make_pair(k))
    paths = sorted(tmp_path.glob('pair-*'))
    paths[0].unlink()
    data = bytearray(paths[1].read_bytes())
    data[-1000] ^= 1
    paths[1].write_bytes(data)
    assert sorted(p.stamp_ns // 10**8 for p in buffer.sample(4)) == [2, 3]
    assert buffer.damaged == 2 and len(buffer) == 2 and buffer.bytes == on_disk(tmp_path)


def test_a_disk_that_takes_no_more_leaves_the_memory_usable(tmp_path):
    buffer = ReplayBuffer(tmp_path, room(9))
    for k in range(3):
        buffer.add(make_pair(k))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAIR // 2, limits[1]))
    try:
        with pytest.raises(AdaptationError, match=r'cannot be stored.*free the disk'):
            buffer.add(make_pair(3, rig=make_rig(1.0)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert shown(buffer) == [0, 1, 2] and len(buffer.sample(3)) == 3
    assert on_disk(tmp_path) == buffer.bytes and len(list(tmp_path.glob('rig-*'))) == 1
    assert buffer.add(make_pair(4)) and shown(buffer) == [0, 1, 2, 4]


def test_reading_holds_little_in_memory(tmp_path):
    buffer = ReplayBuffer(tmp_path, room(40), cache_bytes=3 * PAIR)
    for k in range(20):
        buffer.add(make_pair(k))
    for _ in range(5):
        buffer.sample(20)
        assert 0 < buffer._cached <= 3 * PAIR and len(buffer._cache) <= 3


def test_one_process_at_a_time(tmp_path):
    buffer = ReplayBuffer(tmp_path, room(4))
    with pytest.raises(AdaptationError, match='in use by another process'):
        ReplayBuffer(tmp_path, room(4))
    buffer.close()
    ReplayBuffer(tmp_path, room(4)).close()


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    (tmp_path / 'pair-list.csv').write_text('mine')
    (tmp_path / '.pair-00.safetensors.abc').write_bytes(b'half')
    ReplayBuffer(tmp_path, room(4)).clear()
    assert {p.name for p in tmp_path.iterdir()} == {'notes.txt', 'pair-list.csv', 'lock'}


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(AdaptationError, match='cannot be used'):
        ReplayBuffer(tmp_path / 'file', room(4))
    with pytest.raises(SettingsError, match='capacity'):
        ReplayBuffer(None, 0)


WRITER = """
import itertools, sys
sys.path.insert(0, sys.argv[1])
from online_pairs import make_pair
from monother_ros.learning.replay import ReplayBuffer
buffer = ReplayBuffer(sys.argv[2], int(sys.argv[3]))
pairs = [make_pair(k) for k in range(24)]
print('ready', flush=True)
for k in itertools.count():
    print(buffer.add(pairs[k % 24]), flush=True)
    if k % 12 == 11:
        buffer.clear()
"""


def test_killed_at_any_moment_it_is_whole(tmp_path):
    folder = tmp_path / 'pairs'
    capacity = room(8)
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, '-c', WRITER, str(Path(__file__).parent), str(folder), str(capacity)],
            stdout=subprocess.PIPE,
            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
        )
        assert process.stdout.readline() == b'ready\n'
        for _ in range(int(rng.integers(4, 30))):
            assert process.stdout.readline()
        time.sleep(float(rng.uniform(0.0, 0.01)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert on_disk(folder) <= capacity
        buffer = ReplayBuffer(folder, capacity)
        assert buffer.damaged == 0
        assert on_disk(folder) == buffer.bytes <= capacity
        assert not [p for p in folder.iterdir() if p.name.startswith('.')]
        for pair in buffer:
            original = make_pair(pair.stamp_ns // 10**8)
            assert np.array_equal(pair.thermal, original.thermal)
        kept = max(kept, len(buffer))
        buffer.close()
    assert kept >= 1
