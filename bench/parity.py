# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Differences to numbers of the public MonoTher-Depth code, as a table and as JSON.

python bench/parity.py --golden ../shared/golden/monother --out parity.json

Weights are drawn from their names (networks/named_weights.py), inputs are in the fixtures. The
consistency block and the losses run with the REFERENCE settings. The exit code is 1 where a limit
is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from parity_data import data_pairs
from torch import Tensor

from monother_ros.core.files import atomic_write
from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.learning import losses, warp
from monother_ros.learning.consistency import (
    REFERENCE,
    Consistency,
    compare_depths,
    compare_features,
    consistency,
)
from monother_ros.learning.objective import PUBLISHED_NAMES, LossWeights, PairBatch, objective
from monother_ros.learning.parameter_groups import DUAL_GROUPS, dual_group, freeze, one_cycle
from monother_ros.networks.confidence import ConfidenceNetwork, gradient_gate
from monother_ros.networks.monother import (
    DualOutput,
    MonoTherConfig,
    MonoTherNetwork,
    network_size,
)
from monother_ros.networks.named_weights import fill
from monother_ros.networks.names import official_name

LOSS = 1e-5
"""Relative limit of every loss."""
GRADIENT = 2e-2
"""Limit of a gradient's difference relative to its own largest element."""
PUBLISHED_LOSSES = {
    'silog_rgb': 'SILog_rgb',
    'silog_thermal': 'SILog_thermal',
    'smooth_depth': 'depth_smooth_loss',
    'nll': 'nll_loss',
    'consistency': 'nll_l1_loss',
    'smooth_confidence': 'nll_l1_smooth_loss',
}
SIZE = network_size(116, 164)

Golden = Mapping[str, Tensor]


@dataclass(frozen=True)
class Row:
    """One comparison."""

    part: str
    """file/case"""
    quantity: str
    """what is compared, with its unit"""
    worst: float
    """largest difference"""
    mean: float
    """mean difference"""
    limit: float
    """what the largest difference may be"""

    @property
    def ok(self) -> bool:
        """Within the limit; False for what is not a number."""
        return self.worst <= self.limit


def absolute(part: str, quantity: str, got: Tensor, want: Tensor, limit: float) -> Row:
    """Differences element by element."""
    error = (got.detach() - want.reshape(got.shape)).abs().double()
    return Row(part, quantity, float(error.max()), float(error.mean()), limit)


def relative(part: str, quantity: str, got: Tensor, want: Tensor, limit: float) -> Row:
    """Differences over the largest element of what is wanted."""
    error = (got.detach() - want.reshape(got.shape)).abs().double() / want.abs().max()
    return Row(part, f'{quantity}, relative', float(error.max()), float(error.mean()), limit)


def mask(part: str, quantity: str, got: Tensor, want: Tensor) -> Row:
    """Pixels that differ; none may."""
    wrong = got != want
    text = f'{quantity}, pixels that differ ({int(want.sum())} are set)'
    return Row(part, text, int(wrong.sum()), float(wrong.double().mean()), 0)


def load(golden: Path, name: str) -> dict[str, Tensor]:
    """Arrays of one fixture file that are numbers."""
    with np.load(golden / name) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return {k: torch.from_numpy(a) for k, a in arrays.items() if a.dtype.kind in 'fbiu'}


