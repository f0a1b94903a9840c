# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers of the adapt node; pictures are made only when somebody subscribes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32, String

from monother_ros.core.camera import Intrinsics
from monother_ros.ros.adapt_parameters import AdaptNodeParameters
from monother_ros.ros.buffers import ImageBuffer, camera_info_from_intrinsics
from monother_ros.ros.qos import overridable, sensor_profile

if TYPE_CHECKING:
    from monother_ros.learning.distiller import Judgement
    from monother_ros.learning.online_pair import OnlinePair, RigView

PICTURES = {
    'depth': 'teacher/depth',
    'confidence': 'teacher/confidence',
    'mask': 'mask',
}
"""Picture → relative topic; all on the RGB camera's rectified picture at the student's size."""


class AdaptOutputs:
    """
    The output topics of one adapt node; called from the worker's thread.

    ``loss`` is a std_msgs/Float32: it belongs to an optimiser step over several pairs and to no
    image, so it has no stamp of its own, and every plotting tool shows the type as it is.

    :param node: lifecycle node that owns the publishers.
    :param parameters: reliability of the pictures.
    """

    def __init__(self, node: Any, parameters: AdaptNodeParameters) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        self._node = node
        self._buffers = {kind: ImageBuffer() for kind in PICTURES}
        self._pictures = {
            kind: self._publisher(Image, topic, parameters.output_reliability)
            for kind, topic in PICTURES.items()
        }
        self._info = self._publisher(
            CameraInfo, 'teacher/camera_info', parameters.output_reliability
        )
        self._loss = self._publisher(Float32, 'loss', parameters.output_reliability)
        latched = QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            reliability=ReliabilityPolicy.RELIABLE,
        )
        self._revision = node.create_lifecycle_publisher(String, 'revision', latched)
        self._last_picture: float | None = None
        self._camera: tuple[str, Any] | None = None
        self.published = dict.fromkeys((*PICTURES.values(), 'loss', 'revision'), 0)

    def _publisher(self, message_type: Any, topic: str, reliability: str) -> Any:
        return self._node.create_lifecycle_publisher(
            message_type,
            topic,
            sensor_profile(reliability),
            qos_overriding_options=overridable(),
        )

    def pictures(
        self,
        pair: OnlinePair,
        header: Any,
        judge: Callable[[OnlinePair], Judgement],
        rate: float,
    ) -> None:
        """
        Publish what is made of a pair, to those who subscribe, not more often than asked for.

        :param pair: with the teacher's depth.
        :param header: std_msgs/Header of the RGB image.
        :param judge: makes confidence and mask; called only where somebody wants them.
        :param rate: messages per second at most.
        """
        now = time.monotonic()
        if self._last_picture is not None and now - self._last_picture < 0.9 / rate:
            return
        wanted = {k for k, p in self._pictures.items() if p.get_subscription_count() > 0}
        info = self._info.get_subscription_count() > 0
        if not wanted and not info:
            return
        self._last_picture = now
        if info:
            self._info.publish(self._camera_info(pair.rig, header))
        shape = pair.teacher_depth.shape
        if 'depth' in wanted:
            depth = self._buffers['depth'].view(shape, np.float32)
            depth[:] = pair.teacher_depth
            depth[depth <= 0] = np.nan
            self._send('depth', header)
        if wanted & {'confidence', 'mask'}:
            judgement = judge(pair)
            if 'confidence' in wanted:
                self._buffers['confidence'].view(shape, np.float32)[:] = judgement.confidence
                self._send('confidence', header)
            if 'mask' in wanted:
                mask = self._buffers['mask'].view(shape, np.uint8)
                np.multiply(judgement.mask, np.uint8(255), out=mask)
                self._send('mask', header)

    def _send(self, kind: str, header: Any) -> None:
        message = self._buffers[kind].message
        message.header = header
        self._pictures[kind].publish(message)
        self.published[PICTURES[kind]] += 1

    def _camera_info(self, rig: RigView, header: Any) -> Any:
        """CameraInfo of the pictures: a pinhole camera, no distortion left."""
        if self._camera is None or self._camera[0] != rig.key:
            k = rig.rgb_intrinsics
            camera = Intrinsics(
                *(rig.width, rig.height),
                *(float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])),
            )
            self._camera = (rig.key, camera_info_from_intrinsics(camera))
        message = self._camera[1]
        message.header = header
        return message

    def loss(self, value: float) -> None:
        """Publish the loss of a step."""
        if self._loss.get_subscription_count() > 0:
            self._loss.publish(Float32(data=float(value)))
            self.published['loss'] += 1

    def revision(self, name: str) -> bool:
        """
        Publish the name of the newest good revision; late subscribers get it, too.

        :returns: whether the node is active, so that it was published.
        """
        if not self._revision.is_activated:
            return False
        self._revision.publish(String(data=name))
        self.published['revision'] += 1
        return True

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in (*self._pictures.values(), self._info, self._loss, self._revision):
            self._node.destroy_lifecycle_publisher(publisher)
