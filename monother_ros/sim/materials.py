# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Surface materials of the simulated world, in the long-wave infrared and in visible light.

Temperatures follow the air with an offset per time of day, warm up in the sun, cool towards a
clear sky, and may be pulled to a temperature of their own (people, engines, lamps, heated rooms).
The numbers are typical values from thermography tables and from the look of real recordings.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SKY = 255
"""Material index of rays that hit nothing."""


@dataclass(frozen=True)
class Material:
    """
    One surface material.

    :param name: key in `MATERIAL_INDEX`.
    :param emissivity: emissivity at normal incidence, 8 to 14 µm, in [0, 1].
    :param gloss: how strongly reflectance grows at grazing angles, in [0, 1].
    :param day: temperature minus air temperature by day in the shade, K.
    :param dusk: the same at dusk, K.
    :param night: the same at night, K.
    :param sun: warming where a full sun stands on the surface normal, K.
    :param sky: cooling of a surface that faces a clear night sky, K.
    :param texture: amplitude of the low-frequency temperature pattern, K.
    :param scale: length of that pattern, m.
    :param spread: standard deviation between two objects of the same material, K.
    :param own: temperature that the surface holds by itself, °C.
    :param hold: how firmly it holds `own` against its surroundings, in [0, 1].
    :param color: diffuse reflectance for red, green, blue, in [0, 1].
    :param pattern: relative amplitude of the visible texture.
    :param specular: mirror-like part in visible light, in [0, 1].
    :param lidar: reflectance at 905 nm, in [0, 1].
    :param glow: visible light that the surface sends out itself, relative to white in the sun.
    """

    name: str
    emissivity: float
    gloss: float
    day: float
    dusk: float
    night: float
    sun: float
    sky: float
    texture: float
    scale: float
    spread: float
    own: float
    hold: float
    color: tuple[float, float, float]
    pattern: float
    specular: float
    lidar: float
    glow: float = 0.0


def _m(
    name: str,
    optics: tuple[float, float],
    offsets: tuple[float, float, float],
    gains: tuple[float, float],
    variation: tuple[float, float, float],
    color: tuple[float, float, float],
    *,
    own: tuple[float, float] = (20.0, 0.0),
    visible: tuple[float, float, float] = (0.15, 0.05, 0.4),
    glow: float = 0.0,
) -> Material:
    """Material from grouped numbers, in the order of the fields of the class."""
    return Material(name, *optics, *offsets, *gains, *variation, *own, color, *visible, glow)


