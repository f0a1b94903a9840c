# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The state of learning on the vehicle in a folder that is written whole or not at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from monother_ros.core.errors import AdaptationError
from monother_ros.core.files import atomic_folder, recover_folder
from monother_ros.core.parsing import parse_json

WEIGHTS = 'weights.safetensors'
OPTIMISER = 'optimiser.safetensors'
VALUES = 'state.json'

_PLAIN = '_plain'


class SavedState(NamedTuple):
    """
    What an earlier run left.

    :ivar weights: tensors of the student.
    :ivar optimiser: state of the distiller.
    :ivar values: plain values.
    """

    weights: dict[str, Tensor]
    optimiser: dict[str, Any]
    values: dict[str, Any]


def write_state(
    folder: str | Path,
    weights: Mapping[str, Tensor],
    optimiser: Mapping[str, Any],
    values: Mapping[str, Any],
) -> None:
    """
    Write a state; the one before is replaced.

    :param folder: target.
    :param weights: tensors of the student.
    :param optimiser: tensors and plain values.
    :param values: plain values.
    :raises AdaptationError: it cannot be written.
    """
    tensors = {k: v for k, v in optimiser.items() if isinstance(v, Tensor)}
    plain = {k: v for k, v in optimiser.items() if not isinstance(v, Tensor)}
    try:
        with atomic_folder(folder) as work:
            for name, group in ((WEIGHTS, weights), (OPTIMISER, tensors)):
                # tensors that share memory are refused by safetensors
                own = {k: v.detach().cpu().contiguous().clone() for k, v in group.items()}
                safetensors.torch.save_file(own, str(work / name))
            (work / VALUES).write_text(json.dumps({**values, _PLAIN: plain}, indent=2) + '\n')
    except OSError as err:
        msg = f'the state of learning cannot be written to {folder}: {err}; free some space'
        raise AdaptationError(msg) from err


def read_state(folder: str | Path) -> SavedState | None:
    """
    Read a state, after what a writer that was killed has left is put right.

    :param folder: of :func:`write_state`; no other process writes it now.
    :returns: None where there is none, or where it is damaged, which is logged: learning then
        starts from the last good revision.
    """
    path = Path(folder)
    try:
        recover_folder(path)
    except OSError as err:
        logging.getLogger(__name__).warning('leftovers of %s cannot be removed: %s', path, err)
    if not (path / VALUES).is_file():
        return None
    try:
        values = parse_json((path / VALUES).read_text())
        plain = values.pop(_PLAIN)
        weights = safetensors.torch.load_file(str(path / WEIGHTS))
        tensors = safetensors.torch.load_file(str(path / OPTIMISER))
        return SavedState(weights, {**plain, **tensors}, values)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        safetensors.SafetensorError,
    ) as err:
        logging.getLogger(__name__).warning(
            'the state of learning in %s is damaged (%s); starting from the last good revision',
            path,
            err,
        )
        return None
