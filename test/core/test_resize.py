# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.core.resize import AlignedResizer

SIZES = [
    ((256, 640), (252, 644)),
    ((512, 640), (252, 644)),
    ((252, 644), (512, 640)),
    ((37, 37), (20, 90)),
    ((5, 7), (1, 3)),
    ((1, 9), (4, 4)),
    ((6, 1), (3, 5)),
    ((11, 13), (11, 13)),
]


def resized(plane, shape, resizer=None):
    return (resizer or AlignedResizer())(plane, np.full(shape, np.nan, np.float32))


@pytest.mark.parametrize(('before', 'after'), SIZES)
def test_same_as_torch(before, after):
    torch = pytest.importorskip('torch', reason='torch is not installed')
    plane = np.random.default_rng(0).uniform(0, 80, before).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(plane)[None, None].double(), after, mode='bilinear', align_corners=True
    )
    np.testing.assert_allclose(resized(plane, after), expected[0, 0], atol=3e-5)


@pytest.mark.parametrize(('before', 'after'), [s for s in SIZES if 1 not in s[0]])
def test_a_plane_that_is_linear_stays_linear(before, after):
    v, u = (np.linspace(0, 1, n) for n in before)
    q, p = (np.linspace(0, 1, n) if n > 1 else np.zeros(1) for n in after)
    plane = (3 * v[:, None] - 2 * u[None, :]).astype(np.float32)
    expected = 3 * q[:, None] - 2 * p[None, :]
    np.testing.assert_allclose(resized(plane, after), expected, atol=1e-6)


def test_opencv_would_be_visibly_different():
    plane = np.random.default_rng(1).uniform(0, 1, (512, 640)).astype(np.float32)
    edges = cv2.resize(plane, (644, 252), interpolation=cv2.INTER_LINEAR)
    assert np.abs(edges - resized(plane, (252, 644))).max() > 0.2


def test_one_resizer_serves_changing_sizes_and_keeps_results():
    rng, resizer = np.random.default_rng(2), AlignedResizer()
    planes = [rng.uniform(0, 1, s).astype(np.float32) for s in ((48, 64), (30, 20), (48, 64))]
    results = [resized(plane, (28, 42), resizer) for plane in planes]
    for plane, result in zip(planes, results, strict=True):
        np.testing.assert_array_equal(result, resized(plane, (28, 42)))


def test_views_are_read_and_written_in_place():
    wide = np.random.default_rng(3).uniform(0, 1, (48, 80)).astype(np.float32)
    memory = np.zeros((30, 50), np.float32)
    view = memory[:28, :42]
    assert AlignedResizer()(wide[:, 8:72], view) is view
    np.testing.assert_array_equal(view, resized(wide[:, 8:72].copy(), (28, 42)))
    assert not memory[28:].any() and not memory[:, 42:].any()
