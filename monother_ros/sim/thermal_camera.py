# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thermal camera: surface temperatures, radiance through the air, optics, detector, shutter."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.sim.material_sets import table_of
from monother_ros.sim.materials import lookup
from monother_ros.sim.radiometry import Planck, reflectance, sky_temperature
from monother_ros.sim.raycast import Hits
from monother_ros.sim.response import WORN_PATTERN, respond
from monother_ros.sim.world import World

KELVIN = 273.15


class SurfaceTemperature:
    """
    Temperatures of all surfaces of a world, from materials, weather and time of day.

    :param world: the place.
    :param rng: source of how this world's materials differ from the nominal ones.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        weather = world.weather
        self._world = world

        def table(field: str) -> NDArray[np.float32]:
            return table_of(field, world.materials)

        count = len(table('day'))
        offset = table(weather.time_of_day) + rng.normal(0, 0.8, count).astype(np.float32)
        base = weather.air + weather.contrast * offset
        if not world.indoor:
            base += weather.contrast * weather.sunlight * 0.25 * table('sun')
        hold = np.clip(table('hold') * rng.uniform(0.75, 1.2, count), 0, 0.95)
        own = table('own') + KELVIN + rng.normal(0, 1.0, count) * (table('hold') < 0.8)
        free = (1 - hold).astype(np.float32)
        deficit = (weather.sky_horizon - weather.sky_zenith) / 40.0
        cooling = 0.0 if world.indoor else deficit * (1.0 - 0.7 * weather.sunlight)
        self._base = (free * base + hold * own).astype(np.float32)
        self._sun = (
            free * table('sun') * weather.sunlight * rng.uniform(0.8, 1.25, count)
        ).astype(np.float32)
        self._cooling = (free * table('sky') * cooling).astype(np.float32)
        self._texture = (table('texture') * weather.contrast * rng.uniform(0.7, 1.3)).astype(
            np.float32
        )
        self._scale = np.maximum(table('scale'), 0.1)
        self._spread = table('spread') * np.float32(0.5 + 0.5 * weather.contrast)
        draws = rng.random(len(world.deltas)).astype(np.float32)
        self._shift = draws * np.float32(400)

    def __call__(self, hits: Hits) -> NDArray[np.float32]:
        """
        Surface temperature of each pixel.

        :param hits: of one camera.
        :returns: (H, W) float32, K; meaningless for sky.
        """
        world = self._world
        material, instance = hits.material, hits.instance
        pattern = world.pattern(
            hits.point, lookup(self._scale, material), np.take(self._shift, instance)
        )
        result = lookup(self._base, material) + lookup(self._texture, material) * pattern
        result += lookup(self._spread, material) * np.take(world.deltas, instance)
        if world.indoor:
            # warm air rises
            return np.asarray(result + np.float32(0.35) * (hits.point[..., 2] - np.float32(1.2)))
        up = hits.normal[..., 2]
        result -= lookup(self._cooling, material) * np.maximum(up, 0)
        if world.weather.sunlight > 0:
            facing = np.maximum(
                np.einsum('ijk,k->ij', hits.normal, np.asarray(world.weather.sun, np.float32)), 0
            )
            lit = cv2.GaussianBlur(world.sunlit(hits), (0, 0), 1.2)
            result += lookup(self._sun, material) * facing * lit
        return result


class ThermalCamera:
    """
    The thermal camera of one drive.

    :param intrinsics: the camera.
    :param world: the place; its weather holds.
    :param rng: source of this camera's own constants.
    :param bits: 14 or 16: counts saturate there (16 bits come with four times the gain).
    :param response: what it makes of the signal, see :mod:`monother_ros.sim.response`.
    """

    def __init__(
        self,
        intrinsics: Intrinsics,
        world: World,
        rng: np.random.Generator,
        *,
        bits: int = 14,
        response: str = 'linear',
    ) -> None:
        self.intrinsics = intrinsics
        self._world = world
        gain = 4.0 if bits == 16 else 1.0
        self.planck = Planck(
            r=gain * float(rng.uniform(340000, 400000)), o=gain * float(rng.uniform(-240, 300))
        )
        self.limit = 2**bits - 1
        self.surface = SurfaceTemperature(world, rng)
        self.slope = self.planck.slope(world.weather.air)
        self.noise = float(rng.uniform(0.03, 0.09))
        """Noise equivalent temperature difference, K."""
        height, width = intrinsics.height, intrinsics.width
        scale = width / 320
        self._blur = float(rng.uniform(0.45, 0.8)) * max(scale, 0.5)
        self._pixel = rng.standard_normal((height, width), np.float32)
        self._column = rng.standard_normal((1, width), np.float32)
        self._row = rng.standard_normal((height, 1), np.float32)
        self._fixed = rng.uniform(0.5, 1.0, 3) * [0.05, 0.05, 0.03]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        radius = (x - intrinsics.cx) ** 2 + (y - intrinsics.cy) ** 2
        radius /= np.float32((width**2 + height**2) / 4)
        # what is left of the correction of the lens's own radiance and of its fall-off
        self._vignette = np.float32(rng.normal(0, 0.5)) * radius
        self._transfer = 1 - np.float32(rng.uniform(0.0, 0.04)) * radius
        self._first = float(rng.uniform(4, 14))
        self._period = float(rng.uniform(20, 40))
        self._closed = float(rng.uniform(0.4, 1.0))
        self._drift_rate = rng.normal(0, 0.012, 2)
        self._wave = rng.uniform([0.05, 0.02, 0.0], [0.2, 0.06, 6.28])
        self._seed = int(rng.integers(2**31))
        self._coverage = float(rng.uniform(0, 512))
        self._response = response
        if response == 'worn':
            self._fixed = self._fixed * WORN_PATTERN
            self.noise *= WORN_PATTERN / 2
        self._reflect = np.clip(1 - table_of('emissivity', world.materials), 0, 1)
        self._gloss = table_of('gloss', world.materials)

    def shutter_since(self, t: float) -> float | None:
        """
        When the shutter that is closed at this time closed.

        :param t: seconds since the start.
        :returns: seconds since the start, or None if it is open.
        """
        if t < self._first:
            return None
        start = self._first + (t - self._first) // self._period * self._period
        return start if t < start + self._closed else None

    def _sensor_state(self, t: float) -> tuple[float, float]:
        """Offset in K and growth of the fixed pattern since the last shutter event."""
        event = int((t - self._first) // self._period) if t >= self._first else -1
        since = t - (self._first + event * self._period)
        jump, slope = np.random.default_rng([self._seed, event + 1]).normal(0, [0.5, 0.02])
        amplitude, frequency, phase = self._wave
        wave = amplitude * np.sin(2 * np.pi * frequency * t + phase)
        return float(jump + slope * since + wave), 1.0 + 0.03 * since

    def _sky(self, direction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apparent sky temperature in a direction (H, W, 3), K."""
        weather = self._world.weather
        up = np.maximum(direction[..., 2], np.float32(0.0))
        clear = sky_temperature(up, weather.sky_zenith, weather.sky_horizon)
        if weather.clouds <= 0.05:
            return clear
        reach = np.float32(3.0) / (up + np.float32(0.12))
        high = direction * reach[..., None]
        cover = self._world.pattern(high, 10.0, self._coverage)
        amount = np.clip((cover + np.float32(3.0 * weather.clouds - 1.8)) * 0.8, 0, 1)
        cloud = np.float32(weather.air - 7.0)
        return np.asarray(clear + amount * np.maximum(cloud - clear, 0), np.float32)

    def radiance(self, hits: Hits) -> NDArray[np.float32]:
        """
        Radiance that arrives at the lens, in counts without offset.

        :param hits: of this camera.
        :returns: (H, W) float32.
        """
        world, planck, weather = self._world, self.planck, self._world.weather
        emitted = planck.radiance(self.surface(hits))
        normal, direction = hits.normal, hits.direction
        cosine = np.clip(-np.einsum('ijk,ijk->ij', normal, direction), 0, 1)
        share = reflectance(
            cosine, lookup(self._reflect, hits.material), lookup(self._gloss, hits.material)
        )
        air = planck.radiance(np.float32(weather.air))
        if world.indoor:
            reflected = air
            beyond = air
        else:
            mirrored = direction[..., 2] + 2 * cosine * normal[..., 2]
            # what a mirrored ray meets: open sky upwards, surroundings near air temperature else
            part = np.clip(mirrored * 3.0 + 0.1, 0, 1)
            high = planck.radiance(
                sky_temperature(mirrored, weather.sky_zenith, weather.sky_horizon)
            )
            reflected = air + part * (high - air)
            beyond = planck.radiance(self._sky(direction))
        emitted += share * (reflected - emitted)
        through = weather.transmission(hits.distance, 'thermal')
        emitted = air + through * (emitted - air)
        # the sky's own temperature holds the clear air already; fog and smoke lie before it
        sky = hits.sky
        if world.indoor:
            return np.where(sky, air, emitted)
        thick = np.float32(np.exp(-weather.extinction_thermal * 40.0))
        slant = np.clip(direction[..., 2], 0.02, 1.0)
        veil = thick ** (1.0 / slant)
        return np.where(sky, air + veil * (beyond - air), emitted)

    def expose(self, hits: Hits, t: float, rng: np.random.Generator) -> NDArray[np.uint16]:
        """
        Image of the detector.

        :param hits: of this camera.
        :param t: seconds since the start; drift and fixed pattern depend on it.
        :param rng: source of the frame's noise.
        :returns: (H, W) uint16 counts.
        """
        signal = cv2.GaussianBlur(self.radiance(hits), (0, 0), self._blur)
        offset, growth = self._sensor_state(t)
        air = self.planck.radiance(np.float32(self._world.weather.air))
        signal = air + self._transfer * (signal - air)
        pixel, column, row = (self._fixed * growth * self.slope).astype(np.float32)
        signal += np.float32(offset * self.slope + self.planck.o)
        signal += np.float32(self.slope) * self._vignette
        signal += pixel * self._pixel
        signal += column * self._column + row * self._row
        noise = rng.standard_normal(signal.shape, np.float32)
        signal += np.float32(self.noise * self.slope) * noise
        signal = respond(signal, self._response, self.limit)
        np.clip(np.rint(signal, out=signal), 0, self.limit, out=signal)
        return np.asarray(signal, np.uint16)
