# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of the two branches as free tensors, with a batch they could come from; for tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monother_ros.learning.objective import PairBatch
from monother_ros.networks.monother import BranchOutput, DualOutput

SIZE = (42, 56)
IMAGE = (40, 60)


def random_batch(count: int = 4, seed: int = 0, labelled: float = 0.3) -> PairBatch:
    """
    Pairs with sparse labels.

    :param count: pairs.
    :param seed: of the random numbers.
    :param labelled: part of the pixels with a label.
    """
    g = torch.Generator().manual_seed(seed)

    def labels(height: int, width: int) -> Tensor:
        depth = torch.rand(count, 1, height, width, generator=g) * 15 + 2
        return depth * (torch.rand(depth.shape, generator=g) < labelled)

    k = torch.tensor([[50.0, 0, 29.5], [0, 50.0, 19.5], [0, 0, 1]]).repeat(count, 1, 1)
    pose = torch.eye(4).repeat(count, 1, 1)
    pose[:, :3, 3] = torch.tensor([0.2, 0.05, 0.03])
    return PairBatch(
        torch.rand(count, 1, *IMAGE, generator=g),
        torch.rand(count, 3, *IMAGE, generator=g),
        labels(*IMAGE),
        labels(50, 70),
        k,
        k.clone(),
        pose,
    )


def random_outputs(count: int = 4, seed: int = 1) -> DualOutput:
    """
    What two branches could yield, every tensor a leaf that wants a gradient.

    :param count: pairs.
    :param seed: of the random numbers.
    """
    g = torch.Generator().manual_seed(seed)

    def branch() -> BranchOutput:
        shape = (count, 1, *SIZE)
        depth = torch.rand(shape, generator=g) * 2 + 6
        features = torch.rand(count, 5, *SIZE, generator=g) + 0.2
        other = torch.rand(shape, generator=g)
        parts = (depth, other, features, other.clone(), other.clone())
        return BranchOutput(*(p.requires_grad_() for p in parts))

    return DualOutput(branch(), branch())


def part_of_outputs(outputs: DualOutput, part: slice) -> DualOutput:
    """Some samples, as leaves of their own."""
    return DualOutput(
        *(BranchOutput(*(t.detach()[part].clone().requires_grad_() for t in b)) for b in outputs)
    )


def part_of_batch(batch: PairBatch, part: slice) -> PairBatch:
    """Some samples."""
    return PairBatch(*(None if t is None else t[part] for t in batch))


class SmallConfidence(nn.Module):
    """Confidence network of one convolution, no statistics over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(8, 1, 3, padding=1)
        g = torch.Generator().manual_seed(5)
        with torch.no_grad():
            self.layer.weight.copy_(torch.randn(1, 8, 3, 3, generator=g) * 0.05)
            self.layer.bias.fill_(-1.0)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, 8, h, w) to (B, 1, h, w) in 0..1."""
        return torch.sigmoid(self.layer(inputs))
