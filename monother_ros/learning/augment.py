# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training samples from thermal frames: normalisation and random changes that keep depth true."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.learning.rendered import PERCENTILES

MEAN = 0.5
"""Subtracted from the scaled input."""
STD = 0.25
"""Divides the scaled input."""
CANONICAL_FOCAL = 260.0
"""Focal length in pixels at a network width of 320 for which the network says depth."""


@dataclass(frozen=True)
class AugmentSettings:
    """How strongly samples are changed; probabilities unless said otherwise."""

    flip: float = 0.5
    """mirror left and right"""
    bounds: float = 0.4
    """other percentiles than those of the bundle"""
    zoom: float = 0.2
    """crop a window, which is what a longer lens pointed a little elsewhere sees"""
    largest_zoom: float = 1.3
    """ratio of the picture to the smallest window"""
    gamma: float = 0.25
    """bend of the grey scale"""
    contrast: float = 0.25
    """gain and offset of the grey scale"""
    noise: float = 0.3
    """temporal noise"""
    pattern: float = 0.2
    """column and row noise"""
    shading: float = 0.2
    """smooth brightness change over the picture"""
    blur: float = 0.1
    """defocus"""
    erase: float = 0.05
    """rows without content"""

    def weakened(self, part: float) -> AugmentSettings:
        """
        The same changes less often; mirroring, which costs nothing, stays.

        :param part: factor of all other probabilities, 0 to 1.
        """
        kept = ('flip', 'largest_zoom')
        values = {k: v if k in kept else v * part for k, v in asdict(self).items()}
        return AugmentSettings(**values)