def loss_rows(golden: Path) -> Iterator[Row]:
    """Losses, quantile masks and warps on given arrays (losses.npz)."""
    g = load(golden, 'losses.npz')
    for drop in (0.2, 0.8):
        got = losses.keep_smallest(g['top20/input'], drop)
        yield mask('losses/top20', f'kept at {drop}', got, g[f'top20/keep_mask_frac{drop}'])
    for key in g:
        if '/loss_' in key:
            yield from _one_loss(g, key)
    part = 'losses/warp'
    poses = (g['warp/K1'], g['warp/K2'], g['warp/T_1_to_2'])
    pixels, depth = warp.forward_warp(g['warp/depth1'][:, None], *poses)
    yield absolute(part, 'forward, pixels', pixels, g['warp/fwd_pixels'], 1e-4)
    yield absolute(part, 'forward, depth [m]', depth, g['warp/fwd_depth'], 1e-4)
    pixels, depth = warp.forward_warp(g['warp/depth1'][:, None], g['warp/P1'], g['warp/P2'], None)
    yield absolute(part, 'forward 3x4, pixels', pixels, g['warp/fwd_proj3x4_pixels'], 1e-4)
    yield absolute(part, 'forward 3x4, depth [m]', depth, g['warp/fwd_proj3x4_depth'], 1e-4)
    pixels, depth = warp.express(
        g['warp/values_in_depth1'][:, None], g['warp/values_in_uv1'], *poses, strict=False
    )
    yield absolute(part, 'expressed, pixels', pixels, g['warp/values_out_pixels2'], 1e-4)
    yield absolute(part, 'expressed, depth [m]', depth, g['warp/values_out_depth2'], 1e-4)
    got = warp.cosine_similarity(g['warp/cos_a'], g['warp/cos_b'])
    yield absolute(part, 'cosine', got, g['warp/cos_out'], 1e-6)
    x = torch.zeros_like(g['gradclip/grad_in']).requires_grad_()
    gradient_gate(x).backward(g['gradclip/grad_in'])
    assert x.grad is not None
    yield absolute('losses/gradclip', 'gated gradient', x.grad, g['gradclip/grad_out'], 0)


def _one_loss(g: Golden, key: str) -> Iterator[Row]:
    """Value and, where it is stored, gradient of a loss of losses.npz."""
    case, name = key.split('/')
    name = name.removeprefix('loss_')
    part = f'losses/{case}'
    if case == 'smooth':
        confidence = name == 'conf_guided_by_1ch'
        x = g['nll/conf' if confidence else 'silog/pred'].clone().requires_grad_()
        guide = g['smooth/guide_1ch'] if confidence else g['smooth/image']
        values = 1 / x if 'inverse' in name else x
        drop = 0.0 if name == 'plain' else 0.2
        loss = losses.smoothness(values, losses.resize(guide, (70, 98)), drop=drop)
        gradient = f'smooth/grad_depth_{name}'
    else:
        nll = case.startswith('nll')
        labels = case.replace('nll', 'silog')
        x = g['nll/conf' if nll else 'silog/pred'].clone().requires_grad_()
        large = losses.resize(x, (84, 130))
        free = 'nomask' in name
        truth = g['silog/gt_dense' if free else f'{labels}/gt']
        keep = torch.ones_like(truth, dtype=torch.bool) if free else g[f'{labels}/mask']
        error = truth - g['silog/pred_upsampled']
        if 'top20' in name or 'ignorebig' in name:
            keep = keep & losses.keep_smallest(error.abs(), 0.2)
        if nll:
            loss = losses.laplace_nll(large, error, keep, floor=0.0, guard=False)
        else:
            loss = losses.silog(large, truth, keep, guard=False)
        gradient = f'{case}/grad_{"conf" if nll else "pred"}_{name}'
    yield relative(part, name, loss, g[key], LOSS)
    if gradient in g:
        loss.backward()
        assert x.grad is not None
        yield relative(part, f'{name} gradient', x.grad, g[gradient], 1e-5)


def schedule_rows(golden: Path) -> Iterator[Row]:
    """Learning rates and momenta of 40 steps (losses.npz, schedule)."""
    want = load(golden, 'losses.npz')['schedule/lr_low_lr_high_beta1_beta2']
    rows = []
    for step in range(len(want)):
        low, beta = one_cycle(step, len(want), 1.7e-6)
        high, _ = one_cycle(step, len(want), 8.5e-5)
        rows.append([low, high, beta, 0.999])
    got = torch.tensor(rows, dtype=torch.float64)
    for i, name in enumerate(('low learning rate', 'high learning rate', 'beta1', 'beta2')):
        yield relative('losses/schedule', name, got[:, i], want[:, i], 1e-9)


