# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sparse depth as sensors give it, taken from dense depth: LiDAR rings, single points, holes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monother_ros.learning.depth_masks import NoiseShift, coarse_mask, perlin_mask

KINDS = ('none', 'rings', 'points', 'perlin', 'coarse', 'dense')


@dataclass(frozen=True)
class Patterns:
    """How often each kind of sparse depth is drawn, and its faults."""

    none: float = 0.10
    """part of the samples without any point"""
    rings: float = 0.35
    """part with rings of a spinning LiDAR"""
    points: float = 0.35
    """part with single points"""
    perlin: float = 0.10
    """part with dense depth and Perlin holes"""
    coarse: float = 0.06
    """part with dense depth and blocks without"""
    dense: float = 0.04
    """part with all of the depth"""
    least_points: int = 3
    """of the single points; their number is drawn evenly in its logarithm"""
    most_points: int = 8000
    """of the single points"""
    noise: float = 0.02
    """deviation of a range in metres"""
    outliers: float = 0.01
    """largest part of the points whose range is something else"""
    cluttered: float = 0.0
    """part of the samples with rings or single points that are measured through fog or snow"""
    most_echoes: float = 0.4
    """largest part of the pulses that come back from the air there"""
    misplaced: float = 0.3
    """probability that all points lie up to a pixel beside their place"""
    shift: NoiseShift = field(default_factory=NoiseShift)
    """part that masks remove"""


def ring_pixels(
    depth: NDArray[np.float32],
    focal: float,
    rng: np.random.Generator,
    *,
    rings: int,
    columns: int,
    field_of_view: tuple[float, float] = (-16.0, 14.0),
) -> NDArray[np.bool_]:
    """
    Pixels that the rings of a spinning LiDAR above the camera meet.

    Each pixel has an elevation and an azimuth as the LiDAR sees it; where these pass from one
    ring, or one column, to the next, there is a point.

    :param depth: (H, W) metres along the optical axis, inf where there is no surface.
    :param focal: focal length in pixels.
    :param rng: draws where the LiDAR sits, within decimetres.
    :param rings: number of rings in the field of view.
    :param columns: measurements of a ring in a whole turn.
    :param field_of_view: elevations of the lowest and the highest ring, degrees.
    :returns: (H, W), True where there is a point.
    """
    rays = ring_rays(depth, focal, rng, rings=rings, columns=columns, field_of_view=field_of_view)
    return np.asarray(rays & np.isfinite(depth))


def ring_rays(
    depth: NDArray[np.float32],
    focal: float,
    rng: np.random.Generator,
    *,
    rings: int,
    columns: int,
    field_of_view: tuple[float, float] = (-16.0, 14.0),
) -> NDArray[np.bool_]:
    """
    Like :func:`ring_pixels`, with the pulses that meet no surface.

    :returns: (H, W), True where the LiDAR measures, sky included.
    """
    rows, across = depth.shape
    v = (np.arange(rows, dtype=np.float32) - (rows - 1) / 2)[:, None] / np.float32(focal)
    u = (np.arange(across, dtype=np.float32) - (across - 1) / 2)[None, :] / np.float32(focal)
    z = np.where(np.isfinite(depth), depth, np.float32(1e4))
    above = np.float32(rng.uniform(0.1, 0.4))
    behind = np.float32(rng.uniform(0.0, 0.2))
    tilt = math.radians(float(rng.uniform(-4, 4)))
    side, forward = u * z, z + behind
    elevation = np.arctan2(-v * z - above, np.hypot(side, forward)) + np.float32(tilt)
    azimuth = np.arctan2(side, forward)
    low, high = (math.radians(a) for a in field_of_view)
    step = (high - low) / max(rings - 1, 1)
    phase = float(rng.random())
    ring = np.floor((elevation - low) / np.float32(step) + np.float32(0.5))
    turn = np.floor(azimuth * np.float32(columns / (2 * math.pi)) + np.float32(phase))
    hit = np.zeros(depth.shape, bool)
    hit[1:] = (ring[1:] != ring[:-1]) & (np.maximum(ring[1:], ring[:-1]) >= 0)
    hit[1:] &= np.minimum(ring[1:], ring[:-1]) < rings
    hit[:, 1:] &= turn[:, 1:] != turn[:, :-1]
    return hit


