# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a measured run in the form of report.json."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.evaluation.metrics import sparsification
from monother_ros.evaluation.recording import OUTPUT_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monother_ros.evaluation.metrics import Sparsification
    from monother_ros.evaluation.recording import Recording
    from monother_ros.evaluation.summary import FrameFigures, Run

WHOLE = ('receive to publish',)
"""Stages of the depth node that are drawn over time."""

SECOND = 10**9
"""Nanoseconds."""


def figures_of(run: Run, recorded: Recording, given: Recording) -> dict[str, Any]:
    """
    All the figures of a run.

    :param run: measured run.
    :param recorded: what the node published; :param given: what it was fed with.
    :returns: content of report.json but for title, moments and hero. Times are in s from the first
        thermal frame, delays in ms, shares in 0..1; what is not known is None.
    """
    frames = frame_counts(run, recorded, given)
    status = run.status
    figures: dict[str, Any] = {
        'recorded': recorded.path.name,
        'input': given.path.name,
        'duration': (given.entries['thermal'][-1].stamp - run.origin) / SECOND,
        'frames': frames,
        'rate': _rates(run, given),
        'latency_ms': {
            'node': _plausible(status.latency),
            'recorder': {'kind': run.delay_kind, **percentiles(d for _, d in run.delays)},
        },
        'drops': status.drops,
        'node': {
            'engine': status.get('engine'),
            'bundle': status.get('bundle'),
            'revision': status.get('revision'),
            'description': status.get('description'),
            'reason': status.get('reason'),
            'transport': status.get('transport'),
            'warnings': status.messages,
        },
        'has_truth': run.has_truth,
        'overall': _part(run, run.frames, range(len(run.segments))),
        'conditions': _conditions(run, given),
        'shutter': [
            {'start': e.start, 'end': e.end, 'frames': e.frames, 'kinds': e.kinds}
            for e in run.shutter
        ],
        'stamps': {
            'equal': frames['matched'] if not run.match.offset else 0,
            'unknown': frames['out'] - frames['repeated'] - frames['matched'],
            'offset_s': run.match.offset / SECOND,
        },
        'series': _series(run, given),
    }
    figures['notes'] = [*_notes(run, figures, recorded), *run.notes]
    return figures


def frame_counts(run: Run, recorded: Recording, given: Recording) -> dict[str, Any]:
    """
    Frames that went in and came out.

    An input frame without depth is counted once: before the first depth (the node was starting),
    after the last (the end was cut), as a shutter frame, or as lost.

    :param run: measured run.
    :param recorded: what the node published; :param given: what it was fed with.
    """
    pairs = run.match.pairs
    stamps_in = sorted({e.stamp for e in given.entries['thermal']})
    answered = {pairs[e.stamp] for e in recorded.entries['depth'] if e.stamp in pairs}
    first, last = (min(answered), max(answered)) if answered else (math.inf, -math.inf)
    missing = [s for s in stamps_in if s not in answered]
    before = sum(s < first for s in missing)
    after = sum(first <= s and s > last for s in missing)
    inside = [s for s in missing if first <= s <= last]
    shutter = sum(_in_shutter(run, s) for s in inside)
    lost = len(inside) - shutter
    expected = len(stamps_in) - before - after - shutter
    return {
        'in': len(stamps_in),
        'out': len(recorded.entries['depth']),
        'matched': len(answered),
        'repeated': sum(e.repeat > 0 for e in recorded.entries['depth']),
        'before_first': before,
        'after_last': after,
        'shutter': shutter,
        'lost': lost,
        'lost_share': lost / expected if expected else None,
    }


