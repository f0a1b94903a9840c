# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parsers whose errors are one: what a damaged file makes of them is a ValueError.

The parsers themselves raise whatever the damage leads to: RecursionError for nesting without end,
errors of tokenisers, of memory that a header asks for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def parse_json(text: str | bytes) -> Any:
    """
    Value of a JSON text.

    :param text: UTF-8 where it is bytes.
    :raises ValueError: it is no JSON, or it is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as err:
        msg = 'it is nested too deeply'
        raise ValueError(msg) from err


def parse_yaml(text: str) -> Any:
    """
    Value of a YAML text; only plain values are made.

    :raises ValueError: it is no YAML, holds a value that cannot be, or is nested too deeply.
    :raises ImportError: PyYAML is not installed.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except RecursionError as err:
        msg = 'it is nested too deeply'
        raise ValueError(msg) from err
    except (yaml.YAMLError, OverflowError, TypeError, AttributeError) as err:
        raise ValueError(str(err)) from err


def read_array(path: str | Path) -> NDArray[Any]:
    """
    Array of a .npy file, which holds no objects.

    :param path: of the file.
    :raises OSError: it cannot be opened.
    :raises ValueError: it is no such file, is cut off, or holds objects.
    """
    try:
        with Path(path).open('rb') as handle:
            array = np.lib.format.read_array(handle, allow_pickle=False)
    except OSError:
        raise
    except Exception as err:  # a damaged header is a program to its parser
        msg = f'it is no array that can be read: {err}'
        raise ValueError(msg) from err
    return np.asarray(array)


def read_archive(source: str | Path | IO[bytes]) -> dict[str, NDArray[Any]]:
    """
    Arrays of a .npz file, which holds no objects.

    :param source: path of the file, or the open file.
    :returns: by name, all of them in memory.
    :raises OSError: it cannot be opened.
    :raises ValueError: it is no such file, is cut off or changed, or holds objects.
    """
    try:
        with np.load(source, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except OSError:
        raise
    except Exception as err:  # zip archives and headers of arrays fail in a dozen ways
        msg = f'it is no archive of arrays that can be read: {err}'
        raise ValueError(msg) from err
