# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685): W + up down, with W kept as it is.

An adapter begins with up = 0, so that nothing changes until it has been trained, and is merged
into its weight when the weights leave the process. Few numbers are trained, so that optimiser and
snapshots are small.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RANK = 8
"""Rank of an adapter."""

CHILD = 'low_rank'
"""Name of an adapter inside of the module that it belongs to."""


class LowRank(nn.Module):
    """
    Adapter of one linear map.

    :param inputs: channels.
    :param outputs: channels.
    :param rank: of the change.
    :param generator: source of the first values of `down`.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        down = torch.randn(rank, inputs, generator=generator) / math.sqrt(inputs)
        self.down = nn.Parameter(down)
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, tokens: Tensor) -> Tensor:
        """
        What the adapter adds to the output.

        :param tokens: (..., inputs).
        :returns: (..., outputs).
        """
        return F.linear(F.linear(tokens, self.down), self.up)

    def delta(self) -> Tensor:
        """What the adapter adds to the weight, (outputs, inputs)."""
        return self.up @ self.down


class AdaptedLinear(nn.Linear):
    """
    Linear layer that may have an adapter; it takes over the parameters of a plain one.

    :param plain: the layer.
    """

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__(plain.in_features, plain.out_features, plain.bias is not None, 'meta')
        self.weight, self.bias = plain.weight, plain.bias
        self.low_rank: LowRank | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        """
        Map tokens.

        :param tokens: (..., inputs).
        :returns: (..., outputs).
        """
        mapped = super().forward(tokens)
        return mapped if self.low_rank is None else mapped + self.low_rank(tokens)


class AdaptedPoint(nn.Conv2d):
    """
    Convolution of 1x1 that may have an adapter; it takes over the parameters of a plain one.

    :param plain: the convolution.
    """

    def __init__(self, plain: nn.Conv2d) -> None:
        bias = plain.bias is not None
        super().__init__(plain.in_channels, plain.out_channels, 1, bias=bias, device='meta')
        self.weight, self.bias = plain.weight, plain.bias
        self.low_rank: LowRank | None = None

    def forward(self, x: Tensor) -> Tensor:
        """
        Map features.

        :param x: (B, inputs, H, W).
        :returns: (B, outputs, H, W).
        """
        return F.conv2d(x, adapted(self.weight, self.low_rank), self.bias)


def adapted(weight: Tensor, low_rank: LowRank | None) -> Tensor:
    """
    Weight with its adapter merged.

    :param weight: (outputs, inputs) or (outputs, inputs, 1, 1).
    :param low_rank: the adapter, if there is one.
    """
    return weight if low_rank is None else weight + low_rank.delta().view_as(weight)


def attach(module: nn.Module, names: list[str], seed: int, rank: int = RANK) -> None:
    """
    Give adapters to modules that have none.

    :param module: whole network.
    :param names: of submodules with a weight (outputs, inputs, ...) and a place for an adapter.
    :param seed: of the first values.
    :param rank: of the adapters.
    """
    for index, name in enumerate(names):
        target = module.get_submodule(name)
        if getattr(target, CHILD) is not None:
            continue
        weight = target.get_parameter('conv.weight' if hasattr(target, 'conv') else 'weight')
        outputs, inputs = weight.shape[:2]
        generator = torch.Generator().manual_seed(seed * 7919 + index)
        low_rank = LowRank(inputs, outputs, min(rank, inputs, outputs), generator)
        setattr(target, CHILD, low_rank.to(weight.device, weight.dtype))


@torch.no_grad()
def merge(module: nn.Module) -> None:
    """
    Put all adapters into their weights and remove them.

    :param module: whole network; what it says stays the same up to rounding.
    """
    for target in list(module.modules()):
        low_rank = getattr(target, CHILD, None)
        if isinstance(low_rank, LowRank):
            weight = target.get_parameter('conv.weight' if hasattr(target, 'conv') else 'weight')
            weight.add_(low_rank.delta().view_as(weight))
            setattr(target, CHILD, None)
