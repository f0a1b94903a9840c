# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Which measured depth is taken away in self-supervised training: Perlin and coarse uniform masks.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947): holes of all sizes, and a part that is
removed which grows and spreads as training goes on (noise shift).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CELLS = (2, 4, 8, 16)
"""Cells of a Perlin mask along each axis, drawn."""

COARSEST = 10
"""Least side of the noise of a coarse uniform mask, pixels."""


def perlin(angles: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.float32]:
    """
    Gradient noise (Perlin 1985, with the quintic fade of Perlin 2002), times the root of two.

    :param angles: (a + 1, b + 1) directions of the gradients at the corners of a x b cells,
        radians; an angle of 0 points down the rows.
    :param shape: (rows, columns) of the result.
    :returns: (rows, columns) float32, about -1 to 1, 0 at every corner.
    """
    parts, fades, lows = [], [], []
    for size, corners in zip(shape, angles.shape, strict=True):
        place = np.arange(size) * ((corners - 1) / size)
        low = np.minimum(place.astype(np.intp), corners - 2)
        part = place - low
        parts.append(part)
        lows.append(low)
        fades.append(part**3 * (part * (part * 6 - 15) + 10))
    down, right = np.cos(angles), np.sin(angles)

    def corner(row: int, column: int) -> NDArray[np.float64]:
        rows, columns = lows[0] + row, lows[1] + column
        at = (rows[:, None], columns[None, :])
        y, x = parts[0][:, None] - row, parts[1][None, :] - column
        return np.asarray(down[at] * y + right[at] * x)

    v, u = fades[0][:, None], fades[1][None, :]
    upper = corner(0, 0) * (1 - v) + corner(1, 0) * v
    lower = corner(0, 1) * (1 - v) + corner(1, 1) * v
    return np.asarray(math.sqrt(2) * (upper * (1 - u) + lower * u), np.float32)


def largest_removed(noise: NDArray[np.floating], part: float) -> NDArray[np.bool_]:
    """
    Mask of the largest values of a noise image.

    :param noise: (H, W).
    :param part: of the pixels to remove, 0 to 1.
    :returns: (H, W), True above the value whose cumulative share is closest to 1 - part.
    """
    values, counts = np.unique(noise, return_counts=True)
    share = np.cumsum(counts) / noise.size
    k = int(np.argmin(np.abs(share - (1 - part))))
    return np.asarray(noise > values[k])


def perlin_mask(
    rng: np.random.Generator, shape: tuple[int, int], part: float
) -> NDArray[np.bool_]:
    """
    Removed areas with smooth borders; cells and directions are drawn.

    Half of the draws are cut from a canvas whose sides are multiples of 32, as published.

    :param rng: source of all that is random.
    :param shape: (rows, columns).
    :param part: of the pixels to remove, 0 to 1.
    :returns: (rows, columns), True = removed.
    """
    cells = [int(rng.choice(CELLS)) for _ in shape]
    angles = rng.uniform(0, 2 * math.pi, (cells[0] + 1, cells[1] + 1))
    canvas = shape
    if rng.random() < 0.5:
        canvas = (-(-shape[0] // 32) * 32, -(-shape[1] // 32) * 32)
    noise = perlin(angles, canvas)[: shape[0], : shape[1]]
    return largest_removed(noise, part)


def coarse_mask(
    rng: np.random.Generator, shape: tuple[int, int], part: float
) -> NDArray[np.bool_]:
    """
    Removed blocks: uniform noise of a drawn, smaller size, enlarged to the nearest value.

    :param rng: source of all that is random.
    :param shape: (rows, columns).
    :param part: of the pixels to remove, 0 to 1; met on average.
    :returns: (rows, columns), True = removed.
    """
    small = [min(n, max(COARSEST, int(rng.uniform(0, 0.75) * n))) for n in shape]
    noise = rng.random(small)
    rows, columns = (np.arange(n) * s // n for n, s in zip(shape, small, strict=True))
    return np.asarray(noise[rows[:, None], columns] < part)


@dataclass(frozen=True)
class NoiseShift:
    """
    Part of the depth that is removed, by the epoch: first little and even, then more and varied.

    The part is drawn from a normal distribution and clipped.
    """

    mean: float = 0.30
    """of the part in the warm-up"""
    deviation: float = 0.10
    """of the part in the warm-up"""
    last_mean: float = 0.50
    """of the part at the end"""
    last_deviation: float = 0.30
    """of the part at the end"""
    warmup: float = 10.0
    """epochs before anything changes"""
    ramp: float = 10.0
    """epochs of linear change"""
    least: float = 0.10
    """clip of the part"""
    most: float = 0.99
    """clip of the part"""

    def at(self, epoch: float) -> tuple[float, float]:
        """
        Mean and deviation.

        :param epoch: from 0, with its fraction.
        """
        done = min(1.0, max(0.0, (epoch - self.warmup) / max(self.ramp, 1e-9)))
        return (
            self.mean + done * (self.last_mean - self.mean),
            self.deviation + done * (self.last_deviation - self.deviation),
        )

    def draw(self, rng: np.random.Generator, epoch: float) -> float:
        """
        Part to remove from one sample.

        :param rng: source of all that is random.
        :param epoch: from 0, with its fraction.
        :returns: least to most.
        """
        mean, deviation = self.at(epoch)
        return float(np.clip(rng.normal(mean, deviation), self.least, self.most))
