# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Points of a range sensor seen by the thermal camera: a sparse depth image.

The sensor sits beside the camera, so it sees past edges that hide things from the camera. Two
steps leave out what the camera cannot see: of the points in one pixel the nearest stays, and a
point goes that shines through between the points of a nearer surface. Echoes of the air
(range_clutter.py) go before, as they would hide what is behind them.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.range_clutter import ClutterFilter

NEAREST = 0.05
"""Metres before the camera below which a point is left out: it is the vehicle itself, or noise."""

HIDING = 0.15
"""Relative difference of inverse depth from which on a nearer point can hide a farther one."""

GAP = (0.08, 0.04)
"""Rows and columns without samples within one surface, as parts of the image's height: 16 lines of
a LiDAR over 30 degrees lie 0.036 apart in a camera with a view of 52 degrees."""

MOST = 100_000
"""Points in view; of more (a ToF camera), every so many-th is taken."""

FARTHEST = 1000.0
"""Metres beyond which a point is none."""


@dataclass(frozen=True)
class RangePoints:
    """
    Points of one sensor, for one thermal frame.

    :param points: (N, 3) metres in the sensor's frame; values that are not finite are left out.
    :param extrinsics: (4, 4) T_thermal_sensor: a point of the sensor in the thermal optical frame
        (z forward, x right, y down); None where the points are in that frame already.
    :param stamp_ns: time of the measurement in nanoseconds; 0 where it is that of the frame.
    :param beam: half the opening angle of a single wide beam in radians, whose one point is the
        nearest surface anywhere in it (ultrasound); 0 for points that are small.
    """

    points: NDArray[Any]
    extrinsics: NDArray[np.floating] | None = None
    stamp_ns: int = 0
    beam: float = 0.0

    def same(self, other: RangePoints) -> bool:
        """Whether these are the points of another frame again: the same array, pose and time."""
        return (
            self.points is other.points
            and self.extrinsics is other.extrinsics
            and self.stamp_ns == other.stamp_ns != 0
        )


