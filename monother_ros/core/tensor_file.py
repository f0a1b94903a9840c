# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Named arrays in a file of the safetensors format, with numpy alone.

The format (https://github.com/huggingface/safetensors, "Format"): 8 bytes little-endian length of
the header, the header as JSON (name -> dtype, shape, data_offsets), then the values one after the
other without holes. A robot that only runs a network needs no further package for it.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import BundleError
from monother_ros.core.manifest import Reader
from monother_ros.core.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

TYPES = {
    'F64': 'float64', 'F32': 'float32', 'F16': 'float16', 'I64': 'int64', 'I32': 'int32',
    'I16': 'int16', 'I8': 'int8', 'U8': 'uint8', 'U16': 'uint16', 'BOOL': 'bool',
}  # fmt: skip
"""Numpy name of each element type that is read; bfloat16 is not among them."""

ALIGNMENT = 64
"""Bytes to which the first value is aligned, by spaces after the header."""

_CODES = {name: code for code, name in TYPES.items()}
_METADATA = '__metadata__'
_LONGEST = 100_000_000


@dataclass(frozen=True)
class TensorEntry:
    """
    One array of a file.

    :param dtype: numpy name of the element type.
    :param shape: may be ().
    :param start: offset of its first byte from the beginning of the file.
    :param end: offset behind its last byte.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def bytes(self) -> int:
        """Size of its values."""
        return self.end - self.start

    def __str__(self) -> str:
        """Shape and type, for messages."""
        return f'{list(self.shape)} {self.dtype}'


def layout(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str] | None = None
) -> tuple[bytes, dict[str, TensorEntry]]:
    """
    Header of a file whose values follow in the given order.

    :param tensors: name, numpy name of the element type, and shape.
    :param metadata: texts for people.
    :returns: the bytes before the first value, and where every value lies.
    :raises BundleError: a type that the format does not have, or a name twice.
    """
    fields: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    entries: dict[str, TensorEntry] = {}
    offset = 0
    for name, dtype, shape in tensors:
        if dtype not in _CODES or name in fields:
            msg = f'the array {name!r} of type {dtype} cannot be stored, or its name comes twice'
            raise BundleError(msg)
        end = offset + math.prod(shape) * np.dtype(dtype).itemsize
        fields[name] = {
            'dtype': _CODES[dtype],
            'shape': list(shape),
            'data_offsets': [offset, end],
        }
        entries[name] = TensorEntry(dtype, tuple(shape), offset, end)
        offset = end
    text = json.dumps(fields, separators=(',', ':'), ensure_ascii=False).encode()
    text += b' ' * (-(len(text) + 8) % ALIGNMENT)
    base = len(text) + 8
    placed = {
        name: TensorEntry(item.dtype, item.shape, base + item.start, base + item.end)
        for name, item in entries.items()
    }
    return struct.pack('<Q', len(text)) + text, placed


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """
    Write a file that holds some arrays.

    :param path: target.
    :param tensors: by name; widest element type first in the file, so that each is aligned.
    :raises BundleError: see :func:`layout`.
    :raises OSError: the file cannot be written.
    """
    names = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    head, _ = layout((n, tensors[n].dtype.name, tensors[n].shape) for n in names)
    with path.open('wb') as handle:
        handle.write(head)
        for name in names:
            handle.write(little(tensors[name]))


def little(value: NDArray[Any]) -> bytes:
    """Values in C order, little-endian."""
    return np.ascontiguousarray(value, value.dtype.newbyteorder('<')).tobytes()


def read_entries(path: str | Path) -> dict[str, TensorEntry]:
    """
    Names, types, shapes and places of the arrays of a file; no value is read.

    :param path: of the file.
    :returns: in the order of their places.
    :raises BundleError: the file is missing, cut off or not of this format.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        with file.open('rb') as handle:
            head = handle.read(8)
            length = struct.unpack('<Q', head)[0] if len(head) == 8 else size
            text = b'' if length > min(size - 8, _LONGEST) else handle.read(length)
    except OSError as err:
        msg = f'{file} cannot be read: {err}'
        raise BundleError(msg) from err
    if not text:
        msg = f'{file} is cut off or holds no named arrays (safetensors); copy it again'
        raise BundleError(msg)
    try:
        fields = parse_json(text)
    except ValueError as err:
        msg = f'the header of {file} is damaged ({err}); copy it again'
        raise BundleError(msg) from err
    if isinstance(fields, dict):
        fields.pop(_METADATA, None)
    reader = Reader(fields, str(file))
    found = {name: _entry(reader.object(name), 8 + length) for name in fields}
    ordered = dict(sorted(found.items(), key=lambda pair: (pair[1].start, pair[1].end)))
    offset = 8 + length
    for name, entry in ordered.items():
        if entry.start != offset:
            msg = f'the values of {name} in {file} do not follow those before them; copy it again'
            raise BundleError(msg)
        offset = entry.end
    if offset != size:
        msg = f'{file} has {size} bytes, its header says {offset}; copy it again'
        raise BundleError(msg)
    return ordered


def _entry(item: Reader, base: int) -> TensorEntry:
    """Check one array of a header."""
    dtype = TYPES[item.choice('dtype', tuple(TYPES))]
    shape = item.integers('shape')
    places = item.integers('data_offsets')
    wanted = math.prod(shape) * np.dtype(dtype).itemsize
    if min(shape, default=0) < 0 or len(places) != 2 or places[1] - places[0] != wanted:
        msg = f'{item.where}: {places} is no place for {list(shape)} {dtype}; copy the file again'
        raise BundleError(msg)
    return TensorEntry(dtype, shape, base + places[0], base + places[1])


def iterate_tensors(
    path: str | Path, names: Iterable[str] | None = None
) -> Iterator[tuple[str, NDArray[Any]]]:
    """
    Arrays of a file, one after the other.

    :param path: of the file.
    :param names: which ones; None means all.
    :returns: name and array, which cannot be written to.
    :raises BundleError: see :func:`read_entries`, or a name is not in the file.
    """
    file = Path(path)
    entries = read_entries(file)
    wanted = list(entries if names is None else names)
    missing = [name for name in wanted if name not in entries]
    if missing:
        msg = f'{file} holds no array {", ".join(missing[:5])}'
        raise BundleError(msg)
    try:
        with file.open('rb') as handle:
            for name in wanted:
                entry = entries[name]
                handle.seek(entry.start)
                value = np.zeros(0, entry.dtype)
                if entry.bytes:
                    dtype = np.dtype(entry.dtype).newbyteorder('<')
                    value = np.frombuffer(handle.read(entry.bytes), dtype)
                yield name, np.asarray(value.reshape(entry.shape), entry.dtype)
    except (OSError, ValueError) as err:
        msg = f'{file} cannot be read: {err}'
        raise BundleError(msg) from err


def read_tensors(path: str | Path, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """
    Arrays of a file by name; see :func:`iterate_tensors`.

    :param path: of the file.
    :param names: which ones; None means all.
    :raises BundleError: see there.
    """
    return dict(iterate_tensors(path, names))