def block_rows(golden: Path) -> Iterator[Row]:
    """The consistency block on given depths and features (losses.npz, lcon)."""
    g = {k[5:]: v for k, v in load(golden, 'losses.npz').items() if k.startswith('lcon/')}
    network = ConfidenceNetwork()
    fill(network, 'confidence.')
    matrices = [
        warp.scale_intrinsics(g[f'in/{k}'], (100, 150), (98, 154), corner_aligned=False)
        for k in ('K_thermal', 'K_rgb')
    ]
    pose = g['in/T_thermal_to_rgb']
    depths = (g['in/depth_thermal'], g['in/depth_rgb'])
    geometry = compare_depths(*depths, *matrices, pose, REFERENCE)
    on_rgb, on_thermal, _ = compare_features(g['in/feat_thermal'], g['in/feat_rgb'], geometry)
    _, there = warp.forward_warp(depths[0], *matrices, pose)
    _, here = warp.forward_warp(depths[1], *reversed(matrices), torch.linalg.inv(pose))
    sampled = warp.sample(depths[1], geometry.back_grid)
    part = 'losses/lcon'
    for name, got, limit in (
        ('K_thermal_scaled', matrices[0], 1e-4),
        ('K_rgb_scaled', matrices[1], 1e-4),
        ('rgb_pixels_in_thermal_normalised', geometry.grid, 1e-4),
        ('thermal_pixels_in_rgb_normalised', geometry.back_grid, 1e-4),
        ('thermal_depth_in_rgb_cam', there.permute(0, 3, 1, 2), 1e-4),
        ('rgb_depth_in_thermal_cam', here.permute(0, 3, 1, 2), 1e-4),
        ('thermal_depth_sampled_at_rgb_pixels', geometry.fetched, 5e-3),
        ('rgb_depth_sampled_at_thermal_pixels', sampled, 5e-3),
        ('thermal_depth_expressed_in_rgb_cam_raw', geometry.expressed, 5e-3),
        ('abs_diff_raw', geometry.difference, 5e-3),
        ('cos_on_rgb_grid', on_rgb, 1e-3),
        ('cos_on_thermal_grid', on_thermal, 1e-3),
    ):
        yield absolute(part, name, got, g[name], limit)
    kept = losses.keep_smallest(geometry.difference, 0.2)
    yield mask(part, 'keep_not_top20_diff', kept, g['keep_not_top20_diff'])
    kept = losses.keep_smallest(on_rgb, 0.8)
    yield mask(part, 'cos_at_or_below_20pct', kept, g['cos_at_or_below_20pct'])
    for mode in ('', 'train_'):
        network.train(bool(mode))
        depth = depths[0].clone().requires_grad_()
        block = consistency(
            (depth, g['in/feat_thermal']),
            (depths[1], g['in/feat_rgb']),
            g['in/rgb_image'],
            g['in/K_thermal'],
            g['in/K_rgb'],
            pose,
            network,
            REFERENCE,
        )
        block.loss.backward()
        assert depth.grad is not None
        yield relative(part, f'{mode}loss', block.loss, g[f'{mode}loss'], LOSS)
        yield mask(part, f'{mode}mask', block.mask, g[f'{mode}mask'])
        limit = 3e-3 if mode else 1e-3
        yield absolute(part, f'{mode}conf', block.confidence, g[f'{mode}conf'], limit)
        name = f'{mode}grad_depth_thermal'
        yield relative(part, name, depth.grad, g[name], 1e-3)
        if not mode:
            yield absolute(part, 'conf_net_input', block.inputs, g['conf_net_input'], 0.04)


