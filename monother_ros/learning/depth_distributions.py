# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Random depth distributions: the same picture with other distances, measured and wanted alike.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947). A network that sees them cannot lean on
the usual distances of a place; it has to take them from what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROOMS = ((0.055, 0.955), (0.5, 2.1), (0.5, 5.0), (1.0, 15.0), (50.0, 1000.0))
"""Published families of ranges in metres; only those that begin below the maximum count."""

OUTDOORS = ((0.5, 5.0), (1.0, 15.0), (2.0, 40.0), (5.0, 100.0))
"""Ours, for vehicles."""


@dataclass(frozen=True)
class Distributions:
    """How often and how depth is changed; the defaults are the published ones."""

    shift: float = 0.25
    """probability of an offset of up to one standard deviation of the depths"""
    remap: float = 0.25
    """probability of a linear map onto a drawn range"""
    stretch: float = 0.25
    """probability of a factor"""
    least_factor: float = 1.0
    """of the stretch"""
    most_factor: float = 1.2
    """of the stretch"""
    near: float = 0.05
    """metres; what comes out nearer is missing"""
    far: float = 15.0
    """metres; what comes out farther is missing"""
    ranges: tuple[tuple[float, float], ...] = ROOMS
    """ranges in metres to map onto"""


def change_depth(
    depth: NDArray[np.float32], rng: np.random.Generator, settings: Distributions
) -> NDArray[np.float32]:
    """
    Depth with other distances, in the same order of near and far.

    :param depth: (H, W) metres, 0 where there is none.
    :param rng: source of all that is random.
    :param settings: how often and how.
    :returns: (H, W) metres, 0 where there is none or where it leaves near to far.
    """
    valid = depth > 0
    if not valid.any():
        return depth.copy()
    choice = float(rng.random())
    values = depth[valid]
    if choice < settings.shift:
        moved = values + np.float32(rng.uniform(-1, 1) * values.std())
        values = np.maximum(moved, np.float32(settings.near))
    elif choice < settings.shift + settings.remap:
        values = _remapped(values, rng, settings)
    elif choice < settings.shift + settings.remap + settings.stretch:
        values = values * np.float32(rng.uniform(settings.least_factor, settings.most_factor))
    values = np.where((values < settings.near) | (values > settings.far), 0, values)
    out = np.zeros_like(depth)
    out[valid] = values
    return out


def _remapped(
    values: NDArray[np.float32], rng: np.random.Generator, settings: Distributions
) -> NDArray[np.float32]:
    """Linear map of the values onto a range drawn within one of the families."""
    usable = [(a, min(b, settings.far)) for a, b in settings.ranges if a < settings.far]
    if not usable:
        return values
    low, high = usable[int(rng.integers(len(usable)))]
    first, last = sorted(float(v) for v in rng.uniform(low, high, 2))
    first *= 1 + float(rng.uniform(0, 0.1))
    last *= 1 + float(rng.uniform(0, 0.1))
    least, span = values.min(), max(float(np.ptp(values)), 1e-6)
    return np.asarray(first + (values - least) * np.float32((last - first) / span), np.float32)