def sparse_from(
    depth: NDArray[np.float32],
    focal: float,
    far: float,
    rng: np.random.Generator,
    settings: Patterns,
    epoch: float = 0.0,
    kind: str | None = None,
) -> NDArray[np.float32]:
    """
    Sparse depth of a scene.

    :param depth: (H, W) metres along the optical axis; far and beyond is not measured.
    :param focal: focal length in pixels.
    :param far: metres.
    :param rng: source of all that is random.
    :param settings: kinds and faults.
    :param epoch: of the training, for the noise shift.
    :param kind: one of KINDS; None draws one.
    :returns: (H, W) metres, 0 = none.
    """
    if kind is None:
        parts = np.array([getattr(settings, name) for name in KINDS])
        kind = KINDS[int(rng.choice(len(KINDS), p=parts / parts.sum()))]
    chosen = _chosen(depth, focal, rng, settings, epoch, kind)
    reach = far if rng.random() < 0.5 else min(far, float(rng.uniform(20, 100)))
    if kind in ('points', 'rings') and rng.random() < settings.cluttered:
        part = settings.most_echoes * rng.random()
        echo = 0.5 + rng.exponential(rng.uniform(1.5, 9.0), depth.shape).astype(np.float32)
        scattered = chosen & (rng.random(depth.shape) < part) & (echo < np.minimum(depth, far))
        # what is scattered back is missing from the surfaces, the more the farther they are
        reach = min(reach, float(rng.uniform(15, 100)))
        depth = np.where(scattered, echo, depth)
    chosen &= depth < reach
    if kind in ('points', 'rings') and rng.random() < 0.1:
        chosen = np.asarray(chosen & (depth < rng.uniform(5, 30)))
    sparse = np.where(chosen, depth, np.float32(0))
    rows, columns = np.nonzero(chosen)
    count = len(rows)
    if not count:
        return np.zeros(depth.shape, np.float32)
    values = sparse[rows, columns]
    values += rng.standard_normal(count, np.float32) * np.float32(
        settings.noise * rng.uniform(0, 2)
    )
    wrong = rng.random(count) < settings.outliers * rng.random() ** 2
    values[wrong] = rng.uniform(0.5, far, int(wrong.sum())).astype(np.float32)
    if rng.random() < settings.misplaced:
        rows = np.clip(rows + int(rng.integers(-1, 2)), 0, depth.shape[0] - 1)
        columns = np.clip(columns + int(rng.integers(-1, 2)), 0, depth.shape[1] - 1)
    out = np.zeros(depth.shape, np.float32)
    out[rows, columns] = np.maximum(values, np.float32(0.05))
    return out


def _chosen(
    depth: NDArray[np.float32],
    focal: float,
    rng: np.random.Generator,
    settings: Patterns,
    epoch: float,
    kind: str,
) -> NDArray[np.bool_]:
    """Pixels with a measurement, before those that are too far are left out."""
    shape = depth.shape
    if kind == 'none':
        return np.zeros(shape, bool)
    if kind == 'dense':
        return np.ones(shape, bool)
    if kind == 'rings':
        rings = int(rng.choice((8, 16, 16, 32, 64)))
        columns = int(rng.choice((360, 720, 720, 1024)))
        hit = ring_rays(depth, focal, rng, rings=rings, columns=columns)
        return np.asarray(hit & (rng.random(shape) > rng.uniform(0, 0.3)))
    if kind == 'points':
        low, high = math.log(settings.least_points), math.log(settings.most_points)
        count = round(math.exp(rng.uniform(low, high)) * depth.size / (320 * 256))
        chosen = np.zeros(depth.size, bool)
        chosen[rng.integers(0, depth.size, max(1, count))] = True
        return chosen.reshape(shape)
    part = settings.shift.draw(rng, epoch)
    removed = (perlin_mask if kind == 'perlin' else coarse_mask)(rng, shape, part)
    return np.asarray(~removed)
