# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sets of materials: the same places in another climate, with other temperatures and other colours.

A set changes some of the materials of :mod:`monother_ros.sim.materials`, and the air: desert is
hot, dry and sandy, with ground that the sun heats far above the air and that cools below it at
night; winter is frosty, the ground white with snow that is colder than everything heated;
industrial has bare metal walls that mirror the sky in the long-wave infrared, sooty ground, and
process heat in ground, floors and pipes by day and night.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.materials import MATERIALS, Material
from monother_ros.sim.weather import Weather

Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Climate:
    """
    How a set differs from the usual one.

    :param changes: by the name of a material, fields of it that differ.
    :param air: added to the air temperature outdoors by day, at dusk and at night, K.
    :param dry: added to how far the clear sky is colder than the air, K.
    """

    changes: Changes
    air: tuple[float, float, float] = (0.0, 0.0, 0.0)
    dry: float = 0.0


def _ground(
    offsets: tuple[float, float, float],
    gains: tuple[float, float],
    color: tuple[float, float, float],
    **more: Any,
) -> dict[str, Any]:
    """Temperature offsets by day, dusk and night, gains of sun and sky, and colour."""
    return {
        'day': offsets[0], 'dusk': offsets[1], 'night': offsets[2],
        'sun': gains[0], 'sky': gains[1], 'color': color, **more,
    }  # fmt: skip


def _snow(color: tuple[float, float, float] = (0.88, 0.90, 0.94), **more: Any) -> dict[str, Any]:
    return _ground((-2.5, -4.5, -7.0), (1.5, 5.0), color, emissivity=0.985, gloss=0.05,
                   texture=0.7, pattern=0.05, **more)  # fmt: skip


def _heated(
    color: tuple[float, float, float], day: float, night: float, **more: Any
) -> dict[str, Any]:
    """Wall of a heated house in the cold."""
    return {'day': day, 'dusk': night, 'night': night, 'sun': 6.0, 'color': color, **more}


_SAND = (0.78, 0.63, 0.43)

_DESERT: Changes = {
    'asphalt': _ground((8, 7, -1), (26, 4), (0.40, 0.35, 0.29)),
    'paving': _ground((6, 6, -2), (24, 4), (0.66, 0.56, 0.42)),
    'paint_line': _ground((4, 5, -2), (12, 4), (0.80, 0.74, 0.62)),
    'kerb': _ground((4, 6, 1), (18, 3), (0.62, 0.54, 0.42)),
    'grass': _ground((7, 3, -6), (27, 6), (0.74, 0.60, 0.41), emissivity=0.91, texture=1.6),
    'soil': _ground((8, 3, -6), (28, 6), _SAND, emissivity=0.90, texture=1.5),
    'path': _ground((8, 4, -5), (28, 6), (0.70, 0.56, 0.38), emissivity=0.90, texture=1.3),
    'hill': _ground((5, 4, 0), (16, 3), (0.62, 0.49, 0.34), texture=2.0),
    'foliage': _ground((-6, -4, -2), (2, 0.5), (0.33, 0.34, 0.19)),
    'bark': _ground((-2, 1, 1), (8, 0.2), (0.42, 0.34, 0.25)),
    'rock': _ground((2, 9, 8), (18, 1), (0.60, 0.45, 0.32), emissivity=0.90),
    'brick': _ground((-4, 6, 8), (16, 0.8), (0.66, 0.47, 0.33)),
    'plaster': _ground((-4, 5, 7), (14, 0.8), (0.80, 0.68, 0.50), emissivity=0.90),
    'concrete': _ground((-2, 6, 6), (16, 1.5), (0.64, 0.56, 0.45)),
    'roof': _ground((6, 3, -5), (26, 7), (0.72, 0.60, 0.45)),
    'glass': {'own': 23.0, 'hold': 0.40},
    'wood': _ground((4, 0, -3), (20, 2), (0.58, 0.46, 0.33)),
    'car_paint': {'sun': 26.0, 'sky': 4.0, 'night': -3.0},
    'steel_paint': {'sun': 24.0, 'sky': 4.0, 'night': -3.0},
    'crop': _ground((-3, -3, -3), (5, 2), (0.50, 0.44, 0.20)),
    'straw': _ground((8, 2, -5), (26, 4), (0.82, 0.70, 0.42)),
    'wall_indoor': {'day': -1.5, 'dusk': -1.0, 'night': 0.5, 'color': (0.74, 0.62, 0.46)},
    'floor': {'day': 1.5, 'dusk': 1.0, 'night': -1.5, 'color': (0.58, 0.46, 0.33)},
    'ceiling': {'day': 4.0, 'dusk': 3.0, 'night': -0.5},
}

