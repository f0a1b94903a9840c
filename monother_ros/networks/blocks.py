# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plain convolution blocks for embedded networks: ReLU, batch norm, nothing else."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ConvUnit(nn.Module):
    """
    Convolution, batch norm and ReLU.

    :param inputs: input channels.
    :param outputs: output channels.
    :param kernel: odd kernel size in pixels.
    :param stride: 1 or 2.
    :param groups: channel groups; equal to inputs for a depthwise convolution.
    :param active: whether a ReLU follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """
        Map features.

        :param x: (B, inputs, H, W).
        :returns: (B, outputs, ceil(H / stride), ceil(W / stride)).
        """
        x = self.norm(self.conv(x))
        return torch.relu(x) if self.active else x


class InvertedBottleneck(nn.Module):
    """
    Universal inverted bottleneck of MobileNetV4 (Qin et al. 2024, arXiv 2404.10518, section 3).

    Optional depthwise convolution, expansion, optional depthwise convolution, projection. The
    stride is taken by the middle depthwise convolution, or by the first where there is no middle.

    :param inputs: input channels.
    :param outputs: output channels; a residual is added where it equals inputs at stride 1.
    :param first: kernel of the depthwise convolution before the expansion, 0 for none.
    :param middle: kernel of the depthwise convolution after the expansion, 0 for none.
    :param expansion: ratio of the inner channels to the input channels.
    :param stride: 1 or 2.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        first: int,
        middle: int,
        expansion: float,
        stride: int = 1,
    ) -> None:
        super().__init__()
        inner = int(inputs * expansion)
        layers: list[nn.Module] = []
        if first:
            step = 1 if middle else stride
            layers.append(ConvUnit(inputs, inputs, first, step, inputs, active=False))
        layers.append(ConvUnit(inputs, inner))
        if middle:
            layers.append(ConvUnit(inner, inner, middle, stride, inner))
        layers.append(ConvUnit(inner, outputs, active=False))
        self.layers = nn.Sequential(*layers)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """
        Map features.

        :param x: (B, inputs, H, W).
        :returns: (B, outputs, ceil(H / stride), ceil(W / stride)).
        """
        y = self.layers(x)
        return x + y if self.residual else y


class SeparableUnit(nn.Module):
    """
    Depthwise 5x5 and pointwise convolution with a residual, for decoders.

    :param channels: input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = ConvUnit(channels, channels, 5, groups=channels, active=False)
        self.mix = ConvUnit(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """
        Map features.

        :param x: (B, channels, H, W).
        :returns: the same shape.
        """
        return x + self.mix(self.spatial(x))


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """
    Copy of a network in evaluation mode whose batch norms are folded into the convolutions.

    :param network: any module built of ConvUnit, or of convolutions with batch norms right behind
        them in an nn.Sequential.
    :returns: the copy; its convolutions carry a bias and its batch norms are identities.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            for k, (layer, norm) in enumerate(itertools.pairwise(list(module))):
                if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[k], module[k + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
        if isinstance(module, ConvUnit) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    return folded
