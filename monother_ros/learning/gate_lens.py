# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drops and dirt on a lens: patches that stay blurred at their place while the scene moves by."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELL = 8
"""Side of a cell, pixels of a picture 320 wide."""

AROUND = 11
"""A cell is compared with the median of so many cells around it in each direction."""

DEFICIT = 0.7
"""Logarithm of the fine structure that a patch lacks (half of it is missing)."""

SCALE = 40.0
"""Logarithms are compared in steps of 1 / SCALE."""

MEMORY = 8
"""Views that are averaged."""

LEAST = 6
"""Views before anything is said."""


class LensWatch:
    """
    Averages the fine structure of each part of the picture over views.

    Over many views every part of the picture sees much the same, up to slow changes from the
    ground to the sky; a drop does not. Only pictures of new views may be given, or what stands
    before the lens would be taken for what is on it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all views."""
        self._structure: NDArray[np.float32] | None = None
        self.views = 0
        """Views taken so far."""
        self.covered = 0.0
        """Part of the picture that is blurred by something on the lens; 0 until it is known."""

    def update(self, grey: NDArray[np.uint8]) -> float:
        """
        Take a new view.

        :param grey: (h, w) uint8, about 320 wide; another size starts anew.
        :returns: `covered`.
        """
        fine = np.log(_fine(grey) + np.float32(1.0))
        if self._structure is None or self._structure.shape != fine.shape:
            self.reset()
            self._structure = fine
        self.views += 1
        gain = np.float32(1.0 / min(self.views, MEMORY))
        self._structure = self._structure + gain * (fine - self._structure)
        if self.views >= LEAST:
            self.covered = float((_deficit(self._structure) > DEFICIT).mean())
        return self.covered


def _fine(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean size of the Laplacian in each cell, (h / CELL, w / CELL) float32 levels."""
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_16S, ksize=1)).astype(np.float32)
    size = (max(grey.shape[1] // CELL, 1), max(grey.shape[0] // CELL, 1))
    return np.asarray(cv2.resize(edges, size, interpolation=cv2.INTER_AREA), np.float32)


def _deficit(structure: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much each cell has less fine structure than the median around it."""
    half = AROUND // 2
    steps = np.clip(structure * SCALE, 0, 255).astype(np.uint8)
    padded = cv2.copyMakeBorder(steps, half, half, half, half, cv2.BORDER_REFLECT)
    median = cv2.medianBlur(padded, AROUND)[half:-half, half:-half]
    return (median.astype(np.float32) - steps) / np.float32(SCALE)
