# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run of the language head to its folder, with how far its scale was off."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import TrainingError
from monother_ros.learning.language_samples import (
    LANGUAGE_TRAINING_SEED,
    LANGUAGE_VALIDATION_SEED,
)
from monother_ros.learning.recipe import plain
from monother_ros.learning.tasks.language import LanguageTask
from monother_ros.learning.tasks.recipes import LanguageRecipe
from monother_ros.learning.trainer import Trainer
from monother_ros.networks.language_file import write_language

LEAST_SIGMA = 0.05
"""A head is never told to be better than that, however few scenes it was watched on."""

DATA = (
    'simulated thermal scenes: street, farm, corridor, woods, yard; sentences count what is in '
    'view. No real image and no human sentence was used.'
)


def export_language(
    trainer: Trainer, task: LanguageTask, target: str | Path, recipe: LanguageRecipe
) -> Path:
    """
    Write the head of a run with the story of its training.

    Its sigma is the root mean square of the log error of the scale over the scenes to watch.

    :param trainer: the run.
    :param task: of the trainer.
    :param target: folder to write.
    :param recipe: of the run.
    :returns: the folder.
    :raises TrainingError: there are no scenes to watch, so nobody knows how good it is.
    :raises OSError: the disk is full or the folder cannot be written.
    """
    head = task.network.eval()
    head.load_state_dict({k: v.cpu() for k, v in trainer.result.state_dict().items()})
    rows = [row for row in task.measure(head, trainer.step, 0, 1) if row]
    if not rows:
        msg = 'there are no scenes to watch, so the error of the head is not known; set data.watch'
        raise TrainingError(msg)
    sigma = math.sqrt(float(np.mean([row['error'] ** 2 for row in rows])))
    data = recipe.data
    bundle = load_bundle(find_bundle(data.depth_model))
    training: dict[str, Any] = {
        'data': DATA,
        'settings': plain(recipe.training),
        'worlds': data.worlds,
        'world_seeds': [LANGUAGE_TRAINING_SEED, LANGUAGE_TRAINING_SEED + data.worlds - 1],
        'samples': len(task.batches.samples),
        'depth_model': f'{bundle.name} {bundle.revision}',
        'text_encoder': task.tower.name,
        'steps': trainer.step,
    }
    metrics: dict[str, Any] = {
        'world_seeds': [LANGUAGE_VALIDATION_SEED, LANGUAGE_VALIDATION_SEED + data.watch - 1],
        'samples': len(rows),
        **{key: round(float(np.mean([row[key] for row in rows])), 5) for key in rows[0]},
    }
    return write_language(
        head,
        target,
        sigma=round(max(sigma, LEAST_SIGMA), 4),
        text_encoder=data.text_encoder,
        depth_model=bundle.name,
        training=training,
        metrics=metrics,
    )
