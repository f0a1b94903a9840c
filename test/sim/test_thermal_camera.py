# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.sim.mesh import MeshBuilder, box, grid
from monother_ros.sim.raycast import CameraRays
from monother_ros.sim.rig import OPTICAL, transform
from monother_ros.sim.thermal_camera import SurfaceTemperature, ThermalCamera
from monother_ros.sim.weather import make_weather
from monother_ros.sim.world import Parts, World

CAMERA = Intrinsics(160, 128, 130, 130, 79.5, 63.5)
LEVEL = transform(OPTICAL, (0.0, 0.0, 1.2))


def scene(build, time_of_day='night', conditions='clear', seed=3):
    mesh = MeshBuilder()
    build(mesh)
    parts = Parts(
        scene=mesh.build(),
        deltas=np.zeros(len(mesh.deltas), np.float32),
        colors=np.array(mesh.colors, np.float32),
        path=np.array([[0.0, 0, 0], [10, 0, 0]]),
        speed=1.0,
        movers=(),
        lights=np.zeros((0, 7), np.float32),
        indoor=False,
        sway=0.0,
    )
    weather = make_weather(time_of_day, conditions, np.random.default_rng(seed))
    world = World('test', parts, weather, np.random.default_rng(0))
    return world, world.see(CameraRays(CAMERA), LEVEL, 0.0)


def two_people(mesh):
    """A warm board at 6 m and one at 60 m, of the same apparent size, before the open sky."""
    mesh.add(box((0.1, 1.2, 1.2), (6.0, 1.0, 0.6)), 'skin', mesh.object())
    mesh.add(box((0.1, 12, 12), (60.0, -10.0, -4.8)), 'skin', mesh.object())


def ground(mesh):
    x, y = np.meshgrid([-300.0, 300.0], [-300.0, 300.0], indexing='ij')
    mesh.add(grid(x, y, np.zeros_like(x)), 'asphalt', mesh.object())


def test_counts_say_the_temperature_of_a_near_person():
    world, hits = scene(two_people)
    camera = ThermalCamera(CAMERA, world, np.random.default_rng(0))
    image = camera.expose(hits, 0.0, np.random.default_rng(1))
    body = (hits.depth < 7) & np.isfinite(hits.depth)
    inner = np.zeros_like(body)
    inner[2:-2, 2:-2] = body[2:-2, 2:-2] & body[:-4, 2:-2] & body[4:, 2:-2]
    celsius = camera.planck.temperature(image[inner]) - 273.15
    assert 24 < np.median(celsius) < 36
    assert image.dtype == np.uint16


def test_sky_is_colder_than_everything_and_coldest_above():
    world, hits = scene(ground)
    camera = ThermalCamera(CAMERA, world, np.random.default_rng(0))
    image = camera.expose(hits, 0.0, np.random.default_rng(1)).astype(float)
    assert image[0].mean() < image[45].mean() < image[-1].mean()
    assert np.isinf(hits.depth[0]).all()


def contrast(conditions, depth):
    world, hits = scene(two_people, conditions=conditions)
    radiance = ThermalCamera(CAMERA, world, np.random.default_rng(0)).radiance(hits)
    air = float(
        ThermalCamera(CAMERA, world, np.random.default_rng(0)).planck.radiance(
            np.float32(world.weather.air)
        )
    )
    chosen = np.abs(hits.depth - depth) < 1
    return float(radiance[chosen].mean()) - air, world.weather


def test_fog_takes_contrast_with_range_as_its_extinction_says():
    near, weather = contrast('fog', 6.0)
    far, _ = contrast('fog', 60.0)
    expected = np.exp(-weather.extinction_thermal * 54)
    assert far / near == pytest.approx(expected, rel=0.12)
    seen = np.exp(-weather.extinction_visible * 54)
    assert far / near > 5 * seen


def test_sun_warms_the_wall_that_faces_it():
    def walls(mesh):
        mesh.add(box((1, 40, 20), (20.0, 0, -5)), 'brick', mesh.object())

    warm = []
    for seed in range(12):
        world, hits = scene(walls, 'day', seed=seed)
        kelvin = SurfaceTemperature(world, np.random.default_rng(0))(hits)
        facing = -world.weather.sun[0] * world.weather.sunlight
        warm.append((facing, float(kelvin[64, 80]) - world.weather.air))
    away = [k for f, k in warm if f <= 0]
    facing = [k for f, k in warm if f > 0.3]
    assert away
    assert facing
    assert min(facing) > max(away)


def test_shutter_is_periodic_and_moves_the_offset():
    world, hits = scene(ground)
    camera = ThermalCamera(CAMERA, world, np.random.default_rng(5))
    times = np.arange(0, 120, 0.05)
    closed = np.array([camera.shutter_since(t) is not None for t in times])
    starts = times[1:][closed[1:] & ~closed[:-1]]
    assert len(starts) >= 2
    assert 15 < np.diff(starts).min() <= np.diff(starts).max() < 45
    length = closed.sum() * 0.05 / len(starts)
    assert 0.35 < length < 1.1
    first = starts[0]
    before, after, later = (
        camera.expose(hits, t, np.random.default_rng(1)).astype(float).mean()
        for t in (first - 0.2, first + 1.2, first + 1.4)
    )
    assert abs(after - before) > 5 * abs(later - after)


def test_noise_has_the_size_that_the_camera_names():
    world, hits = scene(ground)
    camera = ThermalCamera(CAMERA, world, np.random.default_rng(5))
    frames = np.stack(
        [camera.expose(hits, 0.0, np.random.default_rng(k)).astype(float) for k in range(24)]
    )
    measured = frames.std(0, ddof=1).mean() / camera.slope
    assert measured == pytest.approx(camera.noise, rel=0.15)
    column = frames.mean(0)[100:].mean(0)
    assert np.diff(column).std() > 0.01 * camera.slope


def test_sixteen_bits_have_four_times_the_gain():
    world, hits = scene(ground)
    low, high = (
        ThermalCamera(CAMERA, world, np.random.default_rng(5), bits=bits) for bits in (14, 16)
    )
    assert high.slope == pytest.approx(4 * low.slope)
    counts = high.expose(hits, 0.0, np.random.default_rng(0))
    assert counts.max() <= 65535
