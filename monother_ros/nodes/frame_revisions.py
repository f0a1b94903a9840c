# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which model revision made which published frames, and how long swaps held them up."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

KEPT = 16
"""Runs of frames that are remembered; older ones are forgotten."""


@dataclass
class Run:
    """
    Consecutive published frames of one revision.

    :param revision: that made them.
    :param count: how many.
    :param first_ns: stamp of the first, nanoseconds.
    :param last_ns: stamp of the last.
    """

    revision: str
    count: int
    first_ns: int
    last_ns: int

    def __str__(self) -> str:
        """One line for people, with the stamps in seconds."""
        return f'{self.count} frames, {_seconds(self.first_ns)} to {_seconds(self.last_ns)}'


def _seconds(stamp_ns: int) -> str:
    return f'{stamp_ns // 1_000_000_000}.{stamp_ns % 1_000_000_000:09d}'


class FrameRevisions:
    """
    The revision of each frame of the recent past; may be asked from any thread.

    Frames are published in order and swaps happen between frames, so that runs tell the revision
    of every single frame: the one whose first and last stamp lie around its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: deque[Run] = deque(maxlen=KEPT)
        self._last: float | None = None
        self.longest_gap: float | None = None

    def published(self, revision: str, stamp_ns: int, now: float, near_swap: bool) -> None:
        """
        Count a published frame.

        :param revision: that made it.
        :param stamp_ns: of the image, nanoseconds.
        :param now: seconds of a steady clock.
        :param near_swap: whether a revision was loaded since the frame before.
        """
        with self._lock:
            run = self._runs[-1] if self._runs else None
            other = run is None or run.revision != revision
            if self._last is not None and (near_swap or (other and run is not None)):
                self.longest_gap = max(self.longest_gap or 0.0, now - self._last)
            self._last = now
            if run is None or other:
                self._runs.append(Run(revision, 1, stamp_ns, stamp_ns))
            else:
                run.count += 1
                run.last_ns = stamp_ns

    def paused(self) -> None:
        """Frames stopped for a reason of their own: the next gap says nothing about swaps."""
        with self._lock:
            self._last = None

    def values(self) -> dict[str, str]:
        """The runs and the longest gap for people, newest run first."""
        with self._lock:
            gap = '' if self.longest_gap is None else f'{1e3 * self.longest_gap:.1f}'
            shown = {'longest gap between frames around swaps [ms]': gap or 'none'}
            for i, run in enumerate(reversed(self._runs)):
                shown[f'made by {run.revision}' + (f' (run -{i})' if i else '')] = str(run)
            return shown

    def runs(self) -> list[Run]:
        """Copies of the runs, oldest first."""
        with self._lock:
            return [Run(r.revision, r.count, r.first_ns, r.last_ns) for r in self._runs]
