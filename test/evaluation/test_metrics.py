# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from monother_ros.evaluation import metrics


def test_by_hand():
    truth = np.array([[2.0, 4.0], [10.0, np.inf]])
    prediction = np.array([[2.2, 3.0], [15.0, 7.0]])
    got = metrics.depth_metrics(prediction, truth)
    e = [math.log(1.1), math.log(0.75), math.log(1.5)]
    mean_square = sum(v * v for v in e) / 3
    want = {
        'abs_rel': (0.1 + 0.25 + 0.5) / 3,
        'sq_rel': (0.04 / 2 + 1 / 4 + 25 / 10) / 3,
        'rmse': math.sqrt((0.04 + 1 + 25) / 3),
        'rmse_log': math.sqrt(mean_square),
        'log10': sum(abs(v) for v in e) / 3 / math.log(10),
        'silog': 100 * math.sqrt(mean_square - (sum(e) / 3) ** 2),
        'd1': 1 / 3,
        'd2': 1.0,  # 4 / 3 and 1.5 are below 1.5625
        'd3': 1.0,
    }
    assert tuple(got) == metrics.NAMES
    for key, value in want.items():
        assert got[key] == pytest.approx(value), key


def test_golden(shared):
    """Values of the public evaluation code of MonoTher-Depth on given arrays."""
    golden = np.load(shared('golden/monother/losses.npz'))
    truth = golden['metrics/gt'][0, 0]
    small = golden['metrics/pred'][0, 0].astype(np.float64)
    prediction = resize_aligned(small, truth.shape)
    names = {'a1': 'd1', 'a2': 'd2', 'a3': 'd3', 'log_10': 'log10'}
    columns = [names.get(str(name), str(name)) for name in golden['metrics/column_names']]
    before = prediction.copy()
    got = metrics.depth_metrics(prediction, truth)
    np.testing.assert_array_equal(prediction, before)
    np.testing.assert_allclose(
        [got[name] for name in columns], golden['metrics/nocrop'], rtol=2e-5, atol=1e-7
    )
    rows, columns_ = truth.shape
    garg = np.zeros(truth.shape, bool)
    garg[
        int(0.40810811 * rows) : int(0.99189189 * rows),
        int(0.03594771 * columns_) : int(0.96405229 * columns_),
    ] = True
    got = metrics.depth_metrics(prediction, truth, mask=garg)
    np.testing.assert_allclose(
        [got[name] for name in columns], golden['metrics/garg'], rtol=2e-5, atol=1e-7
    )


def resize_aligned(image, shape):
    """Bilinear with aligned corners, as the reference resizes its predictions."""
    y = np.linspace(0, image.shape[0] - 1, shape[0])
    x = np.linspace(0, image.shape[1] - 1, shape[1])
    rows = np.stack([np.interp(x, np.arange(image.shape[1]), row) for row in image])
    return np.stack([np.interp(y, np.arange(len(rows)), c) for c in rows.T], 1)


def test_not_a_number_and_range():
    truth = np.array([[5.0, 5.0, 79.0, 80.0, np.nan, 0.0]])
    prediction = np.array([[np.nan, np.inf, 500.0, 1.0, 1.0, 1.0]])
    got = metrics.depth_metrics(prediction, truth)
    assert got['abs_rel'] == pytest.approx(((5 - 0.001) / 5 + 75 / 5 + 1 / 79) / 3)
    narrow = metrics.depth_metrics(prediction, truth, near=6.0)
    assert narrow['abs_rel'] == pytest.approx(1 / 79)


def test_empty_image_is_left_out():
    nothing = metrics.depth_metrics(np.ones((2, 2)), np.full((2, 2), np.inf))
    assert all(math.isnan(v) for v in nothing.values())
    some = metrics.depth_metrics(np.ones((2, 2)), np.full((2, 2), 2.0))
    mean = metrics.mean_metrics([nothing, some])
    assert mean['images'] == 1
    assert mean['abs_rel'] == pytest.approx(0.5)
    assert metrics.mean_metrics([nothing]) == {'images': 0.0}


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='resize first'):
        metrics.depth_metrics(np.ones((2, 3)), np.ones((3, 2)))


def test_sparsification_of_perfect_and_constant_ranking():
    error = np.random.default_rng(0).exponential(1.0, 5000)
    perfect = metrics.sparsification(error, -error)
    assert perfect.ause == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(perfect.by_confidence, perfect.oracle)
    constant = metrics.sparsification(error, np.ones(5000))
    assert constant.ratio == pytest.approx(1.0)
    worst = metrics.sparsification(error, error)
    assert worst.ratio > 1.5
    shuffled = metrics.sparsification(error, np.random.default_rng(1).random(5000))
    assert shuffled.ratio == pytest.approx(1.0, abs=0.05)


def test_sparsification_by_hand():
    got = metrics.sparsification(np.array([1.0, 3.0, 2.0, 6.0]), np.array([4, 3, 2, 1]), steps=4)
    np.testing.assert_allclose(got.dropped, [0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(got.by_confidence, [3, 2, 2, 1])
    np.testing.assert_allclose(got.oracle, [3, 2, 1.5, 1])
    assert got.ause == pytest.approx(0.25 * 0.5)
    assert got.random_ause == pytest.approx(0.25 * (0 / 2 + 1 + 1.5 + 2 / 2))


def test_sparsification_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match='finite'):
        metrics.sparsification(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
