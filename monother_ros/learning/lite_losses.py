# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of the lite network's supervised training; all work on natural logarithms of metres."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from monother_ros.networks.lite import CELL

TAPS = ((0, 1), (1, 3), (2, 0), (3, 2))
"""Row and column in a cell of the pixels whose depths form the cell's target distribution."""


class Losses(NamedTuple):
    """Loss of one batch and its parts, each a scalar."""

    total: Tensor
    bins: Tensor
    depth: Tensor
    edges: Tensor


def bin_cross_entropy(logits: Tensor, log_depth: Tensor, first: float, width: float) -> Tensor:
    """
    Cross-entropy of the cell distributions.

    Each tap gives its mass to the two bins around its depth, in proportion to nearness, and the
    target of a cell is the mean over its taps: a cell across an edge learns to hold both sides.

    :param logits: (B, bins, h, w).
    :param log_depth: (B, 1, 4 h, 4 w) ground truth, log metres, finite.
    :param first: log metres of the first bin's centre.
    :param width: distance of bin centres in log metres.
    :returns: scalar, nats.
    """
    place = torch.cat([log_depth[:, :, row::CELL, column::CELL] for row, column in TAPS], 1)
    place = ((place - first) / width).clamp(0, logits.shape[1] - 1)
    lower = place.floor().clamp(max=logits.shape[1] - 2)
    share = place - lower
    index = lower.long()
    log_p = torch.log_softmax(logits.float(), 1)
    below = torch.gather(log_p, 1, index)
    above = torch.gather(log_p, 1, index + 1)
    return -(below + share * (above - below)).mean()


def cautious_l1(prediction: Tensor, target: Tensor, beyond: float, beyond_weight: float) -> Tensor:
    """
    Mean error of depth, in which too far is worse than too near.

    With e = ln p - ln g: -e where the prediction is too near, and p / g - 1 where it is too far
    (the relative error), up to a factor of five, from where it grows as e does.

    :param prediction: (B, 1, H, W) log metres.
    :param target: (B, 1, H, W) log metres.
    :param beyond: log metres from which ground truth is out of range (sky mostly).
    :param beyond_weight: weight of such pixels; others weigh 1.
    :returns: scalar.
    """
    error = prediction - target
    limit = math.log(5.0)
    far = torch.expm1(error.clamp(0.0, limit)) + (error - limit).clamp(min=0.0)
    weight = torch.where(target >= beyond, beyond_weight, 1.0)
    return (weight * (far - error.clamp(max=0.0))).mean()


def log_gradient(prediction: Tensor, target: Tensor) -> Tensor:
    """
    Mean absolute difference of the spatial differences of logarithms: edges and slopes.

    :param prediction: (B, 1, H, W) log metres.
    :param target: (B, 1, H, W) log metres.
    :returns: scalar.
    """
    error = prediction - target
    return F.l1_loss(error[..., 1:], error[..., :-1]) + F.l1_loss(
        error[..., 1:, :], error[..., :-1, :]
    )


def supervised_loss(
    prediction: Tensor,
    logits: Tensor,
    target: Tensor,
    *,
    first: float,
    width: float,
    beyond: float = math.log(80.0),
    beyond_weight: float = 0.3,
    depth_weight: float = 1.0,
    edge_weight: float = 0.1,
) -> Losses:
    """
    Loss of lite training: cross-entropy of the bins, error and gradient error of log depth.

    :param prediction: (B, 1, H, W) log metres.
    :param logits: (B, bins, H/4, W/4) of the network.
    :param target: (B, 1, H, W) ground truth, log metres; sky is the last bin's centre.
    :param first: log metres of the first bin's centre.
    :param width: distance of bin centres in log metres.
    :param beyond: log metres from which ground truth is out of range.
    :param beyond_weight: weight of such pixels in the depth term.
    :param depth_weight: of the depth term.
    :param edge_weight: of the gradient term.
    :returns: the sum and its parts, not weighted.
    """
    bins = bin_cross_entropy(logits, target, first, width)
    depth = cautious_l1(prediction, target, beyond, beyond_weight)
    edges = log_gradient(prediction, target)
    return Losses(bins + depth_weight * depth + edge_weight * edges, bins, depth, edges)
