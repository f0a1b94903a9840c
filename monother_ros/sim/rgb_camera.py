# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
RGB camera of the simulated rig: surfaces, light, air, lens and sensor.

Radiance is relative to a white wall in the full sun of noon. Diffuse light on the surfaces is
computed for every second pixel in both directions and interpolated (shadow rays are the dearest
part); colours and texture are computed for all pixels.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.sim import textures
from monother_ros.sim.material_sets import table_of
from monother_ros.sim.materials import SKY

if TYPE_CHECKING:
    from monother_ros.sim.raycast import Hits
    from monother_ros.sim.weather import Weather
    from monother_ros.sim.world import World

Floats = NDArray[np.float32]

SUN_COLOR = {'day': (1.0, 0.95, 0.86), 'dusk': (1.0, 0.62, 0.34), 'night': (0.0, 0.0, 0.0)}
AMBIENT_COLOR = {'day': (0.88, 0.95, 1.08), 'dusk': (0.95, 0.9, 1.1), 'night': (0.8, 0.9, 1.2)}
ZENITH_COLOR = {'day': (0.24, 0.44, 0.85), 'dusk': (0.25, 0.32, 0.62), 'night': (0.3, 0.4, 0.8)}
HORIZON_COLOR = {'day': (0.72, 0.82, 0.95), 'dusk': (1.05, 0.66, 0.45), 'night': (0.9, 0.8, 0.7)}
AIR_COLOR = {
    'fog': (0.92, 0.95, 1.0),
    'smoke': (0.46, 0.42, 0.39),
    'rain': (0.88, 0.92, 1.0),
    'clear': (0.82, 0.9, 1.0),
}

STEP = 2
"""Light is computed for every STEP-th pixel in both directions."""

LAMP_REACH = 0.2
"""Irradiance of a lamp of intensity 1 at 3 m, relative to noon sun."""

LAMPS_AT_ONCE = 8
HEADLIGHT = 12.0
"""Irradiance of the rig's headlights on their axis times squared distance, noon sun · m²."""

TARGET_LEVEL = 0.32
"""What auto exposure brings the mean luminance to, of full scale before the tone curve."""

GAIN_RANGE = (0.35, 7.0)
"""Limits of auto exposure; the upper one is what leaves nights dark."""

READ_NOISE = 0.0011
SHOT_NOISE = 0.00025
"""Deviation of the sensor at gain 1: sqrt(READ_NOISE² + SHOT_NOISE · radiance)."""


@functools.lru_cache(maxsize=4)
def _vignette(height: int, width: int) -> Floats:
    """(H, W, 1) float32 falloff of a wide lens towards the corners, 1 in the middle."""
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    r2 = ((u - width / 2) ** 2 + (v - height / 2) ** 2) / (width**2 + height**2) * 4
    return np.ascontiguousarray((1.0 / (1.0 + 0.35 * r2) ** 2)[..., None], np.float32)


@functools.lru_cache(maxsize=1)
def _tone_curve() -> NDArray[np.uint8]:
    """(4096,) uint8: linear 0..4 of full scale to display value, highlights rolled off."""
    x = np.linspace(0, 4, 4096)
    rolled = (1.0 - np.exp(-1.35 * x)) / (1.0 - np.exp(-1.35 * 4))
    return np.asarray(np.round(255 * rolled ** (1 / 2.2)), np.uint8)


def _color(values: tuple[float, float, float]) -> Floats:
    return np.asarray(values, np.float32)


def _dot(vectors: Floats, other: Floats) -> Floats:
    """Dot product of (..., 3) with (3,), without BLAS, whose threads only spin on such sizes."""
    total = vectors[..., 0] * other[0]
    total += vectors[..., 1] * other[1]
    total += vectors[..., 2] * other[2]
    return np.asarray(total, np.float32)


