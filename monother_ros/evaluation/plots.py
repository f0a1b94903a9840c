# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots over time, the sparsification plot and the wide picture of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from monother_ros.evaluation.figures import (
    COLOURS,
    FAINT,
    INK,
    STYLE,
    bar_of_map,
    depth_norm,
    draw_cloud,
    map_colours,
    png,
    widened,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from monother_ros.evaluation.metrics import Sparsification

PLOT_SIZE = (6.4, 2.8)
"""Inches of a plot over time; wide enough for a page, readable on a phone."""


@dataclass(frozen=True)
class Series:
    """
    Values over time in one plot.

    :param name: for the legend, '' for none: what stands back; :param x: s; :param y: value;
    :param colour: of the line; :param dots: instead of a line.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dots: bool = False


@dataclass(frozen=True)
class HeroRow:
    """
    One moment of the wide picture.

    :param label: condition; :param thermal: (H, W, 3) RGB; :param depth: (h, w) m;
    :param confidence: (h, w) or None; :param points: (N, 3) x forward, y left, z up, m, or None;
    :param colour: (N,) confidence of the points or None; :param reference: grey points or None.
    """

    label: str
    thermal: NDArray[np.uint8]
    depth: NDArray[np.floating]
    confidence: NDArray[np.floating] | None
    points: NDArray[np.floating] | None
    colour: NDArray[np.floating] | None
    reference: NDArray[np.floating] | None = None


def time_plot(
    series: Sequence[Series],
    label: str,
    spans: Sequence[tuple[float, float, str]] = (),
    events: Sequence[tuple[float, float]] = (),
    *,
    zero: bool = True,
    marks: Sequence[tuple[float, str]] = (),
) -> bytes:
    """
    Plot values over the time of the drive.

    :param series: lines or dots.
    :param label: of the y axis, with its unit.
    :param spans: start and end in s and the condition; shaded in turns where there are several.
    :param events: start and end in s of shutter events, drawn as grey bars.
    :param zero: the y axis begins at zero.
    :param marks: time in s and short name of instants, drawn as upright lines.
    :returns: PNG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(PLOT_SIZE, layout='constrained')
        axes = figure.add_subplot()
        for line in series:
            if line.dots:
                size, alpha = (4, 0.8) if line.name else (3, 0.35)
                axes.plot(
                    line.x, line.y, '.', ms=size, color=line.colour, alpha=alpha,
                    label=line.name or '_',
                )  # fmt: skip
            else:
                axes.plot(line.x, line.y, '-', lw=1.8, color=line.colour, label=line.name)
        _limits(axes, series, zero, room=0.3 if len(spans) > 1 else 0.12)
        for k, (start, end) in enumerate(events):
            axes.axvspan(
                start, max(end, start + 0.1), color='#8a93a5', alpha=0.35, lw=0,
                label='shutter' if k == 0 else None,
            )  # fmt: skip
        _spans(axes, spans)
        for time, name in marks:
            axes.axvline(time, color=INK, lw=1, ls='--', alpha=0.7)
            axes.annotate(
                name, (time, 1), xycoords=('data', 'axes fraction'), xytext=(2, -9),
                textcoords='offset points', fontsize=8, color=FAINT,
            )  # fmt: skip
        axes.set_xlabel('time of the drive [s]')
        axes.set_ylabel(label)
        named = sum(bool(line.name) for line in series)
        if named > 1 or events:
            legend_above(figure, named + bool(events))
        return png(figure, dpi=130)


def legend_above(figure: Figure, entries: int) -> None:
    """Legend above the plot, in rows of at most three entries."""
    columns = entries if entries <= 3 else 2 if entries in (4, 5) else 3
    figure.legend(
        loc='outside upper center', ncols=columns, fontsize=9, handlelength=1.4, columnspacing=1.2
    )


