# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights drawn from the names of the entries: the same on every machine, with no file to carry.

They make activations of a sensible size in every layer, so they serve to compare implementations
and to measure speed and memory where no trained weights are at hand. They predict nothing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import torch

from monother_ros.networks.names import official_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_KEPT = ('num_batches_tracked', 'k_idx', 'K_minus_1')
_GAINS = {
    'conf_net.inc.double_conv.0.weight': 0.1,
    'conf_net.outc_unc.0.conv.weight': 4.0,
}


def tensor(name: str, shape: Sequence[int]) -> Tensor:
    """
    Weights of one entry: offset + scale * standard normal numbers seeded with the name.

    :param name: official name of the entry; not one of the constants that keep their value.
    :param shape: of the entry.
    :returns: float32.
    """
    offset, scale = _offset_and_scale(name, tuple(shape))
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    noise = generator.standard_normal(tuple(shape), dtype=np.float32)
    if name.endswith('.running_var'):
        np.abs(noise, out=noise)
    noise *= np.float32(scale)
    noise += np.float32(offset)
    return torch.from_numpy(noise)


def fill(module: nn.Module, prefix: str = '') -> None:
    """
    Give a network, or a part of it, the weights of its names.

    :param module: the network, or what is found in it at prefix; changed in place.
    :param prefix: own name of the part with its dot, as 'thermal.' or 'confidence.'.
    """
    with torch.no_grad():
        for key, value in module.state_dict().items():
            name = official_name(prefix + key)
            if name.rsplit('.', 1)[-1] not in _KEPT:
                value.copy_(tensor(name, value.shape))


def _offset_and_scale(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    leaf = name.rsplit('.', 1)[-1]
    if leaf in ('running_mean', 'running_var'):
        return (1.0 if leaf == 'running_var' else 0.0), 0.1
    if leaf == 'gamma':
        return 0.5, 0.1
    if leaf in ('cls_token', 'mask_token', 'pos_embed'):
        return 0.0, 0.5
    if leaf == 'bias':
        return (1.0 if name.endswith('output_conv2.2.bias') else 0.0), 0.05
    if len(shape) == 1:
        return 1.0, 0.1
    transposed = '.resize_layers.0.' in name or '.resize_layers.1.' in name
    fan = shape[0] if transposed else int(np.prod(shape[1:]))
    gain = _GAINS.get(name, 1.0)
    if 'conditional_log_binomial' in name and '.mlp.2.' in name:
        gain = 4.0
    return 0.0, float(gain / np.sqrt(fan))
