# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Object arrays of .npy files read without running code that they may carry.

A pickle is a program that calls what it names. Here it can name only the methods of
:class:`_Unpickler` and builtin containers. Arrays and their types are put together from bytes by
:class:`_Array` and :class:`_Type`: numpy's own ``__setstate__`` takes offsets and flags from the
file on trust, from which memory can be read as objects.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError

_PLAIN = re.compile(r'[?]|[biufcSU]\d+')
"""Codes of types that hold no references: numbers, bytes, texts."""

_NDARRAY = object()
"""Stands for the class numpy.ndarray, which the pickle names but may not call."""


class _Refused(pickle.UnpicklingError):
    """Something that the file asks for and does not get."""


class _Type:
    """Type of the elements of an array, before it is known to be harmless."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = '='

    def __setstate__(self, state: Any) -> None:
        """Take the byte order; refuse fields, sub-arrays and metadata."""
        _, order, subtype, names, members, *_ = state
        if (subtype, names, members) != (None, None, None) or order not in tuple('<>=|'):
            msg = f'the element type {self.code!r} with {state!r}'
            raise _Refused(msg)
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        """The type, which holds no references."""
        if not _PLAIN.fullmatch(self.code):
            msg = f'elements of type {self.code!r}'
            raise _Refused(msg)
        return np.dtype(self.order + self.code)


class _Array:
    """An array that the pickle fills after it has made it."""

    state: tuple[Any, ...] | None = None

    def __setstate__(self, state: Any) -> None:
        """Keep version, shape, type, whether columns come first, and bytes or a list."""
        self.state = tuple(state)

    def value(self, memo: dict[int, Any]) -> NDArray[Any]:
        """The array itself; lists of objects are always in the order of rows."""
        if self.state is None:
            msg = 'an array without content'
            raise _Refused(msg)
        _, shape, kind, columns, data = self.state
        if kind.code not in ('O', 'O8', 'O4'):
            return _numbers(data, kind, shape, 'F' if columns else 'C')
        objects = np.empty(len(data), object)
        for place, item in enumerate(data):
            objects[place] = _plain(item, memo)
        return objects.reshape(shape)


def _numbers(data: Any, kind: _Type, shape: Any, order: Any) -> NDArray[Any]:
    """Array of its own memory from contiguous bytes."""
    dtype = kind.dtype()
    count = int(np.prod(shape, dtype=np.int64))
    flat = np.frombuffer(data, dtype) if count else np.empty(0, dtype)
    return flat.reshape(shape, order=order).copy(order='K')


class _Unpickler(pickle.Unpickler):
    """Knows arrays, their types and plain containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function that is not on the list."""
        plain = module.replace('numpy._core.', 'numpy.core.').replace('__builtin__', 'builtins')
        found = self._admitted(plain, name)
        if found is None:
            msg = f'{module}.{name}, which is neither an array nor a plain container'
            raise _Refused(msg)
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to objects outside of the file."""
        msg = f'an object outside of the file ({pid!r})'
        raise _Refused(msg)

    def _admitted(self, module: str, name: str) -> Any:
        """What a name stands for; modules by the names that they had before numpy 2."""
        names: dict[tuple[str, str], Any] = {
            ('numpy', 'ndarray'): _NDARRAY,
            ('numpy', 'dtype'): self._type,
            ('numpy.core.multiarray', '_reconstruct'): self._array,
            ('numpy.core.multiarray', 'scalar'): self._scalar,
            ('numpy.core.numeric', '_frombuffer'): self._from_buffer,
            ('_codecs', 'encode'): self._encoded,
            ('builtins', 'bytes'): self._no_bytes,
            ('collections', 'OrderedDict'): dict,
            ('builtins', 'set'): set,
            ('builtins', 'frozenset'): frozenset,
        }
        return names.get((module, name))

    def _type(self, code: Any, *_: Any) -> _Type:
        """Type by its code; the flags that follow are 'aligned' and 'copy'."""
        return _Type(str(code))

    def _array(self, subtype: Any, *_: Any) -> _Array:
        """Array without content; shape and type that follow are stand-ins."""
        if subtype is not _NDARRAY:
            msg = f'an array of {subtype!r}'
            raise _Refused(msg)
        return _Array()

    def _from_buffer(self, buffer: Any, kind: _Type, shape: Any, order: Any) -> NDArray[Any]:
        """Array from contiguous bytes (protocol 5)."""
        return _numbers(buffer, kind, shape, order)

    def _scalar(self, kind: _Type, data: bytes) -> Any:
        """One number from its bytes."""
        return _numbers(data, kind, (1,), 'C')[0]

    def _encoded(self, text: str, encoding: str = 'utf-8') -> bytes:
        """Bytes as protocol 2 writes them."""
        if encoding not in ('latin1', 'utf-8'):
            msg = f'the encoding {encoding!r}'
            raise _Refused(msg)
        return text.encode(encoding)

    def _no_bytes(self) -> bytes:
        """Empty bytes as protocol 2 writes them."""
        return b''


def _plain(value: Any, memo: dict[int, Any]) -> Any:
    """
    Copy of nested containers with arrays in place of their stand-ins.

    :param memo: results by id, so that what is shared is copied once.
    """
    if id(value) in memo:
        return memo[id(value)]
    result = value
    if isinstance(value, _Array):
        result = value.value(memo)
    elif isinstance(value, dict):
        result = {key: _plain(item, memo) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        result = type(value)(_plain(item, memo) for item in value)
    memo[id(value)] = result
    return result


def load_dict(path: str | Path) -> dict[str, Any]:
    """
    Read a dictionary that was saved with ``numpy.save``.

    The file is a pickle, which can carry any code; only numpy arrays and plain containers are
    taken from it, under the module names of numpy 1 and 2.

    :param path: of the .npy file.
    :returns: the dictionary.
    :raises DatasetError: the file is missing or damaged, holds no dictionary, or asks for
        anything else.
    """
    try:
        with Path(path).open('rb') as handle:
            version = npy.read_magic(handle)
            read = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
            shape, _, dtype = read(handle)
            if shape != () or not dtype.hasobject:
                msg = f'{path} holds an array of {dtype} {shape}, not a dictionary'
                raise DatasetError(msg)
            content = _Unpickler(handle).load()
            value = _plain(content, {})
    except FileNotFoundError as err:
        msg = f'{path} is missing'
        raise DatasetError(msg) from err
    except DatasetError:
        raise
    except _Refused as err:
        msg = f'{path} was not loaded: it asks for {err}; take the file from its publisher again'
        raise DatasetError(msg) from err
    except Exception as err:  # damaged bytes surface as almost any type
        msg = f'{path} cannot be read as a .npy file: {err}'
        raise DatasetError(msg) from err
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value.item()
    if not isinstance(value, dict):
        msg = f'{path} holds a {type(value).__name__}, not a dictionary'
        raise DatasetError(msg)
    return value
