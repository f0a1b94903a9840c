# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How sharp and how well placed depth boundaries are, whatever the scale of the depth.

The metrics of Depth Pro (Bochkovskii et al. 2024, section 4.2 and appendix): two neighbours form
an edge where the ratio of their inverse depths is above a threshold t. Four relations count: a
pixel nearer than its neighbour on the left, right, above, below. Scores at several thresholds are
averaged with the thresholds themselves as weights. They need dense ground truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.evaluation.metrics import FAR, NEAR, clip_prediction, valid_mask

INVERSE_FLOOR = 1e-6
"""Least depth in metres of which an inverse is taken."""

T_MIN, T_MAX, T_COUNT = 1.05, 1.25, 10
"""Published thresholds: ten from 5 % to 25 % of difference."""

DENSE = 0.5
"""Part of the pixels that must have ground truth for boundaries to mean something."""


@dataclass(frozen=True)
class BoundaryScore:
    """
    Boundary scores of one image.

    :param score: mean over the thresholds with weights t / sum t, 0 to 1: of F1 for
        :func:`boundary_f1`, of recall for :func:`boundary_recall`.
    :param thresholds: (K,) ratios above 1.
    :param f1: (K,) at each threshold; NaN where only recall is known.
    :param precision: (K,) the same.
    :param recall: (K,).
    """

    score: float
    thresholds: NDArray[np.float64]
    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def thresholds_and_weights(
    t_min: float = T_MIN, t_max: float = T_MAX, count: int = T_COUNT
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Thresholds, evenly spaced, and their weights t / sum t.

    :param t_min: first ratio.
    :param t_max: last ratio.
    :param count: number of thresholds.
    :returns: (count,) and (count,) float64.
    """
    thresholds = np.linspace(t_min, t_max, count)
    return thresholds, thresholds / thresholds.sum()


def boundary_f1(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    t_min: float = T_MIN,
    t_max: float = T_MAX,
    count: int = T_COUNT,
) -> BoundaryScore:
    """
    Boundary F1 of a depth image against dense ground truth.

    Precision and recall are means over the four relations, and a relation without an edge counts
    0: a perfect single vertical step scores 0.25. Nothing is thinned.

    :param prediction: (H, W) depth of any scale, larger is farther; NaN forms no edge, infinity
        is infinitely far, values up to 0 are infinitely near.
    :param truth: (H, W) the same, dense; 0 would count as very near: see ``mask``.
    :param mask: (H, W) pixels with ground truth; a neighbour relation counts where both pixels
        have it. None for all.
    :param t_min: first threshold.
    :param t_max: last threshold.
    :param count: number of thresholds.
    :raises ValueError: other shapes.
    """
    _check(prediction, truth)
    thresholds, weights = thresholds_and_weights(t_min, t_max, count)
    precision, recall = np.zeros(count), np.zeros(count)
    for ours, theirs in zip(_steps(prediction, mask), _steps(truth, mask), strict=True):
        for side in (1, -1):
            found, real, hits = _edges(side * ours, side * theirs, np.log(thresholds))
            precision += hits / np.maximum(found, 1) / 4
            recall += hits / np.maximum(real, 1) / 4
    both = precision + recall
    f1 = np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0.0)
    return BoundaryScore(float(np.sum(f1 * weights)), thresholds, f1, precision, recall)


def boundary_recall(
    prediction: NDArray[Any],
    alpha: NDArray[Any],
    *,
    alpha_threshold: float = 0.1,
    t_min: float = T_MIN,
    t_max: float = T_MAX,
    count: int = T_COUNT,
) -> BoundaryScore:
    """
    Boundary recall of a depth image against the mask of a foreground object, such as a matting.

    An edge of the mask is a foreground pixel beside one of the background, the foreground being
    the nearer side. Predicted edges are thinned by :func:`suppress`, so a blurred boundary hits
    only where it is steepest.

    :param prediction: (H, W) depth of any scale, see :func:`boundary_f1`.
    :param alpha: (H, W) opacity 0 to 1, bool, or 0 and 1 (or 255) of any type.
    :param alpha_threshold: foreground is what lies above.
    :param t_min: first threshold.
    :param t_max: last threshold.
    :param count: number of thresholds.
    :returns: recall; precision and F1 are NaN, a mask has no edges inside of objects.
    :raises ValueError: other shapes.
    """
    _check(prediction, alpha)
    thresholds, weights = thresholds_and_weights(t_min, t_max, count)
    inside = np.asarray(alpha, np.float64) > alpha_threshold
    ratios = _ratios(prediction, None)
    recall = np.zeros(count)
    real = _pairs(inside, lambda near, far: near & ~far)
    for k, t in enumerate(thresholds):
        for axis, ratio, edges in zip((1, 0, 1, 0), ratios, real, strict=True):
            hits = np.count_nonzero(suppress(ratio, t, axis) & edges)
            recall[k] += hits / max(int(np.count_nonzero(edges)), 1) / 4
    unknown = np.full(count, np.nan)
    return BoundaryScore(float(np.sum(recall * weights)), thresholds, unknown, unknown, recall)


def suppress(ratio: NDArray[Any], threshold: float, axis: int) -> NDArray[np.bool_]:
    """
    Non-maximum suppression: of each run of values above a threshold only the largest stays.

    :param ratio: (h, w); NaN is not above.
    :param threshold: runs are made of values strictly above.
    :param axis: along which runs go: 1 along rows, 0 along columns.
    :returns: (h, w) bool, the first of the largest values of each run.
    """
    if axis == 0:
        return np.ascontiguousarray(suppress(np.ascontiguousarray(ratio.T), threshold, 1).T)
    with np.errstate(invalid='ignore'):
        above = ratio > threshold
    kept = np.zeros(above.shape, np.bool_)
    if not above.any():
        return kept
    begins = above.copy()
    begins[:, 1:] &= ~above[:, :-1]
    where = np.flatnonzero(above)
    first = begins.reshape(-1)[where]
    values = ratio.reshape(-1)[where]
    run = np.cumsum(first) - 1
    largest = np.maximum.reduceat(values, np.flatnonzero(first))
    peaks = np.flatnonzero(values == largest[run])
    _, earliest = np.unique(run[peaks], return_index=True)
    kept.reshape(-1)[where[peaks[earliest]]] = True
    return kept


def dense_boundaries(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    near: float = NEAR,
    far: float = FAR,
    dense: float = DENSE,
) -> dict[str, float]:
    """
    Boundary metrics of one image, for tables beside :func:`.metrics.depth_metrics`.

    Ground truth beyond the range (sky) is far, not unknown: it is clipped to ``far`` as the
    prediction is, so outlines against the sky count. Pixels without truth form no edges.

    :param prediction: (h, w) metres; brought to the size of the truth (bilinear) where it differs.
    :param truth: (H, W) metres; 0, negative and NaN are unknown, infinity is sky.
    :param near: lower end of the range, metres.
    :param far: upper end of the range, metres.
    :param dense: part of the pixels that must have truth.
    :returns: boundary_f1, boundary_precision and boundary_recall, the means of the published
        thresholds; empty where the truth is sparse, so that LiDAR labels make no boundaries.
    """
    known = valid_mask(truth, near, np.inf) | np.isposinf(truth)
    if not known.size or np.count_nonzero(known) < dense * known.size:
        return {}
    if prediction.shape != truth.shape:
        rows, columns = truth.shape
        prediction = cv2.resize(
            np.asarray(prediction, np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR
        )
    found = boundary_f1(
        clip_prediction(prediction, near, far), clip_prediction(truth, near, far), mask=known
    )
    _, weights = thresholds_and_weights()
    return {
        'boundary_f1': found.score,
        'boundary_precision': float(np.sum(found.precision * weights)),
        'boundary_recall': float(np.sum(found.recall * weights)),
    }


def _edges(
    one: NDArray[Any], other: NDArray[Any], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """
    Edges of two images of steps, and those of both, at rising thresholds.

    Few pixels are edges at all, so only these are sorted by how many thresholds they exceed.
    """
    count = len(thresholds)
    with np.errstate(invalid='ignore'):
        edges = np.flatnonzero((one > thresholds[0]) | (other > thresholds[0]))
    # NaN, which is no edge, would be sorted last
    levels = [
        np.searchsorted(thresholds, np.fmax(image.reshape(-1)[edges], 0), 'left')
        for image in (one, other)
    ]
    joint = np.bincount(levels[0] * (count + 1) + levels[1], minlength=(count + 1) ** 2)
    # how many exceed at least k thresholds in the one and l in the other
    above = joint.reshape(count + 1, count + 1)[::-1, ::-1].cumsum(0).cumsum(1)[::-1, ::-1]
    return above[1:, 0], above[0, 1:], np.diagonal(above)[1:]


def _check(prediction: NDArray[Any], other: NDArray[Any]) -> None:
    """Refuse what is not two images of one size."""
    if prediction.ndim != 2 or prediction.shape != other.shape:
        msg = f'prediction is {prediction.shape}, the other image is {other.shape}; resize first'
        raise ValueError(msg)


def _steps(depth: NDArray[Any], mask: NDArray[np.bool_] | None) -> tuple[NDArray[Any], ...]:
    """
    Logarithms of the ratios of inverse depth, left over right and upper over lower.

    NaN where a pixel is masked out. The other two relations have the opposite sign.
    """
    kind = depth.dtype if np.issubdtype(depth.dtype, np.floating) else np.float64
    log = np.log(np.maximum(depth, np.asarray(INVERSE_FLOOR, kind)))
    if mask is not None and not mask.all():
        log[~mask] = np.nan
    with np.errstate(invalid='ignore'):
        return log[:, 1:] - log[:, :-1], log[1:] - log[:-1]


def _ratios(depth: NDArray[Any], mask: NDArray[np.bool_] | None) -> tuple[NDArray[Any], ...]:
    """Ratios of inverse depth of the four relations; NaN where a pixel is masked out."""
    with np.errstate(divide='ignore', invalid='ignore'):
        inverse = 1.0 / np.maximum(depth, np.asarray(INVERSE_FLOOR, depth.dtype))
        if mask is not None:
            inverse = np.where(mask, inverse, np.nan)
        return _pairs(inverse, np.divide)


def _pairs(values: NDArray[Any], combine: Any) -> tuple[NDArray[Any], ...]:
    """
    Combination of each pixel with its neighbour, the nearer side first.

    :returns: left over right, upper over lower, right over left, lower over upper.
    """
    left, right = values[:, :-1], values[:, 1:]
    upper, lower = values[:-1], values[1:]
    return (
        combine(left, right),
        combine(upper, lower),
        combine(right, left),
        combine(lower, upper),
    )
