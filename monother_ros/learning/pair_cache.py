# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pairs of a bag as arrays on disk, for random access while training.

A bag is a sequence: reading its 500th image means finding, decompressing and decoding it each
time. Its pairs are therefore rectified once and kept in shards of .npy files, which are mapped
into memory: the operating system keeps what is used often, and processes share it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import (
    BagError,
    CalibrationError,
    DatasetError,
    MessageError,
    ThermalError,
)
from monother_ros.core.files import atomic_folder
from monother_ros.core.parsing import parse_json
from monother_ros.core.scale import fit_intrinsics
from monother_ros.core.thermal import percentile_bounds
from monother_ros.learning.bag_index import BagIndex, PairPlan, index_bag
from monother_ros.learning.pair_files import HIGH, LOW
from monother_ros.learning.rectify import Rectifier, project_points
from monother_ros.learning.rig_config import RigConfig, identity
from monother_ros.ros.bags import BagReader, storage_path
from monother_ros.ros.cloud import cloud_xyz
from monother_ros.ros.messages import message_to_array, rgb_array, thermal_array

FORMAT = 1
SHARD_BYTES = 128 << 20
"""A shard is closed when it holds this much."""

Arrays = dict[str, NDArray[Any]]


def cache_root(bag: Path, given: str | Path | None = None) -> Path:
    """
    Folder of the caches of a bag.

    :param bag: path of the bag.
    :param given: as a user set it; None takes a folder beside the bag, its name with .pairs.
    """
    if given is not None:
        return Path(given).expanduser()
    return bag.with_name(f'{bag.name}.pairs')


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time fill a cache; the others wait and find it ready."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as handle:
        # some network file systems know no locks: then several fill, and the first one wins
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def cached_pairs(
    bag: str | Path,
    config: RigConfig,
    cache: str | Path | None = None,
    progress: Callable[[], None] | None = None,
) -> Path:
    """
    Folder with the pairs of a bag; made where it is missing, whole or not at all.

    :param bag: path of the bag.
    :param config: what to take.
    :param cache: folder of caches; see :func:`cache_root`.
    :param progress: called for every message that is read; each one is read twice.
    :raises DatasetError: the bag cannot be read, no calibration is known, there is no pair, or
        the disk is full.
    """
    source = Path(bag).expanduser()
    try:
        storage_path(source)
        # '..' and a trailing dot have no name
        source = source.resolve() if source.name in ('', '..') else source
        target = cache_root(source, cache) / f'{source.stem}-{identity(source, config)}'
        if usable(target):
            return target
        with _alone(target.with_name(f'.{target.name}.lock')):
            if not usable(target):
                with BagReader(source) as reader, atomic_folder(target) as work:
                    _fill(reader, config, work, progress)
    except (BagError, CalibrationError, MessageError) as err:
        msg = str(err) if str(source) in str(err) else f'{source}: {err}'
        raise DatasetError(msg) from err
    except OSError as err:
        if usable(target):  # another process without locks was faster
            return target
        msg = (
            f'pairs of {source} cannot be written to {target}: {err}; set cache: to a folder '
            'that can'
        )
        raise DatasetError(msg) from err
    return target