MATERIALS: tuple[Material, ...] = (
    # name, (emissivity, gloss), (day, dusk, night), (sun, sky), (texture, scale, spread), colour
    _m('asphalt', (0.95, 0.35), (3, 5, 3), (15, 1.5), (0.9, 3.0, 0.6), (0.16, 0.16, 0.17)),
    _m('paving', (0.93, 0.3), (2.5, 4, 2), (12, 1.5), (0.8, 1.6, 0.6), (0.42, 0.40, 0.38)),
    _m('paint_line', (0.91, 0.3), (2, 4, 2.2), (9, 1.5), (0.7, 1.0, 0.3), (0.80, 0.80, 0.78)),
    _m('kerb', (0.93, 0.25), (2, 4, 2), (11, 1.2), (0.6, 1.0, 0.4), (0.50, 0.49, 0.47)),
    _m('concrete', (0.93, 0.25), (2, 3.5, 2), (11, 1.2), (0.8, 2.5, 0.9), (0.48, 0.47, 0.45)),
    _m('brick', (0.93, 0.15), (2, 4, 3), (13, 0.8), (0.7, 1.2, 1.0), (0.45, 0.24, 0.18)),
    _m('plaster', (0.92, 0.15), (1.5, 3, 2), (9, 0.8), (0.6, 2.5, 1.0), (0.72, 0.68, 0.58)),
    _m(
        'glass',
        (0.84, 0.9),
        (0.5, 2, 3),
        (4, 1.5),
        (0.3, 1.5, 1.0),
        (0.10, 0.13, 0.15),
        own=(21, 0.15),
        visible=(0.05, 0.8, 0.1),
    ),
    _m('window_frame', (0.90, 0.3), (1, 2.5, 2), (9, 0.8), (0.2, 1.0, 0.6), (0.80, 0.80, 0.80)),
    _m('roof', (0.90, 0.3), (2, 0, -2), (18, 5.0), (0.8, 1.5, 1.0), (0.35, 0.18, 0.15)),
    _m(
        'door',
        (0.90, 0.25),
        (1, 2, 2),
        (11, 0.8),
        (0.4, 1.0, 1.0),
        (0.30, 0.22, 0.16),
        own=(19, 0.12),
    ),
    _m('grass', (0.97, 0.1), (0.5, -1, -2), (5, 3.0), (0.9, 0.9, 0.6), (0.18, 0.30, 0.10)),
    _m('soil', (0.95, 0.15), (1, 1.5, 0), (10, 2.0), (1.0, 1.2, 0.8), (0.32, 0.25, 0.18)),
    _m('path', (0.94, 0.15), (1.5, 2, 0.5), (11, 2.0), (0.8, 1.5, 0.6), (0.45, 0.38, 0.29)),
    _m('foliage', (0.97, 0.05), (0, -0.3, -0.6), (3, 0.8), (0.7, 0.8, 0.5), (0.14, 0.27, 0.08)),
    _m('bark', (0.95, 0.1), (0.5, 1.0, 0.9), (6, 0.2), (0.7, 0.5, 0.6), (0.26, 0.20, 0.15)),
    _m('rock', (0.93, 0.15), (0.5, 3, 2), (12, 1.0), (0.8, 0.8, 1.0), (0.42, 0.41, 0.39)),
    _m('wood', (0.92, 0.15), (1, 1, 0), (11, 1.5), (0.6, 0.7, 0.9), (0.45, 0.32, 0.20)),
    _m(
        'car_paint',
        (0.80, 0.7),
        (1, 1, -0.5),
        (16, 3.0),
        (0.5, 1.0, 1.5),
        (0.75, 0.75, 0.75),
        visible=(0.04, 0.35, 0.4),
    ),
    _m(
        'car_hood',
        (0.82, 0.7),
        (4, 4, 3),
        (15, 2.0),
        (0.8, 0.8, 2.0),
        (0.75, 0.75, 0.75),
        own=(48, 0.30),
        visible=(0.04, 0.35, 0.4),
    ),
    _m(
        'car_glass',
        (0.84, 0.95),
        (2, 0, -2),
        (5, 3.0),
        (0.3, 1.0, 1.0),
        (0.06, 0.08, 0.09),
        visible=(0.03, 0.9, 0.1),
    ),
    _m('tyre', (0.95, 0.1), (2, 2, 1), (12, 0.3), (0.4, 0.4, 0.8), (0.07, 0.07, 0.07)),
    _m('tyre_hot', (0.95, 0.1), (10, 10, 9), (6, 0.3), (1.0, 0.3, 2.0), (0.07, 0.07, 0.07)),
    _m(
        'rim',
        (0.55, 0.5),
        (3, 3, 2),
        (5, 0.5),
        (0.5, 0.4, 2.0),
        (0.55, 0.56, 0.58),
        visible=(0.1, 0.5, 0.6),
    ),
    _m(
        'exhaust',
        (0.80, 0.3),
        (10, 10, 10),
        (3, 0.2),
        (2.0, 0.3, 5.0),
        (0.2, 0.2, 0.2),
        own=(85, 0.45),
    ),
    _m('warm_ground', (0.95, 0.3), (6, 7, 5), (6, 0.5), (1.0, 0.8, 2.0), (0.12, 0.12, 0.13)),
    _m('plastic', (0.92, 0.3), (1, 1, 0), (14, 2.0), (0.4, 0.8, 1.2), (0.25, 0.35, 0.55)),
    _m(
        'skin',
        (0.98, 0.05),
        (0, 0, 0),
        (1, 0.2),
        (0.5, 0.15, 0.6),
        (0.62, 0.44, 0.35),
        own=(33.5, 0.88),
    ),
    _m(
        'hair',
        (0.97, 0.05),
        (0, 0, 0),
        (6, 0.3),
        (0.5, 0.15, 0.8),
        (0.12, 0.09, 0.07),
        own=(30, 0.55),
    ),
    _m(
        'cloth',
        (0.95, 0.05),
        (0.5, 0.5, 0),
        (7, 0.5),
        (1.3, 0.25, 1.5),
        (0.40, 0.40, 0.45),
        own=(31, 0.50),
    ),
    _m(
        'trousers',
        (0.95, 0.05),
        (0.5, 0.5, 0),
        (7, 0.5),
        (1.0, 0.25, 1.2),
        (0.15, 0.17, 0.25),
        own=(30, 0.42),
    ),
    _m(
        'steel',
        (0.35, 0.3),
        (1, 1, -0.5),
        (9, 1.5),
        (0.4, 1.0, 1.2),
        (0.55, 0.56, 0.58),
        visible=(0.08, 0.4, 0.7),
    ),
    _m(
        'steel_paint',
        (0.88, 0.4),
        (1, 0, -1),
        (15, 2.5),
        (0.7, 1.5, 1.6),
        (0.55, 0.55, 0.55),
        visible=(0.1, 0.15, 0.5),
    ),
    _m(
        'sign',
        (0.86, 0.5),
        (1, 0, -1),
        (12, 2.0),
        (0.3, 1.0, 1.0),
        (0.85, 0.85, 0.85),
        visible=(0.1, 0.2, 1.0),
    ),
    _m(
        'lamp',
        (0.88, 0.3),
        (4, 10, 14),
        (4, 0.5),
        (0.5, 0.4, 2.0),
        (0.95, 0.92, 0.85),
        own=(52, 0.30),
        glow=1.0,
    ),
    _m('wall_indoor', (0.93, 0.2), (0, 0, -0.5), (0, 0), (0.25, 2.0, 0.4), (0.76, 0.75, 0.70)),
    _m('ceiling', (0.92, 0.2), (1.2, 1.0, 0.6), (0, 0), (0.3, 2.0, 0.3), (0.82, 0.82, 0.80)),
    _m(
        'floor',
        (0.93, 0.5),
        (-1.0, -1.0, -1.0),
        (0, 0),
        (0.4, 2.5, 0.3),
        (0.45, 0.45, 0.43),
        visible=(0.12, 0.15, 0.3),
    ),
    _m('skirting', (0.92, 0.3), (-0.8, -0.8, -1), (0, 0), (0.3, 1.5, 0.3), (0.35, 0.33, 0.30)),
    _m(
        'pipe_hot',
        (0.90, 0.2),
        (3, 3, 3),
        (0, 0),
        (0.5, 1.5, 4.0),
        (0.70, 0.70, 0.66),
        own=(46, 0.40),
    ),
    _m(
        'pipe_cold',
        (0.85, 0.2),
        (-1, -1, -1),
        (0, 0),
        (0.4, 1.5, 1.0),
        (0.45, 0.55, 0.60),
        own=(13, 0.50),
    ),
    _m(
        'machine',
        (0.88, 0.3),
        (4, 4, 3),
        (12, 1.0),
        (1.0, 0.8, 3.0),
        (0.35, 0.45, 0.40),
        own=(40, 0.25),
    ),
    _m('cardboard', (0.92, 0.1), (0, 0, -0.2), (9, 0.8), (0.35, 0.5, 0.7), (0.58, 0.44, 0.29)),
    _m(
        'cabinet',
        (0.88, 0.4),
        (0.3, 0.3, 0),
        (12, 1.0),
        (0.4, 1.0, 1.2),
        (0.62, 0.63, 0.62),
        visible=(0.06, 0.2, 0.5),
    ),
    _m(
        'radiator',
        (0.92, 0.2),
        (8, 8, 8),
        (0, 0),
        (0.6, 0.6, 4.0),
        (0.85, 0.85, 0.83),
        own=(48, 0.40),
    ),
    _m('hill', (0.97, 0.05), (0, 0, -0.5), (3, 0.8), (1.0, 14.0, 0.6), (0.20, 0.27, 0.17)),
    _m('crop', (0.97, 0.05), (-0.5, -1, -1.5), (4, 2.0), (0.8, 0.6, 0.6), (0.30, 0.36, 0.10)),
    _m('straw', (0.95, 0.05), (1.5, 1, -1.5), (16, 3.0), (0.9, 0.6, 1.0), (0.72, 0.58, 0.28)),
    _m(
        'hide',
        (0.97, 0.05),
        (1, 1, 1),
        (5, 0.3),
        (1.0, 0.4, 1.0),
        (0.45, 0.32, 0.22),
        own=(31, 0.60),
    ),
)
"""Every material; `Hits.material` holds indices into this tuple, or `SKY`."""

MATERIAL_INDEX: dict[str, int] = {material.name: i for i, material in enumerate(MATERIALS)}
"""Index of each material by name."""


def lookup(values: NDArray[np.float32], index: NDArray[np.uint8]) -> NDArray[np.float32]:
    """
    Value of each pixel's material; an order of magnitude faster than indexing.

    :param values: (256,) float32.
    :param index: (H, W) uint8.
    :returns: (H, W) float32.
    """
    return np.asarray(cv2.LUT(index, values), np.float32)


def table(field: str) -> NDArray[np.float32]:
    """
    One numeric field of all materials, for look-up by material index.

    :param field: name of a field of `Material` that holds a number or a colour.
    :returns: (256,) or (256, 3) float32; zero where no material has the index (also for `SKY`).
    """
    values = np.array([getattr(material, field) for material in MATERIALS], np.float32)
    full = np.zeros((256, *values.shape[1:]), np.float32)
    full[: len(values)] = values
    return full
