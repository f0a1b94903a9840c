# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates of scale: what they mean, and the sources that need no fit."""

from __future__ import annotations

import math

import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SettingsError
from monother_ros.core.scale_sources import (
    LANGUAGE_SIGMA,
    MODEL_SIGMA,
    ScaleEstimate,
    focal_source,
    language_source,
    model_scale,
    silent,
)

CAMERA = Intrinsics(640, 512, 600.0, 600.0, 319.5, 255.5)


@pytest.mark.parametrize(
    'estimate',
    [
        ScaleEstimate('range', 1.3, sigma=0.1),
        ScaleEstimate('range', 0.9, 0.4, sigma=0.1),
        ScaleEstimate('language', 0.8, 0.02, 'inverse', 0.1),
    ],
)
def test_inverse_form_is_the_tangent_of_the_estimate(estimate):
    reference = 7.0
    a, b = estimate.inverse(reference)

    def inverse_form(d):
        return 1 / (a / d + b)

    assert inverse_form(reference) == pytest.approx(estimate.metric(reference))
    step = 1e-5
    slopes = [
        (f(reference + step) - f(reference - step)) / (2 * step)
        for f in (inverse_form, estimate.metric)
    ]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-4)


def test_an_estimate_that_cannot_be_meant_there():
    beyond = ScaleEstimate('range', 1.0, -0.2, 'inverse', 0.1)
    assert beyond.inverse(4.0) is not None and beyond.inverse(6.0) is None
    behind = ScaleEstimate('range', 1.0, -5.0, 'depth', 0.1)
    assert behind.inverse(4.0) is None and math.isnan(behind.metric(4.0))


@pytest.mark.parametrize(
    'numbers',
    [(0.0, 0.0, 0.1), (-1.0, 0.0, 0.1), (math.nan, 0.0, 0.1), (1.0, math.inf, 0.1), (1, 0, 0)],
)
def test_impossible_numbers_are_refused(numbers):
    scale, shift, sigma = numbers
    with pytest.raises(SettingsError, match='must be finite'):
        ScaleEstimate('range', scale, shift, sigma=sigma)
    with pytest.raises(SettingsError, match='space'):
        ScaleEstimate('range', sigma=0.1, space='log')


def test_a_silent_source_says_why():
    estimate = silent('range', 'no pose', 5)
    assert not estimate.speaks and estimate.reason == 'no pose'
    assert silent('range', '').reason
    assert ScaleEstimate('range', sigma=1.0, stamp_ns=2_000_000_000).age(5_000_000_000) == 3.0


def test_model_follows_the_focal_length_and_is_less_sure_without():
    known = model_scale(260.0, CAMERA, 320)
    assert known.scale == pytest.approx(600 / 2 / 260) and known.sigma == MODEL_SIGMA
    unknown = model_scale(260.0, None, 320)
    assert unknown.scale == 1.0 and unknown.sigma > 1.5 * MODEL_SIGMA
    assert model_scale(None, None, 320).sigma == MODEL_SIGMA


def test_focal_gives_what_the_model_would_with_that_focal_length():
    given = ScaleEstimate('focal', 640 / 600.0, 0.0, 'inverse', 0.1, 3)
    found = focal_source(given, 260.0, 320, calibrated=False)
    assert found.scale == pytest.approx(model_scale(260.0, CAMERA, 320).scale)
    assert found.shift == 0 and found.sigma > 0.1 and found.stamp_ns == 3
    assert 'calibrated' in focal_source(given, 260.0, 320, calibrated=True).reason
    assert 'does not say' in focal_source(given, None, 320, calibrated=False).reason
    quiet = silent('focal', 'night')
    assert focal_source(quiet, 260.0, 320, calibrated=False) is quiet


def test_language_is_not_believed_beyond_what_it_deserves():
    bold = ScaleEstimate('language', 1.2, 0.01, 'inverse', 0.01)
    assert language_source(bold).sigma == LANGUAGE_SIGMA
    modest = ScaleEstimate('language', 1.2, 0.01, 'inverse', 0.7)
    assert language_source(modest).sigma == 0.7
