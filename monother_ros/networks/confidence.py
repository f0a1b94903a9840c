# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The confidence network: how far to trust the RGB depth, per pixel, while training.

A U-Net (Ronneberger et al. 2015, arXiv 1505.04597) with batch norm. Parameter names are those of
the published weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 8
"""Input channels: two similarities, depth difference, two depths, red, green, blue."""

GATE = 0.01
"""Largest gradient of one logit."""


class _Gate(torch.autograd.Function):
    """Identity whose gradient has no NaN and no element beyond the limit."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return torch.nan_to_num(gradient, nan=0.0).clamp(-ctx.limit, ctx.limit), None


def gradient_gate(x: Tensor, limit: float = GATE) -> Tensor:
    """
    Pass values, tame gradients: NaN becomes 0, every element is clamped to +-limit.

    :param x: any shape.
    :param limit: largest absolute gradient of one element.
    :returns: x.
    """
    return _Gate.apply(x, limit)


class GradientGate(nn.Module):
    """:func:`gradient_gate` as a layer; without effect where no gradient is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.limit: float | None = GATE
        """largest absolute gradient of one logit; None switches the gate off"""

    def forward(self, x: Tensor) -> Tensor:
        """
        Pass.

        :param x: any shape.
        :returns: x.
        """
        if self.limit is None or not (torch.is_grad_enabled() and x.requires_grad):
            return x
        return gradient_gate(x, self.limit)


class _Double(nn.Module):
    """Twice 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.double_conv(x)


class _Down(nn.Module):
    """Halve, then two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), _Double(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool_conv(x)


class _Up(nn.Module):
    """Double, pad to the skip, concatenate, then two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _Double(inputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=True)
        down, right = skip.shape[-2] - x.shape[-2], skip.shape[-1] - x.shape[-1]
        x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return self.conv(torch.cat([skip, x], 1))


class _Out(nn.Module):
    """1x1 convolution to one channel, under the name the weights have."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ConfidenceNetwork(nn.Module):
    """
    Confidence of the RGB depth from the eight channels of the consistency block.

    Batch norm makes it differ between training and evaluation mode.

    :param width: channels of the first level; 64 in the published weights.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        self.inc = _Double(CHANNELS, w)
        self.down1 = _Down(w, 2 * w)
        self.down2 = _Down(2 * w, 4 * w)
        self.down3 = _Down(4 * w, 8 * w)
        self.down4 = _Down(8 * w, 8 * w)
        self.up1 = _Up(16 * w, 4 * w)
        self.up2 = _Up(8 * w, 2 * w)
        self.up3 = _Up(4 * w, w)
        self.up4 = _Up(2 * w, w)
        self.outc_unc = nn.Sequential(_Out(w), GradientGate(), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """
        Predict.

        :param x: (B, 8, H, W), H and W at least 16: similarity on the RGB grid, similarity of the
            thermal grid fetched to it, depth difference [m] (-1 invalid), thermal depth in the
            RGB camera [m], RGB depth [m], red, green, blue in [0, 1].
        :returns: (B, 1, H, W) in (0, 1).
        """
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        y = self.up1(self.down4(x4), x4)
        return self.outc_unc(self.up4(self.up3(self.up2(y, x3), x2), x1))
