# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints of a training run: a folder of safetensors and JSON, written whole or not at all.

``network.safetensors`` holds the weights under the names that files of this network carry,
``average.safetensors`` their moving average where there is one, ``optimiser.safetensors`` the
optimiser's state under the names of the parameters, and ``state.json`` everything else. Nothing
of it is code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from monother_ros import __version__
from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_folder
from monother_ros.core.parsing import parse_json

LATEST = 'latest'
"""Folder of the newest checkpoint in a run, which the run is continued from."""
BEST = 'best'
"""Folder of the weights with the best validation so far."""
NETWORK = 'network.safetensors'
AVERAGE = 'average.safetensors'
OPTIMISER = 'optimiser.safetensors'
STATE = 'state.json'
FORMAT = 2


def write_state(
    folder: str | Path,
    about: Mapping[str, Any],
    network: Mapping[str, Tensor],
    average: Mapping[str, Tensor] | None = None,
    optimiser: Mapping[str, Tensor] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """
    Write a checkpoint, whole or not at all; an older one in its place is replaced.

    :param folder: of the checkpoint.
    :param about: plain values.
    :param network: weights.
    :param average: moving average of the weights.
    :param optimiser: see :func:`optimiser_tensors`.
    :param metadata: texts that the files of weights carry.
    :returns: the folder.
    :raises OSError: the disk is full or the folder cannot be written; the old one is untouched.
    """
    target = Path(folder)
    parts = {NETWORK: network, AVERAGE: average, OPTIMISER: optimiser}
    with atomic_folder(target) as work:
        for name, tensors in parts.items():
            if tensors is not None:
                plain = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
                texts = None if tensors is optimiser else dict(metadata or {})
                safetensors.torch.save_file(plain, work / name, texts)
                (work / name).chmod(0o644)
        text = json.dumps({'format': FORMAT, 'version': __version__, **about}, indent=1)
        (work / STATE).write_text(text + '\n', encoding='utf-8')
    return target


def find_latest(run: str | Path) -> Path | None:
    """
    Newest checkpoint of a run.

    One that was moved aside while it was being replaced, when the computer went down, is put back.

    :param run: folder of the run.
    """
    latest = Path(run) / LATEST
    if not latest.exists():
        for aside in sorted(Path(run).glob(f'.{LATEST}.old.*/{LATEST}')):
            if (aside / STATE).exists():
                aside.replace(latest)
                shutil.rmtree(aside.parent, ignore_errors=True)
                break
    return latest if latest.exists() else None


def read_about(folder: str | Path) -> dict[str, Any]:
    """
    Plain values of a checkpoint.

    :raises SettingsError: it is missing, damaged or of another format.
    """
    path = Path(folder) / STATE
    try:
        about = parse_json(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        msg = f'{path} cannot be read as a checkpoint: {err}'
        raise SettingsError(msg) from err
    if not isinstance(about, dict) or about.get('format') != FORMAT:
        msg = f'{path} is no checkpoint of format {FORMAT}; train anew or update monother_ros'
        raise SettingsError(msg)
    return about


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """
    Tensors of one file of a checkpoint.

    :raises SettingsError: it is missing or damaged.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as err:
        msg = f'{path} cannot be read as a part of a checkpoint: {err}'
        raise SettingsError(msg) from err


def optimiser_tensors(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """
    State of an optimiser under the names of its parameters.

    :param optimiser: after any number of steps.
    :param parameters: name -> parameter, all that it trains.
    :returns: ``<parameter>:<entry>`` -> tensor.
    """
    return {
        f'{name}:{entry}': value
        for name, parameter in parameters.items()
        for entry, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """
    Put the state of :func:`optimiser_tensors` back.

    Moments get the device and the memory layout of their parameter, so that further steps give
    the same bytes as without the detour over the disk.

    :param optimiser: changed in place.
    :param parameters: as in :func:`optimiser_tensors`.
    :param tensors: what was saved.
    :raises SettingsError: it belongs to other parameters.
    """
    for key, value in tensors.items():
        name, _, entry = key.rpartition(':')
        parameter = parameters.get(name)
        if parameter is None or (entry != 'step' and value.shape != parameter.shape):
            msg = f'the optimiser state of {name!r} {tuple(value.shape)} fits no trained parameter'
            raise SettingsError(msg)
        state = optimiser.state[parameter]
        # the number of steps stays where AdamW keeps it: on the CPU, as float32
        moment = value.shape == parameter.shape and entry != 'step'
        state[entry] = torch.empty_like(parameter).copy_(value) if moment else value.clone()


def parameter_names(network: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of a network that are trained, under their names in it."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}
