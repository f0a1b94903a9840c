# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated drives to train the dual network on, rendered where they are missing."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.learning.rendered import TRAINING_SEED, VALIDATION_SEED, DatasetPlan, world_of
from monother_ros.learning.workers import run_jobs


@dataclass(frozen=True)
class DriveSettings:
    """Drives through one world each: scenes in turn, time of day and weather drawn."""

    folder: str = 'data/sim'
    """where the bags are"""
    training: int = 32
    """drives to train on"""
    validation: int = 8
    """drives through other worlds, to watch"""
    frames: int = 24
    """frames of a drive"""
    rate: float = 2.0
    """frames per second; slow, so that a drive sees much"""
    width: int = 320
    """of the thermal image, pixels"""
    height: int = 256
    """of the thermal image, pixels"""
    rgb_width: int = 480
    """of the RGB image, pixels"""
    rgb_height: int = 360
    """of the RGB image, pixels"""
    workers: int = 0
    """processes that render; 0 for one per core"""

    def __post_init__(self) -> None:
        """Refuse drives without frames."""
        if min(self.training, self.frames) < 1 or self.validation < 0:
            msg = 'drives need at least one training drive and one frame'
            raise SettingsError(msg)

    def paths(self, part: str) -> list[Path]:
        """
        Bags of a part.

        :param part: 'training' or 'validation'.
        """
        count = self.training if part == 'training' else self.validation
        return [Path(self.folder) / part / f'drive-{i:04d}' for i in range(count)]


def render_drives(settings: DriveSettings) -> None:
    """
    Render all drives that are missing; can be stopped at any time and goes on where it was.

    :param settings: what to render.
    :raises SettingsError: the folder holds drives of other settings, or there is no simulator.
    """
    _check(settings)
    missing = [(settings, path, i) for path, i in _numbered(settings) if not path.exists()]
    if not missing:
        return
    try:
        importlib.import_module('monother_ros.sim.bag')
    except ModuleNotFoundError as err:
        msg = (
            f"drives cannot be rendered, {err.name} is missing; pip install 'monother_ros[sim]' "
            'or give bags with --data'
        )
        raise SettingsError(msg) from err
    workers = settings.workers or len(os.sched_getaffinity(0))
    run_jobs(_render, missing, workers=workers, unit='drive')


def _render(job: tuple[DriveSettings, Path, int]) -> None:
    """Render one drive, whole or not at all."""
    from monother_ros.sim.bag import Drive, write_drive
    from monother_ros.sim.simulator import SimConfig

    settings, path, number = job
    first = TRAINING_SEED if path.parent.name == 'training' else VALIDATION_SEED
    world = world_of(DatasetPlan(number + 1, first, frames_per_world=1), number)
    config = SimConfig(
        scene=world.scene,
        seed=world.seed,
        time_of_day=world.time_of_day,
        weather=world.weather,
        width=settings.width,
        height=settings.height,
        rgb_width=settings.rgb_width,
        rgb_height=settings.rgb_height,
        rate=settings.rate,
        shutter=False,
    )
    write_drive(path, Drive(config, settings.frames / settings.rate), workers=1)


def _numbered(settings: DriveSettings) -> Iterator[tuple[Path, int]]:
    """Every bag with the number of its world."""
    for part in ('validation', 'training'):
        for i, path in enumerate(settings.paths(part)):
            yield path, i


def _check(settings: DriveSettings) -> None:
    """
    Write what is rendered into the folder, or compare it with what is there.

    :raises SettingsError: the folder holds drives of other settings.
    """
    free = ('folder', 'training', 'validation', 'workers')
    wanted = {k: v for k, v in asdict(settings).items() if k not in free}
    path = Path(settings.folder) / 'drives.json'
    if not path.exists():
        atomic_write(path, json.dumps(wanted, indent=2) + '\n')
        return
    found = json.loads(path.read_text(encoding='utf-8'))
    if found != wanted:
        msg = (
            f'{settings.folder} holds drives of other settings ({found}); take another folder or '
            'delete this one'
        )
        raise SettingsError(msg)


def spread(count: int, wanted: int) -> list[int]:
    """
    Evenly spread indices.

    :param count: of what there is.
    :param wanted: how many; 0 for all.
    """
    if not wanted or wanted >= count:
        return list(range(count))
    return [int(i) for i in np.linspace(0, count - 1, wanted).round()]