def _plausible(latency: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Latencies without those from a stamp of another clock, which are of hours."""
    hour = 3.6e6
    return {s: p for s, p in latency.items() if all(0 <= v < hour for v in p.values())}


def _in_shutter(run: Run, stamp: int) -> bool:
    """Whether an input frame belongs to a shutter event."""
    time = (stamp - run.origin) / SECOND
    return any(e.start - 1e-6 <= time <= e.end + 1e-6 for e in run.shutter)


def _rates(run: Run, given: Recording) -> dict[str, float | None]:
    """Mean frames per second in and out."""
    times_in = np.array([e.stamp for e in given.entries['thermal']], np.float64) / SECOND
    times_out = np.array([f.received for f in run.frames], np.float64) / SECOND

    def mean_rate(times: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
        span = float(times.max() - times.min()) if len(times) > 1 else 0.0
        return (len(times) - 1) / span if span > 0 else None

    return {'in_hz': mean_rate(times_in), 'out_hz': mean_rate(times_out)}


def _conditions(run: Run, given: Recording) -> list[dict[str, Any]]:
    """Figures of each condition with the times it lasted."""
    times: dict[int, list[float]] = {}
    for entry in given.entries['thermal']:
        times.setdefault(run.segment_of(entry.stamp), []).append(
            (entry.stamp - run.origin) / SECOND
        )
    parts = []
    for k, segment in enumerate(run.segments):
        if k not in times:
            continue
        part = _part(run, [f for f in run.frames if f.segment == k], [k])
        start, end = min(times[k]), max(times[k])
        parts.append({'condition': segment.label, 'start': start, 'end': end, **part})
    return parts


def _part(run: Run, frames: Sequence[FrameFigures], segments: Iterable[int]) -> dict[str, Any]:
    """Figures of some frames."""
    names = sorted({name for f in frames for name in f.metrics})
    curve = curves(run, segments)
    return {
        'frames': len(frames),
        'compared': sum(bool(f.metrics) for f in frames),
        'metrics': {n: mean(f.metrics.get(n, math.nan) for f in frames) for n in names},
        'ause': None if curve is None else curve.ause,
        'ause_random': None if curve is None else curve.random_ause,
        'covered': mean(f.covered for f in frames),
        'finite': mean(f.finite for f in frames),
        'in_range': mean(f.in_range for f in frames),
        'change': median(f.change for f in frames),
        'confidence': mean(f.confidence for f in frames),
    }


def _series(run: Run, given: Recording) -> dict[str, Any]:
    """Values over the time of the drive for the plots."""
    stamps = np.array([e.stamp for e in given.entries['thermal']], np.float64)
    received = np.array([f.received for f in run.frames], np.float64)
    shift = np.median([f.time - f.received / SECOND for f in run.frames])
    latency: dict[str, list[list[float]]] = {}
    for stage in run.status.latency:
        if stage not in WHOLE:
            continue
        for percentile in ('p50', 'p95'):
            key = f'{stage} {percentile}'
            pairs = [
                [t / SECOND + shift, values[key]]
                for t, values in run.status.series
                if key in values
            ]
            if pairs:
                latency[key] = pairs
    return {
        'rate_in': _binned((stamps - run.origin) / SECOND),
        'rate_out': _binned(received / SECOND + shift),
        'delay_ms': [list(pair) for pair in run.delays],
        'latency_ms': latency,
    }


def _binned(times: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[float]]:
    """Events per second in whole bins of one second; the last, cut one is left out."""
    if len(times) < 2:
        return []
    ordered = np.sort(times)
    edges = np.arange(ordered[0], ordered[-1] + 1e-9, 1.0)
    if len(edges) < 2:
        span = ordered[-1] - ordered[0]
        rate = (len(ordered) - 1) / span if span > 0 else 0.0
        return [[float(ordered[0]), float(rate)], [float(ordered[-1]), float(rate)]]
    counts, _ = np.histogram(ordered[ordered < edges[-1]], edges)
    return [[float(e) + 0.5, float(c)] for e, c in zip(edges[:-1], counts, strict=True)]


def _notes(run: Run, figures: dict[str, Any], recorded: Recording) -> list[str]:
    """Sentences about what a reader must know to read the figures right."""
    notes = []
    if not run.has_truth:
        notes.append('No ground truth in this bag: only plausibility is checked.')
    elif not figures['overall']['compared'] and run.match.certain:
        notes.append('No depth image has the stamp of a ground truth: nothing was compared.')
    for role, lack in (
        ('confidence', 'there is no confidence map and no sparsification'),
        ('points', 'clouds are computed from depth, where the calibration is known'),
        ('diagnostics', "the node's own latencies, drops, engine and revision are not known"),
    ):
        if not recorded.has(role):
            notes.append(f'Nothing was recorded on {OUTPUT_ROLES[role][0]}: {lack}.')
    frames = figures['frames']
    if run.match.offset:
        seconds = run.match.offset / SECOND
        notes.append(
            f'The player stamped the frames anew, {seconds:+.3f} s from the bag; they are matched '
            'by that offset.'
            if run.match.certain
            else 'The player stamped the frames anew, and the input is so even that it cannot be '
            'told which frame is which: nothing is compared with a truth, and conditions are '
            'approximate. Play with the recorded stamps.'
        )
    if figures['stamps']['unknown']:
        count = figures['stamps']['unknown']
        notes.append(f'{count} depth images carry a stamp that no input frame has.')
    if frames['repeated']:
        notes.append(f'{frames["repeated"]} depth images repeat a stamp: the bag was looped.')
    if run.delay_kind == 'relative':
        notes.append(
            "The stamps are not of the recorder's clock, so its delays are shown as the growth "
            'over the smallest one.'
        )
    return notes


def median(values: Iterable[float]) -> float | None:
    """
    Median of the finite values, None where there are none.

    :param values: any unit.
    """
    array = np.array([v for v in values if math.isfinite(v)], np.float64)
    return float(np.median(array)) if array.size else None


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """
    p50, p95, p99 and the largest of some values; None where there are none.

    :param values: any unit; NaN is left out.
    """
    array = np.array([v for v in values if math.isfinite(v)], np.float64)
    if not array.size:
        return {'p50': None, 'p95': None, 'p99': None, 'max': None}
    p50, p95, p99 = np.percentile(array, [50, 95, 99])
    return {'p50': float(p50), 'p95': float(p95), 'p99': float(p99), 'max': float(array.max())}


def mean(values: Iterable[float]) -> float | None:
    """
    Mean of the finite values, None where there are none.

    :param values: any unit.
    """
    array = np.array([v for v in values if math.isfinite(v)], np.float64)
    return float(array.mean()) if array.size else None


def curves(run: Run, segments: Iterable[int]) -> Sparsification | None:
    """
    Sparsification of the pixels drawn from some conditions.

    :param run: measured run.
    :param segments: indices of the conditions.
    :returns: what metrics.sparsification returns, None without truth or confidence.
    """
    samples = [run.samples[s] for s in segments if s in run.samples]
    errors = [e for s in samples for e in s.errors]
    if not errors or sum(e.size for e in errors) < 100:
        return None
    confidences = [c for s in samples for c in s.confidences]
    return sparsification(np.concatenate(errors), np.concatenate(confidences))
