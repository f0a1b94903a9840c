# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the rows of units, wherever they were made, to what the evaluation says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.evaluation.evaluate.bootstrap import BlockBootstrap
from monother_ros.evaluation.evaluate.choose import choose
from monother_ros.evaluation.evaluate.metric_names import LOWER, METRICS
from monother_ros.evaluation.evaluate.overtime import drift_of, series_of
from monother_ros.evaluation.evaluate.schema import (
    ALL,
    Calibration,
    Difference,
    Estimate,
    Evaluation,
    Group,
    Model,
    RangeBin,
    RecordingFacts,
    RiskCoverage,
)
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.unit import BIN_VALUES, LEVELS, STEPS, UnitResult

FEW_BLOCKS = 8
"""Blocks below which an interval is rather too narrow."""

SAID = 2.0**-20
"""Unit of the columns cal_said."""


@dataclass
class _Table:
    """Rows of one model, recording after recording."""

    columns: dict[str, int]
    values: NDArray[np.float64]
    recording: NDArray[np.int64]
    index: NDArray[np.int64]
    block: NDArray[np.int64]
    condition: NDArray[np.int64]

    def column(self, name: str) -> NDArray[np.float64]:
        """One number of every frame."""
        return self.values[:, self.columns[name]]


def merge(units: Sequence[UnitResult], settings: EvaluationSettings) -> Evaluation:
    """
    Join units to one evaluation.

    :param units: one per recording and model, in any order: recordings and models are sorted as
        they first appear, so give them in the order of the command line.
    :param settings: that all of them were made with.
    :returns: the same, bit by bit, for equal units in an equal order.
    :raises SettingsError: a unit is missing or there twice, or no frame was scored.
    """
    recordings = list(dict.fromkeys(unit.recording for unit in units))
    models = _labelled(list(dict.fromkeys(unit.model for unit in units)))
    labels = {model: shown.label for model, shown in models.items()}
    by_place = {(labels[unit.model], unit.recording): unit for unit in units}
    wanted = {(label, name) for label in labels.values() for name in recordings}
    if len(units) != len(by_place) or set(by_place) != wanted:
        msg = (
            f'{len(units)} results for {len(recordings)} recordings and {len(models)} models: '
            'each recording must be evaluated once with each model'
        )
        raise SettingsError(msg)
    if not any(len(unit.rows) for unit in units):
        msg = f'no frame was scored: {_why(units)}'
        raise SettingsError(msg)
    names = list(dict.fromkeys(name for unit in units for name in unit.rows.conditions))
    tables = {
        label: _table([by_place[label, name] for name in recordings], names, settings)
        for label in labels.values()
    }
    first = next(iter(tables))
    parts = [ALL, *(names if len(names) > 1 else [])]
    ordered = [(label, by_place[label, name]) for name in recordings for label in labels.values()]
    chosen, pictures = choose(ordered)
    return Evaluation(
        settings=settings.as_dict(),
        models=list(models.values()),
        recordings=[
            _facts({label: by_place[label, name] for label in labels.values()})
            for name in recordings
        ],
        conditions=names,
        groups=[
            _group(table, label, part, names, settings)
            for label, table in tables.items()
            for part in parts
        ],
        differences=[
            _difference((first, tables[first]), (label, tables[label]), part, names, settings)
            for label in tables
            if label != first
            for part in parts
        ],
        series=[series_of(label, unit) for label, unit in ordered],
        drift=[drift_of(label, unit) for label, unit in ordered],
        chosen=chosen,
        notes=_notes(tables, parts, names, settings),
        pictures=pictures,
    )


def _labelled(models: list[Model]) -> dict[Model, Model]:
    """Models with labels that differ: the name, the revision, then a number."""
    labels = [m.name for m in models]
    if len(set(labels)) < len(labels):
        labels = [f'{m.name} {m.revision}' for m in models]
    seen: Counter[str] = Counter()
    result = {}
    for model, label in zip(models, labels, strict=True):
        seen[label] += 1
        unique = label if seen[label] == 1 else f'{label} ({seen[label]})'
        result[model] = replace(model, label=unique)
    return result


def _why(units: Sequence[UnitResult]) -> str:
    """Reasons for which no frame was scored."""
    reasons: Counter[str] = Counter()
    for unit in units:
        reasons.update(unit.skipped)
    told = ', '.join(f'{count} {reason}' for reason, count in reasons.most_common())
    return told or 'the recordings hold no frame'


def _facts(units: dict[str, UnitResult]) -> RecordingFacts:
    """What is to be said about one recording."""
    unit = next(iter(units.values()))
    return RecordingFacts(
        name=unit.recording,
        source=unit.source,
        kind=unit.kind,
        truth=unit.truth,
        frames=unit.frames,
        scored={label: len(u.rows) for label, u in units.items()},
        skipped={label: dict(sorted(u.skipped.items())) for label, u in units.items()},
        seconds=(unit.last - unit.first) / 1e9,
        notes=list(dict.fromkeys(note for u in units.values() for note in u.notes)),
    )


def _table(units: list[UnitResult], names: list[str], settings: EvaluationSettings) -> _Table:
    """Rows of one model."""
    columns = units[0].rows.columns
    blocks, conditions, count = [], [], 0
    for unit in units:
        since = np.array(unit.rows.stamp, np.int64) - unit.first
        block = since // round(settings.block * 1e9)
        blocks.append(block + count)
        # blocks are counted over the time of the recording, so that all models have the same
        count += max(0, unit.last - unit.first) // round(settings.block * 1e9) + 1
        places = np.array([names.index(name) for name in unit.rows.conditions], np.int64)
        conditions.append(places[np.array(unit.rows.condition, np.int64)])
    return _Table(
        {name: k for k, name in enumerate(columns)},
        np.concatenate([unit.rows.matrix() for unit in units]),
        np.concatenate([np.full(len(unit.rows), k) for k, unit in enumerate(units)]),
        np.concatenate([np.array(unit.rows.index, np.int64) for unit in units]),
        np.concatenate(blocks),
        np.concatenate(conditions),
    )


