# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights of an ONNX file beside its graph, and back into it.

Only weights beside the graph can be handed to ONNX Runtime without writing the graph anew: values
for embedded ones are refused ("Trying to replace non-external initializer with external data",
ONNX Runtime 1.31). The package onnx is needed here; what a robot runs needs none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from monother_ros.core.errors import BundleError
from monother_ros.core.initialisers import compare_entries
from monother_ros.core.tensor_file import TensorEntry, layout, little, read_entries, read_tensors

MOVED = {TensorProto.FLOAT: 'float32', TensorProto.FLOAT16: 'float16'}
"""Element types that move out of the graph. Whole numbers are sizes and axes, not weights; the
graph's shapes depend on them, so they stay."""

LIMIT = 2_000_000_000
"""Bytes that one ONNX file may hold: protobuf's own limit is 2 GiB."""


def externalise(model: Path, graph: Path, data: Path) -> None:
    """
    Write an ONNX file as a graph and a file of its weights.

    :param model: ONNX file with embedded weights.
    :param graph: target of the graph, beside `data`.
    :param data: target of the weights: ONNX external data and a safetensors file at once.
    :raises BundleError: the file is no ONNX, its weights lie elsewhere already, or it has none.
    :raises OSError: a file cannot be written.
    """
    if graph.parent != data.parent:
        msg = f'{graph} and {data} must lie in one folder: ONNX names its data relative to it'
        raise BundleError(msg)
    proto = _load(model)
    tensors = [item for item in proto.graph.initializer if item.data_type in MOVED]
    if not tensors:
        msg = f'{model} has no floating point weights; there is nothing that could be learned'
        raise BundleError(msg)
    if any(item.data_location == TensorProto.EXTERNAL for item in tensors):
        msg = f'{model} has its weights in another file already'
        raise BundleError(msg)
    # the wider type first, so that each value is aligned to its size
    tensors.sort(key=lambda item: item.data_type != TensorProto.FLOAT)
    head, entries = layout((t.name, MOVED[t.data_type], tuple(t.dims)) for t in tensors)
    with data.open('wb') as handle:
        handle.write(head)
        for tensor in tensors:
            handle.write(little(onnx.numpy_helper.to_array(tensor)))
            _point(tensor, data.name, entries[tensor.name])
    graph.write_bytes(proto.SerializeToString())


def embed(graph: Path, data: Path, values: Mapping[str, NDArray[Any]] | None = None) -> bytes:
    """
    One ONNX file of a graph and its weights.

    :param graph: written by :func:`externalise`.
    :param data: its weights. They are read here and not by onnx, which takes a file with several
        hard links for an attack and refuses it.
    :param values: weights that replace those of the file.
    :returns: content of an ONNX file that needs no other file.
    :raises BundleError: a weight is missing or does not fit, or the file would be too large.
    """
    proto = _load(graph)
    known, new = read_entries(data), dict(values or {})
    if sum(item.bytes for item in known.values()) > LIMIT:
        msg = f'{data} holds more than the {LIMIT / 1e9:.0f} GB that fit into one ONNX file'
        raise BundleError(msg)
    given = {name: TensorEntry(v.dtype.name, v.shape, 0, v.nbytes) for name, v in new.items()}
    compare_entries(given, known, 'the new set of weights')
    stored = read_tensors(data, known.keys() - new.keys())
    for tensor in proto.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        value = new.get(tensor.name, stored.get(tensor.name))
        if value is None or tuple(tensor.dims) != value.shape:
            msg = f'{data} has no weight {tensor.name} of the shape {list(tensor.dims)}'
            raise BundleError(msg)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), tensor.name))
    return bytes(proto.SerializeToString())


def _point(tensor: TensorProto, file: str, entry: TensorEntry) -> None:
    """Let a tensor of a graph name its place in a file instead of holding its values."""
    for field in ('raw_data', 'float_data', 'int32_data'):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (
        ('location', file),
        ('offset', str(entry.start)),
        ('length', str(entry.bytes)),
    ):
        tensor.external_data.add(key=key, value=value)


def _load(path: Path) -> onnx.ModelProto:
    """
    Read an ONNX file alone.

    :raises BundleError: it is missing or no ONNX.
    """
    proto = onnx.ModelProto()
    text = ''
    try:
        proto.ParseFromString(path.read_bytes())
    except Exception as err:  # protobuf raises types of its own
        text = str(err)
    if text or not proto.graph.node:
        msg = f'{path} is no ONNX file {f"({text})" if text else "with a network"}'
        raise BundleError(msg)
    return proto