_WINTER: Changes = {
    'asphalt': _ground((1, 0.5, -0.5), (3, 2), (0.46, 0.47, 0.50), emissivity=0.97, texture=1.4),
    'paving': _snow((0.80, 0.82, 0.86)),
    'paint_line': _snow((0.78, 0.80, 0.84)),
    'kerb': _snow((0.74, 0.76, 0.80)),
    'grass': _snow(),
    'soil': _snow((0.84, 0.85, 0.88)),
    'path': _snow((0.76, 0.77, 0.80)),
    'roof': _snow((0.86, 0.88, 0.92)),
    'hill': _snow((0.70, 0.73, 0.78), scale=14.0),
    'crop': _snow((0.78, 0.80, 0.80)),
    'foliage': _ground((-0.5, -1.5, -2.5), (1.5, 2), (0.44, 0.49, 0.46)),
    'bark': _ground((0.5, 1.5, 2.0), (5, 0.2), (0.20, 0.17, 0.15)),
    'rock': _ground((-0.5, 0.5, 0.5), (5, 2), (0.62, 0.63, 0.66)),
    'wood': _ground((0, 0, -1), (7, 3), (0.40, 0.33, 0.27)),
    'straw': _snow((0.82, 0.82, 0.80)),
    'brick': _heated((0.42, 0.24, 0.19), 4.0, 5.5),
    'plaster': _heated((0.70, 0.67, 0.60), 4.5, 6.0),
    'concrete': _heated((0.50, 0.50, 0.50), 3.0, 4.5),
    'glass': {'own': 20.0, 'hold': 0.35},
    'window_frame': {'day': 5.0, 'dusk': 6.0, 'night': 7.0},
    'door': {'own': 19.0, 'hold': 0.30},
    'car_paint': {'day': -1.0, 'dusk': -3.0, 'night': -5.0, 'sun': 7.0, 'sky': 5.0},
    'cloth': {'hold': 0.30}, 'trousers': {'hold': 0.25}, 'hair': {'hold': 0.35},
    'wall_indoor': {'day': -1.8, 'dusk': -2.0, 'night': -2.4, 'texture': 0.6},
    'floor': {'day': 1.5, 'dusk': 1.8, 'night': 2.0, 'own': 27.0, 'hold': 0.2},
    'ceiling': {'day': -0.8, 'dusk': -1.0, 'night': -1.4},
}  # fmt: skip

_METAL: dict[str, Any] = {
    'emissivity': 0.42, 'gloss': 0.6, 'color': (0.52, 0.54, 0.57), 'specular': 0.25,
}  # fmt: skip

