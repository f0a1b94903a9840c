# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run of the confidence network to its folder, with what it reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.learning.recipe import plain
from monother_ros.learning.tasks.recipes import TrustRecipe
from monother_ros.learning.tasks.trust import REFERENCE_DEPTH, TrustTask, trust_figures
from monother_ros.learning.trainer import Trainer
from monother_ros.learning.trust_pairs import TRUST_TRAINING_SEED, TRUST_VALIDATION_SEED
from monother_ros.networks.confidence_file import write_confidence

DATA = (
    'simulated pairs: street, farm, corridor, woods, yard; temperate, desert, winter and '
    'industrial materials; all sensor responses, mounts, times of day and weathers; part of the '
    'RGB pictures with glare, drops on the lens, clouds of dust, darkness or blur. No real image '
    'was used.'
)


def export_trust(
    trainer: Trainer, task: TrustTask, target: str | Path, recipe: TrustRecipe
) -> Path:
    """
    Write the averaged network of a run with the story of its training.

    :param trainer: the run.
    :param task: of the trainer.
    :param target: folder to write.
    :param recipe: of the run.
    :returns: the folder.
    :raises OSError: the disk is full or the folder cannot be written.
    """
    network = task.network.eval()
    network.load_state_dict({k: v.cpu() for k, v in trainer.result.state_dict().items()})
    data = recipe.data
    student, teacher = (load_bundle(find_bundle(n)) for n in (data.student, data.teacher))
    training = {
        'data': DATA,
        'command': f'monother train lite_confidence --set data.teacher={teacher.name} --out OUT',
        'settings': plain(recipe.training),
        'worlds': data.worlds,
        'world_seeds': [TRUST_TRAINING_SEED, TRUST_TRAINING_SEED + data.worlds - 1],
        'error': f'relative, in metres at {REFERENCE_DEPTH:g} m'
        if recipe.training.relative
        else 'metres',
        'samples': len(task.batches.samples),
        'student': f'{student.name} {student.revision}',
        'teacher': f'{teacher.name} {teacher.revision}',
        'steps': trainer.step,
    }
    return write_confidence(network, target, training=training, metrics=_metrics(task, recipe))


def _metrics(task: TrustTask, recipe: TrustRecipe) -> dict[str, Any]:
    """Figures on the worlds to watch, all together and by condition."""
    samples = task.validation
    if samples is None:
        return {}
    rows = [
        (world, trust_figures(task.network, samples, i, relative=task.settings.relative))
        for i, world in enumerate(samples.worlds)
    ]
    rows = [(world, row) for world, row in rows if row]
    result: dict[str, Any] = {
        'world_seeds': [TRUST_VALIDATION_SEED, TRUST_VALIDATION_SEED + recipe.data.validation - 1],
        'error': f'relative, in metres at {REFERENCE_DEPTH:g} m'
        if recipe.training.relative
        else 'metres',
        'samples': len(rows),
        'all': _mean([row for _, row in rows]),
    }
    for key in ('time_of_day', 'weather'):
        names = sorted({str(world[key]) for world, _ in rows})
        result[key] = {
            name: _mean([row for world, row in rows if world[key] == name]) for name in names
        }
    return result


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means of figures, rounded for people."""
    return {key: round(float(np.mean([row[key] for row in rows])), 5) for key in rows[0]}
