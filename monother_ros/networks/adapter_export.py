# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks with a sparse depth adapter as model bundles of two inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from monother_ros.core.bundle import Bundle, Normalisation, TensorSpec, write_bundle
from monother_ros.core.errors import BundleError
from monother_ros.core.pipeline import SPARSE_INPUT
from monother_ros.networks.blocks import fold_batch_norm
from monother_ros.networks.depth_adapter import SparseLite
from monother_ros.networks.monother import THERMAL_MEAN, THERMAL_STD
from monother_ros.networks.onnx_export import OnnxRun, check_graph, store_half, to_onnx
from monother_ros.networks.sparse_vit import DeployedSparseVit, SparseVit

OUTPUTS = ('depth', 'confidence')

CLOSE = 0.02
"""Relative difference of depth that weights in half precision may make in 99 of 100 pixels."""


def export_sparse_onnx(
    network: SparseLite, width: int = 320, height: int = 256, *, half: bool = True
) -> bytes:
    """
    ONNX of a network with a second input, which is compared with it by ONNX Runtime.

    :param network: any mode; not changed.
    :param width: of the input, a multiple of 64.
    :param height: of the input, a multiple of 64.
    :param half: keep weights in half precision; computations stay in float32.
    :returns: the model, with the inputs `thermal` and `sparse_depth`, (1, 1, H, W) each.
    :raises BundleError: the exported model does not agree with the network.
    """
    plain: nn.Module = fold_batch_norm(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return _checked(plain, plain, _examples(height, width), OUTPUTS, half=half)


def export_sparse_vit_onnx(
    network: SparseVit, width: int, height: int, precision: str = 'fp32', *, half: bool = True
) -> bytes:
    """
    ONNX of a network of two transformers, which is compared with it by ONNX Runtime.

    :param network: in evaluation mode; not changed.
    :param width: of the input, a multiple of 14.
    :param height: of the input, a multiple of 14.
    :param precision: what the encoders compute in, see :class:`..sparse_vit.DeployedSparseVit`.
    :param half: keep all weights in half precision.
    :returns: the model, with the inputs `thermal` (1, 3, H, W) and `sparse_depth` (1, 1, H, W),
        and the output `depth`.
    :raises BundleError: precision or size cannot be, or the exported model does not agree with the
        network.
    """
    deployed = DeployedSparseVit(network, (height, width), precision)
    rough = precision != 'fp32'
    examples = _examples(height, width, channels=3)
    return _checked(deployed, network, examples, OUTPUTS[:1], half=half, rough=rough)


def _checked(
    plain: nn.Module,
    network: nn.Module,
    examples: list[tuple[torch.Tensor, torch.Tensor]],
    outputs: tuple[str, ...],
    *,
    half: bool,
    rough: bool = False,
) -> bytes:
    """ONNX of a module that agrees with the network it was made of."""
    model = to_onnx(plain, examples[-1], ('thermal', SPARSE_INPUT), outputs)
    check_graph(model)
    limit = CLOSE if rough else 1e-3
    _compare(network, bytes(model.SerializeToString()), examples, outputs, limit)
    if half:
        model = store_half(model)
        check_graph(model)
        _compare(network, bytes(model.SerializeToString()), examples, outputs, CLOSE)
    return bytes(model.SerializeToString())


def _examples(
    height: int, width: int, channels: int = 1
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures without points, with a few and with many."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for part in (0.0, 0.002, 0.3):
        picture = torch.randn(1, channels, height, width, generator=generator)
        depth = 2 + 30 * torch.rand(1, 1, height, width, generator=generator)
        there = torch.rand(1, 1, height, width, generator=generator) < part
        found.append((picture, torch.where(there, depth, 0.0)))
    return found


def _compare(
    network: nn.Module,
    model: bytes,
    examples: list[tuple[torch.Tensor, torch.Tensor]],
    outputs: tuple[str, ...],
    limit: float,
) -> None:
    """
    Compare what torch and ONNX Runtime say.

    :raises BundleError: 99 of 100 pixels are not within the limit.
    """
    run = OnnxRun(model)
    for picture, sparse in examples:
        found = run({'thermal': picture.numpy(), SPARSE_INPUT: sparse.numpy()})
        with torch.inference_mode():
            wanted = network(picture, sparse)
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        worst = 0.0
        for name, value in zip(outputs, values, strict=True):
            apart = np.abs(found[name] - value.numpy())
            if name == 'depth':
                apart = apart / value.numpy()
            worst = max(worst, float(np.percentile(apart, 99)))
        if not worst < limit:
            msg = f'ONNX Runtime and torch differ by {worst:.2g}; the export is wrong'
            raise BundleError(msg)


def export_sparse_bundle(
    network: SparseLite,
    path: str | Path,
    *,
    parent: Bundle,
    revision: str,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    half: bool = True,
    name: str = 'lite-sparse',
) -> Bundle:
    """
    Write a network as a model bundle, whole or not at all.

    :param network: trained.
    :param path: target folder.
    :param parent: bundle of the frozen network; normalisation, range and focal length are its.
    :param revision: name of the weights.
    :param training: how it was trained, for people.
    :param metrics: what it reached, for people.
    :param half: keep weights in half precision.
    :param name: of the model.
    :returns: the bundle.
    :raises BundleError: the export fails its check.
    """
    shape = parent.inputs[0].shape
    return write_bundle(
        path,
        model=export_sparse_onnx(network, shape[3], shape[2], half=half),
        name=name,
        revision=revision,
        parent=parent.revision,
        modality='thermal',
        inputs=[TensorSpec('thermal', shape), TensorSpec(SPARSE_INPUT, shape)],
        outputs={key: key for key in OUTPUTS},
        normalisation=parent.normalisation,
        depth_range=parent.depth_range,
        focal_length=parent.focal_length,
        training=training,
        metrics=metrics,
    )


def export_sparse_vit_bundle(
    network: SparseVit,
    path: str | Path,
    *,
    size: tuple[int, int],
    revision: str,
    focal_length: float,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    precision: str = 'fp32',
    name: str = 'vit-sparse',
) -> Bundle:
    """
    Write a network of two transformers as a model bundle, whole or not at all.

    :param network: trained, in evaluation mode.
    :param path: target folder.
    :param size: (h, w) of the input in pixels, multiples of 14.
    :param revision: name of the weights.
    :param focal_length: pixels at that width, for which the network says metres.
    :param training: how it was trained, for people.
    :param metrics: what it reached, for people.
    :param precision: what the encoders compute in.
    :param name: of the model.
    :returns: the bundle.
    :raises BundleError: the export fails its check.
    """
    height, width = size
    return write_bundle(
        path,
        model=export_sparse_vit_onnx(network, width, height, precision),
        name=name,
        revision=revision,
        modality='thermal',
        inputs=[
            TensorSpec('thermal', (1, 3, height, width)),
            TensorSpec(SPARSE_INPUT, (1, 1, height, width)),
        ],
        outputs={'depth': 'depth'},
        # resized as the frames of the training were, not as the dual network's pictures
        normalisation=Normalisation(
            'percentile', 2.0, 98.0, THERMAL_MEAN, THERMAL_STD, channels=3
        ),
        depth_range=(network.config.near, network.config.far),
        focal_length=focal_length,
        training=training,
        metrics=metrics,
    )
