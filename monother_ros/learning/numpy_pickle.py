# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Object arrays of .npy files read without running code that they may carry."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError


def _array(subtype: Any, shape: tuple[int, ...], kind: bytes | str) -> NDArray[Any]:
    """Empty array that the pickle fills next; numpy calls it _reconstruct."""
    if subtype is not np.ndarray or tuple(shape) not in ((0,), ()):
        msg = f'an array of {subtype} {shape}'
        raise pickle.UnpicklingError(msg)
    return np.ndarray(shape, kind.decode() if isinstance(kind, bytes) else kind)


def _from_buffer(
    buffer: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any
) -> NDArray[Any]:
    """Array from contiguous bytes (protocol 5)."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _scalar(dtype: np.dtype[Any], data: bytes = b'') -> Any:
    """One number from its bytes."""
    if dtype.hasobject:
        msg = 'an object as a number'
        raise pickle.UnpicklingError(msg)
    return np.frombuffer(data, dtype)[0]


def _encoded(text: str, encoding: str = 'latin1') -> bytes:
    """Bytes as protocol 2 writes them."""
    return text.encode('latin1' if encoding == 'latin1' else 'utf-8')


_ADMITTED: dict[tuple[str, str], Any] = {
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
    ('_codecs', 'encode'): _encoded,
    ('collections', 'OrderedDict'): dict,
    ('builtins', 'set'): set,
    ('builtins', 'frozenset'): frozenset,
}
for _core in ('numpy.core', 'numpy._core'):  # the name before and since numpy 2
    _ADMITTED[f'{_core}.multiarray', '_reconstruct'] = _array
    _ADMITTED[f'{_core}.multiarray', 'scalar'] = _scalar
    _ADMITTED[f'{_core}.numeric', '_frombuffer'] = _from_buffer


class _Unpickler(pickle.Unpickler):
    """Knows arrays, their types and plain containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function that is not on the list."""
        try:
            return _ADMITTED[module, name]
        except KeyError:
            msg = f'{module}.{name}, which is neither an array nor a plain container'
            raise pickle.UnpicklingError(msg) from None

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to objects outside of the file."""
        msg = f'an object outside of the file ({pid!r})'
        raise pickle.UnpicklingError(msg)


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
    except FileNotFoundError as err:
        msg = f'{path} is missing'
        raise DatasetError(msg) from err
    except DatasetError:
        raise
    except pickle.UnpicklingError as err:
        msg = f'{path} was not loaded: it asks for {err}; take the file from its publisher again'
        raise DatasetError(msg) from err
    except Exception as err:  # damaged bytes surface as almost any type
        msg = f'{path} cannot be read as a .npy file: {err}'
        raise DatasetError(msg) from err
    value = content.item() if isinstance(content, np.ndarray) and content.shape == () else content
    if not isinstance(value, dict):
        msg = f'{path} holds a {type(value).__name__}, not a dictionary'
        raise DatasetError(msg)
    return value
