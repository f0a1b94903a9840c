# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The metric bins head (Bhat et al. 2023, ZoeDepth, arXiv 2302.12288, section 3) of the dual network.

Each pixel gets bin centres in metres, moved by attractors from coarse to fine, and a distribution
over them of log-binomial shape. Two properties of the published weights are kept on purpose: an
attractor is the raw first element of a predicted pair, not the normalised one, and the attractor
strength is 300. Parameter names are those of the published weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from monother_ros.networks.dpt import ACTIVATION, DecoderOutput, resize

ATTRACTORS = (16, 8, 4, 1)
"""Number of attractors per stage, the coarsest stage first."""

STRENGTH = 300.0
"""How fast an attractor's pull falls with the distance in normalised depth."""

_SEED_WIDTH = 256
_LEAST = 1e-3
_PROBABILITY_FLOOR = 1e-4
_TEMPERATURE = (0.0212, 50.0)
_TINY = 1e-7


class HeadOutput(NamedTuple):
    """What the head yields."""

    depth: Tensor
    """(B, 1, h, w) metres in [near, far]"""
    features: Tensor
    """(B, 33 + embedding, h, w): activation, relative depth, finest embedding"""
    probabilities: Tensor
    """(B, bins, h, w), sum 1 over bins"""
    centres: Tensor
    """(B, bins, h, w) metres, ascending, in [near, far]"""


class _Pair(nn.Module):
    """Two 1x1 convolutions with a ReLU between them, under the name the weights have."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self._net = nn.Sequential(
            nn.Conv2d(inputs, inner, 1), nn.ReLU(), nn.Conv2d(inner, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self._net(x)


class _LogBinomial(nn.Module):
    """The two constants that the published state dict stores."""

    k_idx: Tensor
    K_minus_1: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.register_buffer('k_idx', torch.arange(bins).view(1, -1, 1, 1))
        self.register_buffer('K_minus_1', torch.full((1, 1, 1, 1), float(bins - 1)))


class BinDistribution(nn.Module):
    """
    Probability of each bin from two numbers per pixel: mode and temperature.

    :param inputs: channels of the features.
    :param bins: number of bins.
    """

    def __init__(self, inputs: int, bins: int) -> None:
        super().__init__()
        self.log_binomial_transform = _LogBinomial(bins)
        self.mlp = nn.Sequential(
            nn.Conv2d(inputs, inputs // 2, 1),
            nn.GELU(),
            nn.Conv2d(inputs // 2, 4, 1),
            nn.Softplus(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """
        Predict the distribution.

        log p(k) = (ln C(N, k) by Stirling + k ln p + (N - k) ln (1 - p)) / temperature + constant.

        :param features: (B, inputs, h, w).
        :returns: (B, bins, h, w), sum 1 over bins.
        """
        return self.probabilities(self.mlp(features))

    def probabilities(self, pairs: Tensor) -> Tensor:
        """
        Distribution of given positive numbers.

        :param pairs: (B, 4, h, w) positive: two for the mode, two for the temperature.
        :returns: (B, bins, h, w), sum 1 over bins.
        """
        share = pairs + 1e-4
        p = share[:, 0:1] / (share[:, 0:1] + share[:, 1:2])
        low, high = _TEMPERATURE
        temperature = low + (high - low) * share[:, 2:3] / (share[:, 2:3] + share[:, 3:4])
        k = self.log_binomial_transform.k_idx.to(pairs.dtype)
        last = self.log_binomial_transform.K_minus_1.to(pairs.dtype)
        n, j = last + _TINY, k + _TINY
        weight = n * torch.log(n) - j * torch.log(j) - (n - j) * torch.log(n - j + _TINY)
        success = torch.log(p.clamp(_PROBABILITY_FLOOR, 1.0))
        failure = torch.log((1.0 - p).clamp(_PROBABILITY_FLOOR, 1.0))
        logits = (weight + k * success + (last - k) * failure) / temperature
        return torch.softmax(logits, 1)


def attract(bins: Tensor, attractors: Tensor) -> Tensor:
    """
    Move normalised bin centres by the mean pull of all attractors.

    With d = attractor - bin the pull is d / (1 + 300 d^2). Its slope in d is at most 1, so the
    order of the bins never changes.

    :param bins: (B, bins, h, w), normalised depth.
    :param attractors: (B, n, h, w), normalised depth; may exceed 1.
    :returns: (B, bins, h, w).
    """
    distance = attractors.unsqueeze(2) - bins.unsqueeze(1)
    return bins + (distance / (1.0 + STRENGTH * distance * distance)).mean(1)


class MetricBinsHead(nn.Module):
    """
    Metric depth from what the decoder yields.

    :param features: channels of the decoder's fused maps.
    :param bins: number of bins.
    :param embedding: channels of the embeddings.
    :param near: smallest depth in metres.
    :param far: largest depth in metres.
    """

    def __init__(self, features: int, bins: int, embedding: int, near: float, far: float) -> None:
        super().__init__()
        self.bins = bins
        self.near = near
        self.far = far
        self.sort_centres = True
        """sort the centres of each pixel; they are in order already up to rounding, so an export
        may go without"""
        self.conv2 = nn.Conv2d(features, features, 1)
        self.seed_bin_regressor = _Pair(features, _SEED_WIDTH, bins)
        self.seed_projector = _Pair(features, embedding, embedding)
        self.projectors = nn.ModuleList(_Pair(features, embedding, embedding) for _ in ATTRACTORS)
        self.attractors = nn.ModuleList(_Pair(embedding, embedding, 2 * n) for n in ATTRACTORS)
        self.conditional_log_binomial = BinDistribution(ACTIVATION + 1 + embedding, bins)

    def seed(self, z: Tensor) -> Tensor:
        """
        First bin centres.

        :param z: (B, features, h, w).
        :returns: (B, bins, h, w), normalised: 0 is near, 1 is far.
        """
        width = torch.relu(self.seed_bin_regressor(z)) + _LEAST
        width = width / width.sum(1, keepdim=True)
        return width.cumsum(1) - 0.5 * width

    def metres(self, bins: Tensor) -> Tensor:
        """
        Normalised bins to metric centres.

        :param bins: (B, bins, h, w) normalised.
        :returns: (B, bins, h, w) metres, ascending, in [near, far].
        """
        depth = self.near + (self.far - self.near) * bins
        if self.sort_centres:
            depth = torch.sort(depth, 1).values
        return depth.clamp(self.near, self.far)

    def forward(self, decoded: DecoderOutput) -> HeadOutput:
        """
        Predict.

        :param decoded: output of the decoder.
        :returns: depth and what it was computed from.
        """
        z = self.conv2(decoded.deepest)
        bins = self.seed(z)
        embedding = self.seed_projector(z)
        for feature, project, attractor in zip(
            decoded.pyramid, self.projectors, self.attractors, strict=True
        ):
            size = (int(feature.shape[-2]), int(feature.shape[-1]))
            current = project(feature)
            pulled = torch.relu(attractor(current + resize(embedding, size))) + _LEAST
            bins = attract(resize(bins, size), pulled[:, ::2])
            embedding = current
        size = (int(decoded.relative.shape[-2]), int(decoded.relative.shape[-1]))
        features = torch.cat([decoded.activation, decoded.relative, resize(embedding, size)], 1)
        probabilities = self.conditional_log_binomial(features)
        centres = resize(self.metres(bins), size)
        depth = (probabilities * centres).sum(1, keepdim=True)
        return HeadOutput(depth, features, probabilities, centres)
