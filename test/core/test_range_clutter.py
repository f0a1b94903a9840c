# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Echoes of the air among points: what goes, and what must stay."""

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.range_clutter import ClutterFilter, line_pitch
from monother_ros.core.range_points import project, sparse_depth

CAMERA = Intrinsics(320, 256, 260.0, 260.0, 159.5, 127.5)
SIZE = (320, 256)
UP = 1.4
"""Metres of the sensor above the ground."""


def lidar(lines=16, step=0.5):
    """Rays of a spinning LiDAR in the optical frame, (lines, columns, 3)."""
    azimuth = np.radians(np.arange(-31, 31, step))
    elevation = np.radians(np.linspace(-16, 14, lines))[:, None]
    return np.stack(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.broadcast_to(-np.sin(elevation), (lines, len(azimuth))),
            np.cos(elevation) * np.cos(azimuth),
        ],
        -1,
    )


def place(rays, wall=25.0):
    """Distance along each ray to the ground or a wall."""
    with np.errstate(divide='ignore'):
        ground = np.where(rays[..., 1] > 0, UP / rays[..., 1], np.inf)
    return np.minimum(ground, wall / rays[..., 2])


def echoes(rays, rng, part=0.2, mean=3.5):
    """Distance of echoes along each ray, infinite where there is none."""
    distance = 0.4 + rng.exponential(mean, rays.shape[:-1])
    return np.where(rng.random(rays.shape[:-1]) < part, distance, np.inf)


def seen(rays, distance, chosen=None):
    """Pixels and distances of the points in view."""
    with np.errstate(invalid='ignore'):
        points = rays * distance[..., None]
    points = points[slice(None) if chosen is None else chosen]
    return project(points.reshape(-1, 3), None, CAMERA)


def both(rays, distance, marked, look=None):
    """Part of the marked points, and of the others, that stay, each in view."""
    look = look or ClutterFilter()
    flat, z = look(*seen(rays, distance), SIZE)
    left = set(zip(flat.tolist(), z.tolist(), strict=True))
    found = []
    for chosen in (marked, ~marked):
        places = list(zip(*(part.tolist() for part in seen(rays, distance, chosen)), strict=True))
        assert places
        found.append(float(np.mean([at in left for at in places])))
    return found


@pytest.mark.parametrize(('lines', 'step'), [(16, 0.5), (16, 0.2), (32, 0.4), (64, 0.35)])
def test_echoes_go_and_surfaces_stay(lines, step):
    rays, rng = lidar(lines, step), np.random.default_rng(0)
    truth = place(rays)
    air = echoes(rays, rng)
    echo = air < truth - 0.3
    left, stayed = both(rays, np.where(echo, air, truth), echo)
    assert left < 0.1 and stayed > 0.97


def test_clear_air_loses_nothing():
    rays = lidar()
    look = ClutterFilter()
    flat, z = seen(rays, place(rays) + np.random.default_rng(1).normal(0, 0.02, rays.shape[:-1]))
    kept, distances = look(flat, z, SIZE)
    assert look.points == len(z) > 1500 and look.removed <= 0.001 * len(z)
    assert len(kept) == len(distances) == look.points - look.removed


@pytest.mark.parametrize('foggy', [False, True])
def test_a_thin_pole_stays(foggy):
    rays, rng = lidar(), np.random.default_rng(2)
    truth = place(rays)
    # one column wide; its foot at the ground, its top at the eighth line above
    pole = np.zeros(truth.shape, bool)
    column = truth.shape[1] // 2
    near = 6.0 / rays[..., 2]
    pole[:, column] = (near[:, column] < truth[:, column]) & (np.arange(16) < 12)
    assert 6 <= pole.sum() <= 12
    distance = np.where(pole, near, truth)
    if foggy:
        air = echoes(rays, rng, 0.15)
        distance = np.where((air < distance) & ~pole, air, distance)
    stayed, _ = both(rays, distance, pole)
    assert stayed == 1.0 if not foggy else stayed >= 0.75


