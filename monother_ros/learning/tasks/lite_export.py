# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run of the lite network to a model bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from monother_ros.core.bundle import Bundle, Normalisation
from monother_ros.learning.augment import CANONICAL_FOCAL, MEAN, STD
from monother_ros.learning.rendered import DatasetPlan
from monother_ros.learning.rgb_frames import RgbPlan
from monother_ros.learning.tasks.lite import LiteTask, weights_digest
from monother_ros.learning.trainer import Trainer
from monother_ros.networks.export import export_bundle
from monother_ros.networks.lite import LiteNetwork

DEPTH_RANGE = (0.5, 80.0)
"""Metres that the bundle promises; what the network says beyond is sky or too far."""

THERMAL_DATA = (
    'simulated thermal scenes: street, corridor, woods, yard; day, dusk, night; clear, fog, '
    'smoke, rain. No real image was used.'
)
RGB_DATA = (
    'simulated RGB scenes: street, farm, corridor, woods, yard; temperate, desert, winter and '
    'industrial materials; three mounts; mostly clear days, also dusk, night, fog, smoke, rain. '
    'No real image was used.'
)


def export_lite(
    trainer: Trainer,
    task: LiteTask,
    target: str | Path,
    plan: DatasetPlan | RgbPlan,
    metrics: Mapping[str, float],
    command: str,
    parent: Bundle | None = None,
    *,
    with_weights: bool = True,
) -> Bundle:
    """
    Export the averaged network of a run with the story of its training.

    :param trainer: the run.
    :param task: of the trainer.
    :param target: folder of the bundle.
    :param plan: of the training data.
    :param metrics: on the validation frames.
    :param command: that repeats the run.
    :param parent: bundle whose weights the run began with.
    :param with_weights: put the weights to train on from into the bundle too.
    :returns: the bundle.
    :raises BundleError: the export fails its check.
    """
    story = {} if parent is None else {'began_with': dict(parent.training)}
    settings = task.settings
    # before the steps at full size have begun, the network knows the half size only
    size = settings.size(max(0, trainer.step - 1))
    network = LiteNetwork(task.config).eval()
    network.load_state_dict({k: v.cpu() for k, v in trainer.result.state_dict().items()})
    digest = weights_digest(network)
    rgb = isinstance(plan, RgbPlan)
    return export_bundle(
        network,
        target,
        revision=f'sim-{trainer.step}-{digest[:8]}',
        normalisation=(
            Normalisation('fixed', 0.0, 255.0, mean=MEAN, std=STD, channels=3)
            if rgb
            else Normalisation('stable_percentile', 2.0, 98.0, mean=MEAN, std=STD)
        ),
        depth_range=DEPTH_RANGE,
        focal_length=CANONICAL_FOCAL * size[0] / 320,
        training={
            'data': RGB_DATA if rgb else THERMAL_DATA,
            'command': command,
            'frames': plan.frames,
            'worlds': plan.worlds,
            'world_seeds': [plan.first_seed, plan.first_seed + plan.worlds - 1],
            'steps': trainer.step,
            'steps_at_half_size': min(trainer.step, settings.small_steps),
            'network': task.config.as_dict(),
            **story,
        },
        parent=None if parent is None else parent.revision,
        metrics={'validation': dict(metrics), 'validation_frames': len(task.validation or ())},
        width=size[0],
        height=size[1],
        name='lite-rgb' if rgb else 'lite',
        with_weights=with_weights,
    )
