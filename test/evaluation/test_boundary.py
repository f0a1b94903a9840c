# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boundary metrics against numbers of the published evaluation code."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monother_ros.evaluation.boundary import (
    boundary_f1,
    boundary_recall,
    dense_boundaries,
    suppress,
    thresholds_and_weights,
)

EXACT = 1e-9


def _params(case):
    p = case['params']
    return {'t_min': p['t_min'], 't_max': p['t_max'], 'count': p['N']}


def test_f1_of_every_published_case(shared):
    folder = shared('golden/boundary_metrics')
    images = np.load(folder / 'depth_pairs.npz')
    expected = json.loads((folder / 'depth_pairs_expected.json').read_text())
    cases = expected['cases']
    assert len(cases) >= 26
    for name, case in cases.items():
        found = boundary_f1(images[f'{name}__pred'], images[f'{name}__target'], **_params(case))
        assert found.score == pytest.approx(case['si_boundary_f1'], abs=EXACT), name
        for key in ('f1', 'precision', 'recall'):
            np.testing.assert_allclose(
                getattr(found, key), case[f'{key}_per_threshold'], atol=EXACT, err_msg=name
            )


def test_recall_of_every_published_mask(shared):
    folder = shared('golden/boundary_metrics')
    images = np.load(folder / 'mask_pairs.npz')
    cases = json.loads((folder / 'mask_pairs_expected.json').read_text())['cases']
    assert len(cases) >= 19
    for name, case in cases.items():
        found = boundary_recall(
            images[f'{name}__pred'],
            images[f'{name}__mask'],
            alpha_threshold=case['params']['alpha_threshold'],
            **_params(case),
        )
        assert found.score == pytest.approx(case['si_boundary_recall'], abs=EXACT), name
        np.testing.assert_allclose(
            found.recall, case['recall_per_threshold'], atol=EXACT, err_msg=name
        )


@pytest.mark.parametrize('t', [1.05, 1.15, 1.25])
def test_suppression_of_the_published_ratios(shared, t):
    images = np.load(shared('golden/boundary_metrics') / 'mask_pairs.npz')
    ratio = images['nms__ratio']
    np.testing.assert_array_equal(suppress(ratio, t, 1), images[f'nms__horizontal_t{t}'])
    np.testing.assert_array_equal(suppress(ratio, t, 0), images[f'nms__vertical_t{t}'])


def test_published_thresholds(shared):
    expected = json.loads(
        (shared('golden/boundary_metrics') / 'depth_pairs_expected.json').read_text()
    )
    thresholds, weights = thresholds_and_weights()
    np.testing.assert_allclose(thresholds, expected['default_thresholds'], atol=EXACT)
    np.testing.assert_allclose(weights, expected['default_weights'], atol=EXACT)


def _slow_suppression(row, t):
    kept = np.zeros(len(row), bool)
    k = 0
    while k < len(row):
        if row[k] > t:
            end = k
            while end < len(row) and row[end] > t:
                end += 1
            kept[k + int(np.argmax(row[k:end]))] = True
            k = end
        else:
            k += 1
    return kept


def test_suppression_agrees_with_a_plain_loop_over_rows():
    rng = np.random.default_rng(3)
    ratio = np.round(rng.uniform(0.9, 1.4, (40, 33)), 2)  # rounded: ties occur
    ratio[rng.random(ratio.shape) < 0.05] = np.nan
    expected = np.stack([_slow_suppression(row, 1.1) for row in ratio])
    np.testing.assert_array_equal(suppress(ratio, 1.1, 1), expected)
    np.testing.assert_array_equal(suppress(ratio.T, 1.1, 0), expected.T)


def _square():
    truth = np.full((60, 80), 20.0)
    truth[20:40, 25:55] = 5.0
    return truth


def test_masked_pixels_form_no_edges():
    truth = _square()
    holes = truth.copy()
    holes[:, :12] = 0.0
    plain = boundary_f1(truth, holes)
    masked = boundary_f1(truth, holes, mask=holes > 0)
    assert masked.score == pytest.approx(1.0)
    assert plain.score < 0.9, 'a hole counts as a near object where it is not masked'


def test_dense_boundaries_see_sky_and_resize_but_refuse_sparse_truth():
    truth = _square()
    truth[truth == 20.0] = np.inf
    perfect = dense_boundaries(np.where(np.isinf(truth), 300.0, truth), truth)
    assert perfect['boundary_f1'] == pytest.approx(1.0)
    blurred = dense_boundaries(_square()[::2, ::2], truth)
    assert 0.0 <= blurred['boundary_f1'] < 0.5
    flat = dense_boundaries(np.full_like(truth, 7.0), truth)
    assert flat == {'boundary_f1': 0.0, 'boundary_precision': 0.0, 'boundary_recall': 0.0}
    sparse = np.zeros_like(truth)
    sparse[::4, ::4] = 3.0
    assert dense_boundaries(_square(), sparse) == {}


def test_scores_of_simulated_frames_hold_them():
    """The evaluation of bundles on rendered frames, whose truth is dense."""
    from monother_ros.evaluation.accuracy import Prediction, score, summarise

    truth = _square().astype(np.float32)
    truth[:10] = np.inf
    world = {'scene': 'street', 'weather': 'clear', 'time_of_day': 'day'}
    said = np.where(np.isinf(truth), 200.0, 1.2 * truth).astype(np.float32)
    frames = [Prediction(said, None, truth, world)] * 2
    assert score(frames[0])['boundary_f1'] == pytest.approx(1.0)
    assert summarise(frames)['overall']['boundary_recall'] == pytest.approx(1.0)


def test_images_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match='resize first'):
        boundary_f1(np.ones((4, 5)), np.ones((4, 6)))
    with pytest.raises(ValueError, match='resize first'):
        boundary_recall(np.ones((4, 5)), np.ones((5, 4), bool))
