# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Running metrics: equal to the offline ones, in memory that does not grow."""

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.evaluation.evaluate.unit import STEPS
from monother_ros.evaluation.metrics import (
    absolute_relative,
    depth_metrics,
    mean_metrics,
    sparsification,
)
from monother_ros.evaluation.running import RunningMetrics


def frames(count, seed=3, shape=(12, 16)):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = rng.uniform(1.0, 70.0, shape).astype(np.float32)
        truth[:2] = np.inf
        truth[2, :4] = 0.0
        depth = (truth * rng.uniform(0.7, 1.4, shape)).astype(np.float32)
        depth[rng.random(shape) < 0.1] = np.nan
        yield depth, truth, rng.random(shape).astype(np.float32)


def expected(depth, truth):
    known = (truth > 0) & np.isfinite(truth) & np.isfinite(depth)
    return depth_metrics(depth[known], truth[known]), known


def test_means_are_those_of_the_offline_metrics():
    running, rows = RunningMetrics(window=3), []
    for k, (depth, truth, sure) in enumerate(frames(8)):
        row, known = expected(depth, truth)
        error = absolute_relative(depth[known], truth[known])
        row['ause'] = sparsification(error, sure[known], steps=STEPS).ause
        rows.append(row)
        got = running.add(depth, truth, sure, 'fog' if k > 5 else 'clear')
        assert got['scale'] == pytest.approx(np.median(truth[known] / depth[known]), rel=1e-2)
        assert got['told'] == pytest.approx(known.sum() / ((truth > 0) & (truth < 80)).sum())
        window = mean_metrics(rows[-3:])
        assert running.running()['rmse'] == pytest.approx(window['rmse'], rel=1e-9)
    report, whole = running.report(), mean_metrics(rows)
    assert report['frames'] == running.frames == 8
    for name in ('abs_rel', 'silog', 'd1', 'ause'):
        assert report['overall'][name] == pytest.approx(whole[name], rel=1e-9)
    assert report['conditions']['fog']['frames'] == 2
    fog = mean_metrics(rows[6:])
    assert report['conditions']['fog']['d2'] == pytest.approx(fog['d2'], rel=1e-9)


def test_error_by_range():
    running = RunningMetrics()
    truth = np.full((4, 4), 7.0, np.float32)
    truth[2:] = 33.0
    running.add(np.where(truth < 10, truth * 1.1, truth * 1.5), truth)
    running.add(truth[:2] * 1.3, truth[:2])
    rows = {(row['from_m'], row['to_m']): row for row in running.report()['ranges']}
    assert set(rows) == {(5.0, 10.0), (30.0, 35.0)}
    assert rows[5.0, 10.0]['abs_rel'] == pytest.approx((0.1 + 0.3) / 2, abs=1e-6)
    assert rows[5.0, 10.0]['frames'] == 2 and rows[30.0, 35.0]['frames'] == 1


def test_frame_without_common_pixels_does_not_count():
    running = RunningMetrics()
    truth = np.full((4, 4), 5.0)
    assert running.add(np.full((4, 4), np.nan), truth) is None
    assert running.add(truth, np.zeros((4, 4))) is None
    assert running.frames == 0 and running.running() == {} == running.report()['overall']
    with pytest.raises(ValueError, match='must be equal'):
        running.add(truth, truth[:2])


def test_many_pixels_are_scored_by_some_and_few_by_all():
    depth, truth, sure = next(iter(frames(1, shape=(120, 160))))
    some, every = RunningMetrics(pixels=5000), RunningMetrics()
    a, b = some.add(depth, truth, sure), every.add(depth, truth, sure)
    c, _ = expected(depth[::2, ::2], truth[::2, ::2])
    assert a['rmse'] == pytest.approx(c['rmse'], rel=1e-9)
    assert a['abs_rel'] != b['abs_rel'] == pytest.approx(a['abs_rel'], rel=0.05)
    # the points of a LiDAR are few: all of them count
    sparse = np.zeros_like(truth)
    sparse[1::9, 1::7] = truth[1::9, 1::7]
    row, _ = expected(depth, sparse)
    got = RunningMetrics(pixels=5000).add(depth, sparse, sure)
    assert got['abs_rel'] == pytest.approx(row['abs_rel'], rel=1e-9)


def test_flicker_counts_frames_that_follow_each_other():
    running = RunningMetrics()
    truth = np.full((10, 12), 20.0)
    for k, factor in enumerate((1.0, 1.1, 1.1, 1.3)):
        later = 10**9 if k == 3 else 0
        values = running.add(truth * factor, truth, stamp=k * 33_000_000 + later)
        flicker = {0: None, 1: np.log(1.1), 2: 0.0, 3: None}[k]
        assert values.get('flicker') == (
            flicker if flicker is None else pytest.approx(flicker, abs=1e-6)
        )


def test_begin_anew_and_another_window():
    running = RunningMetrics(window=2)
    for depth, truth, _ in frames(4):
        running.add(depth, truth)
    running.window = 4
    assert running.window == 4 and running.frames == 4
    running.reset()
    assert running.frames == 0 and running.report()['ranges'] == []
