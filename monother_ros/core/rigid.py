# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as people write them down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import CalibrationError

TOLERANCE = 1e-3
"""By how much rows of a written rotation may fail to be orthonormal: files are rounded."""


def rigid_transform(value: Any, name: str) -> NDArray[np.float64]:
    """
    Read a rigid transform.

    :param value: 16 numbers of a 4x4 matrix in rows or not; 7 numbers x y z qx qy qz qw; or a
        mapping with translation (metres) and rotation (quaternion x y z w of any length, none
        for no rotation).
    :param name: what it is, for messages.
    :returns: (4, 4) float64 with an orthonormal rotation.
    :raises CalibrationError: it is none of these, or no rigid transform.
    """
    try:
        if isinstance(value, dict):
            unknown = set(value) - {'translation', 'rotation'}
            if unknown or 'translation' not in value:
                msg = f'{name} holds {", ".join(map(str, value))}; give translation and rotation'
                raise CalibrationError(msg)
            turn = value.get('rotation', (0.0, 0.0, 0.0, 1.0))
            numbers = np.array([*value['translation'], *turn], np.float64)
            if numbers.size != 7:
                msg = f'{name} needs a translation of 3 numbers and a rotation of 4 (x y z w)'
                raise CalibrationError(msg)
        else:
            numbers = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError, OverflowError) as err:
        msg = f'{name} holds something else than numbers: {value!r}'
        raise CalibrationError(msg) from err
    if numbers.size == 7 and np.isfinite(numbers).all():
        return _from_quaternion(numbers, name)
    if numbers.size != 16:
        msg = (
            f'{name} has {numbers.size} numbers; give 16 (a 4x4 matrix row by row) or 7 '
            '(x y z in metres and the quaternion x y z w)'
        )
        raise CalibrationError(msg)
    matrix = numbers.reshape(4, 4)
    turn = matrix[:3, :3]
    rigid = (
        np.isfinite(matrix).all()
        and np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6)
        and np.allclose(turn @ turn.T, np.eye(3), atol=TOLERANCE)
        and np.linalg.det(turn) > 0
    )
    if not rigid:
        msg = (
            f'{name} is not a rigid transform: the first three rows must hold a rotation and a '
            'translation in metres, the last row 0 0 0 1'
        )
        raise CalibrationError(msg)
    u, _, v = np.linalg.svd(turn)
    result = np.eye(4)
    result[:3, :3] = u @ v
    result[:3, 3] = matrix[:3, 3]
    return result


def _from_quaternion(numbers: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Matrix of x y z qx qy qz qw."""
    x, y, z, w = numbers[3:]
    norm = x * x + y * y + z * z + w * w
    if not 1e-12 <= norm < np.inf:
        size = 'zero' if norm < 1 else 'too large'
        msg = f'the quaternion of {name} is {size} and no rotation; it is x y z w'
        raise CalibrationError(msg)
    return pose_matrix(numbers[:3], numbers[3:])


def pose_matrix(
    translation: NDArray[np.float64], quaternion: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Homogeneous matrix of a translation and a rotation.

    :param translation: (3,) metres.
    :param quaternion: (4,) x y z w of any norm but zero, which is not checked.
    :returns: (4, 4).
    """
    x, y, z, w = quaternion
    s = 2.0 / (x * x + y * y + z * z + w * w)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of a rigid transform, (4, 4)."""
    result = np.eye(4)
    result[:3, :3] = matrix[:3, :3].T
    result[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return result
