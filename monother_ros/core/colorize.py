# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth as a colour picture for people."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray


def colorize(
    depth: NDArray[np.float32],
    near: float,
    far: float,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """
    Turbo colours over the logarithm of depth: red is near, blue is far, black is unknown.

    The scale is fixed by near and far, so that a colour means the same in every frame.

    :param depth: (H, W) metres, NaN where unknown.
    :param near: depth of the reddest colour in metres, > 0.
    :param far: depth of the bluest colour in metres, > near.
    :param out: (H, W, 3) uint8 to write into; made where None.
    :returns: (H, W, 3) uint8 in BGR order.
    """
    known = cv2.inRange(depth, 0.0, math.inf)
    level = cv2.log(depth)
    gain = -255.0 / math.log(far / near)
    np.multiply(level, np.float32(gain), out=level)
    np.add(level, np.float32(-gain * math.log(far)), out=level)
    np.clip(level, np.float32(0), np.float32(255), out=level)
    grey = cv2.convertScaleAbs(level)
    picture = cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)
    target = np.empty(picture.shape, np.uint8) if out is None else out
    target[...] = 0
    cv2.copyTo(picture, known, target)
    return target
