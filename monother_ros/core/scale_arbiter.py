# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One scale of several sources, over time.

Estimates are corrections 1 / D = a / (f d) + b of the network's depth d, f being the exact factor
for the focal length. They are averaged in inverse depth with weights 1 / sigma^2, sigma growing
with age, so that a sensor that falls silent gives way slowly. What is applied follows the average
at no more than a set rate.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from monother_ros.core.errors import SettingsError
from monother_ros.core.scale_sources import SENSORS, SOURCES, ScaleEstimate

CONFIRMATIONS = 3
"""Estimates of a sensor, after a silence, before it counts."""

GATE = 3.0
"""Standard deviations by which a source may differ from those before it."""

STAY = 1.3
"""Factor on the gate for a source that counted in the frame before."""

LEAD = 1.5
"""A source must weigh this many times as much as the leading one to take its place."""

DRIFT = {'range': 0.02, 'focal': 0.0, 'model': 0.0, 'language': 0.001}
"""Standard deviation of the log scale that a source gains per second of age."""

KEEP = {'focal': math.inf, 'model': math.inf, 'language': 600.0}
"""Seconds after which an estimate is forgotten; sensors: ScaleSettings.hold."""


@dataclass(frozen=True)
class ScaleSettings:
    """
    What an operator decides about the scale.

    :param sources: those that count, in the order in which they are believed: one that contradicts
        those before it is left out. The network's own scale is what is left where none speaks.
    :param force: the one source that counts; empty for all of `sources`.
    :param rate: largest change of the logarithm of depth per second, > 0.
    :param window: seconds over which the estimates of a sensor are averaged, > 0.
    :param hold: seconds that the last estimate of a sensor counts, with growing sigma.
    :raises SettingsError: a source is not known or named twice, or a number is out of range.
    """

    sources: tuple[str, ...] = SOURCES
    force: str = ''
    rate: float = 0.5
    window: float = 0.5
    hold: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        named = [*self.sources, *([self.force] if self.force else [])]
        for name in named:
            if name not in SOURCES:
                msg = f'scale source {name!r} is not known; use {", ".join(SOURCES)}'
                raise SettingsError(msg)
        if len(set(self.sources)) != len(self.sources):
            msg = f'scale sources {", ".join(self.sources)}: one is named twice'
            raise SettingsError(msg)
        for name in ('rate', 'window', 'hold'):
            if not 0 < getattr(self, name) < math.inf:
                msg = f'{name} of the scale is {getattr(self, name)}; it must be above 0'
                raise SettingsError(msg)

    @property
    def ranked(self) -> tuple[str, ...]:
        """Sources that count, sensors first: what only infers never outvotes one."""
        if self.force:
            return (self.force,)
        return tuple(sorted(self.sources, key=lambda name: name not in SENSORS))


@dataclass(frozen=True)
class FusedScale:
    """
    Scale of one frame: 1 / D = 1 / (factor · d) + shift.

    :ivar factor: of the network's depth.
    :ivar shift: of inverse depth, 1/m.
    :ivar sigma: standard deviation of the logarithm of the factor.
    :ivar source: the one that weighs most.
    :ivar weights: part of each source that speaks, together 1.
    :ivar silent: why each other source does not count.
    """

    factor: float
    shift: float = 0.0
    sigma: float = math.inf
    source: str = 'model'
    weights: dict[str, float] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


@dataclass
class _Opinion:
    """Correction relative to the base that one source holds now."""

    a: float
    b: float
    sigma: float

    def log(self, reference: float) -> float:
        """Logarithm of D / (f d) at f d = reference."""
        return -math.log(max(self.a + self.b * reference, 1e-6))


