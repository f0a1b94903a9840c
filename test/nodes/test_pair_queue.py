# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs that wait for the learner."""

import pytest
from sensor_msgs.msg import Image

from monother_ros.core.stats import Counters
from monother_ros.learning.intake import ENOUGH
from monother_ros.nodes.pair_queue import LENGTH, REPLACED, PairOfMessages, PairQueue
from monother_ros.ros.messages import stamp_ns


def pair(seconds):
    msg = Image()
    msg.header.stamp.sec, rest = divmod(round(seconds * 1e9), 1_000_000_000)
    msg.header.stamp.nanosec = rest
    return PairOfMessages(msg, msg)


def seconds(pairs):
    return [stamp_ns(p.thermal) * 1e-9 for p in pairs]


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def queue(counters):
    return PairQueue(counters)


def test_a_burst_after_a_step_is_kept_and_in_order(queue, counters):
    for k in range(5):
        assert queue.put(pair(10 + 0.2 * k), 2.0)
    assert len(queue) == 5
    assert seconds(queue.take()) == pytest.approx([10, 10.2, 10.4, 10.6, 10.8])
    assert len(queue) == 0 and counters.snapshot() == {}


def test_a_fast_camera_is_thinned_by_stamps(queue, counters):
    taken = [queue.put(pair(k / 30), 2.0) for k in range(30)]
    assert sum(taken) == 8
    assert counters.snapshot() == {ENOUGH: 22}


def test_never_more_than_its_length_and_the_oldest_go(queue, counters):
    for k in range(LENGTH + 3):
        queue.put(pair(k), 2.0)
    assert seconds(queue.take()) == list(range(3, LENGTH + 3))
    assert counters.snapshot() == {REPLACED: 3}


def test_a_bag_that_loops_is_not_mistaken_for_a_fast_camera(queue):
    assert queue.put(pair(100), 2.0)
    assert queue.put(pair(1), 2.0)
    assert queue.put(pair(1.2), 2.0)


def test_after_clear_stamps_start_anew(queue):
    queue.put(pair(5), 2.0)
    queue.clear()
    assert len(queue) == 0
    assert queue.put(pair(5), 2.0)