def read_meta(folder: Path) -> dict[str, Any]:
    """
    Description of a cache.

    :raises DatasetError: it is missing or damaged.
    """
    try:
        meta: dict[str, Any] = parse_json((folder / 'pairs.json').read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        msg = f'cache {folder} cannot be read: {err}; delete it'
        raise DatasetError(msg) from err
    return meta


def usable(folder: Path) -> bool:
    """Whether a whole cache of this format is there; contents of pixels are not looked at."""
    try:
        meta = read_meta(folder)
        if meta.get('format') != FORMAT:
            return False
        shards = map_shards(folder, meta['labels'], len(meta['shards']))
    except (DatasetError, KeyError, TypeError):
        return False
    return all(
        len(array) == length
        for shard, length in zip(shards, meta['shards'], strict=True)
        for array in shard.values()
    )


def map_shards(folder: Path, labels: Sequence[str], count: int) -> list[Arrays]:
    """
    Arrays of all shards of a cache, mapped into memory.

    :param folder: of the cache.
    :param labels: roles of the labels that it holds.
    :param count: number of shards.
    :raises DatasetError: a file is missing or cut off.
    """
    names = ('stamp', 'thermal', 'bounds', 'rgb', *labels)
    try:
        return [
            {name: np.load(shard_folder(folder, k) / f'{name}.npy', 'r') for name in names}
            for k in range(count)
        ]
    except (OSError, ValueError) as err:
        msg = f'cache {folder} cannot be read: {err}; open the data set again to rebuild it'
        raise DatasetError(msg) from err


def shard_folder(folder: Path, number: int) -> Path:
    """Folder of one shard."""
    return folder / f'shard-{number:04d}'


def _fill(
    reader: BagReader, config: RigConfig, work: Path, progress: Callable[[], None] | None
) -> None:
    """Read a bag twice and write its pairs."""
    index = index_bag(reader, config, progress)
    converter = _Converter(index, config)
    shards = _Shards(work)
    for plan, arrays in _collected(reader, index, converter, progress):
        shards.add(plan.stamp, arrays)
    shards.close()
    counts = {**index.counts, **{k: v for k, v in converter.counts.items() if v}}
    counts['pairs'] = sum(shards.lengths)
    if not counts['pairs']:
        told = ', '.join(f'{v} {k}' for k, v in counts.items() if v and k != 'pairs')
        msg = (
            f'{reader.path}: of {len(index.pairs)} pairs of {config.thermal} and {config.rgb} '
            f'none can be read ({told}): {"; ".join(converter.problems.values())}'
        )
        raise DatasetError(msg)
    for role in sorted(set(index.topics) - converter.readable):
        why = converter.problems.get(role) or (
            f'none is within max_label_difference ({config.max_label_difference:g} s) of an image'
        )
        msg = f'{reader.path}: {index.topics[role]} gives no {role}: {why}'
        raise DatasetError(msg)
    meta = {
        'format': FORMAT,
        'bag': str(reader.path),
        'config': config.as_dict(),
        'thermal_intrinsics': converter.thermal.camera.matrix.tolist(),
        'rgb_intrinsics': converter.rgb.camera.matrix.tolist(),
        'extrinsics': index.extrinsics.tolist(),
        'labels': [r for r in ('thermal_depth', 'rgb_depth') if r in index.topics],
        'counts': counts,
        'shards': shards.lengths,
    }
    (work / 'pairs.json').write_text(json.dumps(meta, indent=2) + '\n', encoding='utf-8')


class _Converter:
    """Messages to rectified arrays."""

    def __init__(self, index: BagIndex, config: RigConfig) -> None:
        native = (index.thermal.width, index.thermal.height)
        self._config = config
        self._size = None if config.size is None else config.size[::-1]
        self.thermal = Rectifier(index.thermal, self._size)
        self.rgb = Rectifier(index.rgb, self._size or native)
        self._cameras = {'thermal_depth': index.thermal, 'rgb_depth': index.rgb}
        self._rectifiers: dict[tuple[str, tuple[int, ...]], Rectifier] = {}
        self._poses: dict[str, NDArray[np.float64]] = {}
        if index.lidar is not None:
            self._poses = {
                'thermal_depth': index.lidar,
                'rgb_depth': index.extrinsics @ index.lidar,
            }
        self.counts: dict[str, int] = {}
        self.readable: set[str] = set()
        """Roles of which at least one message could be read."""
        self.problems: dict[str, str] = {}
        """Why the first unreadable message of a role was so."""

    def empty(self, role: str) -> NDArray[np.float32]:
        """Label without a known pixel."""
        return np.zeros(self._label_shape(role), np.float32)

    def _label_shape(self, role: str) -> tuple[int, int]:
        """Height and width of the labels of a role."""
        camera = self._cameras[role]
        return self._config.size or (camera.height, camera.width)

    def convert(self, role: str, message: Any) -> Arrays:
        """
        Arrays of one message.

        :raises MessageError: the message cannot be read, or has another size than the first one.
        """
        if role == 'thermal':
            raw = thermal_array(message, self.thermal.source.height)
            self._check_size(raw, self.thermal)
            # the window of the picture as the camera sends it, which is what a robot normalises
            bounds = np.asarray(percentile_bounds(raw, LOW, HIGH), np.float32)
            return {'thermal': self.thermal.image(raw), 'bounds': bounds}
        if role == 'rgb':
            colour = rgb_array(message)
            self._check_size(colour, self.rgb)
            return {'rgb': self.rgb.image(np.ascontiguousarray(colour))}
        if getattr(self._config, role) is None:
            return {role: self._projected(role, message)}
        return {role: self._depth(role, message)}

    @staticmethod
    def _check_size(image: NDArray[Any], rectifier: Rectifier) -> None:
        """Refuse an image that is not of the camera's size."""
        if image.shape[:2] != (rectifier.source.height, rectifier.source.width):
            msg = f'image is {image.shape[1]}x{image.shape[0]}, the first one had another size'
            raise MessageError(msg)

    def _depth(self, role: str, message: Any) -> NDArray[np.float32]:
        """Label of a depth image; 16UC1 holds millimetres (REP 118)."""
        image = message_to_array(message)
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[..., 0]
        if image.ndim != 2 or image.dtype not in (np.float32, np.float64, np.uint16):
            msg = f'depth of {role} is {image.dtype} {image.shape}; it must be 32FC1 or 16UC1'
            raise MessageError(msg)
        key = (role, image.shape)
        if key not in self._rectifiers:
            camera = fit_intrinsics(self._cameras[role], image.shape[1], image.shape[0])
            shape = self._label_shape(role)
            same = image.shape == shape
            self._rectifiers[key] = Rectifier(camera, None if same else shape[::-1])
        metres = image * 0.001 if image.dtype == np.uint16 else image
        return self._rectifiers[key].depth(metres).astype(np.float32)

    def _projected(self, role: str, message: Any) -> NDArray[np.float32]:
        """Label of LiDAR points."""
        shape = self._label_shape(role)
        flat = Rectifier(self._cameras[role]).native
        if (flat.height, flat.width) != shape:
            flat = flat.scaled(shape[1], shape[0])
        radius = self._config.hidden_radius
        points = cloud_xyz(message)
        return project_points(points, self._poses[role], flat, radius=radius).astype(np.float32)


def _collected(
    reader: BagReader,
    index: BagIndex,
    converter: _Converter,
    progress: Callable[[], None] | None,
) -> Iterator[tuple[PairPlan, Arrays]]:
    """Second reading: the arrays of each pair, in order; what is not needed is not decoded."""
    roles = tuple(index.topics)
    needed: dict[tuple[str, int], int] = {}
    for plan in index.pairs:
        for role in roles:
            if (number := getattr(plan, role)) >= 0:
                needed[role, number] = needed.get((role, number), 0) + 1
    by_topic: dict[str, list[str]] = {}
    for role, topic in index.topics.items():
        by_topic.setdefault(topic, []).append(role)
    ready: dict[tuple[str, int], Arrays | None] = {}
    numbers = dict.fromkeys(by_topic, -1)
    position = 0

    def take(plan: PairPlan) -> Arrays | None:
        """Arrays of a pair, None where an image is unreadable; arrays nobody needs more go."""
        result: Arrays | None = {}
        for role in roles:
            key = (role, getattr(plan, role))
            part = ready.get(key)
            if part is None and role in converter._cameras:
                part = {role: converter.empty(role)}
            if part is None or result is None:
                result = None
            else:
                result.update(part)
            if key in needed:
                needed[key] -= 1
                if not needed[key]:
                    ready.pop(key, None)
        return result

    for message in reader.messages(tuple(by_topic)):
        numbers[message.topic] += 1
        if progress is not None:
            progress()
        for role in by_topic[message.topic]:
            key = (role, numbers[message.topic])
            if not needed.get(key):
                continue
            try:
                ready[key] = converter.convert(role, reader.decode(message))
                converter.readable.add(role)
            except (MessageError, ThermalError, CalibrationError) as err:
                ready[key] = None
                name = f'{role}_unreadable'
                converter.counts[name] = converter.counts.get(name, 0) + 1
                converter.problems.setdefault(role, str(err))
        while position < len(index.pairs):
            plan = index.pairs[position]
            waits = [(r, getattr(plan, r)) for r in roles if getattr(plan, r) >= 0]
            if not all(key in ready for key in waits):
                break
            position += 1
            if (arrays := take(plan)) is not None:
                yield plan, arrays


class _Shards:
    """Writes arrays of equal shapes in pieces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, list[NDArray[Any]]] = {}
        self._bytes = 0
        self.lengths: list[int] = []

    def add(self, stamp: int, arrays: Arrays) -> None:
        """Take the arrays of one pair."""
        for name, array in {**arrays, 'stamp': np.asarray(stamp, np.int64)}.items():
            self._rows.setdefault(name, []).append(array)
            self._bytes += array.nbytes
        if self._bytes >= SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Write what has been taken."""
        if not self._rows:
            return
        target = shard_folder(self._folder, len(self.lengths))
        target.mkdir()
        for name, rows in self._rows.items():
            np.save(target / f'{name}.npy', np.stack(rows))
        self.lengths.append(len(self._rows['stamp']))
        self._rows, self._bytes = {}, 0