class ScaleArbiter:
    """
    Fuses the estimates of one camera's frames.

    :param settings: may be replaced between two frames.
    """

    def __init__(self, settings: ScaleSettings | None = None) -> None:
        """See the class."""
        self.settings = settings or ScaleSettings()
        self.reset()

    def reset(self) -> None:
        """Forget everything: time has jumped, or it is another camera."""
        self._windows: dict[str, deque[ScaleEstimate]] = {}
        self._last: dict[str, ScaleEstimate] = {}
        self._quiet: dict[str, str] = {}
        self._applied: tuple[float, float] | None = None
        self._time: int | None = None
        self._leader = 'model'
        self._agreed: set[str] = set()

    def forget_sensors(self) -> None:
        """Forget what sensors have said: it was about another network. The scale stays."""
        self._windows.clear()

    def tell(self, estimate: ScaleEstimate) -> None:
        """
        Take an estimate of a source.

        :param estimate: about the network's depth; a silent one only changes the reason told.
        """
        name = estimate.source
        if not estimate.speaks:
            self._quiet[name] = estimate.reason
            if name not in SENSORS:
                self._last.pop(name, None)
            return
        self._quiet.pop(name, None)
        if name not in SENSORS:
            self._last[name] = estimate
            return
        window = self._windows.setdefault(name, deque(maxlen=64))
        if window and estimate.stamp_ns - window[-1].stamp_ns > self.settings.hold * 1e9:
            window.clear()
        window.append(estimate)

    def fuse(self, base: ScaleEstimate, reference: float, now_ns: int) -> FusedScale:
        """
        Scale of a frame.

        :param base: the source 'model' for this frame, without a shift.
        :param reference: a usual depth of the network in this frame, metres, > 0.
        :param now_ns: time of the frame in nanoseconds.
        """
        settings = self.settings
        opinions, silent = self._opinions(base, reference, now_ns)
        level = reference * base.scale
        agreed: dict[str, _Opinion] = {}
        for name in settings.ranked:
            opinion = opinions.get(name)
            if opinion is None:
                continue
            if name == 'language' and SENSORS & agreed.keys():
                silent[name] = 'a sensor measures'
                continue
            if agreed:
                so_far = _average(agreed)
                apart = abs(opinion.log(level) - so_far.log(level))
                if name == 'model' and SENSORS & agreed.keys():
                    # a network that a sensor contradicts is believed less
                    opinion.sigma = math.hypot(opinion.sigma, apart)
                gate = GATE * (STAY if name in self._agreed else 1.0)
                if apart > gate * math.hypot(opinion.sigma, so_far.sigma):
                    silent[name] = (
                        f'left out: differs by a factor of {math.exp(apart):.2f} '
                        f'from {" and ".join(agreed)}'
                    )
                    continue
            agreed[name] = opinion
        for name in SOURCES:
            if name not in settings.ranked:
                opinions.pop(name, None)
                silent[name] = f'{settings.force} is forced' if settings.force else 'disabled'
        if not agreed:
            agreed['model'] = _Opinion(1.0, 0.0, base.sigma)
            silent['model'] = 'taken as no chosen source speaks'
        self._agreed = set(agreed)
        target = _average(agreed)
        total = sum(o.sigma**-2 for o in agreed.values())
        weights = {name: o.sigma**-2 / total for name, o in agreed.items()}
        self._lead(weights)
        a, b = self._follow((target.a, target.b), level, now_ns)
        behind = _Opinion(a, b, 0.0).log(level) - target.log(level)
        sigma = math.hypot(target.sigma, behind)
        return FusedScale(base.scale / a, b, sigma, self._leader, weights, silent)

    def _opinions(
        self, base: ScaleEstimate, reference: float, now_ns: int
    ) -> tuple[dict[str, _Opinion], dict[str, str]]:
        """What each source holds now, and why each other one is silent."""
        settings = self.settings
        opinions: dict[str, _Opinion] = {}
        silent = {name: self._quiet.get(name, 'nothing has come in') for name in SOURCES}
        for name, window in self._windows.items():
            latest = window[-1]
            if latest.age(now_ns) > settings.hold:
                silent[name] = f'silent for {latest.age(now_ns):.0f} s ({silent[name]})'
                continue
            if len(window) < CONFIRMATIONS:
                silent[name] = f'{len(window)} of {CONFIRMATIONS} estimates that must agree'
                continue
            recent = [e for e in window if (latest.stamp_ns - e.stamp_ns) <= settings.window * 1e9]
            if len(recent) < CONFIRMATIONS:
                recent = list(window)[-CONFIRMATIONS:]
            opinion = _robust(recent, base.scale, reference, settings.window)
            if opinion is not None:
                opinion.sigma = math.hypot(opinion.sigma, DRIFT[name] * latest.age(now_ns))
                opinions[name] = opinion
        for name, estimate in self._last.items():
            age = estimate.age(now_ns)
            if age > KEEP[name]:
                silent[name] = f'{age:.0f} s old'
                continue
            pair = estimate.inverse(reference)
            if pair is None:
                silent[name] = f'cannot be meant at {reference:.1f} m'
                continue
            sigma = math.hypot(estimate.sigma, DRIFT[name] * age)
            opinions[name] = _Opinion(pair[0] * base.scale, pair[1], sigma)
        if 'focal' in opinions and 'focal' in settings.ranked:
            silent['model'] = 'its focal length is estimated, see focal'
        else:
            opinions['model'] = _Opinion(1.0, 0.0, base.sigma)
        for name in opinions:
            silent.pop(name, None)
        return opinions, silent

    def _lead(self, weights: dict[str, float]) -> None:
        """Choose the source to name; a new one must weigh clearly more."""
        best = max(weights, key=weights.__getitem__)
        if self._leader not in weights or weights[best] > LEAD * weights[self._leader]:
            self._leader = best

    def _follow(
        self, target: tuple[float, float], level: float, now_ns: int
    ) -> tuple[float, float]:
        """Move what is applied towards the target, no faster than the rate at any usual depth."""
        before, self._time = self._time, now_ns
        if self._applied is None or before is None:
            self._applied = target
            return target
        allowed = self.settings.rate * min(max(0.0, (now_ns - before) * 1e-9), 1.0)
        old = self._applied
        part = 1.0
        for _ in range(6):
            new = (
                old[0] ** (1 - part) * target[0] ** part,
                old[1] + part * (target[1] - old[1]),
            )
            apart = _apart(old, new, level)
            if apart <= allowed:
                break
            part *= 0.999 * allowed / apart
        else:
            new = old
        self._applied = new
        return new


