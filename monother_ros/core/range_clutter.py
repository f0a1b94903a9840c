# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Echoes of fog, smoke, rain, snow and dust among the points of a range sensor.

Drops in the air send some pulses back before they reach a surface. Such echoes lie near the sensor
and one by one; a surface is hit by several pulses at a like distance. Points are counted in boxes
of rows, columns and log distance, so that a neighbourhood grows with distance as in the dynamic
radius outlier removal (DROR, Charron et al. 2018), and a point goes whose neighbourhood holds too
few others. Unlike there, the cloud itself says how far apart the lines of the sensor are, whether
it is dense enough to expect neighbours at all, and how strict to be: where hardly a point is
alone, the air is clear.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FARTHEST_ECHO = 20.0
"""Metres beyond which every point stays: the air answers from near, and far away even surfaces
have few points."""

NEAREST_BOX = np.float32(0.2)
"""Metres below which all points lie in one box."""

STEP = 0.05
"""Size of a box in log distance; neighbours are the points of a box and of those around it."""

WIDTH = 0.0235
"""Columns of a box as a part of the image's height: 0.6 degrees of a view of 52."""

HEIGHT = 2.0
"""Rows of a box, in lines of the sensor."""

LARGEST_GAP = 0.08
"""Rows between two lines, as a part of the image's height, beyond which no line is missing."""

COVERED = 0.15
"""Part of the rows, mean over the columns with points, that the lines of a sensor cover at least.
Single beams, laser scans and sensors of few lines or few points do not: they stay as they are."""

AROUND, DENSE = 20, 4
"""Points at any distance that half of the points have around them at least, and neighbours that an
eighth of them has, where neighbours can be expected. 1,000 points at random have 13 around."""

FEWEST_CLEAR, FEWEST = 1, 2
"""Neighbours that a point needs in clear air, and that most points of any surface have."""

CLUTTERED = 0.045
"""Part of the points in view with fewer than FEWEST, from which on the air is not clear."""

FEWEST_CLUTTERED, ROUNDS = 3, 2
"""Neighbours that a point needs then, among those that are left, and how often that is asked."""


