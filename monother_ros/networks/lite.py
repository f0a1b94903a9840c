# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The lite network: thermal image in, metric depth and confidence out, for small computers.

A convolutional encoder of the MobileNetV4-conv-small class, a light decoder, and a head that
predicts for each cell of 4x4 pixels a distribution over log-spaced depth bins. Depth and
confidence are both read from that distribution and brought to full resolution by learned convex
weights (the upsampling of RAFT, Teed and Deng 2020, section 3.3), which keeps edges sharp.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.networks.blocks import ConvUnit, InvertedBottleneck, SeparableUnit

CELL = 4
"""Side of the pixel block that shares one distribution."""

LOGIT_LIMIT = 20.0
"""Logits are read up to this size: their exponential, even squared, stays far inside float32."""


@dataclass(frozen=True)
class LiteConfig:
    """Everything that decides the shape of the network."""

    bins: int = 64
    """number of depth bins"""
    near: float = 0.5
    """centre of the first bin in metres"""
    far: float = 120.0
    """centre of the last bin in metres; sky and everything beyond belongs to it"""
    width: int = 64
    """channels of the decoder"""
    sharpness: float = 1.0
    """power applied to the distribution before the expectation: 1 mean, large values mode"""
    caution: float = 1.2
    """each bin's probability is divided by its distance to this power before the expectation:
    1 weighs errors relative to the true distance, so that of a near and a far guess the near one
    is told unless the far one is much likelier; 0 does not prefer either"""
    channels: int = 1
    """of the picture: 1 thermal, 3 RGB"""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and manifests."""
        return asdict(self)


class LiteOutput(NamedTuple):
    """What one forward pass yields."""

    depth: Tensor
    """(B, 1, H, W) metres, near..far"""
    confidence: Tensor
    """(B, 1, H, W) in [0, 1]: probability that depth is right within a factor of 1.25"""
    logits: Tensor
    """(B, bins, H/4, W/4) unnormalised log probabilities of the bins"""


class Encoder(nn.Module):
    """
    Features at 1/4, 1/8, 1/16 and 1/32 of the input size, after MobileNetV4-conv-small.

    :param inputs: channels of the picture.
    """

    channels = (32, 64, 96, 128)

    def __init__(self, inputs: int = 1) -> None:
        super().__init__()
        self.stem = ConvUnit(inputs, 32, 3, 2)
        self.stage1 = nn.Sequential(ConvUnit(32, 32, 3, 2), ConvUnit(32, 32))
        self.stage2 = nn.Sequential(ConvUnit(32, 96, 3, 2), ConvUnit(96, 64))
        self.place = nn.Conv2d(2, 64, 1)
        self.stage3 = nn.Sequential(
            InvertedBottleneck(64, 96, 5, 5, 3.0, 2),
            *(InvertedBottleneck(96, 96, 0, 3, 2.0) for _ in range(4)),
            InvertedBottleneck(96, 96, 3, 0, 4.0),
        )
        self.stage4 = nn.Sequential(
            InvertedBottleneck(96, 128, 3, 3, 6.0, 2),
            InvertedBottleneck(128, 128, 5, 5, 4.0),
            InvertedBottleneck(128, 128, 0, 5, 4.0),
            InvertedBottleneck(128, 128, 0, 5, 3.0),
            InvertedBottleneck(128, 128, 0, 3, 4.0),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """
        Extract features.

        :param x: (B, C, H, W) normalised picture; H and W multiples of 32.
        :returns: (B, 32, H/4, W/4), (B, 64, H/8, W/8), (B, 96, H/16, W/16), (B, 128, H/32, W/32).
        """
        f4 = self.stage1(self.stem(x))
        f8 = self.stage2(f4)
        rows, columns = f8.shape[2:]
        # where a feature lies in the picture tells the distance of the ground under it
        v = torch.linspace(-1, 1, rows, dtype=f8.dtype, device=f8.device)
        u = torch.linspace(-1, 1, columns, dtype=f8.dtype, device=f8.device)
        place = torch.stack([v[:, None].expand(rows, columns), u[None, :].expand(rows, columns)])
        f16 = self.stage3(f8 + self.place(place[None]))
        return f4, f8, f16, self.stage4(f16)


class LiteNetwork(nn.Module):
    """
    Metric depth and confidence from one thermal image, or from one RGB image.

    :param config: shape of the network; the default is the shipped one.
    """

    centres: Tensor
    moments: Tensor
    gather: Tensor

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        self.config = config or LiteConfig()
        width = self.config.width
        self.encoder = Encoder(self.config.channels)
        self.lateral = nn.ModuleList(ConvUnit(c, width, active=False) for c in Encoder.channels)
        self.refine = nn.ModuleList(
            nn.Sequential(*(SeparableUnit(width) for _ in range(count))) for count in (1, 2, 2, 2)
        )
        self.bins = nn.Conv2d(width, self.config.bins, 1)
        self.detail = ConvUnit(CELL * CELL * self.config.channels, 16, 3)
        self.edge = ConvUnit(width + 16, width)
        self.weights = nn.Conv2d(width, 9 * CELL * CELL, 1)
        centres = torch.linspace(
            math.log(self.config.near), math.log(self.config.far), self.config.bins
        )
        self.register_buffer('centres', centres.view(1, -1, 1, 1), persistent=False)
        moments = torch.stack([centres, torch.ones_like(centres)]).view(2, -1, 1, 1)
        self.register_buffer('moments', moments, persistent=False)
        gather = torch.eye(CELL * CELL).repeat(1, 9).view(CELL * CELL, -1, 1, 1)
        self.register_buffer('gather', gather, persistent=False)

    @property
    def bin_width(self) -> float:
        """Distance of two bin centres in log depth."""
        c = self.config
        return math.log(c.far / c.near) / (c.bins - 1)

    def forward(self, x: Tensor) -> LiteOutput:
        """
        Predict.

        :param x: (B, C, H, W) picture, normalised as the bundle says; H and W multiples of 32.
        :returns: depth, confidence and the logits behind them.
        """
        logits, weights = self._head(x)
        log_depth, confidence = self.read(logits)
        fine_depth, fine_confidence = self.upsample(log_depth, confidence, weights)
        return LiteOutput(torch.exp(fine_depth), fine_confidence.clamp(0.0, 1.0), logits)

    def log_depth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """
        What a loss on depth needs, by the operations whose gradients torch is fast at.

        :param x: as in :meth:`forward`, which gives the same depth.
        :returns: (B, 1, H, W) log metres, and the logits (B, bins, H/4, W/4).
        """
        logits, weights = self._head(x)
        batch, _, rows, columns = logits.shape
        bounded = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT) - self.config.caution * self.centres
        q = torch.softmax(bounded * self.config.sharpness, 1)
        coarse = (q * self.centres).sum(1, keepdim=True)
        split = weights.clamp(-8.0, 8.0).reshape(batch, 9, CELL * CELL, rows, columns)
        padded = F.pad(coarse, (1, 1, 1, 1), mode='replicate')
        neighbours = F.unfold(padded, 3).view(batch, 9, 1, rows, columns)
        fine = (torch.softmax(split, 1) * neighbours).sum(1)
        return F.pixel_shuffle(fine, CELL), logits

    def _head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the bins and logits of the upsampling weights, (B, 144, H/4, W/4)."""
        return self.decode(x, self.encoder(x))

    def decode(
        self, x: Tensor, features: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """
        What the head says from the features of the encoder.

        :param x: (B, C, H, W) picture, as in :meth:`forward`.
        :param features: of :class:`Encoder`.
        :returns: logits of the bins and of the upsampling weights, (B, bins or 144, H/4, W/4).
        """
        y = self.refine[3](self.lateral[3](features[3]))
        for level in (2, 1, 0):
            y = F.interpolate(y, scale_factor=2.0, mode='bilinear', align_corners=False)
            y = self.refine[level](y + self.lateral[level](features[level]))
        logits = self.bins(y).float()
        detail = self.detail(F.pixel_unshuffle(x, CELL))
        weights = self.weights(self.edge(torch.cat([y, detail], 1))).float()
        return logits, weights

    def read(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """
        Log depth and confidence of each cell's distribution.

        Depth is the expectation of log depth under q = (p / c^a)^s / sum (p / c^a)^s with the bin
        centres c: with caution a an obstacle is not missed for a likely sky behind it, and with
        sharpness s a cell between two surfaces goes to one of them instead of between.
        Confidence is the mass of p itself within a factor of 1.25 of that depth: the network's
        own estimate of the probability that the depth there counts for the metric delta-1.

        Sums over bins are written as 1x1 convolutions and the softmax is spelled out: inference
        engines for the CPU are slow at reductions over the channel axis.

        :param logits: (B, bins, h, w).
        :returns: (B, 1, h, w) log metres and (B, 1, h, w) in [0, 1].
        """
        bounded = logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        p = torch.exp(bounded)
        q = torch.exp((bounded - self.config.caution * self.centres) * self.config.sharpness)
        moments = F.conv2d(q, self.moments)
        log_depth = moments[:, :1] / moments[:, 1:]
        # part of each bin's interval that lies inside the window around the depth
        reach = math.log(1.25) / self.bin_width + 0.5
        distance = (self.centres - log_depth).abs() * (1.0 / self.bin_width)
        inside = (reach - distance).clamp(0.0, 1.0)
        total = self.moments[1:]
        return log_depth, F.conv2d(p * inside, total) / F.conv2d(p, total)

    def upsample(
        self, log_depth: Tensor, confidence: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Bring cell values to pixels as convex combinations of the 3x3 neighbouring cells.

        :param log_depth: (B, 1, h, w).
        :param confidence: (B, 1, h, w).
        :param weights: (B, 9 * 16, h, w) logits; channel n * 16 + s is neighbour n of sub-pixel s.
        :returns: both maps, (B, 1, 4 h, 4 w).
        """
        batch, _, rows, columns = log_depth.shape
        # e^16 between the largest and the smallest weight is as good as a choice
        share = torch.exp(weights.clamp(-8.0, 8.0))
        total = F.conv2d(share, self.gather)
        split = share.view(batch, 9, CELL * CELL, rows, columns)
        fine = []
        for value in (log_depth, confidence):
            value = torch.cat([value[:, :, :1], value, value[:, :, -1:]], 2)
            value = torch.cat([value[..., :1], value, value[..., -1:]], 3)
            neighbours = torch.stack(
                [value[..., j : j + rows, i : i + columns] for j in range(3) for i in range(3)], 1
            )
            mixed = F.conv2d((split * neighbours).view_as(share), self.gather) / total
            fine.append(F.pixel_shuffle(mixed, CELL))
        return fine[0], fine[1]


def with_channels(network: LiteNetwork, channels: int) -> LiteNetwork:
    """
    Copy of a network of one channel that sees several; equal channels give the same depth.

    The convolutions that see the picture are repeated over the channels and divided by their
    number.

    :param network: of one channel; not changed.
    :param channels: wanted.
    :returns: a new network in the same mode.
    :raises ValueError: the network has several channels already.
    """
    if network.config.channels != 1:
        msg = f'the network has {network.config.channels} channels; begin with one of 1'
        raise ValueError(msg)
    state = {key: value.detach().clone() for key, value in network.state_dict().items()}
    for key, value in state.items():
        if value.ndim == 4 and key.startswith(('encoder.stem.', 'detail.')):
            state[key] = value.repeat(1, channels, 1, 1) / channels
    wider = LiteNetwork(replace(network.config, channels=channels))
    wider.load_state_dict(state)
    return wider.train(network.training)
