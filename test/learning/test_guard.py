# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The guard offers what is better, hardly ever by chance, and finds what is worse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monother_ros.core.errors import AdaptationError, SettingsError
from monother_ros.learning.guard import (
    Guard,
    GuardSettings,
    student_quantile,
    student_tail,
    time_blocks,
)
from monother_ros.learning.guard_rate import ExplosionWatch, RateFall


def alike(rng, count, rho, skewed=False):
    """Noise of unit deviation whose neighbours are alike (autoregressive)."""
    white = rng.standard_exponential(count) - 1.0 if skewed else rng.standard_normal(count)
    noise = np.empty(count)
    noise[0] = white[0]
    for k in range(1, count):
        noise[k] = rho * noise[k - 1] + math.sqrt(1 - rho**2) * white[k]
    return noise


def errors(rng, count, change, spread, rho=0.0, skewed=False):
    """Errors of held-out pairs before, and after a relative change of each."""
    before = 0.2 * np.exp(0.4 * rng.standard_normal(count))
    return before, before * np.exp(change + spread * alike(rng, count, rho, skewed))


def offered_falsely(seed, rho, skewed=False, pairs=40, looks=50, correlation=0.9):
    """
    Whether one of many looks offers though nothing is better on average.

    The memory of pairs moves on from look to look, and so do the weights, by chance.
    """
    rng = np.random.default_rng([seed, 31])
    guard = Guard()
    stream = 0.2 * np.exp(0.4 * rng.standard_normal(pairs + 2 * looks))
    common = alike(rng, len(stream), rho, skewed)
    for look in range(looks):
        fresh = alike(rng, len(stream), rho, skewed)
        common = correlation * common + math.sqrt(1 - correlation**2) * fresh
        part = slice(2 * look, 2 * look + pairs)
        after = stream[part] * np.exp(0.08 * common[part])
        if guard.judge(stream[part], after).action == 'offer':
            return True
    return False


@pytest.mark.parametrize(('rho', 'skewed'), [(0.0, False), (0.6, False), (0.3, True)])
def test_no_improvement_is_hardly_ever_offered_in_a_run_of_50_looks(rho, skewed):
    runs = 150
    false = sum(offered_falsely(seed, rho, skewed) for seed in range(runs))
    # 5 % are allowed over the whole run
    assert false / runs <= 0.05


@pytest.mark.parametrize(('rho', 'least'), [(0.0, 0.95), (0.5, 0.5)])
def test_five_percent_better_on_40_pairs_is_found(rho, least):
    runs = 200
    found = 0
    for seed in range(runs):
        rng = np.random.default_rng([seed, 32])
        guard = Guard()
        for _ in range(3):
            before, after = errors(rng, 40, math.log(0.95), 0.06, rho)
            if guard.judge(before, after).action == 'offer':
                found += 1
                break
    assert found / runs >= least


def test_gain_is_the_relative_fall_of_the_error():
    rng = np.random.default_rng(0)
    decision = Guard().judge(*errors(rng, 60, math.log(0.7), 0.02))
    assert decision.action == 'offer'
    assert decision.gain == pytest.approx(0.3, abs=0.02)
    assert decision.p < decision.level < 0.05
    assert '30.' in decision.reason or '29.' in decision.reason


def test_worse_pairs_are_rolled_back_and_rarely_by_chance():
    rng = np.random.default_rng(1)
    assert Guard().judge(*errors(rng, 40, 0.1, 0.05)).action == 'roll back'
    chance = sum(
        Guard().judge(*errors(rng, 40, 0.0, 0.06, 0.3)).action == 'roll back' for _ in range(400)
    )
    assert chance / 400 <= 0.025


def test_few_pairs_decide_nothing_and_use_up_no_look():
    guard = Guard()
    rng = np.random.default_rng(2)
    before, after = errors(rng, 19, -1.0, 0.01)
    decision = guard.judge(before, after)
    assert decision.action == 'wait' and guard.looks == 0
    assert '20 are needed' in decision.reason
    # pairs in which nothing counts do not help
    blank = np.full(30, np.nan)
    decision = guard.judge(np.concatenate([before, blank]), np.concatenate([after, blank]))
    assert decision.action == 'wait' and guard.looks == 0


