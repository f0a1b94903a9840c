# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny random depth models of the transformers library, and pictures to show them."""

from __future__ import annotations

import numpy as np
import pytest


def picture(height, width, seed=0):
    """A smooth coloured picture with an edge; (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [
        128 + 90 * np.sin(rows / rng.uniform(5, 15) + columns / rng.uniform(5, 15) + phase)
        for phase in rng.uniform(0, 6, 3)
    ]
    result = np.stack(waves, -1)
    result[: height // 3, : width // 2] = rng.uniform(0, 255, 3)
    return np.clip(result + rng.normal(0, 6, result.shape), 0, 255).astype(np.uint8)


def depth_anything(**changes):
    pytest.importorskip('transformers', reason='transformers is not installed')
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    backbone = Dinov2Config(
        image_size=56,
        patch_size=14,
        num_hidden_layers=4,
        hidden_size=32,
        num_attention_heads=2,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    settings = {
        'reassemble_hidden_size': 32,
        'patch_size': 14,
        'neck_hidden_sizes': [8, 16, 24, 32],
        'fusion_hidden_size': 16,
        'head_hidden_size': 8,
        **changes,
    }
    config = DepthAnythingConfig(backbone_config=backbone, **settings)
    return drawn(DepthAnythingForDepthEstimation(config))


def depth_pro(**changes):
    pytest.importorskip('transformers', reason='transformers is not installed')
    import torch
    from transformers import DepthProConfig, DepthProForDepthEstimation

    torch.manual_seed(0)
    part = {
        'model_type': 'dinov2',
        'hidden_size': 16,
        'num_hidden_layers': 2,
        'num_attention_heads': 2,
        'image_size': 32,
        'patch_size': 16,
        'mlp_ratio': 2,
        'use_mask_token': False,
    }
    settings = {
        'patch_size': 32,
        'fusion_hidden_size': 16,
        'intermediate_hook_ids': [1, 0],
        'intermediate_feature_dims': [16, 16],
        'scaled_images_ratios': [0.25, 0.5, 1.0],
        'scaled_images_overlap_ratios': [0.0, 0.5, 0.25],
        'scaled_images_feature_dims': [24, 24, 16],
        'merge_padding_value': 3,
        'use_fov_model': True,
        'num_fov_head_layers': 1,
        **changes,
    }
    config = DepthProConfig(
        image_model_config=part, patch_model_config=part, fov_model_config=part, **settings
    )
    return drawn(DepthProForDepthEstimation(config))


def zoedepth(domains=('kitti',)):
    pytest.importorskip('transformers', reason='transformers is not installed')
    import torch
    from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation

    torch.manual_seed(0)
    backbone = BeitConfig(
        image_size=64,
        patch_size=16,
        num_hidden_layers=4,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'],
    )
    reach = {'nyu': 10.0, 'kitti': 80.0}
    several = {}
    if len(domains) > 1:
        several = {
            'num_patch_transformer_layers': 4,
            'patch_transformer_hidden_size': 128,
            'patch_transformer_intermediate_size': 64,
            'patch_transformer_num_attention_heads': 4,
        }
    config = ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 16, 24, 32],
        fusion_hidden_size=16,
        bottleneck_features=16,
        bin_embedding_dim=16,
        num_relative_features=8,
        num_attractors=[4, 2, 2, 1],
        bin_centers_type='normed',
        bin_configurations=[
            {'n_bins': 16, 'min_depth': 0.001, 'max_depth': reach[name], 'name': name}
            for name in domains
        ],
        **several,
    )
    return drawn(ZoeDepthForDepthEstimation(config))


def drawn(model):
    """Weights large enough for the output to depend on the picture."""
    import torch

    torch.manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.15)
        if model.config.model_type == 'depth_anything':
            model.head.conv3.bias.fill_(0.9)
        if model.config.model_type == 'depth_pro':
            model.fov_model.head.layers[-1].bias.fill_(50.0)
    return model.eval()


def saved(model, folder, **processor):
    """Write a model, and the settings of its image processor where some are given."""
    import json

    model.save_pretrained(folder)
    if processor:
        (folder / 'preprocessor_config.json').write_text(json.dumps(processor))
    return f'transformers:{folder}'
