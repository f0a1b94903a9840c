# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers of one frame: against values of the reference, and against the plain way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monother_ros.evaluation import metrics
from monother_ros.evaluation.boundary import boundary_f1
from monother_ros.evaluation.evaluate.frame_metrics import FrameScorer, best_line
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.learning.vivid import without_border

NAMES = {'a1': 'd1', 'a2': 'd2', 'a3': 'd3', 'log_10': 'log10'}
STEP = 100_000_000


def scored(settings, depth, truth, confidence=None, **more):
    """Numbers by name of one frame."""
    scorer = FrameScorer(settings)
    row = scorer.score(depth, confidence, truth, 0, 0, **more)
    return None if row is None else dict(zip(scorer.columns, row, strict=True))


def scene(seed=0, size=(96, 120), far=90):
    """Depth with steps, its truth with sky, and a confidence that knows something."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.uniform(2, far, (12, 15)), np.ones((8, 8))).astype(np.float32)
    truth = truth[: size[0], : size[1]]
    wrong = rng.normal(0, 0.2, truth.shape)
    depth = (truth * np.exp(wrong)).astype(np.float32)
    confidence = np.clip(1 - np.abs(wrong) + rng.normal(0, 0.1, truth.shape), 0, 1)
    truth[:8] = np.inf
    return depth, truth, confidence.astype(np.float32)


@pytest.mark.parametrize('crop', ['none', 'garg', 'eigen'])
def test_values_of_the_reference(shared, crop):
    """The reference's evaluation on given arrays: plain, cropped, range-balanced."""
    golden = np.load(shared('golden/monother/losses.npz'))
    truth, small = (golden[f'metrics/{name}'][0, 0] for name in ('gt', 'pred'))
    name = {'none': 'nocrop', 'garg': 'garg', 'eigen': 'eigen_kitti'}[crop]
    # the reference takes labels up to 80 m, both ends excluded, as this does
    got = scored(EvaluationSettings(crop=crop), small, truth, aligned=True)
    for prefix, key in (('', ''), ('balanced_', 'range_balanced_')):
        columns = [prefix + NAMES.get(str(n), str(n)) for n in golden['metrics/column_names']]
        np.testing.assert_allclose(
            [got[c] for c in columns], golden[f'metrics/{key}{name}'], rtol=2e-5, atol=1e-7
        )
    assert got['told'] > 0.9


def test_border_rule_of_vivid(shared):
    """Labels with the border cut as published give the metrics of what is left."""
    golden = np.load(shared('golden/monother/preprocess.npz'))
    raw = golden['vivid/in/depth_T_npy'].astype(np.float32)
    kept = without_border(raw)
    np.testing.assert_array_equal(kept, golden['vivid/test/depth'][0])
    depth = np.full(raw.shape, 10.0, np.float32)
    all_pixels = scored(EvaluationSettings(), depth, raw)
    inside = scored(EvaluationSettings(), depth, kept)
    expected = metrics.depth_metrics(depth, np.where(kept > 0, raw, np.nan))
    assert inside['abs_rel'] == pytest.approx(expected['abs_rel'])
    assert inside['abs_rel'] != pytest.approx(all_pixels['abs_rel'])


def test_the_plain_way_gives_the_same():
    depth, truth, confidence = scene()
    depth[40, 40:60] = np.nan
    got = scored(EvaluationSettings(), depth, truth, confidence)
    plain = metrics.depth_metrics(depth, truth)
    assert {n: got[n] for n in metrics.NAMES} == pytest.approx(plain, rel=1e-6)
    parts = [
        metrics.depth_metrics(depth, truth, mask=(truth >= low) & (truth < low + 5))
        for low in range(0, 80, 5)
    ]
    parts = [part for part in parts if not math.isnan(part['abs_rel'])]
    balanced = {n: float(np.mean([part[n] for part in parts])) for n in metrics.NAMES}
    assert {n: got[f'balanced_{n}'] for n in metrics.NAMES} == pytest.approx(balanced, rel=1e-6)
    valid = metrics.valid_mask(truth)
    g, p = truth[valid].astype(float), metrics.clip_prediction(depth[valid])
    scale = np.median(g) / np.median(p)
    line = np.polyfit(p, g, 1)
    for prefix, fitted in (('median_', p * scale), ('linear_', np.polyval(line, p))):
        expected = metrics.depth_metrics(fitted, g)
        found = {n: got[prefix + n] for n in metrics.NAMES}
        # a pixel at 1.25 may fall to the other side in single precision
        assert found == pytest.approx(expected, rel=1e-5, abs=2e-4), prefix
    assert got['scale'] == pytest.approx(np.median(g / p), rel=0.02)


