# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One branch of the dual network as it runs on a robot: picture in, depth and confidence out.

The same numbers as :class:`monother_ros.networks.monother.DepthBranch` up to rounding, in the
operations that ONNX opset 17 has and that inference engines are good at. The bin centres are not
sorted: attraction keeps their order (:func:`monother_ros.networks.metric_bins.attract`). The
distribution over bins is not shifted by its maximum before the exponential: its logarithm is
-N KL(k/N || p) / temperature, never above 0 and at the best bin never far below.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.core.errors import BundleError
from monother_ros.networks.dinov2 import PATCH, Attention
from monother_ros.networks.dpt import DecoderOutput, resize
from monother_ros.networks.metric_bins import STRENGTH
from monother_ros.networks.monother import RGB_MEAN, RGB_STD, DepthBranch
from monother_ros.networks.names import official_name

PRECISIONS = ('fp32', 'fp16')

_NEAR_RATIO, _FAR_RATIO = 1 / 1.25, 1.25
_RAMP = 0.05

# of the published head; see networks/metric_bins.py
_FLOOR = 1e-4
_LEAST = 1e-3
_TEMPERATURE = (0.0212, 50.0)


def inside(ratio: Tensor) -> Tensor:
    """
    Whether a bin counts as being at the predicted depth: within a factor of 1.25 of it.

    1 inside and 0 outside, with ramps of 0.05 around the two limits instead of steps, so that the
    confidence does not jump where a bin crosses a limit.

    :param ratio: any shape; distance of the bin divided by the predicted depth.
    :returns: the same shape, in [0, 1].
    """
    middle, half = (_FAR_RATIO + _NEAR_RATIO) / 2, (_FAR_RATIO - _NEAR_RATIO) / 2
    return ((half + 0.5 * _RAMP - (ratio - middle).abs()) * (1.0 / _RAMP)).clamp(0.0, 1.0)


def confidence_of(probabilities: Tensor, centres: Tensor, depth: Tensor) -> Tensor:
    """
    Confidence from the distribution over depth bins: its mass within a factor 1.25 of the depth.

    The network's own estimate of the probability that its depth counts for the metric delta-1, the
    same meaning as the confidence of the lite network. It was not trained to be one.

    :param probabilities: (B, bins, h, w), sum 1 over bins.
    :param centres: (B, bins, h, w) metres, > 0.
    :param depth: (B, 1, h, w) metres, > 0.
    :returns: (B, 1, h, w) in [0, 1].
    """
    return (probabilities * inside(centres / depth)).sum(1, keepdim=True).clamp(0.0, 1.0)


