# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses composed from static transforms."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from monother_ros.ros.static_tf import StaticTransforms, transform_matrix


def _transform(parent, child, xyz, quaternion):
    x, y, z, w = quaternion
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent),
        child_frame_id=child,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=xyz[0], y=xyz[1], z=xyz[2]),
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
        ),
    )


QUARTER = (0.0, 0.0, math.sin(math.pi / 4), math.cos(math.pi / 4))
"""90 degrees about z."""


def test_quaternion_turns_and_its_norm_does_not_matter():
    for scale in (1.0, 3.0):
        item = _transform('a', 'b', (1, 2, 3), tuple(scale * q for q in QUARTER))
        assert np.allclose(transform_matrix(item.transform) @ [1, 0, 0, 1], [1, 3, 3, 1])


def test_pose_between_two_cameras_through_their_parent():
    tree = StaticTransforms()
    tree.add(SimpleNamespace(transforms=[_transform('base', 'rgb', (0.1, 0, 0), QUARTER)]))
    tree.add(
        SimpleNamespace(transforms=[_transform('/base', 'thermal', (0, 0.2, 0), (0, 0, 0, 1))])
    )
    pose = tree.lookup('rgb', 'thermal')
    # the thermal camera's origin is at (0, 0.2, 0) in base: (-0.1, 0.2) from rgb, turned by -90
    assert np.allclose(pose @ [0, 0, 0, 1], [0.2, 0.1, 0, 1])
    assert np.allclose(tree.lookup('thermal', 'rgb') @ pose, np.eye(4))
    assert tree.lookup('rgb', 'elsewhere') is None
    assert np.allclose(tree.lookup('rgb', 'rgb'), np.eye(4))


def test_a_later_transform_replaces_and_a_broken_one_is_counted():
    tree = StaticTransforms()
    tree.add(SimpleNamespace(transforms=[_transform('a', 'b', (1, 0, 0), (0, 0, 0, 1))]))
    assert tree.lookup('a', 'b')[0, 3] == 1
    bad = _transform('a', 'b', (9, 0, 0), (0, 0, 0, 0))
    good = _transform('a', 'b', (2, 0, 0), (0, 0, 0, 1))
    assert tree.add(SimpleNamespace(transforms=[bad, good])) == 1
    assert tree.lookup('a', 'b')[0, 3] == 2
    with pytest.raises(ValueError, match='no rotation'):
        transform_matrix(bad.transform)
