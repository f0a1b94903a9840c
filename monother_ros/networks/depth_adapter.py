# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Sparse metric depth into the frozen lite network.

After Vanishing Depth (Koch et al. 2025, arXiv 2503.19947): a depth branch of the same widths runs
beside the frozen encoder and takes its features over at every level; nothing flows back. What it
says is an offset to the depth of the frozen network, mixed from what the measured points say about
that depth nearby and far (normalised convolution, Knutsson and Westin 1993, with learned weights),
so that a wrong scale is put right by any number of points, and without one the result is the
frozen network's own.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.networks.blocks import ConvUnit, InvertedBottleneck, SeparableUnit
from monother_ros.networks.depth_encoding import NEAR, DepthEncoding, encode, measured, outdoor
from monother_ros.networks.lite import CELL, Encoder, LiteConfig, LiteNetwork

REACH = 12.0
"""Logits of the weights of the candidates are read up to this size."""

LEVELS = (1, 2, 4, 8)
"""Sides, in cells, of the areas over which points are averaged."""

CANDIDATES = 2 * 9 + 9 * (len(LEVELS) - 1) + 1
"""What the points say about one cell: nine neighbours each, and the whole image."""


@dataclass(frozen=True)
class SparseConfig:
    """Everything that decides the shape of the adapter."""

    encoding: DepthEncoding = field(default_factory=outdoor)
    """how measured depth is told to the branch"""
    far: float = 100.0
    """metres; what is farther is no measurement"""
    width: int = 32
    """channels of the branch's decoder"""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and manifests."""
        return asdict(self)


class SqueezeExcite(nn.Module):
    """
    Weigh the channels of every token by themselves.

    SE(x) = x * sigmoid(W2 relu(W1 x + b1) + b2); nothing is pooled.

    :param channels: of the tokens.
    :param reduction: ratio of channels to hidden ones.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = channels // reduction
        self.fc = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """
        Weigh.

        :param x: (B, C, h, w).
        :returns: the same shape.
        """
        weights: Tensor = self.fc(x)
        return x * weights


