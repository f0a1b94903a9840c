# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a picture shows another view than an earlier one."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (80, 60)
"""Columns and rows of the pictures that are compared."""

LOCAL = 9
"""Light that is common to so many pixels is taken out."""

CELL = 10
"""Side of the cells that are compared one by one."""

CLEAR = 4.0
"""A cell says something where its structure is so many times the noise (in squares)."""

LEAST = 0.15
"""Part of the cells that must say something."""


class View:
    """
    Structure of a picture, without its light.

    :param picture: (H, W) of any real type.
    :param noise: standard deviation of its pixels, in its own units.
    """

    def __init__(self, picture: NDArray[Any], noise: float) -> None:
        pixels = picture.size
        while picture.shape[1] >= 4 * SIZE[0] and picture.shape[0] >= 4 * SIZE[1]:
            # halves are fast, and broken factors of a large picture are not
            half = (picture.shape[1] // 2, picture.shape[0] // 2)
            picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
        plane = np.asarray(picture, np.float32)
        small = cv2.resize(plane, SIZE, interpolation=cv2.INTER_AREA)
        structure = np.asarray(small - cv2.blur(small, (LOCAL, LOCAL)), np.float32)
        shrunk = math.sqrt(max(pixels / (SIZE[0] * SIZE[1]), 1.0))
        self.structure = structure
        self.energy = _cells(structure * structure)
        self.noise = max(noise / shrunk, 1e-6) ** 2


def similarity(one: View, other: View) -> float:
    """
    How alike two views are.

    The median over cells of the correlation, freed from noise: gain and offset of light do not
    matter, nor does something that moves through less than half of the picture.

    :returns: about 1 for the same view under any light, less than 0.5 after some pixels of motion
        at SIZE; NaN where there is nothing to compare.
    """
    both = _cells(one.structure * other.structure)
    clear = (one.energy > CLEAR * one.noise) & (other.energy > CLEAR * other.noise)
    if clear.mean() < LEAST:
        return math.nan
    free = (one.energy - one.noise) * (other.energy - other.noise)
    correlation = both[clear] / np.sqrt(free[clear])
    return float(np.median(correlation))


def _cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of each cell."""
    size = (SIZE[0] // CELL, SIZE[1] // CELL)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
