# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Settings of the depth encoding, compared by short training runs that are otherwise alike, as JSON.

python bench/sparse_settings.py --out settings.json

Each run begins anew with the same seed, order, sparse depth and number of steps; figures are
AbsRel on validation frames with 50, 500 and 5,000 points, and their mean. The runs are short, so
small differences say little: the base is run with two seeds, and their difference is the measure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monother_ros.core.files import atomic_write
from monother_ros.learning.distributed import Group
from monother_ros.learning.tasks.adapter import AdapterTask
from monother_ros.learning.tasks.opening import open_task
from monother_ros.learning.tasks.recipes import AdapterRecipe, load_recipe
from monother_ros.learning.trainer import RunSettings, Trainer

RUNS: dict[str, tuple[str, ...]] = {
    'base: 100 m, 0.5 m, validity': (),
    'base, another seed': ('training.seed=1',),
    'no validity channel': ('training.validity=false',),
    'maximum 50 m': ('training.maximum=50',),
    'maximum 150 m': ('training.maximum=150',),
    'last period 0.1 m': ('training.last_period=0.1',),
    'last period 5 m': ('training.last_period=5',),
    '32 channels': ('training.channels=32',),
}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--data', default='data/lite', help='rendered frames')
    parser.add_argument('--frames', type=int, default=4800, help='training frames')
    parser.add_argument('--validation', type=int, default=32, help='frames to measure on')
    parser.add_argument('--steps', type=int, default=200, help='of each run')
    parser.add_argument('--batch', type=int, default=8, help='pictures per step')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--only', nargs='+', choices=list(RUNS), help='these runs')
    parser.add_argument('--out', type=Path, help='JSON file; printed as well')
    return parser.parse_args()


def run(arguments: argparse.Namespace, changes: tuple[str, ...]) -> dict[str, Any]:
    """One short run and its figures."""
    steps = arguments.steps
    recipe = load_recipe(
        'lite_sparse',
        [
            f'data.folder={arguments.data}',
            f'data.frames={arguments.frames}',
            f'data.validation={arguments.validation}',
            f'training.steps={steps}',
            f'training.fall_steps={steps // 2}',
            'training.full_steps=0',
            f'training.warmup={steps // 10}',
            f'training.batch={arguments.batch}',
            'training.average=0.95',
            'watch_every=0',
            *changes,
        ],
    )
    assert isinstance(recipe, AdapterRecipe)
    task = open_task(recipe, Group(torch.device('cpu')))
    assert isinstance(task, AdapterTask)
    assert task.validation is not None
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        settings = RunSettings(threads=arguments.threads, tensorboard=False)
        network = Trainer(folder, task, settings).train(progress=False)
    spent = time.process_time() - start
    rows = [row for row in task.measure(network, task.steps, 0, 1) if row]
    names = ('abs_rel_50', 'abs_rel_500', 'abs_rel_5000')
    found = {name: float(np.mean([row[name] for row in rows])) for name in names}
    mean = float(np.mean(list(found.values())))
    numbers = {**found, 'mean': mean}
    return {**{k: round(v, 5) for k, v in numbers.items()}, 'seconds': round(spent, 1)}


def main() -> None:
    """Run all, tell as they end."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    report: dict[str, Any] = {
        'steps': arguments.steps,
        'batch': arguments.batch,
        'validation_frames': arguments.validation,
        'runs': {},
    }
    for name in arguments.only or RUNS:
        report['runs'][name] = run(arguments, RUNS[name])
        print(name, report['runs'][name], flush=True)
        if arguments.out:
            atomic_write(arguments.out, json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
