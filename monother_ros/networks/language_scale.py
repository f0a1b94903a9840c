# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Metric scale from a sentence: the head of RSA (Zeng et al. 2024, arXiv 2410.02924).

A sentence's features (CLIP's text tower) give two positive numbers, alpha and beta, for the whole
picture; an inverse depth y that is right up to scale and shift becomes metric by
D = 1 / (alpha y + beta). Head and depth model belong together: alpha and beta are tied to how that
model scales its output.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from monother_ros.core.errors import BundleError

BLOCKS = ('scene_feat_net', 'scale_net', 'shift_net')
"""Names of the shared trunk and of the two heads, in files too."""

SLOPE = 0.01
"""Of the LeakyReLU between layers."""

TRAINING_EPSILON = 1e-8
"""Added to the denominator in training, 1/m; evaluation adds nothing."""


class HeadLayout(NamedTuple):
    """
    Widths of the layers.

    :param trunk: features of a sentence first, then of every layer of the trunk.
    :param head: of each of the two heads, what the trunk gives first and 1 last.
    """

    trunk: tuple[int, ...]
    head: tuple[int, ...]


LAYOUTS = {
    'five_layer': HeadLayout((1024, 512, 512, 512, 256, 256), (256, 256, 128, 128, 64, 1)),
    'three_layer': HeadLayout((1024, 512, 256, 256), (256, 128, 64, 1)),
}
"""The layout of the published source, and the older one of the published small checkpoints."""


class LanguageHead(nn.Module):
    """
    Features of sentences in, alpha and beta out.

    :param layout: name of one of `LAYOUTS`, or widths.
    """

    def __init__(self, layout: str | HeadLayout = 'five_layer') -> None:
        super().__init__()
        self.layout = LAYOUTS[layout] if isinstance(layout, str) else layout
        self.scene_feat_net = _block(self.layout.trunk)
        self.scale_net = _block(self.layout.head)
        self.shift_net = _block(self.layout.head)

    @property
    def features(self) -> int:
        """Features of a sentence that it takes."""
        return self.layout.trunk[0]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """
        Scale and shift of inverse depth.

        :param features: (B, F) of sentences, not normalised.
        :returns: alpha (B,), without unit where y is in 1/m, and beta (B,), 1/m; both > 0.
        """
        scene = self.scene_feat_net(features)
        alpha, beta = self.scale_net(scene), self.shift_net(scene)
        return alpha.squeeze(1).exp(), beta.squeeze(1).exp()


def _block(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with LeakyReLU between them; the layers have even numbers."""
    layers: list[nn.Module] = []
    for k, (before, after) in enumerate(itertools.pairwise(widths)):
        if k:
            layers.append(nn.LeakyReLU(SLOPE))
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)


def metric_depth(inverse: Tensor, alpha: Tensor, beta: Tensor, epsilon: float = 0.0) -> Tensor:
    """
    Metric depth D = 1 / (alpha y + beta).

    :param inverse: (B, …) inverse depth y of the head's depth model.
    :param alpha: (B,).
    :param beta: (B,) 1/m.
    :param epsilon: see :data:`TRAINING_EPSILON`.
    :returns: (B, …) metres; a negative y may give infinity or a negative depth.
    """
    shape = (-1, *[1] * (inverse.ndim - 1))
    return 1.0 / (alpha.view(shape) * inverse + beta.view(shape) + epsilon)


def layout_of(state: Mapping[str, Tensor]) -> HeadLayout:
    """
    Widths of a head, from the shapes of its weights.

    :param state: of a head, names ``<block>.<number>.weight`` and ``.bias``.
    :raises BundleError: this is no head, or parts are missing or do not fit each other.
    """
    found: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in BLOCKS}
    for name, value in state.items():
        match = re.fullmatch(r'(\w+)\.(\d+)\.(weight|bias)', name)
        if match is None or match[1] not in found:
            msg = f'{name} is no part of a language head; its parts are {", ".join(BLOCKS)}'
            raise BundleError(msg)
        if match[3] == 'weight' and value.ndim == 2:
            found[match[1]][int(match[2])] = (int(value.shape[1]), int(value.shape[0]))
    widths = {name: _widths(name, layers) for name, layers in found.items()}
    trunk, scale, shift = (widths[name] for name in BLOCKS)
    if scale != shift or scale[0] != trunk[-1] or scale[-1] != 1:
        msg = (
            f'the parts of the language head do not fit: trunk {trunk}, scale {scale}, shift '
            f'{shift}; both heads take what the trunk gives and give one number'
        )
        raise BundleError(msg)
    return HeadLayout(trunk, scale)


def _widths(name: str, layers: Mapping[int, tuple[int, int]]) -> tuple[int, ...]:
    """Widths of one block, checked."""
    numbers = sorted(layers)
    joined = all(layers[a][1] == layers[b][0] for a, b in itertools.pairwise(numbers))
    if not numbers or numbers != list(range(0, 2 * len(numbers), 2)) or not joined:
        msg = (
            f'part {name} of the language head has layers {numbers} of shapes '
            f'{[layers[n] for n in numbers]}; they must be numbered 0, 2, 4 … and fit each other'
        )
        raise BundleError(msg)
    return (layers[0][0], *(layers[n][1] for n in numbers))


def head_from_state(state: Mapping[str, Tensor]) -> LanguageHead:
    """
    Head with given weights, whatever its layout.

    :param state: of a published checkpoint or of ours.
    :returns: in evaluation mode, float32, on the CPU.
    :raises BundleError: this is no head, is incomplete, or holds values that are not finite.
    """
    head = LanguageHead(layout_of(state))
    try:
        head.load_state_dict({name: value.float() for name, value in state.items()})
    except RuntimeError as err:
        msg = f'this is no language head: {" ".join(str(err).split())}'
        raise BundleError(msg) from err
    if not all(bool(torch.isfinite(value).all()) for value in head.state_dict().values()):
        msg = 'the language head holds values that are not finite; take another checkpoint'
        raise BundleError(msg)
    return head.eval()
