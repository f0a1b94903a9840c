# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run of the sparse depth branch beside DINOv2 to a model bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from monother_ros.core.bundle import Bundle
from monother_ros.learning.augment import CANONICAL_FOCAL
from monother_ros.learning.recipe import plain
from monother_ros.learning.tasks.lite_export import THERMAL_DATA
from monother_ros.learning.tasks.recipes import VitAdapterRecipe
from monother_ros.learning.tasks.vit_adapter import VitAdapterTask
from monother_ros.learning.trainer import Trainer
from monother_ros.networks.adapter_export import export_sparse_vit_bundle
from monother_ros.networks.sparse_vit import SparseVit

RANDOM = 'an encoder with random weights, for tests of the machinery only'


def export_vit_adapter(
    trainer: Trainer,
    task: VitAdapterTask,
    target: str | Path,
    recipe: VitAdapterRecipe,
    metrics: Mapping[str, float],
) -> Bundle:
    """
    Export the averaged branch and decoder of a run, with the frozen encoder.

    :param trainer: the run.
    :param task: of the trainer.
    :param target: folder of the bundle.
    :param recipe: of the run.
    :param metrics: on the validation frames.
    :returns: the bundle; it says in its name where the encoder is random.
    :raises BundleError: the export fails its check.
    """
    network = trainer.result
    assert isinstance(network, SparseVit)
    digest = hashlib.sha256()
    for name, value in sorted(task.state(network).items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    settings = task.settings
    encoder = recipe.random_encoder
    return export_sparse_vit_bundle(
        network.cpu().eval(),
        target,
        size=(settings.height, settings.width),
        revision=f'sim-{trainer.step}-{digest.hexdigest()[:8]}',
        focal_length=CANONICAL_FOCAL * settings.width / 320,
        name='vit-sparse' if encoder is None else 'vit-sparse-random',
        precision=recipe.precision,
        training={
            'data': THERMAL_DATA,
            'method': 'sparse depth branch after Vanishing Depth; the encoder is frozen',
            'frames': recipe.data.frames,
            'steps': trainer.step,
            'settings': plain(settings),
            'frozen': RANDOM if encoder is not None else Path(str(recipe.start)).name,
            'frozen sha256 of the weights': task.begun_with,
        },
        metrics={'validation': dict(metrics), 'validation_frames': len(task.validation or ())},
    )
