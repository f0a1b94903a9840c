# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Differences between the dual network here and the public reference implementation, as JSON.

Forward passes, confidence, masks and L_con of every case of the fixtures, and one whole training
step of both recipes with its gradients. Weights are drawn from the names of the entries.

    python bench/parity.py ../shared/golden/monother --output parity.json
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np
import torch

from monother_ros.core.files import atomic_write
from monother_ros.learning.consistency import REFERENCE, consistency
from monother_ros.learning.objective import (
    MS2_SUPERVISED,
    PUBLISHED_NAMES,
    VIVID_LABEL_FREE,
    PairBatch,
    objective,
)
from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork, network_size
from monother_ros.networks.named_weights import fill
from monother_ros.networks.names import official_name

CASES = (('vits', 'caseA'), ('vits', 'caseB'), ('vits', 'caseC'), ('vits_wide', 'caseA'))
SIZE = network_size(116, 164)
PARTS = {
    'silog_rgb': 'SILog_rgb',
    'silog_thermal': 'SILog_thermal',
    'smooth_depth': 'depth_smooth_loss',
    'nll': 'nll_loss',
    'consistency': 'nll_l1_loss',
    'smooth_confidence': 'nll_l1_smooth_loss',
}


def parse(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('golden', type=Path, help='folder of the fixtures')
    parser.add_argument('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


def build(variant):
    """Network with the weights of its names, in evaluation mode."""
    network = MonoTherNetwork(MonoTherConfig.preset(variant)).eval()
    fill(network)
    return network


def spread(got, expected):
    """Largest and mean absolute difference."""
    difference = (got.detach().double() - expected.double()).abs()
    return {'max': float(difference.max()), 'mean': float(difference.mean())}


def relative(got, expected):
    """Relative difference of two numbers."""
    return abs(float(got) - float(expected)) / abs(float(expected))


def forward_cases(golden):
    """One entry per case: both branches, confidence, mask, loss."""
    file = np.load(golden / 'forward_small.npz')
    networks = {variant: build(variant) for variant in ('vits', 'vits_wide')}
    table = {}
    for variant, case in CASES:

        def given(name, case=case):
            return torch.from_numpy(file[f'vits/{case}/in_{name}'])

        def expected(name, start=f'{variant}/{case}/'):
            return torch.from_numpy(file[start + name])

        network = networks[variant]
        with torch.inference_mode():
            out = network(given('thermal'), given('rgb'), SIZE)
            block = consistency(
                (out.thermal.depth, out.thermal.features),
                (out.rgb.depth, out.rgb.features),
                given('rgb'),
                given('K_thermal'),
                given('K_rgb'),
                given('T_thermal_to_rgb'),
                network.confidence,
                REFERENCE,
            )
        mask = expected('consistency_mask')
        table[f'{variant}/{case}'] = {
            'thermal_depth_m': spread(out.thermal.depth, expected('thermal_metric_depth')),
            'rgb_depth_m': spread(out.rgb.depth, expected('rgb_metric_depth')),
            'thermal_relative': spread(out.thermal.relative[:, 0], expected('thermal_rel_depth')),
            'rgb_relative': spread(out.rgb.relative[:, 0], expected('rgb_rel_depth')),
            'confidence': spread(block.confidence, expected('conf_rgb')),
            'mask_pixels': int(mask.sum()),
            'mask_pixels_that_differ': int((block.mask != mask).sum()),
            'loss_relative': relative(block.loss, expected('consistency_l1loss')),
        }
    return table


def training_step(golden, recipe, weights, frozen):
    """One step of a recipe: losses, gradients, norm."""
    file = np.load(golden / 'train_step.npz')
    facts = json.loads((golden / 'train_step.json').read_text())[recipe]

    def given(name):
        return torch.from_numpy(file[f'{recipe}/in/{name}'])

    network = build('vits').train()
    for part in frozen:
        network.get_submodule(part).requires_grad_(False)
    batch = PairBatch(
        given('image'),
        given('rgb_image'),
        given('depth'),
        given('rgb_depth'),
        given('intrinsics'),
        given('rgb_intrinsics'),
        given('pose_t2rgb'),
    )
    out = network(batch.thermal, batch.rgb, SIZE)
    result = objective(out, batch, network.confidence, weights, REFERENCE)
    result.total.backward()
    gradients = {official_name(n): p.grad for n, p in network.named_parameters()}
    norms = facts['grad_l2_norm_per_parameter_before_clip']
    squares = sum(float(g.double().square().sum()) for g in gradients.values() if g is not None)
    start = f'{recipe}/grad_before_clip/'
    cosines = {}
    for key in (k for k in file.files if k.startswith(start)):
        pair = (gradients[key[len(start) :]].flatten(), torch.from_numpy(file[key]).flatten())
        cosines[key[len(start) :]] = float(torch.cosine_similarity(*(x.double() for x in pair), 0))
    mask = torch.from_numpy(file[f'{recipe}/out/consistency_mask'])
    return {
        'losses_relative': {
            name: relative(value, facts['losses'][PARTS[name]])
            for name, value in result.parts.items()
        },
        'weights': {PUBLISHED_NAMES[k]: v for k, v in weights.as_dict().items()},
        'total_relative': relative(result.total.detach(), facts['total_loss']),
        'mask_pixels_that_differ': int((result.consistency.mask != mask).sum()),
        'gradient_norm_relative': relative(squares**0.5, facts['grad_norm_before_clip']),
        'gradients_compared': len(cosines),
        'least_cosine_of_a_gradient': min(cosines.values()),
        'parameters_without_gradient': sum(g is None for g in gradients.values()),
        'parameters_without_gradient_expected': sum(n is None for n in norms.values()),
        'same_parameters_without_gradient': all(
            (norms[name] is None) == (gradient is None) for name, gradient in gradients.items()
        ),
    }


def main(arguments=None):
    """Measure and write."""
    options = parse(arguments)
    report = {
        'machine': platform.machine(),
        'torch': torch.__version__,
        'threads': torch.get_num_threads(),
        'forward': forward_cases(options.golden),
        'training_step': {
            'ms2_supervised': training_step(options.golden, 'ms2_supervised', MS2_SUPERVISED, ()),
            'vivid_label_free': training_step(
                options.golden, 'vivid_finetune', VIVID_LABEL_FREE, ('rgb', 'confidence')
            ),
        },
    }
    text = json.dumps(report, indent=2) + '\n'
    if options.output:
        atomic_write(options.output, text)
    else:
        print(text, end='')


if __name__ == '__main__':
    main()
