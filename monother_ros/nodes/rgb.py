# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The RGB camera beside the thermal one: subscribed to only while it colours a cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo

from monother_ros.core.errors import MonotherError
from monother_ros.core.pipeline import RgbFrame
from monother_ros.core.stats import Counters
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.inputs import WatchedSubscription, subscribe_image
from monother_ros.nodes.policies import make_policy
from monother_ros.nodes.static_poses import StaticPoses
from monother_ros.ros.diagnostics import WARN, Health, Throttle, assess_input
from monother_ros.ros.messages import rgb_array, stamp_ns
from monother_ros.ros.parameters import DepthNodeParameters

LOG_PERIOD = 30.0
"""Seconds between two logs of the same reason for a cloud without colour."""


class RgbInput:
    """
    Finds the RGB image that belongs to a thermal one; never waits for it.

    :param node: rclpy node that owns the subscriptions.
    :param parameters: transport, reliability, pairing and pose.
    :raises SettingsError: the pairing policy is not available here.
    """

    def __init__(self, node: Any, parameters: DepthNodeParameters) -> None:
        self._node = node
        self._parameters = parameters
        self._extrinsics = parameters.extrinsics()
        self._policy = make_policy(parameters.sync_policy, parameters.sync_slop)
        self._calibration = Calibration(node.resolve_topic_name('rgb/camera_info'))
        self._poses = StaticPoses(node)
        self._image: WatchedSubscription | None = None
        self._info: WatchedSubscription | None = None
        self._throttle = Throttle(LOG_PERIOD)
        self._used = 0
        self._missing = Counters()
        self._decoded: tuple[Any, NDArray[np.uint8]] | None = None

    @property
    def active(self) -> bool:
        """Whether RGB images are subscribed to now."""
        return self._image is not None

    def apply(self, parameters: DepthNodeParameters) -> None:
        """Take new values of the live parameters."""
        self._parameters = parameters
        self._extrinsics = parameters.extrinsics()
        if not parameters.color_cloud:
            self.need(False)

    def need(self, cloud: bool) -> None:
        """
        Subscribe while a cloud is asked for, and unsubscribe after.

        :param cloud: whether anybody subscribes to the cloud.
        """
        wanted = cloud and self._parameters.color_cloud
        if wanted and self._image is None:
            parameters = self._parameters
            self._image = subscribe_image(
                self._node,
                'rgb/image_raw',
                parameters.rgb_transport,
                parameters.rgb_reliability,
                self._policy.add_rgb,
            )
            self._info = WatchedSubscription(
                self._node,
                CameraInfo,
                'rgb/camera_info',
                parameters.rgb_reliability,
                self._calibration.update,
            )
            if self._extrinsics is None:
                self._poses.follow()
        elif not wanted and self._image is not None:
            self.destroy()

    def thermal_arrived(self, msg: Any) -> None:
        """Tell the pairing of a thermal image, before the worker gets it."""
        if self._image is not None:
            self._policy.add_thermal(msg)

    def reset(self) -> None:
        """Forget images, as after a jump of time."""
        self._policy.reset()

    def match(self, thermal: Any) -> RgbFrame | None:
        """
        RGB image to colour the cloud of a thermal image with.

        :param thermal: the thermal message; called from the worker's thread.
        :returns: None where there is none yet, or it cannot be used; the reason is counted.
        """
        if self._image is None:
            return None
        msg = self._policy.match(thermal)
        if msg is None:
            return self._without('no RGB image near in time')
        pose = self._extrinsics
        if pose is None:
            pose = self._poses.transforms.lookup(msg.header.frame_id, thermal.header.frame_id)
        if pose is None:
            return self._without(
                'pose of the cameras unknown: set rgb_extrinsics, or publish /tf_static'
            )
        try:
            image = self._decode(msg)
        except MonotherError as err:
            return self._without('RGB image cannot be used', str(err))
        intrinsics = self._calibration.fit(image.shape[1], image.shape[0])
        if intrinsics is None:
            return self._without(str(self._calibration.problem))
        self._used += 1
        return RgbFrame(image, stamp_ns(msg), msg.header.frame_id, intrinsics, pose)

    def _decode(self, msg: Any) -> NDArray[np.uint8]:
        """Pixels of a message; one RGB image may go with several thermal ones."""
        if self._decoded is None or self._decoded[0] is not msg:
            self._decoded = (msg, rgb_array(msg))
        return self._decoded[1]

    def _without(self, reason: str, details: str = '') -> RgbFrame | None:
        """Count and log why a cloud has no colour."""
        self._missing.add(reason)
        if self._throttle(reason):
            text = f'{reason}: {details}' if details else reason
            self._node.get_logger().info(f'cloud without colour: {text}')
        return None

    def health(self, silence_timeout: float) -> Health | None:
        """Judge the RGB input; None while it is not subscribed to."""
        if self._image is None:
            return None
        missing = self._missing.snapshot()
        facts = self._image.facts(
            'rgb_reliability',
            values={
                'pairing': self._policy.name,
                'clouds coloured': str(self._used),
                **{f'not coloured: {reason}': str(n) for reason, n in missing.items()},
                **{f'pairing: {reason}': str(n) for reason, n in self._policy.drops().items()},
            },
        )
        health = assess_input(facts, silence_timeout)
        # depth goes on without RGB, so nothing here is an error of the node
        return Health(min(health.level, WARN), health.message, health.values)

    def destroy(self) -> None:
        """Remove the subscriptions from the node and forget images."""
        for subscription in (self._image, self._info):
            if subscription is not None:
                subscription.destroy()
        self._poses.leave()
        self._image = self._info = None
        self._decoded = None
        self._policy.reset()
