# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two ways of a frame that bench/pipeline.py compares, and the processes that run them."""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import sys
import time
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 512


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


def run_subscriber(prefix: str) -> None:
    """Count what arrives and how long it took, until a line on standard input."""
    import threading

    import rclpy
    from rclpy.executors import ExternalShutdownException
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
    while rclpy.ok() and not end.is_set():
        with contextlib.suppress(ExternalShutdownException):
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
