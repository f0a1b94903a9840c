# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LaserScan and Range messages as points in the sensor's frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monother_ros.core.errors import MessageError
from monother_ros.core.range_points import RangePoints


def scan_points(msg: Any) -> RangePoints:
    """
    Points of a planar scan: x forward, y left, in the plane z = 0 (REP-103, REP-117).

    :param msg: sensor_msgs/LaserScan; ranges that are not finite or outside of its limits are
        left out.
    :returns: (N, 3) float32 metres.
    :raises MessageError: the angles are not finite.
    """
    start, step = float(msg.angle_min), float(msg.angle_increment)
    if not (math.isfinite(start) and math.isfinite(step)):
        text = f'the scan begins at {start:g} rad with steps of {step:g}: no angles; drop it'
        raise MessageError(text)
    ranges = np.asarray(msg.ranges, np.float32)
    low, high = max(float(msg.range_min), 0.0), float(msg.range_max)
    with np.errstate(invalid='ignore'):
        good = np.isfinite(ranges) & (ranges > 0) & (ranges >= low)
        if high > 0:
            good &= ranges <= high
    angle = start + step * np.nonzero(good)[0]
    points = np.zeros((len(angle), 3), np.float32)
    np.multiply(ranges[good], np.cos(angle), out=points[:, 0], casting='same_kind')
    np.multiply(ranges[good], np.sin(angle), out=points[:, 1], casting='same_kind')
    return RangePoints(points)


def range_points(msg: Any) -> RangePoints:
    """
    Point of a single beam, which goes along x (sensor_msgs/Range, REP-117).

    :param msg: sensor_msgs/Range; one that sees nothing (infinity, its largest range or more) or
        is too near gives no point.
    :returns: (1, 3) or (0, 3) float32 metres, with the beam's half angle.
    """
    value, low, high = float(msg.range), float(msg.min_range), float(msg.max_range)
    good = math.isfinite(value) and value > 0 and value >= low and not 0 < high <= value
    view = float(msg.field_of_view)
    half = 0.5 * view if math.isfinite(view) and 0 < view < math.pi else 0.01
    point = [[value, 0.0, 0.0]] if good else np.empty((0, 3))
    return RangePoints(np.asarray(point, np.float32), beam=max(half, 1e-3))
