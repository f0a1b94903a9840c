# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lite network as a student."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.core.bundle import Bundle
from monother_ros.learning.low_rank import AdaptedPoint, LowRank, adapted
from monother_ros.learning.student import WEIGHTS, Bins, Student, StudentOutput
from monother_ros.networks.blocks import ConvUnit
from monother_ros.networks.export import load_weights, save_weights
from monother_ros.networks.lite import LiteNetwork

_HEAD = ('bins', 'detail', 'edge', 'weights')
_DECODER = ('lateral', 'refine', *_HEAD)


class FrozenUnit(nn.Module):
    """
    Convolution, batch norm with fixed statistics and ReLU in one convolution.

    The norm is folded into the weight in every pass, which costs next to nothing, and its scale
    and offset can still be trained. Half of the memory of norms on their own.

    :param unit: whose parameters are taken over; their names stay.
    """

    def __init__(self, unit: ConvUnit) -> None:
        super().__init__()
        assert isinstance(unit.norm, nn.BatchNorm2d)
        self.conv = unit.conv
        self.norm: nn.BatchNorm2d = unit.norm
        self.active = unit.active
        self.low_rank: LowRank | None = None

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias with the norm in them."""
        norm = self.norm
        assert norm.running_var is not None and norm.running_mean is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = adapted(self.conv.weight, self.low_rank) * scale.view(-1, 1, 1, 1)
        return weight, norm.bias - norm.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """
        Map features.

        :param x: (B, inputs, H, W).
        :returns: (B, outputs, ceil(H / stride), ceil(W / stride)).
        """
        conv = self.conv
        weight, bias = self.folded()
        y = F.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups)  # type: ignore[arg-type]
        return torch.relu_(y) if self.active else y


class LiteStudent(Student):
    """
    The lite network; its batch norms keep their statistics.

    :param bundle: with weights of the lite network.
    :param device: to train on.
    :raises BundleError: the weights are damaged or of another network.
    """

    module: LiteNetwork

    def __init__(self, bundle: Bundle, device: str | torch.device = 'cpu') -> None:
        network = load_weights(bundle.path / WEIGHTS)
        for name, child in list(network.named_modules()):
            if isinstance(child, ConvUnit):
                _replace(network, name, FrozenUnit(child))
        for name in ('bins', 'weights'):
            setattr(network, name, AdaptedPoint(getattr(network, name)))
        network.eval().requires_grad_(True)
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(bundle, network, device)
        self.bins = Bins(math.log(network.config.near), network.bin_width, network.config.far)

    def predict(self, x: Tensor) -> StudentOutput:
        """
        Depth and bins; see :meth:`Student.predict`.

        :param x: (B, 1, h, w) float32.
        """
        x = x.to(self.device).contiguous(memory_format=torch.channels_last)
        log_depth, logits = self.module.log_depth(x)
        return StudentOutput(torch.exp(log_depth), logits)

    def members(self, part: str) -> Iterator[str]:
        """Names of the parameters of a part; see :meth:`Student.members`."""
        for name, _ in self.module.named_parameters():
            top = name.split('.')[0]
            if (
                part == 'all'
                or (part == 'head' and top in _HEAD)
                or (part == 'decoder' and top in _DECODER)
                or (part == 'norm' and '.norm.' in f'.{name}')
            ):
                yield name

    def adapter_places(self) -> list[str]:
        """Pointwise convolutions."""
        return [
            name
            for name, part in self.module.named_modules()
            if isinstance(part, AdaptedPoint)
            or (
                isinstance(part, FrozenUnit)
                and part.conv.kernel_size == (1, 1)
                and part.conv.groups == 1
            )
        ]

    def onnx_names(self) -> dict[str, str]:
        """Norms have become the biases of their convolutions; other names are the same."""
        names = {}
        for name, _ in self.module.named_parameters():
            if '.norm.' in name:
                if name.endswith('.bias'):
                    names[name] = name.replace('.norm.', '.conv.')
            elif '.low_rank.' not in name:
                names[name] = name
        return names

    def folded(self, name: str) -> Tensor:
        """Value of an initialiser; see :meth:`Student.folded`."""
        place, _, leaf = name.rpartition('.')
        owner = self.module.get_submodule(place.removesuffix('.conv').removesuffix('.norm'))
        if isinstance(owner, FrozenUnit):
            weight, bias = owner.folded()
            return weight if leaf == 'weight' else bias
        if isinstance(owner, AdaptedPoint) and leaf == 'weight':
            return adapted(owner.weight, owner.low_rank)
        return self.module.get_parameter(name)

    def reaches(self, trained: str) -> tuple[str, ...]:
        """A norm's scale changes weight and bias; see :meth:`Student.reaches`."""
        place, _, leaf = trained.rpartition('.')
        if place.endswith('.norm'):
            unit = place.removesuffix('.norm')
            bias = f'{unit}.norm.bias'
            return (f'{unit}.conv.weight', bias) if leaf == 'weight' else (bias,)
        owner, _, adapter = trained.partition('.low_rank.')
        if adapter and isinstance(self.module.get_submodule(owner), FrozenUnit):
            return (f'{owner}.conv.weight',)
        return super().reaches(trained)

    def weights(self) -> bytes:
        """Content of weights.safetensors; see :meth:`Student.weights`."""
        plain = LiteNetwork(self.module.config)
        plain.load_state_dict(self.plain_state())
        return save_weights(plain)


def _replace(network: nn.Module, name: str, other: nn.Module) -> None:
    """Put another module at the place of one."""
    parent, _, leaf = name.rpartition('.')
    setattr(network.get_submodule(parent), leaf, other)