def forward_rows(golden: Path, variant: str) -> Iterator[Row]:
    """Both branches and the consistency block on images (forward_small.npz)."""
    g = load(golden, 'forward_small.npz')
    network = MonoTherNetwork(MonoTherConfig.preset(variant)).eval()
    fill(network)
    for case in ('caseA', 'caseB', 'caseC') if variant == 'vits' else ('caseA',):
        start = f'{variant}/{case}/'
        want = {k.removeprefix(start): v for k, v in g.items() if k.startswith(start)}
        start = f'vits/{case}/in_'
        given = {k.removeprefix(start): v for k, v in g.items() if k.startswith(start)}
        with torch.no_grad():
            out = network(given['thermal'], given['rgb'], SIZE)
        yield from _forward_case(f'forward/{variant}/{case}', network, out, given, want)


def _forward_case(
    part: str, network: MonoTherNetwork, out: DualOutput, given: Golden, want: Golden
) -> Iterator[Row]:
    """One case: depths, then the consistency block."""
    for name, branch in zip(('thermal', 'rgb'), out, strict=True):
        key = f'{name}_metric_depth'
        yield absolute(part, f'{name} depth [m]', branch.depth, want[key], 1e-3)
        if f'{key}_f64math' in want:
            exact = want[f'{key}_f64math']
            yield absolute(part, f'{name} depth to float64 [m]', branch.depth, exact, 1.5e-3)
        key = f'{name}_rel_depth'
        yield absolute(part, f'{name} relative depth', branch.relative, want[key], 5e-5)
        k = given[f'K_{name}']
        size = (int(given['rgb'].shape[-2]), int(given['rgb'].shape[-1]))
        k = warp.scale_intrinsics(k, size, SIZE, corner_aligned=False)
        yield absolute(part, f'{name} K scaled', k, want[f'K_{name}_after_call'], 1e-4)

    def block() -> Consistency:
        with torch.no_grad():
            return consistency(
                (out.thermal.depth, out.thermal.features),
                (out.rgb.depth, out.rgb.features),
                given['rgb'],
                *(given[k] for k in ('K_thermal', 'K_rgb', 'T_thermal_to_rgb')),
                network.confidence,
                REFERENCE,
            )

    got = block()
    yield mask(part, 'mask', got.mask, want['consistency_mask'])
    yield relative(part, 'L_con', got.loss, want['consistency_l1loss'], LOSS)
    yield absolute(part, 'confidence', got.confidence, want['conf_rgb'], 1e-3)
    yield absolute(part, 'confidence input', got.inputs, want['conf_net_input'], 0.04)
    if 'trainmode_conf_rgb' in want:
        network.train()
        got = block()
        fill(network.eval())  # the running statistics moved
        yield mask(part, 'mask, training', got.mask, want['trainmode_consistency_mask'])
        loss = want['trainmode_consistency_l1loss']
        yield relative(part, 'L_con, training', got.loss, loss, LOSS)
        confidence = want['trainmode_conf_rgb']
        yield absolute(part, 'confidence, training', got.confidence, confidence, 3e-3)


