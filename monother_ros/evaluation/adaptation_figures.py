# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a run in which the depth node was taught while it ran, in the form of report.json."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.evaluation.adaptation_run import METRICS
from monother_ros.evaluation.page import change
from monother_ros.evaluation.results import figures_of, mean, percentiles
from monother_ros.learning.revision_files import number_of

if TYPE_CHECKING:
    from monother_ros.evaluation.adaptation_run import LiveFrame, UnseenFrame
    from monother_ros.evaluation.learning_status import LearningStatus, RevisionRun
    from monother_ros.evaluation.recording import Recording
    from monother_ros.evaluation.summary import Run
    from monother_ros.learning.revision_reader import RevisionInfo

SECOND = 10**9
"""Nanoseconds."""

LEFT_OUT = ('Nothing was recorded on', 'The stamps are not of')
"""Beginnings of notes on what this report does not show."""

NOTHING = 'Nothing was learned in this drive; depth came from the model as it was.'
BACK = 'The drive ended with the model as it came; what was learned was taken back.'


def is_learned(revision: str) -> bool:
    """Whether a revision was made by learning; its base in the store and the model are not."""
    return bool(number_of(revision))


def live_figures(frames: Sequence[LiveFrame]) -> dict[str, Any]:
    """
    Error of what was published, beside that of the model as it came on the same frames.

    :param frames: of the drive.
    """
    compared = [f for f in frames if math.isfinite(f.live) and math.isfinite(f.before)]
    learned = [f for f in compared if is_learned(f.revision)]
    until = learned[0].stamp if learned else math.inf
    same = [f.same for f in compared if f.stamp < until and math.isfinite(f.same)]
    return {
        'all': _pair(compared),
        'learned': _pair(learned),
        'last_third': _pair(compared[2 * len(compared) // 3 :]),
        'largest_difference_before_first_swap_m': max(same) if same else None,
    }


def _pair(frames: Sequence[LiveFrame]) -> dict[str, Any]:
    """Mean errors of some frames, and the relative change."""
    return {
        'frames': len(frames),
        **_change(mean(f.before for f in frames), mean(f.live for f in frames)),
    }


def _change(before: float | None, after: float | None) -> dict[str, float | None]:
    """Two errors and by how much the second is lower."""
    lower = None if before is None or after is None or not before else 1 - after / before
    return {'before': before, 'after': after, 'reduction': lower}


def unseen_figures(frames: Sequence[UnseenFrame]) -> dict[str, Any]:
    """
    Error on frames that were never played.

    :param frames: of one condition.
    """
    pairs = [(f.before['abs_rel'], f.after['abs_rel']) for f in frames if f.after]
    return {
        'frames': len(frames),
        **_change(
            mean(f.before['abs_rel'] for f in frames),
            mean(f.after['abs_rel'] for f in frames if f.after),
        ),
        'better': mean(float(a < b) for b, a in pairs),
        'metrics_before': {n: mean(f.before[n] for f in frames) for n in METRICS},
        'metrics_after': {n: mean(f.after[n] for f in frames if f.after) for n in METRICS},
    }


def learning_figures(
    status: LearningStatus,
    runs: Sequence[RevisionRun],
    revisions: Sequence[RevisionInfo],
    origin: int,
) -> dict[str, Any]:
    """
    What the adapt node did.

    :param status: its diagnostics.
    :param runs: which revision made which frames.
    :param revisions: of the store, oldest first.
    :param origin: stamp of time zero in ns.
    """
    values = status.values

    def count(key: str) -> int:
        return int(values[key]) if values.get(key, '').isdigit() else 0

    return {
        'steps': count('steps'),
        'taken': status.taken,
        'reasons': status.reasons,
        'handed_over': count('revisions handed over'),
        'roll_backs': count('roll backs'),
        'teacher': values.get('teacher') or None,
        'part': values.get('part') or None,
        'problem': values.get('problem') or None,
        'looks': [
            {
                'time': (look.stamp - origin) / SECOND,
                'steps': look.steps,
                'action': look.action,
                'reason': look.reason,
                'gain': look.gain,
                'p': look.p,
                'revision': look.revision,
            }
            for look in status.looks
        ],
        'revisions': [_revision(info, runs, origin) for info in revisions],
    }


def _revision(info: RevisionInfo, runs: Sequence[RevisionRun], origin: int) -> dict[str, Any]:
    """One revision with what it reached and the frames that it made."""
    made = [run for run in runs if run.revision == info.name]
    numbers = ('gain', 'held_out_error', 'anchor_change', 'anchor_abs_rel', 'p')
    return {
        'name': info.name,
        'number': info.number,
        'parent': info.parent,
        'current': info.current,
        'withdrawn': info.withdrawn,
        'frames': sum(run.frames for run in made),
        'from': (made[0].first - origin) / SECOND if made else None,
        'to': (made[-1].last - origin) / SECOND if made else None,
        **{name: info.metrics.get(name) for name in numbers},
    }


def node_figures(run: Run, recorded: Recording, given: Recording) -> dict[str, Any]:
    """
    What the depth node achieved while the other learned.

    :param run: measured run, its status that of the depth node alone.
    :param recorded: what was published; :param given: what was played.
    """
    numbers = figures_of(run, recorded, given)
    times = np.sort(np.array([f.received for f in run.frames], np.float64)) / 1e6
    values = run.status.values
    return {
        'frames': numbers['frames'],
        'rate': numbers['rate'],
        'latency_ms': numbers['latency_ms'],
        'gaps_ms': percentiles(np.diff(times).tolist()),
        'swaps': _number(values.get('revision: swaps')),
        'refused': _number(values.get('revision: refused')),
        'last_refusal': values.get('revision: last refusal'),
        'gap_around_swaps_ms': _number(
            values.get('revision: longest gap between frames around swaps [ms]')
        ),
        'engine': numbers['node']['engine'],
        'duration': numbers['duration'],
        'series': {key: numbers['series'][key] for key in ('rate_in', 'rate_out')},
        'notes': [note for note in numbers['notes'] if not note.startswith(LEFT_OUT)],
    }


def _number(text: str | None) -> float | None:
    """Number of a value, None where it is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def why_nothing(status: LearningStatus) -> str:
    """
    One sentence for a drive after which the model is what it was.

    :param status: of the adapt node.
    """
    if not status.values:
        return 'The adapt node has said nothing; see logs/adapt_node.log.'
    problem = status.values.get('problem')
    steps = status.values.get('steps') or '0'
    if not status.taken:
        reasons = ', '.join(f'{name} ({n})' for name, n in status.reasons.items())
        text = f'No pair was taken to learn from: {reasons or "none came"}.'
    elif steps == '0':
        text = f'{status.taken} pairs were taken, too few to begin with.'
    elif not status.looks:
        text = (
            f'{steps} optimiser steps were taken, and the drive ended before the guard had '
            'judged them.'
        )
    else:
        last = status.looks[-1]
        times = 'once' if len(status.looks) == 1 else f'{len(status.looks)} times'
        text = (
            f'The guard looked {times} and offered no revision; its last word was '
            f'"{last.action}{": " + last.reason if last.reason else ""}".'
        )
    return f'{text} {problem}' if problem else text


def smooth(
    times: Sequence[float],
    values: Sequence[float],
    seconds: float,
    borders: Sequence[float] = (),
) -> list[float]:
    """
    Mean of the values within a window around each time; NaN is left out.

    :param times: s, rising.
    :param values: of each.
    :param seconds: width of the window.
    :param borders: times that no window reaches across, rising.
    """
    t, v = np.asarray(times, np.float64), np.asarray(values, np.float64)
    edges = np.array([-np.inf, *borders, np.inf])
    part = np.searchsorted(edges, t, 'right')
    first = np.searchsorted(t, np.maximum(t - seconds / 2, edges[part - 1]), 'left')
    last = np.minimum(
        np.searchsorted(t, t + seconds / 2, 'right'), np.searchsorted(t, edges[part], 'left')
    )
    finite = np.isfinite(v)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, v, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    number = counts[last] - counts[first]
    with np.errstate(invalid='ignore', divide='ignore'):
        found = (sums[last] - sums[first]) / number
    return [float(x) for x in found]


def summary(figures: Mapping[str, Any]) -> list[str]:
    """
    Short table for the terminal.

    :param figures: content of report.json.
    """
    node, learning, live = figures['depth_node'], figures['learning'], figures['live']
    frames, gaps = node['frames'], node['gaps_ms']
    lines = [
        f'depth     {frames["out"]} of {frames["in"]} frames, {frames["lost"]} lost, '
        f'{frames["shutter"]} shutter; {_text(node["rate"]["out_hz"], 2)} Hz of '
        f'{_text(node["rate"]["in_hz"], 2)} Hz; longest gap {_text(gaps["max"], 0)} ms',
        f'learning  {learning["taken"]} pairs taken, {learning["steps"]} steps, '
        f'{learning["handed_over"]} revisions handed over, {learning["roll_backs"]} roll backs',
    ]
    lines += _reason_lines(learning['reasons'].items())
    for name, part in (('learned', live['learned']), ('all', live['all'])):
        if part['frames']:
            what = 'frames of learned revisions' if name == 'learned' else 'the whole drive'
            lines.append(f'live      AbsRel {_arrow(part)}  {what}, {part["frames"]} frames')
    for name, part in figures['unseen'].items():
        lines.append(f'unseen    AbsRel {_arrow(part)}  {name}, {part["frames"]} frames')
    return [*lines, *(f'note: {note}' for note in figures['notes'])]


def _reason_lines(reasons: Iterable[tuple[str, int]]) -> list[str]:
    """Why pairs were not learned from, on one line."""
    text = ', '.join(f'{name} {count}' for name, count in reasons)
    return [f'not taken {text}'] if text else []


def _arrow(part: Mapping[str, Any]) -> str:
    """Error before and after, and the change."""
    if part['after'] is None:
        return _text(part['before'], 3)
    lower = '' if part['reduction'] is None else f' ({change(part["reduction"])})'
    return f'{_text(part["before"], 3)} -> {_text(part["after"], 3)}{lower}'


def _text(value: float | None, digits: int) -> str:
    """Number with fixed digits, or a dash."""
    return '-' if value is None else f'{value:.{digits}f}'
