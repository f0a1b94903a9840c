# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The source 'range': metric points fitted to a network's depth, in inverse depth.

The model is 1 / D = a / d + b. Iteratively reweighted least squares with Tukey's biweight (c =
4.685) on relative residuals begins at the median of the ratios, so up to half of the points may be
wrong: on things that moved since, seen past an edge, or from a pose that is some frames old.
Residuals of neighbours are alike, so what counts for the uncertainty is not the number of points
but that of the cells of a grid over the image that hold some.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.scale_sources import ScaleEstimate, silent

if TYPE_CHECKING:
    from monother_ros.core.camera import Intrinsics

LEAST_POINTS = 30
"""Points in view below which there is no fit."""

LEAST_CELLS = 4
"""Cells of the grid that must hold points: one object alone says nothing about the scene."""

GRID = (12, 16)
"""Rows and columns of cells over the image."""

MOST_POINTS = 2000
"""Points used; of more, every so many-th is taken."""

FLOOR = 0.01
"""Least 1-sigma of the log scale: calibration and range bias are not seen in residuals."""

CAUTION = 2.0
"""Factor on the standard error: what points cover is not what the camera sees. Measured."""

WORST_SPREAD = 0.5
"""Robust spread of the log residuals beyond which points and depth do not belong together."""

BOUNDS = (0.05, 20.0)
"""Factors of depth that can be meant."""

SPREAD_FOR_SHIFT = 0.3
"""Coefficient of variation of inverse depth from which on a shift can be told from a scale."""

CELLS_FOR_SHIFT = 12
"""Cells that must hold points for a fit with a shift."""

GAIN_FOR_SHIFT = 0.9
"""A shift must bring the spread of the cells' residuals down to this part."""

WORST_SHIFT = 0.8
"""Largest shift as a part of the inverse depth of the farther points."""

_TUKEY, _MAD = 4.685, 1.4826

BEAM_SIGMA = 0.12
"""1-sigma of the log scale from one wide beam: what in it is nearest is not known."""