def sparse_depth(
    points: NDArray[Any],
    extrinsics: NDArray[np.floating] | None,
    intrinsics: Intrinsics,
    size: tuple[int, int] | None = None,
    *,
    range_max: float = FARTHEST,
    clutter: ClutterFilter | None = None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """
    Depth image of the points that the camera sees.

    :param points: (N, 3) metres in the sensor's frame; NaN and infinity are left out.
    :param extrinsics: (4, 4) T_thermal_sensor, or None for points in the optical frame.
    :param intrinsics: of the camera; lens distortion is applied.
    :param size: (width, height) of the result in pixels; by default that of the camera. Another
        size is taken as the same picture resized with aligned edges (Intrinsics.scaled).
    :param range_max: metres along the optical axis beyond which points are left out.
    :param clutter: leaves out echoes of fog, rain and dust; None for every point.
    :param out: (h, w) float32, C-contiguous, to write into.
    :returns: (h, w) float32 metres along the optical axis, 0 where there is no point.
    :raises CalibrationError: the extrinsics are not a finite (4, 4) matrix.
    """
    width, height = size or (intrinsics.width, intrinsics.height)
    camera = intrinsics
    if (width, height) != (camera.width, camera.height):
        camera = camera.scaled(width, height)
    if out is None or out.shape != (height, width) or not out.flags.c_contiguous:
        out = np.empty((height, width), np.float32)
    flat, z = project(points, extrinsics, camera, range_max)
    if clutter is not None:
        flat, z = clutter(flat, z, (width, height))
    nearest_of_each(flat, z, out)
    if extrinsics is not None and len(z):
        baseline = float(np.linalg.norm(extrinsics[:3, 3]))
        remove_hidden(out, baseline * max(camera.fx, camera.fy))
    return out


def project(
    points: NDArray[Any],
    extrinsics: NDArray[np.floating] | None,
    camera: Intrinsics,
    range_max: float = FARTHEST,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """
    Pixels of the points within the image, hidden ones among them.

    :param points: see :func:`sparse_depth`, as the others.
    :returns: (M,) index of the pixel in the image, row by row, and (M,) metres along the axis.
    :raises CalibrationError: see :func:`sparse_depth`.
    """
    xyz = np.asarray(points, np.float32).reshape(-1, 3)
    if extrinsics is not None:
        matrix = np.asarray(extrinsics, np.float32)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            msg = 'the pose of the range sensor is not a finite 4x4 matrix; check its calibration'
            raise CalibrationError(msg)
        xyz = xyz @ matrix[:3, :3].T + matrix[:3, 3]
    z = xyz[:, 2]
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        # a comparison with NaN is false
        ahead = (z > NEAREST) & (z < range_max)
        xyz, z = xyz[ahead], z[ahead]
        x, y = xyz[:, 0] / z, xyz[:, 1] / z
        # beyond the corners a distortion polynomial may fold back into the image
        near = np.flatnonzero(x * x + y * y < _border(camera))
    if len(near) > MOST:
        near = near[:: -(-len(near) // MOST)]
    u: NDArray[np.floating]
    v: NDArray[np.floating]
    if camera.distorted:
        xyz, z = xyz[near], z[near]
        pixels = camera.project(xyz) if len(xyz) else np.empty((0, 2))
        u, v = pixels[:, 0], pixels[:, 1]
    else:
        z = z[near]
        u = x[near] * np.float32(camera.fx) + np.float32(camera.cx)
        v = y[near] * np.float32(camera.fy) + np.float32(camera.cy)
    inside = (u > -0.5) & (u < camera.width - 0.5) & (v > -0.5) & (v < camera.height - 0.5)
    columns = np.rint(u[inside]).astype(np.intp)
    rows = np.rint(v[inside]).astype(np.intp)
    # -0.5 + tiny rounds to 0, but n - 0.5 - tiny may round up in float32
    np.clip(columns, 0, camera.width - 1, out=columns)
    np.clip(rows, 0, camera.height - 1, out=rows)
    return rows * camera.width + columns, z[inside]


def nearest_of_each(
    flat: NDArray[np.intp], z: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """
    Z-buffer: the nearest point of each pixel.

    :param flat: (M,) index of each point's pixel, row by row.
    :param z: (M,) metres, > 0.
    :param out: (h, w) float32, C-contiguous; written whole, 0 where there is no point.
    """
    out.fill(0.0)
    if not len(z):
        return
    order = np.argsort(z)[::-1]  # of the values written to one pixel the last counts
    out.reshape(-1)[flat[order]] = z[order]


def remove_hidden(sparse: NDArray[np.float32], parallax: float) -> int:
    """
    Remove points that a nearer surface hides from the camera, in place.

    Between its scan lines a surface has no samples, and points that only the sensor sees shine
    through there. Closing the image of inverse depth (a dilation, then an erosion) fills such gaps
    and nothing beyond the edge of the surface. A point goes where the closed surface is clearly
    nearer and sensor and camera are far enough apart to see past its edge.

    :param sparse: (h, w) float32 metres, 0 where there is none.
    :param parallax: baseline in metres times focal length in pixels; a point at depth z moves by
        parallax / z between the two.
    :returns: number of points removed.
    """
    if parallax <= 0:
        return 0
    inverse = np.zeros_like(sparse)
    known = sparse > 0
    np.divide(np.float32(1), sparse, out=inverse, where=known)
    rows, columns = (max(3, round(part * sparse.shape[0])) for part in GAP)
    surface = cv2.morphologyEx(
        inverse, cv2.MORPH_CLOSE, np.ones((rows, columns), np.uint8), borderType=cv2.BORDER_REFLECT
    )
    hidden = known & (surface * np.float32(1 - HIDING) > inverse)
    hidden &= (surface - inverse) * np.float32(parallax) >= 1
    sparse[hidden] = 0.0
    return int(np.count_nonzero(hidden))


def gather_sparse(
    image: NDArray[Any], size: tuple[int, int], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """
    Sparse depth at another size: the nearest point of each new pixel.

    :param image: (H, W) metres; 0 or NaN where there is none.
    :param size: (width, height) of the result in pixels, aligned edges.
    :param out: (h, w) float32, C-contiguous, to write into.
    :returns: (h, w) float32 metres, 0 where there is none.
    """
    width, height = size
    if out is None or out.shape != (height, width):
        out = np.empty((height, width), np.float32)
    with np.errstate(invalid='ignore'):
        rows, columns = np.nonzero((image > 0) & np.isfinite(image))
    z = np.asarray(image[rows, columns], np.float32)
    flat = (rows * height // image.shape[0]) * width + columns * width // image.shape[1]
    nearest_of_each(flat, z, out)
    return out


@functools.lru_cache(maxsize=8)
def _border(camera: Intrinsics) -> float:
    """Square of the largest tangent off the axis that the image can show, with a margin."""
    squared = (camera.rays() ** 2).sum(-1)
    return 1.02 * float(np.nanmax(squared)) if np.isfinite(squared).any() else math.inf