class DeployedBranch(nn.Module):
    """
    A branch made ready for export at one size; the branch is taken over and changed.

    'fp16' turns encoder and decoder to half precision. Layer norms, the softmax of the attention
    and the metric head stay in float32, and so do input and outputs: sums over many channels or
    tokens and the logarithms of the head do not fit into half precision.

    :param branch: in evaluation mode.
    :param modality: 'thermal' (input prepared by the bundle's normalisation) or 'rgb' (input in
        [0, 1], red first; mean and deviation are part of the network).
    :param size: (h, w) of the input in pixels, multiples of 14.
    :param precision: 'fp32' or 'fp16'.
    :raises BundleError: precision or size cannot be.
    """

    mean: Tensor
    std: Tensor
    bin_weight: Tensor
    bin_index: Tensor

    def __init__(
        self,
        branch: DepthBranch,
        modality: str,
        size: tuple[int, int],
        precision: str = 'fp32',
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            msg = f'precision {precision!r} is not known; use one of {", ".join(PRECISIONS)}'
            raise BundleError(msg)
        check_size(size)
        self.modality = modality
        self.network = branch
        branch.encoder.plain_attention = True
        branch.encoder.freeze_position(*size)
        if precision == 'fp16':
            branch.half_backbone()
            keep_float32(branch.encoder)
        for name, values in (('mean', RGB_MEAN), ('std', RGB_STD)):
            tensor = torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, tensor if modality == 'rgb' else None, persistent=False)
        self._bins(branch.config.bins)
        self.eval().requires_grad_(False)

    def _bins(self, count: int) -> None:
        """Constants of the log-binomial distribution, (1, bins, 1, 1), in double precision."""
        tiny = 1e-7
        k = torch.arange(count, dtype=torch.float64).view(1, -1, 1, 1)
        n, j = count - 1 + tiny, k + tiny
        weight = n * math.log(n) - j * j.log() - (n - j) * (n - j + tiny).log()
        self.register_buffer('bin_weight', weight.float(), persistent=False)
        self.register_buffer('bin_index', k.float(), persistent=False)
        self._last = float(count - 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """
        Predict.

        :param image: (1, 3, h, w) float32.
        :returns: depth (1, 1, h, w) metres and confidence (1, 1, h, w) in [0, 1], float32.
        """
        if self.modality == 'rgb':
            image = (image - self.mean) / self.std
        return self._head(self.network.decode(image))

    def _head(self, decoded: DecoderOutput) -> tuple[Tensor, Tensor]:
        """Read depth and confidence; see :class:`..metric_bins.MetricBinsHead` for the method."""
        head = self.network.head
        z = head.conv2(decoded.deepest.float())
        bins, embedding = head.seed(z), head.seed_projector(z)
        for coarse, project, attractor in zip(
            decoded.pyramid, head.projectors, head.attractors, strict=True
        ):
            feature = coarse.float()
            size = _size(feature)
            current = project(feature)
            pulled = torch.relu(attractor(current + resize(embedding, size))) + _LEAST
            bins = _attract(resize(bins, size), pulled[:, ::2])
            embedding = current
        relative = decoded.relative.float()
        size = _size(relative)
        features = torch.cat([decoded.activation.float(), relative, resize(embedding, size)], 1)
        centres = (head.near + (head.far - head.near) * bins).clamp(head.near, head.far)
        return self._read(features, resize(centres, size))

    def _read(self, features: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
        """Depth and confidence of the distribution over the given centres."""
        pairs = self.network.head.conditional_log_binomial.mlp(features) + _FLOOR
        share = pairs[:, ::2] / (pairs[:, ::2] + pairs[:, 1::2])
        p, warmth = share[:, :1], share[:, 1:]
        success = p.clamp(_FLOOR, 1.0).log()
        failure = (1.0 - p).clamp(_FLOOR, 1.0).log()
        low, high = _TEMPERATURE
        rest = self._last - self.bin_index
        exponent = self.bin_weight + self.bin_index * success + rest * failure
        mass = (exponent / (low + (high - low) * warmth)).exp()
        total = mass.sum(1, keepdim=True)
        depth = (mass * centres).sum(1, keepdim=True) / total
        near = (mass * inside(centres / depth)).sum(1, keepdim=True)
        return depth, (near / total).clamp(0.0, 1.0)


def check_size(size: tuple[int, int]) -> None:
    """
    Refuse a size that the patches of the encoder do not fill.

    :param size: (h, w) in pixels.
    :raises BundleError: an axis is no multiple of 14; the nearest ones are named.
    """
    if all(n > 0 and n % PATCH == 0 for n in size):
        return
    hints = []
    for name, n in zip(('height', 'width'), size, strict=True):
        low = max(1, n // PATCH) * PATCH
        if n % PATCH or n <= 0:
            near = f'{low}' if n < PATCH else f'{low} or {low + PATCH}'
            hints.append(f'{name} {n} -> {near}')
    msg = (
        f'the size {size[0]}x{size[1]} does not fit: height and width must be multiples of '
        f'{PATCH} pixels; nearest: {", ".join(hints)}'
    )
    raise BundleError(msg)


def initialiser_name(modality: str, name: str) -> str:
    """
    Name that a parameter of a deployed branch has in the ONNX file: that of the official files.

    :param modality: 'thermal' or 'rgb'.
    :param name: in the deployed module.
    """
    own = name.removeprefix('network.')
    return name if own == name else official_name(f'{modality}.{own}')


def _attract(bins: Tensor, attractors: Tensor) -> Tensor:
    """As metric_bins.attract, with a mean that opset 17 has."""
    distance = attractors.unsqueeze(2) - bins.unsqueeze(1)
    pull = distance / (1.0 + STRENGTH * distance * distance)
    return bins + pull.sum(1) * (1.0 / attractors.shape[1])


def _size(x: Tensor) -> tuple[int, int]:
    return int(x.shape[-2]), int(x.shape[-1])


class _Norm32(nn.LayerNorm):
    """Layer norm in float32 between half precision tensors."""

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens.float()).to(tokens.dtype)


class _Attention32(Attention):
    """Plain attention in half precision with its softmax in float32."""

    def forward(self, tokens: Tensor, plain: bool = True) -> Tensor:
        batch, count, embed = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self.heads, embed // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (q.shape[-1] ** -0.5)) @ k.transpose(-2, -1)
        mixed = F.softmax(scores.float(), -1).to(v.dtype) @ v
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, embed))


def keep_float32(encoder: nn.Module) -> None:
    """
    Put float32 layer norms and softmaxes into an encoder in half precision; names stay.

    :param encoder: changed in place.
    """
    for parent in list(encoder.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.LayerNorm:
                norm = _Norm32(child.normalized_shape, child.eps, device='meta')
                norm.weight, norm.bias = child.weight, child.bias
                setattr(parent, name, norm.float())
            elif type(child) is Attention:
                with torch.device('meta'):
                    attention = _Attention32(child.qkv.in_features, child.heads)
                attention.qkv, attention.proj = child.qkv, child.proj
                setattr(parent, name, attention)
