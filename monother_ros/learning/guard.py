# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether learned weights are offered, kept to themselves, or thrown away.

Errors of the same held-out pairs before and after are compared by a t-test on the mean change of
their logarithms. Pairs near in time are alike and count less: the effective number of pairs is
that of an autoregressive process (Bayley & Hammersley 1946; as degrees of freedom, Zwiers & von
Storch 1995), whose correlation is estimated from the pairs, freed from its bias (Kendall 1954)
and raised by MARGIN standard errors, because 40 pairs tell it badly. Where pairs come from several
blocks of time with long gaps between them, the blocks are what is independent, and whatever is
alike within one does not matter (cluster-robust variance, Liang & Zeger 1986).

Looking again and again finds an improvement by chance sooner or later. Look number t since the
last offer may therefore be wrong with the chance alpha * GAMMA(t) only, and these add up to
alpha over any number of looks: that is the chance of a false offer between two offers, however
the looks depend on each other. Over a whole life the expected number of false offers is then at
most alpha * (offers + 1), which is alpha-investing with the rule LORD (Foster & Stine 2008,
Javanmard & Montanari 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import AdaptationError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Action = Literal['offer', 'wait', 'roll back']

SPEND_POWER = 1.5
SPEND_SUM = 2.6123753486854883
"""Sum of t ** -SPEND_POWER over all t from 1 (Riemann's zeta of 3/2)."""

MARGIN = 1.25
"""Standard errors by which the correlation of neighbours is raised. Chance of a false offer within
50 looks at 40 pairs, where 5 % are allowed: 1 to 5 % for correlations of 0 to 0.6, of normal and
of exponential changes; without the margin 3 to 12 %."""

MOST_ALIKE = 0.9
"""Highest correlation of neighbours that is reckoned with."""

LEAST_BLOCKS = 5
"""Blocks of time from which on they are counted instead of pairs. They are given half of the usual
degrees of freedom: with all of them, few blocks of skewed changes led to 7 to 27 % false offers
within 50 looks where 5 % are allowed; so it is 0 to 5 % for correlations of 0 to 0.9 within a
block, of normal and of exponential changes."""


@dataclass(frozen=True)
class GuardSettings:
    """
    How sure one must be.

    :param confidence: that an offer is no false one, over all looks since the last offer.
    :param worse_confidence: of one look, that held-out pairs have become worse: roll back.
    :param anchor_confidence: of the bounds on the change of the anchors.
    :param tolerance: relative growth of the mean error of the anchors that is put up with.
    :param least_gain: relative improvement of held-out pairs that must be exceeded.
    :param least_pairs: held-out pairs below which nothing is decided.
    """

    confidence: float = 0.95
    worse_confidence: float = 0.99
    anchor_confidence: float = 0.9
    tolerance: float = 0.02
    least_gain: float = 0.0
    least_pairs: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be tested."""
        for name in ('confidence', 'worse_confidence', 'anchor_confidence'):
            value = getattr(self, name)
            if not 0.5 < value < 1.0:
                msg = f'{name} is {value}; use a number above 0.5 and below 1'
                raise SettingsError(msg)
        if not (0.0 <= self.tolerance < 1.0 and 0.0 <= self.least_gain < 1.0):
            msg = f'tolerance {self.tolerance} and least_gain {self.least_gain} must be in [0, 1)'
            raise SettingsError(msg)
        if self.least_pairs < 8:
            msg = f'least_pairs is {self.least_pairs}; use 8 or more'
            raise SettingsError(msg)


class Decision(NamedTuple):
    """What to do with the weights."""

    action: Action
    reason: str
    """for people"""
    gain: float
    """relative fall of the error of held-out pairs (0.1 is 10 % better); NaN where unknown"""
    p: float
    """chance of seeing this improvement, or a larger one, without there being one"""
    anchor_change: float
    """relative growth of the mean error of the anchors against the original model; NaN without"""
    level: float = math.nan
    """p that this look had to stay below"""


class Guard:
    """
    Decides from paired errors; counts its looks.

    :param settings: how sure one must be.
    """

    def __init__(self, settings: GuardSettings | None = None) -> None:
        self.settings = settings or GuardSettings()
        self.looks = 0
        """Looks since the last offer."""

    def level(self) -> float:
        """Chance of a false offer that the next look may have."""
        spent = (self.looks + 1) ** -SPEND_POWER / SPEND_SUM
        return (1.0 - self.settings.confidence) * spent

    def worst_anchors(self, before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
        """
        Upper bound of the relative growth of the anchors' mean error; not a look.

        :param before: (M,) error of each anchor with the ORIGINAL weights.
        :param after: (M,) with other weights.
        :returns: infinite where a value is not finite.
        """
        anchors = _paired(before, after, 'anchors')
        change, spread = _anchor_change(anchors)
        if math.isnan(change):
            return math.inf
        return _bounds(change, spread, anchors, self.settings.anchor_confidence)[1]

    def judge(
        self,
        before: NDArray[np.floating],
        after: NDArray[np.floating],
        anchors_before: NDArray[np.floating] | None = None,
        anchors_after: NDArray[np.floating] | None = None,
        blocks: NDArray[np.integer] | None = None,
    ) -> Decision:
        """
        One look.

        A pair or anchor that has no value before (nothing counts in it) is left out.

        :param before: (N,) error > 0 of each held-out pair with the weights that were offered
            last, in the order of their stamps.
        :param after: (N,) of the same pairs with the weights to be judged.
        :param anchors_before: (M,) error of each anchor with the ORIGINAL weights; None without
            anchors.
        :param anchors_after: (M,) with the weights to be judged.
        :param blocks: (N,) number of the block of time that each pair comes from; None for pairs
            that follow each other without gaps.
        :raises AdaptationError: lengths that do not fit.
        """
        held = _paired(before, after, 'held-out pairs')
        if blocks is not None:
            if blocks.shape != before.shape:
                msg = f'blocks {blocks.shape} and pairs {before.shape} do not belong together'
                raise AdaptationError(msg)
            blocks = blocks[_counts(before)]
        anchors = None
        if anchors_before is not None and anchors_after is not None:
            anchors = _paired(anchors_before, anchors_after, 'anchors')
        change, spread = _anchor_change(anchors)
        for values, name in ((held, 'held-out pairs'), (anchors, 'anchors')):
            if values is not None and not np.isfinite(values[1]).all():
                reason = f'errors of {name} are not finite'
                return Decision('roll back', reason, math.nan, 1.0, change)
        settings = self.settings
        low, high = _bounds(change, spread, anchors, settings.anchor_confidence)
        if low > settings.tolerance:
            reason = (
                f'anchors are {change:.1%} worse, at least {low:.1%}: more than '
                f'{settings.tolerance:.1%}'
            )
            return Decision('roll back', reason, math.nan, 1.0, change)
        count = held.shape[1]
        if count < settings.least_pairs:
            reason = f'{count} held-out pairs count, {settings.least_pairs} are needed'
            return Decision('wait', reason, math.nan, 1.0, change)
        mean, error, freedom = mean_change(_log_change(held), blocks)
        gain = -math.expm1(mean)
        level = self.level()
        self.looks += 1
        better = student_tail(math.log1p(-settings.least_gain) - mean, error, freedom)
        worse = student_tail(mean, error, freedom)
        decided = Decision('wait', '', gain, better, change, level)
        if worse < 1.0 - settings.worse_confidence:
            reason = f'held-out pairs are {-gain:.1%} worse (p = {worse:.2g})'
            return decided._replace(action='roll back', reason=reason)
        if better >= level:
            reason = f'held-out pairs: {gain:+.1%} better, p = {better:.2g}, needed {level:.2g}'
            return decided._replace(reason=reason)
        if high > settings.tolerance:
            reason = (
                f'held-out pairs are {gain:.1%} better, but anchors may be {high:.1%} worse, more '
                f'than {settings.tolerance:.1%}'
            )
            return decided._replace(reason=reason)
        self.looks = 0
        reason = f'held-out pairs are {gain:.1%} better (p = {better:.2g})'
        return decided._replace(action='offer', reason=reason)

    def state(self) -> dict[str, Any]:
        """What must survive a restart, so that restarting buys no further looks."""
        return {'looks': self.looks}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """
        Go on from :meth:`state`.

        :raises AdaptationError: it is none.
        """
        looks = state.get('looks')
        if not isinstance(looks, int) or looks < 0:
            msg = f'the state of the guard is damaged (looks: {looks!r}); reset learning'
            raise AdaptationError(msg)
        self.looks = looks


def _paired(before: NDArray[Any], after: NDArray[Any], name: str) -> NDArray[np.float64]:
    """(2, n) of what has a value before."""
    if before.shape != after.shape or before.ndim != 1:
        msg = (
            f'{name}: errors before {before.shape} and after {after.shape} do not belong together'
        )
        raise AdaptationError(msg)
    return np.stack([before, after]).astype(np.float64)[:, _counts(before)]


def _counts(before: NDArray[Any]) -> NDArray[np.bool_]:
    """Pairs that have a value before."""
    # NaN before: nothing counts in this pair. Infinite before: the reference itself is broken
    # there, which must not hide what the new weights do elsewhere
    return np.asarray(np.isfinite(before) & (before > 0), np.bool_)


def _log_change(held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of after / before of each pair."""
    floor = 1e-6
    change = np.log(np.maximum(held[1], floor)) - np.log(np.maximum(held[0], floor))
    return np.asarray(change, np.float64)


def time_blocks(stamps_ns: Sequence[int], gap: float) -> NDArray[np.int64]:
    """
    Number of the block of time of each pair.

    :param stamps_ns: (N,) nanoseconds, rising.
    :param gap: seconds without a pair that end a block.
    :returns: (N,), from 0.
    """
    steps = np.diff(np.asarray(stamps_ns, np.int64), prepend=stamps_ns[0])
    return np.cumsum(steps > int(gap * 1e9), dtype=np.int64)


def mean_change(
    change: NDArray[np.float64], blocks: NDArray[np.integer] | None = None
) -> tuple[float, float, int]:
    """
    Mean of values whose neighbours are alike.

    :param change: (N,) in the order of time, N >= 3.
    :param blocks: (N,) number of the block that each comes from; values of different blocks are
        independent. Fewer than LEAST_BLOCKS are not heeded.
    :returns: mean, its standard error, and degrees of freedom.
    """
    count = len(change)
    mean = float(change.mean())
    centred = change - mean
    if blocks is not None:
        _, place = np.unique(blocks, return_inverse=True)
        sums = np.bincount(place.ravel(), weights=centred)
        groups = len(sums)
        if groups >= LEAST_BLOCKS:
            error = math.sqrt(float(sums @ sums) * groups / (groups - 1)) / count
            return mean, error, max((groups - 1) // 2, 2)
    variance = float(centred @ centred) / count
    if variance <= 0:
        return mean, 0.0, count - 1
    alike = float(centred[1:] @ centred[:-1]) / (count * variance)
    alike += (1 + 3 * alike) / count
    alike += MARGIN * math.sqrt(max(1 - alike * alike, 0.0) / count)
    alike = min(max(alike, 0.0), MOST_ALIKE)
    # pairs that are worth one independent pair
    worth = min((1 + alike) / (1 - alike), count / 3)
    error = math.sqrt(variance * count / (count - worth) * worth / count)
    return mean, error, max(int(count / worth) - 1, 2)


def _anchor_change(anchors: NDArray[np.float64] | None) -> tuple[float, float]:
    """Relative growth of the mean error, and its standard error (of a ratio of means)."""
    if anchors is None or anchors.shape[1] < 2 or not np.isfinite(anchors).all():
        return math.nan, math.nan
    before, after = anchors
    ratio = float(after.mean() / before.mean())
    rest = after - ratio * before
    return ratio - 1.0, float(rest.std(ddof=1) / math.sqrt(len(rest)) / before.mean())


def _bounds(
    change: float, spread: float, anchors: NDArray[np.float64] | None, confidence: float
) -> tuple[float, float]:
    """One-sided lower and upper bound of the change; without anchors nothing is bounded."""
    if anchors is None or math.isnan(change):
        return -math.inf, -math.inf
    reach = student_quantile(confidence, anchors.shape[1] - 1) * spread
    return change - reach, change + reach


def student_tail(value: float, error: float, freedom: int) -> float:
    """
    Chance that Student's t is above value / error.

    Abramowitz & Stegun 26.7.3 and 26.7.4: finite sums for whole degrees of freedom.

    :param value: estimate minus what is tested against.
    :param error: its standard error; 0 gives 0, 0.5 or 1.
    :param freedom: degrees of freedom, >= 1.
    """
    if error <= 0:
        return 0.5 if value == 0 else float(value < 0)
    theta = math.atan(abs(value) / error / math.sqrt(freedom))
    cosine = math.cos(theta)
    term, total = 1.0, 0.0
    if freedom % 2:
        for k in range(1, freedom - 1, 2):
            term *= cosine if k == 1 else cosine * cosine * (k - 1) / k
            total += term
        inside = 2 / math.pi * (theta + math.sin(theta) * total)
    else:
        for k in range(0, freedom - 1, 2):
            term *= 1.0 if k == 0 else cosine * cosine * (k - 1) / k
            total += term
        inside = math.sin(theta) * total
    tail = min(max((1.0 - inside) / 2, 0.0), 0.5)
    return tail if value > 0 else 1.0 - tail


def student_quantile(confidence: float, freedom: int) -> float:
    """
    Value that Student's t stays below with this chance, by bisection.

    :param confidence: 0.5 to 1, exclusive.
    :param freedom: degrees of freedom, >= 1.
    """
    low, high = 0.0, 1.0
    while student_tail(high, 1.0, freedom) > 1.0 - confidence:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2
        if student_tail(middle, 1.0, freedom) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high
