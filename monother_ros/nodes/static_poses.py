# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses between rigidly mounted sensors, as /tf_static says them to a node."""

from __future__ import annotations

from typing import Any

from monother_ros.nodes.inputs import never_raise
from monother_ros.ros.static_tf import StaticTransforms


class StaticPoses:
    """
    Listens to /tf_static where its message type exists (the pip wheels of ROS lack it).

    :param node: rclpy node that owns the subscription.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._subscription: Any = None
        self.transforms = StaticTransforms()
        """What /tf_static has said."""

    def follow(self) -> str | None:
        """
        Subscribe, unless that is done already.

        :returns: why the topic cannot be read here, or None.
        """
        if self._subscription is not None:
            return None
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError as err:
            return str(err)
        from rclpy.qos import DurabilityPolicy, QoSProfile

        profile = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscription = self._node.create_subscription(
            TFMessage, '/tf_static', never_raise(self._node, self.transforms.add), profile
        )
        return None

    def leave(self) -> None:
        """Unsubscribe; what was heard stays."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
