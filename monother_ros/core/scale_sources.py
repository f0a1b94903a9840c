# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a source of metric scale says, and the sources that need no fit: model, language, focal.

Every source corrects the network's own depth d, in metres as the network gives it. Language and
focal length come in from other processes; see ros/scale.py for the message that carries them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monother_ros.core.errors import SettingsError
from monother_ros.core.scale import focal_scale

if TYPE_CHECKING:
    from monother_ros.core.camera import Intrinsics

SOURCES = ('range', 'focal', 'model', 'language')
"""Sources in the default order: what is measured first, what is guessed last."""

SENSORS = frozenset({'range'})
"""Sources that measure; the others infer, and never outvote one of these."""

SPACES = ('depth', 'inverse')

MODEL_SIGMA = 0.2
"""1-sigma of the log scale of a network with a calibrated camera, in a place that is new to it."""

UNCALIBRATED_SIGMA = 0.35
"""1-sigma of the log scale that an unknown focal length adds."""

LANGUAGE_SIGMA = 0.3
"""Least 1-sigma of the log scale that is believed of a sentence, whatever it says of itself."""


@dataclass(frozen=True)
class ScaleEstimate:
    """
    What one source says about the scale of the network's depth d.

    In the space 'depth' metric depth is D = scale · d + shift, in the space 'inverse'
    1 / D = scale · y + shift with y = 1 / d.

    :param source: who says it, one of `SOURCES`.
    :param scale: > 0; without unit where the network gives metres.
    :param shift: m in the space 'depth', 1/m in the space 'inverse'.
    :param space: 'depth' or 'inverse'.
    :param sigma: standard deviation of the logarithm of the scale, > 0; 0.1 is about 10 %.
    :param stamp_ns: time of what it was made from, nanoseconds.
    :param reason: why the source is silent; empty where it speaks.
    :raises SettingsError: an estimate that speaks has a number that cannot be.
    """

    source: str
    scale: float = 1.0
    shift: float = 0.0
    space: str = 'depth'
    sigma: float = math.inf
    stamp_ns: int = 0
    reason: str = ''

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        if self.space not in SPACES:
            msg = f'space {self.space!r} of a scale is not known; use one of {", ".join(SPACES)}'
            raise SettingsError(msg)
        if self.reason:
            return
        numbers = (self.scale, self.shift, self.sigma)
        if not all(math.isfinite(v) for v in numbers) or self.scale <= 0 or self.sigma <= 0:
            msg = (
                f'{self.source} says scale {self.scale:g}, shift {self.shift:g}, sigma '
                f'{self.sigma:g}: all must be finite, scale and sigma above 0'
            )
            raise SettingsError(msg)

    @property
    def speaks(self) -> bool:
        """Whether there is an estimate."""
        return not self.reason

    def age(self, now_ns: int) -> float:
        """
        Seconds since the estimate was made, not below 0.

        :param now_ns: time of the frame in nanoseconds.
        """
        return max(0.0, (now_ns - self.stamp_ns) * 1e-9)

    def metric(self, depth: float) -> float:
        """
        Metric depth of one network depth.

        :param depth: network depth d > 0 in metres.
        :returns: metres; NaN where the correction puts it at or beyond infinity or behind.
        """
        if self.space == 'depth':
            value = self.scale * depth + self.shift
        else:
            inverse = self.scale / depth + self.shift
            value = 1.0 / inverse if inverse > 0 else math.nan
        return value if value > 0 else math.nan

    def inverse(self, reference: float) -> tuple[float, float] | None:
        """
        The estimate as (a, b) of 1 / D = a / d + b, which can be averaged with others.

        :param reference: network depth in metres, > 0, at which the tangent is taken of an
            estimate in the space 'depth' that has a shift.
        :returns: (a, b), b in 1/m; None where the estimate cannot be meant at that depth.
        """
        value = self.metric(reference)
        if not math.isfinite(value):
            return None
        if self.space == 'inverse':
            return self.scale, self.shift
        # D = s d + t: d(1/D) / d(1/d) = s (d / D)^2
        slope = self.scale * (reference / value) ** 2
        return (slope, 1.0 / value - slope / reference) if self.shift else (1 / self.scale, 0.0)


def silent(source: str, reason: str, stamp_ns: int = 0) -> ScaleEstimate:
    """
    A source that has no estimate.

    :param source: see :class:`ScaleEstimate`.
    :param reason: why, a sentence for people.
    :param stamp_ns: when it fell silent, nanoseconds.
    """
    return ScaleEstimate(source, stamp_ns=stamp_ns, reason=reason or 'no reason is given')


def model_scale(
    focal_length: float | None,
    intrinsics: Intrinsics | None,
    network_width: int,
    stamp_ns: int = 0,
) -> ScaleEstimate:
    """
    The network's own metric depth, corrected for the focal length at hand.

    :param focal_length: see :func:`monother_ros.core.scale.focal_scale`, as the others.
    :param intrinsics: camera of the image given to the network; None if not known.
    :param network_width: width of the network input in pixels.
    :param stamp_ns: time of the frame in nanoseconds.
    """
    sigma = MODEL_SIGMA
    if focal_length is not None and intrinsics is None:
        sigma = math.hypot(sigma, UNCALIBRATED_SIGMA)
    factor = focal_scale(focal_length, intrinsics, network_width)
    return ScaleEstimate('model', factor, sigma=sigma, stamp_ns=stamp_ns)


def focal_source(
    given: ScaleEstimate, focal_length: float | None, network_width: int, *, calibrated: bool
) -> ScaleEstimate:
    """
    Scale from an estimated field of view (Depth Pro, section 3: D = f / (w C)).

    A metric network that was trained at the focal length f0 over the width w0 gives
    d = f0 / (w0 C), so that D = d · (f / w) / (f0 / w0).

    :param given: source 'focal', space 'inverse', scale w / f for the canonical inverse depth C.
    :param focal_length: f0 of the network in pixels of its width; None where it has none.
    :param network_width: w0 in pixels.
    :param calibrated: whether the camera's K is known, which is better than an estimate.
    :returns: estimate for the network's depth d, or silent.
    """
    if not given.speaks:
        return given
    if calibrated:
        return silent('focal', 'not needed: the thermal camera is calibrated', given.stamp_ns)
    if focal_length is None:
        reason = 'the model does not say at which focal length its depth is metric'
        return silent('focal', reason, given.stamp_ns)
    sigma = math.hypot(given.sigma, MODEL_SIGMA)
    scale = network_width / (given.scale * focal_length)
    return replace(given, scale=scale, shift=0.0, space='depth', sigma=sigma)


def language_source(given: ScaleEstimate) -> ScaleEstimate:
    """
    Scale from a sentence (RSA: 1 / D = alpha y + beta), believed no more than it deserves.

    :param given: source 'language', space 'inverse'.
    """
    if not given.speaks or given.sigma >= LANGUAGE_SIGMA:
        return given
    return replace(given, sigma=LANGUAGE_SIGMA)