def test_median_alignment_takes_a_wrong_scale_away():
    _, truth, _ = scene(far=50)
    got = scored(EvaluationSettings(), truth * np.float32(1.3), truth)
    assert got['abs_rel'] == pytest.approx(0.3, rel=1e-5)
    assert got['median_abs_rel'] == pytest.approx(0, abs=1e-6)
    assert got['scale'] == pytest.approx(1 / 1.3, rel=1e-5)
    shifted = scored(EvaluationSettings(), truth * np.float32(0.5) + 3, truth)
    assert shifted['linear_abs_rel'] == pytest.approx(0, abs=1e-5)
    assert shifted['median_abs_rel'] > 0.05
    assert best_line(np.full(5, 2.0), np.full(5, 6.0)) == (3.0, 0.0)


def test_confidence_curve_is_that_of_the_plain_way():
    depth, truth, confidence = scene(size=(40, 100))
    got = scored(EvaluationSettings(), depth, truth, confidence)
    valid = metrics.valid_mask(truth)
    error = metrics.absolute_relative(depth[valid], truth[valid])
    curve = metrics.sparsification(error, confidence[valid], steps=20)
    assert got['ause'] == pytest.approx(curve.ause, rel=1e-9)
    assert got['ause_ratio'] == pytest.approx(curve.ratio)
    assert [got[f'kept_{k:02d}'] for k in range(20)] == pytest.approx(list(curve.by_confidence))
    assert [got[f'oracle_{k:02d}'] for k in range(20)] == pytest.approx(list(curve.oracle))
    clipped = metrics.clip_prediction(depth[valid])
    within = np.maximum(clipped / truth[valid], truth[valid] / clipped) < 1.25
    assert sum(got[f'cal_n_{k}'] for k in range(10)) == valid.sum()
    assert sum(got[f'cal_within_{k}'] for k in range(10)) == within.sum()
    assert 0 < got['ause_ratio'] < 0.6


def test_boundaries_need_dense_truth():
    depth, truth, _ = scene()
    got = scored(EvaluationSettings(), depth, truth)
    clipped = [metrics.clip_prediction(image) for image in (depth, truth)]
    assert got['boundary_f1'] == pytest.approx(boundary_f1(*clipped).score)
    sparse = np.where(np.random.default_rng(1).random(truth.shape) < 0.1, truth, 0)
    assert math.isnan(scored(EvaluationSettings(), depth, sparse)['boundary_f1'])


def test_flicker_is_the_change_that_the_truth_does_not_have():
    settings = EvaluationSettings(metrics=('temporal',))
    _, truth, _ = scene(far=50)
    scorer = FrameScorer(settings)

    def flicker(depth, index, at=None, apart=False, real=truth):
        stamp = index * STEP if at is None else at
        row = scorer.score(depth, None, real, index, stamp, apart=apart)
        values = dict(zip(scorer.columns, row, strict=True))
        return values['flicker'], values['scale_step']

    assert math.isnan(flicker(truth * 1.2, 0)[0])
    # a constant error does not flicker, nor does a scene that moves with its depth
    assert flicker(truth * 1.2, 1) == pytest.approx((0, 0), abs=1e-6)
    nearer = truth * np.float32(0.97)
    assert flicker(nearer * 1.2, 2, real=nearer) == pytest.approx((0, 0), abs=1e-6)
    jumped = flicker(nearer * 1.2 * np.float32(np.exp(0.02)), 3, real=nearer)
    assert jumped == pytest.approx((0.02, 0.02), rel=1e-3)
    signs = np.where(np.indices(truth.shape).sum(0) % 2, 1, -1)
    shaken = flicker(nearer * 1.2 * np.exp(0.02 + 0.05 * signs).astype(np.float32), 4, real=nearer)
    assert shaken[0] == pytest.approx(0.05, rel=0.05)
    # nothing is said after a gap, another place, or a frame that was left out
    assert math.isnan(flicker(truth, 5, apart=True)[0])
    assert math.isnan(flicker(truth, 7)[0])
    assert math.isnan(flicker(truth, 8, at=30 * STEP)[0])


def test_what_a_robot_would_publish():
    depth, truth, confidence = scene()
    depth[:, :30], depth[:, 30:60] = 0.2, np.nan
    valid = metrics.valid_mask(truth)
    told = (depth >= 0.5) & (depth <= 80) & valid
    got = scored(EvaluationSettings(), depth, truth, confidence)
    assert got['told'] == pytest.approx(told.sum() / valid.sum())
    only = scored(EvaluationSettings(told_only=True), depth, truth, confidence)
    assert only['told'] == got['told']
    assert only['abs_rel'] == pytest.approx(
        metrics.depth_metrics(depth, truth, mask=told)['abs_rel']
    )
    assert got['abs_rel'] > only['abs_rel']
    sure = scored(EvaluationSettings(confidence_min=0.8), depth, truth, confidence)
    assert sure['told'] == pytest.approx((told & (confidence >= 0.8)).sum() / valid.sum())


def test_no_pixel_counts():
    _, truth, _ = scene()
    assert scored(EvaluationSettings(), truth, np.zeros_like(truth)) is None
    nowhere = np.full_like(truth, np.nan)
    assert scored(EvaluationSettings(told_only=True), nowhere, truth) is None
