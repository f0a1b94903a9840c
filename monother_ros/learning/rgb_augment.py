# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples from RGB frames: random changes that keep depth true."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.learning.augment import (
    CANONICAL_FOCAL,
    MEAN,
    STD,
    AugmentSettings,
    nearest,
    random_window,
)


def make_rgb_sample(
    rgb: NDArray[np.uint8],
    depth: NDArray[Any],
    focal: float,
    size: tuple[int, int],
    far: float,
    rng: np.random.Generator,
    settings: AugmentSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Input and target of one training sample; depth is told for the canonical focal length.

    Of the settings, those of sensor faults that only thermal cameras have (bounds, pattern,
    shading, erased rows) are not used.

    :param rgb: (H, W, 3) red, green, blue.
    :param depth: (H, W) metres, +inf for sky.
    :param focal: horizontal, of the camera, pixels at a width of 320.
    :param size: (width, height) of the sample.
    :param far: target depth of sky, metres.
    :param rng: source of all that is random.
    :param settings: what to change.
    :returns: (3, h, w) float32 network input and (h, w) float32 natural logarithm of metres.
    """
    window, zoom = random_window((depth.shape[0], depth.shape[1]), rng, settings)
    rgb, depth = rgb[window], depth[window]
    if (depth.shape[1], depth.shape[0]) != size:
        shrinks = depth.shape[1] >= size[0] and depth.shape[0] >= size[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=method), np.uint8)
        depth = nearest(depth, size)
    image = _photometric(rgb.astype(np.float32) * np.float32(1 / 255), rng, settings)
    target = np.minimum(
        depth.astype(np.float32) * np.float32(CANONICAL_FOCAL / (focal * zoom)), far
    )
    np.log(np.maximum(target, 0.01, out=target), out=target)
    if rng.random() < settings.flip:
        image, target = image[:, ::-1], target[:, ::-1]
    planes = (image.transpose(2, 0, 1) - np.float32(MEAN)) * np.float32(1 / STD)
    return np.ascontiguousarray(planes), np.ascontiguousarray(target)


def _photometric(
    image: NDArray[np.float32], rng: np.random.Generator, settings: AugmentSettings
) -> NDArray[np.float32]:
    """Changes of light, colour and sharpness; the result is within [0, 1]."""
    if rng.random() < settings.blur * 3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.9))))
    if rng.random() < settings.gamma:
        image = np.power(image, np.float32(math.exp(rng.normal(0, 0.25))))
    if rng.random() < settings.contrast:
        gain, offset = float(rng.uniform(0.75, 1.25)), float(rng.normal(0, 0.05))
        image = image * np.float32(gain) + np.float32(0.5 - 0.5 * gain + offset)
    if rng.random() < settings.contrast:
        image = image * rng.uniform(0.88, 1.12, 3).astype(np.float32)
    if rng.random() < settings.contrast:
        grey = image.mean(2, keepdims=True)
        image = grey + (image - grey) * np.float32(rng.uniform(0.4, 1.4))
    if rng.random() < settings.noise:
        strength = np.float32(rng.uniform(0.0, 0.04))
        image = image + strength * rng.standard_normal(image.shape, np.float32)
    return np.clip(image, 0.0, 1.0).astype(np.float32, copy=False)
