# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fusion of scale sources over time: weights, ranks, rates, silences, settings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from monother_ros.core.errors import SettingsError
from monother_ros.core.scale_arbiter import CONFIRMATIONS, ScaleArbiter, ScaleSettings
from monother_ros.core.scale_sources import ScaleEstimate, silent

FRAME = 1 / 30
SLOW = ScaleSettings(rate=0.2)
FAST = ScaleSettings(rate=90.0)


class Clock:
    """Frames of a camera at 30 Hz before an arbiter."""

    def __init__(self, settings=FAST, sigma=0.2, base=1.0):
        self.arbiter = ScaleArbiter(settings)
        self.now, self.sigma, self.base = 0.0, sigma, base

    @property
    def stamp(self):
        return round(self.now * 1e9)

    def say(self, source, factor, sigma, shift=0.0):
        """An estimate that depth is to be multiplied by a factor."""
        self.arbiter.tell(ScaleEstimate(source, 1 / factor, shift, 'inverse', sigma, self.stamp))

    def frame(self, reference=8.0):
        self.now += FRAME
        base = ScaleEstimate('model', self.base, sigma=self.sigma, stamp_ns=self.stamp)
        return self.arbiter.fuse(base, reference, self.stamp)

    def run(self, seconds, **said):
        """Frames with estimates at every third of them; returns all scales."""
        results = []
        for k in range(round(seconds / FRAME)):
            if k % 3 == 0:
                for source, (factor, sigma) in said.items():
                    self.say(source, factor, sigma)
            results.append(self.frame())
        return results


def test_the_model_alone_is_applied_at_once_and_exactly():
    clock = Clock(SLOW, base=1.37)
    first = clock.frame()
    assert (first.factor, first.shift, first.source) == (1.37, 0.0, 'model')
    clock.base = 0.9  # another lens: nothing to slide to
    assert clock.frame().factor == 0.9
    assert set(first.silent) == {'range', 'focal', 'language'}


def test_a_sensor_outweighs_the_model_and_is_named():
    last = Clock().run(2.0, range=(0.77, 0.02))[-1]
    assert last.factor == pytest.approx(0.77, rel=0.01)
    assert last.source == 'range' and last.weights['range'] > 0.95
    assert last.sigma < 0.03


def test_weights_are_those_of_the_variances():
    clock = Clock(sigma=0.2)
    clock.say('language', 1.3, 0.4)
    last = clock.frame()
    # average of inverse depth: 1/1.3 with weight 0.2 and 1 with weight 0.8
    assert 1 / last.factor == pytest.approx(0.2 / 1.3 + 0.8)
    assert last.weights['language'] == pytest.approx(0.2)
    assert last.sigma == pytest.approx((1 / 0.16 + 1 / 0.04) ** -0.5)


def test_language_never_outvotes_a_sensor():
    for order in (('range', 'model', 'language'), ('language', 'model', 'range')):
        clock = Clock(ScaleSettings(sources=order, rate=90.0))
        clock.run(1.0, range=(0.8, 0.15), language=(2.0, 0.1))
        told = clock.frame()
        assert 'language' not in told.weights
        assert told.silent['language'] == 'a sensor measures'
        assert told.factor == pytest.approx(0.8, rel=0.12)


def test_the_scale_never_moves_faster_than_the_rate():
    clock = Clock(SLOW)
    results = clock.run(0.5) + clock.run(3.0, range=(0.6, 0.02)) + clock.run(2, range=(1.9, 0.02))
    logs = np.log([r.factor for r in results])
    assert np.abs(np.diff(logs)).max() <= 0.2 * FRAME * 1.001
    assert np.abs(np.diff(logs)).max() > 0.2 * FRAME * 0.9, 'the case does not slide'
    # a scale that is still on its way is not said to be sure
    lag = [abs(math.log(r.factor / 0.6)) for r in results[30:90]]
    assert all(r.sigma >= 0.8 * far for r, far in zip(results[30:90], lag, strict=True))


def test_a_shift_slides_as_well():
    clock = Clock(SLOW)
    clock.frame()
    seen = []
    for _ in range(90):
        clock.say('range', 1.0, 0.02, shift=0.02)
        found = clock.frame()
        seen.append([1 / (1 / (found.factor * d) + found.shift) for d in (2.4, 8.0, 24.0)])
    steps = np.abs(np.diff(np.log(seen), axis=0))
    assert 0 < steps.max() <= 0.2 * FRAME * 1.01
    assert seen[-1][2] == pytest.approx(1 / (1 / 24 + 0.02), rel=0.02)


