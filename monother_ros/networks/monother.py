# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
MonoTher-Depth (Zuo et al. 2025, arXiv 2504.16127): two depth branches and a confidence network.

The branches are alike and share no weight: one sees thermal images, the other RGB. Only training
needs both; a robot runs the thermal branch.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from monother_ros.networks.confidence import ConfidenceNetwork
from monother_ros.networks.dinov2 import PATCH, DinoV2
from monother_ros.networks.dpt import DecoderOutput, DptDecoder, resize
from monother_ros.networks.metric_bins import MetricBinsHead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

THERMAL_MEAN = 0.45
THERMAL_STD = 0.225
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)

_PRESETS: dict[str, tuple[int, int, int, int, tuple[int, int, int, int]]] = {
    'vits': (384, 12, 6, 64, (48, 96, 192, 384)),
    'vits_wide': (384, 12, 6, 256, (256, 512, 1024, 1024)),
    'vitb': (768, 12, 12, 128, (96, 192, 384, 768)),
    'vitl': (1024, 24, 16, 256, (256, 512, 1024, 1024)),
}
HEAD_WIDTH = 64
"""Channels of an attention head in all published encoders."""


@dataclass(frozen=True)
class MonoTherConfig:
    """Everything that decides the shape and the depth range of the network."""

    embed: int = 1024
    """width of a token of the encoder"""
    blocks: int = 24
    """blocks of the encoder, at least 4"""
    heads: int = 16
    """attention heads; divides embed"""
    features: int = 256
    """channels of the decoder; even"""
    projections: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    """channels of the four reassembled maps"""
    bins: int = 64
    """number of depth bins"""
    embedding: int = 128
    """channels of the bin embeddings"""
    near: float = 1e-3
    """smallest depth in metres"""
    far: float = 80.0
    """largest depth in metres"""
    confidence_width: int = 64
    """channels of the first level of the confidence network"""

    @classmethod
    def preset(cls, name: str) -> MonoTherConfig:
        """
        Configuration by name.

        :param name: vits, vits_wide (small encoder, large decoder), vitb or vitl (the official).
        :returns: the configuration.
        :raises ValueError: no such name.
        """
        if name not in _PRESETS:
            msg = f'no network is called {name!r}: take one of {", ".join(_PRESETS)}'
            raise ValueError(msg)
        return cls(*_PRESETS[name])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and YAML."""
        values = asdict(self)
        values['projections'] = list(self.projections)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MonoTherConfig:
        """
        Inverse of :meth:`as_dict`.

        :param values: any part of the fields; the others keep the default.
        :returns: the configuration.
        :raises ValueError: an unknown field or not four projections.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            msg = f'unknown fields of a network: {", ".join(unknown)}'
            raise ValueError(msg)
        plain = dict(values)
        if 'projections' in plain:
            plain['projections'] = tuple(int(c) for c in plain['projections'])
            if len(plain['projections']) != 4:
                msg = f'projections must be four numbers, not {plain["projections"]}'
                raise ValueError(msg)
        return cls(**plain)

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, Sequence[int]], branch: str = 'thermal', heads: int = 0
    ) -> MonoTherConfig:
        """
        Configuration that fits the entries of a checkpoint.

        The depth range is not in the shapes and stays at its default.

        :param shapes: official name -> shape.
        :param branch: thermal or rgb; the entries that are read.
        :param heads: attention heads, which shapes do not tell; 0 means 64 channels per head, as
            all published encoders have.
        :returns: the configuration.
        :raises ValueError: an entry that is needed for this is missing or makes no sense.
        """
        extra = {'thermal': '', 'rgb': '_extra'}[branch]
        encoder, decoder = f'core.core.pretrained{extra}.', f'core.core.depth_head{extra}.'

        def size(name: str, axis: int) -> int:
            if name not in shapes or len(shapes[name]) <= axis:
                msg = f'entry {name} is missing or has no axis {axis}'
                raise ValueError(msg)
            return int(shapes[name][axis])

        embed = size(encoder + 'cls_token', 2)
        if not heads and embed % HEAD_WIDTH:
            msg = f'{embed} channels are not heads of {HEAD_WIDTH}: give the number of heads'
            raise ValueError(msg)
        start = encoder + 'blocks.'
        indices = {n[len(start) :].split('.')[0] for n in shapes if n.startswith(start)}
        a, b, c, d = (size(f'{decoder}projects.{i}.weight', 0) for i in range(4))
        width = 'conf_net.inc.double_conv.0.weight'
        return cls(
            embed=embed,
            blocks=1 + max((int(i) for i in indices if i.isdigit()), default=-1),
            heads=heads or embed // HEAD_WIDTH,
            features=size(decoder + 'scratch.layer1_rn.weight', 0),
            projections=(a, b, c, d),
            bins=size(f'seed_bin_regressor{extra}._net.2.weight', 0),
            embedding=size(f'seed_projector{extra}._net.2.weight', 0),
            confidence_width=size(width, 0) if width in shapes else cls.confidence_width,
        )


