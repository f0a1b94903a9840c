# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Soak: does the depth node grow, leak handles or get slower while it runs for a long time?

The depth node runs in a child process and is fed over real DDS with thermal images and, by
default, with what else it takes: points of a LiDAR and an RGB camera that colours the cloud. A
thread in the node's own process writes down its resident memory, open handles and threads, and the
latency of every frame. Slopes are fitted by Theil and Sen's estimator (the median of the slopes
between all pairs of samples), with the 95 % interval of Sen (Journal of the American Statistical
Association 63, 1968), after a warm-up that is left out.

    python bench/soak.py --minutes 30 --out soak.json --plot soak.png

The exit code is 1 where a slope is above its limit and its interval does not hold zero, where
handles or threads have grown, or where frames were lost for another reason than a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from latency import percentiles, scene

from monother_ros.cli.children import Child
from monother_ros.core.files import atomic_path, atomic_write
from monother_ros.ros.transport import describe_transport, use_profile

START_TIMEOUT = 60.0
WARM_UP = (0.1, 15.0)
"""Left out at the beginning: a part of the run, and at least so many seconds."""

Z95 = 1.959964
FRAME = 'thermal_optical_frame'
BUSY = 'replaced by a newer image'


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--minutes', type=float, default=30.0, help='length of the run')
    parser.add_argument('--rate', type=float, default=10.0, help='images per second')
    parser.add_argument('--size', default='320x256', help='width x height of the images')
    parser.add_argument('--model', default='lite', help='model bundle: name or folder')
    parser.add_argument('--engine', default='auto', help='engine of the depth node')
    parser.add_argument('--threads', type=int, default=1, help='of the engine')
    parser.add_argument('--every', type=float, default=5.0, help='seconds between two samples')
    parser.add_argument('--no-lidar', action='store_true', help='no points of a LiDAR')
    parser.add_argument('--no-rgb', action='store_true', help='no RGB camera, no cloud')
    parser.add_argument('--domain', type=int, help='ROS_DOMAIN_ID to use')
    parser.add_argument('--memory', type=float, default=6.0, help='limit of the slope [MB/h]')
    parser.add_argument('--latency', type=float, default=10.0, help='limit of the drift [ms/h]')
    parser.add_argument('--handles', type=int, default=2, help='handles that may come in addition')
    parser.add_argument('--busy', type=float, default=5.0, help='frames replaced at most [%%]')
    parser.add_argument('--out', type=Path, help='JSON file')
    parser.add_argument('--plot', type=Path, help='PNG file')
    parser.add_argument('--node', type=Path, help=argparse.SUPPRESS)
    return parser.parse_known_args(arguments)


# in the process of the node


class Sampler:
    """Counters of this process and the latencies of its depth node, written line by line."""

    def __init__(self, node, path, every):
        self._node, self._every = node, every
        self._file = path.open('w', buffering=1)
        self._latencies: list[float] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._begin = time.monotonic()
        count = node.statistics.processed_frame

        def counted(timings):
            count(timings)
            with self._lock:
                self._latencies.append(timings['receive to publish'])

        node.statistics.processed_frame = counted
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(self._every):
            with self._lock:
                latencies, self._latencies = self._latencies, []
            pages = int(Path('/proc/self/statm').read_text().split()[1])
            sample = {
                't': time.monotonic() - self._begin,
                'memory': pages * os.sysconf('SC_PAGE_SIZE') / 1e6,
                'handles': len(os.listdir('/proc/self/fd')),  # noqa: PTH208
                'threads': threading.active_count(),
                'tasks': len(os.listdir('/proc/self/task')),  # noqa: PTH208
                'objects': len(gc.get_objects()),
                'processed': self._node.statistics.processed,
                'drops': self._node.statistics.drops,
                'latencies': [round(1e3 * v, 3) for v in latencies],
            }
            self._file.write(json.dumps(sample) + '\n')

    def close(self):
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._file.close()


