# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scale in the pipeline: points, sparse depth and estimates of others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stub_engine import CAMERA, FRAME, StubEngine, frame

from monother_ros.core import scale_stage
from monother_ros.core.bundle import TensorSpec
from monother_ros.core.errors import BundleError
from monother_ros.core.pipeline import Pipeline, PipelineSettings, Wanted
from monother_ros.core.range_points import RangePoints
from monother_ros.core.scale_arbiter import ScaleSettings
from monother_ros.core.scale_sources import ScaleEstimate, silent

FAST = PipelineSettings(scale=ScaleSettings(rate=90.0))
SPARSE = (TensorSpec('thermal', (1, 1, 24, 32)), TensorSpec('sparse_depth', (1, 1, 24, 32)))


def truth():
    """(48, 64) metres of a ground before a wall."""
    v = np.arange(48)[:, None] * np.ones((1, 64))
    return np.minimum(60 / np.maximum(v - 18, 0.5), 20.0)


def points_of(depth, camera=CAMERA, every=1):
    """All pixels as points of the optical frame."""
    xyz = np.dstack([camera.rays() * depth[..., None], depth])
    return xyz[::every, ::every].reshape(-1, 3).astype(np.float32)


def drive(pipeline, count=12, **values):
    """Frames with the same additions."""
    result = None
    for number in range(count):
        source = replace(frame(number), **values)
        if source.points is not None:
            source = replace(source, points=replace(source.points, stamp_ns=number * FRAME + 1))
        result = pipeline.process(source, Wanted(depth=True, cloud=True))
    return result


def wrong_engine(tmp_path, factor=1.3, **fields):
    return StubEngine(tmp_path, factor * truth()[::2, ::2], **fields)


def test_points_make_depth_metric(tmp_path):
    pipeline = Pipeline(wrong_engine(tmp_path), FAST)
    pose = np.eye(4)
    pose[:3, 3] = 0.05, -0.1, 0.0
    points = points_of(truth()) - pose[:3, 3].astype(np.float32)
    result = drive(pipeline, points=RangePoints(points, pose))
    assert np.nanmedian(result.depth / truth()) == pytest.approx(1, abs=0.03)
    assert result.metric.source == 'range' and result.metric.sigma < 0.05
    # the cloud is made from the depth that is published
    np.testing.assert_array_equal(result.cloud[..., 2], result.depth)
    assert {'points', 'scale'} <= result.timings.keys()


def test_sparse_depth_of_any_size_does_the_same(tmp_path):
    for step in (1, 2):
        pipeline = Pipeline(wrong_engine(tmp_path), FAST)
        result = drive(pipeline, sparse=truth()[::step, ::step])
        assert np.nanmedian(result.depth / truth()) == pytest.approx(1, abs=0.05)


def test_without_anything_depth_is_the_networks_own(tmp_path):
    result = drive(Pipeline(wrong_engine(tmp_path), FAST))
    plain = result.depth / truth()
    assert np.nanmedian(plain) == pytest.approx(1.3, rel=0.03)
    assert (result.scale, result.scale_shift) == (1.0, 0.0)
    assert result.metric.source == 'model'


def test_the_same_points_are_fitted_once(tmp_path):
    pipeline = Pipeline(wrong_engine(tmp_path), FAST)
    points = RangePoints(points_of(truth()), None, 77)
    for number in range(9):
        result = pipeline.process(replace(frame(number), points=points))
    assert 'of 3 estimates' in result.metric.silent['range']


def test_points_without_a_calibration_are_told(tmp_path):
    pipeline = Pipeline(wrong_engine(tmp_path), FAST)
    result = drive(pipeline, points=RangePoints(points_of(truth())), intrinsics=None)
    assert 'need the calibration' in result.metric.silent['range']
    assert np.isfinite(result.depth).any()


def test_a_broken_pose_is_told_and_depth_goes_on(tmp_path):
    points = RangePoints(points_of(truth()), np.full((4, 4), np.nan))
    result = drive(Pipeline(wrong_engine(tmp_path), FAST), points=points)
    assert 'not a finite 4x4 matrix' in result.metric.silent['range']
    assert np.isfinite(result.depth).any()


