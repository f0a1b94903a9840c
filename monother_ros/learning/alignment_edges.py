# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Agreement of the edges of one pair, for every shift of the two pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from monother_ros.learning.online_pair import OnlinePair, RigView

SIZE = (160, 128)
"""Columns and rows of the pictures that are compared."""

REACH = 16
"""Largest shift in pixels of SIZE: 7 degrees of a camera with a view of 63."""

TILES = (2, 3)
"""Rows and columns of tiles that are summed apart."""

STRONG = 75.0
"""Percentile of the squared gradient at which an edge counts half."""

LEAST = 0.05
"""Part of the pixels with edges in both pictures without which a pair says nothing."""

Edges = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class PairSurface(NamedTuple):
    """Sums of one pair, scaled so that pairs count alike."""

    shared: NDArray[np.float32]
    """(TILES, 2 REACH + 1, 2 REACH + 1) sum of cos(2 * difference of angles) times both weights;
    [..., REACH + v, REACH + u] for the thermal picture lying u right and v below"""
    mass: NDArray[np.float32]
    """the same of both weights alone"""


def edges(picture: NDArray[np.generic]) -> Edges:
    """
    Twice the angle of the gradient of each pixel, as a vector, weighted by how strong it is.

    :param picture: (h, w) of any real type.
    :returns: cos and sin of the doubled angle times the weight, and the weight 0..1.
    """
    smooth = cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)
    square = across * across + down * down
    usual = float(np.percentile(square[::2, ::2], STRONG))
    # weight / square, without dividing by zero where there is no gradient
    part = 1.0 / (square + np.float32(usual + 1e-6))
    cosine = (across * across - down * down) * part
    return cosine, 2 * across * down * part, square * part


def surface(pair: OnlinePair) -> PairSurface | None:
    """
    Agreement of a pair for every shift.

    :param pair: with the teacher's depth.
    :returns: None where too little is known or seen.
    """
    colour, warm, columns, rows = _pictures(pair)
    known = cv2.resize(
        pair.teacher_depth.astype(np.float32), SIZE, interpolation=cv2.INTER_NEAREST
    )
    mask = (known > 0).astype(np.float32)
    ours = tuple(part * mask for part in edges(colour))
    # gradients are taken in the thermal picture itself: bringing the picture over first would make
    # edges where depth jumps, and these always lie on those of the RGB picture
    theirs = tuple(
        cv2.remap(part, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        for part in edges(warm)
    )
    if min(float(ours[2].mean()), float(theirs[2].mean())) < LEAST:
        return None
    width, height = SIZE
    shape = (cv2.getOptimalDFTSize(height + 2 * REACH), cv2.getOptimalDFTSize(width + 2 * REACH))
    moved = [np.fft.rfft2(part, shape) for part in theirs]
    shifts = np.arange(-REACH, REACH + 1)
    window = np.ix_(shifts % shape[0], shifts % shape[1])
    shared = np.empty((*TILES, len(shifts), len(shifts)), np.float32)
    mass = np.empty_like(shared)
    for i, j in np.ndindex(*TILES):
        tile = np.zeros((height, width), np.float32)
        tile[_part(i, TILES[0], height), _part(j, TILES[1], width)] = 1.0
        fixed = [np.conj(np.fft.rfft2(part * tile, shape)) for part in ours]
        agreement = np.fft.irfft2(fixed[0] * moved[0] + fixed[1] * moved[1], shape)
        shared[i, j] = agreement[window]
        mass[i, j] = np.fft.irfft2(fixed[2] * moved[2], shape)[window]
    total = max(float(mass.sum()), 1e-6)
    return PairSurface(shared / total, mass / total)


def _part(index: int, parts: int, length: int) -> slice:
    return slice(index * length // parts, (index + 1) * length // parts)


def _pictures(
    pair: OnlinePair,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Both pinhole pictures of SIZE, and where in the thermal one each RGB pixel lies."""
    rig = pair.rig
    thermal = pair.thermal[0].astype(np.float32)
    if rig.thermal_grid is not None:
        half = np.array([rig.width - 1, rig.height - 1], np.float32) / 2
        places = (rig.thermal_grid + np.float32(1)) * half
        thermal = cv2.remap(
            thermal,
            np.ascontiguousarray(places[..., 0]),
            np.ascontiguousarray(places[..., 1]),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    warm = cv2.resize(thermal, SIZE, interpolation=cv2.INTER_AREA)
    picture = cv2.cvtColor(np.ascontiguousarray(pair.rgb.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    depth = cv2.resize(
        pair.teacher_depth.astype(np.float32), SIZE, interpolation=cv2.INTER_NEAREST
    )
    matrix, vector = _geometry(rig)
    # homogeneous place in the thermal picture: depth * matrix @ pixel + vector
    v, u = np.mgrid[0 : SIZE[1], 0 : SIZE[0]].astype(np.float32)
    near = np.where(depth > 0, depth, np.float32(1e3))
    x, y, z = (
        near * (matrix[k, 0] * u + matrix[k, 1] * v + matrix[k, 2]) + vector[k] for k in range(3)
    )
    z = np.maximum(z, np.float32(1e-3))
    return grey, warm, (x / z).astype(np.float32), (y / z).astype(np.float32)


def _geometry(rig: RigView) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """K_thermal R K_rgb^-1 and K_thermal t of pictures of SIZE, T_thermal_rgb = (R, t)."""
    scale = np.array([SIZE[0] / rig.width, SIZE[1] / rig.height])
    shrink = np.diag([scale[0], scale[1], 1.0])
    # pixel centres: c' = (c + 1/2) s - 1/2
    shrink[:2, 2] = (scale - 1) / 2
    colour = shrink @ rig.rgb_intrinsics.astype(np.float64)
    warm = shrink @ rig.thermal_intrinsics.astype(np.float64)
    back = np.linalg.inv(rig.extrinsics.astype(np.float64))
    matrix = warm @ back[:3, :3] @ np.linalg.inv(colour)
    return matrix.astype(np.float32), (warm @ back[:3, 3]).astype(np.float32)
