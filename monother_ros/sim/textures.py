# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Visible colour of surfaces: base colour, patches, grain, and joints of bricks and slabs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.material_sets import table_of
from monother_ros.sim.materials import MATERIAL_INDEX

if TYPE_CHECKING:
    from monother_ros.sim.raycast import Hits
    from monother_ros.sim.world import World

Floats = NDArray[np.float32]

BRICK = (0.24, 0.075)
"""Length and height of a brick with its joint, metres."""

SLABS = {'paving': 0.5, 'floor': 0.6, 'ceiling': 0.62}
"""Edge of the square slabs of a material, metres."""

GRAIN = {'asphalt': 0.07, 'grass': 0.16, 'foliage': 0.22, 'soil': 0.12, 'path': 0.1, 'bark': 0.08}
"""Length of the fine pattern where it differs from the usual 0.25 m."""

ROUGH = {'grass': 3.0, 'foliage': 3.2, 'soil': 1.8, 'asphalt': 0.8, 'bark': 2.2, 'rock': 1.6}
"""Factor on the fine pattern of a material."""

SMOOTH = {'wall_indoor': 0.35, 'ceiling': 0.3, 'car_paint': 0.5, 'car_hood': 0.5, 'cabinet': 0.5}
"""Factor on the whole pattern of a material."""

TINTED = (
    'brick', 'plaster', 'window_frame', 'door', 'roof', 'car_paint', 'car_hood', 'plastic',
    'cloth', 'trousers', 'hair', 'skin', 'steel_paint', 'sign', 'machine', 'cardboard', 'cabinet',
    'hide',
)  # fmt: skip
"""Materials that take an object's colour in full; what grows or is ground keeps its own."""


def _by_material(values: dict[str, float], other: float) -> Floats:
    """(256,) float32 look-up table by material index."""
    full = np.full(256, other, np.float32)
    for name, value in values.items():
        full[MATERIAL_INDEX[name]] = value
    return full


def _joint(position: Floats, period: float | np.float32 | Floats, width: float) -> Floats:
    """1 within ``width`` of every multiple of ``period``, else 0."""
    phase = np.mod(position, period)
    return ((phase < width) | (phase > period - width)).astype(np.float32)


def _bricks(hits: Hits, chosen: NDArray[np.intp]) -> Floats:
    """Factor on the colour of brick walls: joints, and every brick a little different."""
    point = hits.point.reshape(-1, 3)[chosen]
    normal = hits.normal.reshape(-1, 3)[chosen]
    along = point[:, 1] * normal[:, 0] - point[:, 0] * normal[:, 1]
    row = np.floor(point[:, 2] / BRICK[1])
    shifted = along + row * np.float32(BRICK[0] / 2)
    column = np.floor(shifted / BRICK[0])
    # a hash of row and column, the same whatever the view
    mixed = np.sin(row * np.float32(12.9898) + column * np.float32(78.233)) * np.float32(437.585)
    shade = np.float32(0.84) + np.float32(0.32) * (mixed - np.floor(mixed))
    joint = np.maximum(
        _joint(point[:, 2], BRICK[1], 0.006), _joint(shifted, np.float32(BRICK[0]), 0.006)
    )
    detail = shade * (1 - joint) + np.float32(1.7) * joint - 1
    return np.asarray(1 + detail * _visible(hits, chosen, 9.0), np.float32)


def _visible(hits: Hits, chosen: NDArray[np.intp], reach: float) -> Floats:
    """How much of a detail is left when it shrinks below a pixel, by distance."""
    near = hits.distance.reshape(-1)[chosen] / np.float32(reach)
    return np.asarray(1.0 / (1.0 + near**4), np.float32)


def _slabs(hits: Hits, chosen: NDArray[np.intp], edge: float) -> Floats:
    """Factor on the colour of slabs on the ground: dark joints, slabs of different shade."""
    point = hits.point.reshape(-1, 3)[chosen]
    x, y = np.floor(point[:, 0] / edge), np.floor(point[:, 1] / edge)
    mixed = np.sin(x * np.float32(39.346) + y * np.float32(11.135)) * np.float32(437.585)
    shade = np.float32(0.93) + np.float32(0.14) * (mixed - np.floor(mixed))
    joint = np.maximum(_joint(point[:, 0], edge, 0.008), _joint(point[:, 1], edge, 0.008))
    detail = shade * (1 - joint) + np.float32(0.5) * joint - 1
    return np.asarray(1 + detail * _visible(hits, chosen, 14.0), np.float32)


def albedo(hits: Hits, world: World) -> Floats:
    """
    Diffuse reflectance of what each pixel sees.

    :param hits: of one camera.
    :param world: gives the pattern and the objects' colours.
    :returns: (H, W, 3) float32 in [0, 1]; zero for sky.
    """
    material = hits.material
    color = np.take(table_of('color', world.materials), material, 0)
    tint = np.take(world.colors, hits.instance, 0)
    tint -= 1
    tint *= np.take(_by_material(dict.fromkeys(TINTED, 1.0), 0.2), material)[..., None]
    tint += 1
    color *= tint
    amplitude = np.take(table_of('pattern', world.materials) * _by_material(SMOOTH, 1.0), material)
    shift = (hits.instance.astype(np.float32) * np.float32(37.0)) % np.float32(512)
    # blotches of metres need no more than every second pixel
    half = world.pattern(hits.point[::2, ::2], 4.0, shift[::2, ::2])
    height, width = material.shape
    coarse = np.asarray(cv2.resize(half, (width, height)), np.float32)
    fine = world.pattern(
        hits.point, np.take(_by_material(GRAIN, 0.25) * np.float32(4), material), shift
    )
    # the fine pattern fades where it would be smaller than a pixel
    fade = hits.distance * np.float32(0.06)
    fade *= fade
    fade += 1
    np.divide(np.take(_by_material(ROUGH, 1.0), material), fade, out=fade)
    coarse *= np.float32(0.4)
    fine *= fade
    coarse += fine
    coarse *= amplitude
    coarse += 1
    flat = coarse.reshape(-1)
    brick = np.flatnonzero(material.reshape(-1) == MATERIAL_INDEX['brick'])
    if len(brick):
        flat[brick] *= _bricks(hits, brick)
    for name, edge in SLABS.items():
        slab = np.flatnonzero(material.reshape(-1) == MATERIAL_INDEX[name])
        if len(slab):
            flat[slab] *= _slabs(hits, slab, edge)
    np.clip(coarse, 0.25, 2.0, out=coarse)
    color *= coarse[..., None]
    np.clip(color, 0, 0.95, out=color)
    return np.asarray(color, np.float32)
