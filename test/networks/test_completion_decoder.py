# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Self-supervised learning of the depth side of DINOv2, from masks to the balanced loss."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.learning.completion_losses import (  # noqa: E402
    BalancedLoss,
    balanced_loss,
)
from monother_ros.learning.depth_masks import perlin_mask  # noqa: E402
from monother_ros.networks.completion_decoder import (  # noqa: E402
    WIDTHS,
    CompletionDecoder,
    decode_metres,
)
from monother_ros.networks.depth_adapter_vit import DinoDepthAdapter  # noqa: E402
from monother_ros.networks.depth_encoding import outdoor  # noqa: E402
from monother_ros.networks.dinov2 import DinoV2  # noqa: E402


def test_levels_have_the_published_sizes():
    decoder = CompletionDecoder(8, (16, 8, 8, 4)).eval()
    taps = [torch.randn(1, 256, 8) for _ in range(4)]
    with torch.no_grad():
        found = decoder(taps, (16, 16), (224, 224))
    assert [tuple(f.shape) for f in found] == [(1, 4, n, n) for n in (224, 112, 56, 28)]
    assert WIDTHS == (512, 256, 128, 64)


def test_the_depth_side_learns_from_what_was_removed_and_the_image_side_stays():
    torch.manual_seed(0)
    adapter = DinoDepthAdapter(DinoV2(32, 4, 2), outdoor(80.0, 1.0), (1, 3)).train()
    decoder = CompletionDecoder(32, (32, 16, 16, 8)).train()
    frozen = {k: v.clone() for k, v in adapter.image.state_dict().items()}
    rng = np.random.default_rng(0)
    plane = np.repeat(np.linspace(20, 3, 112)[:, None], 112, 1).astype(np.float32)
    depth = torch.tensor(np.stack([plane, plane[:, ::-1] * 0.7 + 1]))
    image = torch.randn(2, 3, 112, 112)
    removed = torch.tensor(np.stack([perlin_mask(rng, (112, 112), 0.4) for _ in range(2)]))
    sparse = torch.where(removed, 0.0, depth)[:, None]
    trained = [p for p in (*adapter.parameters(), *decoder.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, 3e-3)
    losses = []
    for _ in range(25):
        levels = decoder(adapter(image, sparse), (8, 8), (112, 112))
        metres = [decode_metres(level)[:, None] for level in levels]
        steps = [96 // m.shape[-1] for m in metres]
        loss = balanced_loss(
            metres,
            [depth[:, :96:s, :96:s] for s in steps],
            [removed[:, :96:s, :96:s] for s in steps],
            BalancedLoss(epsilon=1e-6),
        )
        assert loss is not None
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])
    after = adapter.image.state_dict()
    assert all(torch.equal(frozen[k], after[k]) for k in frozen)
