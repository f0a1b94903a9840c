# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers of the depth node; what nobody subscribes to is not asked for."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from monother_ros.core.camera import Intrinsics
from monother_ros.core.pipeline import FrameResult, Wanted
from monother_ros.ros.messages import OutputBuffers, camera_info_from_intrinsics
from monother_ros.ros.parameters import DepthNodeParameters
from monother_ros.ros.qos import output_profile, overridable

TOPICS = {
    'depth': ('depth/image_raw', Image),
    'confidence': ('confidence', Image),
    'cloud': ('points', PointCloud2),
    'color': ('depth/color', Image),
}
"""Output of the pipeline → relative topic and message type."""


class Outputs:
    """
    The output topics of one depth node.

    :param node: lifecycle node that owns the publishers.
    :param parameters: reliability of each topic.
    """

    def __init__(self, node: Any, parameters: DepthNodeParameters) -> None:
        self._node = node
        self.buffers = OutputBuffers()
        self.published = dict.fromkeys(TOPICS, 0)
        reliabilities = {
            'depth': parameters.depth_reliability,
            'confidence': parameters.confidence_reliability,
            'cloud': parameters.points_reliability,
            'color': parameters.color_reliability,
        }
        self._publishers = {
            kind: self._publisher(message_type, topic, reliabilities[kind])
            for kind, (topic, message_type) in TOPICS.items()
        }
        self._info_publisher = self._publisher(
            CameraInfo, 'depth/camera_info', parameters.depth_reliability
        )
        self._info: tuple[Intrinsics, Any] | None = None

    def _publisher(self, message_type: Any, topic: str, reliability: str) -> Any:
        return self._node.create_lifecycle_publisher(
            message_type,
            topic,
            output_profile(topic, reliability),
            qos_overriding_options=overridable(),
        )

    def wanted(self) -> Wanted:
        """Outputs with at least one subscriber now."""
        return Wanted(**{k: p.get_subscription_count() > 0 for k, p in self._publishers.items()})

    def info_wanted(self) -> bool:
        """Whether anybody subscribes to depth/camera_info."""
        return bool(self._info_publisher.get_subscription_count() > 0)

    def publish(self, result: FrameResult, header: Any) -> None:
        """
        Publish what a frame gave, under the thermal image's own header.

        The arrays of the result are views into the messages of :attr:`buffers`; publish
        serialises them before it returns, so the next frame may overwrite them.

        :param result: outputs of Pipeline.process with ``allocate=self.buffers.allocate``.
        :param header: std_msgs/Header of the thermal image.
        """
        self.publish_info(result.intrinsics, header)
        for kind, publisher in self._publishers.items():
            if getattr(result, kind) is not None:
                publisher.publish(self.buffers.message(kind, header))
                self.published[kind] += 1

    def publish_info(self, intrinsics: Intrinsics | None, header: Any) -> None:
        """
        Publish depth/camera_info if it is known and somebody subscribes.

        :param intrinsics: of the published depth image, or None where not known.
        :param header: std_msgs/Header of the thermal image.
        """
        if intrinsics is None or not self.info_wanted():
            return
        if self._info is None or self._info[0] != intrinsics:
            self._info = (intrinsics, camera_info_from_intrinsics(intrinsics))
        message = self._info[1]
        message.header = header
        self._info_publisher.publish(message)

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in (*self._publishers.values(), self._info_publisher):
            self._node.destroy_lifecycle_publisher(publisher)
