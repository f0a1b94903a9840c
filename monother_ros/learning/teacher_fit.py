# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Metres for teachers that do not know them.

A teacher of kind 'scale' or 'affine-inverse' says depth up to one or two numbers per picture. They
are found by a robust fit to what the student says of the same pixels: such a teacher then improves
the shape of the scene, while its size stays the student's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from monother_ros.learning.teachers.results import Kind

LEAST_PIXELS = 200
"""Pixels that a fit needs."""

WORST = 0.35
"""Median of |ln fitted - ln student| above which a fit says nothing."""

_ROUNDS = 10
_PIXELS = 20_000


class TeacherFit(NamedTuple):
    """
    Result of a fit.

    :ivar depth: (h, w) float32 metres, 0 where unknown; None where no fit was found.
    :ivar residual: median of |ln fitted - ln student|.
    :ivar reason: why there is no depth; '' where there is.
    """

    depth: NDArray[np.float32] | None
    residual: float
    reason: str = ''


def fit_teacher(
    depth: NDArray[np.floating], kind: Kind, student: NDArray[np.floating]
) -> TeacherFit:
    """
    Bring a teacher's depth to metres.

    'scale' takes the median ratio. 'affine-inverse' solves 1/student = a / depth + b by
    Gauss-Newton steps on the error of the logarithm, reweighted so that pixels far from the fit
    hardly count (Cauchy).

    :param depth: (h, w) of the teacher, 0 where unknown.
    :param kind: what is not known of it; 'metric' comes back as it is.
    :param student: (h, w) metres in the same camera, 0 where unknown.
    """
    given = np.asarray(depth, np.float32)
    if kind == 'metric':
        return TeacherFit(given, 0.0)
    common = (given > 0) & (student > 0) & np.isfinite(student)
    places = np.flatnonzero(common)
    if len(places) < LEAST_PIXELS:
        return TeacherFit(None, np.inf, f'only {len(places)} pixels to find its metres from')
    places = places[:: max(1, len(places) // _PIXELS)]
    t = given.reshape(-1)[places].astype(np.float64)
    s = np.asarray(student, np.float64).reshape(-1)[places]
    if kind == 'scale':
        factor = float(np.median(s / t))
        fitted = given * np.float32(factor)
    else:
        a, b = _affine(1.0 / t, 1.0 / s)
        if not a > 0:
            return TeacherFit(None, np.inf, 'its near and far are the wrong way round here')
        inverse = np.zeros_like(given)
        np.divide(np.float32(a), given, out=inverse, where=given > 0)
        inverse += np.float32(b)
        fitted = np.zeros_like(given)
        np.divide(1.0, inverse, out=fitted, where=(given > 0) & (inverse > 0))
    found = fitted.reshape(-1)[places]
    both = found > 0
    if both.mean() < 0.5:
        return TeacherFit(None, np.inf, 'most of it would lie beyond infinity')
    residual = float(np.median(np.abs(np.log(found[both]) - np.log(s[both]))))
    if residual > WORST:
        return TeacherFit(None, residual, f'it differs too much from the student ({residual:.2f})')
    return TeacherFit(fitted.astype(np.float32), residual)


def _affine(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Numbers a and b that make ln(a x + b) - ln y small, robustly; x and y are positive."""
    a, b = float(np.median(y / x)), 0.0
    for _ in range(_ROUNDS):
        said = a * x + b
        usable = said > 1e-9
        said = np.where(usable, said, 1.0)
        error = np.log(y) - np.log(said)
        spread = max(1.4826 * float(np.median(np.abs(error[usable]))), 1e-6)
        # Cauchy weights: what lies far from the fit hardly counts
        weight = np.where(usable, 1.0 / (1.0 + (error / (2.4 * spread)) ** 2), 0.0)
        root = np.sqrt(weight)
        columns = np.stack([x / said, 1.0 / said], 1) * root[:, None]
        step = np.linalg.lstsq(columns, error * root, rcond=None)[0]
        a, b = a + float(step[0]), b + float(step[1])
    return a, b
