# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

pytest.importorskip('trimesh', reason='the simulator is not installed')
pytest.importorskip('embreex', reason='the simulator is not installed')
pytest.importorskip('tqdm', reason='tqdm is not installed')

from monother_ros.core.errors import SettingsError
from monother_ros.learning.rendered import (
    TEST_SEED,
    DatasetPlan,
    Frames,
    render_dataset,
    render_shard,
    world_of,
)
from monother_ros.learning.shards import check_plan

SMALL = DatasetPlan(6, 40, frames_per_world=2, width=80, height=64, worlds_per_shard=2)


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rendered')
    render_dataset(SMALL, folder, workers=1)
    return folder


def test_frames_of_all_worlds(rendered):
    frames = Frames(rendered)
    assert len(frames) == 6
    assert [w['seed'] for w in frames.worlds] == [40, 40, 41, 41, 42, 42]
    assert [w['scene'] for w in frames.worlds[::2]] == ['street', 'corridor', 'woods']
    for index in range(6):
        thermal, depth = frames.thermal(index), frames.depth(index)
        assert thermal.shape == depth.shape == (64, 80)
        assert thermal.dtype == np.uint16
        assert thermal.max() > thermal.min()
        assert np.isfinite(depth).any()
        assert (depth > 0).all()
        assert 254 < frames.focal[index] < 266
    assert len(Frames(rendered, 5)) == 5


def test_same_plan_gives_the_same_bytes_and_whole_shards_are_kept(rendered, tmp_path):
    again = render_shard(SMALL, 1, tmp_path)
    for name in ('thermal.npy', 'depth.npy', 'bounds.npy', 'worlds.json'):
        assert (again / name).read_bytes() == (rendered / 'shard-0001' / name).read_bytes()
    stamp = (again / 'depth.npy').stat().st_mtime_ns
    assert render_shard(SMALL, 1, tmp_path) == again
    assert (again / 'depth.npy').stat().st_mtime_ns == stamp


def test_failed_shard_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_args):
        msg = 'no space left on device'
        raise OSError(msg)

    monkeypatch.setattr(np, 'save', fail)
    with pytest.raises(OSError, match='no space'):
        render_shard(SMALL, 0, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_other_plan_in_the_same_folder_is_refused(tmp_path):
    whole = DatasetPlan(8, 40, frames_per_world=2, worlds_per_shard=2)
    check_plan(whole, tmp_path)
    check_plan(DatasetPlan(16, 40, frames_per_world=2, worlds_per_shard=2), tmp_path)
    with pytest.raises(SettingsError, match='another plan'):
        check_plan(DatasetPlan(16, 41, frames_per_world=2, worlds_per_shard=2), tmp_path)
    check_plan(whole, tmp_path)  # fewer again: the folder may hold more than is asked for
    assert json.loads((tmp_path / 'plan.json').read_text())['frames'] == 16
    check_plan(DatasetPlan(18, 40, frames_per_world=2, worlds_per_shard=2), tmp_path)
    with pytest.raises(SettingsError, match='another plan'):
        # the last shard was written for 18 frames: it holds one world only
        check_plan(DatasetPlan(24, 40, frames_per_world=2, worlds_per_shard=2), tmp_path)


def test_training_never_reaches_held_out_seeds():
    with pytest.raises(SettingsError, match='held-out'):
        DatasetPlan(40, TEST_SEED - 2, frames_per_world=2)
    DatasetPlan(4, TEST_SEED - 2, frames_per_world=2)


def test_conditions_are_mixed():
    plan = DatasetPlan(2400, frames_per_world=2)
    worlds = [world_of(plan, i) for i in range(1200)]
    assert worlds == [world_of(plan, i) for i in range(1200)]
    for scene in ('street', 'corridor', 'woods', 'yard'):
        chosen = [w for w in worlds if w.scene == scene]
        assert len(chosen) == 300
        for weather in ('clear', 'fog', 'smoke', 'rain'):
            assert 45 < sum(w.weather == weather for w in chosen) < 105
        for time in ('day', 'dusk', 'night'):
            assert 70 < sum(w.time_of_day == time for w in chosen) < 130


def test_frames_are_pickled_as_a_place(rendered):
    data = pickle.dumps(Frames(rendered, 5))
    assert len(data) < 1000
    again = pickle.loads(data)
    assert len(again) == 5
    np.testing.assert_array_equal(again.depth(4), Frames(rendered).depth(4))


def test_missing_frames_are_named(tmp_path):
    with pytest.raises(SettingsError, match='no rendered frames'):
        Frames(tmp_path)
