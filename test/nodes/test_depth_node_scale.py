# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scale in the depth node, over real DDS: range sensors, estimates, bad input."""

from __future__ import annotations

import array
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('onnxruntime')
from depth_rig import FRAME, SECOND, Rig, depth_of, next_depth
from geometry_msgs.msg import TransformStamped, Vector3Stamped
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import LaserScan, PointCloud2, PointField, Range
from std_msgs.msg import String

from monother_ros.nodes import worker
from monother_ros.ros.messages import set_stamp

POSE = [0.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -0.1, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
"""T_thermal_lidar of a LiDAR (x forward, y left, z up) 0.1 m above the camera."""

FOCAL = 0.9 * 160


class ScaleRig(Rig):
    """
    Depth rig with a range sensor that measures what the network says, times a factor.

    :param factor: true depth over the network's depth.
    """

    def __init__(self, model, factor=0.7, **parameters):
        values = {'lidar_extrinsics': POSE, 'scale_rate': 20.0, **parameters}
        super().__init__(model, **values)
        self.factor = factor
        self.scales, self.names = [], []
        keep = QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            reliability=ReliabilityPolicy.RELIABLE,
        )
        make = self.camera.create_publisher
        self.points = make(PointCloud2, 'lidar/points', 10)
        self.scan = make(LaserScan, 'lidar/scan', 10)
        self.range = make(Range, 'lidar/range', 10)
        self.language = make(Vector3Stamped, 'scale/language', keep)
        self.focal = make(Vector3Stamped, 'scale/focal', keep)
        listen = self.listener.create_subscription
        listen(Vector3Stamped, 'scale', self.scales.append, 10)
        listen(String, 'scale/source', lambda msg: self.names.append(msg.data), keep)
        self.network = None

    def measured(self, rows=6, columns=4):
        """(N, 3) points of the LiDAR on the true surface, from the network's own depth."""
        depth = self.factor * self.network[::rows, ::columns]
        v, u = np.mgrid[:128:rows, :160:columns]
        x, y = (u - 79.5) / FOCAL * depth, (v - 63.5) / FOCAL * depth
        return np.stack([depth, -x, -(y + 0.1)], -1).reshape(-1, 3).astype(np.float32)

    def learn_network(self):
        """Take the network's depth with the scale that it has by itself."""
        self.network = np.array(next_depth(self))
        return self

    def shoot_with(self, points, stamp_offset=0.0, frame_id='lidar_frame', **how):
        """One image, and points of about the same time before it."""
        stamp = self.stamp + SECOND // 30 + round(stamp_offset * SECOND)
        self.points.publish(cloud(points, stamp, frame_id, **how))
        self.shoot()

    def reason(self):
        return self.value('scale', 'range is silent') or ''


def cloud(points, stamp, frame_id='lidar_frame', names='xyz'):
    """PointCloud2 of float32 positions."""
    points = np.ascontiguousarray(points, np.float32).reshape(-1, 3)
    msg = PointCloud2()
    msg.header.frame_id = frame_id
    set_stamp(msg.header, stamp)
    msg.height, msg.width = 1, len(points)
    msg.fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(names)
    ]
    msg.point_step, msg.row_step = 12, 12 * len(points)
    msg.data = array.array('B', points.tobytes())
    return msg


@pytest.fixture
def rig(tiny_bundle, ros_domain):
    made = ScaleRig(tiny_bundle).active()
    made.listen('depth/image_raw')
    made.matched()
    yield made.learn_network()
    made.close()


