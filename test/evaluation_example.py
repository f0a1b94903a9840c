# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation that was made up, with everything that its page can show."""

from __future__ import annotations

import numpy as np

from monother_ros.core.camera import Intrinsics
from monother_ros.evaluation.evaluate.metric_names import METRICS
from monother_ros.evaluation.evaluate.pictures import pack
from monother_ros.evaluation.evaluate.schema import (
    ALL,
    Calibration,
    ChosenFrame,
    Difference,
    Drift,
    Estimate,
    Evaluation,
    Group,
    Model,
    RangeBin,
    RecordingFacts,
    RiskCoverage,
    Series,
)
from monother_ros.evaluation.evaluate.settings import EvaluationSettings

LABELS = ('lite', 'lite rev3')
CONDITIONS = ('street, day, clear', 'street, night, fog')


def estimate(mean, spread=0.06, frames=400):
    """Estimate with an interval around its mean."""
    return Estimate(mean, mean - spread * abs(mean), mean + spread * abs(mean), frames)


def group(label, condition, level):
    """One model under one condition; level is its AbsRel."""
    metrics = {}
    for k, metric in enumerate(METRICS.values()):
        good = 1 - level if metric.better == 'higher' else level * (1 + 0.1 * (k % 7))
        metrics[metric.name] = estimate(good)
    bins = [
        RangeBin(
            near,
            near + 5,
            int(90000 * np.exp(-near / 18)),
            {
                'abs_rel': estimate(level * (0.7 + near / 60), 0.02 + near / 400),
                'rmse': estimate(0.1 + level * near, 0.1),
                'd1': estimate(1 - level * (0.5 + near / 80), 0.02),
                'bias': estimate(0.05 - near / 600, 0.3),
            },
        )
        for near in np.arange(0.0, 80.0, 5.0).tolist()
    ]
    dropped = (np.arange(20) / 20).tolist()
    risk = RiskCoverage(
        dropped,
        [level * (1 - 0.5 * d) for d in dropped],
        [level * (1 - 0.95 * d) for d in dropped],
        level,
    )
    steps = (np.arange(10) + 0.5) / 10
    promise = Calibration(
        steps.tolist(), (0.2 + 0.75 * steps).tolist(), (steps / steps.sum()).tolist(), 0.071
    )
    return Group(label, condition, 400, metrics, bins, risk, promise)


def picture(seed):
    """Packed arrays of a frame, 128x160, with sky."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[0:128, 0:160].astype(np.float32)
    truth = np.where(v > 45, 60 / np.maximum(v - 44, 1), 30 + 10 * np.sin(u / 20))
    truth = np.where(v < 20, np.inf, truth).astype(np.float32)
    depth = np.minimum(truth, 90) * (1 + 0.08 * np.sin(u / 9 + seed)).astype(np.float32)
    confidence = np.clip(1 - np.abs(np.sin(u / 9 + seed)) + 0.1 * rng.normal(size=u.shape), 0, 1)
    thermal = (8000 + 40 * v + 300 * np.sin(u / 15) + rng.normal(0, 8, u.shape)).astype(np.uint16)
    camera = Intrinsics(160, 128, 120.0, 120.0, 79.5, 63.5)
    return pack(thermal, depth.astype(np.float32), truth, confidence, camera)


def example(models=2, conditions=2, chosen=True, recordings=1):
    """
    Evaluation of one or two models.

    :param models: how many; :param conditions: how many; :param chosen: with frames.
    :param recordings: how many.
    """
    labels, names = LABELS[:models], CONDITIONS[:conditions]
    levels = {label: 0.09 - 0.02 * k for k, label in enumerate(labels)}
    groups = [
        group(label, condition, levels[label] * (1 + 0.5 * (k - 0.5) * (condition != ALL)))
        for label in labels
        for k, condition in enumerate((ALL, *names))
    ]
    differences = [
        Difference(
            labels[0],
            label,
            condition,
            {m: estimate(-0.02 if METRICS[m].better != 'higher' else 0.02, 0.3) for m in METRICS},
            {'abs_rel': 'b', 'd1': 'b'},
        )
        for label in labels[1:]
        for condition in (ALL, *names)
    ]
    time = np.linspace(0, 80, 160)
    series = [
        Series(
            label,
            f'drive_{n}',
            time.tolist(),
            [names[int(t > 40) % len(names)] for t in time],
            {
                'abs_rel': (levels[label] * (1 + 0.2 * np.sin(time / 7 + n))).tolist(),
                'scale': [None if t < 2 else float(1 + 0.05 * np.sin(t / 9)) for t in time],
                'flicker': (0.01 + 0.003 * np.sin(time)).tolist(),
                'confidence': [0.7] * 160,
            },
        )
        for label in labels
        for n in range(recordings)
    ]
    drift = [Drift(s.model, s.recording, 0.02, -0.004, 0.01, 0.003) for s in series]
    frames, pictures = [], {}
    for k, name in enumerate(names if chosen else ()):
        for j, kind in enumerate(('best', 'median', 'worst')):
            keys = {label: f'{k}{j}{m}' for m, label in enumerate(labels)}
            pictures |= {key: picture(int(key)) for key in keys.values()}
            errors = dict.fromkeys(labels, 0.05 + 0.02 * j)
            frames.append(ChosenFrame(kind, name, 'drive_0', 7 * j, 0.7 * j, errors, keys))
    return Evaluation(
        EvaluationSettings().as_dict(),
        [Model(name, 'lite', 'r1', 'ab' * 32, 'onnxruntime') for name in labels],
        [
            RecordingFacts(
                f'drive_{n}', f'/data/a_long_folder/drive_{n}', 'bag', 'depth topic', 800,
                dict.fromkeys(labels, 792), {label: {'shutter': 8} for label in labels}, 80.0,
            )
            for n in range(recordings)
        ],
        list(names), groups, differences, series, drift, frames,
        ['A made up <evaluation>.'],
        {
            'command': 'monother evaluate --bags "drive_*/" --model lite --model lite_rev3',
            'host': 'a computer', 'cpu': {'cores': 2, 'name': 'some CPU'}, 'seconds': 12.5,
        },
        pictures,
    )  # fmt: skip
