# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small drive and what a depth node would have published of it, with errors that are known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
T = STORE.types
HEIGHT, WIDTH, FX = 48, 64, 60.0
START = 1_700_000_000 * 10**9
STEP = 10**8
CONDITIONS = (
    {'scene': 'street', 'time_of_day': 'day', 'weather': 'clear'},
    {'scene': 'street', 'time_of_day': 'night', 'weather': 'fog'},
)


@dataclass
class Drive:
    """What is left out of, or changed in, the two bags of a run."""

    frames: int = 40
    lost: tuple[int, ...] = (7,)
    shutter: tuple[int, ...] = (12, 13)
    first: int = 2
    truth: bool = True
    conditions: bool = True
    outputs: tuple[str, ...] = ('depth', 'depth_info', 'confidence', 'points', 'diagnostics')
    inputs: tuple[str, ...] = ('thermal', 'thermal_info', 'rgb', 'lidar', 'static')
    restamp: int = 0
    prefix: str = ''
    delay: int = 20_000_000
    passes: int = 1
    jitter: int = 0
    extra: dict = field(default_factory=dict)


def stamp_of(k, jitter=0):
    """Stamp of frame k; a camera whose clock is uneven by up to jitter ns."""
    return START + k * STEP + int(jitter * np.sin(k * k))


def truth_of(k):
    """Ground plane and a wall that comes nearer; inf in the top rows is sky."""
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    below = np.maximum(v - HEIGHT / 2 + 0.5, 0.2)
    ground = 1.2 * FX / below
    wall = np.where(u > WIDTH * 0.55, 12.0 - 0.05 * k, 40.0)
    depth = np.minimum(ground, wall).astype(np.float32)
    depth[:6] = np.inf
    return depth


