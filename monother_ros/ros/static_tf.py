# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses between rigidly mounted sensors, from the messages on /tf_static."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.rigid import inverse, pose_matrix


def transform_matrix(transform: Any) -> NDArray[np.float64]:
    """
    Homogeneous matrix of a geometry_msgs/Transform.

    :param transform: translation in metres and rotation as a quaternion (x, y, z, w) of any norm.
    :returns: (4, 4); takes points of the child frame to the parent frame.
    :raises ValueError: the quaternion is zero, or a number is not finite.
    """
    q = transform.rotation
    x, y, z, w = np.array([q.x, q.y, q.z, q.w], np.float64)
    norm = x * x + y * y + z * z + w * w
    if not np.isfinite(norm) or norm < 1e-12:
        msg = f'quaternion ({x}, {y}, {z}, {w}) is no rotation; check the static transform'
        raise ValueError(msg)
    t = transform.translation
    place = np.array([t.x, t.y, t.z], np.float64)
    if not np.isfinite(place).all():
        msg = f'translation {place} is no place; check the static transform'
        raise ValueError(msg)
    return pose_matrix(place, np.array([x, y, z, w]))


class StaticTransforms:
    """Tree of static transforms; the last one of a child frame counts, as in tf2."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[str, NDArray[np.float64]]] = {}
        self._found: dict[tuple[str, str], NDArray[np.float64] | None] = {}

    def add(self, message: Any) -> int:
        """
        Take a tf2_msgs/TFMessage.

        :returns: number of transforms that could not be used.
        """
        bad = 0
        for item in message.transforms:
            parent, child = (
                str(item.header.frame_id).lstrip('/'),
                str(item.child_frame_id).lstrip('/'),
            )
            try:
                self._links[child] = (parent, transform_matrix(item.transform))
            except ValueError:
                bad += 1
        self._found.clear()
        return bad

    def lookup(self, target: str, source: str) -> NDArray[np.float64] | None:
        """
        Pose of one frame in another.

        :param target: frame of the result's points.
        :param source: frame of the points given.
        :returns: (4, 4) T_target_source, or None where the two are not connected.
        """
        key = (target.lstrip('/'), source.lstrip('/'))
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, target: str, source: str) -> NDArray[np.float64] | None:
        neighbours: dict[str, list[tuple[str, NDArray[np.float64]]]] = {}
        for child, (parent, matrix) in self._links.items():
            neighbours.setdefault(child, []).append((parent, matrix))
            neighbours.setdefault(parent, []).append((child, inverse(matrix)))
        queue = deque([(source, np.eye(4))])
        seen = {source}
        while queue:
            frame, pose = queue.popleft()
            if frame == target:
                return pose
            for other, step in neighbours.get(frame, ()):
                if other not in seen:
                    seen.add(other)
                    queue.append((other, step @ pose))
        return None
