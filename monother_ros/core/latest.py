# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A slot for one item in which the newest wins, so that a slow consumer never builds a queue."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class LatestSlot(Generic[T]):
    """Hand-over between the thread that receives and the thread that works."""

    def __init__(self) -> None:
        """Start empty and open."""
        self._condition = threading.Condition()
        self._item: T | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the consumer shall end."""
        return self._closed

    def put(self, item: T) -> T | None:
        """
        Put an item in, whether or not the last one was taken.

        :returns: the item that was never taken, to be counted as dropped; the new item itself
            where the slot is closed; None where nothing is lost.
        """
        with self._condition:
            if self._closed:
                return item
            dropped, self._item = self._item, item
            self._condition.notify()
            return dropped

    def take(self, timeout: float | None = None) -> T | None:
        """
        Take the newest item out, waiting for one.

        :param timeout: seconds to wait at most; None waits until an item comes or the slot closes.
        :returns: the item; None after the timeout and where the slot is closed.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def clear(self) -> T | None:
        """Empty the slot; returns what was in it."""
        with self._condition:
            item, self._item = self._item, None
            return item

    def close(self) -> T | None:
        """Wake the consumer for the last time; returns what was still in the slot."""
        with self._condition:
            self._closed = True
            item, self._item = self._item, None
            self._condition.notify_all()
            return item
