# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale estimates and range sensors as messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('rclpy')
from geometry_msgs.msg import Vector3Stamped
from sensor_msgs.msg import LaserScan, Range

from monother_ros.core.errors import MessageError, SettingsError
from monother_ros.core.scale_sources import ScaleEstimate, silent
from monother_ros.ros.ranges import range_points, scan_points
from monother_ros.ros.scale import scale_from_message, scale_message


@pytest.mark.parametrize(
    'estimate',
    [
        ScaleEstimate('language', 0.8, 0.02, 'inverse', 0.4, 5_000_000_007),
        ScaleEstimate('focal', 1.1, 0.0, 'inverse', 0.1, 1),
        ScaleEstimate('range', 1.3, sigma=0.02),
    ],
)
def test_an_estimate_survives_the_message(estimate):
    msg = scale_message(estimate, 'thermal_optical_frame')
    assert msg.header.frame_id == 'thermal_optical_frame'
    back = scale_from_message(msg, estimate.source)
    assert back.space == 'inverse' and back.stamp_ns == estimate.stamp_ns
    assert (back.source, back.sigma) == (estimate.source, estimate.sigma)
    for depth in (0.5, 3.0, 40.0):
        assert back.metric(depth) == pytest.approx(estimate.metric(depth))


def test_silence_survives_the_message():
    msg = scale_message(silent('language', 'no sentence', 9))
    assert math.isnan(msg.vector.x)
    back = scale_from_message(msg, 'language')
    assert not back.speaks and 'no estimate' in back.reason and back.stamp_ns == 9


@pytest.mark.parametrize(
    ('x', 'y', 'z'), [(0, 0, 1), (-1, 0, 1), (math.inf, 0, 1), (1, math.nan, 1), (1, 0, 0)]
)
def test_numbers_that_cannot_be_meant_are_refused(x, y, z):
    msg = Vector3Stamped()
    msg.vector.x, msg.vector.y, msg.vector.z = float(x), float(y), float(z)
    with pytest.raises(MessageError, match='language'):
        scale_from_message(msg, 'language')


def test_a_shift_of_depth_has_no_message():
    with pytest.raises(SettingsError, match='inverse depth only'):
        scale_message(ScaleEstimate('range', 1.0, 0.3, sigma=0.1))


def scan(ranges, **values):
    msg = LaserScan()
    msg.angle_min, msg.angle_increment = -math.pi / 2, math.pi / 4
    msg.range_min, msg.range_max = 0.1, 30.0
    msg.ranges = [float(r) for r in ranges]
    for name, value in values.items():
        setattr(msg, name, value)
    return msg


def test_scan_lies_in_its_plane_and_leaves_out_what_it_does_not_see():
    points = scan_points(scan([1, math.inf, 2, math.nan, 4])).points
    np.testing.assert_allclose(points, [[0, -1, 0], [2, 0, 0], [0, 4, 0]], atol=1e-6)
    assert scan_points(scan([0.05, 31.0, -1.0])).points.shape == (0, 3)
    assert scan_points(scan([])).points.shape == (0, 3)
    # some drivers leave the largest range 0
    assert len(scan_points(scan([5.0], range_max=0.0)).points) == 1
    with pytest.raises(MessageError, match='no angles'):
        scan_points(scan([1.0], angle_increment=math.nan))


def beam(value, **values):
    msg = Range()
    msg.min_range, msg.max_range, msg.field_of_view = 0.2, 7.0, 0.5
    msg.range = float(value)
    for name, entry in values.items():
        setattr(msg, name, entry)
    return msg


def test_range_is_one_point_ahead():
    found = range_points(beam(3.0))
    np.testing.assert_allclose(found.points, [[3, 0, 0]])
    assert found.beam == pytest.approx(0.25)
    for value in (math.inf, -math.inf, math.nan, 0.1, 7.0, 9.0, 0.0):
        assert len(range_points(beam(value)).points) == 0, value
    assert 0 < range_points(beam(3.0, field_of_view=0.0)).beam < 0.02
