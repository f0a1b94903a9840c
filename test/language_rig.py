# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The language node with an operator, cameras and a listener, over real DDS."""

from __future__ import annotations

import time

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Vector3Stamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from monother_ros.ros.scale import scale_from_message

RELIABLE = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class LanguageRig:
    """
    The language node, unless it runs elsewhere, and an operator who also is cameras and listener.

    :param context: of a depth rig to join, with its executor; None makes one.
    :param with_node: False where the node is another process.
    :param parameters: of the language node.
    """

    def __init__(self, context=None, executor=None, with_node=True, **parameters):
        self.owns = context is None
        self.context = context or rclpy.Context()
        if self.owns:
            rclpy.init(context=self.context)
        self.executor = executor or SingleThreadedExecutor(context=self.context)
        values = {'diagnostics_period': 0.1, 'focal_period': 0.0, **parameters}
        self.node = None
        if with_node:
            from monother_ros.nodes.language_node import LanguageNode

            self.node = LanguageNode(
                context=self.context,
                parameter_overrides=[Parameter(n, value=v) for n, v in values.items()],
            )
        self.operator = rclpy.create_node('operator', context=self.context)
        self.said = self.operator.create_publisher(
            String, 'language_node/scene_description', RELIABLE
        )
        self.publishers = {
            topic: self.operator.create_publisher(kind, topic, RELIABLE)
            for topic, kind in {
                'thermal/image_raw': Image,
                'thermal/camera_info': CameraInfo,
                'rgb/image_raw': Image,
                'rgb/camera_info': CameraInfo,
            }.items()
        }
        self.scales = {'language': [], 'focal': []}
        self.infos = []
        for source, found in self.scales.items():
            self.operator.create_subscription(
                Vector3Stamped, f'scale/{source}', found.append, LATCHED
            )
        self.operator.create_subscription(
            CameraInfo, 'camera_info_estimated', self.infos.append, RELIABLE
        )
        self.health = {}
        self.operator.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, 20)
        for node in filter(None, (self.node, self.operator)):
            self.executor.add_node(node)

    def _on_health(self, msg):
        for status in msg.status:
            node, _, part = status.name.rpartition(': ')
            if node == 'language_node':
                self.health[part] = status

    def until(self, condition, timeout=60.0, tick=None, what=''):
        end = time.monotonic() + timeout
        due = 0.0
        while not condition():
            now = time.monotonic()
            facts = {k: (s.message, s.level) for k, s in self.health.items()}
            assert now < end, f'{what} not reached: {facts}'
            if tick is not None and now >= due:
                due = now + 0.1
                tick()
            self.executor.spin_once(timeout_sec=0.01)

    def active(self):
        self.until(lambda: self.node.stage == 'active', what='active')
        return self

    def tell(self, text, patience=30.0):
        """Say a sentence, again where nobody answers; returns the estimate that follows."""
        self.until(lambda: self.said.get_subscription_count() > 0, 180.0, what='subscription')
        found = self.scales['language']
        count, due = len(found), [0.0]

        def say():
            # a node that was killed still counts as a listener for some seconds
            if time.monotonic() >= due[0]:
                due[0] = time.monotonic() + patience
                self.said.publish(String(data=text))

        self.until(lambda: len(found) > count, 180.0, say, f'estimate of {text[:30]!r}')
        return scale_from_message(found[-1], 'language')

    def until_message(self, part, words, tick=None):
        self.until(
            lambda: part in self.health and words in self.health[part].message,
            tick=tick,
            what=words,
        )
        return self.health[part]

    def close(self):
        for node in filter(None, (self.node, self.operator)):
            self.executor.remove_node(node)
            node.destroy_node()
        if self.owns:
            self.executor.shutdown()
            rclpy.shutdown(context=self.context)
