# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny network of two transformers that has learned to listen to points."""

from __future__ import annotations

from pathlib import Path


def make_sparse_vit(steps: int = 40):
    """A few steps on planes: enough that depth follows what was measured."""
    import torch

    from monother_ros.learning.completion_losses import BalancedLoss, balanced_loss
    from monother_ros.networks.completion_decoder import decode_metres
    from monother_ros.networks.dinov2 import DinoV2
    from monother_ros.networks.sparse_vit import SparseVit, SparseVitConfig

    torch.manual_seed(4)
    network = SparseVit(DinoV2(32, 4, 2), SparseVitConfig(widths=(16, 16, 8, 8))).train()
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 3e-3)
    settings = BalancedLoss(leniency=0.0, epsilon=1e-6)
    for _ in range(steps):
        rows = torch.linspace(1, 0.5, 56).view(1, 1, 56, 1).expand(4, 1, 56, 84)
        depth = rows * torch.exp(torch.rand(4, 1, 1, 1) * 3.5 + 0.7)
        there = torch.rand_like(depth) < 0.3
        there[3] = False
        frozen = network.adapter.freeze(torch.randn(4, 3, 56, 84))
        finest = decode_metres(network.complete(frozen, torch.where(there, depth, 0.0))[0])
        loss = balanced_loss(
            [finest[:, None]], [depth[:, 0, :32, :64]], [~there[:, 0, :32, :64]], settings
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def make_sparse_vit_bundle(network, path: Path, size: tuple[int, int]):
    """Write it, at the canonical focal length of that width."""
    from monother_ros.networks.adapter_export import export_sparse_vit_bundle

    return export_sparse_vit_bundle(
        network,
        path,
        size=size,
        revision='vit-1',
        focal_length=260.0 * size[1] / 320,
        training={},
        metrics={},
        name='vit-sparse-random',
    )
