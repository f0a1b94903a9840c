# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scale of a network's depth, and calibrations that belong to another image size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monother_ros.core.errors import CalibrationError

if TYPE_CHECKING:
    from monother_ros.core.camera import Intrinsics

ASPECT_TOLERANCE = 0.02
"""Relative difference of aspect up to which a calibration of another size is scaled."""


def focal_scale(
    focal_length: float | None, intrinsics: Intrinsics | None, network_width: int
) -> float:
    """
    Factor from a network's depth to metres for the camera at hand.

    An object looks larger through a longer lens and is taken to be nearer, in proportion: depth is
    right when it is multiplied by f / f0, both in pixels of the network's width (the canonical
    camera of Metric3D; Depth Anything 3 says f / 300).

    :param focal_length: f0, at which metric scale was learned, px; None means no correction.
    :param intrinsics: camera of the image that was given to the network; None if not known.
    :param network_width: width of the network input in pixels.
    """
    if focal_length is None or intrinsics is None:
        return 1.0
    return intrinsics.fx * (network_width / intrinsics.width) / focal_length


def fit_intrinsics(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """
    Intrinsics for an image that may have another size than the calibration.

    :param width: image width in pixels.
    :param height: image height in pixels.
    :raises CalibrationError: the aspect differs, so the image was cropped or the calibration is
        that of another camera; nothing can be said about its principal point.
    """
    if (intrinsics.width, intrinsics.height) == (width, height):
        return intrinsics
    aspect = (width / height) / (intrinsics.width / intrinsics.height)
    if abs(aspect - 1.0) > ASPECT_TOLERANCE:
        msg = (
            f'the calibration is for {intrinsics.width}x{intrinsics.height}, the image is '
            f'{width}x{height}: another aspect; calibrate this camera mode, or set the right '
            'camera_info_url'
        )
        raise CalibrationError(msg)
    return intrinsics.scaled(width, height)


def aligned_intrinsics(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """
    Intrinsics of the same image resized with aligned corners (see core/resize.py).

    Pixel centres at the corners keep their places: c' = c (n' - 1) / (n - 1). For a resize with
    aligned edges see :meth:`monother_ros.core.camera.Intrinsics.scaled`.

    :param width: new width in pixels.
    :param height: new height in pixels.
    """
    sx = (width - 1) / max(intrinsics.width - 1, 1)
    sy = (height - 1) / max(intrinsics.height - 1, 1)
    return replace(
        intrinsics,
        width=width,
        height=height,
        fx=intrinsics.fx * sx,
        fy=intrinsics.fy * sy,
        cx=intrinsics.cx * sx,
        cy=intrinsics.cy * sy,
    )
