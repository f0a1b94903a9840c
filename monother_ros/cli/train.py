# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""monother train: render simulated scenes, train the lite network, export a model bundle."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch
from tqdm import tqdm

from monother_ros.core.bundle import Bundle, Normalisation, find_bundle, load_bundle
from monother_ros.learning.augment import CANONICAL_FOCAL, MEAN, STD, AugmentSettings
from monother_ros.learning.batches import TrainSettings
from monother_ros.learning.rendered import (
    VALIDATION_SEED,
    DatasetPlan,
    Frames,
    render_dataset,
)
from monother_ros.learning.trainer import Trainer, evaluate_network
from monother_ros.networks.export import WEIGHTS, export_bundle, load_weights, save_weights

DEPTH_RANGE = (0.5, 80.0)
"""Metres that the bundle promises; what the network says beyond is sky or too far."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    defaults = TrainSettings()
    parser.add_argument('--out', type=Path, required=True, help='folder of the run')
    parser.add_argument('--data', type=Path, default=Path('data/lite'), help='rendered frames')
    parser.add_argument('--frames', type=int, default=4800, help='training frames')
    parser.add_argument('--validation', type=int, default=96, help='frames to watch')
    parser.add_argument('--steps', type=int, default=defaults.steps, help='optimiser steps')
    parser.add_argument(
        '--full-steps', type=int, default=defaults.full_steps,
        help='how many of the steps, the last ones, are done at full size',
    )  # fmt: skip
    parser.add_argument('--batch', type=int, default=defaults.batch)
    parser.add_argument('--full-batch', type=int, default=defaults.full_batch)
    parser.add_argument('--rate', type=float, default=defaults.rate, help='learning rate')
    parser.add_argument(
        '--augment', type=float, default=1.0, metavar='PART', help='how often pictures are changed'
    )
    parser.add_argument('--seed', type=int, default=defaults.seed)
    parser.add_argument('--threads', type=int, default=0, help='of torch; 0 leaves its default')
    parser.add_argument('--workers', type=int, default=2, help='processes that render')
    parser.add_argument('--watch-every', type=int, default=500, help='steps between validations')
    parser.add_argument(
        '--start', metavar='BUNDLE', help='begin with the weights of this bundle (name or folder)'
    )
    parser.add_argument('--bundle', type=Path, help='of the result; OUT/bundle if not given')
    parser.add_argument(
        '--export-only', action='store_true', help='export the last checkpoint, train nothing'
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Render what is missing, train what is left of the schedule, export.

    :param arguments: parsed options.
    :returns: 0.
    """
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    training = DatasetPlan(arguments.frames)
    watching = DatasetPlan(arguments.validation, VALIDATION_SEED, frames_per_world=4)
    for plan, name in ((watching, 'validation'), (training, 'training')):
        if not arguments.export_only:
            render_dataset(plan, arguments.data / name, workers=arguments.workers)
    frames = Frames(arguments.data / 'training', arguments.frames)
    validation = Frames(arguments.data / 'validation', arguments.validation)
    settings = TrainSettings(
        steps=arguments.steps,
        full_steps=arguments.full_steps,
        batch=arguments.batch,
        full_batch=arguments.full_batch,
        rate=arguments.rate,
        seed=arguments.seed,
    )
    parent = load_bundle(find_bundle(arguments.start)) if arguments.start else None
    start = None if parent is None else load_weights(parent.path / WEIGHTS)
    augment = AugmentSettings().weakened(arguments.augment)
    trainer = Trainer(
        arguments.out, frames, settings, augment=augment, validation=validation, start=start
    )
    if not arguments.export_only:
        trainer.train(watch_every=arguments.watch_every)
    target = arguments.bundle or arguments.out / 'bundle'
    # before the steps at full size have begun, the network knows the half size only
    size = settings.size(max(0, trainer.step - 1))
    metrics = evaluate_network(trainer.average, validation, size)
    bundle = write(trainer, target, training, size, metrics, parent, arguments.augment)
    tqdm.write(f'{bundle.path}: revision {bundle.revision}, validation {metrics}')
    return 0


def write(
    trainer: Trainer,
    target: Path,
    plan: DatasetPlan,
    size: tuple[int, int],
    metrics: dict[str, float],
    parent: Bundle | None = None,
    augment: float = 1.0,
) -> Bundle:
    """
    Export the averaged network of a run with the story of its training.

    :param trainer: the run.
    :param target: folder of the bundle.
    :param plan: of the training data.
    :param size: (width, height) of the network input in pixels.
    :param metrics: on the validation frames.
    :param parent: bundle whose weights the run began with.
    :param augment: part of the usual augmentation.
    """
    story = {} if parent is None else {'began_with': dict(parent.training)}
    start = '' if parent is None else f'--start {parent.name} '
    settings, network = trainer.settings, trainer.average
    digest = hashlib.sha256(save_weights(network)).hexdigest()
    return export_bundle(
        network,
        target,
        revision=f'sim-{trainer.step}-{digest[:8]}',
        normalisation=Normalisation('stable_percentile', 2.0, 98.0, mean=MEAN, std=STD),
        depth_range=DEPTH_RANGE,
        focal_length=CANONICAL_FOCAL * size[0] / 320,
        training={
            'data': 'simulated thermal scenes: street, corridor, woods, yard; day, dusk, night; '
            'clear, fog, smoke, rain. No real image was used.',
            'command': f'monother train --frames {plan.frames} --steps {settings.steps} '
            f'--full-steps {settings.full_steps} --batch {settings.batch} '
            f'--full-batch {settings.full_batch} --rate {settings.rate:g} '
            f'--seed {settings.seed} --augment {augment:g} {start}--out OUT',
            'frames': plan.frames,
            'worlds': plan.worlds,
            'world_seeds': [plan.first_seed, plan.first_seed + plan.worlds - 1],
            'steps': trainer.step,
            'steps_at_half_size': min(trainer.step, settings.small_steps),
            'network': network.config.as_dict(),
            **story,
        },
        parent=None if parent is None else parent.revision,
        metrics={'validation': metrics, 'validation_frames': len(trainer.validation or ())},
        width=size[0],
        height=size[1],
    )