class BranchOutput(NamedTuple):
    """What one branch yields; h x w is the size of its input."""

    depth: Tensor
    """(B, 1, h, w) metres in [near, far]"""
    relative: Tensor
    """(B, 1, h, w) relative inverse depth, >= 0, unbounded"""
    features: Tensor
    """(B, 33 + embedding, h, w) comparison features: activation, relative depth, embedding"""
    probabilities: Tensor
    """(B, bins, h, w), sum 1 over bins"""
    centres: Tensor
    """(B, bins, h, w) metres, ascending"""


class DepthBranch(nn.Module):
    """
    Encoder, decoder and metric head of one modality.

    The head always computes in the precision of its own weights, also under autocast: its
    cumulative sums and logarithms do not fit half precision.

    :param config: shape of the network.
    """

    def __init__(self, config: MonoTherConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = DinoV2(config.embed, config.blocks, config.heads)
        self.decoder = DptDecoder(config.embed, config.features, config.projections)
        self.head = MetricBinsHead(
            config.features, config.bins, config.embedding, config.near, config.far
        )

    def half_backbone(self) -> DepthBranch:
        """
        Turn encoder and decoder to float16 in place; the head stays as it is.

        :returns: self.
        """
        self.encoder.half()
        self.decoder.half()
        return self

    def decode(self, image: Tensor) -> DecoderOutput:
        """
        Run encoder and decoder.

        :param image: (B, 3, h, w) prepared; h and w multiples of 14.
        :returns: relative depth and maps in the precision of the decoder.
        """
        taps = self.encoder(image.to(self.encoder.pos_embed.dtype))
        return self.decoder(taps, int(image.shape[-2]), int(image.shape[-1]))

    def forward(self, image: Tensor) -> BranchOutput:
        """
        Predict.

        :param image: (B, 3, h, w) prepared by :func:`prepare_thermal` or :func:`prepare_rgb`;
            h and w multiples of 14.
        :returns: metric depth and what it was computed from.
        """
        decoded = self.decode(image)
        dtype = self.head.conv2.weight.dtype
        relative, activation, deepest, pyramid = decoded
        r4, r3, r2, r1 = (x.to(dtype) for x in pyramid)
        decoded = DecoderOutput(
            relative.to(dtype), activation.to(dtype), deepest.to(dtype), (r4, r3, r2, r1)
        )
        with _no_autocast(image.device.type):
            out = self.head(decoded)
        return BranchOutput(
            out.depth, decoded.relative, out.features, out.probabilities, out.centres
        )


class DualOutput(NamedTuple):
    """What the two branches yield."""

    thermal: BranchOutput
    rgb: BranchOutput


class MonoTherNetwork(nn.Module):
    """
    Both branches and the confidence network.

    :param config: shape of the network.
    """

    def __init__(self, config: MonoTherConfig) -> None:
        super().__init__()
        self.config = config
        self.thermal = DepthBranch(config)
        self.rgb = DepthBranch(config)
        self.confidence = ConfidenceNetwork(config.confidence_width)

    def forward(
        self, thermal: Tensor, rgb: Tensor, size: tuple[int, int] | None = None
    ) -> DualOutput:
        """
        Predict both depths; the confidence network belongs to the consistency block.

        :param thermal: (B, 1 or 3, H, W) in [0, 1].
        :param rgb: (B, 3, H, W) in [0, 1].
        :param size: (h, w) of the prediction, multiples of 14; default :func:`network_size` of H
            and W.
        :returns: outputs of the two branches at h x w.
        """
        size = size or network_size(int(thermal.shape[-2]), int(thermal.shape[-1]))
        return DualOutput(
            self.thermal(prepare_thermal(thermal, size)), self.rgb(prepare_rgb(rgb, size))
        )


def network_size(height: int, width: int) -> tuple[int, int]:
    """
    Size at which the network runs: the nearest multiples of 14, a half goes to the even multiple.

    :param height: nominal, pixels.
    :param width: nominal, pixels.
    :returns: (h, w), at least 14.
    """
    return max(1, round(height / PATCH)) * PATCH, max(1, round(width / PATCH)) * PATCH


def prepare_thermal(image: Tensor, size: tuple[int, int]) -> Tensor:
    """
    Resize (bilinear, aligned corners, no antialiasing) and normalise.

    :param image: (B, 1 or 3, H, W) in [0, 1]; three channels are alike.
    :param size: (h, w), multiples of 14.
    :returns: (B, 3, h, w).
    """
    resized = resize(image, size)
    return ((resized - THERMAL_MEAN) / THERMAL_STD).expand(-1, 3, -1, -1)


def prepare_rgb(image: Tensor, size: tuple[int, int]) -> Tensor:
    """
    Resize (bilinear, aligned corners, no antialiasing) and normalise.

    :param image: (B, 3, H, W) in [0, 1], red first.
    :param size: (h, w), multiples of 14.
    :returns: (B, 3, h, w).
    """
    resized = resize(image, size)
    mean = torch.tensor(RGB_MEAN, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    std = torch.tensor(RGB_STD, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return (resized - mean) / std


def _no_autocast(device: str) -> contextlib.AbstractContextManager[Any]:
    """Leave autocast where it is on; nothing otherwise, so that exporters see no such region."""
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()
