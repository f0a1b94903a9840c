# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random changes of image pairs, as MonoTher-Depth is trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError
from monother_ros.learning.datasets import PairSample

Augmentation = Callable[[PairSample, np.random.Generator], PairSample]
"""Gives a changed copy of a sample; everything random comes from the generator."""

HUE = 0.1
"""Largest turn of the hue, as a part of the full circle."""
JITTER = 0.2
"""Largest relative change of brightness, contrast and saturation (albumentations' default)."""
SPREAD = 0.1
"""Gamma, brightness and gain are drawn from 1 - SPREAD .. 1 + SPREAD."""

_GREY = np.array([0.299, 0.587, 0.114], np.float32)[:, None, None]


def augmentation(name: str, *, flip_geometry: bool = True) -> Augmentation:
    """
    Augmentation that a recipe names.

    :param name: 'ms2', 'vivid' or 'none'.
    :param flip_geometry: see :func:`augment_vivid`.
    :raises DatasetError: the name is not known.
    """
    known: dict[str, Augmentation] = {
        'ms2': augment_ms2,
        'vivid': partial(augment_vivid, flip_geometry=flip_geometry),
        'none': lambda sample, _: sample,
    }
    if name not in known:
        msg = f'augmentation {name!r} is not known; use one of {", ".join(known)}'
        raise DatasetError(msg)
    return known[name]


def augment_ms2(sample: PairSample, rng: np.random.Generator) -> PairSample:
    """
    Photometric changes of thermal and RGB, drawn independently (recipe (a) of MonoTher-Depth).

    Gamma of 0.9..1.1 with probability 0.5, then colour jitter always: hue by up to a tenth of the
    circle, brightness, contrast and saturation by up to 20 %, in random order. The thermal image
    has one channel, so hue and saturation do not act on it. Geometry and labels stay.

    :param sample: is not changed.
    :param rng: source of all that is random.
    """
    return replace(
        sample,
        thermal=_jitter(_maybe_gamma(sample.thermal, rng), rng),
        rgb=_jitter(_maybe_gamma(sample.rgb, rng), rng),
    )


def augment_vivid(
    sample: PairSample, rng: np.random.Generator, *, flip_geometry: bool = True
) -> PairSample:
    """
    Joint mirroring and changes of brightness (recipe (b) of MonoTher-Depth).

    Both images and labels are mirrored left-right with probability 0.5. Then, with probability
    0.5, each image gets a gamma, a brightness and a gain per channel of 0.9..1.1, drawn
    independently for the two, clipped to [0, 1].

    :param sample: is not changed.
    :param rng: source of all that is random.
    :param flip_geometry: mirror the intrinsics and the pose with the images. False leaves them as
        they are, which is wrong geometry for half of the samples and what was published (Q7).
    """
    if rng.random() < 0.5:
        sample = mirrored(sample, geometry=flip_geometry)
    if rng.random() < 0.5:
        sample = replace(
            sample, thermal=_brighten(sample.thermal, rng), rgb=_brighten(sample.rgb, rng)
        )
    return sample


def mirrored(sample: PairSample, *, geometry: bool = True) -> PairSample:
    """
    Mirror image of a pair: what the mirrored rig would see in the mirrored world.

    With M = diag(-1, 1, 1): c_x becomes W - 1 - c_x, and the pose M T M.

    :param geometry: False mirrors images and labels only.
    """
    width = sample.size[1]
    mirror = np.diag(np.array([-1, 1, 1, 1], np.float32))
    kept = replace(
        sample,
        thermal=_flip(sample.thermal),
        rgb=_flip(sample.rgb),
        thermal_depth=None if sample.thermal_depth is None else _flip(sample.thermal_depth),
        rgb_depth=None if sample.rgb_depth is None else _flip(sample.rgb_depth),
    )
    if not geometry:
        return kept
    return replace(
        kept,
        thermal_intrinsics=_mirror_camera(sample.thermal_intrinsics, width),
        rgb_intrinsics=_mirror_camera(sample.rgb_intrinsics, width),
        extrinsics=(mirror @ sample.extrinsics @ mirror).astype(np.float32),
    )


def _flip(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mirror the columns of (C, H, W)."""
    return np.ascontiguousarray(image[..., ::-1])


def _mirror_camera(matrix: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Camera matrix of the mirrored image."""
    result = matrix.copy()
    result[0, 2] = width - 1 - matrix[0, 2]
    result[0, 1] = -matrix[0, 1]
    return result


def _maybe_gamma(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gamma with probability 0.5."""
    if rng.random() >= 0.5:
        return image
    return np.power(image, np.float32(rng.uniform(1 - SPREAD, 1 + SPREAD)))


def _jitter(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness, contrast, saturation and hue in random order; (1 or 3, H, W) in [0, 1]."""
    colour = image.shape[0] == 3
    gains = rng.uniform(1 - JITTER, 1 + JITTER, 3).astype(np.float32)
    turn = float(rng.uniform(-HUE, HUE))
    for change in rng.permutation(4):
        if change == 0:
            image = image * gains[0]
        elif change == 1:
            mean = np.float32((image * _GREY).sum(0).mean() if colour else image.mean())
            image = image * gains[1] + mean * (1 - gains[1])
        elif change == 2 and colour:
            image = image * gains[2] + (image * _GREY).sum(0, keepdims=True) * (1 - gains[2])
        elif change == 3 and colour:
            image = _turn_hue(image, turn)
        image = np.clip(image, 0.0, 1.0)
    return image.astype(np.float32, copy=False)


def _turn_hue(image: NDArray[np.float32], turn: float) -> NDArray[np.float32]:
    """Turn the hue of (3, H, W) in [0, 1] by a part of the circle."""
    hsv = cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0)), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360.0 * turn) % 360.0
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32)


def _brighten(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Gamma, brightness and a gain per channel; (C, H, W) in [0, 1]."""
    gamma, brightness = rng.uniform(1 - SPREAD, 1 + SPREAD, 2)
    gains = rng.uniform(1 - SPREAD, 1 + SPREAD, (image.shape[0], 1, 1))
    changed = np.power(image, np.float32(gamma)) * (brightness * gains).astype(np.float32)
    return np.clip(changed, 0.0, 1.0).astype(np.float32, copy=False)
