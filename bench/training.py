# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Speed of a training recipe by stage, and what two processes change.

    python bench/training.py --out training.json

Steps are timed one by one on real batches of the recipe, after one that does not count; an epoch
is extrapolated from their median to the recipe's number of steps, and the result says from how
many. Then the recipe is trained for a few steps by one process and by two (torchrun, gloo or
NCCL), with the same batch, and the weights are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from monother_ros.core.files import atomic_write
from monother_ros.learning.distributed import Group, pick_device
from monother_ros.learning.tasks.opening import open_task
from monother_ros.learning.tasks.recipes import load_recipe
from monother_ros.learning.trainer import Trainer, batch_parts
from monother_ros.learning.training_state import LATEST, NETWORK, STATE, read_tensors

STAGES = ('data', 'forward', 'backward', 'optimiser')
PARTS = {'thermal and RGB branch': False, 'confidence network': True}


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--out', type=Path, required=True, help='JSON file')
    parser.add_argument('--recipe', default='sim')
    parser.add_argument('--set', nargs='+', action='extend', default=[], dest='changes')
    parser.add_argument('--data', nargs='+', default=[], help='as of monother train')
    parser.add_argument('--drives', type=int, default=2, help='to render where no data is given')
    parser.add_argument('--steps', type=int, default=5, help='to time')
    parser.add_argument('--compared', type=int, default=3, help='steps of one and two processes')
    return parser.parse_args()


def stages(words: argparse.Namespace, changes: list[str], folder: Path) -> dict[str, object]:
    """Times of single steps in this process."""
    recipe = load_recipe(words.recipe, changes, words.data)
    group = Group(pick_device(recipe.run.device))
    trainer = Trainer(folder, open_task(recipe, group), recipe.run, group)
    trainer.module.train()
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for step in range(words.steps + 1):
        last = time.perf_counter()
        current = dict.fromkeys(STAGES, 0.0)

        def clock(stage: str, current: dict[str, float] = current) -> None:
            nonlocal last
            if group.device.type == 'cuda':
                torch.cuda.synchronize()
            now = time.perf_counter()
            current[stage] += now - last
            last = now

        parts = batch_parts(trainer.task.batches, step, 0, 1, recipe.run.accumulate)
        clock('data')
        trainer.advance(parts, clock)
        for stage in STAGES:
            if step:
                times[stage].append(current[stage])
    medians = {stage: float(np.median(values)) for stage, values in times.items()}
    whole = np.sum([times[stage] for stage in STAGES], 0)
    samples = trainer.task.samples(0)
    return {
        'device': str(group.device),
        'threads': torch.get_num_threads(),
        'precision': trainer.precision,
        'parameters': sum(p.numel() for p in trainer.network.parameters()),
        'trained': sum(p.numel() for p in trainer.names.values()),
        'batch': samples,
        'steps_timed': words.steps,
        'median_seconds': medians,
        'seconds_per_step': {
            'median': float(np.median(whole)),
            'least': float(whole.min()),
            'most': float(whole.max()),
        },
        'steps_per_second': float(1 / np.median(whole)),
        'samples_per_second': float(samples / np.median(whole)),
    }


def epoch(words: argparse.Namespace, per_step: dict[str, float]) -> dict[str, object]:
    """An epoch of the recipe as it is shipped, from the medians of the steps."""
    recipe = load_recipe(words.recipe, words.changes)
    drives = getattr(recipe.data, 'drives', None)
    if drives is None:
        return {}
    steps = drives.training * drives.frames // recipe.training.batch
    return {
        'samples': drives.training * drives.frames,
        'steps': steps,
        'extrapolated_seconds': {k: steps * v for k, v in per_step.items()},
        'extrapolated_seconds_whole': steps * sum(per_step.values()),
    }


def processes(words: argparse.Namespace, changes: list[str], folder: Path) -> dict[str, object]:
    """Train for a few steps by one process and by two, one thread each."""
    runs, speed = {}, {}
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    for count in (1, 2):
        run = folder / f'{count}'
        command = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
        command += ['--nproc_per_node', str(count), '-m', 'monother_ros.cli.main', 'train']
        command += [words.recipe, '--out', str(run), '--until', str(words.compared)]
        command += ['--set', *changes, 'run.threads=1', 'run.log_every=1']
        command += ['data.validation=null', 'run.tensorboard=false']
        if words.data:
            command += ['--data', *words.data]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        line = next(x for x in (done.stdout + done.stderr).splitlines() if ' samples/s; ' in x)
        speed[count] = float(line.split(': ')[-1].split(' samples/s')[0])
        runs[count] = run / LATEST
    weights = {k: read_tensors(v / NETWORK) for k, v in runs.items()}
    losses = {k: json.loads((v / STATE).read_text())['training']['total'] for k, v in runs.items()}
    apart = {}
    for part, confidence in PARTS.items():
        names = [
            n
            for n, v in weights[1].items()
            if v.is_floating_point() and n.startswith('conf_net.') == confidence
        ]
        gap = sum(float((weights[1][n] - weights[2][n]).double().square().sum()) for n in names)
        size = sum(float(weights[1][n].double().square().sum()) for n in names)
        apart[part] = (gap / size) ** 0.5
    return {
        'steps': words.compared,
        'threads_per_process': 1,
        'samples_per_second': {str(k): v for k, v in speed.items()},
        'relative_difference_of_weights': apart,
        'loss_of_each_step': {str(k): v for k, v in losses.items()},
    }


def main() -> None:
    """Measure and write."""
    words = parse()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        changes = list(words.changes)
        if not words.data:
            changes += [f'data.drives.folder={folder / "drives"}', 'data.drives.validation=0']
            changes += [f'data.drives.training={words.drives}', 'data.drives.frames=8']
        found = stages(words, changes, folder / 'stages')
        result = {
            'recipe': words.recipe,
            'changes': words.changes,
            'machine': {
                'system': platform.platform(),
                'cores': len(os.sched_getaffinity(0)),
                'load': os.getloadavg()[0],
                'torch': torch.__version__,
            },
            'step': found,
            'epoch': epoch(words, found['median_seconds']),
        }
        if words.compared:
            result['processes'] = processes(words, changes, folder / 'processes')
    text = json.dumps(result, indent=2)
    atomic_write(words.out, text + '\n')
    print(text)


if __name__ == '__main__':
    main()
