# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Random changes of thermal pictures while learning on the vehicle; geometry stays.

What is learned by day must hold at night, when other things are warm: the grey scale is bent,
stretched and shaded, and noise is added, so that the student relies on shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(
    inputs: Tensor, mean: float, std: float, strength: float, generator: torch.Generator
) -> Tensor:
    """
    Change pictures, each in its own way; about a fifth of them stay as they are.

    :param inputs: (B, C, h, w) network inputs, all channels alike.
    :param mean: of the bundle's normalisation.
    :param std: of the bundle's normalisation.
    :param strength: 0 changes nothing; 1 is as strong as the lite network was trained with where
        it was changed.
    :param generator: source of all that is random, on the CPU.
    :returns: (B, C, h, w) network inputs.
    """
    if strength <= 0.0:
        return inputs
    batch, channels, height, width = inputs.shape
    device = inputs.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    def chosen(part: float) -> Tensor:
        draw = torch.rand(batch, 1, 1, 1, generator=generator)
        return (draw < part).to(device, torch.float32)

    changed = chosen(0.8) * strength
    x = (inputs[:, :1] * std + mean).clamp(0.0, 1.0)
    gamma = torch.exp(0.35 * changed * normal(batch, 1, 1, 1)).clamp(0.4, 2.5)
    x = x.clamp(min=1e-4) ** gamma
    gain = torch.exp(0.2 * changed * normal(batch, 1, 1, 1))
    x = 0.5 + gain * (x - 0.5) + 0.08 * changed * normal(batch, 1, 1, 1)
    shade = F.interpolate(
        normal(batch, 1, 4, 5), (height, width), mode='bicubic', align_corners=True
    )
    x = x + 0.06 * changed * chosen(0.5) * shade
    x = x + 0.015 * changed * chosen(0.4) * normal(batch, 1, 1, width)
    x = x + 0.03 * changed * chosen(0.6) * normal(batch, 1, height, width)
    x = (x.clamp(0.0, 1.0) - mean) / std
    return x.expand(-1, channels, -1, -1)