def _limits(axes: Axes, series: Sequence[Series], zero: bool, room: float) -> None:
    """Let the y axis cover the values, not one outlier a hundred times larger."""
    values = np.concatenate([np.asarray(s.y, float) for s in series] or [np.zeros(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    top = min(float(values.max()), float(np.percentile(values, 99)) * 2.5)
    bottom = 0.0 if zero else float(values.min())
    span = top - bottom
    top, bottom = top + room * span, bottom if zero else bottom - 0.05 * span
    if top > bottom:
        axes.set_ylim(bottom, top)


def _spans(axes: Axes, spans: Sequence[tuple[float, float, str]]) -> None:
    """Shade every other condition and write its name along the top."""
    if spans and spans[-1][1] > spans[0][0]:
        margin = 0.01 * (spans[-1][1] - spans[0][0])
        axes.set_xlim(spans[0][0] - margin, spans[-1][1] + margin)
    if len(spans) < 2:
        return
    whole = max(spans[-1][1] - spans[0][0], 1e-6)
    for k, (start, end, name) in enumerate(spans):
        if k % 2:
            axes.axvspan(start, end, color='#f1f4f9', lw=0, zorder=0)
        if k:
            axes.axvline(start, color='#c3c9d4', lw=0.8)
        room = int((end - start) / whole * 88)
        lines = _wrapped(name, room)
        text = axes.text(
            (start + end) / 2, 0.98, lines, transform=axes.get_xaxis_transform(), va='top',
            ha='center', fontsize=8, color=FAINT,
        )  # fmt: skip
        text.set_in_layout(False)


def _wrapped(name: str, room: int) -> str:
    """Name of a condition over as many lines as its width asks for."""
    if len(name) <= room:
        return name
    parts = name.split(', ')
    if max(len(p) for p in parts) > max(room, 3):
        return ''
    return '\n'.join(parts)


def sparsification_plot(curves: Sequence[tuple[str, Sparsification]]) -> bytes:
    """
    Mean error of what is left when the least confident pixels are taken away.

    :param curves: condition → curves; the first is drawn with its oracle and random line.
    :returns: PNG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((6.4, 3.2), layout='constrained')
        axes = figure.add_subplot()
        for k, (name, curve) in enumerate(curves):
            dropped = np.asarray(curve.dropped) * 100
            colour = COLOURS[k % len(COLOURS)]
            text = f'{name}, {curve.ause:.3f}'
            axes.plot(
                dropped, curve.by_confidence, color=colour, lw=2 if k == 0 else 1.3, label=text
            )
            if k == 0:
                axes.plot(dropped, curve.oracle, color=colour, lw=1, ls='--', label='oracle')
                axes.axhline(
                    curve.by_confidence[0], color=FAINT, lw=1, ls=':', label='random order'
                )
        axes.set_xlim(0, 100)
        axes.set_ylim(0)
        axes.set_xlabel('least confident pixels taken away [%]')
        axes.set_ylabel('mean error of the rest')
        legend_above(figure, len(curves) + 2)
        return png(figure, dpi=130)


def hero(rows: Sequence[HeroRow], width: int = 1600, share: float = 1.0) -> bytes:
    """
    Wide picture: thermal, depth, confidence and cloud, one row per condition.

    :param rows: at most three moments.
    :param width: px; :param share: part of the palette that is used.
    :returns: PNG.
    """
    gap, top, left, foot = 12, 40, 44, 62
    clouds = all(r.points is not None for r in rows)
    cell = (width - left - 4 * gap) * 0.235 if clouds else (width - left - 3 * gap) / 3
    high = cell * rows[0].thermal.shape[0] / rows[0].thermal.shape[1]
    height = top + len(rows) * (high + gap) + foot
    cloud_left = left + 3 * (cell + gap) + 64
    with mpl.rc_context(STYLE):
        figure = Figure((width / 100, height / 100))

        def place(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
            return x / width, 1 - (y + h) / height, w / width, h / height

        names = ('thermal camera', 'metric depth', 'confidence', 'point cloud from the side')
        starts = (left, left + cell + gap, left + 2 * (cell + gap), cloud_left)
        for name, x in list(zip(names, starts, strict=True))[: 4 if clouds else 3]:
            figure.text(
                x / width, 1 - 26 / height, name, fontsize=14, fontweight='bold', color=INK
            )
        norm = depth_norm(np.concatenate([r.depth.ravel()[::5] for r in rows]))
        for k, row in enumerate(rows):
            y = top + k * (high + gap)
            figure.text(
                20 / width, 1 - (y + high / 2) / height, row.label, rotation=90, ha='center',
                va='center', fontsize=12, color=INK,
            )  # fmt: skip
            pictures = [row.thermal, map_colours(row.depth, 'depth', norm)]
            if row.confidence is not None:
                pictures.append(map_colours(row.confidence, 'confidence'))
            for x, picture in zip(starts, pictures, strict=False):
                axes = figure.add_axes(place(x, y, cell, high))
                axes.imshow(widened(picture, round(cell)), aspect='auto')
                axes.set_axis_off()
            if row.points is None or not clouds:
                continue
            axes = figure.add_axes(place(cloud_left, y, width - cloud_left - gap, high - 22))
            draw_cloud(axes, row.points, 'side', row.colour, row.reference, None, mark=1.6)
            axes.tick_params(labelsize=9)
            axes.set_ylabel('height [m]', fontsize=9, labelpad=1)
            if k == len(rows) - 1:
                figure.text(
                    (cloud_left + (width - cloud_left - gap) / 2) / width, 12 / height,
                    'forward [m]', ha='center', fontsize=11,
                )  # fmt: skip
        y = top + len(rows) * (high + gap)
        for x, kind in zip(starts[1:3], ('depth', 'confidence'), strict=True):
            bar = place(x + cell * 0.05, y + 2, cell * 0.9, 10)
            bar_of_map(figure, bar, kind, norm, size=11, label_y=1 - (y + foot - 4) / height)
        return png(figure, ['turbo', 'viridis', 'inferno'], share=share)
