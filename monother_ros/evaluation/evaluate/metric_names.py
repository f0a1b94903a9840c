# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every metric of a frame: its name in JSON and CSV, its title, unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass

from monother_ros.evaluation.metrics import NAMES

LOWER, HIGHER, NEITHER = 'lower', 'higher', ''


@dataclass(frozen=True)
class Metric:
    """
    One metric.

    :param name: in JSON and CSV. :param title: for tables. :param unit: '' for none.
    :param better: lower, higher, or '' where neither is better by itself.
    :param group: of :data:`.settings.GROUPS`.
    :param text: what it is, one sentence.
    :param digits: after the point.
    """

    name: str
    title: str
    unit: str
    better: str
    group: str
    text: str
    digits: int = 3


_DEPTH = (
    ('abs_rel', 'AbsRel', '', LOWER, 'mean |g - p| / g', 3),
    ('sq_rel', 'SqRel', 'm', LOWER, 'mean (g - p)² / g', 3),
    ('rmse', 'RMSE', 'm', LOWER, 'root of the mean (g - p)²', 3),
    ('rmse_log', 'RMSElog', '', LOWER, 'root of the mean (ln p - ln g)²', 3),
    ('log10', 'log10', '', LOWER, 'mean |log10 g - log10 p|', 3),
    ('silog', 'SILog', '', LOWER, '100 times the standard deviation of ln p - ln g', 2),
    ('d1', 'δ1', '', HIGHER, 'part of the pixels with max(g/p, p/g) < 1.25', 3),
    ('d2', 'δ2', '', HIGHER, 'the same with 1.25²', 3),
    ('d3', 'δ3', '', HIGHER, 'the same with 1.25³', 3),
)
assert tuple(d[0] for d in _DEPTH) == NAMES


def _variant(prefix: str, title: str, group: str, text: str) -> list[Metric]:
    """Depth metrics of a variant."""
    return [
        Metric(
            f'{prefix}{name}', f'{label} {title}'.strip(), unit, better, group, what + text, digits
        )
        for name, label, unit, better, what, digits in _DEPTH
    ]


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        *_variant('', '', 'depth', ''),
        Metric(
            'told', 'told', '', HIGHER, 'depth',
            'part of the pixels with truth whose depth a robot would publish',
        ),
        Metric(
            'scale', 'scale', '', NEITHER, 'depth',
            'median of g / p: the factor that the depth lacks, 1 is right',
        ),
        *_variant('balanced_', 'range-balanced', 'ranges', ', mean over the ranges of distance'),
        *_variant('median_', 'median-aligned', 'aligned', ', after p · median g / median p'),
        *_variant(
            'linear_', 'linear-aligned', 'aligned', ', after the best a · p + b (least squares)'
        ),
        Metric(
            'boundary_f1', 'boundary F1', '', HIGHER, 'boundary',
            'sharpness and place of depth edges (Depth Pro), dense truth only',
        ),
        Metric(
            'boundary_precision', 'boundary precision', '', HIGHER, 'boundary',
            'part of the predicted edges that are real',
        ),
        Metric(
            'boundary_recall', 'boundary recall', '', HIGHER, 'boundary',
            'part of the real edges that are predicted',
        ),
        Metric(
            'confidence', 'confidence', '', NEITHER, 'confidence',
            'mean confidence of the pixels with truth',
        ),
        Metric(
            'ause', 'AUSE', '', LOWER, 'confidence',
            'area between the sparsification curve by confidence and the oracle, of AbsRel', 4,
        ),
        Metric(
            'ause_ratio', 'AUSE ratio', '', LOWER, 'confidence',
            'AUSE over that of a random ranking: 0 perfect, 1 worth nothing',
        ),
        Metric(
            'aurc', 'AURC', '', LOWER, 'confidence',
            'area under the risk-coverage curve, of AbsRel', 4,
        ),
        Metric(
            'flicker', 'flicker', '', LOWER, 'temporal',
            'mean change of ln p from frame to frame that the truth does not have', 4,
        ),
        Metric(
            'scale_step', 'scale step', '', LOWER, 'temporal',
            'change of the whole image from frame to frame: |median| of the same', 4,
        ),
    )
}  # fmt: skip
"""Metric by name, in the order of tables."""

HEADLINE = (
    'abs_rel', 'rmse', 'd1', 'silog', 'balanced_abs_rel', 'median_abs_rel', 'linear_abs_rel',
    'boundary_f1', 'ause_ratio', 'flicker', 'told',
)  # fmt: skip
"""Metrics of the short table."""
