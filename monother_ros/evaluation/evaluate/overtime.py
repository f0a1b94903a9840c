# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a unit shows over its time: curves for the page, and the drift of the scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monother_ros.evaluation.evaluate.schema import Drift, Series
from monother_ros.evaluation.evaluate.unit import UnitResult

POINTS = 400
"""Most points of a curve."""

SLOW = 10.0
"""Seconds whose mean scale counts as slow."""

NEXT = 1.0
"""Seconds up to which two frames follow each other."""


def series_of(label: str, unit: UnitResult) -> Series:
    """
    Curves of a unit over its time.

    :param label: of the model.
    :param unit: its rows.
    """
    rows = unit.rows
    matrix, count = rows.matrix(), len(rows)
    time = _seconds(unit)
    # runs of frames of one condition, each cut into parts of equal length
    condition = np.array(rows.condition, np.int64)
    size = max(1, -(-count // POINTS))
    starts: list[int] = []
    for k in range(count):
        if not starts or condition[k] != condition[starts[-1]] or k - starts[-1] >= size:
            starts.append(k)
    ends = [*starts[1:], count]
    wanted = [n for n in ('abs_rel', 'scale', 'flicker', 'confidence') if n in rows.columns]
    values: dict[str, list[float | None]] = {}
    for name in wanted:
        column = matrix[:, rows.columns.index(name)]
        values[name] = [_mean(column[a:b]) for a, b in zip(starts, ends, strict=True)]
    return Series(
        label,
        unit.recording,
        [float(time[a:b].mean()) for a, b in zip(starts, ends, strict=True)],
        [rows.conditions[condition[a]] for a in starts],
        values,
    )


def drift_of(label: str, unit: UnitResult) -> Drift:
    """
    Drift of the scale of a unit.

    :param label: of the model.
    :param unit: its rows.
    """
    rows = unit.rows
    scale = rows.matrix()[:, rows.columns.index('scale')]
    known = np.isfinite(scale) & (scale > 0)
    log, time = np.log(scale[known]), _seconds(unit)[known]
    if not len(log):
        return Drift(label, unit.recording, None, None, None, None)
    slope = wander = jitter = None
    if time[-1] - time[0] >= SLOW:
        centred = time - time.mean()
        slope = float((centred * (log - log.mean())).sum() / (centred**2).sum() * 60)
        window = (time // SLOW).astype(np.int64)
        _, place = np.unique(window, return_inverse=True)
        place = place.reshape(-1)
        means = np.bincount(place, log) / np.bincount(place)
        wander = float(means.std()) if len(means) > 1 else None
    follows = np.diff(time) <= NEXT
    if follows.any():
        jitter = float(np.diff(log)[follows].std() / np.sqrt(2))
    return Drift(label, unit.recording, float(log.mean()), slope, wander, jitter)


def _seconds(unit: UnitResult) -> NDArray[np.float64]:
    """Time of each frame since the first one of the recording."""
    return (np.array(unit.rows.stamp, np.int64) - unit.first) / 1e9


def _mean(values: NDArray[np.float64]) -> float | None:
    """Mean of what is a number."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