_INDUSTRIAL: Changes = {
    'asphalt': _ground((7, 9, 9), (12, 1), (0.10, 0.10, 0.10), texture=2.0),
    'paving': _ground((7, 9, 9), (10, 1), (0.22, 0.20, 0.19), texture=2.0),
    'concrete': _ground((6, 8, 8), (9, 1), (0.30, 0.28, 0.26), texture=1.8),
    'path': _ground((5, 7, 6), (9, 1), (0.24, 0.20, 0.17), texture=2.2),
    'soil': _ground((4, 6, 5), (9, 1), (0.20, 0.16, 0.13), texture=2.2),
    'grass': _ground((2, 2, 1), (6, 2), (0.28, 0.27, 0.14), texture=1.5),
    'plaster': _METAL,
    'brick': {**_METAL, 'color': (0.45, 0.40, 0.36)},
    'steel_paint': {**_METAL, 'color': (0.58, 0.56, 0.52)},
    'door': {'emissivity': 0.5, 'hold': 0.05, 'color': (0.55, 0.30, 0.12)},
    'roof': {'emissivity': 0.5, 'color': (0.36, 0.30, 0.27)},
    'wood': {'emissivity': 0.6, 'color': (0.45, 0.27, 0.17)},
    'glass': {'own': 30.0, 'hold': 0.30, 'color': (0.16, 0.15, 0.12)},
    'machine': {'own': 60.0, 'hold': 0.45, 'color': (0.62, 0.46, 0.12)},
    'pipe_hot': {'own': 85.0, 'hold': 0.45},
    'pipe_cold': {'own': 4.0, 'hold': 0.60},
    'wall_indoor': {
        'emissivity': 0.60, 'day': -3.0, 'dusk': -3.0, 'night': -3.0, 'texture': 0.8,
        'color': (0.38, 0.44, 0.42),
    },
    'floor': {
        'day': 6.0, 'dusk': 6.0, 'night': 6.0, 'texture': 1.6, 'color': (0.42, 0.22, 0.16),
    },
    'ceiling': {'day': 5.0, 'dusk': 5.0, 'night': 4.0, 'color': (0.40, 0.40, 0.42)},
    'skirting': {'day': 2.0, 'dusk': 2.0, 'night': 2.0, 'color': (0.70, 0.60, 0.10)},
}  # fmt: skip

CLIMATES: dict[str, Climate] = {
    'temperate': Climate({}),
    'desert': Climate(_DESERT, (12.0, 9.0, 3.0), 8.0),
    'winter': Climate(_WINTER, (-18.0, -17.0, -16.0), 0.0),
    'industrial': Climate(_INDUSTRIAL, (2.0, 3.0, 4.0), 0.0),
}
"""Sets of materials by name; temperate changes nothing."""


@functools.lru_cache(maxsize=8)
def materials_of(name: str) -> tuple[Material, ...]:
    """
    Materials of a set, at the same indices as `MATERIALS`.

    :param name: key of `CLIMATES`.
    """
    changes = CLIMATES[name].changes
    return tuple(replace(m, **changes.get(m.name, {})) for m in MATERIALS)


@functools.lru_cache(maxsize=128)
def _table(field: str, name: str) -> NDArray[np.float32]:
    values = np.array([getattr(material, field) for material in materials_of(name)], np.float32)
    full = np.zeros((256, *values.shape[1:]), np.float32)
    full[: len(values)] = values
    full.setflags(write=False)
    return full


def table_of(field: str, name: str) -> NDArray[np.float32]:
    """
    One numeric field of all materials of a set, for look-up by material index.

    :param field: name of a field of `Material` that holds a number or a colour.
    :param name: key of `CLIMATES`.
    :returns: (256,) or (256, 3) float32, a copy; zero where no material has the index.
    """
    return _table(field, name).copy()


def weather_of(weather: Weather, name: str, *, indoor: bool) -> Weather:
    """
    Weather of the climate that a set belongs to.

    :param weather: drawn as usual.
    :param name: key of `CLIMATES`.
    :param indoor: the air of a building stays as it is.
    """
    climate = CLIMATES[name]
    if indoor or not (any(climate.air) or climate.dry):
        return weather
    warmer = dict(zip(('day', 'dusk', 'night'), climate.air, strict=True))[weather.time_of_day]
    drier = climate.dry * (1.0 - weather.clouds)
    return replace(
        weather,
        air=weather.air + warmer,
        sky_zenith=weather.sky_zenith + warmer - drier,
        sky_horizon=weather.sky_horizon + warmer,
    )
