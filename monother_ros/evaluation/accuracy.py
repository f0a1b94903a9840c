# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a model bundle on simulated frames, through the pipeline that runs on the robot."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.pipeline import Pipeline, PipelineSettings, ThermalFrame
from monother_ros.evaluation.boundary import dense_boundaries
from monother_ros.evaluation.metrics import (
    absolute_relative,
    depth_metrics,
    mean_metrics,
    sparsification,
    valid_mask,
)

if TYPE_CHECKING:
    from monother_ros.engines.base import Engine
    from monother_ros.learning.rendered import Frames

NEAR, FAR = 0.5, 80.0
"""Metres within which ground truth counts."""

OPEN_LIMITS = PipelineSettings(range_min=1e-3, range_max=1e6, process_shutter_frames=True)
"""Nothing is masked, so that a model cannot win by calling hard pixels unknown."""


@dataclass(frozen=True)
class Prediction:
    """
    One frame with what the pipeline made of it.

    :param depth: (H, W) float32 metres.
    :param confidence: (H, W) float32 in [0, 1], None where the model has none.
    :param truth: (H, W) float32 metres, +inf for sky.
    :param world: conditions of the frame.
    """

    depth: NDArray[np.float32]
    confidence: NDArray[np.float32] | None
    truth: NDArray[np.float32]
    world: Mapping[str, Any]


def predict(engine: Engine, frames: Frames, indices: Sequence[int]) -> list[Prediction]:
    """
    Run frames through the pipeline, each as the first one that a camera sends.

    :param engine: of the bundle.
    :param frames: simulated frames.
    :param indices: which of them.
    """
    pipeline = Pipeline(engine, OPEN_LIMITS)
    results = []
    for k, index in enumerate(indices):
        image = frames.thermal(index)
        height, width = image.shape
        focal = float(frames.focal[index]) * width / 320
        camera = Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        pipeline.reset()
        result = pipeline.process(ThermalFrame(image, k, '', camera))
        assert result.depth is not None
        truth = frames.depth(index).astype(np.float32)
        results.append(Prediction(result.depth, result.confidence, truth, frames.worlds[index]))
    return results


def score(prediction: Prediction) -> dict[str, float]:
    """
    Metrics of one frame: those of depth, of the confidence, and of the sky.

    :returns: the depth metrics; those of :func:`.boundary.dense_boundaries`; 'confidence' (mean)
        and 'ause', 'random_ause', 'ause_ratio' by AbsRel where there is a confidence; 'told', the
        part of valid pixels whose prediction is within the range, so not masked at run time.
    """
    values = depth_metrics(prediction.depth, prediction.truth, near=NEAR, far=FAR)
    valid = valid_mask(prediction.truth, NEAR, FAR)
    if not valid.any():
        return values
    values.update(dense_boundaries(prediction.depth, prediction.truth, near=NEAR, far=FAR))
    depth = prediction.depth[valid]
    values['told'] = float(np.mean((depth >= NEAR) & (depth <= FAR)))
    if prediction.confidence is not None:
        error = absolute_relative(depth, prediction.truth[valid], near=NEAR, far=FAR)
        curve = sparsification(error, prediction.confidence[valid])
        values['confidence'] = float(prediction.confidence[valid].mean())
        values['ause'], values['random_ause'] = curve.ause, curve.random_ause
        values['ause_ratio'] = curve.ratio
    return values


