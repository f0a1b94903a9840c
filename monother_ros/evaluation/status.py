# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the depth node said about itself on /diagnostics over a run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVELS = {0: 'ok', 1: 'warning', 2: 'error', 3: 'stale'}
"""Names of the levels of diagnostic_msgs/DiagnosticStatus."""


@dataclass
class NodeStatus:
    """
    Diagnostics of the depth node.

    :param values: the last value under each key, as text.
    :param latency: stage → percentile ('p50', 'p95', 'p99') → ms, the last that was said.
    :param drops: reason → frames, the last counters.
    :param series: receive time in ns, key → number, for every diagnostics message.
    :param messages: distinct warnings and errors with the number of times they were said.
    """

    values: dict[str, str] = field(default_factory=dict)
    latency: dict[str, dict[str, float]] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    series: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """
        Value of a key, whichever part of the node said it.

        :param name: key in lower case, such as 'engine'.
        """
        for key, value in self.values.items():
            if key.lower().rsplit(': ', 1)[-1] == name:
                return value
        return None


def read_status(messages: Iterable[tuple[int, Any]]) -> NodeStatus:
    """
    Read the diagnostics of a run.

    Keys are those of the depth node ('engine p50/p95/p99 [ms]', 'dropped: …'); a key for each
    percentile is understood, too.

    :param messages: receive time in ns and diagnostic_msgs/DiagnosticArray.
    """
    status = NodeStatus()
    for received, array in messages:
        numbers: dict[str, float] = {}
        for item in array.status:
            part = str(item.name).rsplit(':', 1)[-1].strip()
            level = item.level
            level = level[0] if isinstance(level, (bytes, bytearray)) else int(level)
            if level:
                text = f'{LEVELS.get(level, level)}: {part}: {_settled(str(item.message))}'
                status.messages[text] = status.messages.get(text, 0) + 1
            for value in item.values:
                key = str(value.key) if part in ('', 'depth') else f'{part}: {value.key}'
                status.values[key] = str(value.value)
                _take(status, numbers, key, str(value.value))
        status.series.append((received, numbers))
    return status


def _settled(message: str) -> str:
    """Message with its numbers replaced, so that one that repeats is counted as one."""
    return re.sub(r'\d+(\.\d+)?', '…', message)


def _take(status: NodeStatus, numbers: dict[str, float], key: str, value: str) -> None:
    """Sort one key and value into latencies, drops and plain numbers."""
    found = [float(n) for n in re.findall(r'(?<![\w.])-?\d+(?:\.\d+)?', value)]
    if not found:
        return
    lower = key.lower()
    numbers[key] = found[0]
    named = re.findall(r'\bp(?:50|95|99)\b', lower)
    if named:
        stage = _stage(key)
        values = dict(zip(named, found, strict=False))
        status.latency.setdefault(stage, {}).update(values)
        numbers.update({f'{stage} {p}': v for p, v in values.items()})
    elif 'drop' in lower:
        reason = re.sub(r'(?i)^.*?drop(ped|s)?\W*', '', key) or 'any reason'
        status.drops[reason] = int(found[0])


def _stage(key: str) -> str:
    """Name of a stage in a key such as 'engine p50/p95/p99 [ms]'."""
    name = re.sub(r'(?i)\b(latency|p50|p95|p99)\b|\[.*?\]|/', ' ', key)
    return re.sub(r'\s+', ' ', name).strip(' :,-_') or 'total'
