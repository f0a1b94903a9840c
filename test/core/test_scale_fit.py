# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fit of metric points to a network's depth: exact cases, outliers, degenerate ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.range_points import sparse_depth
from monother_ros.core.scale_fit import LEAST_POINTS, fit_beam, fit_range

SIZE = (256, 320)


def scene(seed=0):
    """True depth of a ground that rises to a wall with a board before it, metres."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    depth = np.minimum(260 * 1.2 / np.maximum(v - 110, 1), 35.0)
    depth[60:150, 40:90] = np.minimum(depth[60:150, 40:90], 6.0)
    rng = np.random.default_rng(seed)
    return (depth * (1 + 0.02 * np.sin(u / 9) + 0.01 * rng.normal(size=SIZE))).astype(np.float32)


def scan_of(depth, rows=16, seed=1, part=1.0):
    """Sparse depth of some rows, as a LiDAR sees them."""
    rng = np.random.default_rng(seed)
    sparse = np.zeros(SIZE, np.float32)
    for row in np.linspace(60, 200, rows).astype(int):
        columns = np.arange(0, SIZE[1], 3)
        columns = columns[rng.random(len(columns)) < part]
        sparse[row, columns] = depth[row, columns] * (1 + 0.003 * rng.normal(size=len(columns)))
    return sparse


def corrected(fit, depth):
    return 1 / (fit.scale / depth + fit.shift)


@pytest.mark.parametrize('factor', [0.25, 0.77, 1.0, 1.3, 5.0])
def test_scale_is_found(factor):
    truth = scene()
    fit = fit_range(factor * truth, scan_of(truth), 17)
    assert fit.speaks and fit.source == 'range' and fit.stamp_ns == 17
    ratio = np.median(corrected(fit, factor * truth) / truth)
    assert abs(math.log(ratio)) < 0.005
    assert 0.005 < fit.sigma < 0.03


def test_shift_is_found_where_there_is_one():
    truth = scene()
    wrong = 1 / (0.8 / truth - 0.006)
    fit = fit_range(wrong, scan_of(truth))
    assert fit.shift == pytest.approx(0.006 / 0.8, rel=0.05)
    assert fit.scale == pytest.approx(1 / 0.8, rel=0.01)
    np.testing.assert_allclose(np.median(corrected(fit, wrong) / truth), 1, atol=0.005)
    assert fit_range(wrong, scan_of(truth), shift=False).shift == 0


def test_no_shift_is_made_up():
    truth = scene()
    fits = [fit_range(1.3 * scene(seed), scan_of(truth, seed=seed)) for seed in range(8)]
    far = [corrected(fit, np.float32(1.3 * 35.0)) / 35.0 for fit in fits]
    assert np.abs(np.log(far)).max() < 0.03


@pytest.mark.parametrize('part', [0.2, 0.4])
def test_things_that_moved_do_not_count(part):
    truth = scene()
    sparse = scan_of(truth)
    rng = np.random.default_rng(5)
    rows, columns = np.nonzero(sparse)
    # one contiguous region was somewhere else when the points were taken
    order = np.argsort(columns)
    moved = order[: int(part * len(order))]
    sparse[rows[moved], columns[moved]] *= rng.uniform(0.3, 0.6, len(moved)).astype(np.float32)
    fit = fit_range(1.3 * truth, sparse)
    assert fit.speaks
    assert abs(math.log(np.median(corrected(fit, 1.3 * truth) / truth))) < 0.02


def test_points_of_an_earlier_pose_do_not_spoil_the_scale():
    truth = scene()
    # 5 frames late at 1 m/s and 30 Hz: everything ahead was 0.17 m farther
    fit = fit_range(1.3 * truth, scan_of(truth + 0.17))
    assert abs(math.log(np.median(corrected(fit, 1.3 * truth) / truth))) < 0.04


@pytest.mark.parametrize(
    ('sparse', 'words'),
    [
        (np.zeros(SIZE, np.float32), 'no point is within view'),
        (scan_of(scene(), rows=1, part=0.2), f'too few; a fit takes {LEAST_POINTS}'),
        (np.pad(np.full((8, 8), 5, np.float32), ((0, 248), (0, 312))), 'cells of the image'),
        (1e4 * scan_of(scene()), 'would change by a factor'),
        (
            np.random.default_rng(3).lognormal(2, 1.5, SIZE).astype(np.float32),
            'do not belong together',
        ),
    ],
)
def test_degenerate_fits_are_refused_with_their_reason(sparse, words):
    fit = fit_range(scene(), sparse, 5)
    assert not fit.speaks and words in fit.reason and fit.stamp_ns == 5


def test_unknown_depth_is_left_out():
    truth = scene()
    holes = 1.3 * truth
    holes[:, :160] = np.nan
    holes[:, 160:170] = np.inf
    holes[:, 170:180] = -3
    fit = fit_range(holes, scan_of(truth))
    assert fit.speaks and fit.scale == pytest.approx(1.3, rel=0.02)
    assert not fit_range(np.full(SIZE, np.nan, np.float32), scan_of(truth)).speaks


def test_fewer_cells_mean_more_uncertainty():
    truth = scene()
    rough = truth * np.exp(np.random.default_rng(2).normal(0, 0.15, (16, 20))).repeat(
        16, 0
    ).repeat(16, 1).astype(np.float32)
    dense = fit_range(rough, scan_of(truth, 24))
    few = scan_of(truth, 2)
    few[:, 100:] = 0
    assert fit_range(rough, few).sigma > 1.5 * dense.sigma


def test_a_wide_beam_takes_the_nearest_surface():
    camera = Intrinsics(320, 256, 260.0, 260.0, 159.5, 127.5)
    truth = np.full(SIZE, 8.0, np.float32)
    truth[100:150, 150:175] = 2.0
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    fit = fit_beam(1.3 * truth, [2.0, 0, 0], pose, 0.25, camera, 9)
    assert fit.speaks and fit.scale == pytest.approx(1 / 1.3, rel=0.03)
    assert fit.sigma > 0.1 and fit.space == 'depth'
    pose[:3, :3] = np.eye(3)  # looks to the side
    assert 'outside of the view' in fit_beam(truth, [2.0, 0, 0], pose, 0.1, camera).reason
    assert 'no finite range' in fit_beam(truth, [np.nan, 0, 0], pose, 0.1, camera).reason


def test_a_fit_follows_from_projected_points():
    camera = Intrinsics(320, 256, 260.0, 260.0, 159.5, 127.5, distortion=(-0.2, 0.05, 0, 0))
    truth = scene()
    rays = camera.rays()
    points = np.dstack([rays * truth[..., None], truth])[::9, ::2].reshape(-1, 3)
    fit = fit_range(truth / 1.3, sparse_depth(points, None, camera))
    assert 1 / fit.scale == pytest.approx(1.3, rel=0.02)
