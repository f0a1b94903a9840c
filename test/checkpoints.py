# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in the layout of the authors' files, with weights drawn from their names."""

from __future__ import annotations

from pathlib import Path


def make_state(preset: str = 'vits', branches: tuple[str, ...] = ('thermal', 'rgb')) -> dict:
    """Official name -> tensor of the given branches; 'confidence' counts as one."""
    import torch

    from monother_ros.networks.checkpoint import official_tensors
    from monother_ros.networks.metric_bins import MetricBinsHead
    from monother_ros.networks.monother import MonoTherConfig
    from monother_ros.networks.named_weights import tensor
    from monother_ros.networks.names import own_name

    config = MonoTherConfig.preset(preset)
    head = MetricBinsHead(config.features, config.bins, config.embedding, 1e-3, 80.0)
    constants = {key.rsplit('.', 1)[-1]: value for key, value in head.state_dict().items()}
    state = {}
    for name, value in official_tensors(config).items():
        leaf = name.rsplit('.', 1)[-1]
        if own_name(name).split('.')[0] not in branches:
            continue
        if leaf == 'num_batches_tracked':
            state[name] = torch.zeros_like(value, device='cpu')
        elif leaf in ('k_idx', 'K_minus_1'):
            state[name] = constants[leaf]
        else:
            state[name] = tensor(name, value.shape)
    return state


def make_checkpoint(path: Path, preset: str = 'vits', **options) -> Path:
    """Write such a file; options as of :func:`make_state`."""
    import torch

    content = {'model': make_state(preset, **options), 'optimizer': None, 'epoch': 5}
    torch.save(content, path)
    return path
