# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The DPT decoder (Ranftl et al. 2021, arXiv 2103.13413) as the Depth Anything models use it.

Parameter names are those of the published weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.networks.dinov2 import PATCH

ACTIVATION = 32
"""Channels before the last convolution; the metric head reads them."""


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """
    Bilinear interpolation with aligned corners.

    :param x: (B, C, H, W).
    :param size: (h, w) of the result.
    :returns: (B, C, h, w).
    """
    if (int(x.shape[-2]), int(x.shape[-1])) == (int(size[0]), int(size[1])):
        return x
    return F.interpolate(x, size, mode='bilinear', align_corners=True)


class DecoderOutput(NamedTuple):
    """What the decoder hands to the metric head."""

    relative: Tensor
    """(B, 1, h, w) relative inverse depth, >= 0, unbounded"""
    activation: Tensor
    """(B, 32, h, w) what the last convolution saw, >= 0"""
    deepest: Tensor
    """(B, F, ceil(h/28), ceil(w/28)) adapted map of the last tap"""
    pyramid: tuple[Tensor, Tensor, Tensor, Tensor]
    """(B, F, .., ..) fused maps, the coarsest first: 1/14, 2/14, 4/14 and 8/14 of h x w"""


class ResidualUnit(nn.Module):
    """
    t + conv(relu(conv(relu(t)))), 3x3, no norm.

    :param features: channels.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """
        Refine.

        :param x: (B, features, H, W).
        :returns: same shape.
        """
        return x + self.conv2(torch.relu(self.conv1(torch.relu(x))))


class FusionBlock(nn.Module):
    """
    Add a skip connection, refine and enlarge.

    :param features: channels.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, 1)
        self.resConfUnit1 = ResidualUnit(features)
        self.resConfUnit2 = ResidualUnit(features)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """
        Fuse.

        :param x: (B, features, H, W) from the coarser level.
        :param skip: (B, features, H, W) of this level; the deepest block has none and never uses
            its first unit.
        :param size: (h, w) of the result.
        :returns: (B, features, h, w).
        """
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        return self.out_conv(resize(self.resConfUnit2(x), size))


class _Scratch(nn.Module):
    """Everything behind the reassembled maps, under the name the weights have."""

    def __init__(self, features: int, projections: tuple[int, int, int, int]) -> None:
        super().__init__()
        a, b, c, d = projections
        self.layer1_rn = nn.Conv2d(a, features, 3, padding=1, bias=False)
        self.layer2_rn = nn.Conv2d(b, features, 3, padding=1, bias=False)
        self.layer3_rn = nn.Conv2d(c, features, 3, padding=1, bias=False)
        self.layer4_rn = nn.Conv2d(d, features, 3, padding=1, bias=False)
        self.refinenet1 = FusionBlock(features)
        self.refinenet2 = FusionBlock(features)
        self.refinenet3 = FusionBlock(features)
        self.refinenet4 = FusionBlock(features)
        self.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, ACTIVATION, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(ACTIVATION, 1, 1),
            nn.ReLU(),
        )


class DptDecoder(nn.Module):
    """
    Four token maps to relative inverse depth and the maps below it.

    :param embed: width of the tokens.
    :param features: channels of the fused maps, F; even.
    :param projections: channels of the four reassembled maps, the shallowest first.
    """

    def __init__(self, embed: int, features: int, projections: tuple[int, int, int, int]) -> None:
        super().__init__()
        a, b, _, d = projections
        self.projects = nn.ModuleList(nn.Conv2d(embed, c, 1) for c in projections)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(a, a, 4, 4),
                nn.ConvTranspose2d(b, b, 2, 2),
                nn.Identity(),
                nn.Conv2d(d, d, 3, 2, 1),
            ]
        )
        self.scratch = _Scratch(features, projections)

    def reassemble(self, taps: tuple[Tensor, ...], rows: int, columns: int) -> list[Tensor]:
        """
        Tokens to maps of four sizes.

        :param taps: four times (B, rows * columns, embed).
        :param rows: of the patch grid.
        :param columns: of the patch grid.
        :returns: maps of 4, 2, 1 and 1/2 (rounded up) times the patch grid.
        """
        maps = []
        for tap, project, layer in zip(taps, self.projects, self.resize_layers, strict=True):
            grid = tap.transpose(1, 2).reshape(tap.shape[0], tap.shape[2], rows, columns)
            maps.append(layer(project(grid)))
        return maps

    def forward(self, taps: tuple[Tensor, ...], height: int, width: int) -> DecoderOutput:
        """
        Decode.

        :param taps: four times (B, H/14 * W/14, embed), the deepest last.
        :param height: of the image in pixels, a multiple of 14.
        :param width: of the image in pixels, a multiple of 14.
        :returns: relative depth and the maps that the metric head reads.
        """
        s = self.scratch
        adapters = (s.layer1_rn, s.layer2_rn, s.layer3_rn, s.layer4_rn)
        maps = self.reassemble(taps, height // PATCH, width // PATCH)
        l1, l2, l3, l4 = (adapter(x) for adapter, x in zip(adapters, maps, strict=True))
        r4 = s.refinenet4(l4, None, _size(l3))
        r3 = s.refinenet3(r4, l3, _size(l2))
        r2 = s.refinenet2(r3, l2, _size(l1))
        rows, columns = _size(l1)
        r1 = s.refinenet1(r2, l1, (2 * rows, 2 * columns))
        full = resize(s.output_conv1(r1), (height, width))
        activation = s.output_conv2[1](s.output_conv2[0](full))
        relative = s.output_conv2[3](s.output_conv2[2](activation))
        return DecoderOutput(relative, activation, l4, (r4, r3, r2, r1))


def _size(x: Tensor) -> tuple[int, int]:
    return int(x.shape[-2]), int(x.shape[-1])
