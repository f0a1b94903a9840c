# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of images for the estimate of the field of view, and what came of it on topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CameraInfo

from monother_ros.core.errors import MonotherError
from monother_ros.core.pairing import Pair, PairMatcher
from monother_ros.core.scale_sources import ScaleEstimate, silent
from monother_ros.learning.focal import focal_estimate
from monother_ros.learning.teacher import TeacherOptions
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.focal_worker import FocalFound, FocalPair, FocalWorker
from monother_ros.nodes.inputs import WatchedSubscription, subscribe_image
from monother_ros.nodes.static_poses import StaticPoses
from monother_ros.ros.diagnostics import OK, WARN, Health, Throttle
from monother_ros.ros.language_parameters import LanguageNodeParameters
from monother_ros.ros.messages import (
    camera_info_from_intrinsics,
    rgb_array,
    set_stamp,
    stamp_ns,
    thermal_array,
)
from monother_ros.ros.qos import sensor_profile

ESTIMATED = 'camera_info_estimated'
"""Relative topic of the estimated camera; nothing else is ever published there."""

QUEUE = 8
"""Images of each camera that wait for their partner."""

CALIBRATED = 'not needed: the thermal camera is calibrated'
NO_POSE = (
    'the pose of the thermal camera in the RGB camera is not known; set the parameter '
    "'extrinsics', or publish it on /tf_static"
)


class FocalInput:
    """
    Subscribes to both cameras while the field of view is not known.

    :param node: lifecycle node that owns publishers and subscriptions.
    :param parameters: of the language node.
    :param say: takes the estimate for ``scale/focal``; called from other threads too.
    """

    def __init__(
        self, node: Any, parameters: LanguageNodeParameters, say: Callable[[ScaleEstimate], None]
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._say = say
        self._pose = parameters.pose()
        self._poses = StaticPoses(node)
        self._cameras = {
            role: Calibration(node.resolve_topic_name(f'{role}/camera_info'))
            for role in ('thermal', 'rgb')
        }
        self._matcher: PairMatcher[Any, Any] = PairMatcher(
            round(parameters.max_difference * 1e9), QUEUE, self._paired
        )
        self._subscriptions: dict[str, WatchedSubscription] = {}
        self._publisher = node.create_lifecycle_publisher(
            CameraInfo, ESTIMATED, sensor_profile('reliable')
        )
        self._throttle = Throttle(30.0)
        self._last: int | None = None
        self._problem: str | None = None
        self._calibrated = False
        options = TeacherOptions(device=parameters.device, download=parameters.download)
        self._worker = FocalWorker(
            parameters.focal_teacher, options, parameters.focal_pairs, self._found
        )

    def apply(self, parameters: LanguageNodeParameters) -> None:
        """Take new values of the live parameters."""
        self._parameters = parameters

    # subscriptions, all in the executor's thread

    def follow(self) -> None:
        """Subscribe to images, calibrations and the pose."""
        p = self._parameters
        for role, transport, reliability, on_image in (
            ('thermal', p.thermal_transport, p.thermal_reliability, self._on_thermal),
            ('rgb', p.rgb_transport, p.rgb_reliability, self._on_rgb),
        ):
            self._subscriptions[role] = subscribe_image(
                self._node, f'{role}/image_raw', transport, reliability, on_image
            )
            self._subscriptions[f'{role} info'] = WatchedSubscription(
                self._node,
                CameraInfo,
                f'{role}/camera_info',
                reliability,
                self._cameras[role].update,
            )
        if self._pose is None:
            self._poses.follow()  # where it cannot, the absence of the pose is told

    def leave(self) -> None:
        """Unsubscribe."""
        for name in list(self._subscriptions):
            self._subscriptions.pop(name).destroy()
        self._poses.leave()
        self._matcher.reset()

    def tend(self) -> None:
        """Give up the images that are no longer needed; called now and then."""
        needed = {'thermal', 'thermal info'} if self._worker.result is not None else set()
        if self._worker.done or self._calibrated:
            for name in self._subscriptions.keys() - needed:
                self._subscriptions.pop(name).destroy()

    def reset(self) -> None:
        """Forget images, as after a jump of time."""
        self._matcher.reset()
        self._worker.reset()
        self._last = None

    def destroy(self) -> None:
        """End the worker and remove everything from the node."""
        self.leave()
        self._worker.stop()
        self._node.destroy_lifecycle_publisher(self._publisher)

    # callbacks

    def _on_thermal(self, msg: Any) -> None:
        found = self._worker.result
        if found is not None:
            info = camera_info_from_intrinsics(found.camera)
            info.header.frame_id = msg.header.frame_id
            set_stamp(info.header, stamp_ns(msg))
            self._publisher.publish(info)
        elif not self._worker.done:
            self._matcher.add_a(stamp_ns(msg), msg)

    def _on_rgb(self, msg: Any) -> None:
        if not self._worker.done:
            self._matcher.add_b(stamp_ns(msg), msg)

    def _paired(self, pair: Pair[Any, Any]) -> None:
        period = round(self._parameters.focal_period * 1e9)
        if self._last is not None and 0 <= pair.stamp_a - self._last < period:
            return
        self._last = pair.stamp_a
        try:
            self._problem = self._look(pair)
        except MonotherError as err:
            self._problem = str(err)
        if self._problem is not None and self._throttle(self._problem):
            self._node.get_logger().warning(f'no field of view: {self._problem}')

    def _look(self, pair: Pair[Any, Any]) -> str | None:
        """Hand a pair to the worker; returns why not."""
        thermal = thermal_array(pair.a, self._cameras['thermal'].height)
        if self._cameras['thermal'].fit(thermal.shape[1], thermal.shape[0]) is not None:
            if not self._calibrated:
                self._calibrated = True
                self._say(silent('focal', CALIBRATED, pair.stamp_a))
            return None
        rgb = rgb_array(pair.b)
        pose = self._pose
        if pose is None:
            frames = (pair.b.header.frame_id, pair.a.header.frame_id)
            pose = self._poses.transforms.lookup(*frames)
        if pose is None:
            return NO_POSE
        camera = self._cameras['rgb'].fit(rgb.shape[1], rgb.shape[0])
        self._worker.put(FocalPair(thermal, rgb, camera, pose, pair.stamp_a))
        return None

    def _found(self, found: FocalFound) -> None:
        """Tell the result; called from the worker's thread."""
        self._node.get_logger().info(
            f'field of view estimated: thermal focal length {found.focal:.1f} px at '
            f'{found.size[0]} px width, sigma {found.sigma:.2f}; calibrate the camera for more'
        )
        self._say(focal_estimate(found.focal, found.size[0], found.sigma, found.stamp_ns))

    def health(self) -> Health:
        """How far the search is, and what is in its way."""
        if self._calibrated:
            return Health(OK, CALIBRATED)
        found = self._worker.health()
        values = {
            **found.values,
            **{
                f'{role} images': str(self._subscriptions[role].received)
                for role in ('thermal', 'rgb')
                if role in self._subscriptions
            },
        }
        if self._problem is not None and not self._worker.done:
            return Health(WARN, self._problem, values)
        return Health(found.level, found.message, values)
