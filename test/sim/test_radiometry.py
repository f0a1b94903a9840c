# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.errors import SimulationError
from monother_ros.sim.radiometry import Planck, reflectance, sky_temperature
from monother_ros.sim.weather import TIMES, WEATHERS, make_weather


def test_planck_gives_the_counts_of_a_published_camera():
    # R 380747, B 1428, F 1, O -88.539: 0 °C and 30 °C are 1965 and 3369 counts
    camera = Planck(380747, 1428, 1, -88.539)
    counts = camera.counts(np.array([273.15, 303.15], np.float32))
    np.testing.assert_allclose(counts, [1965, 3369], atol=1.0)


def test_planck_round_trip_and_monotonic():
    camera = Planck(o=-150.0)
    kelvin = np.linspace(200, 420, 500, dtype=np.float32)
    counts = camera.counts(kelvin)
    assert (np.diff(counts) > 0).all()
    np.testing.assert_allclose(camera.temperature(counts), kelvin, atol=2e-3)


def test_slope_is_the_derivative():
    camera = Planck()
    step = camera.counts(np.array([299.5, 300.5], np.float32))
    assert camera.slope(300.0) == pytest.approx(float(step[1] - step[0]), rel=1e-3)


def test_reflectance_grows_only_on_glossy_surfaces_at_grazing_angles():
    cosine = np.array([1.0, 0.5, 0.05], np.float32)
    glossy = reflectance(cosine, np.float32(0.15), np.float32(1.0))
    rough = reflectance(cosine, np.float32(0.15), np.float32(0.0))
    assert glossy[0] == pytest.approx(0.15)
    assert glossy[2] > 0.7
    np.testing.assert_allclose(rough, 0.15, rtol=1e-6)


def test_sky_is_coldest_overhead():
    kelvin = sky_temperature(np.array([0.0, 0.3, 1.0], np.float32), 235.0, 284.0)
    assert kelvin[0] == pytest.approx(284.0)
    assert kelvin[2] == pytest.approx(235.0)
    assert (np.diff(kelvin) < 0).all()


@pytest.mark.parametrize('time_of_day', TIMES)
def test_fog_and_smoke_blind_the_eye_more_than_the_thermal_camera(time_of_day):
    distance = np.array([5.0, 30.0], np.float32)
    for seed in range(20):
        for conditions in ('fog', 'smoke'):
            weather = make_weather(time_of_day, conditions, np.random.default_rng(seed))
            seen = weather.transmission(distance, 'visible')
            warm = weather.transmission(distance, 'thermal')
            assert (seen < warm).all()
            assert seen[1] < 0.35
            assert warm[1] > 0.4
            assert warm[1] < warm[0] < 1
        rain = make_weather(time_of_day, 'rain', np.random.default_rng(seed))
        ratio = rain.extinction_thermal / rain.extinction_visible
        assert 0.6 < ratio < 1.2


def test_weather_is_drawn_within_reason():
    for seed in range(10):
        for time_of_day in TIMES:
            for conditions in WEATHERS:
                w = make_weather(time_of_day, conditions, np.random.default_rng(seed))
                assert 265 < w.air < 306
                assert w.sky_zenith < w.sky_horizon < w.air
                assert np.linalg.norm(w.sun) == pytest.approx(1.0)
                assert (w.sunlight > 0) == (time_of_day != 'night')
                assert float(w.transmission(np.array([np.inf], np.float32), 'thermal')[0]) == 0


def test_overcast_sky_is_warmer_than_a_clear_one():
    gaps = {}
    for conditions in ('clear', 'rain'):
        draws = [make_weather('night', conditions, np.random.default_rng(s)) for s in range(20)]
        gaps[conditions] = np.mean([w.air - w.sky_zenith for w in draws])
    assert gaps['rain'] < 0.6 * gaps['clear']


def test_unknown_weather_is_refused():
    with pytest.raises(SimulationError, match='hail'):
        make_weather('day', 'hail', np.random.default_rng(0))
    with pytest.raises(SimulationError, match='noon'):
        make_weather('noon', 'fog', np.random.default_rng(0))
