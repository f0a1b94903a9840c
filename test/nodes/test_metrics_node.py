# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics node over real DDS: the values are those of the offline metrics, frame by frame."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('rclpy')

from metrics_rig import SECOND, SIZE, MetricsRig, truth_of

from monother_ros.evaluation.evaluate.unit import STEPS
from monother_ros.evaluation.metrics import absolute_relative, depth_metrics, sparsification

STEP = SECOND // 30


@pytest.fixture
def start(ros_domain):
    rigs = []

    def make(**options):
        rigs.append(MetricsRig(**options))
        return rigs[-1].ready()

    yield make
    for rig in rigs:
        rig.close()


def predicted(index):
    """Depth that is 10 % too far on the left and 20 % on the right, unknown in a corner."""
    factor = np.where(np.arange(SIZE[1]) < SIZE[1] // 2, 1.1, 1.2)
    depth = (np.nan_to_num(truth_of(index), posinf=70.0) * factor).astype(np.float32)
    depth[-8:, -8:] = np.nan
    return depth


def sureness():
    return np.tile(np.linspace(0.2, 0.9, SIZE[1], dtype=np.float32), (SIZE[0], 1))


def expected(index):
    truth, depth = truth_of(index), predicted(index)
    known = np.isfinite(truth) & np.isfinite(depth)
    values = depth_metrics(depth[known], truth[known])
    values['told'] = known.sum() / np.isfinite(truth).sum()
    error = absolute_relative(depth[known], truth[known])
    values['ause'] = sparsification(error, sureness()[known], steps=STEPS).ause
    return values


def play(rig, indices, truth_late=0):
    """Publish frames; the ground truth of each comes some frames later."""
    waiting = []
    for index in indices:
        stamp = 100 * SECOND + index * STEP
        rig.send('confidence', sureness(), stamp)
        rig.send('depth', predicted(index), stamp)
        waiting.append((stamp, index))
        if len(waiting) > truth_late:
            stamp, index = waiting.pop(0)
            rig.send('truth', truth_of(index), stamp)
        rig.executor.spin_once(timeout_sec=0.005)
    for stamp, index in waiting:
        rig.send('truth', truth_of(index), stamp)


def test_running_values_are_those_of_the_offline_metrics(start, tmp_path):
    report = tmp_path / 'deep' / 'metrics.json'
    rig = start(window=4, report=str(report))
    play(rig, range(10), truth_late=3)
    rig.scored(10)
    rig.until(lambda: len(rig.values['ause']) == 10, 'values')
    rows = [expected(k) for k in range(10)]
    for name in ('abs_rel', 'rmse', 'd1', 'silog', 'told', 'ause'):
        for k in (0, 5, 9):
            window = rows[max(0, k - 3) : k + 1]
            mean = float(np.mean([row[name] for row in window]))
            assert rig.values[name][k] == pytest.approx(mean, rel=1e-5), (name, k)
    assert 1 / 1.2 < rig.values['scale'][-1] < 1 / 1.1
    rig.until(lambda: 'over 10 frames' in rig.message('metrics'), 'diagnostics')
    assert rig.health['depth'].level == b'\x00'
    answer = rig.call('write_report')
    assert answer.success and answer.message == str(report)
    figures = json.loads(report.read_text())
    assert figures['frames'] == 10 and figures['counts'] == {'pairs': 10}
    for name in ('abs_rel', 'rmse', 'rmse_log', 'd3', 'ause'):
        mean = float(np.mean([row[name] for row in rows]))
        assert figures['overall'][name] == pytest.approx(mean, rel=1e-6), name
    bins = {row['from_m']: row for row in figures['ranges']}
    truth, depth = truth_of(9), predicted(9)
    inside = (truth >= 10) & (truth < 15) & np.isfinite(depth)
    assert inside.any() and bins[10.0]['frames'] == 10


def test_report_by_condition_and_begin_anew(start, tmp_path):
    report = tmp_path / 'metrics.json'
    rig = start(publish=('depth', 'info', 'confidence', 'truth', 'condition'), report=str(report))
    rig.condition('night/fog')
    rig.until(lambda: rig.node._condition == 'night, fog', 'condition')
    play(rig, range(4))
    rig.scored(4)
    rig.condition('day/clear')
    rig.until(lambda: rig.node._condition == 'day, clear', 'condition')
    play(rig, range(4, 6))
    rig.scored(6)
    assert rig.call('write_report').success
    conditions = json.loads(report.read_text())['conditions']
    assert {name: row['frames'] for name, row in conditions.items()} == {
        'night, fog': 4,
        'day, clear': 2,
    }
    assert rig.call('reset').success
    assert rig.node.frames == 0
    play(rig, range(6, 8))
    rig.scored(2)
    # at its end the node writes what it knows
    rig.node.trigger_deactivate()
    rig.node.trigger_cleanup()
    assert json.loads(report.read_text())['frames'] == 2


def test_depth_without_confidence_or_partner(start):
    rig = start(publish=('depth', 'info', 'truth'), slop=0.005)
    stamps = [100 * SECOND + k * STEP for k in range(6)]
    for k, stamp in enumerate(stamps):
        rig.send('depth', predicted(k), stamp)
        if k != 2:  # within the slop, but not of the same stamp
            rig.send('truth', truth_of(k), stamp + 4_000_000)
    rig.until(lambda: rig.node.frames == 5, '5 frames')
    assert rig.node.report()['counts']['depth without a partner near in time'] == 1
    assert 'ause' not in rig.node.report()['overall']


def test_points_of_a_lidar_are_projected(start):
    from depth_rig import info_message

    from monother_ros.ros.messages import intrinsics_from_camera_info, set_stamp

    pose = np.eye(4)
    pose[:3, 3] = 0.0, 0.1, 0.05
    rig = start(
        publish=('depth', 'info', 'points'), truth='points', lidar_extrinsics=pose.ravel().tolist()
    )
    camera = intrinsics_from_camera_info(info_message(SIZE[1], SIZE[0]))
    rig.info()
    rays = camera.rays()
    depth = np.full(SIZE, 20.0, np.float32)
    sparse = np.zeros(SIZE, bool)
    sparse[10:40:6, 4:60:4] = True
    points = np.concatenate([rays[sparse] * 20.0, np.full((sparse.sum(), 1), 20.0)], 1)
    from sensor_msgs.msg import PointCloud2, PointField

    cloud = PointCloud2(height=1, width=len(points), point_step=12, row_step=12 * len(points))
    cloud.fields = [
        PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, n in enumerate('xyz')
    ]
    cloud.data = (points - pose[:3, 3]).astype(np.float32).tobytes()
    cloud.header.frame_id = 'lidar'
    set_stamp(cloud.header, 100 * SECOND - 3_000_000)
    rig.publishers['points'].publish(cloud)
    rig.until(lambda: rig.node._inputs['truth'].received, 'cloud')
    rig.until(lambda: rig.node.calibration.problem is None, 'calibration')
    rig.send('depth', depth * np.float32(1.5), 100 * SECOND)
    # nothing nearer can come any more
    set_stamp(cloud.header, 101 * SECOND)
    rig.publishers['points'].publish(cloud)
    rig.scored(1)
    overall = rig.node.report()['overall']
    assert overall['abs_rel'] == pytest.approx(0.5, abs=1e-4)
    assert overall['scale'] == pytest.approx(1 / 1.5, abs=1e-4) and overall['told'] == 1.0


def test_what_cannot_be_scored_is_counted_with_its_reason(start):
    rig = start(publish=('depth', 'truth'))
    stamp = 100 * SECOND
    rig.send('depth', np.full(SIZE, np.nan, np.float32), stamp)
    rig.send('truth', truth_of(0), stamp)
    odd = np.zeros((*SIZE, 3), np.uint8)
    rig.send('depth', predicted(1), stamp + STEP)
    rig.publishers['truth'].publish(_colour(odd, stamp + STEP))
    rig.until(
        lambda: sum(rig.node.report()['counts'].values()) == 4 and rig.node.frames == 0, 'counts'
    )
    counts = rig.node.report()['counts']
    assert counts['not scored: no pixel has both depth and ground truth'] == 1
    assert counts['not scored: MessageError'] == 1
    rig.until(lambda: 'is no depth' in rig.message('metrics'), 'diagnostics')
    assert not rig.call('write_report').success


def _colour(array, stamp):
    from depth_rig import image_message

    return image_message(array, stamp, 'rgb8')


def test_the_node_needs_neither_bags_nor_torch():
    import subprocess
    import sys

    code = (
        'import sys, monother_ros.nodes.metrics_node; '
        'print([m for m in ("torch", "rosbags", "matplotlib", "scipy", "rerun") '
        'if m in sys.modules])'
    )
    shown = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert shown.stdout.strip() == '[]', shown.stderr
