# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a build is, from the nested phases that TensorRT reports."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass
class _Phase:
    """One phase that runs: who it is part of, steps done and steps in all."""

    parent: str | None
    done: int
    count: int


class BuildProgress:
    """Collects phases from the threads of the builder; never goes back."""

    def __init__(self) -> None:
        """See the class."""
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._stage = 'starting'
        self._share = 0.0

    def begin(self, stage: str) -> None:
        """
        Say what is done outside of TensorRT's own phases.

        :param stage: in words.
        """
        with self._lock:
            self._stage = stage

    def update(self, phase: str, parent: str | None, done: int, count: int) -> None:
        """
        Take over what the builder says.

        :param phase: its name.
        :param parent: phase that it is a step of; None for one at the top.
        :param done: steps done.
        :param count: steps in all; a phase with all of them done has ended.
        """
        with self._lock:
            if done >= count:
                self._phases.pop(phase, None)
                over = self._phases.get(parent or '')
                self._stage = parent if over is not None and parent else phase
                if parent is None:
                    self._share = max(self._share, 1.0)
            else:
                self._phases[phase] = _Phase(parent, done, count)
                self._stage = phase
            self._share = max(self._share, self._top())

    def state(self) -> tuple[str, float]:
        """Stage in words, and the share that is done, 0 to 1."""
        with self._lock:
            return self._stage, self._share

    def _top(self) -> float:
        """Share of the phase at the top, with what runs inside of it."""
        inner: dict[str, float] = {}
        for name in reversed(self._phases):
            phase = self._phases[name]
            share = (phase.done + min(inner.get(name, 0.0), 1.0)) / max(phase.count, 1)
            if phase.parent is None:
                return min(share, 1.0)
            inner[phase.parent] = max(inner.get(phase.parent, 0.0), share)
        return 0.0
