# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""monother train: carry out a recipe, on one process or on those that torchrun started."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from monother_ros.core.bundle import Bundle
from monother_ros.core.errors import MonotherError, SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.learning.distributed import Group, processes
from monother_ros.learning.recipe import plain, recipe_names, to_yaml
from monother_ros.learning.tasks.adapter import AdapterTask
from monother_ros.learning.tasks.adapter_export import export_adapter
from monother_ros.learning.tasks.language import LanguageTask
from monother_ros.learning.tasks.language_export import export_language
from monother_ros.learning.tasks.lite import LiteTask
from monother_ros.learning.tasks.lite_export import export_lite
from monother_ros.learning.tasks.opening import lite_parent, lite_plans, open_task
from monother_ros.learning.tasks.recipes import (
    AdapterRecipe,
    DualRecipe,
    LanguageRecipe,
    LiteRecipe,
    Recipe,
    TrustRecipe,
    VitAdapterRecipe,
    load_recipe,
)
from monother_ros.learning.tasks.trust import TrustTask
from monother_ros.learning.tasks.trust_export import export_trust
from monother_ros.learning.tasks.vit_adapter import VitAdapterTask
from monother_ros.learning.tasks.vit_adapter_export import export_vit_adapter
from monother_ros.learning.trainer import Trainer
from monother_ros.learning.training_state import AVERAGE, BEST, LATEST, NETWORK
from monother_ros.networks.monother import network_size