def sky_radiance(world: World, direction: Floats) -> Floats:
    """
    Light that comes from the sky.

    :param direction: (..., 3) float32 unit vectors in the world; below the horizon counts as
        the horizon.
    :returns: (..., 3) float32 radiance.
    """
    weather = world.weather
    time = weather.time_of_day
    up = np.clip(direction[..., 2], 0.0, 1.0)
    level = weather.daylight * 1.9
    blend = np.sqrt(up)[..., None]
    sky = _color(HORIZON_COLOR[time]) * (1 - blend) + _color(ZENITH_COLOR[time]) * blend
    if weather.clouds > 0.05:
        # clouds lie on a plane: they get denser towards the horizon. The pattern is looked up in
        # an image, whose sides OpenCV limits, so the list of rays is folded
        rows = -(-up.size // 256)
        plane = np.zeros((rows * 256, 3), np.float32)
        plane[: up.size, :2] = direction[..., :2].reshape(-1, 2)
        plane[: up.size, :2] /= up.reshape(-1, 1) + np.float32(0.12)
        noise = world.pattern(plane.reshape(rows, 256, 3), 3.0).reshape(-1)[: up.size]
        noise = noise.reshape(up.shape)
        cover = np.clip(noise * 0.45 + (weather.clouds - 0.45) * 2.4, 0, 1)[..., None]
        sky += (np.float32(0.85) - sky) * cover * np.float32(0.9)
    if weather.sunlight > 0.02:
        towards = np.clip(_dot(direction, _color(weather.sun)), 0, 1)[..., None]
        off = towards - np.float32(1)
        glare = np.float32(0.5) * np.exp(off * np.float32(24))
        glare += np.float32(6.0) * np.exp(off * np.float32(1500))
        sky += glare * weather.sunlight * _color(SUN_COLOR[time])
    return np.asarray(sky * np.float32(level), np.float32)


def _headlights(direction: Floats, distance: Floats) -> Floats:
    """Irradiance of the rig's low beam on a surface facing it, same shape as ``distance``."""
    forward = direction.reshape(-1, 3).mean(0)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.array([0, 0, 1], np.float32))
    right /= max(float(np.linalg.norm(right)), 1e-6)
    aside = _dot(direction, right.astype(np.float32))
    rise = direction[..., 2] + np.float32(0.07)
    upper = np.where(rise > 0, np.float32(0.05), np.float32(0.2))
    spot = np.exp(-((aside / np.float32(0.38)) ** 2) - (rise / upper) ** 2)
    near = np.maximum(distance, np.float32(1.5))
    return np.asarray(spot * np.float32(HEADLIGHT) / (near * near), np.float32)


def _uses_headlights(world: World) -> bool:
    return not world.indoor and world.weather.time_of_day != 'day'


