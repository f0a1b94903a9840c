# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the simulated RGB camera sees by day, by night and through thick air."""

from __future__ import annotations

import functools

import numpy as np
import pytest

pytest.importorskip('embreex', reason='the simulator is not installed')

from monother_ros.sim import rgb_camera, textures
from monother_ros.sim.materials import SKY
from monother_ros.sim.raycast import CameraRays
from monother_ros.sim.simulator import SimConfig, Simulator


@functools.cache
def world(time='day', weather='clear', scene='street'):
    return Simulator(
        SimConfig(
            scene=scene, seed=7, time_of_day=time, weather=weather, rgb_width=160, rgb_height=120
        )
    )


def look(simulator, t=2.0):
    pose = simulator.world.trajectory.pose(t) @ simulator.rig.base_from_rgb
    return simulator.world.see(CameraRays(simulator.rig.rgb), pose, t)


def picture(simulator, seed=0):
    rng = np.random.default_rng(seed)
    return rgb_camera.render_rgb(look(simulator), simulator.world, None, 2.0, rng)


def contrast(image, mask):
    return image.mean(-1)[mask].std()


@pytest.mark.parametrize('scene', ['street', 'corridor'])
@pytest.mark.parametrize('weather', ['clear', 'fog', 'smoke', 'rain'])
@pytest.mark.parametrize('time', ['day', 'dusk', 'night'])
def test_every_condition_gives_a_picture(scene, weather, time):
    image = picture(world(time, weather, scene))
    assert (image.shape, image.dtype) == ((120, 160, 3), np.uint8)
    assert 3 < image.mean() < 235
    assert image.std() > 2
    np.testing.assert_array_equal(image, picture(world(time, weather, scene)))


def test_noise_follows_the_random_numbers():
    simulator = world()
    a, b = picture(simulator, 0).astype(int), picture(simulator, 1).astype(int)
    assert 0 < np.abs(a - b).mean() < 6


def test_nights_are_dark_and_noisy():
    day, night = world('day'), world('night')
    assert picture(night).mean() < 0.6 * picture(day).mean()

    def noise(simulator):
        a, b = (picture(simulator, seed).astype(float) for seed in (0, 1))
        return (a - b).std()

    assert noise(night) > 2 * noise(day)


@pytest.mark.parametrize('weather', ['fog', 'smoke'])
def test_thick_air_hides_what_is_far(weather):
    clear, thick = world('day', 'clear'), world('day', weather)
    distance = look(clear).distance
    far = (distance > 50) & (distance < 150)
    near = distance < 6
    assert far.sum() > 100
    assert contrast(picture(thick), far) < 0.4 * contrast(picture(clear), far)
    assert contrast(picture(thick), near) > 0.2 * contrast(picture(clear), near)


def test_extinction_follows_beer_and_lambert():
    simulator = world('day', 'fog')
    hits = look(simulator)
    air = rgb_camera.airlight(simulator.world, simulator.weather, hits.direction)
    black = np.zeros((*hits.depth.shape, 3), np.float32)
    rgb_camera._through_air(black, hits, simulator.world)
    solid = hits.distance < 60
    k = simulator.weather.extinction_visible
    expected = (1 - np.exp(-k * hits.distance[solid]))[:, None] * air
    np.testing.assert_allclose(black[solid], expected, rtol=1e-4)


def test_shade_is_darker_than_sun():
    simulator = world()
    hits = look(simulator)
    light = rgb_camera.irradiance(hits, simulator.world).mean(-1)
    facing = hits.normal @ np.asarray(simulator.weather.sun, np.float32) > 0.2
    lit, shaded = (hits.sunlit > 0.99) & facing, (hits.sunlit < 0.01) & (hits.material != SKY)
    assert lit.sum() > 50
    assert light[lit].mean() > 1.3 * light[shaded].mean()


def test_headlights_fall_off_with_the_square_of_the_distance():
    ahead = np.array([[[1.0, 0.0, -0.07]]], np.float32)
    near, far = (
        rgb_camera._headlights(ahead, np.full((1, 1), d, np.float32))[0, 0] for d in (5, 10)
    )
    assert near == pytest.approx(4 * far)
    assert near == pytest.approx(rgb_camera.HEADLIGHT / 25, rel=1e-3)


def test_colours_stay_physical_and_stick_to_the_surface():
    simulator = world()
    hits = look(simulator)
    color = textures.albedo(hits, simulator.world)
    solid = hits.material != SKY
    assert color.min() >= 0
    assert color.max() <= 0.95
    assert not color[~solid].any()
    # a pixel's base colour does not depend on where the camera stands
    again = look(simulator)
    np.testing.assert_array_equal(color, textures.albedo(again, simulator.world))
    assert color[solid].std() > 0.02


def test_sky_takes_any_number_of_rays():
    simulator = world('day', 'rain')
    rays = np.random.default_rng(0).normal(size=(70_001, 3)).astype(np.float32)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    all_at_once = rgb_camera.sky_radiance(simulator.world, rays)
    assert np.isfinite(all_at_once).all()
    assert all_at_once.min() >= 0
    np.testing.assert_allclose(
        all_at_once[:5], rgb_camera.sky_radiance(simulator.world, rays[:5]), rtol=1e-4
    )
