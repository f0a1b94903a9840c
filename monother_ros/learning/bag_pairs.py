# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of recorded drives: simulated ones, and any bag of a rig with known topics."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from monother_ros.core.errors import BagError, DatasetError
from monother_ros.learning.datasets import Joined, PairDataset, PairSample, checked_index
from monother_ros.learning.pair_cache import cached_pairs, map_shards, read_meta
from monother_ros.learning.pair_files import stretched
from monother_ros.learning.rig_config import RigConfig, rig_config
from monother_ros.ros.bags import storage_path

SIMULATED = RigConfig(
    thermal_depth='/ground_truth/thermal/depth',
    rgb_depth='/ground_truth/rgb/depth',
    max_label_difference=0.001,
)
"""Topics of ``monother sim``, with exact depth of both cameras."""


class RigBag:
    """
    Thermal and RGB pairs of one bag, rectified; converted once into a cache on disk.

    :param path: of the bag; see :func:`monother_ros.ros.bags.storage_path`.
    :param config: topics and calibration.
    :param cache: folder of caches; None takes one beside the bag, its name with .pairs.
    :raises DatasetError: the bag or a topic is missing or damaged, a calibration is missing or
        cannot be used, or there is no pair.
    """

    def __init__(
        self,
        path: str | Path,
        config: RigConfig | None = None,
        cache: str | Path | None = None,
    ) -> None:
        self.config = RigConfig() if config is None else config
        self.path = Path(path).expanduser()
        with tqdm(desc=f'pairs of {self.path.name}', unit=' messages', disable=None) as bar:
            self.folder = cached_pairs(self.path, self.config, cache, bar.update)
        meta = read_meta(self.folder)
        self.counts: dict[str, int] = meta['counts']
        """How many images there were, and what was left out for which reason."""
        self.labels: tuple[str, ...] = tuple(meta['labels'])
        self._thermal_camera = np.asarray(meta['thermal_intrinsics'], np.float32)
        self._rgb_camera = np.asarray(meta['rgb_intrinsics'], np.float32)
        self._extrinsics = np.asarray(meta['extrinsics'], np.float32)
        self._ends = list(accumulate(meta['shards']))
        self._shards: list[dict[str, NDArray[Any]]] | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        rest = {k: v for k, v in self.counts.items() if k not in ('pairs', 'matched')}
        told = ', '.join(f'{k} {v}' for k, v in rest.items())
        labels = ', '.join(self.labels) or 'none'
        return f'{self.path}: {len(self)} pairs, labels {labels} ({told})'

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the mapped files: another process maps them itself."""
        return {**self.__dict__, '_shards': None}

    def __getitem__(self, index: int) -> PairSample:
        """
        Read one pair.

        :raises IndexError: beyond the end.
        :raises DatasetError: the cache is damaged.
        """
        index = checked_index(index, len(self))
        number = int(np.searchsorted(self._ends, index, side='right'))
        shard = self._opened()[number]
        row = index - (self._ends[number - 1] if number else 0)
        low, high = (float(v) for v in shard['bounds'][row])
        rgb = np.ascontiguousarray(shard['rgb'][row].transpose(2, 0, 1), np.float32)
        rgb *= np.float32(1 / 255)
        depths = {
            role: shard[role][row].astype(np.float32)[None] if role in self.labels else None
            for role in ('thermal_depth', 'rgb_depth')
        }
        return PairSample(
            thermal=stretched(shard['thermal'][row], (low, high)),
            rgb=rgb,
            thermal_depth=depths['thermal_depth'],
            rgb_depth=depths['rgb_depth'],
            thermal_intrinsics=self._thermal_camera.copy(),
            rgb_intrinsics=self._rgb_camera.copy(),
            extrinsics=self._extrinsics.copy(),
            name=f'{self.path.stem}/{int(shard["stamp"][row])}',
        )

    def _opened(self) -> list[dict[str, NDArray[Any]]]:
        """Arrays of all shards, mapped on first use."""
        if self._shards is None:
            self._shards = map_shards(self.folder, self.labels, len(self._ends))
        return self._shards


class SimulatedBag(RigBag):
    """
    Pairs of one drive of ``monother sim`` with exact depth of both cameras.

    :param path: of the bag.
    :param config: changes to :data:`SIMULATED`, such as size or stride.
    :param cache: folder of caches; None takes one beside the bag.
    :raises DatasetError: the bag is no simulated drive, or is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        config: RigConfig | None = None,
        cache: str | Path | None = None,
    ) -> None:
        super().__init__(path, SIMULATED if config is None else config, cache)


def open_simulated(settings: Mapping[str, Any]) -> PairDataset:
    """
    Simulated drives that a recipe names.

    :param settings: ``path`` (a bag, a folder of bags, a pattern with *, or a list of these),
        ``cache``, and fields of :class:`RigConfig` that differ from :data:`SIMULATED`.
    :raises DatasetError: a setting is not known, or no bag is there.
    """
    paths, cache, rest = _common(settings)
    config = rig_config(rest, SIMULATED)
    return _joined([SimulatedBag(path, config, cache) for path in paths])


def open_rig(settings: Mapping[str, Any]) -> PairDataset:
    """
    Bags of a rig that a recipe names.

    :param settings: as for :func:`open_simulated`, over the defaults of :class:`RigConfig`;
        ``rig`` names a YAML file with such fields.
    :raises DatasetError: a setting is not known, or no bag is there.
    """
    paths, cache, rest = _common(settings)
    config = rig_config(rest)
    return _joined([RigBag(path, config, cache) for path in paths])


def _joined(parts: list[RigBag]) -> PairDataset:
    """One data set."""
    return parts[0] if len(parts) == 1 else Joined(parts)


def _common(settings: Mapping[str, Any]) -> tuple[list[Path], str | None, dict[str, Any]]:
    """Paths of the bags, folder of caches, and the other settings."""
    rest = dict(settings)
    given = rest.pop('path', None)
    cache = rest.pop('cache', None)
    if not given:
        msg = 'a data set of bags needs the setting path: a bag, a pattern, or a list of them'
        raise DatasetError(msg)
    paths: list[Path] = []
    for item in [given] if isinstance(given, (str, Path)) else given:
        text = str(Path(item).expanduser())
        if not glob.has_magic(text):
            paths += _bags(Path(text))
            continue
        # the pattern may be absolute, which Path.glob does not take; caches match it, too
        found = [Path(name) for name in sorted(glob.glob(text)) if _is_bag(Path(name))]  # noqa: PTH207
        if not found:
            msg = f'no bag matches {text}'
            raise DatasetError(msg)
        paths += found
    return paths, cache, rest


def _bags(path: Path) -> list[Path]:
    """Bags that a path names: itself, or those in a folder that is none."""
    try:
        storage_path(path)
    except BagError as err:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        found = [p for p in inside if _is_bag(p)]
        if not found:
            raise DatasetError(str(err)) from err
        return found
    return [path]


def _is_bag(path: Path) -> bool:
    """Whether a path is a bag."""
    try:
        storage_path(path)
    except BagError:
        return False
    return not path.name.startswith('.')
