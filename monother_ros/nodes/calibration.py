# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last CameraInfo of a camera, fitted to the images that really arrive."""

from __future__ import annotations

from typing import Any

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.scale import fit_intrinsics
from monother_ros.ros.messages import intrinsics_from_camera_info


class Calibration:
    """
    Intrinsics of one camera from its CameraInfo messages.

    A message is only looked at when its content differs from the one before. One thread may call
    :meth:`update` while another calls :meth:`fit`.

    :param topic: name of the topic, for the sentences in :attr:`problem`.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._key: tuple[Any, ...] | None = None
        self._given: Intrinsics | None = None
        self._problem: str | None = f'no camera_info on {topic}'
        self._fitted: tuple[Intrinsics, int, int, Intrinsics | None, str | None] | None = None

    def update(self, msg: Any) -> None:
        """
        Take a CameraInfo.

        :param msg: sensor_msgs/CameraInfo; one that cannot be used is kept as the problem.
        """
        roi = msg.roi
        key = (
            msg.width,
            msg.height,
            msg.distortion_model,
            msg.binning_x,
            msg.binning_y,
            (roi.x_offset, roi.y_offset, roi.width, roi.height),
            tuple(msg.k),
            tuple(msg.d),
        )
        if key == self._key:
            return
        self._key = key
        try:
            given, problem = intrinsics_from_camera_info(msg), None
        except CalibrationError as err:
            given, problem = None, f'camera_info on {self._topic} cannot be used: {err}'
        self._given, self._problem = given, problem

    @property
    def height(self) -> int | None:
        """Height of the picture in rows according to the camera, or None."""
        given = self._given
        return None if given is None else given.height

    @property
    def problem(self) -> str | None:
        """Why the last image had no intrinsics, or None."""
        if self._given is None:
            return self._problem
        fitted = self._fitted
        return None if fitted is None else fitted[4]

    @property
    def note(self) -> str | None:
        """What was done to make the calibration fit, or None."""
        fitted = self._fitted
        if fitted is None or fitted[3] is None or fitted[3] is fitted[0]:
            return None
        given, width, height = fitted[:3]
        return (
            f'camera_info is for {given.width}x{given.height}, images are {width}x{height}: scaled'
        )

    def fit(self, width: int, height: int) -> Intrinsics | None:
        """
        Intrinsics of an image of a given size.

        A calibration of another size is scaled when the aspect ratio is nearly the same.

        :param width: image width in pixels.
        :param height: image height in pixels.
        :returns: intrinsics, or None with the reason in :attr:`problem`.
        """
        given = self._given
        if given is None:
            return None
        fitted = self._fitted
        if fitted is not None and fitted[0] is given and fitted[1:3] == (width, height):
            return fitted[3]
        result, problem = None, None
        try:
            result = fit_intrinsics(given, width, height)
        except CalibrationError as err:
            problem = f'camera_info on {self._topic} does not fit: {err}'
        self._fitted = (given, width, height, result, problem)
        return result
