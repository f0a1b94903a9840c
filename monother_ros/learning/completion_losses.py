# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of depth completion: what was removed and what was kept weigh the same.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947), section on the balanced loss; the error
itself is the scale-invariant one of Eigen et al. 2014, equation 4, as a root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monother_ros.learning.losses import Total, local

LEAST = 1e-3
"""Metres; nearer pixels, wanted or predicted, do not count."""

CLOSE = 1.0
"""Metres; where less is wanted, the option ``power`` takes the exponent CLOSE_POWER, as published:
a larger one would make near pixels count for next to nothing."""

CLOSE_POWER = 0.5
""":data:`CLOSE` tells where."""


@dataclass(frozen=True)
class BalancedLoss:
    """What of the loss can be changed; the defaults are the published ones."""

    leniency: float = 0.85
    """how much of a common factor is forgiven, 0 to 1"""
    factor: float = 10.0
    """of the whole"""
    kept: bool = True
    """whether pixels count whose depth was measured"""
    power: float | None = None
    """compare powers of depth with this exponent instead of logarithms; see :data:`CLOSE`"""
    normalised: bool = False
    """divide by the largest wanted depth of each image first"""
    level_weights: tuple[float, ...] | None = None
    """weights of the levels; None weighs them alike"""
    epsilon: float = 0.0
    """added under the root; above 0, the gradient is finite where there is no error"""


def set_error(difference: Tensor, settings: BalancedLoss, total: Total = local) -> Tensor | None:
    """
    Error of one set of pixels: factor * sqrt(mean(g^2) - leniency * mean(g)^2).

    :param difference: (n,) g of this process.
    :param settings: of the loss.
    :param total: sum over processes.
    :returns: scalar; None for an empty set.
    """
    count = difference.new_tensor(float(difference.numel()))
    square, plain, count = total(
        torch.stack([(difference**2).sum(), difference.sum(), count])
    ).unbind()
    if not float(count.detach()):
        return None
    variance = square / count - settings.leniency * (plain / count) ** 2
    return settings.factor * torch.sqrt(variance.clamp(min=0.0) + settings.epsilon)


def level_loss(
    prediction: Tensor,
    target: Tensor,
    removed: Tensor,
    settings: BalancedLoss,
    total: Total = local,
) -> tuple[Tensor | None, Tensor | None]:
    """
    Errors of one level, pooled over the batch of all processes.

    :param prediction: (B, 1, h, w) metres, rectified here.
    :param target: (B, h, w) metres, 0 where not known.
    :param removed: (B, h, w) bool, True where the input had no depth.
    :param settings: of the loss.
    :param total: sum over processes.
    :returns: errors of the pixels that were removed and that were kept; None for an empty set.
    """
    predicted = torch.relu(prediction[:, 0])
    counts = (target >= LEAST) & (predicted >= LEAST)
    if settings.normalised:
        largest = target.flatten(1).amax(1).clamp(min=LEAST).view(-1, 1, 1)
        predicted, target = predicted / largest, target / largest
    found: list[Tensor | None] = []
    for chosen in (counts & removed, counts & ~removed):
        ours, theirs = predicted[chosen], target[chosen]
        if settings.power is not None:
            power = torch.where(theirs < CLOSE, CLOSE_POWER, settings.power)
            difference = ours**power - theirs**power
        else:
            difference = torch.log(ours) - torch.log(theirs)
        found.append(set_error(difference, settings, total))
    return found[0], found[1]


def balanced_loss(
    predictions: Sequence[Tensor],
    targets: Sequence[Tensor],
    removed: Sequence[Tensor],
    settings: BalancedLoss | None = None,
    total: Total = local,
) -> Tensor | None:
    """
    Mean over the levels of the mean of both sets' errors.

    Where one set of a level is empty, the other counts alone.

    :param predictions: (B, 1, h, w) metres, of each level.
    :param targets: (B, h, w) metres, 0 where not known, of each level.
    :param removed: (B, h, w) bool, of each level.
    :param settings: of the loss.
    :param total: sum over processes.
    :returns: scalar; None where a level has nothing to compare: leave the batch out.
    """
    settings = settings or BalancedLoss()
    whole: Tensor | None = None
    for k, level in enumerate(zip(predictions, targets, removed, strict=True)):
        gone, kept = level_loss(*level, settings, total)
        parts = [part for part in (gone, kept if settings.kept else None) if part is not None]
        if not parts:
            return None
        loss = torch.stack(parts).mean()
        if settings.level_weights is not None:
            loss = loss * settings.level_weights[k]
        whole = loss if whole is None else whole + loss
    return None if whole is None else whole / len(predictions)