class Fusion(nn.Module):
    """
    One-way fusion: SE_a(depth) + SE_b(image) goes on in the depth branch.

    Entries are named as in the published weights, where `se_rgb` weighs the depth tokens and
    `se_depth` those of the image.

    :param channels: of both.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.se_rgb = SqueezeExcite(channels)
        self.se_depth = SqueezeExcite(channels)

    def forward(self, depth: Tensor, image: Tensor) -> Tensor:
        """
        Fuse features of one level.

        :param depth: (B, C, h, w) of the branch.
        :param image: (B, C, h, w) of the frozen encoder.
        :returns: (B, C, h, w).
        """
        fused: Tensor = self.se_rgb(depth) + self.se_depth(image)
        return fused

    def image_share(self, depth: Tensor, image: Tensor) -> Tensor:
        """
        Mean share of the image in the sum, by absolute values.

        :param depth: see :meth:`forward`.
        :param image: see :meth:`forward`.
        :returns: scalar in [0, 1].
        """
        ours, theirs = self.se_rgb(depth).abs(), self.se_depth(image).abs()
        return (theirs / (ours + theirs).clamp(min=1e-12)).mean()


class Frozen(NamedTuple):
    """What the adapter takes from the frozen network."""

    features: tuple[Tensor, Tensor, Tensor, Tensor]
    """of the encoder, at 1/4 to 1/32 of the size"""
    coarse: Tensor
    """(B, 1, h, w) log metres of the cells"""
    fine: Tensor
    """(B, 1, H, W) log metres of the pixels"""
    confidence: Tensor
    """(B, 1, h, w) in [0, 1] of the cells"""
    weights: Tensor
    """(B, 144, h, w) logits of the upsampling weights"""

    def repeated(self, times: int) -> Frozen:
        """Each picture several times in a row, for as many sparse depths."""
        if times == 1:
            return self
        features = tuple(f.repeat_interleave(times, 0) for f in self.features)
        rest = (value.repeat_interleave(times, 0) for value in self[1:])
        return Frozen(features, *rest)  # type: ignore[arg-type]

    def window(self, top: int, left: int, rows: int, columns: int) -> Frozen:
        """A part of the pictures; all in pixels, multiples of 32."""

        def cut(value: Tensor, step: int) -> Tensor:
            part = value[..., top // step : (top + rows) // step, :]
            return part[..., left // step : (left + columns) // step].contiguous()

        features = tuple(cut(value, CELL << k) for k, value in enumerate(self.features))
        return Frozen(
            features,  # type: ignore[arg-type]
            cut(self.coarse, CELL),
            cut(self.fine, 1),
            cut(self.confidence, CELL),
            cut(self.weights, CELL),
        )


class SparseOutput(NamedTuple):
    """What one forward pass yields."""

    log_depth: Tensor
    """(B, 1, H, W) log metres"""
    confidence: Tensor
    """(B, 1, H, W) in [0, 1]"""
    levels: tuple[Tensor, ...]
    """(B, 1, H / 8 k, W / 8 k) log metres from the deeper levels of the branch, for training"""


class DepthBranch(nn.Module):
    """
    Encoder and decoder of measured depth beside the frozen encoder.

    :param config: shape.
    """

    def __init__(self, config: SparseConfig) -> None:
        super().__init__()
        c4, c8, c16, c32 = Encoder.channels
        self.stem = ConvUnit(config.encoding.width, c4, 3, 2)
        self.enter = ConvUnit(c4 + 4, c4)
        self.down = nn.ModuleList(
            (
                InvertedBottleneck(c4, c8, 3, 3, 2.0, 2),
                InvertedBottleneck(c8, c16, 3, 3, 2.0, 2),
                InvertedBottleneck(c16, c32, 3, 3, 2.0, 2),
            )
        )
        self.fusion = nn.ModuleList(Fusion(c) for c in Encoder.channels)
        width = config.width
        self.lateral = nn.ModuleList(ConvUnit(c, width, active=False) for c in Encoder.channels)
        self.refine = nn.ModuleList(SeparableUnit(width) for _ in Encoder.channels)
        self.levels = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in Encoder.channels[1:])

    def forward(
        self, encoded: Tensor, cells: Tensor, features: tuple[Tensor, ...]
    ) -> tuple[Tensor, list[Tensor]]:
        """
        Run the branch.

        :param encoded: (B, C, H/2, W/2) encoding of the measured depth.
        :param cells: (B, 4, H/4, W/4) what is known of each cell.
        :param features: of the frozen encoder.
        :returns: features of the cells (B, width, H/4, W/4), and offsets of log depth from the
            levels 1/8, 1/16, 1/32.
        """
        x = self.enter(torch.cat([self.stem(encoded), cells], 1))
        fused = [self.fusion[0](x, features[0])]
        for down, fusion, image in zip(self.down, self.fusion[1:], features[1:], strict=True):  # type: ignore[arg-type]
            fused.append(fusion(down(fused[-1]), image))
        y = self.refine[3](self.lateral[3](fused[3]))
        offsets = [self.levels[2](y)]
        for level in (2, 1, 0):
            y = F.interpolate(y, scale_factor=2.0, mode='bilinear', align_corners=False)
            y = self.refine[level](y + self.lateral[level](fused[level]))
            if level:
                offsets.insert(0, self.levels[level - 1](y))
        return y, offsets


class SparseLite(nn.Module):
    """
    The lite network with a second input: measured depth, where there is some.

    :param thermal: the network to stand beside; it is frozen and stays in evaluation mode.
    :param config: shape of the adapter.
    """

    def __init__(self, thermal: LiteNetwork, config: SparseConfig | None = None) -> None:
        super().__init__()
        self.config = config or SparseConfig()
        self.thermal = thermal.eval().requires_grad_(False)
        self.branch = DepthBranch(self.config)
        width = self.config.width
        self.trust = nn.Conv2d(Encoder.channels[0], 1, 1)
        self.mix = nn.Conv2d(width, CANDIDATES + 1, 1)
        self.free = nn.Conv2d(width, 1, 1)
        self.sharpen = nn.Conv2d(width, 9 * CELL * CELL, 1)
        self.keep = nn.Conv2d(width, 1, 1)
        self.sure = nn.Conv2d(width, 1, 1)
        for head in (self.free, self.sharpen, self.sure, self.trust):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.mix.weight, 0.0, 0.01)
        nn.init.zeros_(self.mix.bias)  # type: ignore[arg-type]

    @property
    def thermal_config(self) -> LiteConfig:
        """Shape of the frozen network."""
        return self.thermal.config

    def train(self, mode: bool = True) -> SparseLite:
        """Train the branch only; the frozen network keeps its statistics."""
        super().train(mode)
        self.thermal.eval()
        return self

    def freeze(self, x: Tensor) -> Frozen:
        """
        What the frozen network says.

        :param x: (B, 1, H, W) picture, normalised as the bundle says; H and W multiples of 32.
        """
        features = self.thermal.encoder(x)
        logits, weights = self.thermal.decode(x, features)
        coarse, confidence = self.thermal.read(logits)
        fine, _ = self.thermal.upsample(coarse, confidence, weights)
        return Frozen(features, coarse, fine, confidence, weights)

    def forward(self, x: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """
        Predict.

        :param x: (B, 1, H, W) picture, normalised as the bundle says; H and W multiples of 32.
        :param sparse: (B, 1, H, W) metres at the focal length of the bundle, 0 = none.
        :returns: depth (B, 1, H, W) in metres and confidence (B, 1, H, W) in [0, 1].
        """
        output = self.complete(self.freeze(x), sparse)
        return torch.exp(output.log_depth), output.confidence.clamp(0.0, 1.0)

    def complete(self, frozen: Frozen, sparse: Tensor) -> SparseOutput:
        """
        Bring measured depth and the frozen network's together.

        :param frozen: of :meth:`freeze`.
        :param sparse: (B, 1, H, W) metres, 0 = none.
        """
        sparse = measured(sparse, self.config.far)
        valid = (sparse > 0).to(sparse.dtype)
        log_sparse = torch.log(sparse.clamp(min=NEAR))
        ratio = (log_sparse - frozen.fine) * valid
        share = F.avg_pool2d(valid, CELL)
        per = 1.0 / share.clamp(min=1e-6)
        offset = F.avg_pool2d(ratio, CELL) * per
        metric = F.avg_pool2d(log_sparse * valid, CELL) * per
        there = share.clamp(max=1 / 256.0) * 256.0
        known = torch.cat([there, share, offset, (metric - 2.0) * there], 1)
        nearest = _pool_nearest(sparse)
        features, deeper = self.branch(
            encode(nearest, self.config.encoding), known, frozen.features
        )
        change, anything = self._mixed(features, frozen, offset, metric, there)
        coarse = frozen.coarse + change
        confidence = _shifted(frozen.confidence, self.sure(features) * anything)
        weights = frozen.weights + self.sharpen(features) * anything
        upsample = _upsample_for_gradients if self.training else self.thermal.upsample
        fine, sure = upsample(coarse, confidence, weights)
        keep = torch.sigmoid(self.keep(features) - 1.0)
        keep = F.interpolate(keep, scale_factor=float(CELL), mode='nearest')
        fine = fine + valid * keep * (log_sparse - fine)
        limits = math.log(self.thermal_config.near), math.log(self.thermal_config.far)
        levels = tuple(
            F.avg_pool2d(frozen.coarse, 2 << k) + value * anything
            for k, value in enumerate(deeper)
        )
        return SparseOutput(fine.clamp(*limits), sure, levels)

    def _mixed(
        self, features: Tensor, frozen: Frozen, offset: Tensor, metric: Tensor, there: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Offset of each cell's log depth.

        Candidates are the offsets that points of nine areas of each size ask for, their plain
        depths for the smallest, and the mean over the image; areas without a point do not count,
        and 'no change' always does.

        :returns: (B, 1, h, w), and (B, 1, 1, 1): 0 without any point, else up to 1.
        """
        level = frozen.features[0]
        weight = there * torch.sigmoid(self.trust(level) + 2.0)
        total = weight.sum((2, 3), keepdim=True)
        anything = total / (total + 1.0)
        whole = (weight * offset).sum((2, 3), keepdim=True) / total.clamp(min=1e-6)
        near = _neighbours(weight)
        candidates = [
            _neighbours(weight * offset) / near.clamp(min=1e-6),
            _neighbours(weight * metric) / near.clamp(min=1e-6) - frozen.coarse,
        ]
        counts = [near, near]
        for side in LEVELS[1:]:
            pooled = F.avg_pool2d(torch.cat([weight, weight * offset], 1), side)
            around = torch.cat([_neighbours(pooled[:, :1]), _neighbours(pooled[:, 1:])], 1)
            wide = F.interpolate(
                around, scale_factor=float(side), mode='bilinear', align_corners=False
            )
            candidates.append(wide[:, 9:] / wide[:, :9].clamp(min=1e-6))
            counts.append(wide[:, :9])
        candidates.append(whole.expand_as(frozen.coarse))
        counts.append(total.expand_as(frozen.coarse))
        said, count = torch.cat(candidates, 1), torch.cat(counts, 1)
        logits = self.mix(features).clamp(-REACH, REACH)
        votes = torch.exp(logits[:, :-1]) * (count * 1e4).clamp(max=1.0)
        mean = (votes * said).sum(1, keepdim=True)
        mean = mean / (votes.sum(1, keepdim=True) + torch.exp(logits[:, -1:]))
        return mean + self.free(features) * anything, anything


