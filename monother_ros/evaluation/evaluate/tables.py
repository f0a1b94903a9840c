# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of an evaluation: for the terminal, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from monother_ros.evaluation.evaluate.metric_names import HEADLINE, HIGHER, LOWER, METRICS
from monother_ros.evaluation.evaluate.schema import ALL, Estimate, Evaluation
from monother_ros.evaluation.evaluate.unit import UnitResult

ARROWS = {LOWER: '↓', HIGHER: '↑'}
"""Which way is better."""


def text_table(evaluation: Evaluation) -> list[str]:
    """
    Short table for the terminal.

    :param evaluation: what was measured.
    :returns: lines: the headline metrics with their intervals, of each model and of the difference
        to the first one; AbsRel per condition; notes.
    """
    labels = [model.label for model in evaluation.models]
    whole = {label: evaluation.group(label) for label in labels}
    others = {d.b: d for d in evaluation.differences if d.condition == ALL}
    head = ['', *labels, *(f'{label} - {labels[0]}' for label in others)]
    rows = [head, ['frames', *(str(g.frames) if g else '-' for g in whole.values())]]
    for name in HEADLINE:
        metric = METRICS[name]
        cells = [g.metrics.get(name) if g else None for g in whole.values()]
        if not any(c is not None and c.mean is not None for c in cells):
            continue
        changes = [d.metrics.get(name) for d in others.values()]
        unit = f' [{metric.unit}]' if metric.unit else ''
        rows.append(
            [
                f'{metric.title}{unit} {ARROWS.get(metric.better, "")}'.rstrip(),
                *(_cell(c, metric.digits) for c in cells),
                *(_cell(c, metric.digits, sign='+') for c in changes),
            ]
        )
    lines = _aligned(rows)
    if len(evaluation.conditions) > 1:
        rows = [['AbsRel by condition', 'frames', *labels]]
        for condition in evaluation.conditions:
            groups = [evaluation.group(label, condition) for label in labels]
            cells = [g.metrics.get('abs_rel') if g else None for g in groups]
            count = next((g.frames for g in groups if g), 0)
            rows.append([condition, str(count), *(_cell(c, 3) for c in cells)])
        lines += ['', *_aligned(rows)]
    level = evaluation.settings.get('level', 0.95)
    if evaluation.settings.get('bootstrap'):
        lines += ['', f'In brackets: {100 * level:g} % intervals, block bootstrap over time.']
    return lines + [f'note: {note}' for note in evaluation.notes]


def summary_csv(evaluation: Evaluation) -> str:
    """
    Every mean with its interval, a line each.

    :param evaluation: what was measured.
    :returns: CSV with model, condition, near and far (of a range of distance, else empty), metric,
        unit, mean, low, high, frames. Differences carry the model 'b - a'.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    names = ('model', 'condition', 'near', 'far', 'metric', 'unit', 'mean', 'low', 'high')
    writer.writerow([*names, 'frames'])

    def write(
        model: str, condition: str, ends: Sequence[float | str], name: str, e: Estimate
    ) -> None:
        """One line."""
        unit = METRICS[name].unit if name in METRICS else ''
        numbers = ['' if v is None else repr(v) for v in (e.mean, e.low, e.high)]
        shown = condition or 'all'
        writer.writerow([model, shown, *ends, name, unit, *numbers, e.frames])

    for group in evaluation.groups:
        for name, estimate in group.metrics.items():
            write(group.model, group.condition, ('', ''), name, estimate)
        for part in group.bins:
            for name, estimate in part.metrics.items():
                write(group.model, group.condition, (part.near, part.far), name, estimate)
    for difference in evaluation.differences:
        for name, estimate in difference.metrics.items():
            label = f'{difference.b} - {difference.a}'
            write(label, difference.condition, ('', ''), name, estimate)
    return out.getvalue()


def frames_csv(units: Sequence[UnitResult]) -> str:
    """
    Every metric of every scored frame, a line per frame and model.

    :param units: results of the recordings and models.
    :returns: CSV with recording, model, revision, index, stamp_ns, condition, then the metrics;
        empty where there is none.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    metrics = [name for name in METRICS if any(name in u.rows.columns for u in units)]
    head = ('recording', 'model', 'revision', 'index', 'stamp_ns', 'condition')
    writer.writerow([*head, *metrics])
    for unit in units:
        rows = unit.rows
        places = [rows.columns.index(n) if n in rows.columns else -1 for n in metrics]
        matrix = rows.matrix()
        for k in range(len(rows)):
            values = [float(matrix[k, p]) if p >= 0 else math.nan for p in places]
            told = ['' if math.isnan(v) else repr(v) for v in values]
            condition = rows.conditions[rows.condition[k]]
            start = (unit.recording, unit.model.name, unit.model.revision)
            writer.writerow([*start, rows.index[k], rows.stamp[k], condition, *told])
    return out.getvalue()


def _cell(estimate: Estimate | None, digits: int, sign: str = '') -> str:
    """Mean with its interval."""
    if estimate is None or estimate.mean is None:
        return '-'
    mean = f'{estimate.mean:{sign}.{digits}f}'
    if estimate.low is None or estimate.high is None:
        return mean
    return f'{mean} [{estimate.low:{sign}.{digits}f}, {estimate.high:{sign}.{digits}f}]'


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with columns below each other."""
    count = max(len(row) for row in rows)
    full = [[*row, *[''] * (count - len(row))] for row in rows]
    widths = [max(len(row[k]) for row in full) for k in range(count)]
    return [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in full
    ]
