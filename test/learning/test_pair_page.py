# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monother_ros.learning.datasets import PairSample
from monother_ros.learning.pair_page import (
    label_agreement,
    moved_label,
    pair_page,
    pair_picture,
    resized_label,
)

HEIGHT, WIDTH = 30, 40


@pytest.fixture(name='sample')
def _sample():
    """A wall 4 m ahead; the RGB camera stands 0.4 m to the right and 1 m nearer to it."""
    camera = np.array([[40, 0, 19.5], [0, 40, 14.5], [0, 0, 1]], np.float32)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, 3] = -0.4, 0, -1
    return PairSample(
        thermal=np.zeros((1, HEIGHT, WIDTH), np.float32),
        rgb=np.full((3, HEIGHT, WIDTH), 0.5, np.float32),
        thermal_depth=np.full((1, HEIGHT, WIDTH), 4, np.float32),
        rgb_depth=np.full((1, 2 * HEIGHT, 2 * WIDTH), 3, np.float32),
        thermal_intrinsics=camera,
        rgb_intrinsics=camera,
        extrinsics=pose,
        name='wall',
    )


def test_label_is_moved_into_the_rgb_camera(sample):
    moved = moved_label(sample)
    assert set(np.unique(moved)) == {0, 3}
    # column 24 of thermal comes to 40 (4 (24 - 19.5) / 40 - 0.4) / 3 + 19.5 = 20.2
    one = np.zeros((1, HEIGHT, WIDTH), np.float32)
    one[0, 14, 24] = 4
    row, column = np.argwhere(moved_label(replace(sample, thermal_depth=one)))[0]
    assert (row, column) == (14, 20)
    assert moved_label(replace(sample, thermal_depth=None)) is None


def test_agreement_tells_a_wrong_pose(sample):
    assert label_agreement(sample) == pytest.approx(0, abs=1e-6)
    still = replace(sample, extrinsics=np.eye(4, dtype=np.float32))
    assert label_agreement(still) == pytest.approx(1 / 3)
    assert label_agreement(replace(sample, rgb_depth=None)) is None
    assert label_agreement(replace(sample, rgb_depth=0 * sample.rgb_depth)) is None


def test_labels_are_resized_without_mixing():
    depth = np.where(np.arange(12) < 6, 1.0, 9.0)[None, None].repeat(12, 1).astype(np.float32)
    for size in ((6, 6), (5, 7), (24, 30)):
        small = resized_label(depth, size)
        assert small.shape == size
        assert set(np.unique(small)) == {1, 9}


def test_page(sample):
    row = pair_picture(sample)
    assert row.shape == (HEIGHT, 4 * WIDTH, 3)
    over = row[:, 2 * WIDTH : 3 * WIDTH]
    assert np.ptp(over.astype(int), axis=2).max() > 50  # the label is coloured
    unlabelled = pair_picture(replace(sample, thermal_depth=None))
    assert not unlabelled[:, 2 * WIDTH :].any()
    narrow = replace(
        sample, thermal=sample.thermal[..., :30], rgb=sample.rgb[..., :30], thermal_depth=None
    )
    assert pair_page([sample, narrow]).shape == (2 * HEIGHT, 4 * WIDTH, 3)