@pytest.mark.parametrize(
    'points', [np.empty((0, 3)), np.full((50, 3), np.nan), np.array([[0.0, 0.0, -4.0]] * 40)]
)
def test_no_point_in_view(tmp_path, points):
    result = drive(Pipeline(wrong_engine(tmp_path), FAST), points=RangePoints(points))
    assert result.metric.silent['range'] == 'no point is within view'


def test_a_wide_beam(tmp_path):
    engine = StubEngine(tmp_path, np.full((24, 32), 13.0))
    points = RangePoints([[0.0, 0.0, 10.0]], None, beam=0.1)
    result = drive(Pipeline(engine, FAST), points=points)
    assert result.metric.source == 'range'
    assert result.depth[24, 32] == pytest.approx(10.0, rel=0.07)


def test_estimates_of_others_and_their_silence(tmp_path):
    said = ScaleEstimate('language', 0.8, 0.0, 'inverse', 0.3, 1)
    settings = replace(FAST, scale=ScaleSettings(force='language', rate=90.0))
    result = drive(Pipeline(wrong_engine(tmp_path), settings), scales=(said,))
    assert result.scale == pytest.approx(1.25)
    quiet = (silent('range', 'no pose'), silent('language', 'no sentence'))
    result = drive(Pipeline(wrong_engine(tmp_path), FAST), scales=quiet)
    assert result.metric.silent['range'] == 'no pose'
    assert result.metric.silent['language'] == 'no sentence'


def test_a_shift_beyond_infinity_is_unknown(tmp_path):
    said = ScaleEstimate('language', 1.0, -0.08, 'inverse', 0.3, 1)
    settings = replace(FAST, scale=ScaleSettings(force='language', rate=90.0))
    engine = StubEngine(tmp_path, np.where(np.arange(32) < 20, 6.0, 20.0) * np.ones((24, 1)))
    result = drive(Pipeline(engine, settings), scales=(said,))
    assert np.isnan(result.depth[:, 44:]).all()
    np.testing.assert_allclose(result.depth[:, :36], 1 / (1 / 6 - 0.08), rtol=1e-5)


def test_a_network_with_sparse_depth_gets_it_or_zeros(tmp_path):
    engine = wrong_engine(tmp_path, inputs=SPARSE)
    drive(Pipeline(engine, FAST), count=1)
    assert not engine.inputs[-1]['sparse_depth'].any()
    drive(Pipeline(engine, FAST), count=1, points=RangePoints(points_of(truth())))
    plane = engine.inputs[-1]['sparse_depth']
    assert plane.shape == (1, 1, 24, 32) and plane.dtype == np.float32
    known = plane[0, 0] > 0
    assert known.mean() > 0.8
    error = plane[0, 0][known] / truth()[::2, ::2][known]
    assert np.median(np.abs(np.log(error))) < 0.1
    drive(Pipeline(engine, FAST), count=1)
    assert not engine.inputs[-1]['sparse_depth'].any(), 'points of another camera'


def test_other_second_inputs_are_refused(tmp_path):
    wrong = (SPARSE[0], TensorSpec('rgb', (1, 3, 24, 32)))
    with pytest.raises(BundleError, match="'rgb'"):
        Pipeline(wrong_engine(tmp_path, inputs=wrong))


def test_another_revision_forgets_what_was_fitted(tmp_path):
    pipeline = Pipeline(wrong_engine(tmp_path), FAST)
    points = RangePoints(points_of(truth()))
    before = drive(pipeline, points=points)
    pipeline.swap_engine(wrong_engine(tmp_path, 1.0, revision='r2'))
    after = pipeline.process(frame(12))
    assert 'range' in before.metric.weights and 'range' not in after.metric.weights


