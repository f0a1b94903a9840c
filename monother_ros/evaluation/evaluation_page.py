# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Page of an evaluation: tables with intervals, plots and pictures in one file of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.files import atomic_write
from monother_ros.evaluation import evaluation_plots as drawn
from monother_ros.evaluation.evaluate.metric_names import HEADLINE, HIGHER, METRICS, NEITHER
from monother_ros.evaluation.evaluate.schema import ALL, Estimate
from monother_ros.evaluation.evaluation_frames import frame_sections
from monother_ros.evaluation.metrics import Sparsification
from monother_ros.evaluation.page import Picture, Report, plain, render
from monother_ros.evaluation.plots import Series as Line
from monother_ros.evaluation.plots import sparsification_plot, time_plot

if TYPE_CHECKING:
    from collections.abc import Callable

    from monother_ros.evaluation.evaluate.schema import Difference, Evaluation, Group, Series

PAGE_LIMIT = 5_000_000
"""Bytes of the page; pictures of frames beyond it are left out, and the page says so."""

PAGE = 'index.html'
"""Name of the page in the output folder."""

MOST_RECORDINGS = 4
"""Recordings whose course over time is drawn; those of the largest error where there are more."""

MOST_ROWS = 24
"""Conditions in one plot."""

LABELS = {
    'abs_rel': 'AbsRel',
    'scale': 'scale lacking (truth / depth)',
    'flicker': 'flicker |Δ ln d|',
}
"""What is drawn over time."""


