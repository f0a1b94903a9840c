# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
import time

from monother_ros.core.latest import LatestSlot


def test_newest_wins_and_the_old_one_comes_back():
    slot = LatestSlot()
    assert slot.put(1) is None
    assert slot.put(2) == 1
    assert slot.take(0) == 2
    assert slot.take(0) is None


def test_take_waits_for_an_item():
    slot = LatestSlot()
    threading.Timer(0.05, slot.put, ['x']).start()
    assert slot.take(5) == 'x'


def test_close_wakes_the_consumer_and_returns_the_rest():
    slot, got = LatestSlot(), []
    consumer = threading.Thread(target=lambda: got.append(slot.take()))
    consumer.start()
    time.sleep(0.02)
    assert slot.close() is None
    consumer.join(2)
    assert got == [None]
    assert slot.closed
    assert slot.put('late') == 'late'

    other = LatestSlot()
    other.put('unread')
    assert other.close() == 'unread'


def test_clear():
    slot = LatestSlot()
    slot.put(1)
    assert slot.clear() == 1
    assert slot.take(0) is None


def test_nothing_is_lost_or_doubled_between_threads():
    slot, taken, dropped = LatestSlot(), [], []

    def consume():
        while (item := slot.take()) is not None:
            taken.append(item)

    consumer = threading.Thread(target=consume)
    consumer.start()
    for i in range(1, 2001):
        if (old := slot.put(i)) is not None:
            dropped.append(old)
    while slot._item is not None:
        time.sleep(0.001)
    slot.close()
    consumer.join(2)
    assert sorted(taken + dropped) == list(range(1, 2001))
    assert taken == sorted(taken)
    assert taken[-1] == 2000
