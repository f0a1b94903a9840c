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
PERIOD = 1 / 30
PATIENCE = 60.0
"""Seconds for an answer, however busy the machine is."""


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

    def shoot(self):
        """Publish the next image; its stamp."""
        index = len(self.sent)
        stamp = 10**11 + round(index * PERIOD * 1e9)
        self.sent[stamp] = index % PICTURES
        self.image.publish(image_message(picture(index % PICTURES), stamp))
        return stamp

    def spin(self, until, seconds):
        """Serve callbacks until something holds; whether it does."""
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.005)
        return until()

    def series(self, count):
        """Images at 30 Hz at most, each after the answer to the one before; their stamps."""
        stamps = []
        for _ in range(count):
            began = time.monotonic()
            stamps.append(self.shoot())
            if not self.spin(lambda: stamps[-1] in self.depth, PATIENCE):
                return stamps
            self.spin(lambda: False, began + PERIOD - time.monotonic())
        return stamps

    def factor(self, stamp, reference):
        """Factor of a frame, the same for all of its pixels; None where they differ."""
        ratio = self.depth[stamp] / reference[self.sent[stamp]]
        ratio = ratio[np.isfinite(ratio)]
        known = min((1.0, *SCALES), key=lambda s: abs(s - np.median(ratio)))
        # the same picture gives the same depth but for the factor
        return known if np.allclose(ratio, known, rtol=1e-3) else None

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
        end = time.monotonic() + PATIENCE
        while not camera.depth and time.monotonic() < end:
            camera.shoot()
            camera.spin(lambda: bool(camera.depth), 0.2)
        assert camera.depth, log.read_text()
        camera.spin(lambda: False, 0.5)
        camera.order.clear()
        sent = camera.series(PICTURES)
        # of the base so far
        reference = {camera.sent[s]: camera.depth[s] for s in sent}
        asked = []
        for k in range(9):
            asked.append(k % 3)
            camera.newest.publish(String(data=names[asked[-1]]))
            sent += camera.series(12)
            end = time.monotonic() + PATIENCE
            while camera.factor(sent[-1], reference) != SCALES[asked[-1]]:
                assert time.monotonic() < end, log.read_text()
                sent += camera.series(1)
        child.send_signal(signal.SIGINT)
        assert child.wait(15) == 0, log.read_text()
    finally:
        child.kill()
        child.wait()
        camera.close()
    assert camera.order == sent, 'a frame is lost, or out of order'
    runs = [1.0]
    for stamp in sent:
        known = camera.factor(stamp, reference)
        assert known is not None, f'{stamp} is of two revisions'
        if known != runs[-1]:
            runs.append(known)
    assert runs == [1.0, *(SCALES[k] for k in asked)], log.read_text()
