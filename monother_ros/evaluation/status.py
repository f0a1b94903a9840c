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

    def get(self, *names: str) -> str | None:
        """
        Value of the first key that contains a name.

        :param names: parts of keys in lower case, the preferred one first.
        """
        for name in names:
            for key, value in self.values.items():
                if key.lower() == name:
                    return value
            for key, value in self.values.items():
                if name in key.lower():
                    return value
        return None


def read_status(messages: Iterable[tuple[int, Any]]) -> NodeStatus:
    """
    Read the diagnostics of a run.

    Keys are those of the depth node ('engine p95 [ms]', 'dropped: replaced', …), but any key that
    names a percentile or a drop is understood.

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
    scale = 1.0 if '[ms]' in lower or ' ms' in f' {value}' else 1000.0 if '[s]' in lower else 1.0
    named = re.search(r'\bp(50|95|99)\b', lower)
    if named:
        stage = _stage(key)
        status.latency.setdefault(stage, {})[f'p{named[1]}'] = found[0] * scale
        numbers[f'{stage} p{named[1]}'] = found[0] * scale
    elif re.search(r'latency|\[ms\]', lower) and len(found) >= 3:
        stage = _stage(key)
        named_values = dict(zip(('p50', 'p95', 'p99'), found, strict=False))
        status.latency[stage] = {p: v * scale for p, v in named_values.items()}
        numbers.update({f'{stage} {p}': v * scale for p, v in named_values.items()})
    elif 'drop' in lower:
        reason = re.sub(r'(?i)\b(frames?|images?|drop(ped|s)?)\b', '', key)
        reason = re.sub(r'\[.*?\]', '', reason).strip(' :,-_/()') or 'dropped'
        status.drops[reason] = int(found[0])


def _stage(key: str) -> str:
    """Name of a stage in a key such as 'latency engine p95 [ms]'."""
    name = re.sub(r'(?i)\b(latency|latencies|p50|p95|p99|time|of)\b|\[.*?\]|/', ' ', key)
    return re.sub(r'\s+', ' ', name).strip(' :,-_') or 'total'
