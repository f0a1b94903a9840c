# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Named pieces of bytes in a folder or in memory, and pairs as such pieces."""

from __future__ import annotations

import fcntl
import re
import zlib
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from monother_ros.core.errors import AdaptationError
from monother_ros.core.files import atomic_write
from monother_ros.learning.online_pair import OnlinePair, RigView
from monother_ros.learning.replay_view import LENGTH

BLOCK = 4096
"""Files take whole blocks on a disk."""

SUFFIX = '.safetensors'
_NAME = re.compile(r'(pair|rig)-[0-9a-f]+\.safetensors')
_LEFTOVER = re.compile(r'\.(pair|rig)-[0-9a-f]+\.safetensors\..+')


class DamagedError(Exception):
    """A piece that is missing, cut, changed or of another kind."""


def cost(length: int) -> int:
    """Bytes that a file of this length takes on a disk, whole blocks."""
    return -(-length // BLOCK) * BLOCK


class Store(Protocol):
    """Where pieces are kept."""

    def names(self) -> dict[str, int]:
        """Length of every piece by its name."""

    def read(self, name: str) -> bytes:
        """Content of a piece; DamagedError where it cannot be read."""

    def write(self, name: str, data: bytes) -> None:
        """Store a piece whole or not at all; AdaptationError where that fails."""

    def remove(self, name: str) -> None:
        """Remove a piece; one that is not there is no error."""

    def close(self) -> None:
        """Let others use the place."""


class MemoryStore:
    """Pieces in memory."""

    def __init__(self) -> None:
        self._pieces: dict[str, bytes] = {}

    def names(self) -> dict[str, int]:
        """See :class:`Store`."""
        return {name: len(data) for name, data in self._pieces.items()}

    def read(self, name: str) -> bytes:
        """See :class:`Store`."""
        if name not in self._pieces:
            msg = f'{name} is missing'
            raise DamagedError(msg)
        return self._pieces[name]

    def write(self, name: str, data: bytes) -> None:
        """See :class:`Store`."""
        self._pieces[name] = data

    def remove(self, name: str) -> None:
        """See :class:`Store`."""
        self._pieces.pop(name, None)

    def close(self) -> None:
        """See :class:`Store`."""


class FolderStore:
    """
    Pieces as files of a folder, which one process may use at a time.

    What a killed process left behind half-written is removed at the start; files of other names
    are left alone and not counted.

    :param folder: made where it is missing.
    :raises AdaptationError: it cannot be used, or another process uses it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock: IO[bytes] | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / 'lock').open('ab')
        except OSError as err:
            msg = f'the memory of pairs at {folder} cannot be used ({err}); choose another folder'
            raise AdaptationError(msg) from err
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            self._lock.close()
            msg = (
                f'the memory of pairs at {folder} is in use by another process ({err}); end that '
                'one or choose another folder'
            )
            raise AdaptationError(msg) from err
        for path in self.folder.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                self.remove(path.name)

    def names(self) -> dict[str, int]:
        """See :class:`Store`."""
        files = (p for p in self.folder.iterdir() if _NAME.fullmatch(p.name))
        return {p.name: p.stat().st_size for p in files}

    def read(self, name: str) -> bytes:
        """See :class:`Store`."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as err:
            raise DamagedError(str(err)) from err

    def write(self, name: str, data: bytes) -> None:
        """See :class:`Store`."""
        try:
            atomic_write(self.folder / name, data)
        except OSError as err:
            msg = (
                f'a pair cannot be stored in {self.folder} ({err}); free the disk or choose '
                'another folder'
            )
            raise AdaptationError(msg) from err

    def remove(self, name: str) -> None:
        """See :class:`Store`."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as err:
            msg = f'{self.folder / name} cannot be removed ({err}); check the rights of the folder'
            raise AdaptationError(msg) from err

    def close(self) -> None:
        """See :class:`Store`."""
        if self._lock is not None:
            self._lock.close()


def pack_pair(pair: OnlinePair, view: NDArray[np.float16]) -> bytes:
    """
    A pair as one piece; its rig is named, not held.

    :param pair: to store.
    :param view: of the pair.
    """
    content = {'thermal': pair.thermal, 'rgb': pair.rgb, 'teacher_depth': pair.teacher_depth}
    if pair.weight is not None:
        content['weight'] = pair.weight
    tensors = {name: np.ascontiguousarray(value) for name, value in content.items()}
    tensors['stamp_ns'] = np.array([pair.stamp_ns], np.int64)
    tensors['rig'] = np.frombuffer(pair.rig.key.encode(), np.uint8)
    tensors['view'] = np.ascontiguousarray(view, np.float16)
    tensors['check'] = _check(tensors)
    return safetensors.numpy.save(tensors)


def unpack_head(data: bytes) -> tuple[str, NDArray[np.float32]]:
    """
    Key of the rig and view of a pair's piece, all of which is checked.

    :raises DamagedError: the piece is cut or changed.
    """
    return _head(_unpack(data))


def _head(tensors: dict[str, NDArray[Any]]) -> tuple[str, NDArray[np.float32]]:
    """See :func:`unpack_head`."""
    try:
        key = bytes(tensors['rig']).decode('ascii')
        return key, tensors['view'].astype(np.float32).reshape(LENGTH)
    except (KeyError, ValueError) as err:
        raise DamagedError(str(err)) from err


def unpack_pair(data: bytes, rig: RigView) -> OnlinePair:
    """
    The pair of a piece.

    :param data: of :func:`pack_pair`.
    :param rig: that it names.
    :raises DamagedError: the piece is cut or changed, or the rig is another one.
    """
    tensors = _unpack(data)
    size = (rig.height, rig.width)
    key, _ = _head(tensors)
    try:
        stamp = int(tensors['stamp_ns'].reshape(()))
        thermal, rgb, depth = (tensors[n] for n in ('thermal', 'rgb', 'teacher_depth'))
    except (KeyError, ValueError) as err:
        raise DamagedError(str(err)) from err
    weight = tensors.get('weight')
    fits = key == rig.key and thermal.ndim == 3 and thermal.shape[1:] == size
    fits = fits and rgb.shape == (3, *size) and depth.shape == size
    fits = fits and (weight is None or weight.shape == size) and rgb.dtype == np.uint8
    if not fits:
        msg = 'the arrays do not fit the rig'
        raise DamagedError(msg)
    return OnlinePair(stamp, thermal, rgb, depth, rig, weight)


def pack_rig(rig: RigView) -> bytes:
    """A rig as one piece."""
    tensors = {name: np.ascontiguousarray(value) for name, value in rig.as_dict().items()}
    tensors['check'] = _check(tensors)
    return safetensors.numpy.save(tensors)


def unpack_rig(data: bytes) -> RigView:
    """
    The rig of a piece.

    :raises DamagedError: the piece is cut or changed.
    """
    tensors = _unpack(data)
    try:
        return RigView.from_dict(tensors)
    except AdaptationError as err:
        raise DamagedError(str(err)) from err


def _check(tensors: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Check sum of all arrays, their names and types."""
    value = 0
    for name in sorted(tensors):
        array = tensors[name]
        value = zlib.crc32(f'{name} {array.dtype} {array.shape}'.encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return np.array([value], np.int64)


def _unpack(data: bytes) -> dict[str, NDArray[Any]]:
    """Arrays of a piece, own memory, check sum compared."""
    try:
        tensors = {name: np.array(value) for name, value in safetensors.numpy.load(data).items()}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as err:
        raise DamagedError(str(err)) from err
    check = tensors.pop('check', None)
    if check is None or not np.array_equal(check, _check(tensors)):
        msg = 'the check sum differs'
        raise DamagedError(msg)
    return tensors