def _pool_nearest(sparse: Tensor) -> Tensor:
    """Nearest measurement of each block of 2x2 pixels, 0 where there is none."""
    hidden = torch.where(sparse > 0, sparse, 1e6)
    nearest = -F.max_pool2d(-hidden, 2)
    return torch.where(nearest < 1e6, nearest, 0.0)


def _neighbours(values: Tensor) -> Tensor:
    """The 3x3 neighbours of every place as channels, (B, 9, h, w); outside there is nothing."""
    rows, columns = values.shape[2:]
    # operator set 17 has no way to pad that the exporter could be brought to
    row = torch.zeros_like(values[:, :, :1])
    padded = torch.cat([row, values, row], 2)
    column = torch.zeros_like(padded[..., :1])
    padded = torch.cat([column, padded, column], 3)
    return torch.cat(
        [padded[..., j : j + rows, i : i + columns] for j in range(3) for i in range(3)], 1
    )


def _upsample_for_gradients(
    log_depth: Tensor, confidence: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """As LiteNetwork.upsample, by the operations whose gradients torch is fast at."""
    batch, _, rows, columns = log_depth.shape
    share = torch.softmax(weights.clamp(-8.0, 8.0).reshape(batch, 9, CELL**2, rows, columns), 1)
    padded = F.pad(torch.cat([log_depth, confidence], 1), (1, 1, 1, 1), mode='replicate')
    around = F.unfold(padded, 3).view(batch, 2, 9, 1, rows, columns)
    fine = [(share * around[:, k]).sum(1) for k in range(2)]
    return F.pixel_shuffle(fine[0], CELL), F.pixel_shuffle(fine[1], CELL)


def _shifted(probability: Tensor, change: Tensor) -> Tensor:
    """Probability whose logit is moved: p e^c / (1 - p + p e^c)."""
    gain = torch.exp(change.clamp(-8.0, 8.0))
    return probability * gain / (1.0 - probability + probability * gain)
