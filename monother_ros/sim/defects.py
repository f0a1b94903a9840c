# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with an RGB camera: drops, dust, glare, blur, too little light."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def _noisy(picture: NDArray[Any], rng: np.random.Generator, deviation: float) -> Pixels:
    """Sensor noise and 8 bits."""
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(deviation)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


class Drops:
    """
    Drops of water that stay where they are on the lens.

    Each is a small lens of its own: it shows its surroundings upside down, shrunk and out of
    focus.

    :param shape: (height, width) of the pictures.
    :param count: number of drops.
    :param rng: source of their places and sizes.
    :param radius: smallest and largest radius as a part of the height.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        count: int,
        rng: np.random.Generator,
        radius: tuple[float, float] = (0.03, 0.1),
    ) -> None:
        height, width = shape
        mask = np.zeros(shape, np.float32)
        self._drops: list[tuple[float, float, float]] = []
        for _ in range(count):
            size = float(rng.uniform(*radius)) * height
            x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
            axes = (round(size), round(size * float(rng.uniform(0.8, 1.3))))
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(mask, (round(x), round(y)), axes, turn, 0, 360, 1.0, -1)
            self._drops.append((x, y, size))
        self._blur = height / 40
        self._mask = cv2.GaussianBlur(mask, (0, 0), height / 160)[..., None]

    @property
    def covered(self) -> float:
        """Part of the picture behind drops."""
        return float(self._mask.mean())

    def __call__(self, picture: Pixels, rng: np.random.Generator) -> Pixels:
        """
        What the camera sees through them.

        :param picture: (H, W, 3) uint8.
        :param rng: source of sensor noise.
        """
        sharp = picture.astype(np.float32)
        height, width = sharp.shape[:2]
        layer = cv2.GaussianBlur(sharp, (0, 0), self._blur)
        for x, y, r in self._drops:
            left, right = max(round(x - 1.3 * r), 0), min(round(x + 1.3 * r), width)
            top, bottom = max(round(y - 1.3 * r), 0), min(round(y + 1.3 * r), height)
            seen = sharp[max(0, round(y - 4 * r)) : round(y + 4 * r)]
            seen = seen[:, max(0, round(x - 4 * r)) : round(x + 4 * r)]
            if min(right - left, bottom - top, *seen.shape[:2]) < 4:
                continue
            size = (right - left, bottom - top)
            small = cv2.resize(seen[::-1, ::-1], size, interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), max(1.5, r / 4))
            part = layer[top:bottom, left:right]
            layer[top:bottom, left:right] = 0.6 * small + 0.4 * part
        return _noisy(sharp + self._mask * (layer - sharp), rng, 1.0)


class Clouds:
    """
    Clouds of dust or smoke that drift between the RGB camera and what it looks at.

    Long waves pass them: particles of a micrometre scatter visible light only.

    :param shape: (height, width) of the pictures.
    :param rng: source of shape, colour and speed.
    :param cover: part of the picture in which something hides what is behind, in the mean.
    :param opacity: of the thickest parts, 0 to 1.
    """

    WIDTHS = 3
    """Length of the pattern in widths of the picture; it repeats."""

    def __init__(
        self,
        shape: tuple[int, int],
        rng: np.random.Generator,
        cover: float = 0.3,
        opacity: float = 0.9,
    ) -> None:
        height, width = shape
        size = (self.WIDTHS * width, height)
        field = np.zeros(size[::-1], np.float32)
        for octave in range(4):
            knots = 4 * 2**octave
            coarse = rng.standard_normal((knots, self.WIDTHS * knots), np.float32)
            coarse[:, -1] = coarse[:, 0]
            field += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) * 0.5**octave
        # raised from the ground: thickest somewhat below the horizon
        rows = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
        field -= np.float32(1.2) * np.abs(rows - np.float32(0.2))
        level = np.float32(np.quantile(field, 1.0 - cover))
        alpha = np.clip((field - level) / np.float32(0.6), 0, 1) * np.float32(opacity)
        # one width more, so that every view is a slice
        self._alpha = np.concatenate([alpha, alpha[:, :width]], 1)[..., None]
        self._width = width
        tint = np.array([1.0, 0.97, 0.92], np.float32)
        self._colour = np.float32(rng.uniform(150, 215)) * tint
        self._speed = float(rng.uniform(0.05, 0.2)) * width

    def alpha(self, seconds: float) -> NDArray[np.float32]:
        """
        How far the scene is hidden.

        :param seconds: since the clouds came up.
        :returns: (H, W, 1), 0 clear to `opacity`.
        """
        start = round(self._speed * seconds) % (self.WIDTHS * self._width)
        return self._alpha[:, start : start + self._width]

    def __call__(self, picture: Pixels, seconds: float, rng: np.random.Generator) -> Pixels:
        """
        What the camera sees of the scene.

        :param picture: (H, W, 3) uint8.
        :param seconds: since the clouds came up.
        :param rng: source of sensor noise.
        """
        alpha = self.alpha(seconds)
        return _noisy(picture + alpha * (self._colour - picture), rng, 1.0)


def glare(
    picture: Pixels,
    rng: np.random.Generator,
    *,
    radius: float = 0.14,
    veil: float = 40.0,
) -> Pixels:
    """
    The sun in or just beside the view: a white disc that blooms, and a veil over all.

    :param picture: (H, W, 3) uint8.
    :param rng: source of its place and of noise.
    :param radius: of the white disc as a part of the height.
    :param veil: levels that stray light adds everywhere.
    """
    height, width = picture.shape[:2]
    x, y = float(rng.uniform(0.2, 0.8)) * width, float(rng.uniform(0.2, 0.6)) * height
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot(u - x, v - y) / np.float32(height)
    # 255 is reached at the radius; bloom falls to half within the same distance
    bloom = np.float32(255.0) * np.exp2((np.float32(radius) - away) / np.float32(radius))
    return _noisy(picture.astype(np.float32) * 0.8 + (bloom + veil)[..., None], rng, 1.0)


def motion_blur(
    picture: Pixels, rng: np.random.Generator, *, length: float, angle: float = 0.0
) -> Pixels:
    """
    The camera turned while the shutter was open.

    :param picture: (H, W, 3) uint8.
    :param rng: source of noise.
    :param length: of the smear in pixels.
    :param angle: of the smear in radians.
    """
    half = math.ceil(length / 2) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for part in np.linspace(-0.5, 0.5, max(4 * round(length), 2)):
        x, y = half + part * length * math.cos(angle), half + part * length * math.sin(angle)
        kernel[round(y), round(x)] += 1.0
    return _noisy(cv2.filter2D(picture.astype(np.float32), -1, kernel / kernel.sum()), rng, 1.0)


def defocus(picture: Pixels, rng: np.random.Generator, *, sigma: float) -> Pixels:
    """
    The lens is out of focus.

    :param picture: (H, W, 3) uint8.
    :param rng: source of noise.
    :param sigma: of the blur in pixels.
    """
    return _noisy(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma), rng, 1.0)


def low_light(picture: Pixels, rng: np.random.Generator, *, light: float) -> Pixels:
    """
    Less light than the camera has gain for.

    Light is scaled before the gamma of 2.2. Gain makes up for a factor of 16; beyond that the
    picture gets dark. Noise is that of few photons and of a sensor that is read at high gain.

    :param picture: (H, W, 3) uint8 taken in plenty of light.
    :param rng: source of noise.
    :param light: part of the light that is left, > 0.
    """
    linear = (picture.astype(np.float32) / 255.0) ** 2.2 * np.float32(light)
    # a full well of 8,000 electrons and 6 of read noise
    noise = np.sqrt(linear / 8000.0 + (6.0 / 8000.0) ** 2)
    linear = linear + noise * rng.standard_normal(linear.shape, np.float32)
    gain = min(1.0 / light, 16.0)
    bent = 255.0 * np.clip(linear * gain, 0, 1) ** (1 / 2.2)
    return np.asarray(bent, np.uint8)


def underexposed(picture: Pixels, factor: float) -> Pixels:
    """
    A dark scene that the camera exposes well: darker, but no noisier.

    :param picture: (H, W, 3) uint8.
    :param factor: of the grey levels; the brightest tenth stays bright, as a sky does.
    """
    plane = picture.astype(np.float32)
    high = np.float32(np.percentile(plane, 90))
    part = np.clip((plane - high) / max(255.0 - float(high), 1.0), 0, 1)
    low = np.float32(factor)
    return np.asarray(plane * (low + (1 - low) * part), np.uint8)
