# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs that wait while the worker takes a step."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from monother_ros.core.stats import Counters
from monother_ros.learning.intake import ENOUGH
from monother_ros.ros.messages import stamp_ns

LENGTH = 8
"""Pairs that wait at most. A step of a second on one thread must not cost the pairs that come in
it; what waits longer is of no more use than what comes next."""

LOOKS_PER_PAIR = 4
"""Pairs shown to the gates for each that the teacher may see, so that one that the gates refuse
does not cost a turn; the rest is not even decoded."""

REPLACED = 'replaced by a newer pair'
"""Reason: the queue was full and the oldest pair went."""


class PairOfMessages(NamedTuple):
    """A thermal and an RGB message that belong together."""

    thermal: Any
    rgb: Any


class PairQueue:
    """
    Bounded queue of pairs, thinned by their stamps; the caller holds its lock.

    Stamps, not the time of arrival, thin it: messages that come in a burst after a pause are
    still of different moments.

    :param counters: take the reasons for which pairs go.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._pairs: deque[PairOfMessages] = deque()
        self._last: int | None = None

    def __len__(self) -> int:
        return len(self._pairs)

    def put(self, pair: PairOfMessages, pair_rate: float) -> bool:
        """
        Append a pair, unless the last one is too near in time.

        :param pair: the newest.
        :param pair_rate: pairs per second that are learned from.
        :returns: whether it waits now.
        """
        stamp = stamp_ns(pair.thermal)
        # a little less than the period: cameras do not keep exact time
        nearest = 0.9e9 / (LOOKS_PER_PAIR * pair_rate)
        if self._last is not None and 0 <= stamp - self._last < nearest:
            self._counters.add(ENOUGH)
            return False
        self._last = stamp
        if len(self._pairs) >= LENGTH:
            self._pairs.popleft()
            self._counters.add(REPLACED)
        self._pairs.append(pair)
        return True

    def take(self) -> list[PairOfMessages]:
        """All pairs that wait, oldest first."""
        pairs = list(self._pairs)
        self._pairs.clear()
        return pairs

    def clear(self) -> None:
        """Forget what waits, and stamps."""
        self._pairs.clear()
        self._last = None
