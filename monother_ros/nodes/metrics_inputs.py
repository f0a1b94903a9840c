# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the metrics node pairs: depth with its confidence, and both with their ground truth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEPT = 60
"""Confidence images that wait for their depth, and the queue of each stream: two seconds."""


@dataclass(frozen=True)
class Frame:
    """
    One depth image with what belongs to it.

    :param stamp: nanoseconds.
    :param depth: sensor_msgs/Image in 32FC1 metres.
    :param confidence: sensor_msgs/Image of the same stamp, or None.
    :param condition: what held when it came; empty where nothing was said.
    """

    stamp: int
    depth: Any
    confidence: Any = None
    condition: str = ''


class ConfidenceJoiner:
    """
    Gives each depth image the confidence of its stamp, and waits for it no longer than needed.

    A depth image waits for its confidence until the next depth image comes or :meth:`flush` is
    called, and does not wait at all where nobody publishes a confidence.

    :param forward: called with each frame, in the order of the depth images.
    :param expected: tells whether a confidence may come.
    """

    def __init__(self, forward: Callable[[Frame], None], expected: Callable[[], bool]) -> None:
        self._forward = forward
        self._expected = expected
        self._waiting: Frame | None = None
        self._sure: OrderedDict[int, Any] = OrderedDict()

    def depth(self, frame: Frame) -> None:
        """Take a depth image."""
        self.flush()
        sure = self._sure.pop(frame.stamp, None)
        if sure is not None or not self._expected():
            self._forward(Frame(frame.stamp, frame.depth, sure, frame.condition))
        else:
            self._waiting = frame

    def confidence(self, stamp: int, msg: Any) -> None:
        """Take a confidence image, which may come before its depth."""
        frame = self._waiting
        if frame is not None and frame.stamp == stamp:
            self._waiting = None
            self._forward(Frame(stamp, frame.depth, msg, frame.condition))
            return
        self._sure[stamp] = msg
        while len(self._sure) > KEPT:
            self._sure.popitem(last=False)

    def flush(self) -> None:
        """Let a depth image that waits go on without confidence."""
        frame, self._waiting = self._waiting, None
        if frame is not None:
            self._forward(frame)

    def reset(self) -> None:
        """Forget what waits."""
        self._waiting = None
        self._sure.clear()
