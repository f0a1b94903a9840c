# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.errors import DatasetError
from monother_ros.learning.datasets import (
    Joined,
    PairDataset,
    PairSample,
    describe,
    label_mask,
    open_dataset,
)


class Numbered:
    """Pairs that carry their number."""

    def __init__(self, first, count):
        self._first, self._count = first, count

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        image = np.full((1, 2, 3), self._first + index, np.float32)
        eye = np.eye(3, dtype=np.float32)
        pose = np.eye(4, dtype=np.float32)
        name = f'{self._first + index}'
        return PairSample(image, image, None, None, eye, eye, pose, name)


def test_joined_counts_through_its_parts():
    data = Joined([Numbered(0, 3), Numbered(3, 0), Numbered(3, 4)])
    assert isinstance(data, PairDataset)
    assert [data[i].name for i in range(len(data))] == [str(i) for i in range(7)]
    assert data[-1].name == '6'
    assert data[-7].name == '0'
    assert data[2].size == (2, 3)
    for index in (7, -8):
        with pytest.raises(IndexError):
            data[index]
    with pytest.raises(DatasetError, match='no data set to join'):
        Joined([])
    assert describe(data) == '3 pairs\n0 pairs\n4 pairs'


def test_labels_are_used_between_near_and_far():
    depth = np.array([0, 0.001, 0.002, 79.9, 80.0, np.inf, np.nan], np.float32)
    assert label_mask(depth).tolist() == [False, False, True, True, False, False, False]
    assert label_mask(depth, far=10.0).tolist() == [False, False, True] + [False] * 4


@pytest.mark.parametrize(
    ('spec', 'said'),
    [
        ({'kind': 'kitti'}, "kind 'kitti' is not known; use one of ms2, vivid, sim, bag"),
        ({'root': 'x'}, 'kind None'),
        ({'kind': 'ms2', 'split': 'val'}, 'MS2 needs the setting root'),
        ({'kind': 'ms2', 'root': 'x', 'split': 'val', 'lables': 1}, 'setting lables of MS2'),
        ({'kind': 'ms2', 'root': None, 'split': 'val'}, 'setting root of MS2 is None'),
        ({'kind': 'vivid', 'root': 'x', 'split': 'val', 'trim': 'no'}, 'trim of Vivid is .no.'),
        ({'kind': ['ms2']}, 'is not known; use one of'),
        ('ms2', 'is no data set; give a mapping'),
        (None, 'None is no data set'),
        ({'kind': 'vivid', 'root': 'nowhere', 'split': 'val'}, 'ViViD root nowhere is not'),
    ],
)
def test_what_is_wrong_in_a_specification_is_said(spec, said):
    with pytest.raises(DatasetError, match=said):
        open_dataset(spec)
    with pytest.raises(DatasetError, match=said):
        open_dataset([spec])