@pytest.mark.parametrize('lines', [16, 64])
def test_a_near_surface_and_its_edges_stay(lines):
    rays, rng = lidar(lines), np.random.default_rng(3)
    truth = place(rays)
    near = 2.5 / rays[..., 2]
    x, y = rays[..., 0] * near, rays[..., 1] * near
    box = (np.abs(x - 0.3) < 0.25) & (y > -0.2) & (y < 0.4)
    distance = np.where(box, near, truth)
    stayed, others = both(rays, distance, box)
    assert box.sum() > 30 and stayed == 1.0 and others > 0.995
    air = echoes(rays, rng)
    echo = (air < distance - 0.3) & ~box
    stayed, _ = both(rays, np.where(echo, air, distance), box)
    assert stayed == 1.0


def test_far_surfaces_with_few_points_stay():
    rays, rng = lidar(), np.random.default_rng(4)
    truth = place(rays, wall=60.0)
    air = echoes(rays, rng)
    distance = np.where(air < truth - 0.3, air, truth)
    # of what is far, one ray in twenty comes back
    distance[(distance > 25) & (rng.random(distance.shape) < 0.95)] = np.inf
    far = np.isfinite(distance) & (distance > 25)
    stayed, _ = both(rays, distance, far)
    assert far.sum() > 20 and stayed == 1.0


def sparse_sensors():
    """Clouds of sensors of few points, each with some lone near ones."""
    rng = np.random.default_rng(5)
    alone = np.array([[0.4, 0.3, 3.0], [-1.0, -0.5, 4.0]])
    yield 'nothing', np.empty((0, 3))
    yield 'a beam', np.array([[0.0, 0.0, 4.0]])
    for count in (2, 50, 300, 500, 1000):
        pixels = rng.uniform([-0.6, -0.45], [0.6, 0.45], (count, 2))
        z = np.where(rng.random(count) < 0.1, rng.uniform(1, 15, count), 6 + 3 * pixels[:, 0])
        yield f'{count} single points', np.concatenate([pixels * z[:, None], z[:, None]], 1)
    for lines, step in ((1, 0.25), (2, 0.1), (4, 0.2)):
        rays = lidar(16, step)[5 : 5 + lines]
        cloud = (rays * place(rays)[..., None]).reshape(-1, 3)
        yield f'{lines} lines', np.concatenate([cloud, alone])
    # a laser scanner that is tilted against the camera
    turn = np.radians(12)
    scan = lidar(16, 0.25)[7] @ np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    yield 'a tilted scan', np.concatenate([scan * 8.0, alone])


@pytest.mark.parametrize(('name', 'cloud'), list(sparse_sensors()))
def test_points_of_sparse_sensors_stay(name, cloud):
    look = ClutterFilter()
    flat, z = project(cloud, None, CAMERA)
    kept, distances = look(flat, z, SIZE)
    assert look.removed == 0 and kept is flat and distances is z, name


def test_echoes_no_longer_hide_what_is_behind_them():
    rays, rng = lidar(), np.random.default_rng(6)
    truth = place(rays)
    air = echoes(rays, rng)
    echo = air < truth - 0.3
    points = (rays * np.where(echo, air, truth)[..., None]).reshape(-1, 3)
    pose = np.eye(4)
    pose[1, 3] = -0.3
    real = sparse_depth((rays * truth[..., None])[~echo], pose, CAMERA) > 0
    plain = sparse_depth(points, pose, CAMERA)
    clean = sparse_depth(points, pose, CAMERA, clutter=ClutterFilter())
    surface = sparse_depth((rays * truth[..., None])[~echo], pose, CAMERA)
    kept = [np.count_nonzero(image[real] == surface[real]) for image in (plain, clean)]
    assert kept[0] < 0.9 * real.sum() and kept[1] > 0.97 * real.sum()
    assert np.count_nonzero(clean[~real]) < 0.15 * np.count_nonzero(plain[~real])


