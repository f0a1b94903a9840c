# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DINOv2 encoder alone, from the checkpoints that hold one."""

from __future__ import annotations

from pathlib import Path

import torch

from monother_ros.core.errors import BundleError
from monother_ros.networks.checkpoint import (
    BLOCKS,
    CheckpointReport,
    compare_state,
    read_checkpoint,
)
from monother_ros.networks.dinov2 import TAPS, DinoV2
from monother_ros.networks.monother import HEAD_WIDTH

LAYOUTS = {
    'core.core.pretrained.': 'the thermal branch of a dual network',
    'pretrained.': 'the encoder of Depth Anything',
    '': 'DINOv2',
}
"""Beginning of the names of an encoder's entries, and what such a file is."""


def load_encoder(path: str | Path) -> tuple[DinoV2, str]:
    """
    Encoder of a local file.

    :param path: checkpoint of the dual network (the authors' or ours), relative weights of Depth
        Anything, or DINOv2 as published (without register tokens).
    :returns: the encoder in evaluation mode, and what the file is.
    :raises BundleError: it cannot be read, holds no such encoder, or not all of it.
    """
    state = read_checkpoint(path)
    start = next((s for s in LAYOUTS if f'{s}cls_token' in state), None)
    if start is None or state[f'{start}cls_token'].ndim != 3:
        msg = (
            f'{path} holds no DINOv2 encoder; give a checkpoint of the dual network, of Depth '
            'Anything, or of DINOv2 in its published layout'
        )
        raise BundleError(msg)
    parts = {n[len(start) :]: v for n, v in state.items() if n.startswith(start)}
    embed = int(parts['cls_token'].shape[2])
    if 'register_tokens' in parts:
        msg = f'{path} is an encoder with register tokens; take the one without'
        raise BundleError(msg)
    numbers = {n.split('.')[1] for n in parts if n.startswith('blocks.')}
    found = 1 + max((int(n) for n in numbers if n.isdigit()), default=-1)
    # a file that lacks the last blocks must not pass as a shallower network
    blocks = max(found, BLOCKS.get(embed, TAPS))
    heads = state.config.heads if state.config is not None else embed // HEAD_WIDTH
    if heads < 1 or embed % heads:
        msg = f'{path}: {embed} channels are not heads of {HEAD_WIDTH}; the file says no other'
        raise BundleError(msg)
    with torch.device('meta'):
        encoder = DinoV2(embed, blocks, heads)
    needed = encoder.state_dict()
    report = compare_state(needed, parts)
    if not report.complete:
        told = CheckpointReport(report.missing, (), report.mis_shaped).text()
        msg = f'{path} does not hold {LAYOUTS[start]} completely:\n{told}'
        raise BundleError(msg)
    weights = {k: parts[k].to(torch.float32, copy=True) for k in needed}
    bad = [k for k, v in weights.items() if not bool(torch.isfinite(v).all())]
    if bad:
        msg = f'{path}: entry {start}{bad[0]} is not finite'
        raise BundleError(msg)
    encoder.load_state_dict(weights, assign=True)
    return encoder.eval(), LAYOUTS[start]