def _part(table: _Table, condition: str, names: list[str]) -> _Table:
    """Rows of one condition."""
    if condition == ALL:
        return table
    kept = table.condition == names.index(condition)
    arrays = (table.values, table.recording, table.index, table.block, table.condition)
    return _Table(table.columns, *(array[kept] for array in arrays))


def _bootstrap(blocks: NDArray[np.int64], settings: EvaluationSettings) -> BlockBootstrap:
    """Resamples of a group."""
    return BlockBootstrap(blocks, settings.bootstrap, settings.level, settings.seed)


def _group(
    whole: _Table, label: str, condition: str, names: list[str], settings: EvaluationSettings
) -> Group:
    """Figures of one model under one condition."""
    table = _part(whole, condition, names)
    bootstrap = _bootstrap(table.block, settings)
    metrics = {n: bootstrap.mean(table.column(n)) for n in METRICS if n in table.columns}
    bins = []
    for k in range(settings.bins if 'ranges' in settings.metrics else 0):
        pixels = int(np.nansum(table.column(f'bin{k:02d}_pixels')))
        if pixels:
            values = {
                v: bootstrap.mean(table.column(f'bin{k:02d}_{v}'))
                for v in BIN_VALUES
                if v != 'pixels'
            }
            near = k * settings.bin_width
            far = min(near + settings.bin_width, settings.far)
            bins.append(RangeBin(near, far, pixels, values))
    risk = calibration = None
    if 'confidence' in settings.metrics:
        risk, calibration = _risk(table), _calibration(table)
    return Group(label, condition, len(table.index), metrics, bins, risk, calibration)


def _risk(table: _Table) -> RiskCoverage | None:
    """Mean risk-coverage curve."""
    if not len(table.index):
        return None
    curves = {
        kind: np.stack([table.column(f'{kind}_{k:02d}') for k in range(STEPS)], 1)
        for kind in ('kept', 'oracle')
    }
    known = np.isfinite(curves['kept']).all(1)
    if not known.any():
        return None
    kept, oracle = (curves[kind][known].mean(0).tolist() for kind in ('kept', 'oracle'))
    return RiskCoverage([k / STEPS for k in range(STEPS)], kept, oracle, kept[0])


def _calibration(table: _Table) -> Calibration | None:
    """Promise and truth of the confidence over all pixels; sums of whole numbers are exact."""
    sums = {
        v: np.array([np.nansum(table.column(f'cal_{v}_{k}')) for k in range(LEVELS)])
        for v in ('n', 'said', 'within')
    }
    total = float(sums['n'].sum())
    if not total:
        return None
    count = np.maximum(sums['n'], 1)
    said, within = sums['said'] * SAID / count, sums['within'] / count
    part = sums['n'] / total
    error = float((part * np.abs(said - within)).sum())
    return Calibration(said.tolist(), within.tolist(), part.tolist(), error)


def _difference(
    one: tuple[str, _Table],
    other: tuple[str, _Table],
    condition: str,
    names: list[str],
    settings: EvaluationSettings,
) -> Difference:
    """Paired difference of two models over the frames that both have scored."""
    (label_a, whole_a), (label_b, whole_b) = one, other
    a, b = _part(whole_a, condition, names), _part(whole_b, condition, names)
    key_a, key_b = ((t.recording << 40) + t.index for t in (a, b))
    _, rows_a, rows_b = np.intersect1d(key_a, key_b, assume_unique=True, return_indices=True)
    bootstrap = _bootstrap(a.block[rows_a], settings)
    metrics: dict[str, Estimate] = {}
    certain: dict[str, str] = {}
    for name, metric in METRICS.items():
        if name not in a.columns or name not in b.columns:
            continue
        found = bootstrap.mean(b.column(name)[rows_b] - a.column(name)[rows_a])
        metrics[name] = found
        certain[name] = ''
        if metric.better and found.low is not None and found.high is not None:
            less, more = ('b', 'a') if metric.better == LOWER else ('a', 'b')
            certain[name] = less if found.high < 0 else more if found.low > 0 else ''
    return Difference(label_a, label_b, condition, metrics, certain)


def _notes(
    tables: dict[str, _Table], parts: list[str], names: list[str], settings: EvaluationSettings
) -> list[str]:
    """What a reader must know about the figures."""
    notes = []
    first = next(iter(tables.values()))
    few = [p or 'everything' for p in parts if 0 < _blocks(first, p, names) < FEW_BLOCKS]
    if settings.bootstrap and few:
        notes.append(
            f'Fewer than {FEW_BLOCKS} blocks of {settings.block:g} s: the intervals of '
            f'{"; ".join(few)} are too narrow, or there are none. Record longer drives.'
        )
    if settings.told_only:
        notes.append('Only pixels that a robot would publish are scored; see "told".')
    if settings.crop != 'none':
        notes.append(f'Only pixels within the crop "{settings.crop}" are scored.')
    if settings.every > 1:
        notes.append(f'Every {settings.every}th frame is scored.')
    return notes


def _blocks(table: _Table, condition: str, names: list[str]) -> int:
    """Number of blocks of a group."""
    return len(np.unique(_part(table, condition, names).block))
