# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one way from a torch network to ONNX, for every network of this package."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monother_ros.core.errors import BundleError

OPSET = 17
"""Newest ONNX operator set that TensorRT 8.6 and everything after it reads."""

HALF_LARGEST = 65504.0
"""Largest number of half precision."""

LIMIT = 2_000_000_000
"""Bytes that one ONNX file may hold: protobuf's own limit is 2 GiB."""


def to_onnx(
    module: nn.Module,
    example: Tensor | Sequence[Tensor],
    name: str | Sequence[str],
    outputs: Sequence[str],
    rename: Callable[[str], str] | None = None,
) -> onnx.ModelProto:
    """
    ONNX of a network: static shapes, parameter names kept.

    The exporter's optimiser stays off, because it transposes the weights of linear layers and
    loses their names.

    :param module: in evaluation mode; returns a tensor or a tuple of them.
    :param example: input of the shape that the exported network shall take, or several.
    :param name: of the input, or of each of them.
    :param outputs: names of the outputs in their order.
    :param rename: from the name of a parameter in the module to the name of its initialiser.
    :returns: the model.
    :raises BundleError: the network is too large for one file, or comes out in another operator
        set.
    """
    size = sum(p.numel() * p.element_size() for p in (*module.parameters(), *module.buffers()))
    if size > LIMIT:
        msg = (
            f'the network holds {size / 1e9:.2f} GB, an ONNX file at most {LIMIT / 1e9:.2f} GB; '
            'convert it with --precision fp16'
        )
        raise BundleError(msg)
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,) if isinstance(example, Tensor) else tuple(example),
            dynamo=True,
            optimize=False,
            external_data=False,
            opset_version=OPSET,
            input_names=[name] if isinstance(name, str) else list(name),
            output_names=list(outputs),
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    versions = {item.domain: item.version for item in model.opset_import}
    if versions.get('', 0) != OPSET:
        msg = (
            f'the exported model has operator set {versions}, not {OPSET}; see '
            'networks/onnx_export.py'
        )
        raise BundleError(msg)
    return _shorten(model, rename or str)


def _shorten(model: onnx.ModelProto, rename: Callable[[str], str]) -> onnx.ModelProto:
    """Name initialisers and drop debugging notes."""
    names = {item.name: rename(item.name) for item in model.graph.initializer}
    for item in model.graph.initializer:
        item.name = names[item.name]
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name in names:
                node.input[k] = names[name]
        del node.metadata_props[:]
        node.doc_string = ''
    for value in model.graph.value_info:
        value.name = names.get(value.name, value.name)
        del value.metadata_props[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    _name_casts(model.graph)
    return model


def _name_casts(graph: onnx.GraphProto) -> None:
    """Write the type into casts that take it from another tensor; not every engine knows these."""
    types = {item.name: item.data_type for item in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        if node.op_type == 'CastLike' and node.input[1] in types:
            node.op_type = 'Cast'
            node.attribute.append(onnx.helper.make_attribute('to', types[node.input.pop()]))


def check_graph(model: onnx.ModelProto | Path) -> None:
    """
    Check operators, types and shapes of a model.

    :param model: in memory, or its file, which takes less memory where it is large.
    :raises BundleError: it is no valid ONNX.
    """
    try:
        onnx.checker.check_model(str(model) if isinstance(model, Path) else model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as err:
        msg = f'the exported model is not valid ONNX: {err}; see networks/onnx_export.py'
        raise BundleError(msg) from err


def store_half(model: onnx.ModelProto, least: int = 64) -> onnx.ModelProto:
    """
    Keep large weights in half precision, which halves the file; computations stay in float32.

    A weight keeps its name; what reads it reads a cast of it, which engines do once.

    :param model: it is changed.
    :param least: elements from which on a weight is stored so.
    :returns: the model.
    :raises BundleError: a weight is too large for half precision.
    """
    graph = model.graph
    wide: dict[str, str] = {}
    casts = []
    for item in graph.initializer:
        if item.data_type != onnx.TensorProto.FLOAT:
            continue
        value = onnx.numpy_helper.to_array(item)
        if value.size < least:
            continue
        if not np.abs(value).max() < HALF_LARGEST:
            msg = f'the weight {item.name} is too large for half precision'
            raise BundleError(msg)
        item.CopyFrom(onnx.numpy_helper.from_array(value.astype(np.float16), item.name))
        wide[item.name] = f'{item.name}.float32'
        casts.append(
            onnx.helper.make_node(
                'Cast', [item.name], [wide[item.name]], f'cast:{item.name}',
                to=onnx.TensorProto.FLOAT,
            )
        )  # fmt: skip
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = wide.get(name, name)
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *others])
    del graph.value_info[:]
    return model


class OnnxRun:
    """
    A model in ONNX Runtime on the CPU, to compare with.

    :param model: the file, or its content.
    :param threads: of ONNX Runtime; they do not spin while they wait.
    """

    def __init__(self, model: bytes | Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self._session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=['CPUExecutionProvider'],
        )

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """
        Run once.

        :param inputs: by their names.
        :returns: outputs by their names.
        """
        names = [item.name for item in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about its own internals from the terminal."""
    logger = logging.getLogger('torch.onnx')
    others = [logging.getLogger(n) for n in ('onnxscript', 'torch.onnx._internal.exporter')]
    before = [item.level for item in (logger, *others)]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        for item in (logger, *others):
            item.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for item, level in zip((logger, *others), before, strict=True):
                item.setLevel(level)