def run_node(options, arguments):
    """Run the depth node with a sampler until a signal; the exit code."""
    from monother_ros.nodes.depth_node import DepthNode
    from monother_ros.nodes.runner import spin_until_signal

    def make():
        node = DepthNode()
        sampler = Sampler(node, options.node, options.every)
        destroy = node.destroy_node

        def destroyed():
            sampler.close()
            destroy()

        node.destroy_node = destroyed
        return node

    return spin_until_signal(make, [sys.argv[0], *arguments])


# in the process of the sensors


class Sensors:
    """Publishes images, calibration, points and RGB pictures; counts what comes back."""

    def __init__(self, options):
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import CameraInfo, Image, PointCloud2

        from monother_ros.core.camera import Intrinsics
        from monother_ros.ros.buffers import CloudBuffer, ImageBuffer, camera_info_from_intrinsics
        from monother_ros.ros.qos import sensor_profile

        rclpy.init()
        self._rclpy = rclpy
        self.node = rclpy.create_node('soak_sensors')
        profile = sensor_profile('best_effort')
        width, height = (int(v) for v in options.size.split('x'))
        kinds = {'thermal/image_raw': Image, 'thermal/camera_info': CameraInfo}
        self._thermal = []
        for picture in scene(width, height):
            buffer = ImageBuffer()
            np.copyto(buffer.view((height, width), np.uint16), picture)
            self._thermal.append(buffer.message)
        camera = Intrinsics(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
        self._others = {'thermal/camera_info': camera_info_from_intrinsics(camera)}
        self.received = {'depth/image_raw': 0, 'points': 0}
        self.node.create_subscription(Image, 'depth/image_raw', self._count_depth, profile)
        if not options.no_lidar:
            kinds['lidar/points'] = PointCloud2
            cloud = CloudBuffer()
            view = cloud.view((1, 4000, 5))
            rng = np.random.default_rng(0)
            z = rng.uniform(4, 30, 4000)
            view[0, :, 0], view[0, :, 1] = z * rng.uniform(-0.6, 0.6, (2, 4000))
            view[0, :, 2], view[0, :, 3:] = z, 0.0
            self._others['lidar/points'] = cloud.message
        if not options.no_rgb:
            kinds |= {'rgb/image_raw': Image, 'rgb/camera_info': CameraInfo}
            picture = ImageBuffer()
            colours = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
            np.copyto(picture.view((240, 320, 3), np.uint8, 'rgb8'), colours)
            self._others['rgb/image_raw'] = picture.message
            rgb = Intrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)
            self._others['rgb/camera_info'] = camera_info_from_intrinsics(rgb)
            self.node.create_subscription(PointCloud2, 'points', self._count_points, profile)
        self._publishers = {
            topic: self.node.create_publisher(kind, topic, profile)
            for topic, kind in kinds.items()
        }
        self.sent = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        with contextlib.suppress(Exception):
            self._executor.spin()

    def _count_depth(self, _msg):
        self.received['depth/image_raw'] += 1

    def _count_points(self, _msg):
        self.received['points'] += 1

    def publish(self):
        """Publish the next image with the time of now, and all else of that time."""
        now = divmod(time.time_ns(), 1_000_000_000)
        image = self._thermal[self.sent % len(self._thermal)]
        self.sent += 1
        # the thermal image comes last, so that its points and colours are there
        for topic, message in (*self._others.items(), ('thermal/image_raw', image)):
            message.header.stamp.sec, message.header.stamp.nanosec = now
            message.header.frame_id = FRAME if 'thermal' in topic else topic.split('/')[0]
            self._publishers[topic].publish(message)

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        self._rclpy.try_shutdown()


def arguments_of(options):
    """ROS arguments of the node."""
    identity = '[' + ', '.join(str(float(v)) for v in np.eye(4).ravel()) + ']'
    values = {
        'model': options.model,
        'engine': options.engine,
        'device': 'cpu',
        'threads': options.threads,
        'depth_reliability': 'best_effort',
        'points_reliability': 'best_effort',
        'lidar_extrinsics': identity,
        'rgb_extrinsics': identity,
    }
    return ['--ros-args', *(w for k, v in values.items() for w in ('-p', f'{k}:={v}'))]


