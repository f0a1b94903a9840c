# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and labels of a real lens brought to a pinhole camera, and LiDAR points projected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics

NEAREST_POINT = 0.1
"""LiDAR points nearer than this to the camera plane, metres, are left out."""

FARTHEST = 10_000.0
"""Depths beyond, metres, count as unknown."""


class Rectifier:
    """
    From a camera with lens distortion to a pinhole camera with the same axes.

    The optical axis does not turn, so the Z coordinate of a point is the same in both.

    :param camera: as calibrated.
    :param size: (width, height) of the pinhole image; that of the camera where None. The pinhole
        camera has the camera's own K, scaled to this size.
    """

    def __init__(self, camera: Intrinsics, size: tuple[int, int] | None = None) -> None:
        self.source = camera
        flat = replace(camera, distortion_model='plumb_bob', distortion=())
        self.native = flat
        """Pinhole camera of the size of the camera."""
        self.camera = flat if size is None else flat.scaled(*size)
        """Pinhole camera of the result."""
        self._exact = sampling(camera, self.native) if camera.distorted else None
        self._nearest = None if self.camera == camera else sampling(camera, self.camera)

    def image(self, image: NDArray[Any]) -> NDArray[Any]:
        """
        Picture as the pinhole camera sees it, 0 where the lens saw nothing.

        Distortion is undone bilinearly; then shrinking averages areas and growing is bilinear.

        :param image: (H, W) or (H, W, C), uint8, uint16 or float32, of the camera's size.
        :returns: of the pinhole camera's size.
        """
        result = image
        if self._exact is not None:
            columns, rows, inside = self._exact
            result = cv2.remap(
                image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            result[~inside] = 0
        size = (self.camera.width, self.camera.height)
        if result.shape[1::-1] == size:
            return result
        shrinks = result.shape[1] >= size[0] and result.shape[0] >= size[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(result, size, interpolation=method)

    def depth(self, depth: NDArray[np.floating]) -> NDArray[np.float32]:
        """
        Depth as the pinhole camera sees it: each pixel takes the nearest one, none are mixed.

        :param depth: (H, W) metres of the camera's size; not finite and not positive is unknown.
        :returns: (h, w) float32 metres, 0 where unknown.
        """
        known = np.isfinite(depth) & (depth > 0) & (depth < FARTHEST)
        clean = np.where(known, depth, 0).astype(np.float32)
        if self._nearest is None:
            return clean
        columns, rows, inside = self._nearest
        column = np.rint(columns).astype(np.intp).clip(0, clean.shape[1] - 1)
        row = np.rint(rows).astype(np.intp).clip(0, clean.shape[0] - 1)
        return np.where(inside, clean[row, column], np.float32(0))


def sampling(
    camera: Intrinsics, pinhole: Intrinsics
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """
    Where each pixel of a pinhole camera lies in the image of the real one.

    A fitted distortion model may fold back beyond the corners that it was fitted to. A pixel whose
    place does not lead back to its own ray is outside.

    :returns: columns and rows, (h, w) float32, and where they are inside, (h, w) bool. Outside,
        both are -2.
    """
    rays = pinhole.rays().reshape(-1, 2).astype(np.float64)
    pixels = camera.project(np.concatenate([rays, np.ones((len(rays), 1))], 1))
    pixels = np.where(np.isfinite(pixels), pixels, -2.0)
    limit = np.array([camera.width, camera.height]) - 0.5
    inside = ((pixels >= -0.5) & (pixels <= limit)).all(1)
    if camera.distorted:
        last = np.array([camera.width - 1, camera.height - 1])
        columns, rows = np.rint(pixels).clip(0, last).astype(np.intp).T
        found = camera.rays()[rows, columns].astype(np.float64)
        # half a pixel of the image may be a few pixels of the rectified one near the corners
        away = np.abs(found - rays) * [camera.fx, camera.fy]
        with np.errstate(invalid='ignore'):
            inside &= (away < 4.0 + 0.02 * max(camera.width, camera.height)).all(1)
    pixels[~inside] = -2.0
    shape = (pinhole.height, pinhole.width)
    columns32, rows32 = (np.ascontiguousarray(p.reshape(shape), np.float32) for p in pixels.T)
    return columns32, rows32, inside.reshape(shape)


def project_points(
    points: NDArray[np.floating],
    pose: NDArray[np.floating],
    camera: Intrinsics,
    *,
    radius: int = 4,
    ratio: float = 1.3,
) -> NDArray[np.float32]:
    """
    Sparse depth image of LiDAR points; of several on a pixel the nearest counts.

    A LiDAR that sits beside the camera also measures what the camera sees covered: its points show
    between those of the nearer surface. A point is left out where another one within some pixels
    is nearer by a ratio.

    :param points: (N, 3) metres, LiDAR frame.
    :param pose: (4, 4) T_camera_lidar.
    :param camera: pinhole camera.
    :param radius: of the neighbourhood in pixels; 0 keeps covered points.
    :param ratio: of depths from which the farther point counts as covered, > 1.
    :returns: (H, W) float32 metres along the optical axis, 0 where no point lies.
    """
    moved = points.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    moved = moved[(moved[:, 2] > NEAREST_POINT) & (moved[:, 2] < FARTHEST)]
    depth = moved[:, 2]
    column = np.rint(camera.fx * moved[:, 0] / depth + camera.cx)
    row = np.rint(camera.fy * moved[:, 1] / depth + camera.cy)
    seen = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    image = np.full((camera.height, camera.width), np.inf, np.float32)
    places = (row[seen].astype(np.intp), column[seen].astype(np.intp))
    np.minimum.at(image, places, depth[seen].astype(np.float32))
    if radius > 0:
        kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
        around = cv2.erode(image, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=np.inf)
        image[image > ratio * around] = np.inf
    return np.where(np.isfinite(image), image, np.float32(0))
