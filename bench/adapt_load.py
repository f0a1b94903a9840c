# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the adapt node takes from the depth node when both have the same cores.

A simulated drive is played to and fro, thermal and RGB, over real DDS; depth node and adapt node
are processes of their own, bound to the same cores. Blocks in which the adapt node learns and
blocks in which it is deactivated (it then has no subscription and takes no step) take turns, at
each image rate. The figure that counts is the ratio of the depth node's latency and rate.

Both nodes are started in one session, as `ros2 launch` does. Linux kernels that group processes by
session (`/proc/sys/kernel/sched_autogroup_enabled`) heed niceness within a session only: an adapt
node in a terminal of its own takes its full share, however nice it is.

    python bench/adapt_load.py --rates 10,20 --seconds 30 --blocks 3 --output adapt_load.json
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
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from latency import cpu_seconds, memory, percentiles, write_result

from monother_ros.cli.nodes import Drive, rgb_pose
from monother_ros.ros.bags import BagReader
from monother_ros.ros.transport import describe_transport, use_profile

TOPICS = (
    '/thermal/camera_info',
    '/thermal/image_raw',
    '/rgb/camera_info',
    '/rgb/image_raw',
)
START_TIMEOUT = 240.0
SETTLE = 2.0
"""Seconds of images at the beginning of a block that are not counted."""


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add = parser.add_argument
    add('--rates', default='10,20', help='rates of both cameras in Hz')
    add('--seconds', type=float, default=30.0, help='length of a block')
    add('--blocks', type=int, default=3, help='blocks of each kind per rate')
    add('--cores', default='0,1', help='cores of both nodes')
    add('--bag', type=Path, help='simulated drive to play; rendered where there is none')
    add('--drive-seconds', type=float, default=8.0, help='length of the drive that is rendered')
    add('--size', default='640x512', help='thermal image of that drive')
    add('--rgb-size', default='640x480', help='RGB image of that drive')
    add('--model', default='lite', help='model bundle: name or folder')
    add('--reliability', default='best_effort', help='of the thermal images and of depth')
    add(
        '--set',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='parameter of the adapt node, such as teacher:=bundle:lite-rgb (may be repeated)',
    )
    add('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


def render(options, work):
    """Simulated drive as a bag."""
    bag = options.bag or work / 'drive'
    if not bag.exists():
        command = [sys.executable, '-m', 'monother_ros.cli.main', 'sim', str(bag)]
        command += ['--seconds', str(options.drive_seconds), '--rate', '10', '--no-shutter']
        command += ['--size', options.size, '--rgb-size', options.rgb_size, '--seed', '2000007']
        subprocess.run(command, check=True, stdout=sys.stderr)
    return bag


class Cameras:
    """Publishes the drive to and fro, receives depth and the diagnostics of both nodes."""

    def __init__(self, bag, reliability):
        """See the class."""
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.serialization import deserialize_message
        from sensor_msgs.msg import CameraInfo, Image

        from monother_ros.ros.qos import sensor_profile

        rclpy.init()
        self._rclpy = rclpy
        self.node = rclpy.create_node('bench_cameras')
        profile = sensor_profile(reliability)
        kinds = {t: CameraInfo if t.endswith('info') else Image for t in TOPICS}
        self._publishers = {t: self.node.create_publisher(kinds[t], t, profile) for t in TOPICS}
        recorded: dict[str, list] = {t: [] for t in TOPICS}
        with BagReader(bag) as reader:
            for item in reader.messages(TOPICS):
                recorded[item.topic].append(deserialize_message(item.data, kinds[item.topic]))
        self._frames = list(zip(*(recorded[t] for t in TOPICS), strict=True))
        last = len(self._frames) - 1
        # to and fro without showing a picture twice in a row: no jump, no frozen camera
        self._order = [*range(last), *range(last, 0, -1)]
        self._count = 0
        self.sent: dict[int, int] = {}
        self.depth: dict[int, int] = {}
        self.health: dict[tuple[str, str], dict[str, str]] = {}
        self.node.create_subscription(Image, 'depth/image_raw', self._on_depth, profile)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_status, 20)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        threading.Thread(target=self._spin, daemon=True).start()

    def _spin(self):
        with contextlib.suppress(Exception):
            self._executor.spin()

    def _on_depth(self, message):
        stamp = message.header.stamp
        self.depth[stamp.sec * 1_000_000_000 + stamp.nanosec] = time.time_ns()

    def _on_status(self, message):
        for status in message.status:
            node, _, part = status.name.rpartition(': ')
            self.health[node, part] = {v.key: v.value for v in status.values}
            self.health[node, part]['message'] = status.message

    def number(self, node, part, key):
        """A value of the last diagnostics; 0 where there is none."""
        try:
            return float(self.health.get((node, part), {}).get(key) or 0)
        except ValueError:
            return 0.0

    def publish(self):
        """Publish the next frame of both cameras with the time of now."""
        frame = self._frames[self._order[self._count % len(self._order)]]
        self._count += 1
        now = time.time_ns()
        for topic, message in zip(TOPICS, frame, strict=True):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)
            self._publishers[topic].publish(message)
        self.sent[now] = now

    def run(self, rate, seconds, until=None):
        """Publish at a rate for a time, or until something holds."""
        start = time.monotonic()
        for i in range(round(seconds * rate)):
            time.sleep(max(0.0, start + i / rate - time.monotonic()))
            if until is not None and until():
                return
            self.publish()

    def change(self, transition):
        """Change the lifecycle state of the adapt node."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        client = self.node.create_client(ChangeState, '/adapt_node/change_state')
        if not client.wait_for_service(timeout_sec=10):
            raise SystemExit('error: the adapt node has no lifecycle service')
        number = getattr(Transition, f'TRANSITION_{transition}')
        future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
        until = time.monotonic() + 60
        while not future.done() and time.monotonic() < until:
            time.sleep(0.01)
        if not future.done() or not future.result().success:
            raise SystemExit(f'error: the adapt node does not {transition.lower()}')
        self.node.destroy_client(client)

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        self._rclpy.try_shutdown()


def start(module, parameters, cores, log):
    """A node as a child process bound to some cores."""
    command = [sys.executable, '-m', f'monother_ros.nodes.{module}', '--ros-args']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={value}']
    with log.open('wb') as handle:
        return subprocess.Popen(
            command,
            stdout=handle,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )


def end(child):
    """Wait for a process that was asked to end; kill it where it does not."""
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()


def block(cameras, children, rate, seconds):
    """Raw figures of one block."""
    cameras.run(rate, SETTLE)
    cameras.sent.clear()
    cameras.depth.clear()
    used = {name: cpu_seconds(child.pid) for name, child in children.items()}
    steps = cameras.number('adapt_node', 'learning', 'steps')
    began = time.monotonic()
    cameras.run(rate, seconds)
    lasted = time.monotonic() - began
    used = {name: cpu_seconds(child.pid) - used[name] for name, child in children.items()}
    time.sleep(1.2)  # the last frames, and one more report
    arrived = sorted(s for s in cameras.sent if s in cameras.depth)
    return {
        'sent': len(cameras.sent),
        'received': len(arrived),
        'latency': [(cameras.depth[s] - s) * 1e-6 for s in arrived],
        'lasted': lasted,
        'steps': cameras.number('adapt_node', 'learning', 'steps') - steps,
        'cpu': used,
        'memory': {name: memory(child.pid) for name, child in children.items()},
    }


def together(blocks):
    """Figures of blocks of one kind at one rate."""
    lasted = sum(b['lasted'] for b in blocks)
    sent, received = (sum(b[key] for b in blocks) for key in ('sent', 'received'))
    latency = np.concatenate([b['latency'] for b in blocks])
    return {
        'images': sent,
        'depth rate [Hz]': round(received / lasted, 3),
        'images without depth': sent - received,
        'sensor to depth [ms]': percentiles(latency),
        'p99 of each block [ms]': [
            round(float(np.percentile(b['latency'], 99)), 1) for b in blocks
        ],
        'CPU of the depth node [cores]': round(sum(b['cpu']['depth'] for b in blocks) / lasted, 3),
        'CPU of the adapt node [cores]': round(sum(b['cpu']['adapt'] for b in blocks) / lasted, 3),
        'steps per second of the adapt node': round(sum(b['steps'] for b in blocks) / lasted, 3),
        'memory of the adapt node, largest [MB]': max(b['memory']['adapt'] for b in blocks),
        'memory of the depth node, largest [MB]': max(b['memory']['depth'] for b in blocks),
    }


def autogroup():
    """Whether the kernel groups processes by session; None where it cannot tell."""
    with contextlib.suppress(OSError):
        return Path('/proc/sys/kernel/sched_autogroup_enabled').read_text().strip() == '1'
    return None


def ratios(without, learning):
    """Learning over without."""
    times = {
        key: round(learning['sensor to depth [ms]'][key] / value, 3)
        for key, value in without['sensor to depth [ms]'].items()
    }
    rate = round(learning['depth rate [Hz]'] / without['depth rate [Hz]'], 4)
    return {'depth rate': rate, 'sensor to depth': times}


def measure(options, work):
    """Run nodes and cameras, and return the figures."""
    use_profile()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 90 + 2)
    cores = {int(c) for c in options.cores.split(',')}
    bag = render(options, work)
    pose = rgb_pose(Drive(bag))
    shared = {'model': options.model, 'revisions': work / 'revisions'}
    depth = {
        **shared,
        'thermal_reliability': options.reliability,
        'depth_reliability': options.reliability,
        'diagnostics_period': 0.5,
    }
    adapt = {
        **shared,
        'memory': work / 'memory',
        'extrinsics': pose,
        'least_pairs': 8,
        'diagnostics_period': 0.5,
        'thermal_reliability': options.reliability,
        'rgb_reliability': options.reliability,
        **dict(text.split(':=', 1) for text in options.set),
    }
    rates = [float(r) for r in options.rates.split(',')]
    children = {
        'depth': start('depth_node', depth, cores, work / 'depth.log'),
        'adapt': start('adapt_node', adapt, cores, work / 'adapt.log'),
    }
    cameras = None
    try:
        cameras = Cameras(bag, options.reliability)

        def ready():
            for name, child in children.items():
                if child.poll() is not None:
                    tail = (work / f'{name}.log').read_text(errors='replace')[-3000:]
                    raise SystemExit(f'error: the {name} node has ended:\n{tail}')
            return cameras.depth and cameras.number('adapt_node', 'learning', 'steps') >= 2

        cameras.run(rates[0], START_TIMEOUT, ready)
        if not ready():
            facts = {' '.join(key): value for key, value in cameras.health.items()}
            raise SystemExit(f'error: the nodes do not come up: {json.dumps(facts, indent=2)}')
        figures = {}
        for rate in rates:
            blocks: dict[str, list] = {'without': [], 'learning': []}
            for _ in range(options.blocks):
                cameras.change('DEACTIVATE')
                blocks['without'].append(block(cameras, children, rate, options.seconds))
                cameras.change('ACTIVATE')
                blocks['learning'].append(block(cameras, children, rate, options.seconds))
            shown = {kind: together(raw) for kind, raw in blocks.items()}
            figures[f'{rate:g} Hz'] = {
                'adapt node deactivated': shown['without'],
                'adapt node learning': shown['learning'],
                'ratio': ratios(shown['without'], shown['learning']),
            }
        learning = cameras.health.get(('adapt_node', 'learning'), {})
        resources = cameras.health.get(('adapt_node', 'memory and CPU'), {})
        return {
            'machine': f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores',
            'cores of both nodes': sorted(cores),
            'transport': describe_transport(),
            'model': options.model,
            'engine': cameras.health.get(('depth_node', 'engine'), {}).get('description'),
            'adapt node': options.set or 'all parameters at their defaults but least_pairs',
            'teacher': learning.get('teacher'),
            'kernel groups by session': autogroup(),
            'niceness of learning': resources.get('niceness'),
            'drive': f'thermal {options.size}, RGB {options.rgb_size}',
            'blocks': f'{options.blocks} of {options.seconds:g} s of each kind per rate, in turns',
            'rates': figures,
        }
    finally:
        if cameras is not None:
            cameras.close()
        for child in children.values():
            child.send_signal(signal.SIGINT)
        for child in children.values():
            end(child)


def main():
    """Measure and write."""
    options = parse()
    with tempfile.TemporaryDirectory(prefix='adapt_load.') as work:
        result = measure(options, Path(work))
    write_result(result, options.output)


if __name__ == '__main__':
    main()
