# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras with lens distortion: intrinsics, rays, projection."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import CalibrationError

COEFFICIENTS = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (0, 8), 'equidistant': (0, 4)}
"""Number of distortion coefficients that each ROS distortion model may carry."""

ALIASES = {'': 'plumb_bob', 'radtan': 'plumb_bob', 'fisheye': 'equidistant'}
"""Names that real calibration files use for a ROS distortion model."""


@dataclass(frozen=True)
class Intrinsics:
    """
    One camera's intrinsics; pixel coordinates are those of pixel centres, from 0 (as OpenCV).

    :param width: image width in pixels.
    :param height: image height in pixels.
    :param fx: focal length along x in pixels, > 0.
    :param fy: focal length along y in pixels, > 0.
    :param cx: principal point, column in pixels.
    :param cy: principal point, row in pixels.
    :param distortion_model: plumb_bob, rational_polynomial or equidistant.
    :param distortion: coefficients in OpenCV order; empty means none.
    :raises CalibrationError: a value is not finite or not positive, or the distortion is unknown.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = 'plumb_bob'
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be a camera."""
        if self.width <= 0 or self.height <= 0:
            msg = f'image size {self.width}x{self.height} is not positive; check the calibration'
            raise CalibrationError(msg)
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(math.isfinite(v) for v in numbers):
            msg = f'intrinsics hold a value that is not finite: {numbers}; calibrate again'
            raise CalibrationError(msg)
        if self.fx <= 0 or self.fy <= 0:
            msg = (
                f'focal length ({self.fx}, {self.fy}) px is not positive: the camera is not '
                "calibrated; set the driver's camera_info_url"
            )
            raise CalibrationError(msg)
        model = ALIASES.get(self.distortion_model, self.distortion_model)
        if model not in COEFFICIENTS:
            msg = (
                f'distortion model {self.distortion_model!r} is not known; '
                f'use one of {sorted(COEFFICIENTS)}'
            )
            raise CalibrationError(msg)
        if len(self.distortion) not in COEFFICIENTS[model]:
            msg = (
                f'{len(self.distortion)} distortion coefficients do not fit {model}, '
                f'which takes one of {COEFFICIENTS[model]}'
            )
            raise CalibrationError(msg)
        object.__setattr__(self, 'distortion_model', model)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Camera matrix K, (3, 3), pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    @property
    def distorted(self) -> bool:
        """Whether any distortion coefficient differs from zero."""
        return any(self.distortion)

    def scaled(self, width: int, height: int) -> Intrinsics:
        """
        Intrinsics of the same image resized to another size.

        Pixel centres are kept at half-pixel positions, as cv2.resize does:
        c' = (c + 1/2) s - 1/2. Distortion is in normalised coordinates and does not change.

        :param width: new width in pixels.
        :param height: new height in pixels.
        """
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def rays(self) -> NDArray[np.float32]:
        """
        Viewing direction of each pixel with the lens distortion undone.

        :returns: (height, width, 2) float32; (x/z, y/z) in the optical frame (z forward, x right,
            y down), so that a point is (x/z * depth, y/z * depth, depth). NaN where the distortion
            model cannot be inverted (far corners of an over-fitted model).
        """
        v, u = np.mgrid[0 : self.height, 0 : self.width].astype(np.float64)
        if not self.distorted:
            rays = np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy], -1)
            return rays.astype(np.float32)
        pixels = np.stack([u, v], -1).reshape(-1, 1, 2)
        coefficients = np.asarray(self.distortion, np.float64)
        target = pixels.reshape(-1, 2)
        undistort = (
            cv2.fisheye.undistortPoints
            if self.distortion_model == 'equidistant'
            else cv2.undistortPoints
        )
        rays = undistort(pixels, self.matrix, coefficients).reshape(-1, 2).astype(np.float64)
        rays[~np.isfinite(rays).all(1)] = 0.0
        # OpenCV stops after five fixed-point steps; wide lenses need more to reach a pixel's
        # hundredth. Every version's solver differs, so the refinement uses project() itself.
        focal = np.array([self.fx, self.fy])
        for _ in range(40):
            offset = target - self.project(np.concatenate([rays, np.ones((len(rays), 1))], 1))
            error = np.abs(offset).max(1)
            if np.nanmax(error) < 0.01:
                break
            rays += offset / focal
        rays[~(error < 0.25)] = np.nan
        return rays.reshape(self.height, self.width, 2).astype(np.float32)

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """
        Pixel coordinates of points in front of the camera, lens distortion applied.

        :param points: (N, 3) in the optical frame, metres; z must be > 0 for a meaningful result.
        :returns: (N, 2) columns and rows in pixels; may lie outside of the image.
        """
        xyz = np.ascontiguousarray(points, np.float64).reshape(-1, 1, 3)
        zero = np.zeros(3)
        coefficients = np.asarray(self.distortion, np.float64)
        if self.distorted and self.distortion_model == 'equidistant':
            pixels, _ = cv2.fisheye.projectPoints(xyz, zero, zero, self.matrix, coefficients)
        else:
            pixels, _ = cv2.projectPoints(xyz, zero, zero, self.matrix, coefficients)
        return np.asarray(pixels, np.float64).reshape(-1, 2)