def summarise(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """
    Metrics over frames, all together and by condition.

    :param predictions: see :func:`predict`.
    :returns: 'overall' (mean of per-image values), 'pooled' (confidence over all pixels at once),
        'sky', 'by_scene', 'by_weather', 'by_time', 'by_distance'; plain numbers for JSON.
    """
    rows = [score(p) for p in predictions]
    summary: dict[str, Any] = {'overall': _rounded(mean_metrics(rows))}
    for title, key in (('scene', 'scene'), ('weather', 'weather'), ('time', 'time_of_day')):
        groups = sorted({str(p.world[key]) for p in predictions})
        summary[f'by_{title}'] = {
            group: _rounded(
                mean_metrics(
                    [r for r, p in zip(rows, predictions, strict=True) if p.world[key] == group]
                )
            )
            for group in groups
        }
    summary['by_distance'] = _by_distance(predictions)
    summary['sky'] = _sky(predictions)
    if all(p.confidence is not None for p in predictions):
        summary['pooled'] = _pooled(predictions)
    return summary


def _by_distance(predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    """Mean per-image metrics of pixels in rings of distance."""
    edges = (NEAR, 5.0, 10.0, 20.0, 40.0, FAR)
    rings = {}
    for near, far in itertools.pairwise(edges):
        rows = [
            depth_metrics(
                p.depth, p.truth, near=NEAR, far=FAR, mask=(p.truth >= near) & (p.truth < far)
            )
            for p in predictions
        ]
        rings[f'{near:g}-{far:g} m'] = _rounded(mean_metrics(rows))
    return rings


def _sky(predictions: Sequence[Prediction]) -> dict[str, float]:
    """How sky, and what lies beyond the range, is kept out of the output."""
    beyond = np.concatenate([p.depth[~(p.truth < FAR)] for p in predictions])
    if beyond.size == 0:
        return {'pixels': 0.0}
    return _rounded({'pixels': float(beyond.size), 'masked': float(np.mean(beyond > FAR))})


def _pooled(predictions: Sequence[Prediction], every: int = 7) -> dict[str, Any]:
    """Ranking and calibration of the confidence over the pixels of all frames together."""
    errors, trust, right = [], [], []
    for p in predictions:
        valid = valid_mask(p.truth, NEAR, FAR)
        truth = p.truth[valid][::every]
        depth = np.clip(p.depth[valid][::every], NEAR, FAR)
        assert p.confidence is not None
        errors.append(absolute_relative(depth, truth, near=NEAR, far=FAR))
        trust.append(p.confidence[valid][::every])
        right.append(np.maximum(depth / truth, truth / depth) < 1.25)
    curve = sparsification(np.concatenate(errors), np.concatenate(trust), steps=20)
    c, r = np.concatenate(trust), np.concatenate(right)
    place = np.minimum((c * 10).astype(int), 9)
    count = np.bincount(place, minlength=10)
    said = np.bincount(place, c, 10) / np.maximum(count, 1)
    found = np.bincount(place, r, 10) / np.maximum(count, 1)
    return {
        **_rounded({'ause': curve.ause, 'ause_ratio': curve.ratio}),
        'calibration_error': round(float(np.sum(count * np.abs(said - found)) / count.sum()), 4),
        'calibration': {
            'confidence': [round(float(v), 3) for v in said],
            'within_1.25': [round(float(v), 3) for v in found],
            'part_of_pixels': [round(float(v), 4) for v in count / count.sum()],
        },
        'sparsification': {
            'dropped': [round(float(v), 3) for v in curve.dropped],
            'abs_rel': [round(float(v), 4) for v in curve.by_confidence],
            'oracle': [round(float(v), 4) for v in curve.oracle],
        },
    }


def blind_baselines(
    training: Frames, predictions: Sequence[Prediction], *, by_scene: bool = False
) -> dict[str, float]:
    """
    AbsRel of predictors that do not look at the picture, to be beaten.

    Each pixel gets the mean, the geometric mean or the median of the valid depths that it had in
    training frames.

    :param training: frames of training seeds.
    :param predictions: held-out frames; only their ground truth is used.
    :param by_scene: fit one map for each kind of scene, and tell the predictor the scene.
    :returns: AbsRel by predictor.
    """
    groups: dict[str, list[int]] = {}
    for index in range(len(training)):
        scene = str(training.worlds[index]['scene']) if by_scene else ''
        groups.setdefault(scene, []).append(index)
    maps = {scene: depth_maps(training, indices) for scene, indices in groups.items()}
    results = {}
    for name in ('mean', 'geometric_mean', 'median'):
        rows = [
            depth_metrics(
                maps[str(p.world['scene']) if by_scene else ''][name], p.truth, near=NEAR, far=FAR
            )
            for p in predictions
        ]
        results[name] = round(mean_metrics(rows)['abs_rel'], 4)
    return results


def depth_maps(frames: Frames, indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """
    Per-pixel mean, geometric mean and median of valid depths.

    :param frames: simulated frames.
    :param indices: which of them.
    :returns: (H, W) metres by name; a pixel that was never valid gets the far limit.
    """
    stack = np.stack([frames.depth(i) for i in indices]).astype(np.float32)
    stack[~valid_mask(stack, NEAR, FAR)] = np.nan
    stack[0, np.isnan(stack).all(0)] = FAR
    return {
        'mean': np.nanmean(stack, 0, dtype=np.float64),
        'geometric_mean': np.exp(np.nanmean(np.log(stack), 0, dtype=np.float64)),
        'median': np.nanmedian(stack, 0).astype(np.float64),
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Numbers for people, NaN left out."""
    return {k: round(v, 4) for k, v in values.items() if not math.isnan(v)}
