# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Simulated RGB frames with exact depth of many kinds of worlds, to train an RGB teacher on.

All scenes, sets of materials and mounts; mostly clear days, some dusk, night and bad weather. The
camera is a pinhole camera of the network's size, as pictures are after rectification.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_folder, atomic_write
from monother_ros.learning.rendered import TEST_SEED, VALIDATION_SEED, shard_folder
from monother_ros.learning.workers import run_jobs

RGB_TRAINING_SEED = 100_000
"""First world seed of RGB training data; below those that are watched or tested on."""

_SCENES = ('street', 'farm', 'corridor', 'woods', 'yard')
_MATERIALS = ('temperate', 'desert', 'winter', 'industrial')
_MOUNTS = ('mast', 'low', 'high')
_TIMES = ('day', 'dusk', 'night')
_WEATHERS = ('clear', 'rain', 'fog', 'smoke')


@dataclass(frozen=True)
class RgbPlan:
    """
    What a dataset holds; the same plan gives the same bytes.

    :param frames: number of frames, a multiple of frames_per_world is rounded up to.
    :param first_seed: world i has the seed first_seed + i; scenes in turn.
    :param frames_per_world: frames from random places in one world.
    :param width: of the images in pixels.
    :param height: of the images in pixels.
    :param worlds_per_shard: worlds that are written as one piece.
    """

    frames: int
    first_seed: int = RGB_TRAINING_SEED
    frames_per_world: int = 8
    width: int = 320
    height: int = 256
    worlds_per_shard: int = 10

    def __post_init__(self) -> None:
        """Refuse a plan without frames, and training that reaches the seeds of other data."""
        if min(self.frames, self.frames_per_world, self.worlds_per_shard) < 1:
            msg = 'a dataset needs at least one frame, frame per world and world per shard'
            raise SettingsError(msg)
        last = self.first_seed + self.worlds
        for limit in (VALIDATION_SEED, TEST_SEED):
            if self.first_seed < limit < last:
                msg = f'{self.worlds} worlds from seed {self.first_seed} reach the seed {limit}'
                raise SettingsError(msg)

    @property
    def worlds(self) -> int:
        """Number of worlds."""
        return -(-self.frames // self.frames_per_world)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.worlds // self.worlds_per_shard)


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
    first = shard * plan.worlds_per_shard
    pictures, depth, focal, worlds = [], [], [], []
    for index in range(first, min(first + plan.worlds_per_shard, plan.worlds)):
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
    with atomic_folder(target) as work:
        np.save(work / 'rgb.npy', np.stack(pictures))
        np.save(work / 'depth.npy', np.stack(depth))
        np.save(work / 'focal.npy', np.asarray(focal, np.float32))
        (work / 'worlds.json').write_text(json.dumps(worlds))
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
    root = Path(folder)
    path = root / 'plan.json'
    if path.exists():
        found = RgbPlan(**json.loads(path.read_text()))
        whole = plan.frames_per_world * plan.worlds_per_shard
        fits = found.frames >= plan.frames or found.frames % whole == 0
        if replace(found, frames=plan.frames) != plan or not fits:
            msg = (
                f'{root} holds a dataset of another plan ({found}); take another folder or '
                'delete this one'
            )
            raise SettingsError(msg)
    if not path.exists() or found.frames < plan.frames:
        atomic_write(path, json.dumps(asdict(plan), indent=2) + '\n')
    jobs = [(plan, i, str(root)) for i in range(plan.shards) if not shard_folder(root, i).exists()]
    run_jobs(_render, jobs, workers=workers, unit='shard', total=plan.shards)


class RgbFrames(Sequence[int]):
    """
    RGB frames of a dataset that has been rendered.

    :param folder: of the dataset.
    :param limit: use only that many frames, from the start.
    :raises SettingsError: there is nothing there.
    """

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        shards = sorted(Path(folder).glob('shard-*'))
        if not shards:
            msg = f'{folder} holds no rendered frames; let monother train lite_rgb render some'
            raise SettingsError(msg)
        self._rgb = [np.load(s / 'rgb.npy', mmap_mode='r') for s in shards]
        self._depth = [np.load(s / 'depth.npy', mmap_mode='r') for s in shards]
        self.focal: NDArray[np.float32] = np.concatenate(
            [np.load(s / 'focal.npy') for s in shards]
        )
        self.worlds: list[dict[str, Any]] = [
            world for s in shards for world in json.loads((s / 'worlds.json').read_text())
        ]
        where = [(k, j) for k, part in enumerate(self._depth) for j in range(len(part))]
        self._where = where[:limit]
        self._source = (Path(folder), limit)

    def __reduce__(self) -> tuple[type[RgbFrames], tuple[Path, int | None]]:
        """Pickle the place, not the frames."""
        return RgbFrames, self._source

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: Any) -> Any:
        """Index itself: frames are read through rgb() and depth()."""
        return range(len(self))[index]

    def rgb(self, index: int) -> NDArray[np.uint8]:
        """Picture of one frame, (H, W, 3) uint8."""
        shard, row = self._where[index]
        return np.asarray(self._rgb[shard][row])

    def depth(self, index: int) -> NDArray[np.float16]:
        """Depth of one frame along the optical axis, (H, W) float16 metres, +inf for sky."""
        shard, row = self._where[index]
        return np.asarray(self._depth[shard][row])
