# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that show whether the calibration of image pairs is right."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.colorize import colorize
from monother_ros.learning.datasets import PairSample, label_mask
from monother_ros.learning.rectify import project_points

NEAR, FAR = 1.0, 60.0
"""Ends of the colour scale in metres."""


def resized_label(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """
    Label at another size; each pixel takes the nearest one.

    :param depth: (1, H, W) metres, 0 where unknown.
    :param size: (height, width) of the result.
    :returns: (height, width).
    """
    height, width = depth.shape[1:]
    rows = ((np.arange(size[0]) + 0.5) * (height / size[0])).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * (width / size[1])).astype(np.intp)
    return depth[0][rows[:, None], columns]


def moved_label(sample: PairSample) -> NDArray[np.float32] | None:
    """
    Thermal label as points seen by the RGB camera; of several on a pixel the nearest counts.

    :returns: (H, W) metres in the RGB camera at the size of the images, 0 where no point lies;
        None without a thermal label.
    """
    if sample.thermal_depth is None:
        return None
    height, width = sample.size
    depth = resized_label(sample.thermal_depth, sample.size).astype(np.float64)
    v, u = np.nonzero(label_mask(depth))
    z = depth[v, u]
    homogeneous = np.stack([u * z, v * z, z])
    points = np.linalg.solve(sample.thermal_intrinsics.astype(np.float64), homogeneous).T
    fx, fy, cx, cy = (float(sample.rgb_intrinsics[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
    camera = Intrinsics(width, height, fx, fy, cx, cy)
    return project_points(points, sample.extrinsics.astype(np.float64), camera, radius=0)


def label_agreement(sample: PairSample) -> float | None:
    """
    Median relative difference of both labels where they show the same, a check of calibration.

    :returns: None where there are not two labels with common pixels.
    """
    moved = moved_label(sample)
    if moved is None or sample.rgb_depth is None:
        return None
    own = resized_label(sample.rgb_depth, sample.size)
    both = label_mask(moved) & label_mask(own)
    if not both.any():
        return None
    return float(np.median(np.abs(moved[both] - own[both]) / own[both]))


def pair_picture(sample: PairSample) -> NDArray[np.uint8]:
    """
    One row for people: thermal, RGB, thermal label over the RGB image, thermal in red over it.

    With a right calibration the edges of the label and of the red picture lie on those of RGB.

    :returns: (H, 4 W, 3) uint8 BGR; the last two are black without a thermal label.
    """
    height, width = sample.size
    thermal = np.rint(sample.thermal[0] * 255).astype(np.uint8)
    rgb = np.rint(sample.rgb.transpose(1, 2, 0)[..., ::-1] * 255).astype(np.uint8)
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_BGR2GRAY)
    tiles = [cv2.cvtColor(thermal, cv2.COLOR_GRAY2BGR), rgb]
    moved = moved_label(sample)
    if moved is None:
        tiles += [np.zeros((height, width, 3), np.uint8)] * 2
    else:
        known = moved > 0
        colours = colorize(np.where(known, moved, np.nan).astype(np.float32), NEAR, FAR)
        over = np.where(known[..., None], colours // 2 + (grey // 2)[..., None], grey[..., None])
        seen = np.where(known, _thermal_at(sample, moved, thermal), 0)
        fused = np.stack([grey, grey, np.where(known, seen, grey)], -1)
        tiles += [over, fused]
    return np.ascontiguousarray(np.concatenate(tiles, 1), np.uint8)


def _thermal_at(
    sample: PairSample, depth: NDArray[np.float32], thermal: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Thermal picture fetched to the RGB pixels that have a depth."""
    height, width = sample.size
    v, u = np.mgrid[0:height, 0:width].reshape(2, -1).astype(np.float64)
    z = depth.reshape(-1).astype(np.float64)
    points = np.linalg.solve(sample.rgb_intrinsics.astype(np.float64), [u * z, v * z, z])
    pose = np.linalg.inv(sample.extrinsics.astype(np.float64))
    moved = sample.thermal_intrinsics @ (pose[:3, :3] @ points + pose[:3, 3:])
    with np.errstate(divide='ignore', invalid='ignore'):
        pixels = np.nan_to_num(moved[:2] / moved[2], nan=-1.0, posinf=-1.0, neginf=-1.0)
    columns, rows = pixels.clip(-1, 1e4).astype(np.float32).reshape(2, height, width)
    return np.asarray(cv2.remap(thermal, columns, rows, cv2.INTER_LINEAR), np.uint8)


def pair_page(samples: Sequence[PairSample]) -> NDArray[np.uint8]:
    """
    Rows of :func:`pair_picture`, one under another, as wide as the widest.

    :returns: (H, W, 3) uint8 BGR.
    """
    rows = [pair_picture(sample) for sample in samples]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    return np.concatenate(padded)
