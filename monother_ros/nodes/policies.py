# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which RGB image belongs to a thermal one, without ever waiting for it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from monother_ros.core.errors import SettingsError
from monother_ros.core.pairing import PairMatcher
from monother_ros.core.stats import Counters
from monother_ros.ros.messages import stamp_ns

KEPT = 8
"""Images kept: at 30 Hz a quarter of a second, and at most 8 MB of VGA pictures."""


BACKWARDS = 'stamps went back'


class PairingPolicy(ABC):
    """
    Pairs thermal and RGB messages; methods may be called from any thread.

    The thermal image is processed at once. An RGB image that comes later is not waited for.
    """

    name = ''

    @abstractmethod
    def add_thermal(self, msg: Any) -> None:
        """Take a thermal message as it arrives."""

    @abstractmethod
    def add_rgb(self, msg: Any) -> None:
        """Take an RGB message as it arrives."""

    @abstractmethod
    def match(self, thermal: Any) -> Any | None:
        """RGB message that belongs to a thermal one now, or None."""

    @abstractmethod
    def reset(self) -> None:
        """Forget every message, as after a jump of time."""

    def drops(self) -> dict[str, int]:
        """Messages that found no partner, by reason."""
        return {}


class NearestStamp(PairingPolicy):
    """
    The RGB image already here whose stamp is nearest, within a slop.

    :param slop_ns: largest difference of the stamps, inclusive, in nanoseconds.
    """

    name = 'nearest stamp'

    def __init__(self, slop_ns: int) -> None:
        # stream a stays empty: waiting for a complete pair would delay the depth
        self._matcher: PairMatcher[Any, Any] = PairMatcher(slop_ns, KEPT)
        self._far = Counters()

    def add_thermal(self, msg: Any) -> None:
        """Nothing to do: the partner is looked up when the image is processed."""

    def add_rgb(self, msg: Any) -> None:
        """Keep an RGB message; the older ones are forgotten when time jumps back."""
        self._matcher.add_b(stamp_ns(msg), msg)

    def match(self, thermal: Any) -> Any | None:
        """Return the nearest RGB message that is here."""
        found = self._matcher.nearest_b(stamp_ns(thermal))
        if found is None and self._matcher.waiting[1]:
            self._far.add('nearest RGB image too far in time')
        return None if found is None else found[1]

    def reset(self) -> None:
        """Forget every message."""
        self._matcher.reset()

    def drops(self) -> dict[str, int]:
        """Messages that found no partner, by reason."""
        jumps = self._matcher.counters['time_jump']
        return self._far.snapshot() | ({BACKWARDS: jumps} if jumps else {})


class MessageFilters(PairingPolicy):
    """
    A synchroniser of message_filters; a pair counts when it is complete at processing time.

    :param policy: 'approximate' or 'exact'.
    :param slop_ns: largest difference of the stamps in nanoseconds (approximate).
    :raises SettingsError: message_filters is not installed.
    """

    def __init__(self, policy: str, slop_ns: int) -> None:
        try:
            import message_filters
        except ImportError as err:
            msg = (
                f"sync_policy '{policy}' needs message_filters, which comes with a ROS "
                f"distribution and is not installed here ({err}); use 'nearest'"
            )
            raise SettingsError(msg) from err
        self._filters = message_filters
        self._policy, self._slop = policy, slop_ns
        self.name = f'message_filters {policy}'
        self._lock = threading.Lock()
        self._last = {'thermal': 0, 'rgb': 0}
        self._counters = Counters()
        self._build()

    def _build(self) -> None:
        """Make the synchroniser; the Python one does not survive stamps that go back."""
        self._thermal, self._rgb = self._filters.SimpleFilter(), self._filters.SimpleFilter()
        inputs = [self._thermal, self._rgb]
        if self._policy == 'exact':
            sync = self._filters.TimeSynchronizer(inputs, KEPT)
        else:
            # its comparison is strict, ours is not: one nanosecond more
            slop = (self._slop + 1) * 1e-9
            sync = self._filters.ApproximateTimeSynchronizer(inputs, KEPT, slop)
        sync.registerCallback(self._paired)
        self._sync = sync
        self._pairs: deque[tuple[int, Any]] = deque(maxlen=KEPT)

    def _paired(self, thermal: Any, rgb: Any) -> None:
        self._pairs.append((stamp_ns(thermal), rgb))

    def _add(self, stream: str, msg: Any) -> None:
        stamp = stamp_ns(msg)
        with self._lock:
            if stamp < self._last[stream]:
                self._counters.add(BACKWARDS)
                self._build()
                self._last = dict.fromkeys(self._last, 0)
            self._last[stream] = stamp
            (self._thermal if stream == 'thermal' else self._rgb).signalMessage(msg)

    def add_thermal(self, msg: Any) -> None:
        """Hand a thermal message to the synchroniser."""
        self._add('thermal', msg)

    def add_rgb(self, msg: Any) -> None:
        """Hand an RGB message to the synchroniser."""
        self._add('rgb', msg)

    def match(self, thermal: Any) -> Any | None:
        """Return the partner that the synchroniser has found so far."""
        stamp = stamp_ns(thermal)
        with self._lock:
            for other, rgb in reversed(self._pairs):
                if other == stamp:
                    return rgb
            self._counters.add('no pair when processed')
        return None

    def reset(self) -> None:
        """Start with an empty synchroniser."""
        with self._lock:
            self._build()
            self._last = dict.fromkeys(self._last, 0)

    def drops(self) -> dict[str, int]:
        """Messages that found no partner, by reason."""
        return self._counters.snapshot()


def make_policy(name: str, slop: float) -> PairingPolicy:
    """
    Policy of the parameter sync_policy.

    :param name: 'nearest', 'approximate' or 'exact'.
    :param slop: seconds.
    :raises SettingsError: it is not known, or not installed.
    """
    slop_ns = round(slop * 1e9)
    if name == 'nearest':
        return NearestStamp(slop_ns)
    if name in ('approximate', 'exact'):
        return MessageFilters(name, slop_ns)
    msg = f"sync_policy {name!r} is not known; use 'nearest', 'approximate' or 'exact'"
    raise SettingsError(msg)