def prediction_of(k, frames, conditions=True):
    """Left half 5 % wrong and sure, right half 15 % and unsure; twice that in the later half."""
    truth = truth_of(k)
    scale = 2.0 if conditions and k >= frames // 2 else 1.0
    wrong = np.where(np.arange(WIDTH) < WIDTH // 2, 0.05, 0.15) * scale
    depth = (truth * (1 + wrong)).astype(np.float32)
    depth[~np.isfinite(truth)] = np.nan
    confidence = np.where(wrong[None] < 0.12 * scale, 0.9, 0.3) + np.zeros((HEIGHT, 1))
    return depth, confidence.astype(np.float32)


def header(stamp, frame='thermal_optical_frame'):
    time = T['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
    return T['std_msgs/msg/Header'](time, frame)


def image(array, encoding, stamp, frame='thermal_optical_frame'):
    data = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    h, w = array.shape[:2]
    return T['sensor_msgs/msg/Image'](
        header(stamp, frame), h, w, encoding, 0, data.size // h, data
    )


def camera_info(stamp):
    k = np.array([FX, 0, WIDTH / 2 - 0.5, 0, FX, HEIGHT / 2 - 0.5, 0, 0, 1], float)
    p = np.array([FX, 0, WIDTH / 2, 0, 0, FX, HEIGHT / 2, 0, 0, 0, 1, 0], float)
    roi = T['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return T['sensor_msgs/msg/CameraInfo'](
        header(stamp), HEIGHT, WIDTH, 'plumb_bob', np.zeros(5), k, np.eye(3).ravel(), p, 0, 0, roi
    )


def cloud(points, names, stamp, frame):
    fields = [T['sensor_msgs/msg/PointField'](n, 4 * i, 7, 1) for i, n in enumerate(names)]
    data = np.ascontiguousarray(points, np.float32).view(np.uint8).reshape(-1)
    step = 4 * len(names)
    return T['sensor_msgs/msg/PointCloud2'](
        header(stamp, frame), 1, len(points), fields, False, step, step * len(points), data, False
    )


def points_of(depth, confidence):
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x = (u - WIDTH / 2 + 0.5) / FX * depth
    y = (v - HEIGHT / 2 + 0.5) / FX * depth
    return np.stack([x, y, depth, confidence, depth * 0], -1).reshape(-1, 5)


def odometry(k, stamp):
    """The vehicle half a metre further with each frame, turning left."""
    pose = T['geometry_msgs/msg/Pose'](
        T['geometry_msgs/msg/Point'](0.5 * k, 0.1 * k, 0.0),
        T['geometry_msgs/msg/Quaternion'](0.0, 0.0, np.sin(0.01 * k), np.cos(0.01 * k)),
    )
    zero = T['geometry_msgs/msg/Vector3'](0.0, 0.0, 0.0)
    twist = T['geometry_msgs/msg/Twist'](zero, zero)
    return T['nav_msgs/msg/Odometry'](
        header(stamp, 'odom'),
        'base_link',
        T['geometry_msgs/msg/PoseWithCovariance'](pose, np.zeros(36)),
        T['geometry_msgs/msg/TwistWithCovariance'](twist, np.zeros(36)),
    )


def transform(parent, child, xyz, quaternion):
    vector = T['geometry_msgs/msg/Vector3'](*xyz)
    turn = T['geometry_msgs/msg/Quaternion'](*quaternion)
    both = T['geometry_msgs/msg/Transform'](vector, turn)
    return T['geometry_msgs/msg/TransformStamped'](header(START, parent), child, both)


ENGINE = {'engine': 'onnxruntime', 'bundle': 'lite', 'revision': 'r1'}


def diagnostics(stamp, values, level=0, message='running'):
    """As ros/diagnostics.py packs it: a status for each part of the node."""
    parts = []
    for part, content, severity in (('depth', values, level), ('engine', ENGINE, 0)):
        pairs = [T['diagnostic_msgs/msg/KeyValue'](k, str(v)) for k, v in content.items()]
        name = f'depth_node: {part}'
        status = T['diagnostic_msgs/msg/DiagnosticStatus'](severity, name, message, '', pairs)
        parts.append(status)
    return T['diagnostic_msgs/msg/DiagnosticArray'](header(stamp, ''), parts)


class _Bag:
    """Writer that makes the connection of a topic when it is first used."""

    def __init__(self, path):
        self.writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self.connections = {}

    def __enter__(self):
        self.writer.open()
        return self

    def __exit__(self, *_):
        self.writer.close()

    def add(self, topic, message, log):
        kind = message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=STORE)
        data = STORE.serialize_cdr(message, kind)
        self.writer.write(self.connections[topic], log, data)


def write_input(path, drive):
    """What the depth node was fed with."""
    rng = np.random.default_rng(3)
    counts = np.zeros((HEIGHT, WIDTH), np.uint16)
    with _Bag(path) as bag:
        if 'static' in drive.inputs:
            turns = [
                transform(
                    'base_link', 'thermal_optical_frame', (0, 0, 1.2), (-0.5, 0.5, -0.5, 0.5)
                ),
                transform('base_link', 'lidar_frame', (0, 0, 1.5), (0, 0, 0, 1)),
            ]
            bag.add('/tf_static', T['tf2_msgs/msg/TFMessage'](turns), START)
        for k in range(drive.frames):
            stamp = stamp_of(k, drive.jitter)
            if drive.conditions and k in (0, drive.frames // 2):
                text = json.dumps(CONDITIONS[k > 0])
                bag.add('/simulation/condition', T['std_msgs/msg/String'](text), stamp)
            if k not in drive.shutter:
                warm = 3000 + 2500 * np.exp(-truth_of(k) / 12) + 300 * np.sin(np.arange(WIDTH) / 5)
                counts = (warm + rng.normal(0, 4, counts.shape)).astype(np.uint16)
            if 'thermal' in drive.inputs:
                bag.add(drive.prefix + '/thermal/image_raw', image(counts, 'mono16', stamp), stamp)
            if 'thermal_info' in drive.inputs:
                bag.add(drive.prefix + '/thermal/camera_info', camera_info(stamp), stamp)
            if 'rgb' in drive.inputs and k % 2 == 0:
                colour = rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
                rgb = image(colour, 'rgb8', stamp + 7_000_000, 'rgb_optical_frame')
                bag.add('/rgb/image_raw', rgb, stamp + 7_000_000)
            if drive.truth:
                bag.add('/ground_truth/thermal/depth', image(truth_of(k), '32FC1', stamp), stamp)
            if 'odometry' in drive.inputs:
                bag.add('/wheel/odom', odometry(k, stamp), stamp)
            if 'tf' in drive.inputs:
                moved = transform('odom', 'base_link', (0.5 * k, 0, 0), (0, 0, 0, 1))
                moved.header = header(stamp, 'odom')
                bag.add('/tf', T['tf2_msgs/msg/TFMessage']([moved]), stamp)
            if 'lidar' in drive.inputs:
                scan = rng.uniform(-5, 20, (200, 4)).astype(np.float32)
                message = cloud(scan, ('x', 'y', 'z', 'intensity'), stamp, 'lidar_frame')
                bag.add('/lidar/points', message, stamp)
    return path


def write_output(path, drive):
    """What a depth node would have published, with its receive times."""
    with _Bag(path) as bag:
        for turn in range(drive.passes):
            shift = turn * drive.frames * STEP
            for k in range(drive.first, drive.frames):
                if k in drive.lost or k in drive.shutter:
                    continue
                _write_frame(bag, drive, k, shift)
    return path


def _write_frame(bag, drive, k, shift):
    stamp = stamp_of(k, drive.jitter) + drive.restamp
    log = stamp + shift + drive.delay + (k % 3) * 5_000_000
    depth, confidence = prediction_of(k, drive.frames, drive.conditions)
    prefix = drive.prefix
    if 'depth' in drive.outputs:
        bag.add(prefix + '/depth/image_raw', image(depth, '32FC1', stamp), log)
    if 'depth_info' in drive.outputs:
        bag.add(prefix + '/depth/camera_info', camera_info(stamp), log)
    if 'confidence' in drive.outputs:
        bag.add(prefix + '/confidence', image(confidence, '32FC1', stamp), log + 1_000_000)
    if 'points' in drive.outputs:
        names = ('x', 'y', 'z', 'confidence', 'intensity')
        points = cloud(points_of(depth, confidence), names, stamp, 'thermal_optical_frame')
        bag.add(prefix + '/points', points, log + 2_000_000)
    if 'diagnostics' in drive.outputs and k % 10 == 9:
        values = {
            'engine p50/p95/p99 [ms]': '6.10 / 7.20 / 8.30',
            'receive to publish p50/p95/p99 [ms]': f'{9.5 + k / 10:.2f} / 14.00 / 19.00',
            'dropped: replaced by a newer image': k // 10,
            **drive.extra,
        }
        bag.add('/diagnostics', diagnostics(stamp, values), log + 3_000_000)


def write_pair(folder, drive=None):
    """Both bags; returns the path of the recorded one and of the input."""
    drive = drive or Drive()
    return write_output(folder / 'recorded', drive), write_input(folder / 'input', drive)
