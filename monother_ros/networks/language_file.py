# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Language heads on disk.

A folder holds ``language.safetensors`` and ``language.json``: the text encoder and the depth
model that the head belongs to, how far its scale was off on scenes that it was not trained on
(``sigma``), how it was trained, and the sha256 of the weights. A published checkpoint (one file, a
pickled state dict) can be read too; nobody knows its sigma, and it is taken to be wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monother_ros.core.errors import BundleError
from monother_ros.networks.checkpoint import read_checkpoint
from monother_ros.networks.language_scale import LanguageHead, head_from_state
from monother_ros.networks.weights_folder import (
    check_weights,
    find_weights,
    read_weights_manifest,
    write_weights,
)

FORMAT = 1
"""Format of the manifest."""

MANIFEST = 'language.json'
WEIGHTS = 'language.safetensors'

UNKNOWN_SIGMA = 0.5
"""1-sigma of the log scale of a head whose errors nobody has measured: RSA's published figures are
AbsRel 0.15 where it was trained, up to 1.3 on data that are new to it."""


@dataclass(frozen=True)
class LanguageModel:
    """
    A head and what is known about it.

    :param head: in evaluation mode, on the CPU.
    :param sigma: standard deviation of the logarithm of its scale on scenes new to it, > 0.
    :param text_encoder: folder or hub name of the text encoder; empty where it is not known.
    :param depth_model: the depth model whose output it scales; empty where it is not known.
    :param manifest: everything that the file says.
    """

    head: LanguageHead
    sigma: float = UNKNOWN_SIGMA
    text_encoder: str = ''
    depth_model: str = ''
    manifest: Mapping[str, Any] = field(default_factory=dict)


def load_language(name_or_path: str | Path) -> LanguageModel:
    """
    Language head from a folder, from a published checkpoint, or by the name of a shipped one.

    :param name_or_path: folder with language.json, file of weights, or name below models/.
    :raises BundleError: there is none, or it is damaged or of a newer format.
    """
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return LanguageModel(head_from_state(read_checkpoint(path)))
    folder = _folder(path)
    manifest = _manifest(folder / MANIFEST)
    weights = folder / WEIGHTS
    check_weights(weights, manifest, MANIFEST)
    return LanguageModel(
        head_from_state(read_checkpoint(weights)),
        float(manifest['sigma']),
        str(manifest.get('text_encoder', '')),
        str(manifest.get('depth_model', '')),
        manifest,
    )


def write_language(
    head: LanguageHead,
    path: str | Path,
    *,
    sigma: float,
    text_encoder: str,
    depth_model: str,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> Path:
    """
    Write a head, whole or not at all; one at the same place is replaced.

    :param head: any mode, on any device.
    :param path: target folder.
    :param sigma: see :class:`LanguageModel`.
    :param text_encoder: folder or hub name of the text encoder.
    :param depth_model: name of the depth model.
    :param training: how it was trained, plain values.
    :param metrics: what it reached, plain values.
    :returns: the folder.
    :raises BundleError: sigma is no number above 0.
    :raises OSError: the disk is full or the folder cannot be written.
    """
    if not (math.isfinite(sigma) and sigma > 0):
        msg = f'sigma of a language head is {sigma}; it must be measured, finite and above 0'
        raise BundleError(msg)
    manifest = {
        'format': FORMAT,
        'sigma': sigma,
        'text_encoder': text_encoder,
        'depth_model': depth_model,
        'training': dict(training),
        'metrics': dict(metrics),
    }
    return write_weights(head, path, (WEIGHTS, MANIFEST), manifest)


def _folder(path: Path) -> Path:
    """Folder of a head."""
    found = find_weights(path, MANIFEST)
    if found is not None:
        return found
    msg = (
        f'{path} is no language head: there is no {MANIFEST}, and it is no file of weights; give '
        "a folder that 'monother train language_scale' wrote, or a published checkpoint"
    )
    raise BundleError(msg)


def _manifest(path: Path) -> dict[str, Any]:
    """Manifest of a head, checked."""
    data = read_weights_manifest(path, FORMAT)
    sigma = data.get('sigma')
    if isinstance(sigma, bool) or not isinstance(sigma, (int, float)) or not 0 < sigma < 1e6:
        msg = f'{path}: sigma is {sigma!r}; it must be a number above 0'
        raise BundleError(msg)
    return data
