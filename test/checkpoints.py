# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in the layout of the authors' files, with weights drawn from their names."""

from __future__ import annotations

from pathlib import Path


def tiny_config():
    """A network of the right structure that runs and exports fast."""
    from monother_ros.networks.monother import MonoTherConfig

    return MonoTherConfig(64, 4, 1, 16, (16, 24, 32, 48), embedding=32)


def make_state(config=None, branches: tuple[str, ...] = ('thermal', 'rgb', 'confidence')) -> dict:
    """Official name -> tensor of the given branches; 'confidence' counts as one."""
    import torch

    from monother_ros.networks.checkpoint import official_tensors
    from monother_ros.networks.metric_bins import MetricBinsHead
    from monother_ros.networks.named_weights import tensor
    from monother_ros.networks.names import own_name

    config = config or tiny_config()
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


def make_checkpoint(path: Path, config=None, **options) -> Path:
    """Write such a file, by default tiny; options as of :func:`make_state`."""
    import torch

    content = {'model': make_state(config, **options), 'optimizer': None, 'epoch': 5}
    torch.save(content, path)
    return path
