# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What different cameras make of the same radiance before they hand out counts.

Many do not deliver counts that grow linearly with radiance, but a picture for people: polarity
reversed, the histogram equalised with a plateau (so that no grey value takes too much of the
range), or large differences compressed and detail enhanced; old ones have a strong fixed pattern.
Each frame is treated by itself.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

RESPONSES = ('linear', 'black_hot', 'equalised', 'compressed', 'worn')
"""Known responses; linear is that of a radiometric camera and changes nothing."""

PLATEAU = 3.0
"""Equalised: a bin of the histogram counts at most so many times the mean of the filled bins."""

BINS = 1024
DETAIL = 0.056
"""Compressed: part of the range that a standard deviation of detail gets."""

WORN_PATTERN = 5.0
"""Worn: factor on the fixed pattern of pixels, columns and rows, and on noise half of it."""

LOW, HIGH = 0.08, 0.92
"""Part of the full range that pictures made for people fill."""


def respond(signal: NDArray[np.float32], response: str, limit: int) -> NDArray[np.float32]:
    """
    Counts that a camera makes of its detector's signal.

    :param signal: (H, W) counts, linear in radiance; not changed.
    :param response: one of `RESPONSES`.
    :param limit: largest count of the camera.
    :returns: (H, W) float32 counts, not rounded; the argument itself for linear and worn.
    """
    if response == 'black_hot':
        return np.asarray(np.float32(limit) - signal, np.float32)
    if response == 'equalised':
        return _spread(_equalised(signal), limit)
    if response == 'compressed':
        return _spread(_compressed(signal), limit)
    return signal


def _spread(part: NDArray[np.float32], limit: int) -> NDArray[np.float32]:
    """0 to 1 as counts."""
    return np.asarray((np.float32(LOW) + np.float32(HIGH - LOW) * part) * np.float32(limit))


def _equalised(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Plateau equalisation: the cumulated, clipped histogram is the tone curve, 0 to 1."""
    low, high = float(signal.min()), float(signal.max())
    counts, edges = np.histogram(signal, BINS, (low, max(high, low + 1.0)))
    filled = max(int((counts > 0).sum()), 1)
    clipped = np.minimum(counts, PLATEAU * signal.size / filled)
    curve = np.concatenate([[0.0], np.cumsum(clipped)])
    curve /= max(float(curve[-1]), 1.0)
    return np.asarray(np.interp(signal, edges, curve), np.float32)


def _compressed(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth base squeezed by its ranks, detail beyond it stretched, 0 to 1."""
    scale = max(signal.shape[1] / 320, 0.1)
    spread = max(float(np.subtract(*np.percentile(signal, [84, 16]))) / 2, 1.0)
    middle = np.float32(np.median(signal))
    relative = (signal - middle) / np.float32(spread)
    base = np.asarray(cv2.GaussianBlur(relative, (0, 0), 9.0 * scale), np.float32)
    detail = relative - base
    size = max(float(np.std(detail)), 1e-3)
    detail = np.tanh(detail / np.float32(4.0 * size)) * np.float32(4.0)
    squeezed = np.float32(0.5) + np.float32(0.22) * np.tanh(base * np.float32(0.8))
    return np.asarray(np.clip(squeezed + np.float32(DETAIL) * detail, 0, 1), np.float32)