@pytest.fixture
def calls(monkeypatch):
    """Points that were projected."""
    found = []
    real = scale_stage.sparse_depth

    def counted(*arguments, **options):
        found.append(arguments[0])
        return real(*arguments, **options)

    monkeypatch.setattr(scale_stage, 'sparse_depth', counted)
    return found


def test_echoes_of_the_air_are_left_out_once_per_cloud(tmp_path):
    engine = wrong_engine(tmp_path, inputs=SPARSE)
    depth = truth()
    rng = np.random.default_rng(0)
    foggy = (rng.random(depth.shape) < 0.1) & (depth > 6)
    xyz = points_of(np.where(foggy, rng.uniform(0.5, 4, depth.shape), depth))
    given = frame(0)
    counts = []
    for clutter_filter in (True, False):
        pipeline = Pipeline(engine, replace(FAST, clutter_filter=clutter_filter))
        for _ in range(2):
            points = RangePoints(xyz, None, 77)
            result = pipeline.process(replace(given, points=points))
            counts.append((result.points, result.echoes))
    # in a picture of 24 x 32 pixels the neighbourhood of a point is a quarter of it
    assert counts[0][0] > 0.99 * len(xyz) and 0.3 < counts[0][1] / foggy.sum() <= 1
    # the same cloud again, and the filter off
    assert counts[1:] == [(0, 0)] * 3
    clean, _, noisy, _ = (inputs['sparse_depth'][0, 0] for inputs in engine.inputs)
    far = depth[::2, ::2] > 8
    assert (clean[far] < 5).mean() < 0.7 * (noisy[far] < 5).mean()
    # switching it off counts for the cloud at hand
    pipeline.settings = FAST
    assert pipeline.process(replace(given, points=points)).echoes == counts[0][1]


@pytest.mark.parametrize('disabled', [{'sources': ('model',)}, {'force': 'model'}])
def test_points_that_nobody_takes_are_not_projected(tmp_path, calls, disabled):
    without = PipelineSettings(scale=ScaleSettings(**disabled))
    pipeline = Pipeline(wrong_engine(tmp_path), without)
    points = RangePoints(points_of(truth()))
    result = drive(pipeline, 2, points=points)
    assert not calls and 'points' not in result.timings
    assert 'range' not in result.metric.weights and np.isfinite(result.depth).all()
    # a live parameter brings the source back with the next image
    pipeline.settings = FAST
    drive(pipeline, 1, points=points)
    assert len(calls) == 1
    # a network that takes points gets them, whatever the sources of the scale are
    drive(Pipeline(wrong_engine(tmp_path, inputs=SPARSE), without), 1, points=points)
    assert len(calls) == 2


def test_points_are_projected_once_for_several_images(tmp_path, calls):
    engine = wrong_engine(tmp_path, inputs=SPARSE)
    pipeline = Pipeline(engine, FAST)
    pose, xyz = np.eye(4), points_of(truth())
    for number in range(3):
        points = RangePoints(xyz, pose, 77)
        pipeline.process(replace(frame(number), points=points))
    assert len(calls) == 1
    planes = [inputs['sparse_depth'] for inputs in engine.inputs]
    np.testing.assert_array_equal(planes[0], planes[2])
    assert planes[0].any()
    for other in (
        RangePoints(xyz, np.eye(4), 77),
        RangePoints(xyz.copy(), pose, 77),
        RangePoints(xyz, pose, 78),
    ):
        before = len(calls)
        pipeline.process(replace(frame(4), points=other))
        assert len(calls) == before + 1


def test_a_silence_keeps_the_scale_and_a_jump_of_time_does_not(tmp_path):
    pipeline = Pipeline(wrong_engine(tmp_path), FAST)
    drive(pipeline, points=RangePoints(points_of(truth())))
    pipeline.reset(keep_scale=True)
    kept = pipeline.process(frame(100))
    assert kept.metric.source == 'range'
    assert np.nanmedian(kept.depth / truth()) == pytest.approx(1, abs=0.05)
    pipeline.reset()
    assert pipeline.process(frame(101)).scale == 1.0
