# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Positional depth encoding: metres as sines and cosines of several wavelengths.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947, section "positional depth encoding"). A
network that reads distances through many wavelengths sees coarse and fine differences at once,
whatever the range. A pixel without a measurement is told as a distance of nearly nothing, which
encodes as (0, 1, 0, 1, …); the option `validity` adds a channel that says so plainly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from monother_ros.core.errors import SettingsError

NEAR = 0.05
"""Metres; sparse depth that is nearer is no measurement."""

_DIGIT_STEP = 0.1


@dataclass(frozen=True)
class DepthEncoding:
    """
    Wavelengths and what is said of missing pixels.

    The defaults are the published ones, for rooms. Pair i (a sine and a cosine) has the
    wavelength maximum * temperature^(2 i / channels) metres.

    :raises SettingsError: a value is not allowed.
    """

    channels: int = 32
    """sines and cosines together, even"""
    temperature: float = 0.0003
    """how fast wavelengths shrink from pair to pair, > 0; from 1 on they grow from one metre"""
    maximum: float = 15.0
    """longest wavelength in metres: the first pair is unambiguous below it"""
    missing: float = 1e-6
    """metres that stand for 'no measurement'"""
    validity: bool = False
    """one more channel: 1 where there is a measurement, else 0"""

    def __post_init__(self) -> None:
        """Refuse what cannot be encoded."""
        if self.channels < 2 or self.channels % 2:
            msg = f'channels is {self.channels}; sines and cosines need an even number, 2 at least'
            raise SettingsError(msg)
        if not (self.temperature > 0 and self.maximum > 0 and self.missing >= 0):
            msg = (
                f'temperature {self.temperature} and maximum {self.maximum} must be > 0, '
                f'missing {self.missing} must be >= 0'
            )
            raise SettingsError(msg)

    @property
    def width(self) -> int:
        """Channels of the encoding, with that of the validity."""
        return self.channels + self.validity

    @property
    def periods(self) -> tuple[float, ...]:
        """Wavelength of each pair in metres."""
        longest = self.maximum if self.temperature < 1 else 1.0
        pairs = range(self.channels // 2)
        return tuple(longest * self.temperature ** (2 * i / self.channels) for i in pairs)


def outdoor(
    maximum: float = 100.0,
    last_period: float = 0.5,
    channels: int = 16,
    *,
    validity: bool = True,
) -> DepthEncoding:
    """
    Encoding for vehicles: wavelengths from the range of the sensor down to one of our choice.

    temperature = (last_period / maximum)^(C / (C - 2)) gives the last pair that wavelength.

    :param maximum: longest wavelength in metres.
    :param last_period: shortest wavelength in metres, some times the noise of the ranges.
    :param channels: sines and cosines together, even, 4 at least.
    :param validity: see :class:`DepthEncoding`.
    :raises SettingsError: a value is not allowed.
    """
    if channels < 4 or not 0 < last_period < maximum:
        msg = (
            f'the outdoor encoding needs 4 channels or more ({channels}) and '
            f'0 < last_period ({last_period}) < maximum ({maximum})'
        )
        raise SettingsError(msg)
    temperature = (last_period / maximum) ** (channels / (channels - 2))
    return DepthEncoding(channels, temperature, maximum, validity=validity)


def encode(depth: Tensor, settings: DepthEncoding) -> Tensor:
    """
    Encode a depth image; nothing is cut, distances beyond the maximum wrap.

    l = 2 pi d / maximum (2 pi d where temperature >= 1), channel 2i = sin(l / T^(2i/C)),
    channel 2i + 1 = cos(l / T^(2i/C)).

    :param depth: (B, 1, ...) metres, 0 where there is none; see :func:`measured`.
    :param settings: wavelengths.
    :returns: (B, C, ...) in [-1, 1], with the validity as the last channel where it is wanted.
    """
    valid = depth != 0
    return _encoded(torch.where(valid, depth, settings.missing), valid, settings)


def _encoded(metres: Tensor, valid: Tensor, settings: DepthEncoding) -> Tensor:
    """Waves of the metres, and where they were measured."""
    waves = torch.tensor(
        [2 * math.pi / p for p in settings.periods], dtype=metres.dtype, device=metres.device
    )
    angles = metres * waves.view(1, -1, *(1,) * (metres.ndim - 2))
    encoded = torch.stack([torch.sin(angles), torch.cos(angles)], 2).flatten(1, 2)
    return torch.cat([encoded, valid.to(metres.dtype)], 1) if settings.validity else encoded


def measured(depth: Tensor, far: float, near: float = NEAR) -> Tensor:
    """
    Keep what can be a measurement; all else, NaN and infinity too, becomes 0.

    :param depth: any shape, metres.
    :param far: metres; what is farther is no measurement.
    :param near: metres; what is nearer is no measurement.
    """
    return torch.where((depth >= near) & (depth <= far), depth, 0.0)


def encode_local(depth: Tensor, settings: DepthEncoding) -> tuple[Tensor, Tensor]:
    """
    Encode relative to the largest depth of each image, which is handed over beside.

    :param depth: (B, 1, H, W) metres, 0 where there is none.
    :param settings: wavelengths; the maximum counts as 1.
    :returns: (B, C, H, W), and the largest depths, (B,) metres.
    """
    largest = depth.flatten(1).amax(1)
    safe = torch.where(largest > 0, largest, 1.0)
    valid = depth != 0
    relative = torch.where(valid, depth, settings.missing) / safe.view(
        -1, *(1,) * (depth.ndim - 1)
    )
    return _encoded(relative, valid, replace(settings, maximum=1.0)), largest


def digit_vector(value: float, width: int) -> Tensor:
    """
    A number as its decimal digits, for a class token: 0.1 + digit / 10 each, else 0.

    Six decimals; the integer part ends before index 2 * (width // 3) + (width // 3) // 2.

    :param value: metres, >= 0.
    :param width: of the token.
    :returns: (width,) float32.
    :raises SettingsError: the number is negative or has more digits than fit.
    """
    point = 2 * (width // 3) + (width // 3) // 2
    whole, _, part = f'{value:.6f}'.partition('.')
    if not (math.isfinite(value) and value >= 0) or len(whole) > point or point + 6 > width:
        msg = f'{value} cannot be told as decimal digits in a token of {width} numbers'
        raise SettingsError(msg)
    token = torch.zeros(width)
    digits = torch.tensor([int(digit) for digit in whole + part])
    token[point - len(whole) : point + len(part)] = _DIGIT_STEP + digits / 10
    return token
