# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.stats import Counters, LatencyWindow, RateMeter


def test_counters():
    counters = Counters()
    counters.add('late', 2)
    counters.add('busy')
    counters.add('never', 0)
    assert counters.snapshot() == {'busy': 1, 'late': 2}
    assert counters['late'] == 2
    assert counters['unknown'] == 0
    assert counters.total() == 3
    assert counters.total('busy', 'unknown') == 1
    counters.clear()
    assert counters.snapshot() == {}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_rate_of_a_steady_stream():
    clock = Clock()
    meter = RateMeter(5.0, clock)
    assert meter.rate() == 0
    assert meter.age() is None
    for _ in range(300):
        meter.tick()
        clock.now += 1 / 30
    assert meter.rate() == pytest.approx(30, rel=0.01)
    assert meter.count == 300


def test_rate_falls_when_the_stream_stops():
    clock = Clock()
    meter = RateMeter(5.0, clock)
    for _ in range(60):
        meter.tick()
        clock.now += 1 / 30
    clock.now += 2
    assert meter.age() == pytest.approx(2 + 1 / 30)
    assert 10 < meter.rate() < 20
    clock.now += 10
    assert meter.rate() == 0
    assert meter.age() is None


def test_latency_percentiles_of_the_last_values():
    window = LatencyWindow(100)
    assert window.latency().count == 0
    values = np.random.default_rng(0).uniform(0, 1, 500)
    for value in values:
        window.add(value)
    latency = window.latency()
    assert latency.count == 100
    expected = np.percentile(values[-100:], [50, 95, 99, 100])
    np.testing.assert_allclose([latency.p50, latency.p95, latency.p99, latency.highest], expected)
    window.clear()
    assert window.latency().p99 == 0