def drive(options, folder):
    """Run node and sensors; samples, and what was sent and received."""
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ['ROS_DOMAIN_ID'] = str(options.domain or os.getpid() % 90 + 2)
    path = folder / 'samples'
    # Child runs modules; this file is one where its folder is on the path
    environment = {**os.environ}
    here = str(Path(__file__).resolve().parent)
    known = environment.get('PYTHONPATH')
    environment['PYTHONPATH'] = os.pathsep.join([here, *([known] if known else [])])
    words = ['soak', '--node', path, '--every', options.every, *arguments_of(options)]
    with Child('depth_node', words, folder, environment) as child:
        sensors = Sensors(options)
        try:
            period, start = 1.0 / options.rate, time.monotonic()
            while not sensors.received['depth/image_raw']:
                child.check()
                if time.monotonic() - start > START_TIMEOUT:
                    raise SystemExit(f'error: no depth arrived: {child.output()[-2000:]}')
                sensors.publish()
                time.sleep(period)
            sensors.sent, start = 0, time.monotonic()
            before = dict(sensors.received)
            late = 0.0
            for i in range(round(options.minutes * 60 * options.rate)):
                wait = start + i * period - time.monotonic()
                late = max(late, -wait)
                time.sleep(max(0.0, wait))
                child.check()
                sensors.publish()
            time.sleep(max(2.0, 1.5 * options.every))
            received = {k: n - before[k] for k, n in sensors.received.items()}
        finally:
            sensors.close()
        child.stop()
    samples = [json.loads(line) for line in path.read_text().splitlines()]
    return samples, {'sent': sensors.sent, **received, 'latest publication [s]': round(late, 3)}


# figures