def fit_range(
    depth: NDArray[np.floating],
    sparse: NDArray[np.float32],
    stamp_ns: int = 0,
    *,
    shift: bool = True,
) -> ScaleEstimate:
    """
    Scale, and shift where it can be told, that bring a network's depth onto metric points.

    :param depth: (h, w) the network's depth, metres as it gives them; not finite or <= 0: unknown.
    :param sparse: (h, w) metric depth along the optical axis of the points, 0 where there is none.
    :param stamp_ns: time of the points in nanoseconds.
    :param shift: whether a shift may be fitted.
    :returns: source 'range', space 'inverse'; silent with its reason where the fit is degenerate.
    """
    height, width = sparse.shape
    flat = np.flatnonzero(sparse)
    step = -(-len(flat) // MOST_POINTS)
    if step > 1:
        flat = flat[::step]
    metric = sparse.reshape(-1)[flat].astype(np.float64)
    given = depth.reshape(-1)[flat].astype(np.float64)
    with np.errstate(invalid='ignore'):
        usable = np.isfinite(given) & (given > 0) & np.isfinite(metric) & (metric > 0)
    if not len(flat):
        return silent('range', 'no point is within view', stamp_ns)
    count = int(usable.sum())
    if count < LEAST_POINTS:
        reason = f'{count} points in view are too few; a fit takes {LEAST_POINTS}'
        return silent('range', reason, stamp_ns)
    rows, columns = np.divmod(flat, width)
    cell = (rows * GRID[0] // height) * GRID[1] + columns * GRID[1] // width
    metric, given, cell = metric[usable], given[usable], cell[usable]
    y, v = 1.0 / given, 1.0 / metric
    cells = int(np.count_nonzero(np.bincount(cell)))
    if cells < LEAST_CELLS:
        reason = f'the points cover {cells} of {GRID[0] * GRID[1]} cells of the image: too few'
        return silent('range', reason, stamp_ns)
    chosen = _fit(y, v, shift=False)
    spread = _cell_spread(chosen, y, v, cell)
    if shift and cells >= CELLS_FOR_SHIFT and _varies(y):
        other = _fit(y, v, shift=True)
        if other is not None and _plausible(other, y):
            better = _cell_spread(other, y, v, cell)
            if better < GAIN_FOR_SHIFT * spread:
                chosen, spread = other, better
    if chosen is None or not spread < WORST_SPREAD:
        reason = (
            f'points and depth do not belong together (spread {spread:.2f} of the logarithm): '
            'check the pose of the sensor and its stamps'
        )
        return silent('range', reason, stamp_ns)
    a, b = chosen
    if not BOUNDS[0] < 1.0 / a < BOUNDS[1]:
        return silent('range', f'depth would change by a factor of {1 / a:.3g}', stamp_ns)
    # standard error of a median of cells: sqrt(pi / 2) of that of a mean
    sigma = math.hypot(FLOOR, CAUTION * 1.2533 * spread / math.sqrt(cells))
    return ScaleEstimate('range', float(a), float(b), 'inverse', sigma, stamp_ns)


def _fit(
    y: NDArray[np.float64], v: NDArray[np.float64], *, shift: bool
) -> tuple[float, float] | None:
    """
    Robust (a, b) of v = a y + b; b = 0 without a shift.

    :param y: (N,) inverse depth of the network, 1/m.
    :param v: (N,) inverse metric depth, 1/m.
    :returns: None where the equations are singular.
    """
    p, q = y / v, 1.0 / v
    a, b = math.exp(-float(np.median(np.log(p)))), 0.0
    for _ in range(15):
        error = a * p + b * q - 1.0
        width = _TUKEY * max(_MAD * float(np.median(np.abs(error))), 5e-3)
        weight = np.square(np.clip(1.0 - np.square(error / width), 0.0, None))
        pp, wp = float(weight @ (p * p)), float(weight @ p)
        if pp <= 0:
            return None
        if shift:
            pq, qq = float(weight @ (p * q)), float(weight @ (q * q))
            wq = float(weight @ q)
            determinant = pp * qq - pq * pq
            if determinant <= 1e-9 * pp * qq:
                return None
            new = ((wp * qq - wq * pq) / determinant, (wq * pp - wp * pq) / determinant)
        else:
            new = (wp / pp, 0.0)
        if new[0] <= 0:
            return None
        done = abs(new[0] - a) < 3e-4 * a and abs(new[1] - b) < 3e-6
        a, b = new
        if done:
            break
    # least squares of relative errors favours small predictions; the median has no side
    inverse = a * p + b * q
    centre = float(np.median(inverse[inverse > 0])) if (inverse > 0).any() else 1.0
    return a / centre, b / centre


def _varies(y: NDArray[np.float64]) -> bool:
    """Whether inverse depth differs enough between points to tell a shift from a scale."""
    return float(y.std()) > SPREAD_FOR_SHIFT * float(y.mean())


def _plausible(fit: tuple[float, float], y: NDArray[np.float64]) -> bool:
    """Whether a shift is small against the inverse depth of the farther points."""
    return abs(fit[1]) < WORST_SHIFT * fit[0] * float(np.percentile(y, 20))


def _cell_spread(
    fit: tuple[float, float] | None,
    y: NDArray[np.float64],
    v: NDArray[np.float64],
    cell: NDArray[np.intp],
) -> float:
    """Robust spread of the cells' median log residuals; infinite where there is no fit."""
    if fit is None:
        return math.inf
    with np.errstate(invalid='ignore', divide='ignore'):
        residual = np.log((fit[0] * y + fit[1]) / v)
    residual = np.nan_to_num(residual, nan=10.0, posinf=10.0, neginf=-10.0).clip(-10.0, 10.0)
    # one sort for both: cells are whole numbers, residuals less than half of one
    ordered = np.sort(cell + 0.04 * residual)
    counts = np.bincount(cell)
    counts = counts[counts > 0]
    medians = ordered[np.cumsum(counts) - counts + counts // 2]
    medians = (medians - np.rint(medians)) / 0.04
    return _MAD * float(np.median(np.abs(medians - np.median(medians)))) + 1e-9


def fit_beam(
    depth: NDArray[np.floating],
    point: NDArray[Any],
    extrinsics: NDArray[np.floating] | None,
    beam: float,
    camera: Intrinsics,
    stamp_ns: int = 0,
) -> ScaleEstimate:
    """
    Scale from one wide beam, whose range is that of the nearest surface in it.

    :param depth: (h, w) the network's depth, see :func:`fit_range`.
    :param point: (3,) metres in the sensor's frame: the range along the beam's axis.
    :param extrinsics: (4, 4) T_thermal_sensor, or None.
    :param beam: half the opening angle in radians.
    :param camera: of size (w, h).
    :param stamp_ns: time of the measurement in nanoseconds.
    :returns: source 'range', or silent with its reason.
    """
    xyz = np.asarray(point, np.float64).reshape(3)
    origin = np.zeros(3)
    if extrinsics is not None:
        matrix = np.asarray(extrinsics, np.float64)
        xyz, origin = matrix[:3, :3] @ xyz + matrix[:3, 3], matrix[:3, 3]
    distance = float(np.linalg.norm(xyz - origin))
    if not (np.isfinite(xyz).all() and distance > 0):
        return silent('range', 'the beam has no finite range', stamp_ns)
    rays = camera.rays()
    with np.errstate(invalid='ignore'):
        surface = np.dstack([rays * depth[..., None], depth]) - origin.astype(np.float32)
        far = np.linalg.norm(surface, axis=-1)
        along = surface @ ((xyz - origin) / distance).astype(np.float32)
        width = max(beam, 2.0 / camera.fx)
        seen = far[(along > far * math.cos(width)) & (depth > 0) & np.isfinite(far)]
    if len(seen) < 4:
        return silent('range', 'the beam is outside of the view', stamp_ns)
    factor = distance / float(np.percentile(seen, 5 if beam > 0.05 else 50))
    if not BOUNDS[0] < factor < BOUNDS[1]:
        return silent('range', f'depth would change by a factor of {factor:.3g}', stamp_ns)
    return ScaleEstimate('range', factor, sigma=BEAM_SIGMA, stamp_ns=stamp_ns)
