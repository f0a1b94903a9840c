# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated LiDAR against the exact depth of the cameras, and in bad weather."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytest.importorskip('embreex', reason='the simulator is not installed')

from monother_ros.sim.lidar import scan
from monother_ros.sim.simulator import SimConfig, Simulator


@functools.cache
def world(weather='clear', scene='street'):
    return Simulator(SimConfig(scene=scene, seed=7, weather=weather))


def turn(simulator, seed=0, t=2.0):
    pose = simulator.world.trajectory.pose(t)
    rng = np.random.default_rng(seed)
    return scan(simulator.world, simulator.rig, pose, None, t, rng)


def test_points_lie_on_what_the_thermal_camera_sees():
    simulator = world()
    points = turn(simulator)
    assert points.dtype == np.float32
    rig = simulator.rig
    to_camera = np.linalg.inv(rig.base_from_thermal) @ rig.base_from_lidar
    seen = points[:, :3] @ to_camera[:3, :3].T + to_camera[:3, 3]
    seen = seen[(seen[:, 2] > 1) & (np.abs(seen[:, 0]) < 0.5 * seen[:, 2])]
    columns, rows = np.round(rig.thermal.project(seen)).astype(int).T
    inside = (columns >= 0) & (columns < 320) & (rows >= 0) & (rows < 256)
    truth = simulator.frame(2.0, {'thermal'}).thermal_depth
    depth = truth[rows[inside], columns[inside]]
    error = np.abs(depth - seen[inside, 2]) / seen[inside, 2]
    assert inside.sum() > 500
    # the rest are edges: the two sensors do not stand at the same place
    assert np.median(error) < 0.01
    assert (error < 0.05).mean() > 0.85


def test_rings_ranges_and_intensities_are_those_of_the_sensor():
    simulator = world()
    lidar = simulator.rig.lidar
    points = turn(simulator)
    distance = np.linalg.norm(points[:, :3], axis=1)
    elevation = np.arcsin(points[:, 2] / distance)
    nearest = np.abs(elevation[:, None] - np.asarray(lidar.elevations)).min(1)
    assert nearest.max() < 1e-3
    assert distance.min() > lidar.range_min - 0.2
    assert distance.max() < lidar.range_max + 0.5
    assert points[:, 3].min() >= 0
    assert points[:, 3].max() <= 255
    assert 0.3 < len(points) / (len(lidar.elevations) * lidar.columns) <= 0.995


def test_range_noise_is_that_of_the_data_sheet():
    simulator = world(scene='corridor')
    quiet = turn(simulator, 1)
    rays = simulator.rig.lidar.directions()
    pose = simulator.world.trajectory.pose(2.0) @ simulator.rig.base_from_lidar
    turned = rays @ pose[:3, :3].T.astype(np.float32)
    exact = simulator.world.cast(pose[:3, 3], turned, 2.0).distance
    distance = np.linalg.norm(quiet[:, :3], axis=1)
    index = (quiet[:, :3] / distance[:, None] @ rays.T).argmax(1)
    error = distance - exact[index]
    close = distance < 10
    assert close.sum() > 300
    assert abs(error[close].mean()) < 0.005
    assert 0.7 < error[close].std() / simulator.rig.lidar.noise < 1.6


def test_the_same_random_numbers_give_the_same_turn():
    simulator = world('fog')
    np.testing.assert_array_equal(turn(simulator, 3), turn(simulator, 3))
    assert len(turn(simulator, 4)) != len(turn(simulator, 3))


def test_fog_takes_far_points_and_adds_near_ones():
    clear, fog = (np.linalg.norm(turn(world(w))[:, :3], axis=1) for w in ('clear', 'fog'))
    assert (fog > 40).sum() < 0.5 * (clear > 40).sum()
    closest = np.percentile(clear, 0.2)
    assert (fog < closest).sum() > 10 * max((clear < closest).sum(), 1)


def test_rain_leaves_a_few_drops():
    clear, rain = (turn(world(w)) for w in ('clear', 'rain'))
    assert 0.8 < len(rain) / len(clear) < 1.2
    assert len(rain) != len(clear)