def theil_sen(x, y):
    """
    Robust slope.

    :param x: (n,); :param y: (n,).
    :returns: slope, and the lower and upper end of its 95 % interval, per unit of x.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < 4:
        return math.nan, math.nan, math.nan
    i, j = np.triu_indices(len(x), 1)
    slopes = np.sort((y[j] - y[i]) / (x[j] - x[i]))
    n = len(x)
    # variance of Kendall's statistic with ties in y (counts of handles are all ties)
    ties = np.unique(y, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - np.sum(ties * (ties - 1) * (2 * ties + 5))) / 18
    width = Z95 * math.sqrt(max(variance, 0.0))
    low = max(0, round((len(slopes) - width) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + width) / 2))
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


def fitted(samples, values, unit):
    """Slope of values per hour, as JSON."""
    hours = [s['t'] / 3600 for s in samples]
    slope, low, high = theil_sen(hours, values)
    return {
        'unit': f'{unit}/h',
        'slope': round(slope, 3),
        'interval': [round(low, 3), round(high, 3)],
        'first': round(float(values[0]), 3),
        'last': round(float(values[-1]), 3),
        'highest': round(float(max(values)), 3),
    }


def by_minute(samples):
    """Percentiles of the latency in each minute."""
    minutes: dict[int, list[float]] = {}
    for sample in samples:
        minutes.setdefault(int(sample['t'] // 60), []).extend(sample['latencies'])
    return [
        {'minute': minute, 'frames': len(found), **percentiles(found)}
        for minute, found in sorted(minutes.items())
        if found
    ]


def figures(options, samples, counts):
    """Everything that is reported."""
    left_out = max(samples[-1]['t'] * WARM_UP[0], WARM_UP[1])
    # samples after the last image would show an idle node
    used = [s for s in samples if s['t'] >= left_out and s['latencies']]
    if len(used) < 4:
        raise SystemExit(f'error: {len(used)} samples after the warm-up; run longer')
    drops = used[-1]['drops']
    p95 = [float(np.percentile(s['latencies'], 95)) for s in used]
    p50 = [float(np.percentile(s['latencies'], 50)) for s in used]
    return {
        'model': options.model,
        'images': f'{options.size} at {options.rate:g} Hz for {options.minutes:g} min',
        'inputs': [name for name, no in (('LiDAR', options.no_lidar), ('RGB', options.no_rgb))
                   if not no],
        'transport': describe_transport(),
        'warm-up left out [s]': round(left_out, 1),
        'samples': len(used),
        **counts,
        'dropped by the node': drops,
        'memory': fitted(used, [s['memory'] for s in used], 'MB'),
        'handles': fitted(used, [s['handles'] for s in used], 'handles'),
        'threads': fitted(used, [s['tasks'] for s in used], 'threads'),
        'objects': fitted(used, [s['objects'] for s in used], 'objects'),
        'latency p50': fitted(used, p50, 'ms'),
        'latency p95': fitted(used, p95, 'ms'),
        'latency by minute [ms]': by_minute(samples),
    }  # fmt: skip


def problems(report, options):
    """What is above its limit, in words."""
    found = []
    limits = {'memory': options.memory, 'latency p50': options.latency,
              'latency p95': options.latency}  # fmt: skip
    for name, limit in limits.items():
        item = report[name]
        if item['slope'] > limit and item['interval'][0] > 0:
            found.append(f'{name} grows by {item["slope"]:g} {item["unit"]}, more than {limit:g}')
    for name in ('handles', 'threads'):
        item = report[name]
        if item['last'] - item['first'] > options.handles:
            found.append(f'{name}: {item["first"]:g} at first, {item["last"]:g} at last')
    drops = dict(report['dropped by the node'])
    replaced = 100 * drops.pop(BUSY, 0) / max(1, report['sent'])
    if replaced > options.busy:
        found.append(f'{replaced:.1f} % of the images were replaced by newer ones')
    if drops:
        found.append(f'images were dropped: {drops}')
    lost = report['sent'] - report['depth/image_raw']
    if 100 * lost / max(1, report['sent']) > options.busy:
        found.append(f'{lost} of {report["sent"]} images gave no depth')
    return found


def plot(report, samples, path):
    """Memory, handles and latency over time as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure((8, 7), layout='constrained')
    rows = figure.subplots(3, 1, sharex=True)
    minutes = [s['t'] / 60 for s in samples]
    warm = report['warm-up left out [s]'] / 60
    item = report['memory']
    rows[0].plot(minutes, [s['memory'] for s in samples], lw=1.2)
    rows[0].set_ylabel('memory [MB]')
    rows[0].set_title(
        f'{report["images"]}: {item["slope"]:+.2f} MB/h '
        f'({item["interval"][0]:+.2f} to {item["interval"][1]:+.2f})',
        fontsize=10,
    )
    rows[1].plot(minutes, [s['handles'] for s in samples], lw=1.2, label='handles')
    rows[1].plot(minutes, [s['tasks'] for s in samples], lw=1.2, label='threads')
    rows[1].set_ylim(bottom=0)
    rows[1].legend(fontsize=8)
    busy = [s for s in samples if s['latencies']]
    for percent in (50, 95, 99):
        values = [np.percentile(s['latencies'], percent) for s in busy]
        rows[2].plot([s['t'] / 60 for s in busy], values, lw=1, label=f'p{percent}')
    rows[2].set_ylabel('receive to publish [ms]')
    rows[2].set_ylim(bottom=0)
    rows[2].legend(fontsize=8)
    rows[2].set_xlabel('time [min]')
    for axes in rows:
        axes.axvspan(0, warm, color='#8a93a5', alpha=0.25, lw=0)
        axes.grid(alpha=0.3)
    with atomic_path(path) as work:
        figure.savefig(work, format='png', dpi=110)


def main():
    """Run, show and write; 1 where a limit is passed."""
    options, arguments = parse()
    if options.node:
        return run_node(options, arguments)
    if arguments:
        raise SystemExit(f'error: arguments {arguments} are not known')
    use_profile()
    with tempfile.TemporaryDirectory() as folder:
        samples, counts = drive(options, Path(folder))
    report = figures(options, samples, counts)
    report['problems'] = problems(report, options)
    text = json.dumps(report, indent=2) + '\n'
    if options.plot:
        plot(report, samples, options.plot)
    if options.out:
        atomic_write(options.out, text)
    short = {k: v for k, v in report.items() if k != 'latency by minute [ms]'}
    print(json.dumps(short, indent=2))
    return 1 if report['problems'] else 0


if __name__ == '__main__':
    sys.exit(main())