def step_rows(golden: Path, recipe: str) -> Iterator[Row]:
    """One whole optimisation step (train_step.npz and .json)."""
    start = f'{recipe}/'
    stored = load(golden, 'train_step.npz')
    g = {k.removeprefix(start): v for k, v in stored.items() if k.startswith(start)}
    facts = json.loads((golden / 'train_step.json').read_text())[recipe]
    part = f'step/{recipe}'
    network = MonoTherNetwork(MonoTherConfig.preset('vits')).train()
    fill(network)
    if recipe.startswith('vivid'):
        freeze(network, ('rgb', 'confidence'))
    adam = facts['adamw']
    parameters = {official_name(n): p for n, p in network.named_parameters()}
    groups = [
        {'params': [p for n, p in parameters.items() if dual_group(n) == group], 'lr': rate}
        for group, rate in zip(DUAL_GROUPS, adam['lr_groups'], strict=True)
    ]
    optimiser = torch.optim.AdamW(
        groups, betas=tuple(adam['betas']), eps=adam['eps'], weight_decay=adam['weight_decay']
    )
    batch = PairBatch(
        *(g[f'in/{k}'] for k in ('image', 'rgb_image', 'depth', 'rgb_depth')),
        *(g[f'in/{k}'] for k in ('intrinsics', 'rgb_intrinsics', 'pose_t2rgb')),
    )
    out = network(batch.thermal, batch.rgb, SIZE)
    weights = LossWeights.from_mapping(facts['weights'])
    got = objective(out, batch, network.confidence, weights, REFERENCE)
    for name, published in PUBLISHED_LOSSES.items():
        if (name in got.parts) != (published in facts['losses']):
            yield Row(part, f'{name} is computed', math.nan, math.nan, 0)
        elif name in got.parts:
            value = torch.tensor(facts['losses'][published])
            text = f'loss of {PUBLISHED_NAMES[name]}'
            yield relative(part, text, got.parts[name], value, LOSS)
    yield relative(part, 'total loss', got.total, torch.tensor(facts['total_loss']), LOSS)
    assert got.consistency is not None
    yield mask(part, 'mask', got.consistency.mask, g['out/consistency_mask'])
    yield absolute(part, 'confidence', got.consistency.confidence, g['out/conf_rgb'], 3e-3)
    for name, branch in zip(('thermal', 'rgb'), out, strict=True):
        depth = g[f'out/{name}_metric_depth']
        yield absolute(part, f'{name} depth [m]', branch.depth, depth, 1e-3)
    got.total.backward()
    yield from _gradient_rows(part, g, facts, parameters)
    before = {n: p.detach().clone() for n, p in parameters.items()}
    trained = [p for p in parameters.values() if p.requires_grad]
    norm = torch.nn.utils.clip_grad_norm_(trained, facts['clip_max_norm'])
    yield relative(part, 'norm of the gradient', norm, g['grad_norm_before_clip'], 5e-4)
    optimiser.step()
    same = sum(bool(torch.equal(before[n], p)) for n, p in parameters.items())
    wrong = abs(same - facts['unchanged_parameters_after_step'])
    yield Row(part, f'unchanged parameters ({same}), number', wrong, wrong, 0)
    statistics = {official_name(n): b for n, b in network.named_buffers()}
    for key in [k for k in g if k.startswith('after_step/')]:
        name = key.removeprefix('after_step/')
        text = '.'.join(name.split('.')[-2:])
        yield absolute(part, f'{text} after the step', statistics[name], g[key], 1e-5)


def _gradient_rows(
    part: str, g: Golden, facts: Mapping[str, dict], parameters: Mapping[str, Tensor]
) -> Iterator[Row]:
    """Norms of all gradients, and the gradients that are stored."""
    norms = facts['grad_l2_norm_per_parameter_before_clip']
    without = {n for n, p in parameters.items() if p.grad is None}
    wrong = len(without ^ {n for n, norm in norms.items() if norm is None})
    yield Row(part, f'parameters without gradient ({len(without)}), number', wrong, wrong, 0)
    errors = []
    for name, norm in norms.items():
        gradient = parameters[name].grad
        # biases before a batch norm have no gradient but rounding
        rounding = 'conf_net' in name and name.endswith(('conv.0.bias', 'conv.3.bias'))
        if norm is not None and gradient is not None and not rounding:
            errors.append(abs(float(gradient.double().norm()) - norm) / max(norm, 1e-12))
    text = f'norms of {len(errors)} gradients, relative'
    yield Row(part, text, max(errors), sum(errors) / len(errors), GRADIENT)
    worst, turned = [], []
    for key in [k for k in g if k.startswith('grad_before_clip/')]:
        gradient = parameters[key.removeprefix('grad_before_clip/')].grad
        got = torch.full_like(g[key], math.nan) if gradient is None else gradient
        worst.append(relative(part, key, got, g[key], GRADIENT).worst)
        pair = (got.flatten().double(), g[key].flatten().double())
        turned.append(1 - float(torch.cosine_similarity(*pair, 0)))
    count = len(worst)
    text = f'{count} stored gradients'
    yield Row(part, f'{text}, relative', max(worst), sum(worst) / count, GRADIENT)
    yield Row(part, f'{text}, 1 - cosine', max(turned), sum(turned) / count, 1e-3)


