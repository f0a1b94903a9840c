# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics node with somebody who publishes depth and ground truth, over real DDS."""

from __future__ import annotations

import time

import numpy as np
import rclpy
from depth_rig import FRAME, SECOND, image_message, info_message
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from monother_ros.nodes.metrics_node import PUBLISHED, MetricsNode

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
SIZE = (48, 64)

TOPICS = {
    'depth': (Image, 'depth/image_raw'),
    'info': (CameraInfo, 'depth/camera_info'),
    'confidence': (Image, 'confidence'),
    'truth': (Image, 'ground_truth/depth'),
    'points': (PointCloud2, 'ground_truth/points'),
    'condition': (String, 'ground_truth/conditions'),
}


def truth_of(index):
    """A slanted plane that comes nearer; the top rows are sky."""
    v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float32)
    depth = 4.0 + 0.9 * v + 0.1 * u - 0.05 * index
    depth[:5] = np.inf
    return depth.astype(np.float32)


class MetricsRig:
    """
    Owns the metrics node, a publisher of everything that it hears, and a listener.

    :param publish: names of TOPICS to publish.
    :param parameters: of the node.
    """

    def __init__(self, publish=('depth', 'info', 'confidence', 'truth'), **parameters):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        values = {'diagnostics_period': 0.1, **parameters}
        self.node = MetricsNode(
            context=self.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in values.items()],
        )
        self.player = rclpy.create_node('player', context=self.context)
        self.publishers = {
            name: self.player.create_publisher(*TOPICS[name], RELIABLE) for name in publish
        }
        self.values = {name: [] for name in PUBLISHED}
        for name, received in self.values.items():
            self.player.create_subscription(
                Float32, f'metrics/{name}', lambda msg, to=received: to.append(msg.data), RELIABLE
            )
        self.health = {}
        self.player.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, 20)
        self.executor.add_node(self.node)
        self.executor.add_node(self.player)

    def _on_health(self, msg):
        for status in msg.status:
            node, _, part = status.name.rpartition(': ')
            if node == 'metrics_node':
                self.health[part] = status

    def until(self, condition, what, timeout=20.0):
        end = time.monotonic() + timeout
        while not condition():
            facts = {k: s.message for k, s in self.health.items()}
            assert time.monotonic() < end, f'{what} not reached: {facts}'
            self.executor.spin_once(timeout_sec=0.01)

    def ready(self):
        """Wait until the node is active and hears everybody."""
        self.until(lambda: self.node.stage == 'active', 'active')
        heard = [p for n, p in self.publishers.items()]
        self.until(lambda: all(p.get_subscription_count() for p in heard), 'subscriptions')
        inputs = {'depth': 'depth', 'confidence': 'confidence'}
        for name, part in inputs.items():
            if name in self.publishers:
                subscription = self.node._inputs[part]
                self.until(lambda s=subscription: s.publishers().count, f'publisher of {name}')
        return self

    def message(self, part):
        """Sentence of the last diagnostics of a part; empty before the first one."""
        return self.health[part].message if part in self.health else ''

    def send(self, name, array, stamp, frame=FRAME):
        self.publishers[name].publish(image_message(array, stamp, '32FC1', frame))

    def info(self, stamp=0):
        self.publishers['info'].publish(info_message(SIZE[1], SIZE[0], stamp=stamp))

    def condition(self, text):
        self.publishers['condition'].publish(String(data=text))

    def scored(self, frames):
        self.until(lambda: self.node.frames >= frames, f'{frames} frames')
        assert self.node.frames == frames

    def call(self, service):
        client = self.player.create_client(Trigger, f'metrics_node/{service}')
        self.until(client.service_is_ready, service)
        future = client.call_async(Trigger.Request())
        self.until(future.done, f'answer of {service}')
        return future.result()

    def close(self):
        for node in (self.node, self.player):
            self.executor.remove_node(node)
            node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


__all__ = ['SECOND', 'SIZE', 'MetricsRig', 'truth_of']
