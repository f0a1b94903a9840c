# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Simulated RGB frames with exact depth of many kinds of worlds, to train an RGB teacher on.

All scenes, sets of materials and mounts; mostly clear days, some dusk, night and bad weather. The
camera is a pinhole camera of the network's size, as pictures are after rectification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SettingsError
from monother_ros.learning.rendered import TEST_SEED, VALIDATION_SEED
from monother_ros.learning.shards import (
    ShardFrames,
    ShardPlan,
    render_missing,
    shard_folder,
    write_shard,
)

RGB_TRAINING_SEED = 100_000
"""First world seed of RGB training data; below those that are watched or tested on."""

_SCENES = ('street', 'farm', 'corridor', 'woods', 'yard')
_MATERIALS = ('temperate', 'desert', 'winter', 'industrial')
_MOUNTS = ('mast', 'low', 'high')
_TIMES = ('day', 'dusk', 'night')
_WEATHERS = ('clear', 'rain', 'fog', 'smoke')


@dataclass(frozen=True)
class RgbPlan(ShardPlan):
    """RGB frames; scenes in turn, see :class:`ShardPlan`."""

    first_seed: int = RGB_TRAINING_SEED
    frames_per_world: int = 8
    worlds_per_shard: int = 10

    def __post_init__(self) -> None:
        """Refuse a plan without frames, and training that reaches the seeds of other data."""
        super().__post_init__()
        last = self.first_seed + self.worlds
        for limit in (VALIDATION_SEED, TEST_SEED):
            if self.first_seed < limit < last:
                msg = f'{self.worlds} worlds from seed {self.first_seed} reach the seed {limit}'
                raise SettingsError(msg)


class RgbWorld(NamedTuple):
    """The conditions of one world."""

    seed: int
    scene: str
    time_of_day: str
    weather: str
    materials: str
    mount: str


def rgb_world_of(plan: RgbPlan, index: int) -> RgbWorld:
    """
    Conditions of a world: scenes in turn, the rest drawn from its seed.

    :param plan: the dataset.
    :param index: of the world, from 0.
    """
    seed = plan.first_seed + index
    rng = np.random.default_rng([seed, 87])

    def draw(names: Sequence[str], weights: Sequence[float]) -> str:
        return str(rng.choice(names, p=weights))

    return RgbWorld(
        seed,
        _SCENES[index % len(_SCENES)],
        draw(_TIMES, (0.62, 0.22, 0.16)),
        draw(_WEATHERS, (0.70, 0.12, 0.10, 0.08)),
        draw(_MATERIALS, (0.40, 0.20, 0.20, 0.20)),
        draw(_MOUNTS, (0.50, 0.25, 0.25)),
    )


def pinhole_of(camera: Intrinsics, width: int, height: int) -> Intrinsics:
    """
    Pinhole camera that a picture is rectified to: the same K, scaled, without distortion.

    :param camera: as calibrated.
    :param width: of the rectified picture, pixels.
    :param height: of the rectified picture, pixels.
    """
    return replace(camera, distortion_model='plumb_bob', distortion=()).scaled(width, height)


def render_rgb_shard(plan: RgbPlan, shard: int, folder: str | Path) -> Path:
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
    pictures, depth, focal, worlds = [], [], [], []
    for index in plan.worlds_of(shard):
        world = rgb_world_of(plan, index)
        simulator = Simulator(SimConfig(**world._asdict()))
        camera = pinhole_of(simulator.rig.rgb, plan.width, plan.height)
        rng = np.random.default_rng([world.seed, 88])
        for _ in range(plan.frames_per_world):
            frame = simulator.training_rgb(rng, camera)
            assert frame.rgb is not None and frame.rgb_depth is not None
            pictures.append(frame.rgb)
            depth.append(frame.rgb_depth.astype(np.float16))
            focal.append(camera.fx * 320 / plan.width)
            worlds.append(world._asdict())
    write_shard(
        target, {'rgb': pictures, 'depth': depth, 'focal': np.asarray(focal, np.float32)}, worlds
    )
    return target


def _render(job: tuple[RgbPlan, int, str]) -> None:
    """One job of a worker process."""
    render_rgb_shard(*job)


def render_rgb_dataset(plan: RgbPlan, folder: str | Path, *, workers: int = 2) -> None:
    """
    Render all shards that are missing; can be stopped at any time and goes on where it was.

    :param plan: what to render.
    :param folder: made where missing.
    :param workers: processes.
    :raises SettingsError: the folder holds a dataset of another plan.
    """
    render_missing(_render, plan, folder, workers=workers)


class RgbFrames(ShardFrames):
    """
    RGB frames of a dataset that has been rendered.

    :param folder: of the dataset.
    :param limit: use only that many frames, from the start.
    :raises SettingsError: there is nothing there.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        super().__init__(folder, limit, 'lite_rgb')
        self._rgb = self.mapped('rgb')

    def rgb(self, index: int) -> NDArray[np.uint8]:
        """Picture of one frame, (H, W, 3) uint8."""
        return self.row(self._rgb, index)