def metric_rows(golden: Path) -> Iterator[Row]:
    """Depth metrics (losses.npz, metrics)."""
    with np.load(golden / 'losses.npz') as g:
        names = [str(name) for name in g['metrics/column_names']]
        truth, small = (torch.from_numpy(g[f'metrics/{k}']) for k in ('gt', 'pred'))
        want = {k: torch.from_numpy(g[f'metrics/{k}']) for k in ('nocrop', 'garg')}
    names = [{'a1': 'd1', 'a2': 'd2', 'a3': 'd3', 'log_10': 'log10'}.get(n, n) for n in names]
    height, width = (int(n) for n in truth.shape[-2:])
    prediction = losses.resize(small, (height, width))[0, 0].numpy()
    rows = slice(int(0.40810811 * height), int(0.99189189 * height))
    columns = slice(int(0.03594771 * width), int(0.96405229 * width))
    crop = np.zeros((height, width), bool)
    crop[rows, columns] = True
    for name, chosen in (('nocrop', None), ('garg', crop)):
        found = depth_metrics(prediction, truth[0, 0].numpy(), mask=chosen)
        got = torch.tensor([found[n] for n in names], dtype=torch.float64)
        error = (got / want[name] - 1).abs()
        text = f'{name}, {len(names)} metrics, relative'
        yield Row('losses/metrics', text, float(error.max()), float(error.mean()), 2e-5)


def data_rows(golden: Path) -> Iterator[Row]:
    """What the readers of the data sets make of files (preprocess.npz)."""
    for part, quantity, got, want, limit in data_pairs(golden):
        error = np.abs(got.astype(np.float64) - want)
        yield Row(part, quantity, float(error.max()), float(error.mean()), limit)


def all_rows(golden: Path) -> Iterator[Row]:
    """Every comparison."""
    yield from loss_rows(golden)
    yield from schedule_rows(golden)
    yield from metric_rows(golden)
    yield from data_rows(golden)
    yield from block_rows(golden)
    yield from forward_rows(golden, 'vits')
    yield from forward_rows(golden, 'vits_wide')
    yield from step_rows(golden, 'ms2_supervised')
    yield from step_rows(golden, 'vivid_finetune')


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    lines = ['| fixture | quantity | largest | mean | limit |', '|---|---|---|---|---|']
    for row in rows:
        numbers = ' | '.join(f'{x:.1e}' if x else '0' for x in (row.worst, row.mean, row.limit))
        missed = '' if row.ok else ' MISSED'
        lines.append(f'| {row.part} | {row.quantity} | {numbers}{missed} |')
    return '\n'.join(lines)


def main() -> int:
    """Compare, print, write, tell by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--golden', type=Path, required=True, help='folder of the fixtures')
    parser.add_argument('--out', type=Path, help='JSON file')
    parser.add_argument('--threads', type=int, help='of torch; default is its own choice')
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows = list(all_rows(arguments.golden))
    print(table(rows))
    if arguments.out:
        report = {
            'machine': platform.machine(),
            'torch': torch.__version__,
            'threads': torch.get_num_threads(),
            'rows': [{**asdict(row), 'ok': row.ok} for row in rows],
        }
        atomic_write(arguments.out, json.dumps(report, indent=1))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == '__main__':
    sys.exit(main())
