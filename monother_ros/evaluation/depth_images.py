# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images as arrays in metres, and at one size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import MessageError


def metres(image: NDArray[Any]) -> NDArray[np.float32]:
    """
    Depth image in metres.

    :param image: (H, W) float32 in metres, or uint16 in millimetres with 0 for unknown (REP-118).
    :raises MessageError: it is neither.
    """
    if image.ndim == 2 and image.dtype == np.uint16:
        return np.where(image > 0, image.astype(np.float32) / 1000, np.nan).astype(np.float32)
    if image.ndim == 2 and image.dtype in (np.float32, np.float64):
        return np.asarray(image, np.float32)
    msg = f'an image of {image.dtype} and shape {image.shape} is no depth; 32FC1 or 16UC1 is'
    raise MessageError(msg)


def fit(truth: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """
    Truth at the size of the prediction, nearest neighbour so that edges stay edges.

    :param truth: (H, W) metres.
    :param shape: (h, w) wanted.
    """
    if truth.shape != shape:
        truth = cv2.resize(truth, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(truth, np.float32)
