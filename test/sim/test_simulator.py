# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.errors import SimulationError
from monother_ros.sim.raycast import CameraRays
from monother_ros.sim.scenes import SCENES
from monother_ros.sim.simulator import SimConfig, Simulator
from monother_ros.sim.weather import TIMES, WEATHERS

SMALL = {'width': 80, 'height': 64, 'rgb_width': 96, 'rgb_height': 72, 'lidar_columns': 90}


def test_same_seed_same_bytes_whatever_was_rendered_before():
    config = SimConfig('yard', seed=7, time_of_day='dusk', weather='smoke', **SMALL)
    first = Simulator(config)
    for t in (0.0, 3.0, 1.0):
        first.frame(t, {'thermal'})
    a = first.frame(2.0)
    b = Simulator(config).frame(2.0)
    for name in ('thermal', 'thermal_depth', 'rgb', 'rgb_depth', 'points'):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes(), name
    assert a.stamp_ns == b.stamp_ns
    other = Simulator(SimConfig('yard', seed=8, time_of_day='dusk', weather='smoke', **SMALL))
    assert other.frame(2.0, {'thermal'}).thermal.tobytes() != a.thermal.tobytes()


def test_noise_differs_from_frame_to_frame():
    sim = Simulator(SimConfig('corridor', seed=1, movers=False, **SMALL))
    sim.world.trajectory.speed = 0.0
    sim.world.trajectory._amplitude[:] = 0.0
    a, b = (sim.frame(t, {'thermal'}) for t in (0.0, 0.1))
    np.testing.assert_array_equal(a.thermal_depth, b.thermal_depth)
    assert (a.thermal != b.thermal).mean() > 0.3


@pytest.mark.parametrize('scene', SCENES)
def test_every_scene_weather_and_time_gives_sound_frames(scene):
    for k, weather in enumerate(WEATHERS):
        config = SimConfig(scene, seed=40, time_of_day=TIMES[k % 3], weather=weather, **SMALL)
        frame = Simulator(config).frame(1.5, {'thermal'})
        assert frame.thermal.shape == frame.thermal_depth.shape == (64, 80)
        assert frame.thermal.dtype == np.uint16
        assert frame.thermal_depth.dtype == np.float32
        assert frame.thermal.min() > 500
        assert frame.thermal.max() < 16383
        assert np.ptp(np.percentile(frame.thermal, [2, 98])) > 20
        assert frame.thermal_depth.min() > 0.2
        assert not np.isnan(frame.thermal_depth).any()


def test_shutter_repeats_the_last_frame_and_then_jumps():
    sim = Simulator(SimConfig('corridor', seed=3, **SMALL))
    start = sim.camera._first
    first = int(np.ceil(start * 10))
    frames = [sim.frame(k / 10, {'thermal'}) for k in range(first - 2, first + 14)]
    frozen = [f.shutter for f in frames]
    assert not any(frozen[:2])
    count = sum(frozen)
    assert 3 <= count <= 11
    assert all(frozen[2 : 2 + count])
    for f in frames[2 : 2 + count]:
        np.testing.assert_array_equal(f.thermal, frames[1].thermal)
    stamps = [f.stamp_ns for f in frames]
    assert (np.diff(stamps) == 100_000_000).all()
    # depth is the truth of its own stamp, not of the frozen picture
    assert (frames[3].thermal_depth != frames[1].thermal_depth).any()
    fresh = frames[2 + count]
    assert (fresh.thermal != frames[1].thermal).mean() > 0.3
    quiet = Simulator(SimConfig('corridor', seed=3, shutter=False, **SMALL))
    assert not any(quiet.frame(k / 10, {'thermal'}).shutter for k in range(first, first + 6))


def test_cameras_agree_through_their_extrinsics():
    sim = Simulator(SimConfig('street', seed=5, movers=False))
    pose = sim.world.trajectory.pose(4.0)
    thermal = sim.world.see(sim._thermal_rays, pose @ sim.rig.base_from_thermal, 4.0)
    rgb = sim.world.see(CameraRays(sim.rig.rgb), pose @ sim.rig.base_from_rgb, 4.0)
    rays = sim.rig.thermal.rays()
    near = (thermal.depth < 40) & (thermal.depth > 1)
    depth = thermal.depth[near].astype(np.float64)[:, None]
    points = np.concatenate([rays[near] * depth, depth], 1)
    matrix = sim.rig.rgb_from_thermal
    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    u, v = np.rint(sim.rig.rgb.project(moved)).astype(int).T
    inside = (u >= 0) & (u < 480) & (v >= 0) & (v < 360)
    assert inside.mean() > 0.5
    seen = rgb.depth[v[inside], u[inside]]
    error = np.abs(seen - moved[inside, 2]) / moved[inside, 2]
    # points hidden from the other camera and pixels on edges differ
    assert np.median(error) < 0.01
    assert (error < 0.05).mean() > 0.9
    shift = np.linalg.norm(matrix[:3, 3])
    assert 0.05 < shift < 0.5


def test_training_frames_are_varied_open_and_repeatable():
    sim = Simulator(SimConfig('woods', seed=2, time_of_day='night', **SMALL))
    a = [sim.training_frame(np.random.default_rng(k)) for k in range(4)]
    b = [sim.training_frame(np.random.default_rng(k)) for k in range(4)]
    for first, again in zip(a, b, strict=True):
        np.testing.assert_array_equal(first.thermal, again.thermal)
        assert not first.shutter
        assert first.rgb is None
        assert (first.thermal_depth < 0.5).mean() < 0.05
    headings = [np.arctan2(f.pose[1, 0], f.pose[0, 0]) for f in a]
    assert np.ptp(headings) > 0.1


def test_frames_come_at_the_rate():
    sim = Simulator(SimConfig('corridor', seed=0, rate=20.0, **SMALL))
    stamps = [f.stamp_ns for f in sim.frames(0.25, {'thermal'})]
    assert len(stamps) == 5
    assert (np.diff(stamps) == 50_000_000).all()


def test_camera_height_makes_scale_learnable():
    heights = [
        Simulator(SimConfig('corridor', seed=s, **SMALL)).rig.base_from_thermal[2, 3]
        for s in range(6)
    ]
    assert min(heights) >= 1.02
    assert max(heights) <= 1.38
    assert np.ptp(heights) > 0.02


@pytest.mark.parametrize(
    'wrong',
    [
        {'scene': 'moon'},
        {'seed': -1},
        {'rate': 0.0},
        {'bits': 12},
        {'weather': 'hail'},
        {'time_of_day': 'noon'},
        {'width': 4},
        {'lidar_rings': 0},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SimulationError):
        SimConfig(**wrong)


def test_wrong_requests_are_refused():
    sim = Simulator(SimConfig('corridor', **SMALL))
    with pytest.raises(SimulationError, match='radar'):
        sim.frame(0.0, {'radar'})
    with pytest.raises(SimulationError, match='t >= 0'):
        sim.frame(-1.0, {'thermal'})
