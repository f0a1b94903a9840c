# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Swaps in a depth node of its own process: every image answered, in order, by one revision."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
import rclpy
from depth_rig import depth_of, image_message, picture
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from scaled_revisions import scaled_store
from sensor_msgs.msg import Image
from std_msgs.msg import String

from monother_ros.ros.messages import stamp_ns
from monother_ros.ros.qos import latched_profile

SCALES = (0.7, 1.3, 1.8)
PICTURES = 8
PERIOD = 1 / 15
"""Seconds between images: slow enough for a busy machine, as newer images replace waiting ones."""


class Camera:
    """Publishes images of a few pictures in turn and keeps the depth that comes back."""

    def __init__(self):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('camera', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        reliable = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
        self.image = self.node.create_publisher(Image, 'thermal/image_raw', reliable)
        self.newest = self.node.create_publisher(String, 'revision', latched_profile())
        self.depth = {}
        self.order = []
        self.node.create_subscription(Image, 'depth/image_raw', self._on_depth, reliable)
        self.sent = {}

    def _on_depth(self, msg):
        self.order.append(stamp_ns(msg))
        self.depth[stamp_ns(msg)] = depth_of(msg)

    def run(self, seconds, until=lambda: False):
        """Publish at that rate."""
        end, due = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end and not until():
            if time.monotonic() >= due:
                due += PERIOD
                index = len(self.sent)
                stamp = 10**11 + round(index * PERIOD * 1e9)
                self.sent[stamp] = index % PICTURES
                self.image.publish(image_message(picture(index % PICTURES), stamp))
            self.executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))

    def close(self):
        self.node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


def test_no_frame_is_lost_and_none_is_made_of_two_revisions(ros_domain, tiny_bundle, tmp_path):
    folder = tmp_path / 'revisions'
    _, names = scaled_store(folder, tiny_bundle, SCALES)
    log = tmp_path / 'node.log'
    command = [sys.executable, '-m', 'monother_ros.nodes.depth_node', '--ros-args']
    command += ['-p', f'model:={tiny_bundle}', '-p', f'revisions:={folder}', '-p', 'threads:=1']
    command += ['-p', 'thermal_reliability:=reliable']
    with log.open('wb') as handle:
        child = subprocess.Popen(command, stdout=handle, stderr=subprocess.STDOUT)
    camera = Camera()
    try:
        camera.run(20, lambda: bool(camera.depth))
        assert camera.depth, log.read_text()
        camera.run(1.0)
        first = next(iter(camera.depth))
        # the first image that is answered begins the series; of the base so far
        reference = {camera.sent[s]: d for s, d in camera.depth.items()}
        assert len(reference) == PICTURES, 'too few frames before the swaps'
        asked = []
        for k in range(9):
            asked.append(k % 3)
            camera.newest.publish(String(data=names[asked[-1]]))
            camera.run(0.5)
        sent = [s for s in camera.sent if s >= first]
        end = time.monotonic() + 5
        while camera.order[-1] < sent[-1] and time.monotonic() < end:
            camera.executor.spin_once(timeout_sec=0.1)
        child.send_signal(signal.SIGINT)
        assert child.wait(15) == 0, log.read_text()
    finally:
        child.kill()
        child.wait()
        camera.close()
    assert camera.order == sent, 'a frame is lost, or out of order'
    runs = [1.0]
    for stamp in sent:
        base = reference[camera.sent[stamp]]
        ratio = camera.depth[stamp] / base
        ratio = ratio[np.isfinite(ratio)]
        known = min((1.0, *SCALES), key=lambda s: abs(s - np.median(ratio)))
        # all pixels of one factor: the same picture gives the same depth but for the factor
        assert np.allclose(ratio, known, rtol=1e-3), f'{stamp} is of two revisions'
        if known != runs[-1]:
            runs.append(known)
    assert runs == [1.0, *(SCALES[k] for k in asked)], log.read_text()
