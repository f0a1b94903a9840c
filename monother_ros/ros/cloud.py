# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fields of a sensor_msgs/PointCloud2 read as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATATYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}


def cloud_fields(msg: Any, names: Sequence[str]) -> NDArray[np.float32]:
    """
    Some fields of every point, in the order of the message.

    :param msg: sensor_msgs/PointCloud2, organised or not.
    :param names: fields to read, each of them one number per point.
    :returns: (N, len(names)) float32 copy.
    :raises MessageError: a field is missing, or the data is shorter than the header says.
    """
    height, width = int(msg.height), int(msg.width)
    step, row = int(msg.point_step), int(msg.row_step)
    fields = {str(field.name): field for field in msg.fields}
    missing = [name for name in names if name not in fields]
    if missing:
        text = f'point cloud has no field {missing[0]!r}, only {sorted(fields)}'
        raise MessageError(text)
    order = '>' if msg.is_bigendian else '<'
    if height * width == 0:
        return np.empty((0, len(names)), np.float32)
    if height == 1:
        row = max(row, step * width)  # some drivers leave row_step 0
    size = len(msg.data) * getattr(msg.data, 'itemsize', 1)
    needed = (height - 1) * row + width * step
    # a step of 0 would make any number of points out of no data
    if step == 0 or row < step * width or size < needed:
        text = (
            f'point cloud is truncated: {size} bytes for {width}x{height} points with point_step '
            f'{step} and row_step {row}; drop it, and check the driver'
        )
        raise MessageError(text)
    buffer = memoryview(msg.data).cast('B')
    points = np.empty((height, width, len(names)), np.float32)
    for i, name in enumerate(names):
        field = fields[name]
        code = _DATATYPES.get(int(field.datatype))
        offset = int(field.offset)
        if code is None or offset + np.dtype(code).itemsize > step:
            text = f'field {name!r} has an impossible datatype {field.datatype} or offset {offset}'
            raise MessageError(text)
        dtype = np.dtype(order + code)
        points[..., i] = np.ndarray((height, width), dtype, buffer, offset, (row, step))
    return points.reshape(-1, len(names))


def cloud_xyz(msg: Any) -> NDArray[np.float32]:
    """
    Positions of the points that are known.

    Read by sensor_msgs_py where a ROS distribution has it; it takes rows for gapless, so a cloud
    whose rows are padded, and every cloud without it, goes through :func:`cloud_fields`.

    :param msg: sensor_msgs/PointCloud2 with x, y, z.
    :returns: (N, 3) float32 in metres, without the points that are not finite.
    :raises MessageError: see :func:`cloud_fields`.
    """
    points = _read_by_library(msg)
    if points is None:
        points = cloud_fields(msg, ('x', 'y', 'z'))
    return points[np.isfinite(points).all(1)]


def _read_by_library(msg: Any) -> NDArray[np.float32] | None:
    """(N, 3) float32 by sensor_msgs_py, or None where it is not there or the cloud is unusual."""
    count, step = int(msg.width) * int(msg.height), int(msg.point_step)
    names = {str(field.name) for field in msg.fields}
    size = len(msg.data) * getattr(msg.data, 'itemsize', 1)
    if not {'x', 'y', 'z'} <= names or not 0 < count * step == size:
        return None
    try:
        from sensor_msgs_py.point_cloud2 import read_points
    except ImportError:
        return None
    try:
        found = read_points(msg, ('x', 'y', 'z'))
        columns = [np.asarray(found[name], np.float32).ravel() for name in ('x', 'y', 'z')]
    except Exception:  # its errors are assertions and whatever numpy raises
        return None
    return np.stack(columns, 1)
