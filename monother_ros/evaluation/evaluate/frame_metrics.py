# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All the numbers of one frame: each pixel is looked at once, whatever is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.resize import AlignedResizer
from monother_ros.evaluation.boundary import dense_boundaries
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.unit import LEVELS, STEPS, column_names
from monother_ros.evaluation.metrics import (
    NAMES,
    SUMS,
    clip_prediction,
    crop_mask,
    error_sums,
    metrics_of_sums,
    sparsification,
    valid_mask,
)

FEW_PIXELS = 4096
"""Pixels of a frame that the ranking of the confidence is measured on."""

FEWEST = 50
"""Pixels that two frames must share for their difference to count."""

STILL = 0.05
"""Change of ln g from frame to frame up to which a pixel shows the same surface."""

FOLLOWS = 500_000_000
"""Nanoseconds up to which a frame follows another one."""


@dataclass
class _Earlier:
    """The frame before: what is needed to tell how the error has changed."""

    index: int
    stamp: int
    error: NDArray[np.float32]
    log_truth: NDArray[np.float32]


class FrameScorer:
    """
    Numbers of the frames of one recording with one model, given in their order.

    :param settings: what is measured.
    """

    def __init__(self, settings: EvaluationSettings) -> None:
        """See the class."""
        self.settings = settings
        self.columns = column_names(settings)
        self._place = {name: k for k, name in enumerate(self.columns)}
        self._before: _Earlier | None = None
        self._aligned = {kind: AlignedResizer() for kind in ('depth', 'confidence')}

    def score(
        self,
        depth: NDArray[np.floating],
        confidence: NDArray[np.floating] | None,
        truth: NDArray[np.floating],
        index: int,
        stamp: int,
        *,
        aligned: bool = False,
        apart: bool = False,
    ) -> list[float] | None:
        """
        Numbers of one frame.

        :param depth: (h, w) metres, NaN where unknown. :param confidence: (h, w) or None.
        :param truth: (H, W) metres; 0 and NaN unknown, +inf sky. The others are brought to its
            size, bilinear.
        :param index: of the frame. :param stamp: ns.
        :param aligned: resize with aligned corners, as the bundle says; else aligned edges.
        :param apart: the frame before shows another place.
        :returns: one per column, NaN where there is none; None where no pixel counts.
        """
        chosen = self.settings
        if apart:
            self._before = None
        depth = self._fitted('depth', depth, truth.shape, aligned=aligned)
        if confidence is not None:
            confidence = self._fitted('confidence', confidence, truth.shape, aligned=aligned)
        shape = (truth.shape[0], truth.shape[1])
        valid = valid_mask(truth, chosen.near, chosen.far, crop_mask(shape, chosen.crop))
        where = np.flatnonzero(valid)
        found = depth.reshape(-1)[where]
        trust = None if confidence is None else confidence.reshape(-1)[where]
        with np.errstate(invalid='ignore'):
            told = (found >= chosen.range_min) & (found <= chosen.range_max)
            if trust is not None and chosen.confidence_min > 0:
                told &= trust >= chosen.confidence_min
        share = float(told.mean()) if len(where) else math.nan
        if chosen.told_only:
            where, found = where[told], found[told]
            trust = None if trust is None else trust[told]
        if not len(where):
            self._before = None
            return None
        g = truth.reshape(-1)[where].astype(np.float64)
        p = clip_prediction(found, chosen.near, chosen.far)
        log_g, log_p = np.log(g), np.log(p)
        values = {'told': share}
        values.update(self._depth(p, g, (log_p, log_g)))
        error = log_p - log_g
        # every so many-th pixel is enough for a median
        few = error[:: -(-len(error) // FEW_PIXELS)]
        values['scale'] = float(np.exp(-np.median(few)))
        if 'aligned' in chosen.metrics:
            values.update(self._alignments(p, g, log_g))
        if 'boundary' in chosen.metrics and chosen.crop == 'none':
            values.update(dense_boundaries(depth, truth, near=chosen.near, far=chosen.far))
        if 'confidence' in chosen.metrics and trust is not None:
            values.update(_confidence(p, g, trust))
        if 'temporal' in chosen.metrics:
            values.update(self._temporal(truth.shape, where, error, log_g, (index, stamp)))
        row = [math.nan] * len(self.columns)
        for name, value in values.items():
            row[self._place[name]] = value
        return row

    def _fitted(
        self, kind: str, plane: NDArray[Any], shape: tuple[int, ...], *, aligned: bool
    ) -> NDArray[np.float32]:
        """Plane at the size of the truth."""
        plane = np.asarray(plane, np.float32)
        if plane.shape == shape:
            return plane
        if aligned:
            out = np.empty(shape, np.float32)
            return self._aligned[kind](np.ascontiguousarray(plane), out)
        size = (shape[1], shape[0])
        resized = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, np.float32)

    def _depth(
        self,
        p: NDArray[np.float64],
        g: NDArray[np.float64],
        logs: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> dict[str, float]:
        """Depth metrics, of all pixels and of the ranges of distance."""
        chosen = self.settings
        if 'ranges' not in chosen.metrics:
            return metrics_of_sums(error_sums(p, g, logs=logs)[0])
        place = np.minimum((g / chosen.bin_width).astype(np.intp), chosen.bins - 1)
        sums = error_sums(p, g, place, chosen.bins, logs)
        values = metrics_of_sums(sums.sum(0))
        parts: list[dict[str, float]] = []
        for k, row in enumerate(sums):
            if not row[0]:
                continue
            part = metrics_of_sums(row)
            parts.append(part)
            values[f'bin{k:02d}_pixels'] = float(row[0])
            values[f'bin{k:02d}_bias'] = float(row[SUMS.index('log')] / row[0])
            for name in ('abs_rel', 'rmse', 'd1'):
                values[f'bin{k:02d}_{name}'] = part[name]
        for name in NAMES:
            values[f'balanced_{name}'] = sum(part[name] for part in parts) / len(parts)
        return values

    def _alignments(
        self, p: NDArray[np.floating], g: NDArray[np.floating], log_g: NDArray[np.floating]
    ) -> dict[str, float]:
        """
        Depth metrics after the median, and after a scale and a shift, have been corrected.

        In single precision, which changes the seventh digit and takes half of the time.
        """
        near, far = np.float32(self.settings.near), np.float32(self.settings.far)
        line = best_line(p, g)
        p, g, log_g = (array.astype(np.float32) for array in (p, g, log_g))
        values = {}
        for prefix, (scale, shift) in (
            ('median_', (float(np.median(g) / np.median(p)), 0.0)),
            ('linear_', line),
        ):
            fitted = np.clip(p * np.float32(scale) + np.float32(shift), near, far)
            found = metrics_of_sums(error_sums(fitted, g, logs=(np.log(fitted), log_g))[0])
            values.update({prefix + name: value for name, value in found.items()})
        return values

    def _temporal(
        self,
        shape: tuple[int, ...],
        where: NDArray[np.intp],
        error: NDArray[np.float64],
        log_g: NDArray[np.float64],
        place: tuple[int, int],
    ) -> dict[str, float]:
        """Change of the error since the frame before, where the truth has hardly changed."""
        index, stamp = place
        before = self._before
        planes = []
        for values in (error, log_g):
            plane = np.full(shape, np.nan, np.float32)
            plane.reshape(-1)[where] = values
            planes.append(plane)
        self._before = _Earlier(index, stamp, planes[0], planes[1])
        if (
            before is None
            or before.error.shape != shape
            or before.index != index - 1
            or not 0 < stamp - before.stamp <= FOLLOWS
        ):
            return {}
        moved = np.abs(log_g - before.log_truth.reshape(-1)[where])
        with np.errstate(invalid='ignore'):
            still = moved < STILL
        change = (error - before.error.reshape(-1)[where])[still]
        if len(change) < FEWEST:
            return {}
        few = change[:: -(-len(change) // FEW_PIXELS)]
        return {
            'flicker': float(np.abs(change).mean()),
            'scale_step': abs(float(np.median(few))),
        }


def best_line(p: NDArray[np.floating], g: NDArray[np.floating]) -> tuple[float, float]:
    """
    Scale and shift with the least sum of (scale p + shift - g)², in metres.

    :param p: (N,) prediction. :param g: (N,) ground truth.
    :returns: scale and shift; a scale alone where p does not vary.
    """
    mean_p, mean_g = float(p.mean()), float(g.mean())
    centred = p - mean_p
    spread = float((centred * centred).sum())
    if spread <= 1e-12 * len(p):
        return mean_g / mean_p, 0.0
    scale = float((centred * (g - mean_g)).sum()) / spread
    return scale, mean_g - scale * mean_p


def _confidence(
    p: NDArray[np.float64], g: NDArray[np.float64], trust: NDArray[np.floating]
) -> dict[str, float]:
    """Ranking and calibration of the confidence, on every so many-th pixel."""
    step = -(-len(p) // FEW_PIXELS)
    p, g, c = p[::step], g[::step], np.clip(np.nan_to_num(trust[::step]), 0.0, 1.0)
    error = np.abs(g - p) / g
    curve = sparsification(error, c, steps=STEPS)
    values = {
        'confidence': float(c.mean()),
        'ause': curve.ause,
        'ause_ratio': curve.ratio,
        'aurc': float(curve.by_confidence.mean()),
    }
    for kind, heights in (('kept', curve.by_confidence), ('oracle', curve.oracle)):
        values.update({f'{kind}_{k:02d}': v for k, v in enumerate(heights.tolist())})
    level = np.minimum((c * LEVELS).astype(np.intp), LEVELS - 1)
    within = np.maximum(g / p, p / g) < 1.25
    # whole numbers, so that their sum does not depend on the order
    said = np.rint(c.astype(np.float64) * 2**20)
    for name, weights in (('n', None), ('said', said), ('within', within)):
        sums = np.bincount(level, weights, LEVELS).tolist()
        values.update({f'cal_{name}_{k}': float(v) for k, v in enumerate(sums)})
    return values
