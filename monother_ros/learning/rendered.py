# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated thermal frames with exact depth, rendered once and read as memory maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.learning.shards import (
    ShardFrames,
    ShardPlan,
    render_missing,
    shard_folder,
    write_shard,
)

TRAINING_SEED = 0
"""First world seed of training data."""
VALIDATION_SEED = 500_000
"""First world seed of the frames that training is watched on."""
TEST_SEED = 1_000_000
"""First world seed of held-out frames: seeds from here on are never trained on."""

PERCENTILES = (0.5, 1.0, 2.0, 3.0, 5.0, 95.0, 97.0, 98.0, 99.0, 99.5)
"""Percentiles of the counts that are stored with each frame."""

_SCENES = ('street', 'corridor', 'woods', 'yard')
_TIMES = ('day', 'dusk', 'night')
_WEATHERS = ('clear', 'fog', 'smoke', 'rain')


@dataclass(frozen=True)
class DatasetPlan(ShardPlan):
    """Thermal frames; scene i modulo the four scenes, see :class:`ShardPlan`."""

    first_seed: int = TRAINING_SEED
    frames_per_world: int = 12
    worlds_per_shard: int = 8

    def __post_init__(self) -> None:
        """Refuse a plan without frames, and one that reaches from training into test seeds."""
        super().__post_init__()
        if self.first_seed < TEST_SEED < self.first_seed + self.worlds:
            msg = f'{self.worlds} worlds from seed {self.first_seed} reach the held-out seeds'
            raise SettingsError(msg)


class World(NamedTuple):
    """The conditions of one world."""

    seed: int
    scene: str
    time_of_day: str
    weather: str


def world_of(plan: DatasetPlan, index: int) -> World:
    """
    Conditions of a world: scenes in turn, time of day and weather drawn from its seed.

    :param plan: the dataset.
    :param index: of the world, from 0.
    """
    seed = plan.first_seed + index
    rng = np.random.default_rng([seed, 77])
    return World(
        seed,
        _SCENES[index % len(_SCENES)],
        _TIMES[int(rng.integers(len(_TIMES)))],
        _WEATHERS[int(rng.integers(len(_WEATHERS)))],
    )


def render_shard(plan: DatasetPlan, shard: int, folder: str | Path) -> Path:
    """
    Render one shard, whole or not at all.

    :param plan: the dataset.
    :param shard: index, from 0.
    :param folder: of the dataset.
    :returns: the folder of the shard; one that is there already is left as it is.
    """
    from monother_ros.sim.simulator import SimConfig, Simulator

    target = shard_folder(folder, shard)
    if target.exists():
        return target
    thermal, depth, bounds, focal, worlds = [], [], [], [], []
    for index in plan.worlds_of(shard):
        world = world_of(plan, index)
        simulator = Simulator(
            SimConfig(
                scene=world.scene,
                seed=world.seed,
                time_of_day=world.time_of_day,
                weather=world.weather,
                width=plan.width,
                height=plan.height,
            )
        )
        rng = np.random.default_rng([world.seed, 78])
        for _ in range(plan.frames_per_world):
            frame = simulator.training_frame(rng)
            assert frame.thermal is not None and frame.thermal_depth is not None
            thermal.append(frame.thermal)
            depth.append(frame.thermal_depth.astype(np.float16))
            bounds.append(np.percentile(frame.thermal, PERCENTILES))
            focal.append(simulator.rig.thermal.fx * 320 / plan.width)
            worlds.append(world._asdict())
    arrays = {
        'thermal': thermal,
        'depth': depth,
        'bounds': np.asarray(bounds, np.float32),
        'focal': np.asarray(focal, np.float32),
    }
    write_shard(target, arrays, worlds)
    return target


def _render(job: tuple[DatasetPlan, int, str]) -> None:
    """One job of a worker process."""
    render_shard(*job)


def render_dataset(plan: DatasetPlan, folder: str | Path, *, workers: int = 2) -> None:
    """
    Render all shards that are missing; can be stopped at any time and goes on where it was.

    :param plan: what to render.
    :param folder: made where missing.
    :param workers: processes.
    :raises SettingsError: the folder holds a dataset of another plan.
    """
    render_missing(_render, plan, folder, workers=workers)


class Frames(ShardFrames):
    """
    Thermal frames of a dataset that has been rendered.

    :param folder: of the dataset.
    :param limit: use only that many frames, from the start.
    :raises SettingsError: there is nothing there.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        super().__init__(folder, limit, 'lite')
        self._thermal = self.mapped('thermal')
        self.bounds: NDArray[np.float32] = self.joined('bounds')

    def thermal(self, index: int) -> NDArray[np.uint16]:
        """Counts of one frame, (H, W) uint16."""
        return self.row(self._thermal, index)
