# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the adapt node and the depth node said on /diagnostics while one learned for the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from monother_ros.ros.messages import stamp_ns

TAKEN = 'taken'
"""Counter of the pairs that were taken to learn from or to judge on."""

ACTIONS = ('offer', 'wait', 'roll back')
"""What the guard decides."""

NO_PAIRS = (
    'calibration changed',
    'errors of learning',
    'forgotten: misaligned',
    'roll back',
    'saved state is of other weights',
    'step without a finite gradient',
    'time jumps',
)
"""Counters of the adapt node that count no pairs."""

_COUNTER, _GUARD, _MADE = 'pairs: ', 'guard: ', 'made by '
_RUN = re.compile(r'(\d+) frames, (\d+)\.(\d{9}) to (\d+)\.(\d{9})')


@dataclass(frozen=True)
class Look:
    """
    One look of the guard.

    :param stamp: ns of the drive at which it was first told.
    :param steps: of the optimiser so far.
    :param action: offer, wait or roll back.
    :param reason: for people.
    :param gain: relative fall of the error on held-out pairs; None where unknown.
    :param p: chance of seeing it without there being one; None where unknown.
    :param revision: newest good one after the look.
    """

    stamp: int
    steps: int
    action: str
    reason: str
    gain: float | None
    p: float | None
    revision: str


@dataclass
class LearningStatus:
    """
    Diagnostics of the adapt node.

    :param values: the last value under each key.
    :param looks: of the guard, in order.
    :param counts: the last counters: reason → pairs, with 'taken' among them.
    :param messages: state of learning as a sentence, each once, in order.
    """

    values: dict[str, str] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def taken(self) -> int:
        """Pairs that were taken."""
        return self.counts.get(TAKEN, 0)

    @property
    def reasons(self) -> dict[str, int]:
        """Why pairs were not learned from, most frequent first."""
        found = {
            name: count
            for name, count in self.counts.items()
            if name != TAKEN and name not in NO_PAIRS
        }
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class RevisionRun:
    """
    Consecutive frames of one revision.

    :param revision: that made them.
    :param frames: how many.
    :param first: stamp of the first in ns; :param last: of the last.
    """

    revision: str
    frames: int
    first: int
    last: int


def of_node(messages: Iterable[tuple[int, Any]], node: str) -> Iterator[tuple[int, Any]]:
    """
    Messages of one node, for both publish on the same topic.

    :param messages: receive time in ns and diagnostic_msgs/DiagnosticArray.
    :param node: its name, without namespace.
    """
    for received, array in messages:
        names = {str(item.name).rsplit(': ', 1)[0].rsplit('/', 1)[-1] for item in array.status}
        if node in names:
            yield received, array


def read_learning(messages: Iterable[tuple[int, Any]]) -> LearningStatus:
    """
    Read the diagnostics of the adapt node.

    :param messages: see :func:`of_node`.
    """
    status = LearningStatus()
    seen = dict.fromkeys(ACTIONS, 0)
    for _, array in messages:
        for item in array.status:
            if str(item.name).rsplit(': ', 1)[-1] != 'learning':
                continue
            values = {str(v.key): str(v.value) for v in item.values}
            counts = _counts(values)
            for action in ACTIONS:
                count = counts.pop(_GUARD + action, 0)
                if count > seen[action]:
                    status.looks.append(_look(stamp_ns(array), action, values))
                seen[action] = count
            status.values.update(values)
            status.counts.update(counts)
            text = re.sub(r'\d+(\.\d+)?', '…', str(item.message))
            if text not in status.messages:
                status.messages.append(text)
    return status


def _counts(values: dict[str, str]) -> dict[str, int]:
    """Counters among the values."""
    found = {}
    for key, value in values.items():
        if key.startswith(_COUNTER) and value.isdigit():
            found[key.removeprefix(_COUNTER)] = int(value)
    return found


def _look(stamp: int, action: str, values: dict[str, str]) -> Look:
    """What the guard said, from the values of the message that tells of it first."""
    said, _, reason = values.get('last decision', '').partition(': ')
    of_this = said == action
    return Look(
        stamp,
        int(_number(values.get('steps')) or 0),
        action,
        reason if of_this else '',
        _number(values.get('last decision: gain')) if of_this else None,
        _number(values.get('last decision: p')) if of_this else None,
        values.get('revision', ''),
    )


def _number(text: str | None) -> float | None:
    """Number of a value, None where it is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def revision_runs(messages: Iterable[tuple[int, Any]]) -> list[RevisionRun]:
    """
    Which revision made which frames, as the depth node told.

    :param messages: of the depth node; see :func:`of_node`.
    :returns: in the order of their stamps.
    """
    runs: dict[tuple[str, int], RevisionRun] = {}
    for _, array in messages:
        for item in array.status:
            for value in item.values:
                key, match = str(value.key), _RUN.fullmatch(str(value.value))
                if not key.startswith(_MADE) or match is None:
                    continue
                revision = re.sub(r' \(run -\d+\)$', '', key.removeprefix(_MADE))
                frames, *parts = (int(part) for part in match.groups())
                first, last = parts[0] * 10**9 + parts[1], parts[2] * 10**9 + parts[3]
                runs[revision, first] = RevisionRun(revision, frames, first, last)
    return sorted(runs.values(), key=lambda run: run.first)