def test_each_look_makes_the_next_one_harder_until_an_offer():
    guard = Guard()
    rng = np.random.default_rng(3)
    first = guard.level()
    total = 0.0
    for _ in range(200):
        total += guard.level()
        assert guard.judge(*errors(rng, 40, 0.0, 0.05)).action != 'offer'
    assert guard.level() < first / 1000 and total < 0.05
    assert guard.judge(*errors(rng, 40, -0.5, 0.05)).action == 'offer'
    assert guard.level() == first


def test_looks_survive_a_restart():
    guard, again = Guard(), Guard()
    rng = np.random.default_rng(4)
    for _ in range(5):
        guard.judge(*errors(rng, 40, 0.0, 0.05))
    again.load_state(guard.state())
    assert again.level() == guard.level() < Guard().level()
    with pytest.raises(AdaptationError, match='damaged'):
        again.load_state({'looks': 'many'})


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_rolled_back(value):
    rng = np.random.default_rng(5)
    before, after = errors(rng, 40, -0.5, 0.02)
    anchors = np.full(50, 0.15)
    broken = after.copy()
    broken[7] = value
    assert Guard().judge(before, broken, anchors, anchors).action == 'roll back'
    lost = anchors.copy()
    lost[3] = value
    decision = Guard().judge(before, after, anchors, lost)
    assert decision.action == 'roll back' and 'anchors' in decision.reason
    # even where there are too few pairs to decide anything else
    assert Guard().judge(before[:8], broken[:8]).action == 'roll back'


@pytest.mark.parametrize(
    ('growth', 'expected'),
    [(-0.05, 'offer'), (0.0, 'offer'), (0.009, 'wait'), (0.05, 'roll back')],
)
def test_anchors_bound_what_is_offered(growth, expected):
    rng = np.random.default_rng(6)
    before, after = errors(rng, 40, -0.2, 0.05)
    anchors = 0.15 * np.exp(0.3 * rng.standard_normal(120))
    now = anchors * (1 + growth) * np.exp(0.03 * rng.standard_normal(120))
    guard = Guard(GuardSettings(tolerance=0.01))
    decision = guard.judge(before, after, anchors, now)
    assert decision.action == expected
    assert decision.anchor_change == pytest.approx(growth, abs=0.01)


def test_bound_of_the_anchors_is_no_look():
    rng = np.random.default_rng(10)
    anchors = 0.15 * np.exp(0.3 * rng.standard_normal(200))
    guard = Guard()
    bound = guard.worst_anchors(anchors, anchors * 1.01 * np.exp(0.02 * rng.standard_normal(200)))
    assert 0.01 < bound < 0.02 and guard.looks == 0
    assert guard.worst_anchors(anchors, np.full(200, np.nan)) == math.inf


def test_forgetting_is_offered_rarely():
    """Anchors that became worse by 2 % are within 1 % by chance only."""
    rng = np.random.default_rng(7)
    passed = 0
    for _ in range(300):
        anchors = 0.15 * np.exp(0.3 * rng.standard_normal(100))
        now = anchors * 1.02 * np.exp(0.04 * rng.standard_normal(100) - 0.0008)
        before, after = errors(rng, 40, -0.2, 0.05)
        guard = Guard(GuardSettings(tolerance=0.01))
        passed += guard.judge(before, after, anchors, now).action == 'offer'
    assert passed / 300 <= 0.02


def test_lengths_and_settings_are_checked():
    with pytest.raises(AdaptationError, match='belong together'):
        Guard().judge(np.ones(4), np.ones(5))
    for wrong in ({'confidence': 1.0}, {'tolerance': -0.1}, {'least_pairs': 2}):
        with pytest.raises(SettingsError):
            GuardSettings(**wrong)


def test_same_weights_wait():
    before = np.full(40, 0.2)
    assert Guard().judge(before, before, before, before).action == 'wait'


@pytest.mark.parametrize(
    ('freedom', 'value', 'tail'),
    # tables of Student's t
    [
        (1, 6.3138, 0.05),
        (4, 2.1318, 0.05),
        (9, 3.2498, 0.005),
        (10, 2.7638, 0.01),
        (30, 1.3104, 0.1),
    ],
)
def test_student(freedom, value, tail):
    assert student_tail(value, 1.0, freedom) == pytest.approx(tail, rel=1e-3)
    assert student_tail(-value * 0.3, 0.3, freedom) == pytest.approx(1 - tail, rel=1e-3)
    assert student_quantile(1 - tail, freedom) == pytest.approx(value, rel=1e-3)