def test_one_odd_estimate_of_a_sensor_changes_little():
    clock = Clock()
    clock.run(2.0, range=(0.8, 0.02))
    before = clock.frame().factor
    clock.say('range', 2.5, 0.02)
    assert clock.frame().factor == pytest.approx(before, rel=0.03)
    assert clock.run(1.0, range=(0.8, 0.02))[-1].factor == pytest.approx(0.8, rel=0.02)


def test_a_sensor_counts_after_some_estimates_that_came_in():
    clock = Clock()
    for number in range(CONFIRMATIONS):
        assert 'range' not in clock.frame().weights, number
        clock.say('range', 0.8, 0.02)
    assert 'range' in clock.frame().weights


def test_a_sensor_that_falls_silent_gives_way_slowly():
    clock = Clock(ScaleSettings(rate=90.0, hold=20.0))
    clock.run(1.0, range=(0.7, 0.02))
    factors, sigmas = [], []
    for _ in range(19):
        for _ in range(30):
            told = clock.frame()
        factors.append(told.factor)
        sigmas.append(told.sigma)
    assert factors[0] == pytest.approx(0.7, rel=0.02)
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(factors))
    assert factors[-1] > 0.75 and sigmas[-1] > 3 * sigmas[0]
    clock.run(2.0)
    told = clock.frame()
    assert told.factor == pytest.approx(1.0) and 'silent for' in told.silent['range']


def test_the_reason_of_a_silent_sensor_is_told():
    clock = Clock()
    clock.arbiter.tell(silent('range', 'no pose'))
    assert clock.frame().silent['range'] == 'no pose'
    clock.arbiter.tell(silent('language', 'no such network'))
    assert clock.frame().silent['language'] == 'no such network'


def test_a_source_that_contradicts_those_before_it_is_left_out():
    clock = Clock(ScaleSettings(sources=('range', 'focal', 'model'), rate=90.0))
    clock.run(1.0, range=(0.5, 0.02), focal=(1.6, 0.1))
    told = clock.frame()
    assert 'left out' in told.silent['focal'] and 'range' in told.silent['focal']
    assert told.factor == pytest.approx(0.5, rel=0.02)


def test_an_estimated_focal_length_takes_the_place_of_none():
    clock = Clock(sigma=0.4)
    clock.say('focal', 1.2, 0.2)
    told = clock.frame()
    assert told.factor == pytest.approx(1.2) and 'see focal' in told.silent['model']


def test_disabled_and_forced_sources():
    clock = Clock(ScaleSettings(sources=('model',), rate=90.0))
    told = clock.run(1.0, range=(0.5, 0.02), language=(2.0, 0.3))[-1]
    assert told.factor == 1.0 and told.silent['range'] == 'disabled'
    clock.arbiter.settings = ScaleSettings(force='language', rate=90.0)
    told = clock.run(1.0, range=(0.5, 0.02), language=(2.0, 0.3))[-1]
    assert told.factor == pytest.approx(2.0) and told.source == 'language'
    assert told.silent['range'] == 'language is forced'
    clock.arbiter.settings = ScaleSettings(force='focal', rate=90.0)
    told = clock.run(1.0)[-1]
    assert told.factor == pytest.approx(1.0) and told.silent['focal'] == 'nothing has come in'


def test_the_leading_source_does_not_flicker():
    clock = Clock(sigma=0.2)
    clock.say('language', 1.0, 0.21)
    names = set()
    for k in range(60):
        clock.sigma = 0.2 + 0.02 * (-1) ** k
        names.add(clock.frame().source)
    assert names == {'model'}


def test_reset_forgets_and_another_network_forgets_sensors_only():
    clock = Clock(SLOW)
    clock.run(4.0, range=(0.6, 0.02))
    clock.arbiter.forget_sensors()
    told = clock.frame()
    assert 'range' not in told.weights
    assert told.factor == pytest.approx(0.6, rel=0.03), 'the scale has jumped'
    clock.arbiter.reset()
    assert clock.frame().factor == 1.0


def test_time_that_stands_still_or_jumps_breaks_nothing():
    clock = Clock(SLOW)
    clock.run(1.0, range=(0.6, 0.02))
    before = clock.frame().factor
    clock.now -= FRAME
    assert clock.frame().factor == before
    clock.now += 3600
    told = clock.frame()
    assert math.isfinite(told.factor) and 'silent for' in told.silent['range']


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'sources': ('range', 'sonar')}, "'sonar' is not known"),
        ({'force': 'me'}, "'me' is not known"),
        ({'sources': ('range', 'range')}, 'named twice'),
        ({'rate': 0.0}, 'rate'),
        ({'hold': math.inf}, 'hold'),
        ({'window': math.nan}, 'window'),
    ],
)
def test_bad_settings_are_refused(values, words):
    with pytest.raises(SettingsError, match=words):
        ScaleSettings(**values)
