# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated thermal frames with exact depth, rendered once and read as memory maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_folder, atomic_write
from monother_ros.learning.workers import run_jobs

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
class DatasetPlan:
    """
    What a dataset holds; the same plan gives the same bytes.

    :param frames: number of frames, a multiple of frames_per_world is rounded up to.
    :param first_seed: world i has the seed first_seed + i, and scene i modulo the four scenes.
    :param frames_per_world: frames from random places in one world.
    :param width: of the images in pixels.
    :param height: of the images in pixels.
    :param worlds_per_shard: worlds that are written as one piece.
    """

    frames: int
    first_seed: int = TRAINING_SEED
    frames_per_world: int = 12
    width: int = 320
    height: int = 256
    worlds_per_shard: int = 8

    def __post_init__(self) -> None:
        """Refuse a plan without frames, and one that reaches from training into test seeds."""
        if min(self.frames, self.frames_per_world, self.worlds_per_shard) < 1:
            msg = 'a dataset needs at least one frame, frame per world and world per shard'
            raise SettingsError(msg)
        if self.first_seed < TEST_SEED < self.first_seed + self.worlds:
            msg = f'{self.worlds} worlds from seed {self.first_seed} reach the held-out seeds'
            raise SettingsError(msg)

    @property
    def worlds(self) -> int:
        """Number of worlds."""
        return -(-self.frames // self.frames_per_world)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.worlds // self.worlds_per_shard)


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
    first = shard * plan.worlds_per_shard
    thermal, depth, bounds, focal, worlds = [], [], [], [], []
    for index in range(first, min(first + plan.worlds_per_shard, plan.worlds)):
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
    with atomic_folder(target) as work:
        np.save(work / 'thermal.npy', np.stack(thermal))
        np.save(work / 'depth.npy', np.stack(depth))
        np.save(work / 'bounds.npy', np.asarray(bounds, np.float32))
        np.save(work / 'focal.npy', np.asarray(focal, np.float32))
        (work / 'worlds.json').write_text(json.dumps(worlds))
    return target


def shard_folder(folder: str | Path, shard: int) -> Path:
    """Folder of one shard."""
    return Path(folder) / f'shard-{shard:04d}'


def _render(job: tuple[DatasetPlan, int, str]) -> int:
    """One job of a worker process."""
    plan, shard, folder = job
    render_shard(plan, shard, folder)
    return shard


def render_dataset(plan: DatasetPlan, folder: str | Path, *, workers: int = 2) -> None:
    """
    Render all shards that are missing; can be stopped at any time and goes on where it was.

    :param plan: what to render.
    :param folder: made where missing.
    :param workers: processes.
    :raises SettingsError: the folder holds a dataset of another plan.
    """
    root = Path(folder)
    check_plan(plan, root)
    jobs = [(plan, i, str(root)) for i in range(plan.shards) if not shard_folder(root, i).exists()]
    run_jobs(_render, jobs, workers=workers, unit='shard', total=plan.shards)


def check_plan(plan: DatasetPlan, root: Path) -> None:
    """
    Write the plan into an empty folder, or compare it with the one there.

    More or fewer frames of the same kind may be asked for later, as long as shards stay whole.

    :raises SettingsError: the folder holds a dataset of another plan.
    """
    path = root / 'plan.json'
    if path.exists():
        found = DatasetPlan(**json.loads(path.read_text()))
        per_shard = plan.frames_per_world * plan.worlds_per_shard
        fits = found.frames >= plan.frames or found.frames % per_shard == 0
        if replace(found, frames=plan.frames) != plan or not fits:
            msg = (
                f'{root} holds a dataset of another plan ({found}); take another folder or '
                'delete this one'
            )
            raise SettingsError(msg)
        if found.frames >= plan.frames:
            return
    atomic_write(path, json.dumps(asdict(plan), indent=2) + '\n')


class Frames(Sequence[int]):
    """
    Frames of a dataset that has been rendered.

    :param folder: of the dataset.
    :param limit: use only that many frames, from the start.
    :raises SettingsError: there is nothing there.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        shards = sorted(Path(folder).glob('shard-*'))
        if not shards:
            msg = f'{folder} holds no rendered frames; let monother train lite render some'
            raise SettingsError(msg)
        self._thermal = [np.load(s / 'thermal.npy', mmap_mode='r') for s in shards]
        self._depth = [np.load(s / 'depth.npy', mmap_mode='r') for s in shards]
        self.bounds: NDArray[np.float32] = np.concatenate(
            [np.load(s / 'bounds.npy') for s in shards]
        )
        self.focal: NDArray[np.float32] = np.concatenate(
            [np.load(s / 'focal.npy') for s in shards]
        )
        self.worlds: list[dict[str, Any]] = [
            world for s in shards for world in json.loads((s / 'worlds.json').read_text())
        ]
        where = [(k, j) for k, part in enumerate(self._thermal) for j in range(len(part))]
        self._where = where[:limit]
        self._source = (Path(folder), limit)

    def __reduce__(self) -> tuple[type[Frames], tuple[Path, int | None]]:
        """Pickle the place, not the frames."""
        return Frames, self._source

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: Any) -> Any:
        """Index itself: frames are read through thermal() and depth()."""
        return range(len(self))[index]

    def thermal(self, index: int) -> NDArray[np.uint16]:
        """Counts of one frame, (H, W) uint16."""
        shard, row = self._where[index]
        return np.asarray(self._thermal[shard][row])

    def depth(self, index: int) -> NDArray[np.float16]:
        """Depth of one frame along the optical axis, (H, W) float16 metres, +inf for sky."""
        shard, row = self._where[index]
        return np.asarray(self._depth[shard][row])
