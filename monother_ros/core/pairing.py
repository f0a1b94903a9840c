# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of messages from two streams by nearest stamps."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from monother_ros.core.stats import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

A = TypeVar('A')
B = TypeVar('B')

OVERFLOW = 'overflow'
UNMATCHED = 'unmatched'
LATE = 'late'
DUPLICATE = 'duplicate'
RESET = 'reset'

JUMP_NS = 1_000_000_000
"""A stamp that lies this much before the newest of its stream is a jump in time, not a delay."""

LATE_RUN = 10
"""So many items of a stream in a row before the watermark are a jump in time, too."""


@dataclass(frozen=True)
class Pair(Generic[A, B]):
    """
    Two items that belong together.

    :param stamp_a: nanoseconds.
    :param stamp_b: nanoseconds.
    """

    stamp_a: int
    a: A
    stamp_b: int
    b: B


class PairMatcher(Generic[A, B]):
    """
    Matches each item of stream a with the nearest item of stream b, at most slop apart.

    A pair is made as soon as no nearer b can come: when b has reached the stamp of a, or the queue
    of a is full. Where two of a that wait want the same b, the nearer one gets it. Pairs never go
    backwards: what was matched last is the watermark of its stream, and older items are dropped.

    Everything that is dropped is counted with its reason: 'a_overflow' (queue full, no b came),
    'a_unmatched' (nothing near enough), 'a_late' (older than the watermark), 'a_duplicate',
    'a_reset' (time jumped), and likewise for b; 'matched' and 'time_jump' count the rest.

    A stamp far before the newest of its stream, or many late items in a row, mean that time has
    jumped (a bag that loops): both queues start anew.

    The callback runs outside of the lock, one pair at a time and in order whatever threads add
    items. It may add items itself; when it raises, the error reaches the caller of add and
    matching goes on with the next item.

    :param slop_ns: greatest difference that is a pair, inclusive, nanoseconds, >= 0.
    :param queue: items of each stream that are kept, >= 1.
    :param callback: called with each pair.
    :param jump_ns: how far back a stamp counts as a jump in time.
    :raises ValueError: slop or queue is out of range.
    """

    def __init__(
        self,
        slop_ns: int,
        queue: int = 10,
        callback: Callable[[Pair[A, B]], None] | None = None,
        *,
        jump_ns: int = JUMP_NS,
    ) -> None:
        """See the class."""
        if slop_ns < 0 or queue < 1:
            msg = f'slop {slop_ns} must be >= 0 and queue {queue} >= 1'
            raise ValueError(msg)
        self.slop_ns = slop_ns
        self.callback = callback
        self.counters = Counters()
        self._queue = queue
        self._jump = jump_ns
        self._lock = threading.Lock()
        self._streams = {'a': _Stream(), 'b': _Stream()}
        self._outbox: deque[Pair[A, B]] = deque()
        self._delivering = False

    def add_a(self, stamp_ns: int, item: A) -> list[Pair[A, B]]:
        """
        Take an item of stream a.

        :param stamp_ns: its time in nanoseconds.
        :returns: the pairs that this item completes, oldest first.
        """
        return self._add('a', stamp_ns, item)

    def add_b(self, stamp_ns: int, item: B) -> list[Pair[A, B]]:
        """Take an item of stream b; see :meth:`add_a`."""
        return self._add('b', stamp_ns, item)

    def nearest_b(self, stamp_ns: int) -> tuple[int, B] | None:
        """
        Nearest item of b that is here now, for a consumer that must not wait; it stays.

        :returns: its stamp and the item; None where nothing is within slop.
        """
        with self._lock:
            items = self._streams['b'].items
            if not items:
                return None
            best = min(items, key=lambda entry: abs(entry[0] - stamp_ns))
            return best if abs(best[0] - stamp_ns) <= self.slop_ns else None

    @property
    def waiting(self) -> tuple[int, int]:
        """Items of a and of b that are kept now."""
        with self._lock:
            return len(self._streams['a'].items), len(self._streams['b'].items)

    def reset(self) -> None:
        """Forget everything that waits and the watermarks; counters stay."""
        with self._lock:
            self._clear()

    def _add(self, name: str, stamp: int, item: Any) -> list[Pair[A, B]]:
        """Take an item and match under the lock, deliver after it."""
        with self._lock:
            stream = self._streams[name]
            back = stream.newest is not None and stamp < stream.newest - self._jump
            if back or (stream.is_late(stamp) and stream.late + 1 >= LATE_RUN):
                self.counters.add('time_jump')
                self._clear()
            reason = stream.insert(stamp, item)
            if reason:
                self.counters.add(f'{name}_{reason}')
                return []
            pairs = self._match()
            while len(stream.items) > self._queue:
                self._drop(name, OVERFLOW)
            if self.callback is not None:
                self._outbox.extend(pairs)
        if self.callback is not None:
            self._deliver(self.callback)
        return pairs

    def _deliver(self, callback: Callable[[Pair[A, B]], None]) -> None:
        """Hand out what is complete, unless another thread or an outer call is doing it."""
        while True:
            with self._lock:
                if self._delivering or not self._outbox:
                    return
                self._delivering = True
                pair = self._outbox.popleft()
            try:
                callback(pair)
            finally:
                with self._lock:
                    self._delivering = False

    def _clear(self) -> None:
        """Empty both queues and start anew."""
        for name, stream in self._streams.items():
            self.counters.add(f'{name}_{RESET}', len(stream.items))
            stream.clear()

    def _drop(self, name: str, reason: str = UNMATCHED) -> None:
        """Drop the oldest item of a stream."""
        self._streams[name].items.popleft()
        self.counters.add(f'{name}_{reason}')

    def _match(self) -> list[Pair[A, B]]:
        """Make all pairs that are certain by now."""
        a, b = self._streams['a'].items, self._streams['b'].items
        pairs: list[Pair[A, B]] = []
        while a and b:
            stamp, other = a[0][0], b[0][0]
            gap = abs(stamp - other)
            passed_b = other < stamp - self.slop_ns
            passed_a = other > stamp + self.slop_ns
            if passed_b or (len(b) > 1 and abs(b[1][0] - stamp) <= gap):
                self._drop('b')
            elif passed_a or (len(a) > 1 and self._prefers(a[1][0], gap)):
                self._drop('a')
            elif other < stamp and len(b) == 1 and len(a) < self._queue:
                break  # the next of b may be nearer
            else:
                pairs.append(Pair(*a.popleft(), *b.popleft()))
                self._streams['a'].done, self._streams['b'].done = stamp, other
                self.counters.add('matched')
        return pairs

    def _prefers(self, stamp: int, gap: int) -> bool:
        """Whether the next of a is nearer to the oldest b than gap, and has no nearer one."""
        b = self._streams['b'].items
        own = abs(b[0][0] - stamp)
        return own < gap and not (len(b) > 1 and abs(b[1][0] - stamp) <= own)


class _Stream:
    """Items of one stream in the order of their stamps."""

    def __init__(self) -> None:
        """Start empty."""
        self.items: deque[tuple[int, Any]] = deque()
        self.clear()

    def clear(self) -> None:
        """Forget items, newest stamp and watermark."""
        self.items.clear()
        self.newest: int | None = None
        self.done: int | None = None
        self.late = 0

    def is_late(self, stamp: int) -> bool:
        """Whether a stamp lies before the watermark."""
        return self.done is not None and stamp < self.done

    def insert(self, stamp: int, item: Any) -> str:
        """Put an item at its place in time, or return why it is not taken."""
        self.newest = stamp if self.newest is None else max(stamp, self.newest)
        if self.is_late(stamp):
            self.late += 1
            return LATE
        self.late = 0
        place = len(self.items)
        while place and self.items[place - 1][0] > stamp:
            place -= 1
        if stamp == self.done or (place and self.items[place - 1][0] == stamp):
            return DUPLICATE
        self.items.insert(place, (stamp, item))
        return ''