def test_points_correct_the_scale_and_the_topic_says_so(rig):
    before = next_depth(rig)
    assert np.nanmedian(before / rig.network) == pytest.approx(1, abs=0.05)
    points = rig.measured()

    def corrected():
        return bool(rig.scales) and abs(rig.scales[-1].vector.x - rig.factor) < 0.02

    rig.until(corrected, 60, lambda: rig.shoot_with(points), what='corrected scale')
    said = rig.scales[-1]
    assert 0 < said.vector.z < 0.1 and said.header.frame_id == FRAME

    def metric():
        depth = depth_of(rig.received['depth/image_raw'][-1])
        return abs(np.nanmedian(depth / rig.network) - rig.factor) < 0.03

    rig.until(metric, 60, lambda: rig.shoot_with(points), what='metric depth')
    rig.until(lambda: rig.value('scale', 'source') == 'range', tick=rig.shoot)
    assert rig.level('scale') == 0 and 'mostly from range' in rig.message('scale')
    assert float(rig.value('scale', 'factor')) == pytest.approx(rig.factor, abs=0.03)
    assert rig.names[-1].split()[0] == 'range'
    rig.until(lambda: rig.level('range input') == 0, tick=lambda: rig.shoot_with(points))
    assert rig.value('range input', 'images with points') != '0'


def test_echoes_of_fog_are_left_out_and_counted(rig):
    points = rig.measured(2, 2)
    rng = np.random.default_rng(0)
    foggy = rng.random(len(points)) < 0.1
    nearer = rng.uniform(0.1, 0.5, foggy.sum())[:, None]
    points[foggy] *= nearer.astype(np.float32)

    def counted():
        return int(rig.value('range input', 'points left out as fog, rain or dust') or 0) > 0

    rig.until(counted, 60, lambda: rig.shoot_with(points), what='echoes in the diagnostics')
    assert 1 < float(rig.value('range input', 'the same, last cloud [%]')) < 40
    assert rig.set(lidar_clutter_filter=False).successful
    rig.until(
        lambda: rig.value('range input', 'points left out as fog, rain or dust') is None,
        60,
        lambda: rig.shoot_with(points),
        what='no filter',
    )


