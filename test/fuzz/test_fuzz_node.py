# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real depth node over real DDS, fed with malformed messages on every topic that it takes."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
import fuzz_messages as fuzz
from depth_rig import Rig, depth_of, image_message, info_message, picture, stamps
from fuzz_harness import open_handles, resident_kb
from fuzz_values import TEXTS, number
from geometry_msgs.msg import Vector3Stamped
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2, PointField, Range
from std_msgs.msg import String

from monother_ros.ros.qos import latched_profile

MESSAGES = 1200
IDENTITY = np.eye(4).ravel().tolist()


def to_ros(kind, message):
    """Message of rclpy with the values of a plain one; None where its type cannot carry one."""
    result = kind()
    for name in result.get_fields_and_field_types():
        if not hasattr(message, name):
            continue
        value = getattr(message, name)
        if isinstance(value, SimpleNamespace):
            value = to_ros(type(getattr(result, name)), value)
        elif name == 'fields':
            value = [to_ros(PointField, item) for item in value]
        elif isinstance(value, np.ndarray):
            value = value.tobytes()
        setattr(result, name, value)
    return result


def scan(rng):
    header = fuzz.header(rng)
    names = ('angle_min', 'angle_max', 'angle_increment', 'range_min', 'range_max')
    values = {name: float(np.float32(number(rng))) for name in names}
    ranges = [float(np.float32(number(rng))) for _ in range(int(rng.integers(0, 50)))]
    return SimpleNamespace(header=header, ranges=ranges, **values)


def beam(rng):
    names = ('field_of_view', 'min_range', 'max_range', 'range')
    values = {name: float(np.float32(number(rng))) for name in names}
    return SimpleNamespace(header=fuzz.header(rng), **values)


def scale(rng):
    vector = SimpleNamespace(**{axis: float(number(rng)) for axis in 'xyz'})
    return SimpleNamespace(header=fuzz.header(rng), vector=vector)


def text(rng):
    return SimpleNamespace(data=TEXTS[rng.integers(len(TEXTS))].replace('\x00', ''))


TOPICS = {
    'thermal/image_raw': (Image, fuzz.image, 10),
    'thermal/camera_info': (CameraInfo, fuzz.info, 3),
    'rgb/image_raw': (Image, fuzz.image, 2),
    'rgb/camera_info': (CameraInfo, fuzz.info, 1),
    'lidar/points': (PointCloud2, fuzz.cloud, 3),
    'lidar/scan': (LaserScan, scan, 1),
    'lidar/range': (Range, beam, 1),
    'scale/language': (Vector3Stamped, scale, 1),
    'scale/focal': (Vector3Stamped, scale, 1),
    'revision': (String, text, 1),
}
"""Topic → type, what makes a malformed message, how often."""

LATCHED = ('scale/language', 'scale/focal', 'revision')


@pytest.fixture
def rig(ros_domain, tiny_bundle, tmp_path):
    made = Rig(
        tiny_bundle,
        lidar_extrinsics=IDENTITY,
        rgb_extrinsics=IDENTITY,
        lidar_reliability='reliable',
        rgb_reliability='reliable',
        revisions=str(tmp_path),
    )
    made.listen('depth/image_raw', 'points')
    yield made.active().matched()
    made.close()


def _answered(rig):
    """Images that the node has done with."""
    return rig.node.statistics.processed + sum(rig.node.statistics.drops.values())


def _has(rig, stamp):
    """Whether the depth of an image has come just now."""
    return stamp in stamps(rig.received['depth/image_raw'][-2:])


def _depth(rig, index):
    """Depth of one picture, when all that is remembered has been forgotten."""
    rig.info.publish(info_message(160, 128))
    for topic in ('scale/language', 'scale/focal'):
        silent = Vector3Stamped()
        silent.vector.x = float('nan')
        rig.others[topic].publish(silent)
    rig.spin(0.3)
    # a jump back in time makes the node forget
    rig.stamp -= 1_000 * 10**9
    stamp = rig.next_stamp()
    rig.image.publish(image_message(picture(index), stamp))
    received = rig.received['depth/image_raw']
    rig.until(lambda: _has(rig, stamp), what='depth of a good image')
    return np.array(depth_of(next(m for m in reversed(received) if stamps([m]) == [stamp])))


def test_depth_goes_on_between_malformed_messages_which_are_counted_by_reason(rig, capfd):
    rng = np.random.default_rng(11)
    rig.others = {
        topic: rig.camera.create_publisher(
            kind, topic, latched_profile() if topic in LATCHED else rig._reliable
        )
        for topic, (kind, _, _) in TOPICS.items()
        if not topic.startswith('thermal')
    }
    publishers = {
        **rig.others, 'thermal/image_raw': rig.image, 'thermal/camera_info': rig.info
    }  # fmt: skip
    rig.until(lambda: all(p.get_subscription_count() for p in publishers.values()), what='matched')
    rig.stamp = 1_900_000_000 * 10**9
    first = _depth(rig, 1)
    names, weights = list(TOPICS), np.array([TOPICS[t][2] for t in TOPICS], float)
    sent = dict.fromkeys(TOPICS, 0)
    good, memory, handles = 0, 0, 0
    for number_of_message in range(MESSAGES):
        if number_of_message == MESSAGES // 3:
            gc.collect()
            memory, handles = resident_kb(), open_handles()
        topic = names[rng.choice(len(names), p=weights / weights.sum())]
        kind, make, _ = TOPICS[topic]
        message, before = to_ros(kind, make(rng)), _answered(rig)
        publishers[topic].publish(message)
        sent[topic] += 1
        if topic == 'thermal/image_raw':
            rig.until(lambda n=before: _answered(rig) > n, what='an answer to a malformed image')
        if number_of_message % 8 == 0:
            stamp = rig.next_stamp()
            rig.image.publish(image_message(picture(rig.index), stamp))
            rig.until(lambda s=stamp: _has(rig, s), what='depth of a good image')
            good += 1
        rig.executor.spin_once(timeout_sec=0)
    gc.collect()
    drops = rig.node.statistics.drops
    unusable = {reason: n for reason, n in drops.items() if reason.startswith('unusable')}
    assert drops.get('internal error', 0) == 0, drops
    assert sum(unusable.values()) > 0.7 * sent['thermal/image_raw'], drops
    assert len(unusable) >= 4 and good == MESSAGES // 8
    assert all(n > 10 for n in sent.values()), sent
    # the reasons are in diagnostics
    rig.until(
        lambda: all(rig.value('depth', f'dropped: {r}') == str(n) for r, n in unusable.items()),
        what='counters in diagnostics',
    )
    assert rig.node.stage == 'active'
    np.testing.assert_allclose(_depth(rig, 1), first, rtol=1e-6)
    assert open_handles() <= handles + 2
    assert resident_kb() - memory < 40_000
    assert 'in a callback' not in capfd.readouterr().err
