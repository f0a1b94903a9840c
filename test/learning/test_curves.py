# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='matplotlib is not installed')

from monother_ros.learning.curves import write_curves


def test_picture_shows_the_series(tmp_path):
    training = {'step': [1, 2, 3], 'total': [3.0, 2.0, 1.0], 'rate': [1, 1, 1]}
    validation = {'step': [2, 3], 'abs_rel': [0.5, 0.3], 'd1': [0.4, 0.6]}
    empty = cv2.imread(str(write_curves(tmp_path / 'empty.png', {'step': []}, {'step': []})))
    drawn = cv2.imread(str(write_curves(tmp_path / 'curves.png', training, validation)))
    assert drawn.shape == empty.shape
    width = drawn.shape[1] // 3
    for k in range(3):
        columns = slice(k * width, (k + 1) * width)
        assert np.any(drawn[:, columns] != empty[:, columns]), k
    both = {**validation, 'rgb_abs_rel': [0.7, 0.6], 'rmse': [9.0, 8.0]}
    dual = cv2.imread(str(write_curves(tmp_path / 'curves.png', training, both)))
    middle = slice(width, 2 * width)
    assert np.any(dual[:, middle] != drawn[:, middle])
    assert np.array_equal(dual[:, : width - 20], drawn[:, : width - 20])
    assert [p.name for p in sorted(tmp_path.iterdir())] == ['curves.png', 'empty.png']
