# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sensor-to-depth latency and lost frames over real DDS, camera and depth node in two processes.

This process is the camera: it publishes 640x512 mono16 images stamped with the time of publishing,
and receives the depth that comes back. The depth node is a process of its own. Both use the
shipped Fast DDS profile unless FASTDDS_DEFAULT_PROFILES_FILE says otherwise.

    python bench/latency.py --seconds 60 --output latency.json

What is lost is counted over a window that begins when the first depth has arrived and the node has
been left without images for a moment. The node's own counters tell images that never reached it
(lost in transport) from images that a newer one replaced while the engine worked (latest wins).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from monother_ros.core.files import atomic_write
from monother_ros.ros.transport import describe_transport, use_profile

START_TIMEOUT = 60.0
QUIET = 0.8
"""Seconds without images before and after the window, so that the node's counters stand still."""


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--seconds', type=float, default=60.0, help='length of the window')
    parser.add_argument('--rate', type=float, default=30.0, help='images per second')
    parser.add_argument('--size', default='640x512', help='width x height of the images')
    parser.add_argument('--model', default='lite', help='model bundle: name or folder')
    parser.add_argument('--reliability', default='best_effort', help='of images and depth')
    parser.add_argument('--domain', type=int, default=None, help='ROS_DOMAIN_ID to use')
    parser.add_argument('--points', action='store_true', help='receive the point cloud, too')
    parser.add_argument('--no-profile', action='store_true', help='default Fast DDS transports')
    parser.add_argument('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


def scene(width, height, count=16):
    """Different thermal pictures of one slowly moving scene, (H, W) uint16."""
    rng = np.random.default_rng(0)
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = []
    for i in range(count):
        phase = 2 * np.pi * i / count
        warm = 400 * np.sin(u / 60 + 0.2 * np.sin(phase)) * np.cos(v / 45 + 0.2 * np.cos(phase))
        noise = rng.normal(0, 4, (height, width))
        frames.append((8000 + 2 * v + warm + noise).astype(np.uint16))
    return frames


def cpu_seconds(pid):
    """Processor time that a process has used so far."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
    return float('nan')


def memory(pid):
    """Resident memory of a process in MB."""
    with contextlib.suppress(OSError):
        for line in Path(f'/proc/{pid}/status').read_text().splitlines():
            if line.startswith('VmRSS:'):
                return round(int(line.split()[1]) / 1024, 1)
    return None


class Camera:
    """Publishes images, receives depth and the node's diagnostics."""

    def __init__(self, options):
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import CameraInfo, Image, PointCloud2

        from monother_ros.core.camera import Intrinsics
        from monother_ros.ros.buffers import ImageBuffer, camera_info_from_intrinsics
        from monother_ros.ros.qos import sensor_profile

        rclpy.init()
        self._rclpy = rclpy
        self.node = rclpy.create_node('bench_camera')
        profile = sensor_profile(options.reliability)
        self._image = self.node.create_publisher(Image, 'thermal/image_raw', profile)
        self._info = self.node.create_publisher(CameraInfo, 'thermal/camera_info', profile)
        width, height = (int(v) for v in options.size.split('x'))
        self._frames = []
        for picture in scene(width, height):
            buffer = ImageBuffer()
            np.copyto(buffer.view((height, width), np.uint16), picture)
            buffer.message.header.frame_id = 'thermal_optical_frame'
            self._frames.append(buffer.message)
        camera = Intrinsics(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
        self._calibration = camera_info_from_intrinsics(camera)
        self.sent: dict[int, int] = {}
        self.depth: dict[int, int] = {}
        self.points: dict[int, int] = {}
        self.counters: dict[str, str] = {}
        self.counted = 0.0
        self._count = 0
        self.node.create_subscription(Image, 'depth/image_raw', self._on_depth, profile)
        if options.points:
            self.node.create_subscription(PointCloud2, 'points', self._on_points, profile)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_status, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        with contextlib.suppress(Exception):
            self._executor.spin()

    @staticmethod
    def _key(message):
        return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec

    def _on_depth(self, message):
        self.depth[self._key(message)] = time.time_ns()

    def _on_points(self, message):
        self.points[self._key(message)] = time.time_ns()

    def _on_status(self, message):
        for status in message.status:
            part = status.name.rpartition(': ')[2]
            self.counters.update({f'{part}/{v.key}': v.value for v in status.values})
        self.counted = time.monotonic()

    def publish(self):
        """Publish the next image with the time of now."""
        message = self._frames[self._count % len(self._frames)]
        self._count += 1
        now = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)
        self._calibration.header = message.header
        self.sent[now] = now
        self._info.publish(self._calibration)
        self._image.publish(message)

    def settled_counters(self):
        """Counters of the node after it has had no image for a moment."""
        time.sleep(QUIET)
        asked = time.monotonic()
        while self.counted < asked and time.monotonic() < asked + 10:
            time.sleep(0.05)
        return dict(self.counters)

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        self._rclpy.try_shutdown()


def difference(before, after, key):
    """How much a counter of the node has grown."""
    return int(after.get(key, 0)) - int(before.get(key, 0))


def percentiles(values):
    """Percentiles as JSON."""
    if not len(values):
        return {'p50': None, 'p95': None, 'p99': None, 'max': None}
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return {
        k: round(float(v), 3)
        for k, v in {'p50': p50, 'p95': p95, 'p99': p99, 'max': np.max(values)}.items()
    }


def measure(options):
    """Run node and camera, and return the figures."""
    if not options.no_profile:
        use_profile()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(options.domain or os.getpid() % 90 + 2)
    arguments = {
        'model': options.model,
        'thermal_reliability': options.reliability,
        'depth_reliability': options.reliability,
        'points_reliability': options.reliability,
        'diagnostics_period': '0.2',
    }
    command = [sys.executable, '-m', 'monother_ros.nodes.depth_node', '--ros-args']
    for name, value in arguments.items():
        command += ['-p', f'{name}:={value}']
    child = subprocess.Popen(command)
    camera = None
    try:
        camera = Camera(options)
        period = 1.0 / options.rate
        start = time.monotonic()
        while not camera.depth:
            if child.poll() is not None or time.monotonic() - start > START_TIMEOUT:
                status = camera.counters or 'none'
                raise SystemExit(f'error: no depth arrived; diagnostics of the node: {status}')
            camera.publish()
            time.sleep(period)
        before = camera.settled_counters()
        camera.sent.clear()
        camera.depth.clear()
        camera.points.clear()
        used, own = cpu_seconds(child.pid), time.process_time()
        resident = memory(child.pid)
        start = time.monotonic()
        for i in range(round(options.seconds * options.rate)):
            time.sleep(max(0.0, start + i * period - time.monotonic()))
            camera.publish()
        lasted = time.monotonic() - start
        used, own = cpu_seconds(child.pid) - used, time.process_time() - own
        after = camera.settled_counters()
        sent = sorted(camera.sent)
        result = figures(options, sent, camera.depth, before, after)
        if options.points:
            arrived = [(camera.points[s] - s) * 1e-6 for s in sent if s in camera.points]
            result['points received'] = len(arrived)
            result['sensor to points [ms]'] = percentiles(arrived)
        result['CPU of the node [% of a core]'] = round(100 * used / lasted, 1)
        result['CPU of the camera process [% of a core]'] = round(100 * own / lasted, 1)
        result['memory of the node, start and end [MB]'] = [resident, memory(child.pid)]
        return result
    finally:
        if camera is not None:
            camera.close()
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def figures(options, sent, depth, before, after):
    """Losses and latencies of the window."""
    arrived = [s for s in sent if s in depth]
    latency = np.array([(depth[s] - s) * 1e-6 for s in arrived])
    minutes = np.array([(s - sent[0]) / 60e9 for s in arrived])
    slope = float(np.polyfit(minutes, latency, 1)[0]) if len(arrived) > 2 else None
    reached = difference(before, after, 'thermal input/received')
    published = difference(before, after, 'depth/published depth/image_raw')
    drops = {
        key.partition('dropped: ')[2]: difference(before, after, key)
        for key in after
        if key.startswith('depth/dropped: ') and difference(before, after, key)
    }
    lost = len(sent) - len(arrived)
    return {
        'machine': f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores',
        'transport': describe_transport(),
        'reliability': options.reliability,
        'model': f'{after.get("engine/bundle")} {after.get("engine/revision")}',
        'engine': after.get('engine/description'),
        'image': f'{options.size} mono16 at {options.rate:g} Hz for {options.seconds:g} s',
        'published': len(sent),
        'depth received': len(arrived),
        'lost [%]': round(100 * lost / max(1, len(sent)), 3),
        'lost camera to node': len(sent) - reached,
        'lost node to receiver': published - len(arrived),
        'dropped by the node': drops,
        'sensor to depth [ms]': percentiles(latency),
        'growth of the delay [ms/min]': None if slope is None else round(slope, 3),
        'node, whole run [ms p50/p95/p99]': {
            key.removeprefix('depth/').removesuffix(' p50/p95/p99 [ms]'): value
            for key, value in after.items()
            if key.endswith('p50/p95/p99 [ms]')
        },
    }


def write_result(result, output):
    """Write the figures as JSON to a file, or to standard output where there is none."""
    text = json.dumps(result, indent=2) + '\n'
    if output:
        atomic_write(output, text)
        print(output)
    else:
        print(text, end='')


def main():
    """Measure and write."""
    options = parse()
    result = measure(options)
    write_result(result, options.output)


if __name__ == '__main__':
    main()
