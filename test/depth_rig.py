# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thermal camera, the depth node and a listener in one process, over real DDS."""

from __future__ import annotations

import array
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from monother_ros.core.camera import Intrinsics
from monother_ros.nodes.depth_node import DepthNode
from monother_ros.ros.messages import camera_info_from_intrinsics, set_stamp, stamp_ns

TYPES = {
    'depth/image_raw': Image,
    'depth/camera_info': CameraInfo,
    'confidence': Image,
    'points': PointCloud2,
    'depth/color': Image,
}
FRAME = 'thermal_optical_frame'
SECOND = 1_000_000_000


def picture(index, width=160, height=128):
    """Thermal counts of a scene that moves a little, so that no frame looks like a shutter."""
    rng = np.random.default_rng(index)
    v, u = np.mgrid[0:height, 0:width]
    warm = 600 * np.sin((u + 0.3 * index) / 17) * np.cos(v / 13)
    return (6000 + 4 * v + warm + rng.normal(0, 5, (height, width))).astype(np.uint16)


def image_message(pixels, stamp, encoding='mono16', frame_id=FRAME):
    """sensor_msgs/Image of an array."""
    msg = Image()
    msg.height, msg.width = pixels.shape[:2]
    msg.encoding = encoding
    msg.step = pixels.strides[0]
    msg.data = array.array('B', np.ascontiguousarray(pixels).tobytes())
    msg.header.frame_id = frame_id
    set_stamp(msg.header, stamp)
    return msg


def info_message(width, height, focal=None, stamp=0):
    """CameraInfo of a camera without distortion."""
    focal = focal or 0.9 * width
    camera = Intrinsics(width, height, focal, focal, width / 2 - 0.5, height / 2 - 0.5)
    msg = camera_info_from_intrinsics(camera)
    msg.header.frame_id = FRAME
    set_stamp(msg.header, stamp)
    return msg


class Rig:
    """
    Owns a context with three nodes and one executor that the test spins.

    :param namespace: of all three nodes.
    :param parameters: of the depth node.
    """

    def __init__(self, model, namespace='', **parameters):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.camera = rclpy.create_node('camera', context=self.context, namespace=namespace)
        self.listener = rclpy.create_node('listener', context=self.context, namespace=namespace)
        # exact numbers, whichever engines are installed
        exact = {'device': 'cpu', 'precision': 'fp32'}
        values = {'model': str(model), 'diagnostics_period': 0.1, **exact, **parameters}
        self.node = DepthNode(
            namespace=namespace,
            context=self.context,
            parameter_overrides=[Parameter(name, value=v) for name, v in values.items()],
        )
        # another test may run in the same domain
        self.watched = self.node.get_fully_qualified_name().lstrip('/')
        reliable = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
        self._reliable = reliable
        self.image = self.camera.create_publisher(Image, 'thermal/image_raw', reliable)
        self.info = self.camera.create_publisher(CameraInfo, 'thermal/camera_info', reliable)
        self.received = {topic: [] for topic in TYPES}
        self._subscriptions = {}
        self.health = {}
        self.listener.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, 20)
        for node in (self.camera, self.listener, self.node):
            self.executor.add_node(node)
        self.index = 0
        self.stamp = 100 * SECOND

    def _on_health(self, msg):
        for status in msg.status:
            node, _, part = status.name.rpartition(': ')
            if node == self.watched:
                self.health[part] = status

    def listen(self, *topics):
        """Subscribe to outputs."""
        for topic in topics:
            self._subscriptions[topic] = self.listener.create_subscription(
                TYPES[topic], topic, self.received[topic].append, self._reliable
            )

    def ignore(self, topic):
        """Unsubscribe from an output."""
        self.listener.destroy_subscription(self._subscriptions.pop(topic))

    def until(self, condition, timeout=10.0, tick=None, what=''):
        """Spin until something holds; ``tick`` is called at 30 Hz. Fails after the timeout."""
        end = time.monotonic() + timeout
        due = 0.0
        while not condition():
            now = time.monotonic()
            status = {k: v.message for k, v in self.health.items()}
            assert now < end, f'{what or "condition"} not reached in {timeout} s: {status}'
            if tick is not None and now >= due:
                due = now + 1 / 30
                tick()
            self.executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds, tick=None):
        """Spin for a time, where nothing is to be waited for."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 5, tick)

    def active(self):
        """Wait until the node is active and the camera's topics are matched."""
        self.until(lambda: self.node.stage == 'active', what='active')
        self.until(
            lambda: self.image.get_subscription_count() and self.info.get_subscription_count(),
            what='subscriptions',
        )
        return self

    def matched(self):
        """Wait until the node sees every subscriber of the listener."""
        publishers = {
            'depth/image_raw': 'depth',
            'confidence': 'confidence',
            'points': 'cloud',
            'depth/color': 'color',
        }

        def ready():
            wanted = self.node.outputs.wanted()
            seen = {t: getattr(wanted, kind) for t, kind in publishers.items()}
            seen['depth/camera_info'] = self.node.outputs.info_wanted()
            return all(seen[t] == (t in self._subscriptions) for t in TYPES)

        self.until(ready, what='matched outputs')
        return self

    def next_stamp(self):
        """Stamps of a camera at 30 Hz."""
        self.index += 1
        self.stamp += SECOND // 30
        return self.stamp

    def shoot(self, width=160, height=128, info=True):
        """Publish one image and its CameraInfo; returns the stamp."""
        stamp = self.next_stamp()
        if info:
            self.info.publish(info_message(width, height, stamp=stamp))
        self.image.publish(image_message(picture(self.index, width, height), stamp))
        return stamp

    def first(self, topic, timeout=10.0, **options):
        """Publish images until a topic gives something new; returns it."""
        have = len(self.received[topic])
        self.until(
            lambda: len(self.received[topic]) > have,
            timeout,
            lambda: self.shoot(**options),
            what=topic,
        )
        return self.received[topic][-1]

    def value(self, part, key):
        """A value of the last diagnostics, or None."""
        if part not in self.health:
            return None
        return next((v.value for v in self.health[part].values if v.key == key), None)

    def message(self, part):
        """Sentence of the last diagnostics of a part; empty where there is none."""
        return self.health[part].message if part in self.health else ''

    def level(self, part):
        """Level of the last diagnostics of a part: 0, 1, 2; None where there is none."""
        return self.health[part].level[0] if part in self.health else None

    def set(self, **values):
        """Set parameters together, as `ros2 param load` does; returns the result."""
        return self.node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()]
        )

    def close(self):
        """Take everything down."""
        self.node.destroy_node()
        self.camera.destroy_node()
        self.listener.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


def stamps(messages):
    """Stamps of messages in nanoseconds."""
    return [stamp_ns(msg) for msg in messages]


def depth_of(msg):
    """(H, W) metres of a 32FC1 message."""
    assert msg.encoding == '32FC1' and not msg.is_bigendian
    return np.frombuffer(msg.data, np.float32).reshape(msg.height, msg.width)


__all__ = [
    'CompressedImage',
    'Rig',
    'depth_of',
    'image_message',
    'info_message',
    'picture',
    'stamps',
]


def next_depth(rig, patience=60.0):
    """Depth of an image that is published from now on; earlier ones may still be on their way."""
    received, after = rig.received['depth/image_raw'], rig.stamp
    rig.until(
        lambda: received and stamps(received[-1:])[0] > after,
        patience,
        tick=rig.shoot,
        what='depth',
    )
    return depth_of(received[-1])
