# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one RGB picture says about light, noise, glare and sharpness."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH = 320
"""Pictures are looked at with this width; wider ones are shrunk, which takes noise away."""

CELL = 16
"""Side of the cells that noise is measured in, pixels of the full picture."""

BAND = 80
"""Every so many rows, one row of cells is measured."""

ORDINARY = (6, 235)
"""Levels between which nothing is clipped."""

TEXTURE = 11.0
"""A surface is told from noise where level / (TEXTURE * noise) is above about 1: a change of 5 %
in reflectance changes a gamma-coded level by 1/44, and a student that looks at areas of 4 x 4
pixels sees a quarter of the noise."""

SATURATED = 246
"""All three channels at or above this, in a picture of half the width."""

HALO = (5.0, 9.0)
"""Distances from the largest saturated area, pixels of a picture of half the width."""

REACH = 4
"""Edges are measured in windows of this half-width, pixels."""

EDGE_PART = 0.97
"""Edges are the windows above this part of all."""

EDGE_LEAST = 12.0
"""Levels that an edge has at least."""

EDGE_COUNT = 100
"""Windows without which nothing is said about sharpness."""


class Picture(NamedTuple):
    """Measures of one RGB picture."""

    level: float
    """median grey level, 0..255"""
    noise: float
    """standard deviation of pixel noise at WIDTH, grey levels"""
    visible: float
    """how well surfaces stand out of the noise: 1 hardly, day 3 and more"""
    dark: float
    """part of the picture below 20 of 255"""
    bright: float
    """95th percentile of grey levels"""
    saturated: float
    """part of the picture that is white"""
    blob: float
    """part of the picture that the largest white area takes"""
    halo: float
    """mean level around that area, 0 without one"""
    sharpness: float
    """largest step from pixel to pixel by height of the edge: 1 sharp, 0.3 spread over 4 pixels of
    WIDTH; of the worse direction; NaN without edges"""


def shrink(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """
    Picture of WIDTH pixels.

    :param rgb: (H, W, 3) uint8; one that is smaller stays.
    :returns: (h, w, 3) uint8.
    """
    height, width = rgb.shape[:2]
    if width <= WIDTH:
        return np.ascontiguousarray(rgb)
    size = (WIDTH, max(round(height * WIDTH / width), 1))
    whole = width % WIDTH == 0 and height % size[1] == 0
    if not whole and width > 2 * WIDTH:
        # averaging over areas of broken size is slow; every second pixel is enough before it
        step = width // (2 * WIDTH)
        rgb = rgb[::step, ::step]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def measure(rgb: NDArray[np.uint8], small: NDArray[np.uint8], grey: NDArray[np.uint8]) -> Picture:
    """
    Look at one picture.

    :param rgb: (H, W, 3) uint8, full size, for its noise.
    :param small: (h, w, 3) uint8, of :func:`shrink`.
    :param grey: (h, w) uint8, grey levels of it.
    """
    counts = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).reshape(-1))
    level, bright = (int(np.searchsorted(counts, p * counts[-1])) for p in (0.5, 0.95))
    noise = pixel_noise(rgb) * min(1.0, WIDTH / rgb.shape[1])
    white, blob, halo = _saturation(small, grey)
    return Picture(
        level=float(level),
        noise=noise,
        visible=level / (TEXTURE * max(noise, 0.3)),
        dark=float(counts[19] / counts[-1]),
        bright=float(bright),
        saturated=white,
        blob=blob,
        halo=halo,
        sharpness=sharpness(grey),
    )


def pixel_noise(rgb: NDArray[np.uint8]) -> float:
    """
    Standard deviation of pixel noise, in levels of the green channel.

    The mask 1 -2 1 / -2 4 -2 / 1 -2 1 leaves slopes and straight edges out (Immerkaer 1996); of
    all cells that are not clipped the tenth with the least texture counts.

    :param rgb: (H, W, 3) uint8.
    :returns: levels; 255 where every cell is clipped, as in a black picture.
    """
    height, width = rgb.shape[:2]
    columns = (width - 2) // CELL
    found, levels = [], []
    for top in range(0, height - CELL - 1, BAND):
        rows = rgb[top : top + CELL + 2, : columns * CELL + 2, 1].astype(np.int16)
        second = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
        mask = np.abs(second[:-2] - 2 * second[1:-1] + second[2:])
        found.append(mask.reshape(CELL, columns, CELL).mean((0, 2)))
        levels.append(rows[1:-1, 1:-1].reshape(CELL, columns, CELL).mean((0, 2)))
    if not found or columns < 1:
        return 255.0
    cells, level = np.concatenate(found), np.concatenate(levels)
    cells = cells[(level > ORDINARY[0]) & (level < ORDINARY[1])]
    if not len(cells):
        return 255.0
    return float(np.percentile(cells, 10)) * math.sqrt(math.pi / 2) / 6.0


def _saturation(small: NDArray[np.uint8], grey: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Part that is white, part of the largest white area, and mean level around that."""
    size = (max(small.shape[1] // 2, 1), max(small.shape[0] // 2, 1))
    half = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    white = cv2.inRange(half, (SATURATED,) * 3, (255,) * 3)
    part = cv2.countNonZero(white) / white.size
    if part == 0:
        return 0.0, 0.0, 0.0
    _, labels, areas, _ = cv2.connectedComponentsWithStats(white)
    largest = 1 + int(np.argmax(areas[1:, cv2.CC_STAT_AREA]))
    blob = float(areas[largest, cv2.CC_STAT_AREA]) / white.size
    away = cv2.distanceTransform((labels != largest).astype(np.uint8), cv2.DIST_L2, 3)
    ring = (away >= HALO[0]) & (away < HALO[1])
    around = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)[ring]
    return part, blob, float(around.mean()) if around.size else 255.0


def sharpness(grey: NDArray[np.uint8]) -> float:
    """
    How sharp the strongest edges are, whatever their height.

    In windows of 2 REACH + 1 pixels the largest step between neighbours is compared with the
    range. Both directions are measured, because motion blurs one of them.

    :param grey: (h, w) uint8.
    :returns: 0..1; NaN without edges.
    """
    found = []
    for picture in (grey, cv2.transpose(grey)):
        even = picture.shape[0] // 2 * 2
        if even < 2 or picture.shape[1] < 4 * REACH:
            return math.nan
        # two rows together have less noise
        rows = cv2.resize(picture, (picture.shape[1], even // 2), interpolation=cv2.INTER_AREA)
        window = np.ones((1, 2 * REACH + 1), np.uint8)
        height = cv2.subtract(cv2.dilate(rows, window), cv2.erode(rows, window))
        step = cv2.absdiff(rows[:, 1:], rows[:, :-1])
        # step i lies between the pixels i and i + 1; windows cut at the border are left out
        largest = cv2.dilate(step, np.ones((1, 2 * REACH), np.uint8))[:, REACH:]
        height = height[:, REACH : REACH + largest.shape[1]]
        height, largest = height[:, : -2 * REACH], largest[:, : -2 * REACH]
        counts = cv2.calcHist([np.ascontiguousarray(height)], [0], None, [256], [0, 256])
        below = np.cumsum(counts.reshape(-1))
        least = max(int(np.searchsorted(below, EDGE_PART * below[-1])), int(EDGE_LEAST))
        edges = height >= least
        if int(edges.sum()) >= EDGE_COUNT:
            found.append(float(np.percentile(largest[edges] / height[edges], 75)))
    return min(found) if found else math.nan