def test_a_scan_and_a_range_correct_the_scale_too(rig):
    def scan():
        msg = LaserScan()
        msg.header.frame_id = 'laser'
        set_stamp(msg.header, rig.stamp + SECOND // 30)
        msg.angle_min, msg.angle_increment = -0.4, 0.01
        msg.range_min, msg.range_max = 0.1, 100.0
        ranges = []
        for k in range(81):
            angle = -0.4 + 0.01 * k
            column = 79.5 - FOCAL * math.tan(angle)
            row = 63.5
            near = rig.factor * rig.network[round(row), min(max(round(column), 0), 159)]
            ranges.append(float(near / math.cos(angle)))
        msg.ranges = ranges
        rig.scan.publish(msg)
        rig.shoot()

    pose = [v if k != 7 else 0.0 for k, v in enumerate(POSE)]
    assert rig.set(lidar_extrinsics=pose).successful
    rig.until(
        lambda: rig.scales and abs(rig.scales[-1].vector.x - rig.factor) < 0.05,
        60,
        scan,
        what='scale of a scan',
    )


def test_one_beam_moves_the_scale_less(rig):
    def beam():
        msg = Range()
        msg.header.frame_id = 'sonar'
        set_stamp(msg.header, rig.stamp + SECOND // 30)
        msg.field_of_view, msg.min_range, msg.max_range = 0.02, 0.1, 200.0
        msg.range = float(rig.factor * rig.network[63, 79])
        rig.range.publish(msg)
        rig.shoot()

    rig.until(
        lambda: rig.scales and rig.scales[-1].vector.x < 0.9,
        60,
        beam,
        what='scale of a beam',
    )
    assert rig.scales[-1].vector.x > rig.factor - 0.05
    assert rig.scales[-1].vector.z > 0.05


def nonsense(rig):
    """Points at random distances."""
    points = rig.measured()
    return points * np.random.default_rng(0).lognormal(0, 1.5, (len(points), 1))


BAD = {
    'NaN': (lambda r: {'points': np.full((500, 3), np.nan)}, 'no point with a finite position'),
    'none': (lambda r: {'points': np.empty((0, 3))}, 'no point with a finite position'),
    'behind': (lambda r: {'points': -np.abs(r.measured())}, 'no point is within view'),
    'few': (lambda r: {'points': r.measured()[::60]}, 'too few'),
    'late': (lambda r: {'points': r.measured(), 'stamp_offset': -3.0}, '3.00 s older'),
    'early': (lambda r: {'points': r.measured(), 'stamp_offset': 7.0}, 's newer than the image'),
    'fields': (lambda r: {'points': r.measured(), 'names': 'abc'}, "no field 'x'"),
    'nonsense': (lambda r: {'points': nonsense(r)}, 'do not belong together'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_points_are_told_and_depth_goes_on(rig, case):
    make, words = BAD[case]
    rig.until(lambda: words in rig.reason(), 60, lambda: rig.shoot_with(**make(rig)), what=words)
    assert rig.level('scale') == 0, 'the scale itself is not at fault'
    depth = next_depth(rig)
    assert np.nanmedian(depth / rig.network) == pytest.approx(1, abs=0.05)
    # and what is right again counts again
    good = rig.measured()
    rig.until(
        lambda: abs(rig.scales[-1].vector.x - rig.factor) < 0.03,
        60,
        lambda: rig.shoot_with(good),
        what='recovery',
    )


def test_an_unknown_pose_is_told(tiny_bundle, ros_domain):
    rig = ScaleRig(tiny_bundle, lidar_extrinsics=[0.0]).active()
    try:
        rig.listen('depth/image_raw')
        rig.matched()
        rig.learn_network()
        points = rig.measured()
        words = "the pose of 'lidar_frame' in"
        rig.until(lambda: words in rig.message('range input'), 60, lambda: rig.shoot_with(points))
        assert rig.level('range input') == 1
        rig.until(
            lambda: 'set lidar_extrinsics' in rig.reason(), 60, lambda: rig.shoot_with(points)
        )
        # a transform that arrives later, or the parameter set live, ends it
        assert rig.set(lidar_extrinsics=POSE).successful
        rig.until(
            lambda: rig.scales and abs(rig.scales[-1].vector.x - rig.factor) < 0.03,
            60,
            lambda: rig.shoot_with(points),
            what='scale with the pose',
        )
    finally:
        rig.close()


def test_the_pose_comes_from_static_transforms(tiny_bundle, ros_domain):
    rig = ScaleRig(tiny_bundle, lidar_extrinsics=[0.0]).active()
    try:
        rig.listen('depth/image_raw')
        rig.matched()
        rig.learn_network()
        points = rig.measured()
        rig.until(
            lambda: 'set lidar_extrinsics' in rig.reason(), 60, lambda: rig.shoot_with(points)
        )
        before = rig.scales[-1].vector.x
        # as /tf_static brings them; its message type is not among the pip wheels of ROS
        rig.node.range.poses.transforms.add(
            SimpleNamespace(
                transforms=[
                    link('base_link', 'lidar_frame', (0.0, 0.0, 0.1), (0, 0, 0, 1)),
                    link('base_link', FRAME, (0.0, 0.0, 0.0), (-0.5, 0.5, -0.5, 0.5)),
                ]
            )
        )
        rig.until(
            lambda: rig.scales and abs(rig.scales[-1].vector.x - rig.factor) < 0.03,
            60,
            lambda: rig.shoot_with(points),
            what='scale with the pose of /tf_static',
        )
        assert rig.scales[-1].vector.x == pytest.approx(rig.factor, abs=0.03)
        assert abs(before - rig.factor) > 0.03
    finally:
        rig.close()


def link(parent, child, translation, rotation):
    msg = TransformStamped()
    msg.header.frame_id, msg.child_frame_id = parent, child
    t, q = msg.transform.translation, msg.transform.rotation
    t.x, t.y, t.z = (float(v) for v in translation)
    q.x, q.y, q.z, q.w = (float(v) for v in rotation)
    return msg


def test_a_network_slower_than_a_frame_in_two_seconds_keeps_its_scale(rig, monkeypatch):
    points = rig.measured()
    rig.until(
        lambda: rig.scales and abs(rig.scales[-1].vector.x - rig.factor) < 0.03,
        60,
        lambda: rig.shoot_with(points),
        what='scale',
    )
    monkeypatch.setattr(worker, 'GAP', 0.0)
    resets = rig.node.statistics.resets
    seen = len(rig.scales)
    rig.until(lambda: len(rig.scales) > seen + 3, 60, rig.shoot)
    assert rig.node.statistics.resets > resets
    assert all(abs(m.vector.x - rig.factor) < 0.05 for m in rig.scales[seen:])


def said(x, y=0.0, z=0.3):
    msg = Vector3Stamped()
    msg.vector.x, msg.vector.y, msg.vector.z = x, y, z
    return msg


def test_a_sentence_counts_without_a_sensor_and_never_beside_one(rig):
    def tell(message):
        message.header.stamp.sec = rig.stamp // SECOND
        rig.language.publish(message)

    tell(said(1.5))
    rig.until(
        lambda: (
            (rig.value('scale', 'weight of language') or '0') > '0.2'
            and 1.02 < rig.scales[-1].vector.x < 1.3
        ),
        60,
        rig.shoot,
        what='weight of language',
    )
    assert rig.value('scale', 'weight of range') is None
    points = rig.measured()
    rig.until(
        lambda: rig.value('scale', 'language is silent') == 'a sensor measures',
        60,
        lambda: rig.shoot_with(points),
    )
    assert rig.value('scale', 'weight of language') is None
    assert float(rig.value('scale', 'weight of range')) > 0
    tell(said(math.nan))
    rig.until(
        lambda: 'no estimate' in (rig.value('scale', 'language is silent') or ''), 60, rig.shoot
    )
    tell(said(-3.0))
    rig.until(
        lambda: 'cannot be used' in (rig.value('scale', 'language is silent') or ''),
        60,
        rig.shoot,
    )


def test_forced_and_disabled_sources_live(rig):
    points = rig.measured()
    assert rig.set(scale_sources='model, language').successful
    rig.until(
        lambda: rig.reason() == 'disabled', 60, lambda: rig.shoot_with(points), what='disabled'
    )
    assert rig.set(scale_force='language').successful
    rig.until(lambda: rig.level('scale') == 1, 60, rig.shoot, what='warning')
    assert rig.message('scale') == 'scale_force is language, but nothing has come in'
    refused = rig.set(scale_sources='range, sonar')
    assert not refused.successful and "'sonar' is not known" in refused.reason
    refused = rig.set(lidar_extrinsics=[1.0] * 16)
    assert not refused.successful and 'not a rigid transform' in refused.reason
    assert rig.set(scale_force='', scale_sources='range, model').successful
    rig.until(
        lambda: rig.scales and abs(rig.scales[-1].vector.x - rig.factor) < 0.03,
        60,
        lambda: rig.shoot_with(points),
        what='range again',
    )


def test_the_scale_alone_may_be_asked_for(tiny_bundle, ros_domain):
    rig = ScaleRig(tiny_bundle).active()
    try:
        rig.until(lambda: rig.scales, 60, rig.shoot, what='scale')
        assert rig.scales[-1].vector.x == pytest.approx(1, abs=0.2)
    finally:
        rig.close()


def test_the_published_scale_never_jumps(tiny_bundle, ros_domain):
    rig = ScaleRig(tiny_bundle, scale_rate=0.3).active()
    try:
        rig.listen('depth/image_raw')
        rig.matched()
        rig.learn_network()
        points = rig.measured()
        rig.until(
            lambda: rig.scales and abs(rig.scales[-1].vector.x - rig.factor) < 0.05,
            60,
            lambda: rig.shoot_with(points),
            what='scale',
        )
        # every depth moves by no more than the rate, however factor and shift share it
        usual = float(np.nanmedian(rig.network))
        seen = [
            (
                m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec,
                math.log(1 / m.vector.x + m.vector.y * usual),
            )
            for m in rig.scales
        ]
        assert len(seen) > 10
        for (t0, x0), (t1, x1) in itertools.pairwise(seen):
            assert abs(x1 - x0) <= 0.3 * (t1 - t0) * 1.02 + 1e-6
    finally:
        rig.close()
