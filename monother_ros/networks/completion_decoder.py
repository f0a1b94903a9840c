# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Decoder that teaches a depth branch of tokens; it is left out once the branch has learned.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947): token maps of four levels become a
pyramid, a U-Net goes up it, and every level says metres by four channels that count tens, ones,
tenths and hundredths (:func:`decode_metres`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (512, 256, 128, 64)
"""Published channels of the levels, from coarse to fine; half of them for the small model."""


class CompletionDecoder(nn.Module):
    """
    Token maps to metres at 1/8, 1/4, 1/2 and the whole of the size.

    :param embed: width of a token.
    :param widths: channels of the four levels.
    """

    def __init__(self, embed: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        inputs = (embed, *widths[:-1])
        skips = (embed, embed, embed, 0)
        self.levels = nn.ModuleList(
            _double(a + b, c) for a, b, c in zip(inputs, skips, widths, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(c, 4, 3, padding=1) for c in widths)
        for head in self.heads:
            # 11 m everywhere: a rectified pixel that begins below 0 would never learn
            nn.init.ones_(head.bias)  # type: ignore[arg-type]

    def forward(
        self, taps: Sequence[Tensor], grid: tuple[int, int], size: tuple[int, int]
    ) -> list[Tensor]:
        """
        Go up the pyramid.

        :param taps: four times (B, rows * columns, embed), the deepest last.
        :param grid: (rows, columns) of the tokens.
        :param size: (H, W) of the picture; the result is rounded down to multiples of 32.
        :returns: (B, 4, h, w) of each level, the finest first, for the balanced loss.
        """
        height, width = (n // 32 * 32 for n in size)
        maps = []
        for k, tap in enumerate(taps):
            image = tap.transpose(1, 2).unflatten(2, grid)
            target = (height >> (k + 1), width >> (k + 1))
            maps.append(F.interpolate(image, target, mode='bilinear', align_corners=False))
        x = maps[3]
        found: list[Tensor] = []
        for level, head, skip in zip(
            self.levels, self.heads, (maps[2], maps[1], maps[0], None), strict=True
        ):
            x = F.interpolate(x, scale_factor=2.0, mode='nearest')
            x = level(x if skip is None else torch.cat([x, skip], 1))
            found.insert(0, head(x))
        return found


def decode_metres(head: Tensor) -> Tensor:
    """
    Metres from four channels that count tens, ones, tenths and hundredths of a metre.

    relu; values below 1e-4 become x * x^3, the factor without gradient; weighted sum.

    :param head: (B, 4, h, w).
    :returns: (B, h, w) metres.
    """
    x = torch.relu(head)
    x = torch.where(x < 1e-4, x * (x**3).detach(), x)
    weights = torch.tensor([10.0, 1.0, 0.1, 0.01], dtype=head.dtype, device=head.device)
    return (x * weights.view(1, -1, 1, 1)).sum(1)


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions of 3x3 with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for count in (inputs, outputs):
        layers += [nn.Conv2d(count, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
