# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of parameters, what is frozen, and rate and momentum as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from monother_ros.core.errors import SettingsError

DUAL_GROUPS = ('encoder', 'encoder_pos', 'dpt_head_thermal', 'dpt_head_rgb', 'rest')
"""Groups of the dual network's parameters; all but the last train at a 50th of the rate."""

PARTS = (
    'thermal.encoder',
    'thermal.decoder',
    'thermal.head',
    'rgb.encoder',
    'rgb.decoder',
    'rgb.head',
    'confidence',
)
"""Parts of the dual network that can be frozen; 'thermal' and 'rgb' mean three of them each."""


class Hyper(NamedTuple):
    """What the optimiser uses for one group in one step."""

    rate: float
    """learning rate"""
    beta1: float
    """decay of the mean of the gradients"""
    beta2: float
    """decay of the mean of their squares"""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are trained alike."""

    name: str
    weight_decay: float
    names: tuple[str, ...]
    """of the parameters in the network"""


def dual_group(official: str) -> str:
    """
    Group of a parameter of the dual network (MonoTher-Depth's training).

    :param official: name of the parameter as files carry it.
    :returns: one of :data:`DUAL_GROUPS`.
    """
    if official in ('core.core.pretrained.pos_embed', 'core.core.pretrained_extra.pos_embed'):
        return 'encoder_pos'
    for start, group in (
        ('core.core.pretrained', 'encoder'),
        ('core.core.depth_head_extra.', 'dpt_head_rgb'),
        ('core.core.depth_head.', 'dpt_head_thermal'),
    ):
        if official.startswith(start):
            return group
    return 'rest'


def freeze(network: nn.Module, parts: Iterable[str]) -> list[str]:
    """
    Stop parts of the dual network from being trained.

    :param network: with children named as in :data:`PARTS`; changed in place.
    :param parts: names of parts, or 'thermal' or 'rgb' for a whole branch.
    :returns: the parts that are frozen now.
    :raises SettingsError: there is no such part.
    """
    frozen: list[str] = []
    for part in parts:
        found = [p for p in PARTS if p == part or p.startswith(f'{part}.')]
        if not found:
            msg = f'{part!r} cannot be frozen; use thermal, rgb or any of {", ".join(PARTS)}'
            raise SettingsError(msg)
        frozen += found
    for part in frozen:
        network.get_submodule(part).requires_grad_(False)
    return [p for p in PARTS if p in frozen]


def one_cycle(
    step: int,
    steps: int,
    rate: float,
    *,
    up: float = 0.7,
    div_factor: float = 1.0,
    final_div_factor: float = 1e4,
    momentum: Sequence[float] = (0.85, 0.95),
) -> tuple[float, float]:
    """
    Learning rate and first beta of a step, as torch's OneCycleLR with cosine annealing.

    The rate goes from rate / div_factor to rate during the first part, then down to
    rate / div_factor / final_div_factor at the last step; beta1 goes the other way.

    :param step: from 0 to steps - 1.
    :param steps: of the whole run.
    :param rate: highest learning rate.
    :param up: part of the steps in the first phase, 0 to 1.
    :param div_factor: highest over first rate.
    :param final_div_factor: first over last rate.
    :param momentum: lowest and highest beta1.
    """
    turn, end = up * steps - 1, steps - 1
    low, high = momentum
    first = rate / div_factor
    last = first / final_div_factor
    if step <= turn:
        part = step / turn if turn > 0 else 1.0
        return _cosine(first, rate, part), _cosine(high, low, part)
    part = (step - turn) / (end - turn) if end > turn else 1.0
    return _cosine(rate, last, part), _cosine(low, high, part)


def _cosine(start: float, end: float, part: float) -> float:
    """Half a cosine from start at part 0 to end at part 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))
