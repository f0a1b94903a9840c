# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metres of relative teachers, found from the student."""

from __future__ import annotations

import numpy as np

from monother_ros.learning.teacher_fit import WORST, fit_teacher


def scene(seed=0, noise=0.05):
    """True depth (60, 80) m and what a student says of it, 8 % of it badly wrong."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(1.0, 0.02, 60)[:, None]
    depth = np.minimum(1.6 / rows, 60.0) * np.ones((1, 80))
    depth[10:40, 20:40] = 6.0
    student = depth * np.exp(rng.normal(0, noise, depth.shape))
    wrong = rng.random(depth.shape) < 0.08
    student[wrong] *= 4.0
    return depth.astype(np.float32), student.astype(np.float32)


def test_metric_depth_is_left_alone():
    depth, student = scene()
    fit = fit_teacher(depth, 'metric', student)
    assert np.array_equal(fit.depth, depth)
    assert fit.reason == ''


def test_one_factor_is_found():
    depth, student = scene()
    fit = fit_teacher(depth / 7.3, 'scale', student)
    assert np.abs(fit.depth / depth - 1).max() < 0.02
    assert fit.residual < 0.1


def test_scale_and_shift_of_inverse_depth_are_found():
    depth, student = scene()
    inverse = (1.0 / depth + 0.01) * 3.7
    fit = fit_teacher(1.0 / inverse, 'affine-inverse', student)
    near = depth < 40
    assert np.abs(fit.depth[near] / depth[near] - 1).max() < 0.06


def test_unknown_pixels_stay_unknown():
    depth, student = scene()
    depth[:5] = 0
    fit = fit_teacher(depth, 'scale', student)
    assert (fit.depth[:5] == 0).all()
    assert (fit.depth[5:] > 0).all()


def test_a_teacher_that_says_something_else_is_refused():
    depth, student = scene()
    rng = np.random.default_rng(1)
    nonsense = np.exp(rng.normal(1, 1.2, depth.shape)).astype(np.float32)
    fit = fit_teacher(nonsense, 'scale', student)
    assert fit.depth is None
    assert fit.residual > WORST
    assert 'differs' in fit.reason
    upside_down = fit_teacher((100.0 / depth).astype(np.float32), 'affine-inverse', student)
    assert upside_down.depth is None


def test_too_few_pixels_are_refused():
    depth, student = scene()
    depth[:, 2:] = 0
    fit = fit_teacher(depth, 'scale', student)
    assert fit.depth is None
    assert '120 pixels' in fit.reason
