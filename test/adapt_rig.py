# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two cameras on a wall that slides by, the adapt node and a listener, over real DDS."""

from __future__ import annotations

import time

import cv2
import numpy as np
import rclpy
from bundles import make_bundle
from depth_rig import SECOND, image_message, info_message
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32, String
from std_srvs.srv import SetBool, Trigger

from monother_ros.ros.messages import set_stamp

WIDTH, HEIGHT = 96, 64
"""Of the tiny student and of both cameras' pictures."""

POSE = [1.0, 0.0, 0.0, -0.05, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
RGB_FRAME = 'rgb_optical_frame'
TYPES = {
    'teacher/depth': Image,
    'teacher/confidence': Image,
    'teacher/camera_info': CameraInfo,
    'mask': Image,
    'loss': Float32,
    'revision': String,
}

FAST = {
    'confidence': '',
    'anchors': '',
    'memory': '',
    'diagnostics_period': 0.1,
    'publish_rate': 50.0,
    'rate': 200.0,
    'pair_rate': 100.0,
    'batch': 2,
    'least_pairs': 4,
    'average': 0.0,
    'learning_rate': 2e-3,
    'held_out_every': 3,
    'block_seconds': 0.2,
    'gap_seconds': 0.0,
    'consider_steps': 15,
    'guard_confidence': 0.6,
    'guard_least_pairs': 8,
    'cpu_share': 100.0,
    'memory_limit': 0,
    'nice': 0,
    'threads': 1,
}
"""Parameters for a student that learns within seconds."""


def make_models(folder):
    """A tiny student with weights and a tiny RGB teacher that takes bright for near."""
    import torch

    from monother_ros.core.bundle import Normalisation
    from monother_ros.networks.export import export_bundle
    from monother_ros.networks.lite import LiteConfig, LiteNetwork

    torch.manual_seed(0)
    export_bundle(
        LiteNetwork(LiteConfig(bins=16, width=16)),
        folder / 'student',
        name='student',
        revision='first',
        normalisation=Normalisation('percentile', 2.0, 98.0, mean=0.5, std=0.25),
        depth_range=(0.5, 80.0),
        focal_length=None,
        training={'method': 'random weights'},
        metrics={},
        width=WIDTH,
        height=HEIGHT,
    )
    make_bundle(
        folder / 'teacher',
        HEIGHT,
        WIDTH,
        name='teacher',
        channels=3,
        confidence=False,
        modality='rgb',
    )
    return folder


def _texture():
    """(H, 1600) in 0..1, structured at several scales; built once."""
    rng = np.random.default_rng(3)
    total = np.zeros((HEIGHT, 1600), np.float32)
    for cells, weight in ((8, 1.0), (3, 0.5), (1, 0.25)):
        noise = rng.random((HEIGHT // cells + 1, 1600 // cells)).astype(np.float32)
        total += weight * cv2.resize(noise, (1600, HEIGHT), interpolation=cv2.INTER_CUBIC)
    low, high = np.percentile(total, [1, 99])
    return np.clip((total - low) / (high - low), 0, 1)


_WALL = _texture()


def view(index):
    """Thermal counts (H, W) uint16 and RGB (H, W, 3) uint8 of one instant: warm is bright."""
    start = 7 * index % (_WALL.shape[1] - WIDTH)
    seen = _WALL[:, start : start + WIDTH]
    noise = np.random.default_rng(index)
    thermal = 6000 + 2500 * seen + noise.normal(0, 6, seen.shape)
    grey = 20 + 215 * seen + noise.normal(0, 2, seen.shape)
    colour = np.stack([grey, 0.95 * grey, 0.9 * grey], -1)
    return thermal.astype(np.uint16), np.clip(colour, 0, 255).astype(np.uint8)


class AdaptRig:
    """
    Owns a context with cameras, listener and, unless it runs elsewhere, the adapt node.

    :param models: folder of :func:`make_models`.
    :param folder: for revisions.
    :param with_node: False where the node is another process.
    :param parameters: of the adapt node, beside :data:`FAST`.
    """

    def __init__(self, models, folder, with_node=True, **parameters):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.camera = rclpy.create_node('camera', context=self.context)
        self.listener = rclpy.create_node('listener', context=self.context)
        values = {
            **FAST,
            'model': str(models / 'student'),
            'teacher': f'bundle:{models / "teacher"}',
            'revisions': str(folder / 'revisions'),
            'extrinsics': POSE,
            **parameters,
        }
        self.values = {name: value for name, value in values.items() if value is not None}
        self.node = None
        if with_node:
            from monother_ros.nodes.adapt_node import AdaptNode

            self.node = AdaptNode(
                context=self.context,
                parameter_overrides=[Parameter(n, value=v) for n, v in self.values.items()],
            )
        self._reliable = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
        self._latched = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        self.publishers = {
            topic: self.camera.create_publisher(kind, topic, self._reliable)
            for topic, kind in {
                'thermal/image_raw': Image,
                'thermal/camera_info': CameraInfo,
                'rgb/image_raw': Image,
                'rgb/camera_info': CameraInfo,
            }.items()
        }
        self.received = {topic: [] for topic in TYPES}
        self.health = {}
        self.listener.create_subscription(DiagnosticArray, '/diagnostics', self._on_health, 20)
        for node in (self.camera, self.listener, self.node):
            if node is not None:
                self.executor.add_node(node)
        self.index = 0
        self.stamp = 100 * SECOND
        self.focal = None

    def _on_health(self, msg):
        for status in msg.status:
            node, _, part = status.name.rpartition(': ')
            if node == 'adapt_node':
                self.health[part] = status

    def listen(self, *topics):
        """Subscribe to outputs."""
        for topic in topics:
            profile = self._latched if topic == 'revision' else self._reliable
            self.listener.create_subscription(
                TYPES[topic], topic, self.received[topic].append, profile
            )
        return self

    def until(self, condition, timeout=60.0, tick=None, what=''):
        """Spin until something holds; ``tick`` is called at 60 Hz. Fails after the timeout."""
        end = time.monotonic() + timeout
        due = 0.0
        while not condition():
            now = time.monotonic()
            assert now < end, f'{what or "condition"} not reached in {timeout} s: {self.facts()}'
            if tick is not None and now >= due:
                due = now + 1 / 60
                tick()
            self.executor.spin_once(timeout_sec=0.01)

    def facts(self):
        """Everything that the diagnostics say, for messages of failing tests."""
        return {
            part: (status.message, {v.key: v.value for v in status.values})
            for part, status in self.health.items()
        }

    def spin(self, seconds, tick=None):
        """Spin for a time."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 5, tick)

    def active(self, timeout=60.0):
        """Wait until the node is active and all topics are matched."""
        if self.node is not None:
            self.until(lambda: self.node.stage == 'active', timeout, what='active')
        self.until(
            lambda: all(p.get_subscription_count() for p in self.publishers.values()),
            timeout,
            what='subscriptions',
        )
        return self

    def shoot(self, apart=0):
        """Publish one pair with its CameraInfos, 33 ms after the last; ``apart`` in ns."""
        self.index += 1
        self.stamp += SECOND // 30
        thermal, rgb = view(self.index)
        for role, pixels, encoding, frame, stamp in (
            ('thermal', thermal, 'mono16', 'thermal_optical_frame', self.stamp),
            ('rgb', rgb, 'rgb8', RGB_FRAME, self.stamp + apart),
        ):
            info = info_message(WIDTH, HEIGHT, self.focal)
            info.header.frame_id = frame
            set_stamp(info.header, stamp)
            self.publishers[f'{role}/camera_info'].publish(info)
            self.publishers[f'{role}/image_raw'].publish(
                image_message(pixels, stamp, encoding, frame)
            )

    def call(self, name, on=None, timeout=60.0, tick=None):
        """Call a service of the node; returns its response."""
        kind = Trigger if on is None else SetBool
        client = self.listener.create_client(kind, f'adapt_node/{name}')
        self.until(client.service_is_ready, timeout, tick, what=name)
        request = kind.Request() if on is None else kind.Request(data=on)
        future = client.call_async(request)
        self.until(future.done, timeout, tick, what=f'answer of {name}')
        self.listener.destroy_client(client)
        return future.result()

    def value(self, part, key):
        """A value of the last diagnostics, or None."""
        if part not in self.health:
            return None
        return next((v.value for v in self.health[part].values if v.key == key), None)

    def number(self, key, part='learning'):
        """A value as a number; 0 where there is none yet."""
        return float(self.value(part, key) or 0)

    def message(self, part='learning'):
        """Sentence of the last diagnostics of a part; empty where there is none."""
        return self.health[part].message if part in self.health else ''

    def level(self, part='learning'):
        """Level of the last diagnostics of a part; None where there is none."""
        return self.health[part].level[0] if part in self.health else None

    def set(self, **values):
        """Set parameters together; returns the result."""
        return self.node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()]
        )

    def close(self):
        """Take everything down."""
        for node in (self.node, self.camera, self.listener):
            if node is not None:
                node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)