def report_page(
    evaluation: Evaluation,
    out: str | Path,
    *,
    title: str = 'Evaluation',
    limit: int = PAGE_LIMIT,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """
    Write the page of an evaluation: one HTML file without anything beside it.

    :param evaluation: what was measured, with its pictures.
    :param out: folder that gets index.html.
    :param title: heading of the page.
    :param limit: bytes of the page.
    :param progress: called with the share that is done.
    :returns: the page's path and what its template was given.
    :raises OSError: the folder cannot be written.
    """
    say = progress or (lambda share: None)
    figures = {'title': title, **plain(evaluation.to_dict())}
    values = {
        'metrics': METRICS,
        'headline': headline(evaluation),
        'words': [_words(d, evaluation) for d in evaluation.differences if d.condition == ALL],
        'whole': [g for g in evaluation.groups if g.condition == ALL],
        'group': evaluation.group,
        'shares': _shares(evaluation),
        'plots': _plots(evaluation),
        'courses': _courses(evaluation),
        'environment': environment_rows(evaluation.environment),
        'percent_level': round(100 * float(evaluation.settings.get('level', 0.95))),
    }
    say(0.3)
    bare = render('evaluation.html.j2', figures, sections=[], left_out=0, **values)
    sections, left_out = frame_sections(
        evaluation, limit - len(bare.encode()) - 20_000, lambda share: say(0.3 + 0.65 * share)
    )
    text = render('evaluation.html.j2', figures, sections=sections, left_out=left_out, **values)
    page = atomic_write(Path(out) / PAGE, text)
    say(1.0)
    return Report(page, figures)


def headline(evaluation: Evaluation) -> list[str]:
    """
    Metrics of the short table: those of HEADLINE that some model has.

    :param evaluation: what was measured.
    """
    whole = [g for g in evaluation.groups if g.condition == ALL]
    return [n for n in HEADLINE if any(_mean(g.metrics.get(n)) is not None for g in whole)]


def _mean(estimate: Estimate | None) -> float | None:
    """Mean of an estimate that may be missing."""
    return None if estimate is None else estimate.mean


def _words(difference: Difference, evaluation: Evaluation) -> str:
    """One sentence about two models, by the first metric."""
    found = difference.metrics.get('abs_rel')
    if found is None or found.mean is None:
        return f'{difference.b} and {difference.a} have no frames in common.'
    level = round(100 * float(evaluation.settings.get('level', 0.95)))
    interval = (
        ''
        if found.low is None or found.high is None
        else f' ({level} % interval {_signed(found.low)} to {_signed(found.high)})'
    )
    told = f'{_signed(found.mean)}{interval} on the same {found.frames} frames'
    better = difference.certain.get('abs_rel', '')
    if not better:
        return (
            f'AbsRel of {difference.b} against {difference.a}: {told}. '
            'These recordings do not tell which of the two is better.'
        )
    names = {'a': (difference.a, difference.b), 'b': (difference.b, difference.a)}
    good, bad = names[better]
    return f'{good} is better than {bad}. AbsRel of {difference.b} against {difference.a}: {told}.'


def _signed(value: float) -> str:
    """Number with its sign, and a minus as in print."""
    return f'{value:+.4f}'.replace('-', '−')


def _shares(evaluation: Evaluation) -> list[tuple[float, float, float]]:
    """Near, far and share of the pixels of each range of distance, of the first model."""
    whole = evaluation.group(evaluation.models[0].label) if evaluation.models else None
    bins = whole.bins if whole is not None else []
    total = sum(b.pixels for b in bins)
    return [(b.near, b.far, b.pixels / total if total else 0.0) for b in bins]


def _plots(evaluation: Evaluation) -> dict[str, list[Picture]]:
    """Plots by the section of the page that shows them."""
    whole = [g for g in evaluation.groups if g.condition == ALL]
    labels = [m.label for m in evaluation.models]
    return {
        'differences': [
            _forest(d, base)
            for d in evaluation.differences
            if d.condition == ALL and (base := evaluation.group(d.a)) is not None
        ],
        'conditions': _condition_plots(evaluation, labels),
        'ranges': _range_plots(whole),
        'confidence': _confidence_plots(evaluation, whole),
    }


def _forest(difference: Difference, base: Group) -> Picture:
    """By how much one model is better than another, in percent of the first."""
    rows = []
    for name in HEADLINE:
        change, before = difference.metrics.get(name), _mean(base.metrics.get(name))
        metric = METRICS[name]
        if change is None or change.mean is None or not before or metric.better == NEITHER:
            continue
        sign = 100 / abs(before) * (1 if metric.better == HIGHER else -1)
        ends = [None if v is None else v * sign for v in (change.low, change.high)]
        known = sorted(v for v in ends if v is not None)
        low, high = known if len(known) == 2 else (None, None)
        rows.append(
            drawn.Bar(metric.title, [Estimate(change.mean * sign, low, high, change.frames)])
        )
    title = f'{difference.b} against {difference.a}: right of zero is better'
    data = drawn.rows_plot(rows, [difference.b], f'improvement over {difference.a} [%]', 'line')
    return Picture('forest.png', title, f'Improvement by metric, {title}', data)


def _condition_plots(evaluation: Evaluation, labels: Sequence[str]) -> list[Picture]:
    """Error of each condition, one dot per model."""
    if len(evaluation.conditions) < 2:
        return []
    found = []
    for name in ('abs_rel', 'd1'):
        rows = [
            drawn.Bar(c, [_metric(evaluation.group(label, c), name) for label in labels])
            for c in evaluation.conditions[:MOST_ROWS]
        ]
        metric = METRICS[name]
        data = drawn.rows_plot(
            rows, labels, metric.title, '' if metric.better == HIGHER else 'left'
        )
        alt = f'{metric.title} of each condition with its interval'
        found.append(Picture(f'conditions_{name}.png', metric.title, alt, data))
    return found


def _metric(group: Group | None, name: str) -> Estimate | None:
    """Metric of a group that may be missing."""
    return None if group is None else group.metrics.get(name)


def _range_plots(whole: Sequence[Group]) -> list[Picture]:
    """Error over the distance."""
    curves = [(g.model, g.bins) for g in whole if g.bins]
    if not curves:
        return []
    wanted = (
        ('abs_rel', 'AbsRel', 'AbsRel by distance'),
        ('rmse', 'RMSE [m]', 'RMSE by distance'),
        ('d1', 'δ1', 'Share within 25 % by distance'),
        ('bias', 'mean ln p − ln g', 'Bias by distance: above zero is too far'),
    )
    return [
        Picture(
            f'range_{name}.png', title, f'Plot: {title}', drawn.range_plot(curves, name, label)
        )
        for name, label, title in wanted
        if any(name in b.metrics for _, bins in curves for b in bins)
    ]


def _confidence_plots(evaluation: Evaluation, whole: Sequence[Group]) -> list[Picture]:
    """Whether the confidence ranks errors, and whether it keeps its promise."""
    found = []
    models = [(g.model, curve) for g in whole if (curve := _curve(g)) is not None]
    if models:
        data = sparsification_plot(models)
        title = 'Error against the share of pixels that is dropped, with AUSE'
        found.append(Picture('risk.png', title, f'Plot: {title}', data))
    first = evaluation.models[0].label if evaluation.models else ''
    by_condition = [
        (c, curve)
        for c in evaluation.conditions
        if (g := evaluation.group(first, c)) is not None and (curve := _curve(g)) is not None
    ]
    if 1 < len(by_condition) <= 6:
        title = f'The same of {first} by condition'
        data = sparsification_plot(by_condition)
        found.append(Picture('risk_conditions.png', title, f'Plot: {title}', data))
    promises = [(g.model, g.calibration) for g in whole if g.calibration is not None]
    if promises:
        title = 'Does the confidence keep its promise? Mean gap in the legend'
        data = drawn.calibration_plot(promises)
        found.append(Picture('calibration.png', title, f'Plot: {title}', data))
    return found


def _curve(group: Group) -> Sparsification | None:
    """Risk-coverage curve of a group as the plot takes it."""
    risk = group.risk
    if risk is None or not risk.dropped:
        return None
    return Sparsification(
        np.asarray(risk.dropped, np.float64),
        np.asarray(risk.by_confidence, np.float64),
        np.asarray(risk.oracle, np.float64),
        risk.random,
    )


def _courses(evaluation: Evaluation) -> list[tuple[str, list[Picture]]]:
    """Error, scale and flicker over the time of some recordings."""
    names = [r.name for r in evaluation.recordings]
    series = {(s.recording, s.model): s for s in evaluation.series}
    first = evaluation.models[0].label if evaluation.models else ''
    if len(names) > MOST_RECORDINGS:
        worst = sorted(names, key=lambda name: -_level(series.get((name, first))))
        kept = set(worst[:MOST_RECORDINGS])
        names = [name for name in names if name in kept]
    found = []
    for name in names:
        lines = {
            m.label: series[name, m.label] for m in evaluation.models if (name, m.label) in series
        }
        plots = [_course(kind, lines, name) for kind in LABELS if _has(lines, kind)]
        if plots:
            found.append((name, plots))
    return found


def _level(series: Series | None) -> float:
    """Mean AbsRel of a recording, for the choice of those that are drawn."""
    values = (
        [] if series is None else [v for v in series.values.get('abs_rel', []) if v is not None]
    )
    return float(np.mean(values)) if values else -1.0


def _has(lines: Mapping[str, Series], kind: str) -> bool:
    """Whether a value is there at two times or more."""
    return any(sum(v is not None for v in s.values.get(kind, [])) > 1 for s in lines.values())


def _course(kind: str, lines: Mapping[str, Series], name: str) -> Picture:
    """One value over the time of a recording."""
    drawn_lines = []
    for k, (label, series) in enumerate(lines.items()):
        values = [np.nan if v is None else v for v in series.values.get(kind, [])]
        drawn_lines.append(Line(label, series.time, values, drawn.colour(k)))
    spans = _spans(next(iter(lines.values())))
    data = time_plot(drawn_lines, LABELS[kind], spans, zero=kind != 'scale')
    alt = f'Plot of {LABELS[kind]} over the time of {name}'
    return Picture(f'course_{kind}.png', LABELS[kind], alt, data)


def _spans(series: Series) -> list[tuple[float, float, str]]:
    """Times over which the condition stays the same."""
    spans: list[tuple[float, float, str]] = []
    for time, condition in zip(series.time, series.condition, strict=True):
        if spans and spans[-1][2] == condition:
            spans[-1] = (spans[-1][0], time, condition)
        else:
            if spans:
                spans[-1] = (spans[-1][0], time, spans[-1][2])
            spans.append((time, time, condition))
    return spans if len(spans) <= 12 else [(spans[0][0], spans[-1][1], '')]


def environment_rows(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """
    What is known about the machine and the run, as rows of a table.

    :param environment: of the evaluation; values may be text, numbers, lists or dicts.
    """
    return [(str(k), _text(v)) for k, v in environment.items() if k != 'command' and v is not None]


def _text(value: Any) -> str:
    """Value of any plain kind in one line."""
    if isinstance(value, Mapping):
        return ', '.join(f'{k} {_text(v)}' for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ', '.join(_text(v) for v in value)
    return f'{value:g}' if isinstance(value, float) else str(value)