def _apart(old: tuple[float, float], new: tuple[float, float], level: float) -> float:
    """Largest |log ratio| of depth between two corrections, from near to far."""
    return max(
        abs(math.log(max(old[0] + old[1] * d, 1e-3) / max(new[0] + new[1] * d, 1e-3)))
        for d in (0.3 * level, level, 3.0 * level)
    )


def _average(opinions: dict[str, _Opinion]) -> _Opinion:
    """Mean of inverse depth with weights 1 / sigma^2."""
    weights = [o.sigma**-2 for o in opinions.values()]
    total = sum(weights)
    a = sum(w * o.a for w, o in zip(weights, opinions.values(), strict=True)) / total
    b = sum(w * o.b for w, o in zip(weights, opinions.values(), strict=True)) / total
    return _Opinion(a, b, total**-0.5)


def _robust(
    estimates: Sequence[ScaleEstimate], base: float, reference: float, window: float
) -> _Opinion | None:
    """
    Mean of a sensor's recent estimates without those far from their median.

    The younger ones weigh more, as the error of a network changes with the scene: by a factor of
    e over half of the window.
    """
    opinions = []
    for estimate in estimates:
        pair = estimate.inverse(reference)
        if pair is not None:
            age = min((estimates[-1].stamp_ns - estimate.stamp_ns) * 1e-9, 5 * window)
            sigma = estimate.sigma * math.exp(max(age, 0.0) / window)
            opinions.append(_Opinion(pair[0] * base, pair[1], sigma))
    if not opinions:
        return None
    level = reference * base
    logs = sorted(o.log(level) for o in opinions)
    middle = logs[len(logs) // 2]
    near = [o for o in opinions if abs(o.log(level) - middle) <= GATE * o.sigma + 0.02]
    mean = _average({str(i): o for i, o in enumerate(near or opinions)})
    # errors of one second are those of one scene, not independent ones
    mean.sigma = min(o.sigma for o in (near or opinions))
    return mean
