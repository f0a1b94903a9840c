# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered frames in shards: pieces that are written whole or not at all, read as memory maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_folder, atomic_write
from monother_ros.learning.workers import run_jobs


@dataclass(frozen=True)
class ShardPlan:
    """
    What a dataset holds; the same plan gives the same bytes.

    :param frames: number of frames, a multiple of frames_per_world is rounded up to.
    :param first_seed: world i has the seed first_seed + i.
    :param frames_per_world: frames from random places in one world.
    :param width: of the images in pixels.
    :param height: of the images in pixels.
    :param worlds_per_shard: worlds that are written as one piece.
    """

    frames: int
    first_seed: int = 0
    frames_per_world: int = 1
    width: int = 320
    height: int = 256
    worlds_per_shard: int = 1

    def __post_init__(self) -> None:
        """Refuse a plan without frames."""
        if min(self.frames, self.frames_per_world, self.worlds_per_shard) < 1:
            msg = 'a dataset needs at least one frame, frame per world and world per shard'
            raise SettingsError(msg)

    @property
    def worlds(self) -> int:
        """Number of worlds."""
        return -(-self.frames // self.frames_per_world)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.worlds // self.worlds_per_shard)

    def worlds_of(self, shard: int) -> range:
        """Indices of the worlds of a shard; the last one may have fewer."""
        first = shard * self.worlds_per_shard
        return range(first, min(first + self.worlds_per_shard, self.worlds))


P = TypeVar('P', bound=ShardPlan)


def shard_folder(folder: str | Path, shard: int) -> Path:
    """Folder of one shard."""
    return Path(folder) / f'shard-{shard:04d}'


def write_shard(
    target: Path, arrays: Mapping[str, Any], worlds: Sequence[Mapping[str, Any]]
) -> None:
    """
    Write one shard, whole or not at all.

    :param target: folder of the shard, which is not there yet.
    :param arrays: array-likes by the name of the file; the first axis is the frame.
    :param worlds: conditions of each frame.
    """
    with atomic_folder(target) as work:
        for name, values in arrays.items():
            np.save(work / f'{name}.npy', np.asarray(values))
        (work / 'worlds.json').write_text(json.dumps(list(worlds)))


def render_missing(
    render: Callable[[tuple[P, int, str]], object],
    plan: P,
    folder: str | Path,
    *,
    workers: int,
) -> None:
    """
    Render all shards that are missing; can be stopped at any time and goes on where it was.

    :param render: function of a module, called with the plan, the shard and the folder.
    :param plan: what to render.
    :param folder: made where missing.
    :param workers: processes.
    :raises SettingsError: the folder holds a dataset of another plan.
    """
    root = Path(folder)
    check_plan(plan, root)
    jobs = [(plan, i, str(root)) for i in range(plan.shards) if not shard_folder(root, i).exists()]
    run_jobs(render, jobs, workers=workers, unit='shard', total=plan.shards)


def check_plan(plan: ShardPlan, root: Path) -> None:
    """
    Write the plan into an empty folder, or compare it with the one there.

    More or fewer frames of the same kind may be asked for later, as long as shards stay whole.

    :raises SettingsError: the folder holds a dataset of another plan.
    """
    path = root / 'plan.json'
    if path.exists():
        found = type(plan)(**json.loads(path.read_text()))
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


class ShardFrames(Sequence[int]):
    """
    Frames of a dataset that has been rendered.

    :param folder: of the dataset.
    :param limit: use only that many frames, from the start.
    :param recipe: what to train so that frames are rendered, named where there are none.
    :raises SettingsError: there is nothing there.
    """

    def __init__(self, folder: str | Path, limit: int | None, recipe: str) -> None:
        self._shards = sorted(Path(folder).glob('shard-*'))
        if not self._shards:
            msg = f'{folder} holds no rendered frames; let monother train {recipe} render some'
            raise SettingsError(msg)
        self._depth = self.mapped('depth')
        self.focal: NDArray[np.float32] = self.joined('focal')
        self.worlds: list[dict[str, Any]] = [
            world for s in self._shards for world in json.loads((s / 'worlds.json').read_text())
        ]
        where = [(k, j) for k, part in enumerate(self._depth) for j in range(len(part))]
        self._where = where[:limit]
        self._source = (Path(folder), limit)

    def mapped(self, name: str) -> list[NDArray[Any]]:
        """Memory map of one file of each shard."""
        return [np.load(shard / f'{name}.npy', mmap_mode='r') for shard in self._shards]

    def joined(self, name: str) -> NDArray[Any]:
        """One file of all shards, read."""
        return np.concatenate([np.load(shard / f'{name}.npy') for shard in self._shards])

    def row(self, parts: Sequence[NDArray[Any]], index: int) -> NDArray[Any]:
        """Row of one frame in what :meth:`mapped` gave."""
        shard, row = self._where[index]
        return np.asarray(parts[shard][row])

    def __reduce__(self) -> tuple[type[ShardFrames], tuple[Path, int | None]]:
        """Pickle the place, not the frames."""
        return type(self), self._source

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: Any) -> Any:
        """Index itself: pictures are read through methods."""
        return range(len(self))[index]

    def depth(self, index: int) -> NDArray[np.float16]:
        """Depth of one frame along the optical axis, (H, W) float16 metres, +inf for sky."""
        return self.row(self._depth, index)
