# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np

from monother_ros.core.colorize import colorize


def test_near_is_red_far_is_blue_unknown_is_black():
    depth = np.array([[0.6, 6.0, 70.0, np.nan]], np.float32)
    (near, middle, far, unknown) = colorize(depth, 0.5, 80.0)[0].astype(int)
    assert near[2] > 2 * near[0]
    assert middle[1] > middle[2] / 2
    assert far[0] > 1.2 * far[2]
    assert unknown.tolist() == [0, 0, 0]


def test_scale_is_fixed_and_saturates():
    depth = np.array([[0.1, 0.5, 80.0, 500.0]], np.float32)
    picture = colorize(depth, 0.5, 80.0)[0]
    assert picture[0].tolist() == picture[1].tolist()
    assert picture[2].tolist() == picture[3].tolist()
    alone = colorize(depth[:, 1:2].copy(), 0.5, 80.0)[0, 0]
    assert alone.tolist() == picture[1].tolist()


def test_given_memory_is_written_entirely():
    out = np.full((8, 8, 3), 77, np.uint8)
    depth = np.full((8, 8), np.nan, np.float32)
    assert colorize(depth, 1, 10, out) is out
    assert not out.any()
