# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics node as a process of its own: parameters, remapped topics, report at its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

import rclpy
from depth_rig import SECOND, image_message
from metrics_rig import RELIABLE, SIZE, truth_of
from sensor_msgs.msg import Image


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_report_is_written_when_the_process_is_ended(ros_domain, tmp_path, number):
    report = tmp_path / 'metrics.json'
    words = ['--ros-args', '-p', f'report:={report}', '-p', 'range_max:=30.0']
    remaps = ['-r', 'ground_truth/depth:=/drive/truth', '-r', '__ns:=/cam']
    process = subprocess.Popen(
        [sys.executable, '-m', 'monother_ros.nodes.metrics_node', *words, *remaps],
        stderr=subprocess.PIPE,
        text=True,
    )
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('player', context=context)
    depth = node.create_publisher(Image, '/cam/depth/image_raw', RELIABLE)
    truth = node.create_publisher(Image, '/drive/truth', RELIABLE)
    try:
        end = time.monotonic() + 40
        while not (depth.get_subscription_count() and truth.get_subscription_count()):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        for k in range(12):
            stamp = 100 * SECOND + k * SECOND // 30
            right = truth_of(k)
            wrong = np.nan_to_num(right, posinf=60.0) * np.float32(1.2)
            depth.publish(image_message(wrong, stamp, '32FC1'))
            truth.publish(image_message(right, stamp, '32FC1'))
            time.sleep(0.02)
        depth.wait_for_all_acked(rclpy.duration.Duration(seconds=5))
        truth.wait_for_all_acked(rclpy.duration.Duration(seconds=5))
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(20) == 0
    finally:
        process.kill()
        said = process.stderr.read()
        process.wait()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert 'Traceback' not in said, said
    figures = json.loads(report.read_text())
    assert figures['frames'] == 12 and figures['counts'] == {'pairs': 12}, said
    assert figures['topics']['truth'] == '/drive/truth'
    below = [(truth_of(k) < 30) & np.isfinite(truth_of(k)) for k in range(12)]
    assert all(mask.sum() < SIZE[0] * SIZE[1] for mask in below)
    # what lies beyond 30 m does not count, and depth is clipped there
    errors = [
        np.mean(np.minimum(1.2 * truth_of(k)[m], 30.0) / truth_of(k)[m] - 1)
        for k, m in enumerate(below)
    ]
    assert figures['overall']['abs_rel'] == pytest.approx(np.mean(errors), rel=1e-4)
