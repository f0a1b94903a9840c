# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a pair shows, in a few numbers, and which of many pairs can be spared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from monother_ros.learning.online_pair import OnlinePair

GRID = (10, 8)
"""Columns and rows of the small pictures."""

LENGTH = 3 * GRID[0] * GRID[1]
"""Numbers of a view."""

TIME_WEIGHT = 0.3
"""Distance of two pairs of the same view that are as far apart in time as pairs should be. Two
unrelated pictures are some 1.2 apart, two neighbouring ones of a drive 0.2."""


def describe(pair: OnlinePair) -> NDArray[np.float16]:
    """
    View of a pair: small normalised thermal and RGB pictures, and the layout of depth.

    :param pair: with or without the teacher's depth.
    :returns: (LENGTH,) float16; the root of the mean squared difference of two is their distance.
    """
    thermal = _small(pair.thermal[0].astype(np.float32))
    colour = np.ascontiguousarray(pair.rgb.transpose(1, 2, 0))
    grey = _small(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))
    depth = pair.teacher_depth.astype(np.float32)
    known = np.isfinite(depth) & (depth > 0)
    # the mean over the known part of each cell; what is unknown counts as far
    logs = np.log(np.clip(np.where(known, depth, np.float32(1)), 0.3, 100.0))
    part = cv2.resize(known.astype(np.float32), GRID, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(logs.astype(np.float32), GRID, interpolation=cv2.INTER_AREA)
    layout = np.where(part > 0.05, mean / np.maximum(part, 0.05), np.float32(np.log(100.0)))
    parts = [_normalised(thermal), _normalised(grey), (layout - np.float32(2.0)).reshape(-1)]
    return np.concatenate(parts).astype(np.float16)


def _small(picture: NDArray[Any]) -> NDArray[np.float32]:
    small = cv2.resize(picture, GRID, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(-1)


def _normalised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zero mean and unit deviation; a flat picture is all zero."""
    centred = values - values.mean()
    deviation = float(centred.std())
    return np.asarray(centred / max(deviation, 1e-3), np.float32)


def most_redundant(views: NDArray[np.float32], sequence: NDArray[np.int64]) -> int:
    """
    Which pair can be spared: one of the two that are closest to each other.

    Of these, it is the one whose next neighbour is closer. Distance in time counts up to that of
    pairs that are spread evenly, so that among like views those survive that spread over time.

    :param views: (n, LENGTH) of all pairs, n >= 2.
    :param sequence: (n,) number of each pair in the order in which they came.
    :returns: index of the pair.
    """
    squares = np.einsum('ij,ij->i', views, views)
    apart = squares[:, None] + squares[None] - 2.0 * (views @ views.T)
    apart = np.maximum(apart, 0.0) / views.shape[1]
    even = max(float(np.ptp(sequence)) / (len(sequence) - 1), 1.0)
    time = np.minimum(np.abs(sequence[:, None] - sequence[None]) / even, 1.0)
    apart += (TIME_WEIGHT * time) ** 2
    np.fill_diagonal(apart, np.inf)
    first, second = (int(v) for v in np.unravel_index(np.argmin(apart), apart.shape))
    if len(views) == 2:
        return first
    rest = apart[[first, second]]
    rest[0, second] = rest[1, first] = np.inf
    return first if rest[0].min() <= rest[1].min() else second
