# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth metrics and the quality of a confidence, in numpy.

Depth metrics follow the evaluation of MonoTher-Depth: prediction clipped to the range, no scale
alignment, values per image first, then their mean over images (Eigen et al. 2014 for the set).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog', 'd1', 'd2', 'd3')
"""Metrics of one image in the order of a table."""

NEAR = 0.001
FAR = 80.0
"""Default range of ground truth that counts, metres; both ends excluded."""


def valid_mask(
    truth: NDArray[Any],
    near: float = NEAR,
    far: float = FAR,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """
    Pixels whose ground truth counts.

    :param truth: (...) metres; NaN, infinity and values outside of the range do not count.
    :param near: excluded lower end in metres.
    :param far: excluded upper end in metres.
    :param mask: (...) further restriction.
    :returns: (...) bool.
    """
    with np.errstate(invalid='ignore'):
        valid = (truth > near) & (truth < far)
    return valid if mask is None else valid & mask


def clip_prediction(
    prediction: NDArray[Any], near: float = NEAR, far: float = FAR
) -> NDArray[np.float64]:
    """
    Prediction as it is scored: infinity becomes far, NaN becomes near, the rest is clipped.

    :param prediction: (...) metres.
    :param near: lower end in metres.
    :param far: upper end in metres.
    :returns: (...) float64 copy.
    """
    # of NaN and a number, fmax takes the number
    return np.asarray(np.fmin(np.fmax(np.asarray(prediction, np.float64), near), far))


def depth_metrics(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    near: float = NEAR,
    far: float = FAR,
    mask: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """
    Metrics of one image.

    With g ground truth, p prediction and e = ln p - ln g over the n valid pixels:
    abs_rel = mean |g - p| / g; sq_rel = mean (g - p)^2 / g; rmse = sqrt mean (g - p)^2;
    rmse_log = sqrt mean e^2; log10 = mean |log10 g - log10 p|;
    silog = 100 sqrt(mean e^2 - (mean e)^2); d_i = part with max(g/p, p/g) < 1.25^i.

    :param prediction: (H, W) metres; see :func:`clip_prediction` for what is not a number.
    :param truth: (H, W) metres.
    :param near: ground truth below does not count, prediction is clipped to it; metres.
    :param far: the same at the upper end.
    :param mask: (H, W) pixels that may count; None for all.
    :returns: value by name, see NAMES; all NaN where no pixel counts.
    :raises ValueError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        msg = f'prediction is {prediction.shape}, ground truth is {truth.shape}; resize first'
        raise ValueError(msg)
    valid = valid_mask(truth, near, far, mask)
    if not valid.any():
        return dict.fromkeys(NAMES, math.nan)
    g = truth[valid].astype(np.float64)
    return metrics_of_sums(error_sums(clip_prediction(prediction[valid], near, far), g)[0])


SUMS = ('n', 'abs_rel', 'sq_rel', 'square', 'log_square', 'log_abs', 'log', 'd1', 'd2', 'd3')
"""What :func:`error_sums` adds up over pixels, in this order."""


def error_sums(
    p: NDArray[np.floating],
    g: NDArray[np.floating],
    place: NDArray[np.intp] | None = None,
    places: int = 1,
    logs: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
) -> NDArray[np.float64]:
    """
    Sums over pixels from which every metric follows, of groups of pixels.

    :param p: (N,) prediction in metres, clipped.
    :param g: (N,) ground truth in metres, > 0.
    :param place: (N,) group of each pixel, 0 to places - 1; None for one group.
    :param places: number of groups.
    :param logs: ln p and ln g where they are known already.
    :returns: (places, len(SUMS)) float64; sums of several images may be added.
    """
    if place is None:
        place = np.zeros(len(g), np.intp)
    difference = g - p
    relative = np.abs(difference)
    relative /= g
    log_p, log_g = logs or (np.log(p), np.log(g))
    e = log_p - log_g
    ratio = np.maximum(g / p, p / g)
    # 0 where within 1.25, 3 where beyond 1.25 cubed: one count for all three
    level = (ratio >= 1.25).astype(np.intp)
    level += ratio >= 1.25**2
    level += ratio >= 1.25**3
    counts = np.bincount(place * 4 + level, minlength=4 * places).reshape(places, 4)
    sums = np.empty((places, len(SUMS)))
    sums[:, 0] = counts.sum(1)
    weights = (
        relative,
        relative * np.abs(difference),
        difference * difference,
        e * e,
        np.abs(e),
        e,
    )
    for k, weight in enumerate(weights, 1):
        sums[:, k] = (
            weight.sum(dtype=np.float64) if places == 1 else np.bincount(place, weight, places)
        )
    sums[:, 7:] = counts.cumsum(1)[:, :3]
    return sums


def metrics_of_sums(sums: NDArray[np.float64]) -> dict[str, float]:
    """
    Metrics of one group of pixels.

    :param sums: (len(SUMS),), see :func:`error_sums`.
    :returns: value by name, see NAMES; all NaN where no pixel counts.
    """
    if not sums[0]:
        return dict.fromkeys(NAMES, math.nan)
    abs_rel, sq_rel, square, log_square, log_abs, log, *deltas = (sums[1:] / sums[0]).tolist()
    return {
        'abs_rel': abs_rel,
        'sq_rel': sq_rel,
        'rmse': math.sqrt(square),
        'rmse_log': math.sqrt(log_square),
        'log10': log_abs / math.log(10),
        'silog': 100 * math.sqrt(max(log_square - log**2, 0.0)),
        **dict(zip(('d1', 'd2', 'd3'), deltas, strict=True)),
    }


CROPS = {
    'garg': (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    'eigen': (0.3324324, 0.91351351, 0.0359477, 0.96405229),
}
"""Parts of an image that count: first and last row, first and last column, as parts of its size
(Garg et al. 2016; Eigen et al. 2014, for KITTI)."""


def crop_mask(shape: tuple[int, int], crop: str) -> NDArray[np.bool_] | None:
    """
    Pixels within a crop.

    :param shape: height and width of the ground truth.
    :param crop: garg, eigen, or none.
    :returns: (H, W) bool; None where all pixels count.
    :raises ValueError: the crop is not known.
    """
    if crop == 'none':
        return None
    if crop not in CROPS:
        msg = f'crop {crop!r} is not known; use none, {", ".join(CROPS)}'
        raise ValueError(msg)
    top, bottom, left, right = CROPS[crop]
    height, width = shape
    mask = np.zeros(shape, np.bool_)
    mask[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    return mask


def mean_metrics(images: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """
    Arithmetic mean of the values of images; an image with a NaN AbsRel is left out.

    :param images: results of :func:`depth_metrics` (further keys are averaged too).
    :returns: mean by name, and 'images', the number that counted; only that where it is 0.
    """
    rows = [row for row in images if not math.isnan(row['abs_rel'])]
    mean = {key: float(np.mean([row[key] for row in rows])) for key in (rows[0] if rows else {})}
    return {**mean, 'images': float(len(rows))}


@dataclass(frozen=True)
class Sparsification:
    """
    How the mean error falls as the least trusted pixels are dropped (Ilg et al. 2018).

    :param dropped: (K,) part of the pixels that is dropped, 0 to less than 1.
    :param by_confidence: (K,) mean error of what is left when dropping by confidence.
    :param oracle: (K,) the same when dropping by the true error.
    :param mean_error: mean error of all pixels; also the expected curve of a random ranking.
    """

    dropped: NDArray[np.float64]
    by_confidence: NDArray[np.float64]
    oracle: NDArray[np.float64]
    mean_error: float

    @property
    def ause(self) -> float:
        """Area between the curve of the confidence and the oracle's; 0 is a perfect ranking."""
        return _area(self.by_confidence - self.oracle, self.dropped)

    @property
    def random_ause(self) -> float:
        """The same area for a random ranking, whose expected curve is flat."""
        return _area(self.mean_error - self.oracle, self.dropped)

    @property
    def ratio(self) -> float:
        """AUSE over that of a random ranking: 0 perfect, 1 random; NaN where no error differs."""
        random = self.random_ause
        return self.ause / random if random > 0 else math.nan


def sparsification(
    error: NDArray[Any], confidence: NDArray[Any], *, steps: int = 50
) -> Sparsification:
    """
    Sparsification curve of a confidence.

    Pixels of equal confidence count with their mean error, so that their order cannot matter: a
    constant confidence has exactly the ratio 1.

    :param error: (N,) error of each pixel, >= 0; |g - p| / g for the curve by AbsRel.
    :param confidence: (N,) higher is more trusted; finite.
    :param steps: points of the curve.
    :raises ValueError: no pixels, other shapes, or a value that is not finite.
    """
    e = np.asarray(error, np.float64).reshape(-1)
    c = np.asarray(confidence).reshape(-1)
    if e.size == 0 or e.shape != c.shape or not (np.isfinite(e).all() and np.isfinite(c).all()):
        msg = (
            f'sparsification needs as many finite errors as confidences, at least one; '
            f'got {e.shape} and {c.shape}'
        )
        raise ValueError(msg)
    _, group = np.unique(c, return_inverse=True)
    group = group.reshape(-1)
    tied = np.bincount(group, e) / np.bincount(group)
    # least trusted last: the first k pixels are what is left after dropping
    by_confidence = tied[np.sort(group)[::-1]]
    dropped = np.arange(steps) / steps
    kept = np.maximum(np.ceil((1 - dropped) * e.size - 1e-9).astype(np.int64), 1)
    return Sparsification(
        dropped,
        np.cumsum(by_confidence)[kept - 1] / kept,
        np.cumsum(np.sort(e))[kept - 1] / kept,
        float(e.mean()),
    )


def absolute_relative(
    prediction: NDArray[Any], truth: NDArray[Any], *, near: float = NEAR, far: float = FAR
) -> NDArray[np.float64]:
    """
    Error of each pixel, |g - p| / g, for :func:`sparsification`.

    :param prediction: (N,) metres.
    :param truth: (N,) metres, valid ones only.
    :param near: lower end of the range, metres.
    :param far: upper end of the range, metres.
    :returns: (N,) float64.
    """
    g = np.asarray(truth, np.float64)
    return np.asarray(np.abs(g - clip_prediction(prediction, near, far)) / g, np.float64)


def _area(heights: NDArray[np.float64], at: NDArray[np.float64]) -> float:
    """Trapezoidal rule (numpy renamed its own between 1.26 and 2)."""
    return float(np.sum((heights[1:] + heights[:-1]) / 2 * np.diff(at)))
