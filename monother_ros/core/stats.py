# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counters, rates and latencies that an operator asks for; all of them thread-safe."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


class Counters:
    """Named counts, e.g. of dropped messages by reason."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """
        Count something.

        :param name: what, or why.
        :param count: how many; 0 leaves no trace.
        """
        if count:
            with self._lock:
                self._counts[name] = self._counts.get(name, 0) + count

    def __getitem__(self, name: str) -> int:
        """Count so far; 0 for what never happened."""
        with self._lock:
            return self._counts.get(name, 0)

    def snapshot(self) -> dict[str, int]:
        """All counts so far, in alphabetical order."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def total(self, *names: str) -> int:
        """Sum of some counts, of all where none is named."""
        with self._lock:
            return sum(v for k, v in self._counts.items() if not names or k in names)

    def clear(self) -> None:
        """Start from zero."""
        with self._lock:
            self._counts.clear()


class RateMeter:
    """
    Events per second over the last seconds.

    :param window: seconds that are looked back, > 0.
    :param clock: seconds of a steady clock.
    """

    def __init__(self, window: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        """See the class."""
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self._count = 0

    @property
    def count(self) -> int:
        """Events since the start."""
        return self._count

    def tick(self) -> None:
        """Note an event now."""
        with self._lock:
            self._times.append(self._clock())
            self._count += 1
            self._trim()

    def rate(self) -> float:
        """
        Events per second; 0 where fewer than two lie in the window.

        It falls while nothing comes: an interval that is still open counts once it is longer than
        the mean one.
        """
        with self._lock:
            self._trim()
            intervals = len(self._times) - 1
            if intervals < 1:
                return 0.0
            closed = self._times[-1] - self._times[0]
            waiting = self._clock() - self._times[-1]
            mean = closed / intervals
            if waiting > 2.0 * mean:
                return intervals / (closed + waiting)
            return intervals / closed if closed > 0 else 0.0

    def age(self) -> float | None:
        """Seconds since the last event in the window; None where there is none."""
        with self._lock:
            self._trim()
            return self._clock() - self._times[-1] if self._times else None

    def _trim(self) -> None:
        """Forget what is older than the window."""
        limit = self._clock() - self._window
        while self._times and self._times[0] < limit:
            self._times.popleft()


@dataclass(frozen=True)
class Latency:
    """
    Percentiles of a latency in seconds; all 0 where count is 0.

    :param count: measurements that they are of.
    """

    count: int
    p50: float
    p95: float
    p99: float
    highest: float


class LatencyWindow:
    """
    Percentiles over the last measurements.

    :param size: measurements that are kept, >= 1.
    """

    def __init__(self, size: int = 300) -> None:
        """See the class."""
        self._lock = threading.Lock()
        self._values: deque[float] = deque(maxlen=size)

    def add(self, seconds: float) -> None:
        """Note a measurement."""
        with self._lock:
            self._values.append(seconds)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def latency(self) -> Latency:
        """Percentiles of what is kept."""
        with self._lock:
            values = np.array(self._values, np.float64)
        if values.size == 0:
            return Latency(0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99, highest = np.percentile(values, [50, 95, 99, 100]).tolist()
        return Latency(values.size, p50, p95, p99, highest)
