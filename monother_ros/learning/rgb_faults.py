# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What spoils an RGB picture for a while: glare, drops on the lens, dust, darkness, blur."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def glare(rgb: Picture, rng: np.random.Generator) -> Picture:
    """
    Veiling light around a point in the picture, up to white.

    :param rgb: (H, W, 3).
    :param rng: source of place and strength.
    """
    rows, columns = rgb.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    middle = rng.uniform([0.0, 0.0], [columns, rows * 0.7])
    away = np.hypot(x - middle[0], y - middle[1]) / np.float32(columns)
    spot = np.exp(-((away / np.float32(rng.uniform(0.08, 0.35))) ** 2))
    light = np.float32(rng.uniform(120, 400)) * spot + np.float32(rng.uniform(0, 90))
    return np.clip(rgb + light[..., None], 0, 255).astype(np.uint8)


def drops(rgb: Picture, rng: np.random.Generator) -> Picture:
    """
    Drops on the lens: round places where the picture is smeared.

    :param rgb: (H, W, 3).
    :param rng: source of place and size.
    """
    rows, columns = rgb.shape[:2]
    smeared = cv2.GaussianBlur(rgb, (0, 0), columns / 22)
    mask = np.zeros((rows, columns), np.float32)
    for _ in range(int(rng.integers(4, 16))):
        centre = (int(rng.integers(columns)), int(rng.integers(rows)))
        axes = (int(rng.uniform(0.02, 0.10) * columns), int(rng.uniform(0.02, 0.13) * columns))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.0), np.float32)[..., None]
    return np.asarray(rgb * (1 - mask) + smeared * mask, np.uint8)


def dark(rgb: Picture, rng: np.random.Generator) -> Picture:
    """
    Too little light: dark and noisy.

    :param rgb: (H, W, 3).
    :param rng: source of strength and noise.
    """
    level = np.float32(rng.uniform(0.04, 0.35))
    noise = rng.standard_normal(rgb.shape, np.float32) * np.float32(rng.uniform(3, 14))
    return np.clip(rgb * level + noise, 0, 255).astype(np.uint8)


def blurred(rgb: Picture, rng: np.random.Generator) -> Picture:
    """
    Motion blur, or out of focus.

    :param rgb: (H, W, 3).
    :param rng: source of kind and strength.
    """
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(1.5, 6))), np.uint8)
    length = int(rng.integers(7, 32))
    kernel = np.zeros((length, length), np.float32)
    turn = float(rng.normal(0, 0.3))
    half = (length - 1) / 2
    ends = [(round(half + s * half * np.cos(turn)), round(half + s * half * np.sin(turn)))
            for s in (-1, 1)]  # fmt: skip
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    kernel /= kernel.sum()
    return np.asarray(cv2.filter2D(rgb, -1, kernel), np.uint8)


def clouds(rgb: Picture, rng: np.random.Generator) -> Picture:
    """
    Dust, steam or smoke between camera and scene: patches that hide what is behind them.

    :param rgb: (H, W, 3).
    :param rng: source of shape, colour and thickness.
    """
    rows, columns = rgb.shape[:2]
    field = np.zeros((rows, columns), np.float32)
    for knots, weight in ((3, 1.0), (6, 0.6), (12, 0.35), (24, 0.2)):
        coarse = rng.standard_normal((knots, knots + 1), np.float32) * np.float32(weight)
        field += cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    level = np.quantile(field, 1.0 - float(rng.uniform(0.1, 0.6)))
    soft = np.float32(rng.uniform(0.3, 1.2))
    hidden = np.clip((field - np.float32(level)) / soft, 0, 1) * np.float32(rng.uniform(0.6, 1.0))
    grey = np.float32(rng.uniform(90, 230)) * rng.uniform(0.88, 1.0, 3).astype(np.float32)
    return np.asarray(rgb + hidden[..., None] * (grey - rgb), np.uint8)


FAULTS: tuple[Callable[[Picture, np.random.Generator], Picture], ...] = (
    glare, glare, drops, clouds, clouds, dark, blurred,
)  # fmt: skip
"""Faults as often as they are drawn."""


def spoil(rgb: Picture, rng: np.random.Generator) -> Picture:
    """
    Picture with one fault.

    :param rgb: (H, W, 3) uint8; not changed.
    :param rng: source of everything random.
    """
    return FAULTS[int(rng.integers(len(FAULTS)))](rgb, rng)
