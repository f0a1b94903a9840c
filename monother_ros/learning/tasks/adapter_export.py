# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run of the sparse depth adapter to a model bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from monother_ros.core.bundle import Bundle
from monother_ros.learning.recipe import plain
from monother_ros.learning.tasks.adapter import AdapterTask
from monother_ros.learning.tasks.lite_export import THERMAL_DATA
from monother_ros.learning.tasks.recipes import AdapterRecipe
from monother_ros.learning.trainer import Trainer
from monother_ros.networks.adapter_export import export_sparse_bundle
from monother_ros.networks.depth_adapter import SparseLite
from monother_ros.networks.export import WEIGHTS, load_weights

SHOWN = (
    'steps', 'fall_steps', 'full_steps', 'batch', 'full_batch', 'draws', 'rate', 'maximum',
    'last_period', 'channels', 'validity', 'decoder', 'seed',
)  # fmt: skip
"""Settings that the command of the manifest names."""


def export_adapter(
    trainer: Trainer,
    task: AdapterTask,
    target: str | Path,
    recipe: AdapterRecipe,
    metrics: Mapping[str, float],
    parent: Bundle,
) -> Bundle:
    """
    Export the averaged adapter of a run, with the frozen network, and the story of its training.

    :param trainer: the run.
    :param task: of the trainer.
    :param target: folder of the bundle.
    :param recipe: of the run.
    :param metrics: on the validation frames.
    :param parent: bundle of the frozen network.
    :returns: the bundle.
    :raises BundleError: the export fails its check.
    """
    network = SparseLite(load_weights(parent.path / WEIGHTS), task.settings.config())
    trained = {k: v.cpu() for k, v in task.state(trainer.result).items()}
    task.load(network, trained)
    digest = hashlib.sha256()
    for name, value in sorted(trained.items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    settings = task.settings
    changes = ' '.join(f'training.{name}={getattr(settings, name)}' for name in SHOWN)
    data = recipe.data
    until = f' --until {trainer.step}' if trainer.step < settings.steps else ''
    return export_sparse_bundle(
        network.eval(),
        target,
        parent=parent,
        revision=f'sim-{trainer.step}-{digest.hexdigest()[:8]}',
        training={
            'data': THERMAL_DATA,
            'method': 'sparse depth adapter after Vanishing Depth; the thermal network is frozen',
            'command': f'monother train lite_sparse --set data.frames={data.frames} {changes} '
            f'augment={recipe.augment:g} --start {parent.name} --out OUT{until}',
            'frames': data.frames,
            'steps': trainer.step,
            'settings': plain(settings),
            'frozen': f'{parent.name} {parent.revision}',
        },
        metrics={'validation': dict(metrics), 'validation_frames': len(task.validation or ())},
    )
