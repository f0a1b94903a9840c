# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Confidence networks on disk: weights in safetensors, and a manifest that says what they are.

A folder holds ``confidence.safetensors`` and ``confidence.json``: width, which features the
similarities come from, how it was trained, what it reached, and the sha256 of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from monother_ros.core.errors import BundleError
from monother_ros.networks.confidence import ConfidenceNetwork
from monother_ros.networks.weights_folder import (
    check_weights,
    find_weights,
    read_weights_manifest,
    write_weights,
)

FORMAT = 1
"""Format of the manifest."""

MANIFEST = 'confidence.json'
WEIGHTS = 'confidence.safetensors'
FEATURES = ('structure',)
"""What similarities may come from: structure are those of
:func:`monother_ros.learning.structure.structure_features`."""

_WIDTHS = range(1, 257)


def find_confidence(name_or_path: str | Path) -> Path:
    """
    Folder of a confidence network.

    :param name_or_path: folder, or name of a shipped one below models/.
    :raises BundleError: there is none.
    """
    found = find_weights(Path(name_or_path), MANIFEST)
    if found is not None:
        return found
    msg = (
        f'{name_or_path} is no confidence network: there is no {MANIFEST}; give its folder or the '
        'name of a shipped one, such as lite-confidence'
    )
    raise BundleError(msg)


def read_manifest(name_or_path: str | Path) -> dict[str, Any]:
    """
    Manifest of a confidence network, checked; the weights are not read.

    :param name_or_path: as of :func:`find_confidence`.
    :raises BundleError: there is none, or it says what this version does not know.
    """
    path = find_confidence(name_or_path) / MANIFEST
    data = read_weights_manifest(path, FORMAT)
    if data.get('width') not in _WIDTHS or isinstance(data.get('width'), bool):
        msg = f'{path}: width is {data.get("width")!r}, not a number from 1 to {_WIDTHS[-1]}'
        raise BundleError(msg)
    if data.get('features') not in FEATURES:
        msg = f'{path}: features are {data.get("features")!r}; known are {", ".join(FEATURES)}'
        raise BundleError(msg)
    digest = data.get('sha256')
    if not isinstance(digest, str) or len(digest) != 64:
        msg = f'{path}: sha256 is missing; copy the folder again'
        raise BundleError(msg)
    return data


def load_confidence(name_or_path: str | Path) -> ConfidenceNetwork:
    """
    Confidence network from a folder.

    :param name_or_path: folder, or name of a shipped one.
    :returns: the network in evaluation mode, on the CPU.
    :raises BundleError: there is none, or it is damaged.
    """
    folder = find_confidence(name_or_path)
    manifest = read_manifest(folder)
    path = folder / WEIGHTS
    check_weights(path, manifest, MANIFEST)
    network = ConfidenceNetwork(int(manifest['width']))
    try:
        network.load_state_dict(safetensors.torch.load_file(str(path)))
    except (OSError, RuntimeError, ValueError, safetensors.SafetensorError) as err:
        msg = f'{path} holds no confidence network of width {manifest["width"]}: {err}'
        raise BundleError(msg) from err
    return network.eval()


def write_confidence(
    network: ConfidenceNetwork,
    path: str | Path,
    *,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    features: str = 'structure',
) -> Path:
    """
    Write a confidence network, whole or not at all; one at the same place is replaced.

    :param network: any mode, on any device.
    :param path: target folder.
    :param training: how it was trained, plain values.
    :param metrics: what it reached, plain values.
    :param features: one of `FEATURES`.
    :returns: the folder.
    :raises BundleError: the features are not known.
    :raises OSError: the disk is full or the folder cannot be written.
    """
    if features not in FEATURES:
        msg = f'features are {features!r}; known are {", ".join(FEATURES)}'
        raise BundleError(msg)
    manifest = {
        'format': FORMAT,
        'width': network.outc_unc[0].conv.in_channels,  # type: ignore[union-attr]
        'features': features,
        'training': dict(training),
        'metrics': dict(metrics),
    }
    return write_weights(network, path, (WEIGHTS, MANIFEST), manifest)
