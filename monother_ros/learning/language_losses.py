# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loss and learning rate of RSA's training (Zeng et al. 2024 and its published settings)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from monother_ros.core.errors import SettingsError

Kind = Literal['huber', 'l1', 'l2']
KINDS: tuple[Kind, ...] = ('huber', 'l1', 'l2')

HUBER_DELTA = 1.0
"""Metres up to which the Huber loss is quadratic."""


def depth_loss(
    prediction: Tensor, target: Tensor, near: float, far: float, kind: Kind = 'huber'
) -> Tensor:
    """
    Error of metric depth, sum over the batch of (sum of valid errors / all pixels of the image).

    It is not a mean over the valid pixels: an image with few labels counts little, as published.

    :param prediction: (B, H, W) or (B, 1, H, W) metres.
    :param target: the same; valid where near < target < far, both strictly.
    :param near: metres.
    :param far: metres.
    :param kind: huber (delta 1 m), l1 or l2.
    :returns: scalar; 0 with its graph where nothing is valid.
    :raises SettingsError: the kind is not known.
    """
    prediction, target = (t.reshape(t.shape[0], -1) for t in (prediction, target))
    valid = (target > near) & (target < far)
    # chosen before the error: infinity where there is no label must not reach the gradient
    error = torch.where(valid, prediction, 0.0) - torch.where(valid, target, 0.0)
    if kind == 'huber':
        size = error.abs()
        values = torch.where(
            size <= HUBER_DELTA, 0.5 * error**2, HUBER_DELTA * (size - 0.5 * HUBER_DELTA)
        )
    elif kind == 'l1':
        values = error.abs()
    elif kind == 'l2':
        values = error**2
    else:
        msg = f'loss {kind!r} is not known; use one of {", ".join(KINDS)}'
        raise SettingsError(msg)
    return values.sum() / target.shape[1]


def balanced(loss: Tensor) -> Tensor:
    """
    Loss of one data set with the weight that makes it 1: each gives an equal share of gradient.

    :param loss: scalar >= 0.
    :returns: loss / its own value, detached; 0 with its graph where it is 0.
    """
    size = loss.detach()
    return loss / torch.where(size > 0, size, torch.ones_like(size))


def polynomial_rate(
    step: int, total: int, first: float = 3e-5, last: float = 1e-5, power: float = 0.9
) -> float:
    """
    Learning rate that falls polynomially, (first - last) (1 - step / total)^power + last.

    :param step: steps done.
    :param total: steps of the run.
    :param first: rate before the first step.
    :param last: rate at the end.
    :param power: of the decay.
    """
    left = max(0.0, 1.0 - step / total)
    return float((first - last) * left**power + last)
