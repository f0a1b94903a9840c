# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import numpy as np
import pytest

from monother_ros.core.pairing import PairMatcher

MS = 1_000_000


def feed(matcher, *arrivals):
    """Add ('a', 1000), … in milliseconds; returns the stamps of the pairs in their order."""
    pairs = []
    for stream, stamp in arrivals:
        add = matcher.add_a if stream == 'a' else matcher.add_b
        pairs += [(p.stamp_a // MS, p.stamp_b // MS) for p in add(stamp * MS, (stream, stamp))]
    return pairs


def test_equal_stamps_match_without_slop():
    matcher = PairMatcher(0)
    assert feed(matcher, ('a', 5), ('b', 5)) == [(5, 5)]
    assert feed(matcher, ('b', 9), ('a', 9)) == [(9, 9)]


def test_slop_is_inclusive():
    assert feed(PairMatcher(10 * MS), ('a', 1000), ('b', 1010)) == [(1000, 1010)]
    matcher = PairMatcher(10 * MS)
    assert feed(matcher, ('a', 1000), ('b', 1011)) == []
    assert matcher.counters['a_unmatched'] == 1


def test_items_are_handed_on():
    pair = (PairMatcher(0).add_a(1, 'thermal'), None)
    assert pair[0] == []
    matcher = PairMatcher(0)
    matcher.add_b(7, 'rgb')
    (pair,) = matcher.add_a(7, 'thermal')
    assert (pair.a, pair.b) == ('thermal', 'rgb')


def test_waits_until_no_nearer_one_can_come():
    matcher = PairMatcher(20 * MS)
    assert feed(matcher, ('b', 990), ('a', 1000)) == []
    assert feed(matcher, ('b', 1002)) == [(1000, 1002)]
    assert matcher.counters['b_unmatched'] == 1
    assert feed(matcher, ('b', 1030), ('a', 1033)) == []
    assert feed(matcher, ('b', 1060)) == [(1033, 1030)]


def test_nearer_of_two_gets_the_item():
    assert feed(PairMatcher(20 * MS), ('a', 1000), ('a', 1010), ('b', 1012)) == [(1010, 1012)]


def test_out_of_order_never_goes_backwards():
    matcher = PairMatcher(10 * MS)
    assert feed(matcher, ('a', 1000), ('a', 1033), ('b', 1034), ('b', 1001)) == [(1033, 1034)]
    assert matcher.counters.snapshot() == {'a_unmatched': 1, 'b_late': 1, 'matched': 1}


def test_out_of_order_within_the_queue_is_sorted():
    matcher = PairMatcher(5 * MS)
    assert feed(matcher, ('a', 1033), ('a', 1000), ('b', 1001), ('b', 1034)) == [
        (1000, 1001),
        (1033, 1034),
    ]


def test_duplicates_are_counted():
    matcher = PairMatcher(5 * MS)
    assert feed(matcher, ('a', 1), ('a', 1), ('b', 1), ('b', 1), ('a', 1)) == [(1, 1)]
    assert matcher.counters['a_duplicate'] == 2
    assert matcher.counters['b_duplicate'] == 1


@pytest.mark.parametrize('back', [90_000, 1_400, 400])
@pytest.mark.parametrize('every', [1, 2])
def test_bag_that_loops(back, every):
    matcher, counts = PairMatcher(16 * MS), []
    for loop in range(4):
        start = 100_000 + (0 if loop == 0 else 60 * 33 - back - 60 * 33)
        pairs = []
        for i in range(60):
            pairs += feed(matcher, ('a', start + 33 * i))
            if i % every == 0:
                pairs += feed(matcher, ('b', start + 33 * i + 4))
        counts.append(len(pairs))
    assert counts[0] == 60 // every
    # up to a queue's length is lost where the loop is shorter than a delay could be
    assert min(counts[1:]) >= 60 // every - 10
    assert matcher.counters['time_jump'] >= 1


def test_stream_that_stops_fills_no_memory():
    matcher = PairMatcher(10 * MS, queue=5)
    assert feed(matcher, *(('a', 33 * i) for i in range(100))) == []
    assert matcher.counters['a_overflow'] == 95
    assert len(matcher._streams['a'].items) == 5


def test_last_pair_is_not_lost_when_the_other_stream_stops():
    matcher = PairMatcher(20 * MS, queue=3)
    feed(matcher, ('b', 990))
    assert feed(matcher, ('a', 1000), ('a', 1033), ('a', 1066)) == [(1000, 990)]


def test_slow_stream_is_paired_with_the_nearest():
    matcher = PairMatcher(20 * MS)
    pairs = []
    for t in range(0, 3000):
        if t % 33 == 0:
            pairs += feed(matcher, ('a', t))
        if t % 100 == 7:
            pairs += feed(matcher, ('b', t))
    assert len(pairs) >= 28
    stamps_b = np.arange(7, 3000, 100)
    for a, b in pairs:
        assert abs(a - b) == np.abs(stamps_b - a).min()


def test_properties_on_random_arrivals():
    rng = np.random.default_rng(11)
    for _ in range(150):
        slop, queue = int(rng.integers(0, 40)), int(rng.integers(1, 8))
        matcher = PairMatcher(slop * MS, queue)
        arrivals, total = [], {'a': 0, 'b': 0}
        for stream in 'ab':
            stamps = np.cumsum(rng.integers(1, 60, 40))
            arrivals += [(stamp + rng.integers(0, 120), stream, int(stamp)) for stamp in stamps]
        pairs = []
        for _, stream, stamp in sorted(arrivals):
            total[stream] += 1
            pairs += feed(matcher, (stream, stamp))
        assert all(abs(a - b) <= slop for a, b in pairs)
        for column in zip(*pairs, strict=True):
            assert np.all(np.diff(column) > 0)
        counts = matcher.counters.snapshot()
        for stream in 'ab':
            waiting = len(matcher._streams[stream].items)
            assert waiting <= queue
            dropped = sum(v for k, v in counts.items() if k.startswith(f'{stream}_'))
            assert total[stream] == len(pairs) + dropped + waiting


def test_callback_that_raises_stops_nothing():
    seen = []

    def callback(pair):
        seen.append(pair.stamp_a)
        if len(seen) == 1:
            raise RuntimeError('user code')

    matcher = PairMatcher(0, callback=callback)
    matcher.add_a(1, '')
    with pytest.raises(RuntimeError, match='user code'):
        matcher.add_b(1, '')
    matcher.add_a(2, '')
    matcher.add_b(2, '')
    assert seen == [1, 2]


def test_callback_may_add_and_is_outside_of_the_lock():
    seen = []

    def callback(pair):
        seen.append(pair.stamp_a)
        if pair.stamp_a < 5:
            matcher.add_a(pair.stamp_a + 1, '')
            matcher.add_b(pair.stamp_a + 1, '')
            helper = threading.Thread(target=matcher.add_a, args=(1000, ''))
            helper.start()
            helper.join(2)
            assert not helper.is_alive()

    matcher = PairMatcher(0, queue=50, callback=callback)
    matcher.add_a(1, '')
    matcher.add_b(1, '')
    assert seen == [1, 2, 3, 4, 5]


def test_delivery_in_order_from_many_threads():
    seen = []
    matcher = PairMatcher(0, queue=2000, callback=lambda pair: seen.append(pair.stamp_a))

    def work(add):
        for stamp in range(1, 1001):
            add(stamp, '')

    threads = [threading.Thread(target=work, args=(a,)) for a in (matcher.add_a, matcher.add_b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert seen == sorted(seen)
    assert len(seen) > 900


def test_nearest_without_waiting():
    matcher = PairMatcher(20 * MS)
    assert matcher.nearest_b(0) is None
    feed(matcher, ('b', 0), ('b', 33), ('b', 66))
    assert matcher.nearest_b(40 * MS) == (33 * MS, ('b', 33))
    assert matcher.nearest_b(86 * MS) == (66 * MS, ('b', 66))
    assert matcher.nearest_b(87 * MS) is None


def test_reset_forgets_the_watermark():
    matcher = PairMatcher(0)
    feed(matcher, ('a', 500), ('b', 500), ('a', 600))
    matcher.reset()
    assert feed(matcher, ('a', 100), ('b', 100)) == [(100, 100)]
    assert matcher.counters['a_reset'] == 1


@pytest.mark.parametrize(('slop', 'queue'), [(-1, 3), (0, 0)])
def test_impossible_settings(slop, queue):
    with pytest.raises(ValueError, match='must be >= 0'):
        PairMatcher(slop, queue)