RECIPE = 'recipe.yaml'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    parser.add_argument(
        'recipe', metavar='RECIPE', help=f'{", ".join(recipe_names())}, or a YAML file'
    )
    parser.add_argument('--out', type=Path, required=True, metavar='RUN', help='folder of the run')
    parser.add_argument(
        '--set', nargs='+', action='extend', default=[], metavar='KEY=VALUE', dest='changes',
        help='settings of the recipe to change, such as training.epochs=2 run.precision=bf16',
    )  # fmt: skip
    parser.add_argument(
        '--data', nargs='+', default=[], metavar='PATH',
        help='root of the data set, simulated bags, or folder of rendered frames',
    )  # fmt: skip
    parser.add_argument(
        '--start', metavar='WEIGHTS', help='checkpoint, bundle or run to begin with'
    )
    parser.add_argument('--until', type=int, metavar='STEP', help='stop before this step')
    parser.add_argument(
        '--bundle',
        type=Path,
        help='of the result; RUN/bundle if not given, for language RUN/head',
    )
    parser.add_argument(
        '--export-only', action='store_true', help='export the last checkpoint, train nothing'
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Train what is left of the schedule, then export or say how.

    :param arguments: parsed options.
    :returns: 0.
    """
    recipe = load_recipe(arguments.recipe, arguments.changes, arguments.data, arguments.start)
    if recipe.run.threads:
        torch.set_num_threads(recipe.run.threads)
    with processes(recipe.run.device) as group:
        try:
            _train(arguments, recipe, group)
        except Exception as err:
            if group.world == 1:
                raise
            if not isinstance(err, MonotherError):
                traceback.print_exc()
            msg = f'process {group.rank} of {group.world} failed, the run ends: {err}'
            print(f'monother train: {msg}', file=sys.stderr, flush=True)
            # leave at once: the others may wait for this one, and torchrun ends them
            os._exit(1)
    return 0


def _train(arguments: argparse.Namespace, recipe: Recipe, group: Group) -> None:
    """What one process does."""
    if arguments.export_only and isinstance(recipe, DualRecipe):
        msg = f'a dual run is exported by: {_convert(arguments.out, LATEST, recipe)}'
        raise SettingsError(msg)
    task = open_task(recipe, group, render=not arguments.export_only)
    trainer = Trainer(arguments.out, task, recipe.run, group, plain(recipe))
    if not arguments.export_only:
        if group.first:
            atomic_write(arguments.out / RECIPE, to_yaml(recipe))
            tqdm.write(
                f'{task.name}: {task.steps} steps, {trainer.precision}, {group.world} process(es) '
                f'on {group.device.type}, now at step {trainer.step}'
            )
        trainer.train(arguments.until)
    _report(arguments, recipe, trainer)


def _report(arguments: argparse.Namespace, recipe: Recipe, trainer: Trainer) -> None:
    """Say what came out; export the lite network."""
    metrics = trainer.latest()
    if not trainer.group.first:
        return
    if trainer.seconds:
        tqdm.write(
            f'{trainer.done} samples in {trainer.seconds:.1f} s: '
            f'{trainer.done / trainer.seconds:.2f} samples/s; {trainer.skipped} steps skipped'
        )
    if metrics:
        text = ' '.join(f'{k} {v:.3f}' for k, v in metrics.items())
        tqdm.write(f'latest, step {trainer.step}: {text}')
    if trainer.lowest is not None:
        tqdm.write(f'best: {trainer.task.best} {trainer.lowest:.3f} in {arguments.out / BEST}')
    if isinstance(recipe, LiteRecipe):
        assert isinstance(trainer.task, LiteTask)
        parent = lite_parent(recipe)
        bundle = export_lite(
            trainer,
            trainer.task,
            arguments.bundle or arguments.out / 'bundle',
            lite_plans(recipe)['training'],
            metrics,
            lite_command(recipe, parent),
            parent,
            with_weights=recipe.weights,
        )
        tqdm.write(f'{bundle.path}: revision {bundle.revision}, validation {metrics}')
        return
    if isinstance(recipe, AdapterRecipe):
        assert isinstance(trainer.task, AdapterTask)
        path, parent = arguments.bundle or arguments.out / 'bundle', lite_parent(recipe)
        assert parent is not None  # opening the task has looked
        bundle = export_adapter(trainer, trainer.task, path, recipe, metrics, parent)
        tqdm.write(f'{bundle.path}: revision {bundle.revision}, validation {metrics}')
        return
    if isinstance(recipe, VitAdapterRecipe):
        assert isinstance(trainer.task, VitAdapterTask)
        path = arguments.bundle or arguments.out / 'bundle'
        bundle = export_vit_adapter(trainer, trainer.task, path, recipe, metrics)
        tqdm.write(f'{bundle.path}: revision {bundle.revision}, validation {metrics}')
        return
    if isinstance(recipe, TrustRecipe):
        assert isinstance(trainer.task, TrustTask)
        path = arguments.bundle or arguments.out / 'bundle'
        tqdm.write(f'{export_trust(trainer, trainer.task, path, recipe)}: {metrics}')
        return
    if isinstance(recipe, LanguageRecipe):
        assert isinstance(trainer.task, LanguageTask)
        path = arguments.bundle or arguments.out / 'head'
        tqdm.write(f'{export_language(trainer, trainer.task, path, recipe)}: {metrics}')
        return
    for name in (LATEST, BEST):
        if (arguments.out / name).exists():
            tqdm.write(f'to run {name}: {_convert(arguments.out, name, recipe)}')


def _convert(out: Path, name: str, recipe: DualRecipe) -> str:
    """Command that makes a bundle of a checkpoint."""
    file = out / name / (AVERAGE if recipe.training.average else NETWORK)
    size = recipe.training.size
    shape = '' if size is None else ' --size {}x{}'.format(*network_size(*size))
    return f'monother convert {shlex.quote(str(file))} --to BUNDLE{shape}'


def lite_command(recipe: LiteRecipe, parent: Bundle | None) -> str:
    """Command that repeats a run of the lite network, for its manifest."""
    settings = recipe.training
    changes: Sequence[str] = (
        f'data.frames={recipe.data.frames}',
        *(f'training.{k}={getattr(settings, k)}' for k in ('steps', 'full_steps', 'batch')),
        f'training.full_batch={settings.full_batch}',
        f'training.rate={settings.rate:g}',
        f'training.seed={settings.seed}',
        f'augment={recipe.augment:g}',
        *(f'training.depth_pro.{k}={v:g}' for k, v in asdict(settings.depth_pro).items() if v > 0),
    )
    start = '' if parent is None else f'--start {parent.name} '
    name = 'lite_rgb' if recipe.data.kind == 'rgb' else 'lite'
    return f'monother train {name} --set {" ".join(changes)} {start}--out OUT'
