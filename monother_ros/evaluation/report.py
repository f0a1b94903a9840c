# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Report of a recorded run: figures as JSON, pictures, and one page that works offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.files import atomic_write
from monother_ros.evaluation import figures, plots
from monother_ros.evaluation.figures import COLOURS
from monother_ros.evaluation.moments import Moment, Transforms, best, choose, load
from monother_ros.evaluation.page import Picture, Report, plain, render
from monother_ros.evaluation.recording import INPUT_ROLES, OUTPUT_ROLES, Recording
from monother_ros.evaluation.results import curves, figures_of
from monother_ros.evaluation.scale_section import read_scale, scale_chart
from monother_ros.evaluation.summary import Run, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_CURVES = 6
"""Conditions up to which each has a sparsification curve of its own."""

HERO_LIMIT = 590_000
"""Largest size of hero.png in bytes."""


def build(
    recorded_path: str | Path,
    input_path: str | Path,
    out: str | Path,
    *,
    title: str = 'Recorded run',
    topics: Mapping[str, str] | None = None,
    limits: tuple[float, float] = (0.5, 80.0),
    moments: int = 6,
    scale: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Report:
    """
    Measure a run and write its report.

    :param recorded_path: bag of what the depth node published.
    :param input_path: bag of what it was fed with.
    :param out: folder that gets index.html, report.json, hero.png and pictures/.
    :param title: heading of the page.
    :param topics: role → topic, where a bag names its topics differently.
    :param limits: depths in metres that count as in range.
    :param moments: number of moments that are shown, spread over the conditions.
    :param scale: figures of the metric scale of this and other runs of the drive, see
        :func:`monother_ros.evaluation.scale_section.read_scale`; None for none.
    :param progress: called with the share that is done.
    :returns: the page's path and the figures.
    :raises BagError: a bag cannot be read, or holds no depth or no thermal image.
    :raises SettingsError: the figures of the scale cannot be read.
    :raises OSError: the folder cannot be written.
    """
    named = dict(topics or {})
    outputs = {r: t for r, t in named.items() if r in OUTPUT_ROLES}
    inputs = {r: t for r, t in named.items() if r in INPUT_ROLES}
    say = progress or (lambda share: None)
    with (
        Recording(recorded_path, OUTPUT_ROLES, outputs) as recorded,
        Recording(input_path, INPUT_ROLES, inputs) as given,
    ):
        run = measure(recorded, given, limits, lambda share: say(0.6 * share))
        transforms = Transforms(given)
        shown = [load(f, run, recorded, given, transforms) for f in choose(run, moments)]
        heroes = [load(f, run, recorded, given, transforms) for f in best(run)]
        say(0.7)
        numbers = figures_of(run, recorded, given)
    folder = Path(out)
    hero = _hero(heroes)
    tiles = [(moment, _tiles(moment, k)) for k, moment in enumerate(shown, 1)]
    say(0.9)
    charts = _charts(run, numbers)
    numbers = {'title': title, **numbers}
    scale_plot = None
    if scale is not None:
        numbers['scale'] = read_scale(scale, run.origin)
        scale_plot = scale_chart(numbers['scale'], _condition_spans(numbers))
    numbers['moments'] = [_moment_figures(m, pictures) for m, pictures in tiles]
    if hero is not None:
        numbers['hero'] = {
            'picture': 'hero.png',
            'chosen': 'lowest AbsRel among the richer half of each condition'
            if numbers['overall']['compared']
            else 'frame of middle structure of each condition',
            'moments': [_moment_figures(m, []) for m in heroes],
        }
        atomic_write(folder / 'hero.png', hero.data)
    drawn = [*charts, *([] if scale_plot is None else [scale_plot])]
    for picture in [*drawn, *(p for _, pictures in tiles for p in pictures)]:
        atomic_write(folder / 'pictures' / picture.name, picture.data)
    atomic_write(folder / 'report.json', json.dumps(plain(numbers), indent=2) + '\n')
    page = atomic_write(
        folder / 'index.html',
        render(
            'report.html.j2',
            numbers,
            hero=hero,
            charts=charts,
            tiles=tiles,
            scale_plot=scale_plot,
        ),
    )
    say(1.0)
    return Report(page, plain(numbers))


def _moment_figures(moment: Moment, pictures: list[Picture]) -> dict[str, Any]:
    """What report.json says about a moment."""
    return {
        'time': moment.frame.time,
        'condition': moment.label,
        'stamp_ns': str(moment.frame.stamp),
        'finite': moment.frame.finite,
        **moment.frame.metrics,
        'pictures': [f'pictures/{p.name}' for p in pictures],
    }


def _tiles(moment: Moment, number: int) -> list[Picture]:
    """Pictures of one moment; what was not recorded is left out."""
    at = f'{moment.frame.time:.1f} s, {moment.label}'
    found: list[Picture] = []

    def add(kind: str, title: str, alt: str, data: bytes, *, wide: bool = False) -> None:
        name = f'moment{number}_{kind}.png'
        found.append(Picture(name, title, f'{alt} at {at}', data, wide))

    if moment.thermal is not None:
        data = figures.picture_tile(figures.thermal_picture(moment.thermal), ['inferno'])
        add('thermal', 'Thermal camera', 'Thermal image, warm is bright,', data)
    if moment.rgb is not None:
        add('rgb', 'RGB camera', 'Colour image', figures.picture_tile(moment.rgb))
    if moment.depth is not None:
        both = moment.depth if moment.truth is None else np.stack([moment.depth, moment.truth])
        norm = figures.depth_norm(both)
        if moment.truth is not None:
            data = figures.map_tile(moment.truth, 'depth', norm)
            add('truth', 'True depth', 'True depth in metres, near is red and far is blue,', data)
        data = figures.map_tile(moment.depth, 'depth', norm)
        add('depth', 'Depth', 'Depth in metres, near is red and far is blue,', data)
    if moment.confidence is not None:
        data = figures.map_tile(moment.confidence, 'confidence')
        add('confidence', 'Confidence', 'Confidence from 0 to 1, bright is sure,', data)
    if moment.error is not None:
        data = figures.map_tile(moment.error, 'error')
        add('error', 'Relative error', 'Relative error against the truth, dark is right,', data)
    if moment.points is not None and len(moment.points):
        up = 'height [m]' if moment.upright else 'over the camera [m]'
        for view, words, colour in (
            ('side', 'from the side', moment.colour),
            ('above', 'from above', None),
        ):
            data = figures.cloud_tile(
                moment.points,
                view,
                colour,
                moment.reference,
                reference_name=moment.reference_name,
                up=up,
            )
            add(view, f'Cloud {words}', f'Point cloud seen {words}', data, wide=True)
    return found


def _charts(run: Run, numbers: dict[str, Any]) -> list[Picture]:
    """Plots over the time of the drive, and the sparsification."""
    spans = _condition_spans(numbers)
    events = [(e.start, e.end) for e in run.shutter]
    found: list[Picture] = []

    def line(name: str, pairs: list[list[float]], colour: str, dots: bool = False) -> plots.Series:
        return plots.Series(name, [p[0] for p in pairs], [p[1] for p in pairs], colour, dots)

    series = numbers['series']
    found.append(
        Picture(
            'rate.png',
            'Rate',
            'Plot of input and published frames per second over time',
            plots.time_plot(
                [
                    line('thermal frames in', series['rate_in'], '#8a93a5'),
                    line('depth published', series['rate_out'], COLOURS[0]),
                ],
                'frames per second',
                spans,
                events,
            ),
        )
    )
    lines = [line(_delay_name(run.delay_kind), series['delay_ms'], COLOURS[0], dots=True)]
    for k, (name, pairs) in enumerate(series['latency_ms'].items(), 1):
        lines.append(line(name, pairs, COLOURS[k % len(COLOURS)]))
    found.append(
        Picture(
            'latency.png',
            'Latency',
            'Plot of the delay of each depth image in milliseconds over time',
            plots.time_plot(lines, 'milliseconds', spans, events),
        )
    )
    if numbers['overall']['compared']:
        labels = list(dict.fromkeys(s.label for s in run.segments))
        accuracy = []
        for k, label in enumerate(labels):
            frames = [
                f for f in run.frames if run.segments[f.segment].label == label and f.metrics
            ]
            pairs = [[f.time, f.metrics['abs_rel']] for f in frames]
            accuracy.append(line(label, pairs, COLOURS[k % len(COLOURS)], dots=True))
        data = plots.time_plot([s for s in accuracy if s.x], 'AbsRel', spans, events)
        found.append(Picture('accuracy.png', 'AbsRel', 'Plot of AbsRel per frame over time', data))
    else:
        stability = [[f.time, f.change] for f in run.frames if np.isfinite(f.change)]
        data = plots.time_plot(
            [line('median |Δ log d|', stability, COLOURS[0])], 'median |Δ log d|', spans, events
        )
        alt = 'Plot of the change of depth from frame to frame over time'
        found.append(Picture('stability.png', 'Change from frame to frame', alt, data))
    named = [('all', curves(run, range(len(run.segments))))]
    if 1 < len(run.segments) <= MOST_CURVES:
        named += [(s.label, curves(run, [k])) for k, s in enumerate(run.segments)]
    drawn = [(name, curve) for name, curve in named if curve is not None]
    if drawn:
        data = plots.sparsification_plot(drawn)
        alt = 'Plot of the error that is left when the least confident pixels are taken away'
        heading = 'Does the confidence rank errors? Sparsification with AUSE'
        found.append(Picture('sparsification.png', heading, alt, data))
    return found


def _condition_spans(numbers: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    """Start and end in s, and name, of each condition."""
    return [(c['start'], c['end'], c['condition']) for c in numbers['conditions']]


def _delay_name(kind: str) -> str:
    """Legend of the delay measured by the recorder."""
    if kind == 'stamp':
        return 'stamp to recorder'
    return 'recorder, over the smallest'


def _hero(moments: list[Moment]) -> Picture | None:
    """Wide picture for a README, or None where no moment has all it needs."""
    rows = [
        plots.HeroRow(
            m.label,
            figures.thermal_picture(m.thermal),
            m.depth,
            m.confidence,
            m.points if m.points is not None and len(m.points) else None,
            m.colour,
            m.reference,
        )
        for m in moments
        if m.thermal is not None and m.depth is not None
    ]
    if not rows:
        return None
    for share in (1.0, 0.6, 0.35, 0.2):
        data = plots.hero(rows, share=share)
        if len(data) <= HERO_LIMIT:
            break
    labels = '; '.join(r.label for r in rows)
    alt = f'Thermal image, metric depth, confidence and point cloud, one row each for: {labels}'
    return Picture('hero.png', 'From thermal image to depth', alt, data, wide=True)
