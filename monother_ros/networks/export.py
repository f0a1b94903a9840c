# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lite network as a model bundle: ONNX for every engine, weights to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from monother_ros.core.bundle import Bundle, Normalisation, TensorSpec, write_bundle
from monother_ros.core.errors import BundleError
from monother_ros.networks.blocks import fold_batch_norm
from monother_ros.networks.lite import LiteConfig, LiteNetwork
from monother_ros.networks.onnx_export import OnnxRun, check_graph, to_onnx

INPUTS = {1: 'thermal', 3: 'rgb'}
"""Name of the input, and modality, by the channels of the network."""

OUTPUTS = ('depth', 'confidence')
WEIGHTS = 'weights.safetensors'


class _Deployed(nn.Module):
    """The two outputs that leave the network."""

    def __init__(self, network: LiteNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        output = self.network(picture)
        return output.depth, output.confidence


def export_onnx(network: LiteNetwork, width: int = 320, height: int = 256) -> bytes:
    """
    ONNX of a network: static shapes, batch norm folded, parameter names kept.

    Names are those of the network's parameters, without any prefix; the batch norms have become
    the biases of their convolutions. The result is compared with the network by ONNX Runtime.

    :param network: any mode; not changed.
    :param width: of the input, a multiple of 32.
    :param height: of the input, a multiple of 32.
    :returns: the model, with input `thermal` (1, 1, H, W), or `rgb` (1, 3, H, W), and outputs
        `depth`, `confidence`.
    :raises BundleError: the exported model does not agree with the network.
    """
    plain = fold_batch_norm(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    channels = network.config.channels
    example = torch.randn(1, channels, height, width, generator=generator)
    model = to_onnx(
        _Deployed(plain),
        example,
        INPUTS[channels],
        OUTPUTS,
        lambda name: name.removeprefix('network.'),
    )
    check_graph(model)
    data = bytes(model.SerializeToString())
    difference = _compare(plain, data, INPUTS[channels], example)
    if not difference < 1e-3:
        msg = f'ONNX Runtime and torch differ by {difference:.2g} (relative); the export is wrong'
        raise BundleError(msg)
    return data


def _compare(network: nn.Module, model: bytes, name: str, example: Tensor) -> float:
    """Larger of the relative difference of depth and the difference of confidence to torch."""
    found = OnnxRun(model)({name: example.numpy()})
    with torch.inference_mode():
        expected = network(example)
    relative = np.abs(found['depth'] / expected.depth.numpy() - 1).max()
    return float(max(relative, np.abs(found['confidence'] - expected.confidence.numpy()).max()))


def save_weights(network: LiteNetwork) -> bytes:
    """
    Parameters and batch norm statistics, to train on from.

    :param network: any mode.
    :returns: safetensors; the network's configuration is in its metadata.
    """
    state = {k: v.detach().contiguous() for k, v in network.state_dict().items()}
    metadata = {key: repr(value) for key, value in network.config.as_dict().items()}
    return safetensors.torch.save(state, metadata)


def load_weights(path: str | Path) -> LiteNetwork:
    """
    Network from the weights of a bundle.

    :param path: of weights.safetensors.
    :returns: the network in evaluation mode.
    :raises BundleError: the file is missing, damaged or of another network.
    """
    try:
        with safetensors.safe_open(str(path), 'pt') as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        kinds = {key: type(value) for key, value in LiteConfig().as_dict().items()}
        config = LiteConfig(**{key: kinds[key](value) for key, value in metadata.items()})
        network = LiteNetwork(config)
        network.load_state_dict(state)
    except (OSError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as err:
        msg = f'{path} holds no weights of the lite network: {err}'
        raise BundleError(msg) from err
    return network.eval()


def export_bundle(
    network: LiteNetwork,
    path: str | Path,
    *,
    revision: str,
    normalisation: Normalisation,
    depth_range: tuple[float, float],
    focal_length: float | None,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    width: int = 320,
    height: int = 256,
    name: str = 'lite',
    parent: str | None = None,
    with_weights: bool = True,
) -> Bundle:
    """
    Write a network as a model bundle, whole or not at all.

    :param network: trained.
    :param path: target folder.
    :param width: of the input in pixels.
    :param height: of the input in pixels.
    :param with_weights: put the weights to train on from into the bundle too.
    :returns: the bundle. For the other parameters see :class:`monother_ros.core.bundle.Bundle`.
    :raises BundleError: the export fails its check.
    """
    channels = network.config.channels
    return write_bundle(
        path,
        model=export_onnx(network, width, height),
        name=name,
        revision=revision,
        parent=parent,
        modality=INPUTS[channels],
        inputs=[
            TensorSpec(INPUTS[channels], (1, channels, height, width)),
        ],
        outputs={key: key for key in OUTPUTS},
        normalisation=normalisation,
        depth_range=depth_range,
        focal_length=focal_length,
        training=training,
        metrics=metrics,
        extra_files={WEIGHTS: save_weights(network)} if with_weights else {},
    )