PLAIN = AugmentSettings(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
"""No change at all, for validation."""


def make_sample(
    thermal: NDArray[np.uint16],
    depth: NDArray[Any],
    bounds: NDArray[np.float32],
    focal: float,
    size: tuple[int, int],
    far: float,
    rng: np.random.Generator,
    settings: AugmentSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Input and target of one training sample.

    Depth is told for the canonical focal length: the same picture through a lens s times longer
    shows everything s times farther away, so target = depth * canonical / (focal * zoom).

    :param thermal: (H, W) counts.
    :param depth: (H, W) metres, +inf for sky.
    :param bounds: (10,) counts at rendered.PERCENTILES.
    :param focal: of the camera, pixels at a width of 320.
    :param size: (width, height) of the sample.
    :param far: target depth of sky, metres.
    :param rng: source of all that is random.
    :param settings: what to change.
    :returns: (h, w) float32 network input and (h, w) float32 natural logarithm of metres.
    """
    low, high = _bounds(bounds, rng, settings)
    image = (thermal.astype(np.float32) - low) * np.float32(1.0 / max(high - low, 1.0))
    np.clip(image, 0.0, 1.0, out=image)
    image, cut, zoom = _window(image, depth, size, rng, settings)
    image = _photometric(image, rng, settings)
    target = np.minimum(cut.astype(np.float32) * np.float32(CANONICAL_FOCAL / (focal * zoom)), far)
    np.log(np.maximum(target, 0.01, out=target), out=target)
    if rng.random() < settings.flip:
        image, target = image[:, ::-1], target[:, ::-1]
    return (image - np.float32(MEAN)) * np.float32(1 / STD), np.ascontiguousarray(target)


def _bounds(
    bounds: NDArray[np.float32], rng: np.random.Generator, settings: AugmentSettings
) -> tuple[float, float]:
    """Counts that become 0 and 1."""
    low, high = float(bounds[PERCENTILES.index(2.0)]), float(bounds[PERCENTILES.index(98.0)])
    if rng.random() < settings.bounds:
        half = len(PERCENTILES) // 2
        places = np.arange(half)
        low = float(np.interp(rng.uniform(0, half - 1), places, bounds[:half]))
        high = float(np.interp(rng.uniform(0, half - 1), places, bounds[half:]))
        # a window that follows slowly is a little off after a change
        span = max(high - low, 1.0)
        low += span * float(rng.normal(0, 0.03))
        high += span * float(rng.normal(0, 0.03))
    return low, high


def _window(
    image: NDArray[np.float32],
    depth: NDArray[Any],
    size: tuple[int, int],
    rng: np.random.Generator,
    settings: AugmentSettings,
) -> tuple[NDArray[np.float32], NDArray[Any], float]:
    """Cut and resize picture and depth; depth is never mixed over an edge."""
    window, zoom = random_window((image.shape[0], image.shape[1]), rng, settings)
    image, depth = image[window], depth[window]
    if (image.shape[1], image.shape[0]) == size:
        return image, depth, zoom
    shrinks = image.shape[1] >= size[0] and image.shape[0] >= size[1]
    # INTER_AREA is several times slower where the ratio is no whole number
    whole = image.shape[1] % size[0] == 0 and image.shape[0] % size[1] == 0
    method = cv2.INTER_AREA if shrinks and whole else cv2.INTER_LINEAR
    picture = np.asarray(cv2.resize(image, size, interpolation=method), np.float32)
    return picture, nearest(depth, size), zoom


def random_window(
    shape: tuple[int, int], rng: np.random.Generator, settings: AugmentSettings
) -> tuple[tuple[slice, slice], float]:
    """
    Window of a picture, now and then smaller than it.

    :param shape: (rows, columns) of the picture.
    :param rng: source of all that is random.
    :param settings: how often and how small.
    :returns: rows and columns of the window, and how many times wider the picture is.
    """
    rows, columns = shape
    if rng.random() >= settings.zoom:
        return (slice(0, rows), slice(0, columns)), 1.0
    wanted = float(rng.uniform(1.0, settings.largest_zoom))
    height, width = round(rows / wanted), round(columns / wanted)
    top = int(rng.integers(rows - height + 1))
    left = int(rng.integers(columns - width + 1))
    return (slice(top, top + height), slice(left, left + width)), columns / width


def nearest(depth: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """
    Resize without mixing depth over an edge.

    :param depth: (H, W).
    :param size: (width, height) of the result.
    """
    rows = ((np.arange(size[1]) + 0.5) * (depth.shape[0] / size[1])).astype(np.intp)
    columns = ((np.arange(size[0]) + 0.5) * (depth.shape[1] / size[0])).astype(np.intp)
    return depth[rows[:, None], columns]


def _photometric(
    image: NDArray[np.float32], rng: np.random.Generator, settings: AugmentSettings
) -> NDArray[np.float32]:
    """Changes of brightness only; the result is within [0, 1]."""
    rows, columns = image.shape
    if rng.random() < settings.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.1))))
    if rng.random() < settings.gamma:
        image = np.power(image, np.float32(math.exp(rng.normal(0, 0.25))))
    if rng.random() < settings.contrast:
        gain, offset = float(rng.uniform(0.75, 1.25)), float(rng.normal(0, 0.06))
        image = image * np.float32(gain) + np.float32(0.5 - 0.5 * gain + offset)
    if rng.random() < settings.shading:
        knots = rng.normal(0, 0.06, (3, 4)).astype(np.float32)
        image = image + cv2.resize(knots, (columns, rows), interpolation=cv2.INTER_CUBIC)
    if rng.random() < settings.pattern:
        strength = float(rng.uniform(0.0, 0.03))
        image = image + np.float32(strength) * rng.standard_normal((1, columns), np.float32)
        image = image + np.float32(strength / 2) * rng.standard_normal((rows, 1), np.float32)
    if rng.random() < settings.noise:
        strength = float(rng.uniform(0.0, 0.05))
        image = image + np.float32(strength) * rng.standard_normal((rows, columns), np.float32)
    if rng.random() < settings.erase:
        first = int(rng.integers(rows))
        image = image.copy()
        image[first : first + int(rng.integers(1, max(2, rows // 16)))] = rng.random()
    return np.clip(image, 0.0, 1.0).astype(np.float32, copy=False)