def test_the_rate_falls_to_a_floor_and_recovers_slowly():
    rate = RateFall(fall=0.5, floor=0.1, recovery=1.25)
    assert [rate.rolled_back() for _ in range(5)] == [0.5, 0.25, 0.125, 0.1, 0.1]
    assert rate.offered() == pytest.approx(0.125)
    for _ in range(20):
        rate.offered()
    assert rate.factor == 1.0
    again = RateFall()
    rate.rolled_back()
    again.load_state(rate.state())
    assert again.factor == 0.5
    for wrong in (0.0, 2.0, 'x', None):
        with pytest.raises(AdaptationError):
            again.load_state({'factor': wrong})


def watch(losses, **settings):
    """Step at which a loss explodes, or None."""
    explosion = ExplosionWatch(**settings)
    for k, loss in enumerate(losses):
        if explosion.update(float(loss)):
            return k
    return None


def test_noise_drift_and_single_outliers_are_no_explosion():
    rng = np.random.default_rng(8)
    for seed in range(20):
        noise = np.random.default_rng(seed).gamma(4.0, 0.05, 1000)
        assert watch(noise) is None
    assert watch(np.linspace(1.0, 4.0, 400) + 0.1 * rng.standard_normal(400)) is None
    spiked = 0.2 + 0.02 * rng.standard_normal(300)
    spiked[50::40] = 50.0
    assert watch(spiked) is None
    # a likelihood may be negative
    assert watch(-1.0 + 0.2 * rng.standard_normal(500)) is None


def test_growth_that_runs_away_is_found_within_steps():
    rng = np.random.default_rng(9)
    calm = 0.2 + 0.03 * rng.standard_normal(100)
    assert watch([*calm, *(0.2 * 1.5 ** np.arange(1, 30))]) <= 112
    assert watch([*calm, 30.0, 31.0, 32.0]) == 102
    assert watch([*(calm - 0.2), *([5.0] * 3)]) == 102


def test_a_loss_that_is_not_finite_is_an_explosion_soon():
    assert watch([0.3, np.nan, np.inf, np.nan]) == 3
    assert watch([0.3, np.nan, 0.3, np.nan, 0.3]) is None
    explosion = ExplosionWatch(patience=1)
    assert explosion.update(math.nan)
    explosion.reset()
    assert not explosion.update(0.5)


def test_blocks_of_time_are_what_is_independent():
    """A large gain in some blocks far apart is offered, however alike the pairs of a block are."""
    rng = np.random.default_rng(0)
    before = 0.2 * np.exp(0.3 * rng.standard_normal(40))
    blocks = np.arange(40) // 8
    change = np.log(0.5) + np.repeat(0.1 * rng.standard_normal(5), 8)
    after = before * np.exp(change)
    assert Guard().judge(before, after, blocks=blocks).action == 'offer'
    # one good block does not make up for the others
    after = before * np.exp(np.where(blocks == 2, np.log(0.3), 0.02 * rng.standard_normal(40)))
    assert Guard().judge(before, after, blocks=blocks).action == 'wait'


def test_blocks_of_pairs_that_do_not_count_are_left_out():
    before = np.full(48, 0.2)
    before[:8] = np.nan
    after = np.where(np.isnan(before), np.nan, 0.1 + 0.001 * np.arange(48) % 7)
    decision = Guard().judge(before, after, blocks=np.arange(48) // 8)
    assert decision.action == 'offer'


def test_blocks_must_fit_the_pairs():
    with pytest.raises(AdaptationError, match='do not belong together'):
        Guard().judge(np.ones(24), np.ones(24), blocks=np.zeros(3, int))


def test_blocks_end_where_no_pair_comes_for_a_while():
    stamps = [int(s * 1e9) for s in (10, 10.5, 11, 11.5, 19, 19.5, 21.4, 30)]
    assert time_blocks(stamps, 2.0).tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert time_blocks(stamps[:1], 2.0).tolist() == [0]