def _lamps(world: World, point: Floats, normal: Floats) -> Floats | float:
    """Light of the lamps nearest to the camera's view, (h, w, 3) float32, or 0."""
    if not len(world.lights) or (world.weather.time_of_day == 'day' and not world.indoor):
        return 0.0
    middle = point.reshape(-1, 3)[:: max(point.size // 600, 1)].mean(0)
    away = np.linalg.norm(world.lights[:, :3] - middle, axis=1)
    total = np.zeros(point.shape, np.float32)
    for lamp in world.lights[np.argsort(away, kind='stable')[:LAMPS_AT_ONCE]]:
        to_lamp = lamp[:3] - point
        square = np.einsum('ijk,ijk->ij', to_lamp, to_lamp) + np.float32(0.2)
        nearness = 1 / np.sqrt(square)
        cosine = np.einsum('ijk,ijk->ij', to_lamp, normal) * nearness
        # a part of the light arrives by way of other surfaces and so from all sides
        part = np.maximum(cosine, 0) * np.float32(0.85) + np.float32(0.15)
        # lamps are shaded towards above
        part *= np.clip(to_lamp[..., 2] * nearness * np.float32(1.6) + np.float32(0.1), 0.02, 1)
        part *= np.float32(9.0 * LAMP_REACH * lamp[3]) / square
        total += part[..., None] * lamp[4:7]
    return total


def irradiance(hits: Hits, world: World) -> Floats:
    """
    Light that falls on each pixel's surface.

    :param hits: of the camera; its ``sunlit`` is filled.
    :returns: (H, W, 3) float32; a white surface under it has this radiance.
    """
    weather = world.weather
    time = weather.time_of_day
    sunlit = world.sunlit(hits, STEP)[::STEP, ::STEP]
    point = hits.point[::STEP, ::STEP]
    normal = hits.normal[::STEP, ::STEP]
    if world.indoor:
        light = np.full(point.shape, weather.daylight * 0.55, np.float32)
    else:
        open_sky = np.float32(0.62) + np.float32(0.38) * normal[..., 2]
        light = open_sky[..., None] * (weather.daylight * _color(AMBIENT_COLOR[time]))
        if weather.sunlight > 0:
            facing = np.maximum(_dot(normal, _color(weather.sun)), 0) * sunlit
            light += facing[..., None] * (weather.sunlight * _color(SUN_COLOR[time]))
    light += _lamps(world, point, normal)
    if _uses_headlights(world):
        direction = hits.direction[::STEP, ::STEP]
        facing = np.maximum(-np.einsum('ijk,ijk->ij', normal, direction), 0)
        beam = _headlights(direction, hits.distance[::STEP, ::STEP]) * facing
        beam *= weather.transmission(hits.distance[::STEP, ::STEP], 'visible')
        light += beam[..., None] * _color((1.0, 0.96, 0.88))
    height, width = hits.depth.shape
    return np.asarray(cv2.resize(light, (width, height)), np.float32)


def _surfaces(hits: Hits, world: World) -> Floats:
    """Radiance that leaves each pixel's surface towards the camera, sky included."""
    weather = world.weather
    radiance = textures.albedo(hits, world)
    radiance *= irradiance(hits, world)
    specular = table_of('specular', world.materials)
    shiny = np.flatnonzero(specular[hits.material].reshape(-1) > 0.12)
    if len(shiny):
        direction = hits.direction.reshape(-1, 3)[shiny]
        normal = hits.normal.reshape(-1, 3)[shiny]
        cosine = np.einsum('ij,ij->i', direction, normal)
        mirrored = direction - 2 * cosine[:, None] * normal
        seen = sky_radiance(world, mirrored) if not world.indoor else weather.daylight * 0.4
        strength = specular[hits.material.reshape(-1)[shiny]]
        strength = strength * (0.12 + 0.88 * (1 - np.abs(cosine)) ** 4)
        # what is mirrored from below the horizon is ground, not sky
        strength = strength * np.where(mirrored[:, 2] > 0, 1.0, 0.35)
        flat = radiance.reshape(-1, 3)
        flat[shiny] += strength[:, None].astype(np.float32) * seen
    glow = table_of('glow', world.materials)[hits.material]
    if glow.any():
        on = 1.6 if world.indoor or weather.time_of_day != 'day' else 0.1
        radiance += (glow * np.float32(on))[..., None] * _color((1.0, 0.93, 0.8))
    sky = np.flatnonzero(hits.material.reshape(-1) == SKY)
    if len(sky):
        radiance.reshape(-1, 3)[sky] = sky_radiance(world, hits.direction.reshape(-1, 3)[sky])
    return radiance


def airlight(world: World, weather: Weather, direction: Floats) -> Floats:
    """
    Light that thick air scatters towards the camera.

    :param direction: (H, W, 3) float32 pixel rays in the world.
    :returns: (3,) or (H, W, 3) float32 radiance of an endless layer of air.
    """
    level = weather.daylight * (0.9 if world.indoor else 1.5) + 0.35 * weather.sunlight
    if world.indoor or weather.time_of_day != 'day':
        level += 0.008 * min(len(world.lights), 3)
    air = _color(AIR_COLOR[weather.conditions]) * np.float32(level)
    if _uses_headlights(world) and weather.conditions != 'clear':
        thin = direction[::8, ::8]
        # the beam is seen by the air in front of the rig, mostly within the first metres
        beam = _headlights(thin, np.full(thin.shape[:2], 8.0, np.float32))
        size = (direction.shape[1], direction.shape[0])
        beam = np.asarray(cv2.resize(beam, size), np.float32)
        thick = min(weather.extinction_visible * 25.0, 1.5)
        air = air + (beam * np.float32(thick))[..., None] * air / max(float(air.max()), 1e-6)
    return np.asarray(air, np.float32)


def _through_air(radiance: Floats, hits: Hits, world: World) -> None:
    """Apply Beer-Lambert extinction and airlight in place."""
    weather = world.weather
    distance = hits.distance
    if weather.conditions in ('fog', 'smoke'):
        # the layer ends some way above the ground
        top = np.float32(120.0) / (np.maximum(hits.direction[..., 2], 0) + np.float32(0.02))
        distance = np.minimum(distance, top)
    else:
        distance = np.where(np.isinf(distance), np.float32(0), distance)
    through = weather.transmission(distance, 'visible')[..., None]
    air = airlight(world, weather, hits.direction)
    radiance -= air
    radiance *= through
    radiance += air


def _rain_streaks(shape: tuple[int, int], brightness: float, rng: np.random.Generator) -> Floats:
    """(H, W) float32 light of falling drops."""
    height, width = shape
    layer = np.zeros(shape, np.uint8)
    count = int(rng.integers(110, 170))
    start = rng.uniform((-20, -40), (width + 20, height), (count, 2))
    length = rng.gamma(3.0, 0.022 * height, count)
    slant = rng.normal(0.08, 0.02)
    value = rng.integers(40, 200, count)
    for (x, y), run, level in zip(start, length, value, strict=True):
        end = (round(x + slant * run), round(y + run))
        cv2.line(layer, (round(x), round(y)), end, int(level), 1, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(layer, (3, 3), 0)
    return np.asarray(blurred * np.float32(brightness / 255), np.float32)


def _expose(radiance: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lens, sensor, auto exposure and tone curve; changes its argument."""
    height, width = radiance.shape[:2]
    radiance *= _vignette(height, width)
    luminance = _dot(radiance[::4, ::4], _color((0.25, 0.6, 0.15)))
    metered = float(np.minimum(luminance, 1.2 * np.percentile(luminance, 90)).mean())
    gain = float(np.clip(TARGET_LEVEL / max(metered, 1e-6), *GAIN_RANGE))
    noise = rng.standard_normal(radiance.shape, np.float32)
    noise *= np.sqrt(np.float32(READ_NOISE**2) + np.float32(SHOT_NOISE) * np.maximum(radiance, 0))
    radiance += noise
    radiance *= np.float32(gain * 4095 / 4)
    np.clip(radiance, 0, 4095, out=radiance)
    return _tone_curve()[radiance.astype(np.uint16)]


def render_rgb(
    hits: Hits, world: World, config: object, t: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """
    Take a picture.

    :param hits: what the camera's pixels see; ``hits.sunlit`` is filled where it is missing.
    :param world: place, weather and lamps.
    :param config: of the simulation; not used, taken so that all sensors are called alike.
    :param t: seconds; not used, the hits hold the moment.
    :param rng: source of noise and rain.
    :returns: (H, W, 3) uint8 red, green, blue, gamma coded.
    """
    del config, t
    radiance = _surfaces(hits, world)
    _through_air(radiance, hits, world)
    if world.weather.conditions == 'rain' and not world.indoor:
        brightness = 0.22 * (world.weather.daylight + world.weather.sunlight + 0.004)
        streaks = _rain_streaks(hits.depth.shape, brightness, rng)
        radiance += streaks[..., None]
    return _expose(radiance, rng)
