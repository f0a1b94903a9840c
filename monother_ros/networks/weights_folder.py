# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of a small network: safetensors and a manifest with their hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from monother_ros.core.errors import BundleError
from monother_ros.core.files import atomic_folder, sha256_file
from monother_ros.core.parsing import parse_json
from monother_ros.core.share import share_folders


def find_weights(path: Path, manifest: str) -> Path | None:
    """
    Folder with a manifest.

    :param path: folder, or name of a shipped one below models/.
    :param manifest: file name of the manifest.
    :returns: None where there is none.
    """
    if (path / manifest).is_file():
        return path
    if len(path.parts) == 1:
        for folder in share_folders():
            found = folder / 'models' / path
            if (found / manifest).is_file():
                return found
    return None


def read_weights_manifest(path: Path, version: int) -> dict[str, Any]:
    """
    Manifest of a folder.

    :param path: of the manifest.
    :param version: of the format that is read.
    :raises BundleError: it cannot be read, or has another format.
    """
    try:
        data = parse_json(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        msg = f'{path} cannot be read: {err}; copy the folder again'
        raise BundleError(msg) from err
    if not isinstance(data, dict) or data.get('format') != version:
        found = data.get('format') if isinstance(data, dict) else None
        msg = f'{path} has format {found!r}, but this version reads {version}; update monother_ros'
        raise BundleError(msg)
    return data


def check_weights(path: Path, manifest: Mapping[str, Any], name: str) -> None:
    """
    Refuse weights that are not those of the manifest.

    :param path: of the weights.
    :param manifest: with their 'sha256'.
    :param name: file name of the manifest, for the message.
    :raises BundleError: they cannot be read, or have another hash.
    """
    try:
        digest = sha256_file(path)
    except OSError as err:
        msg = f'{path} cannot be read: {err}; copy the folder again'
        raise BundleError(msg) from err
    if digest != manifest.get('sha256'):
        msg = f'{path} is damaged: its sha256 is not that of {name}; copy the folder again'
        raise BundleError(msg)


def write_weights(
    network: nn.Module, path: str | Path, files: tuple[str, str], manifest: Mapping[str, Any]
) -> Path:
    """
    Write a folder, whole or not at all; one at the same place is replaced.

    :param network: any mode, on any device.
    :param path: target folder.
    :param files: names of weights and manifest.
    :param manifest: plain values; the hash is added.
    :returns: the folder.
    :raises OSError: the disk is full or the folder cannot be written.
    """
    weights, name = files
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with atomic_folder(path) as work:
        (work / weights).write_bytes(safetensors.torch.save(state))
        data = {**manifest, 'sha256': sha256_file(work / weights)}
        (work / name).write_text(json.dumps(data, indent=2) + '\n', encoding='utf-8')
    return Path(path)