class ClutterFilter:
    """
    Finds echoes of the air among the points of one sensor; reuses its memory.

    :ivar points: points of the last call.
    :ivar removed: how many of them were echoes.
    """

    def __init__(self) -> None:
        """See the class."""
        self.points = self.removed = 0
        self._memory: dict[str, NDArray[np.uint8]] = {}

    def __call__(
        self, flat: NDArray[np.intp], z: NDArray[np.float32], size: tuple[int, int]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """
        Leave out the echoes.

        :param flat: (N,) index of each point's pixel, row by row.
        :param z: (N,) metres along the optical axis, > 0.
        :param size: (width, height) of the image in pixels.
        :returns: the same of the points that stay; the arguments where all do.
        """
        self.points, self.removed = len(z), 0
        stays = self.stays(flat, z, size)
        if stays is None:
            return flat, z
        self.removed = len(z) - int(np.count_nonzero(stays))
        return flat[stays], z[stays]

    def stays(
        self, flat: NDArray[np.intp], z: NDArray[np.float32], size: tuple[int, int]
    ) -> NDArray[np.bool_] | None:
        """
        Which points are no echoes; the arguments are those of a call.

        :returns: (N,), or None where that cannot be told, so that all stay.
        """
        width, height = size
        pixel = flat.astype(np.int32)
        row = pixel // np.int32(width)
        wide = max(2, round(WIDTH * height))
        column = (pixel - row * np.int32(width)) // np.int32(wide)
        pitch = line_pitch(row, column, height)
        near = np.flatnonzero(z < FARTHEST_ECHO)
        if not pitch or not len(near):
            return None
        high = round(min(max(HEIGHT * pitch, 4), LARGEST_GAP * height))
        if not _crowded(row // np.int32(high), column):
            return None
        # a border of empty boxes on all sides: no neighbourhood leaves the grid
        level = np.log(np.maximum(z[near], NEAREST_BOX) * np.float32(1 / NEAREST_BOX))
        level *= np.float32(1 / STEP)
        levels = int(np.log(FARTHEST_ECHO / NEAREST_BOX) / STEP) + 3
        columns = -(-width // wide) + 2
        shape = (-(-height // high) + 2, columns * levels)
        box = (row[near] // np.int32(high) + 1) * np.int32(columns) + (column[near] + 1)
        box = box * np.int32(levels) + level.astype(np.int32) + 1
        found = self._neighbours(box, box, shape, levels)
        if np.count_nonzero(found >= DENSE) * 8 < len(found):
            return None
        left = found >= FEWEST
        if len(left) - np.count_nonzero(left) <= CLUTTERED * len(z):
            left = found >= FEWEST_CLEAR
        else:
            for _ in range(ROUNDS):
                left &= self._neighbours(box[left], box, shape, levels) >= FEWEST_CLUTTERED
        stays = np.ones(len(z), np.bool_)
        stays[near] = left
        return stays

    def _neighbours(
        self, counted: NDArray[np.int32], asked: NDArray[np.int32], shape: tuple[int, int], up: int
    ) -> NDArray[np.uint8]:
        """
        Points in the boxes around each.

        :param counted: (N,) box of each point that counts.
        :param asked: (M,) box of each point that is asked about, and counts itself.
        :param shape: rows of boxes, and columns times levels of distance.
        :param up: levels: from one column to the next.
        :returns: (M,), itself not among them; 254 is that many or more.
        """
        grid, total = self._plane('grid', shape), self._plane('total', shape)
        grid.fill(0)
        boxes = np.sort(counted)
        ends = np.flatnonzero(np.append(boxes[1:] != boxes[:-1], [True] * bool(len(boxes))))
        grid.reshape(-1)[boxes[ends]] = np.minimum(np.diff(ends, prepend=-1), 255)
        for step in (1, up, shape[1]):
            # sums that end at 255: of the two beside, then with the one between
            total.fill(0)
            one, other = grid.reshape(1, -1), total.reshape(1, -1)
            cv2.add(one[:, : -2 * step], one[:, 2 * step :], dst=other[:, step:-step])
            cv2.add(grid, total, dst=grid)
        around: NDArray[np.uint8] = grid.reshape(-1)[asked]
        return np.maximum(around, 1) - np.uint8(1)

    def _plane(self, name: str, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Memory of that name and shape."""
        known = self._memory.get(name)
        if known is None or known.size < shape[0] * shape[1]:
            known = self._memory[name] = np.empty(shape[0] * shape[1], np.uint8)
        return known.reshape(-1)[: shape[0] * shape[1]].reshape(shape)


def _crowded(row: NDArray[np.int32], column: NDArray[np.int32]) -> bool:
    """Whether half of the points have enough others around them; rows and columns of boxes."""
    columns = int(column.max()) + 1
    place = row * np.int32(columns) + column
    boxes = np.bincount(place, minlength=(int(row.max()) + 1) * columns)
    around = cv2.boxFilter(
        boxes.reshape(-1, columns).astype(np.float32),
        -1,
        (3, 3),
        normalize=False,
        borderType=cv2.BORDER_CONSTANT,
    )
    # a point is not around itself
    return 2 * int(np.count_nonzero(around.reshape(-1)[place] > AROUND)) >= len(place)


def line_pitch(row: NDArray[Any], column: NDArray[Any], height: int) -> int:
    """
    Distance of the lines of a sensor, from the gaps between the points above each other.

    :param row: (N,) of each point.
    :param column: (N,) of each point, or of the stripe of columns that it lies in.
    :param height: of the image, in rows.
    :returns: rows; half of what is covered lies in larger gaps. 0 where the points cover too
        little to speak of lines.
    """
    if not len(row):
        return 0
    # stripe by stripe from top to bottom, and farther apart than any gap that counts
    places = np.sort(column.astype(np.int32) * np.int32(2 * height) + row.astype(np.int32))
    gaps = np.diff(places)
    stripes = 1 + np.count_nonzero(gaps >= height)
    largest = int(LARGEST_GAP * height)
    covered = np.bincount(gaps[gaps <= largest], minlength=1)
    covered = np.cumsum(covered * np.arange(len(covered)))
    if covered[-1] < COVERED * height * stripes:
        return 0
    return int(np.searchsorted(covered, covered[-1] / 2))
