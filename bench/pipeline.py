# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of one frame from message to published message, against the textbook way of Python nodes.

Two publishing processes, each with a subscriber in a process of its own, take turns frame by
frame: 'ours' (the pipeline, messages filled in place, the Fast DDS profile with a large shared
memory segment) and 'textbook' (numpy.percentile, msg.data from bytes, list or ndarray, a cloud
packed point by point, the default transport). Both run the same engine on the same frames; its
time is reported and left out of the comparison.

    python bench/pipeline.py --out pipeline.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT = 640, 512
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>shm</transport_id>
        <type>SHM</type>
        <segment_size>67108864</segment_size>
        <maxMessageSize>16777216</maxMessageSize>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>udp</transport_id>
        <type>UDPv4</type>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="large_images" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>shm</transport_id>
          <transport_id>udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""
VARIANTS = ('bytes', 'list', 'ndarray')


def make_frames(count: int, seed: int) -> list[np.ndarray]:
    """Seeded 16-bit frames of a moving scene with noise, 512x640."""
    rng = np.random.default_rng(seed)
    scene = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH * 2)), (0, 0), 12)
    scene += 0.3 * (cv2.GaussianBlur(rng.normal(0, 1, scene.shape), (0, 0), 3) > 0.05)
    scene = 22000 + 2000 * (scene - scene.mean()) / scene.std()
    return [
        (scene[:, 4 * i : 4 * i + WIDTH] + rng.normal(0, 8, (HEIGHT, WIDTH))).astype(np.uint16)
        for i in range(min(count, WIDTH // 4))
    ]


def summary(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and lowest in milliseconds."""
    array = np.array(values) * 1e3
    return {
        'median_ms': round(float(np.median(array)), 3),
        'p95_ms': round(float(np.percentile(array, 95)), 3),
        'min_ms': round(float(array.min()), 3),
        'n': len(values),
    }


# ---------------------------------------------------------------- worker processes


def run_subscriber(prefix: str) -> None:
    """Count what arrives and how long it took, until a line on standard input."""
    import threading

    import rclpy
    from sensor_msgs.msg import Image, PointCloud2

    from monother_ros.ros.messages import stamp_ns

    rclpy.init()
    node = rclpy.create_node(f'{prefix}_subscriber')
    delays: dict[str, list[float]] = {'depth': [], 'confidence': [], 'points': []}

    def heard(topic: str) -> Any:
        def callback(msg: Any) -> None:
            delays[topic].append((time.monotonic_ns() - stamp_ns(msg)) / 1e9)

        return callback

    for topic in ('depth', 'confidence'):
        node.create_subscription(Image, f'{prefix}/{topic}', heard(topic), 5)
    node.create_subscription(PointCloud2, f'{prefix}/points', heard('points'), 5)
    end = threading.Event()

    def wait() -> None:
        sys.stdin.readline()
        end.set()

    threading.Thread(target=wait, daemon=True).start()
    while not end.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    print(json.dumps({k: summary(v) for k, v in delays.items() if v}), flush=True)


class Publisher:
    """Node, publishers and engine of a worker."""

    def __init__(self, prefix: str, bundle: str) -> None:
        """Wait until the subscriber has been found."""
        import rclpy
        from sensor_msgs.msg import Image, PointCloud2

        from monother_ros.core.bundle import load_bundle
        from monother_ros.engines.select import load_engine

        rclpy.init()
        self.node = rclpy.create_node(f'{prefix}_publisher')
        self.publishers = {
            'depth': self.node.create_publisher(Image, f'{prefix}/depth', 5),
            'confidence': self.node.create_publisher(Image, f'{prefix}/confidence', 5),
            'cloud': self.node.create_publisher(PointCloud2, f'{prefix}/points', 5),
        }
        deadline = time.monotonic() + 20
        while any(p.get_subscription_count() == 0 for p in self.publishers.values()):
            if time.monotonic() > deadline:
                sys.exit(f'{prefix}: the subscriber was not found within 20 s')
            time.sleep(0.05)
        self.engine = load_engine(load_bundle(bundle))


def make_message(frame: np.ndarray) -> Any:
    """Received image, as rclpy deserialises it."""
    import array

    from sensor_msgs.msg import Image

    from monother_ros.ros.messages import set_stamp

    msg = Image(height=HEIGHT, width=WIDTH, encoding='mono16', step=WIDTH * 2)
    msg.data = array.array('B', frame.tobytes())
    msg.header.frame_id = 'thermal_optical_frame'
    set_stamp(msg.header, time.monotonic_ns())
    return msg


def camera() -> Any:
    """Camera with the distortion of a wide thermal lens."""
    from monother_ros.core.camera import Intrinsics

    return Intrinsics(WIDTH, HEIGHT, 520.0, 520.0, 319.5, 255.5, 'plumb_bob', (-0.25, 0.07, 0, 0))


class Ours:
    """The pipeline of this package with messages filled in place."""

    def __init__(self, publisher: Publisher) -> None:
        """Build everything that lives as long as the node."""
        from monother_ros.core.pipeline import Pipeline
        from monother_ros.ros.messages import OutputBuffers

        self.out = publisher
        self.pipeline = Pipeline(publisher.engine)
        self.buffers = OutputBuffers()
        self.camera = camera()

    def frame(self, msg: Any, cloud: bool) -> dict[str, float]:
        """Seconds of every stage of one frame."""
        from monother_ros.core.pipeline import ThermalFrame, Wanted
        from monother_ros.ros.messages import stamp_ns, thermal_array

        clock = time.perf_counter
        start = clock()
        image = thermal_array(msg)
        frame = ThermalFrame(image, stamp_ns(msg), msg.header.frame_id, self.camera)
        viewed = clock()
        result = self.pipeline.process(frame, Wanted(cloud=cloud), allocate=self.buffers.allocate)
        processed = clock()
        if result.skipped:
            sys.exit(f'a frame was skipped: {result.skipped}')
        kinds = ('depth', 'confidence', 'cloud') if cloud else ('depth', 'confidence')
        for kind in kinds:
            self.out.publishers[kind].publish(self.buffers.message(kind, msg.header))
        published = clock()
        stages = dict(result.timings)
        return {
            'view': viewed - start,
            **stages,
            'rest': processed - viewed - sum(stages.values()),
            'publish': published - processed,
            'total': published - start,
        }


class Textbook:
    """What tutorials and most public Python nodes do."""

    def __init__(self, publisher: Publisher) -> None:
        """Build everything that lives as long as the node."""
        self.out = publisher
        self.camera = camera()
        self.variant = 'bytes'
        try:
            from sensor_msgs_py import point_cloud2

            self.create: Any = point_cloud2.create_cloud
        except ImportError:
            self.create = create_cloud

    def frame(self, msg: Any, cloud: bool) -> dict[str, float]:
        """Seconds of every stage of one frame."""
        from sensor_msgs.msg import PointField

        clock = time.perf_counter
        marks = [('', clock())]
        image = np.frombuffer(bytes(msg.data), np.uint16).reshape(msg.height, msg.width)
        marks.append(('view', clock()))
        value = image.astype(np.float32) / 65535.0
        low, high = np.percentile(value, 2), np.percentile(value, 98)
        value = np.clip((value - low) / (high - low), 0, 1)
        width, height = self.out.engine.bundle.input_size
        value = cv2.resize(value, (width, height), interpolation=cv2.INTER_AREA)
        value = value.astype(np.float32)[None, None]
        marks.append(('normalise', clock()))
        result = self.out.engine.infer({self.out.engine.bundle.inputs[0].name: value})
        marks.append(('engine', clock()))
        depth = cv2.resize(result['depth'][0, 0], (WIDTH, HEIGHT))
        confidence = cv2.resize(result['confidence'][0, 0], (WIDTH, HEIGHT))
        depth[(depth < 0.5) | (depth > 80.0)] = np.nan
        marks.append(('limits', clock()))
        messages = {
            'depth': self.image(msg.header, depth),
            'confidence': self.image(msg.header, confidence),
        }
        marks.append(('fill', clock()))
        if cloud:
            u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
            x = (u - self.camera.cx) / self.camera.fx * depth
            y = (v - self.camera.cy) / self.camera.fy * depth
            columns = (x, y, depth, confidence, image.astype(np.float32))
            points = list(zip(*(c.ravel().tolist() for c in columns), strict=True))
            fields = [
                PointField(name=name, offset=4 * i, datatype=7, count=1)
                for i, name in enumerate(('x', 'y', 'z', 'confidence', 'intensity'))
            ]
            messages['cloud'] = self.create(msg.header, fields, points)
            marks.append(('cloud', clock()))
        for kind, message in messages.items():
            self.out.publishers[kind].publish(message)
        marks.append(('publish', clock()))
        stages = {name: stamp - before for (_, before), (name, stamp) in itertools.pairwise(marks)}
        return {**stages, 'total': marks[-1][1] - marks[0][1]}

    def image(self, header: Any, plane: np.ndarray) -> Any:
        """32FC1 message by one of the textbook assignments."""
        from sensor_msgs.msg import Image

        msg = Image()
        msg.header = header
        msg.height, msg.width = plane.shape
        msg.encoding = '32FC1'
        msg.step = 4 * plane.shape[1]
        if self.variant == 'bytes':
            msg.data = plane.tobytes()
        elif self.variant == 'list':
            msg.data = list(plane.tobytes())
        else:
            msg.data = plane.view(np.uint8).ravel()
        return msg


def create_cloud(header: Any, fields: list[Any], points: list[tuple[float, ...]]) -> Any:
    """Cloud from tuples, as the helper of the ROS distributions has long done it."""
    from sensor_msgs.msg import PointCloud2

    packer = struct.Struct(f'<{len(fields)}f')
    buffer = bytearray(packer.size * len(points))
    offset = 0
    for point in points:
        packer.pack_into(buffer, offset, *point)
        offset += packer.size
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        is_dense=False,
        is_bigendian=False,
        fields=fields,
        point_step=packer.size,
        row_step=packer.size * len(points),
        data=bytes(buffer),
    )


def run_publisher(prefix: str, bundle: str, count: int, seed: int) -> None:
    """Obey one JSON line after the other: run a frame and print its stages."""
    frames = make_frames(count, seed)
    publisher = Publisher(prefix, bundle)
    way = Ours(publisher) if prefix == 'ours' else Textbook(publisher)
    print(json.dumps({'engine': publisher.engine.description}), flush=True)
    for number, line in enumerate(sys.stdin):
        task = json.loads(line)
        if isinstance(way, Textbook):
            way.variant = task['variant']
        msg = make_message(frames[number % len(frames)])
        print(json.dumps(way.frame(msg, task['cloud'])), flush=True)


# ---------------------------------------------------------------- main process


class Worker:
    """A child process that is spoken to in JSON lines."""

    def __init__(self, role: str, prefix: str, env: dict[str, str], arguments: list[str]) -> None:
        """Start it."""
        command = [sys.executable, str(HERE / 'pipeline.py'), '--role', role, '--prefix', prefix]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> Any:
        """Next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f'a worker ended with {self.process.wait()}')
        return json.loads(line)

    def ask(self, task: Any) -> Any:
        """Send a task and wait for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + '\n')
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def idle_share(seconds: float) -> float:
    """Idle part of all cores during some seconds; 1 where the system does not say."""

    def counters() -> tuple[int, int]:
        numbers = [int(v) for v in Path('/proc/stat').read_text().split('\n')[0].split()[1:]]
        return sum(numbers), numbers[3] + numbers[4]

    try:
        before = counters()
        time.sleep(seconds)
        after = counters()
    except OSError:
        return 1.0
    return (after[1] - before[1]) / max(1, after[0] - before[0])


def wait_until_quiet(limit: float) -> None:
    """Wait until the machine does nothing else, at most some seconds."""
    end = time.monotonic() + limit
    while limit > 0 and time.monotonic() < end and idle_share(0.05) < 0.9:
        pass


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Run both ways, frame by frame in turn."""
    profile = HERE.parent / 'config' / 'fastdds.xml'
    if not profile.is_file():
        profile = work / 'fastdds.xml'
        profile.write_text(PROFILE)
    base = {k: v for k, v in os.environ.items() if 'DEFAULT_PROFILES_FILE' not in k}
    base |= {
        'ROS_DOMAIN_ID': str(options.domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    # the older name is that of Fast DDS 2 (Humble, Jazzy)
    old = os.environ.get('ROS_DISTRO') in ('humble', 'iron', 'jazzy')
    variable = 'FASTRTPS_DEFAULT_PROFILES_FILE' if old else 'FASTDDS_DEFAULT_PROFILES_FILE'
    environments = {
        'ours': base | {variable: str(profile)},
        'textbook': base,
    }
    bundle, where = find_model(options.bundle, work)
    arguments = ['--bundle', bundle, '--seed', str(options.seed), '--frames', str(options.frames)]
    subscribers = {k: Worker('subscriber', k, env, []) for k, env in environments.items()}
    publishers = {k: Worker('publisher', k, env, arguments) for k, env in environments.items()}
    engine = {k: worker.read()['engine'] for k, worker in publishers.items()}['ours']
    times: dict[str, dict[str, list[float]]] = {}
    for cloud in (False, True):
        slow = options.textbook_cloud_frames if cloud else options.textbook_frames
        for number in range(-options.warmup, options.frames):
            ours = {'cloud': cloud}
            tasks = [('ours', 'ours', ours)]
            every = max(1, options.frames // slow)
            if number < 0 or number % every == 0:
                variants = VARIANTS if number >= 0 else VARIANTS[:1]
                if number >= 0 or number >= -2:
                    tasks += [
                        ('textbook', f'textbook {name}', {'cloud': cloud, 'variant': name})
                        for name in variants
                    ]
            wait_until_quiet(options.wait_quiet if number >= 0 else 0)
            for worker, name, task in tasks:
                stages = publishers[worker].ask(task)
                time.sleep(options.gap)
                if number >= 0:
                    stages['without_engine'] = stages['total'] - stages['engine']
                    key = f'{name}, cloud' if cloud else name
                    table = times.setdefault(key, {})
                    for stage, seconds in stages.items():
                        table.setdefault(stage, []).append(seconds)
    delivered = {}
    for name, worker in subscribers.items():
        delivered[name] = worker.ask('end')
    for worker in (*publishers.values(), *subscribers.values()):
        worker.stop()
    results = {k: {s: summary(v) for s, v in stages.items()} for k, stages in times.items()}
    ratios = {}
    for cloud in ('', ', cloud'):
        own = results[f'ours{cloud}']['without_engine']['median_ms']
        for name in VARIANTS:
            key = f'textbook {name}{cloud}'
            ratios[key] = round(results[key]['without_engine']['median_ms'] / own, 1)
    import onnxruntime

    return {
        'what': '640x512 mono16, message to published message',
        'machine': {
            'cpu': platform.processor() or platform.machine(),
            'cores': os.cpu_count(),
            'load': os.getloadavg(),
        },
        'versions': {
            'python': platform.python_version(),
            'numpy': np.__version__,
            'opencv': cv2.__version__,
            'onnxruntime': onnxruntime.__version__,
        },
        'options': {k: v for k, v in vars(options).items() if k not in ('role', 'out')},
        'bundle': where,
        'engine': engine,
        'stages': results,
        'ratio_without_engine': ratios,
        'delivered': delivered,
    }


def find_model(name: str, work: Path) -> tuple[str, str]:
    """Folder of the bundle, or of a tiny network made for this run, and a word about it."""
    from monother_ros.core.bundle import find_bundle
    from monother_ros.core.errors import BundleError

    try:
        return str(find_bundle(name)), name
    except BundleError:
        sys.path.insert(0, str(HERE.parent / 'test'))
        from bundles import make_bundle

        make_bundle(work / 'tiny')
        return str(work / 'tiny'), f'a tiny network, as {name!r} is not here'


def show(report: dict[str, Any]) -> None:
    """Print the medians."""
    print(f'{report["what"]}; {report["engine"]}; model: {report["bundle"]}')
    for name, stages in report['stages'].items():
        line = '  '.join(
            f'{stage} {value["median_ms"]:.2f}'
            for stage, value in stages.items()
            if stage not in ('total', 'without_engine')
        )
        whole = stages['without_engine']
        print(
            f'{name:24s} without engine {whole["median_ms"]:8.2f} ms'
            f' (p95 {whole["p95_ms"]:.2f})  | {line}'
        )
    print('ratio to ours:', report['ratio_without_engine'])
    for name, topics in report['delivered'].items():
        print(f'{name} heard:', {t: (v['n'], v['median_ms']) for t, v in topics.items()})


def main() -> None:
    """Run the benchmark, or one of its worker processes."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--frames', type=int, default=100, help='measured frames of our way')
    parser.add_argument('--textbook-frames', type=int, default=20)
    parser.add_argument('--textbook-cloud-frames', type=int, default=5)
    parser.add_argument('--warmup', type=int, default=10)
    parser.add_argument('--gap', type=float, default=0.02, help='seconds between frames')
    parser.add_argument(
        '--wait-quiet',
        type=float,
        default=0.0,
        help='seconds to wait at most before each frame until other programs rest',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--bundle', default='lite', help='name or folder of a model bundle')
    parser.add_argument('--domain', type=int, default=87, help='ROS domain of this run')
    parser.add_argument('--out', type=Path, help='JSON file to write')
    parser.add_argument('--role', help=argparse.SUPPRESS)
    parser.add_argument('--prefix', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == 'subscriber':
        run_subscriber(options.prefix)
        return
    if options.role == 'publisher':
        run_publisher(options.prefix, options.bundle, options.frames, options.seed)
        return
    del options.prefix
    with tempfile.TemporaryDirectory() as work:
        report = measure(options, Path(work))
    show(report)
    if options.out:
        from monother_ros.core.files import atomic_write

        atomic_write(options.out, json.dumps(report, indent=1, default=str) + '\n')


if __name__ == '__main__':
    main()
