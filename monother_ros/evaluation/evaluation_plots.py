# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of an evaluation: models over distance, over conditions, their differences, and trust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from monother_ros.evaluation.figures import COLOURS, FAINT, INK, STYLE, png
from monother_ros.evaluation.plots import legend_above

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from monother_ros.evaluation.evaluate.schema import Calibration, Estimate, RangeBin

WIDTH = 6.4
"""Inches of a plot; readable on a phone and half of a page on a desktop."""

DPI = 130


@dataclass(frozen=True)
class Bar:
    """
    One row of a plot of estimates.

    :param name: of the row.
    :param estimates: one per model, None where it has none.
    """

    name: str
    estimates: Sequence[Estimate | None]


def colour(k: int) -> str:
    """
    Colour of a model in every plot.

    :param k: its place.
    """
    return COLOURS[k % len(COLOURS)]


def rows_plot(rows: Sequence[Bar], models: Sequence[str], label: str, zero: str = 'left') -> bytes:
    """
    Means with their confidence intervals, one row per condition or metric, one dot per model.

    :param rows: from top to bottom.
    :param models: labels for the legend, in the order of the estimates.
    :param label: of the x axis.
    :param zero: 'left' where the axis begins there, 'line' to mark it, for differences, or ''.
    :returns: PNG.
    """
    height = 1.15 + len(rows) * max(0.3, 0.17 * len(models) + 0.12)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, height), layout='constrained')
        axes = figure.add_subplot()
        axes.grid(axis='y', visible=False)
        for k, model in enumerate(models):
            shift = (k - (len(models) - 1) / 2) * 0.62 / max(len(models), 1)
            points = [
                (y + shift, row.estimates[k])
                for y, row in enumerate(rows)
                if k < len(row.estimates)
            ]
            named = model
            for y, estimate in points:
                if estimate is None or estimate.mean is None:
                    continue
                low = estimate.mean if estimate.low is None else estimate.low
                high = estimate.mean if estimate.high is None else estimate.high
                axes.plot([low, high], [y, y], '-', lw=2, color=colour(k), alpha=0.55)
                axes.plot([estimate.mean], [y], 'o', ms=5, color=colour(k), label=named or '_')
                named = ''
        axes.set_yticks(range(len(rows)), [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis='y', length=0)
        if zero == 'line':
            axes.axvline(0, color=INK, lw=1)
        elif zero == 'left':
            axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel(label)
        if len(models) > 1:
            legend_above(figure, len(models))
        return png(figure, dpi=DPI)


def range_plot(curves: Sequence[tuple[str, Sequence[RangeBin]]], metric: str, label: str) -> bytes:
    """
    A metric over the distance of the ground truth, with its confidence interval as a band.

    :param curves: label of the model and its bins.
    :param metric: name in the bins; :param label: of the y axis.
    :returns: PNG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 3.1), layout='constrained')
        axes = figure.add_subplot()
        most = 0.0
        for k, (name, bins) in enumerate(curves):
            known = [
                (b, e)
                for b in bins
                if (e := b.metrics.get(metric)) is not None and e.mean is not None
            ]
            if not known:
                continue
            x = [(b.near + b.far) / 2 for b, _ in known]
            y = np.array([e.mean for _, e in known], np.float64)
            low = np.array([e.mean if e.low is None else e.low for _, e in known], np.float64)
            high = np.array([e.mean if e.high is None else e.high for _, e in known], np.float64)
            axes.fill_between(x, low, high, color=colour(k), alpha=0.18, lw=0)
            axes.plot(x, y, '.-', lw=1.6, ms=6, color=colour(k), label=name)
            most = max(most, float(np.max(y)) * 1.15, float(np.percentile(high, 80)) * 1.05)
        if metric != 'bias' and most:
            axes.set_ylim(0, most)
        elif metric == 'bias':
            axes.axhline(0, color=INK, lw=1)
        axes.set_xlim(left=0)
        axes.set_xlabel('true distance [m]')
        axes.set_ylabel(label)
        _shares(axes, curves)
        if len(curves) > 1:
            legend_above(figure, len(curves))
        return png(figure, dpi=DPI)


def _shares(axes: Axes, curves: Sequence[tuple[str, Sequence[RangeBin]]]) -> None:
    """Grey bars along the bottom: how the pixels are spread over the distance."""
    bins = max((bins for _, bins in curves), key=len, default=())
    total = sum(b.pixels for b in bins)
    if not total:
        return
    most = max(b.pixels for b in bins)
    axes.bar(
        [(b.near + b.far) / 2 for b in bins],
        [0.22 * b.pixels / most for b in bins],
        [0.9 * (b.far - b.near) for b in bins],
        transform=axes.get_xaxis_transform(), color='#d8dde5', zorder=0,
    )  # fmt: skip
    text = axes.text(
        0.99, 0.03, 'grey: share of the pixels', transform=axes.transAxes, ha='right',
        fontsize=8, color=FAINT,
    )  # fmt: skip
    text.set_in_layout(False)


def calibration_plot(curves: Sequence[tuple[str, Calibration]]) -> bytes:
    """
    What the confidence promises against what is true; a perfect one lies on the diagonal.

    :param curves: label of the model and its calibration.
    :returns: PNG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH, 3.2), layout='constrained')
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], ':', lw=1, color=FAINT, label='perfect')
        for k, (name, curve) in enumerate(curves):
            kept = [i for i, part in enumerate(curve.part) if part > 0]
            x, y = [curve.confidence[i] for i in kept], [curve.within[i] for i in kept]
            sizes = [12 + 260 * curve.part[i] for i in kept]
            axes.plot(x, y, '-', lw=1.6, color=colour(k), label=f'{name}, {curve.error:.3f}')
            axes.scatter(x, y, sizes, color=colour(k), alpha=0.6, lw=0)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.06)
        axes.set_xlabel('confidence')
        axes.set_ylabel('pixels within 25 % (δ1)')
        legend_above(figure, len(curves) + 1)
        return png(figure, dpi=DPI)