def test_line_pitch_is_that_of_the_sensor():
    for lines, expected in ((16, 9), (32, 4), (64, 2)):
        rays = lidar(lines)
        flat, _ = seen(rays, place(rays))
        row, column = np.divmod(flat, 320)
        assert abs(line_pitch(row, column // 6, 256) - expected) <= 1
    assert line_pitch(np.array([]), np.array([]), 256) == 0


def test_memory_is_reused_and_counts_do_not_overflow():
    look = ClutterFilter()
    rng = np.random.default_rng(7)
    everywhere = np.tile(np.arange(320 * 256), 4)
    distances = np.full(len(everywhere), 3.0, np.float32)
    lone = rng.choice(320 * 256, 20, replace=False)
    distances[lone] = rng.uniform(0.4, 1.8, 20)
    flat, _ = look(everywhere, distances, SIZE)
    memory = dict(look._memory)
    assert len(flat) == len(everywhere) - look.removed and 10 < look.removed <= 20
    # a smaller cloud and image after it are judged as by a fresh filter
    rays = lidar()
    air = echoes(rays, rng)
    points = seen(rays, np.minimum(air, place(rays)))
    again, fresh = look(*points, SIZE), ClutterFilter()(*points, SIZE)
    np.testing.assert_array_equal(again[0], fresh[0])
    assert look.removed > 100
    assert all(look._memory[name] is plane for name, plane in memory.items())


@pytest.mark.parametrize('seed', range(8))
def test_any_points_give_some_of_them(seed):
    rng = np.random.default_rng(seed)
    width, height = int(rng.integers(1, 200)), int(rng.integers(1, 200))
    count = int(rng.integers(0, 6000))
    flat = rng.integers(0, width * height, count)
    z = np.exp(rng.uniform(-5, 8, count)).astype(np.float32)
    look = ClutterFilter()
    kept, distances = look(flat, z, (width, height))
    assert len(kept) == len(distances) == count - look.removed
    pairs = set(zip(flat.tolist(), z.tolist(), strict=True))
    assert set(zip(kept.tolist(), distances.tolist(), strict=True)) <= pairs
    assert (np.sort(distances[distances > 20]) == np.sort(z[z > 20])).all()


@pytest.mark.parametrize(('weather', 'lines'), [('clear', 16), ('fog', 16), ('smoke', 64)])
def test_in_simulated_weather(weather, lines):
    pytest.importorskip('embreex')
    from monother_ros.sim.simulator import SimConfig, Simulator

    simulator = Simulator(
        SimConfig(scene='street', seed=1_000_501, weather=weather, lidar_rings=lines)
    )
    rig = simulator.rig
    pose = np.linalg.inv(rig.base_from_thermal) @ rig.base_from_lidar
    counts = np.zeros((2, 2), int)
    for k in range(2):
        now = (0.3 + 0.3 * k) * simulator.duration
        frame = simulator.frame(now, {'lidar'})
        points = frame.points[:, :3]
        distance = np.linalg.norm(points, axis=1)
        sensor = frame.pose @ rig.base_from_lidar
        rays = ((points / distance[:, None]) @ sensor[:3, :3].T).astype(np.float32)
        behind = simulator.world.cast(sensor[:3, 3], rays, frame.time).distance - distance
        look = ClutterFilter()
        everything = project(points, pose, rig.thermal)
        left = set(look(*everything, (rig.thermal.width, rig.thermal.height))[1].tolist())
        for echo in (0, 1):
            chosen = ~(behind < 0.3) if echo else behind < 0.3
            _, z = project(points[chosen], pose, rig.thermal)
            counts[echo] += len(z), sum(value not in left for value in z.tolist())
    (true, lost), (echoes_seen, removed) = counts
    assert true > 1000 and lost < (0.01 if weather == 'clear' else 0.08) * true
    assert echoes_seen == 0 if weather == 'clear' else removed > 0.88 * echoes_seen > 200
