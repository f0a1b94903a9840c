# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both cameras of the rig and the pose between them, from whichever source says it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.rig_file import RigFile, read_rig_file
from monother_ros.core.scale import fit_intrinsics
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.static_poses import StaticPoses
from monother_ros.ros.adapt_parameters import AdaptNodeParameters

NO_EXTRINSICS = (
    'no calibration: the pose of the thermal camera in the RGB camera is not known; set the '
    "parameter 'extrinsics' or 'calibration', or publish it on /tf_static"
)


class Rig(NamedTuple):
    """
    A calibrated rig.

    :ivar thermal: thermal camera at the size of its pictures.
    :ivar rgb: RGB camera at the size of its pictures.
    :ivar extrinsics: (4, 4) float64, X_rgb = T X_thermal, metres.
    """

    thermal: Intrinsics
    rgb: Intrinsics
    extrinsics: NDArray[np.float64]

    def same(self, other: Rig | None) -> bool:
        """Whether another rig has equal numbers."""
        return (
            other is not None
            and (self.thermal, self.rgb) == (other.thermal, other.rgb)
            and np.array_equal(self.extrinsics, other.extrinsics)
        )


class RigInput:
    """
    Calibration of the rig; the executor's thread feeds it, the worker asks it.

    The pose comes from the parameter ``extrinsics``, else from the file ``calibration``, else from
    /tf_static. A camera comes from the file where that has it, else from its CameraInfo.

    :param node: rclpy node that owns the subscription.
    :param parameters: of the adapt node.
    :raises CalibrationError: the calibration file cannot be used; says why.
    """

    def __init__(self, node: Any, parameters: AdaptNodeParameters) -> None:
        self._node = node
        topics = {
            role: node.resolve_topic_name(f'{role}/image_raw') for role in ('thermal', 'rgb')
        }
        self.file: RigFile | None = None
        if parameters.calibration:
            self.file = read_rig_file(
                parameters.calibration,
                parameters.thermal_camera,
                parameters.rgb_camera,
                thermal_topic=topics['thermal'],
                rgb_topic=topics['rgb'],
            )
        pose, self.source = parameters.pose(), 'the parameter extrinsics'
        if pose is None and self.file is not None:
            pose, self.source = self.file.extrinsics, self.file.summary
        self._pose = pose
        self.poses = StaticPoses(node)
        self.thermal = Calibration(node.resolve_topic_name('thermal/camera_info'))
        self.rgb = Calibration(node.resolve_topic_name('rgb/camera_info'))
        self.problem: str | None = None if pose is not None else NO_EXTRINSICS
        if pose is None:
            self.source = '/tf_static'

    def follow(self) -> None:
        """Listen to /tf_static where the pose comes from there."""
        if self._pose is not None:
            return
        reason = self.poses.follow()
        if reason is not None:
            self.source = f'nowhere: /tf_static cannot be read ({reason})'
            self.problem = f'{NO_EXTRINSICS}; it cannot be read here ({reason})'

    def destroy(self) -> None:
        """Remove the subscription from the node."""
        self.poses.leave()

    @property
    def thermal_height(self) -> int | None:
        """Rows of the thermal picture without telemetry, where it is known."""
        given = self._given('thermal')
        return self.thermal.height if given is None else given.height

    def rig(self, thermal: tuple[int, int], rgb: tuple[int, int], frames: tuple[str, str]) -> Rig:
        """
        Calibration that goes with two pictures.

        :param thermal: (width, height) of the thermal picture in pixels.
        :param rgb: the same of the RGB picture.
        :param frames: frame_id of the thermal and of the RGB picture.
        :raises CalibrationError: something is missing or does not fit; it is kept in
            :attr:`problem`.
        """
        try:
            pose = self._pose
            if pose is None:
                pose = self.poses.transforms.lookup(frames[1], frames[0])
            if pose is None:
                msg = f'{NO_EXTRINSICS} (frames {frames[0]!r} and {frames[1]!r})'
                raise CalibrationError(msg)
            found = Rig(self._fit('thermal', *thermal), self._fit('rgb', *rgb), pose)
        except CalibrationError as err:
            self.problem = str(err)
            raise
        self.problem = None
        return found

    def _given(self, role: str) -> Intrinsics | None:
        """Camera of the file, or None."""
        return None if self.file is None else getattr(self.file, role)

    def _fit(self, role: str, width: int, height: int) -> Intrinsics:
        """Intrinsics of a picture of a given size."""
        given = self._given(role)
        if given is not None:
            return fit_intrinsics(given, width, height)
        calibration: Calibration = getattr(self, role)
        found = calibration.fit(width, height)
        if found is None:
            msg = f'no calibration: {calibration.problem}'
            raise CalibrationError(msg)
        return found
