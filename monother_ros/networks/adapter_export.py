# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lite network with its sparse depth adapter as a model bundle of two inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from monother_ros.core.bundle import Bundle, TensorSpec, write_bundle
from monother_ros.core.errors import BundleError
from monother_ros.core.pipeline import SPARSE_INPUT
from monother_ros.networks.blocks import fold_batch_norm
from monother_ros.networks.depth_adapter import SparseLite
from monother_ros.networks.onnx_export import OnnxRun, check_graph, store_half, to_onnx

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
    examples = _examples(height, width)
    model = to_onnx(plain, examples[-1], ('thermal', SPARSE_INPUT), OUTPUTS)
    check_graph(model)
    _compare(plain, bytes(model.SerializeToString()), examples, 1e-3)
    if half:
        model = store_half(model)
        check_graph(model)
        _compare(plain, bytes(model.SerializeToString()), examples, CLOSE)
    return bytes(model.SerializeToString())


def _examples(height: int, width: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pictures without points, with a few and with many."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for part in (0.0, 0.002, 0.3):
        picture = torch.randn(1, 1, height, width, generator=generator)
        depth = 2 + 30 * torch.rand(1, 1, height, width, generator=generator)
        there = torch.rand(1, 1, height, width, generator=generator) < part
        found.append((picture, torch.where(there, depth, 0.0)))
    return found


def _compare(
    network: nn.Module,
    model: bytes,
    examples: list[tuple[torch.Tensor, torch.Tensor]],
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
            depth, confidence = network(picture, sparse)
        apart = np.abs(found['depth'] / depth.numpy() - 1)
        unsure = np.abs(found['confidence'] - confidence.numpy())
        worst = max(float(np.percentile(values, 99)) for values in (apart, unsure))
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
