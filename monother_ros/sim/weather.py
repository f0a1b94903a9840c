# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of day and weather: air, sun, sky temperature, and extinction in both bands.

Extinction follows Beer and Lambert, exp(-k d). In visible light the meteorological range V gives
k = 3.912 / V (Koschmieder). Droplets of fog and above all the soot of smoke are small against
10 µm, so the long-wave coefficient is a fraction of the visible one; rain drops are large against
both, so there the two bands are alike, but rain also wets and evens out the surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SimulationError

TimeOfDay = Literal['day', 'dusk', 'night']
Conditions = Literal['clear', 'fog', 'smoke', 'rain']
TIMES: tuple[TimeOfDay, ...] = ('day', 'dusk', 'night')
WEATHERS: tuple[Conditions, ...] = ('clear', 'fog', 'smoke', 'rain')
KOSCHMIEDER = 3.912


@dataclass(frozen=True)
class Weather:
    """
    What the air, the sun and the sky are like during one recording.

    :param time_of_day: day, dusk or night.
    :param conditions: clear, fog, smoke or rain.
    :param air: air temperature, K.
    :param sun: (3,) unit vector from the ground to the sun, world frame (z up).
    :param sunlight: direct sun relative to a clear noon, in [0, 1].
    :param daylight: diffuse light of the sky relative to a clear noon, in [0, 1].
    :param clouds: cloud cover, in [0, 1].
    :param sky_zenith: apparent long-wave temperature of the sky overhead, K.
    :param sky_horizon: the same just above the horizon, K.
    :param extinction_thermal: extinction coefficient at 8 to 14 µm, 1/m.
    :param extinction_visible: extinction coefficient in visible light, 1/m.
    :param contrast: factor on temperature differences of surfaces (rain evens them out).
    """

    time_of_day: TimeOfDay
    conditions: Conditions
    air: float
    sun: tuple[float, float, float]
    sunlight: float
    daylight: float
    clouds: float
    sky_zenith: float
    sky_horizon: float
    extinction_thermal: float
    extinction_visible: float
    contrast: float

    def transmission(
        self, distance: NDArray[np.float32], band: Literal['thermal', 'visible']
    ) -> NDArray[np.float32]:
        """
        Part of the light that arrives through the air.

        :param distance: length of the way in metres, any shape; +inf gives 0.
        :param band: thermal or visible.
        :returns: same shape as distance, float32 in [0, 1].
        """
        k = self.extinction_thermal if band == 'thermal' else self.extinction_visible
        return np.asarray(np.exp(np.float32(-k) * distance), np.float32)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def make_weather(
    time_of_day: str, conditions: str, rng: np.random.Generator, *, indoor: bool = False
) -> Weather:
    """
    Draw a plausible recording day.

    :param time_of_day: day, dusk or night.
    :param conditions: clear, fog, smoke or rain.
    :param rng: source of the variation.
    :param indoor: a heated building: no sun, room temperature, denser smoke.
    :raises SimulationError: unknown time of day or conditions.
    """
    if time_of_day not in TIMES:
        msg = f'time of day {time_of_day!r} is not known; use one of {list(TIMES)}'
        raise SimulationError(msg)
    if conditions not in WEATHERS:
        msg = f'weather {conditions!r} is not known; use one of {list(WEATHERS)}'
        raise SimulationError(msg)
    air = (
        273.15
        + {
            'day': _uniform(rng, 6, 30),
            'dusk': _uniform(rng, 3, 24),
            'night': _uniform(rng, -4, 19),
        }[time_of_day]
    )
    clouds = _uniform(rng, 0.0, 0.85) ** 1.5
    azimuth = _uniform(rng, 0, 2 * np.pi)
    elevation = np.radians(
        {'day': _uniform(rng, 22, 58), 'dusk': _uniform(rng, 3, 9), 'night': -20.0}[time_of_day]
    )
    sunlight = {'day': 1.0 - 0.85 * clouds, 'dusk': 0.22 * (1 - clouds), 'night': 0.0}[time_of_day]
    daylight = {'day': 0.4 + 0.2 * clouds, 'dusk': 0.10, 'night': 0.004}[time_of_day]
    visibility, ratio = _uniform(rng, 6000, 20000), _uniform(rng, 0.4, 0.8)
    contrast = 1.0
    if conditions == 'fog':
        clouds, sunlight, contrast = 0.97, sunlight * 0.1, 0.7
        visibility, ratio = _uniform(rng, 22, 110), _uniform(rng, 0.08, 0.2)
    elif conditions == 'smoke':
        sunlight *= 0.5
        visibility, ratio = _uniform(rng, 12, 70), _uniform(rng, 0.03, 0.08)
    elif conditions == 'rain':
        clouds, sunlight, contrast = 0.95, sunlight * 0.06, 0.5
        visibility, ratio = _uniform(rng, 500, 2500), _uniform(rng, 0.7, 1.1)
    if indoor:
        air = 273.15 + _uniform(rng, 14, 24)
        sunlight, daylight, clouds = (
            0.0,
            {'day': 0.3, 'dusk': 0.2, 'night': 0.05}[time_of_day],
            0.0,
        )
        if conditions in ('fog', 'smoke'):
            visibility *= 0.35
            contrast = 1.0
        elif conditions == 'rain':
            visibility, contrast = 20000.0, 0.8
    visible = KOSCHMIEDER / visibility
    gap = _uniform(rng, 32, 55) * (1.0 - 0.8 * clouds)
    horizon = _uniform(rng, 3, 9) * (1.0 - 0.85 * clouds)
    flat = float(np.cos(elevation))
    sun = (
        float(np.cos(azimuth)) * flat,
        float(np.sin(azimuth)) * flat,
        float(np.sin(elevation)),
    )
    return Weather(
        time_of_day=time_of_day,
        conditions=conditions,
        air=air,
        sun=sun,
        sunlight=sunlight,
        daylight=daylight,
        clouds=clouds,
        sky_zenith=air - gap,
        sky_horizon=air - horizon,
        extinction_thermal=visible * ratio,
        extinction_visible=visible,
        contrast=contrast,
    )
