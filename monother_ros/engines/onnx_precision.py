# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A network in the precision that an engine shall compute in, said by the types of its ONNX file.

TensorRT 11 and TensorRT for RTX take the types of the file as they are, and TensorRT 10 does so
where it is told to. Half precision is safe for convolutions and the large matrix products. It is
not for logarithms and exponentials of a metric head, nor for the angles of an encoding of metres,
so these stay in single precision in each recipe; 'fp16-safe' keeps attention, softmax and norms
there as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError
from monother_ros.engines.onnx_graph import bundle_model, need_onnx, simplify, value_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monother_ros.core.bundle import Bundle

PRECISIONS = ('fp16', 'fp16-safe', 'fp32')
"""From the fastest to the safest, the order in which they are tried."""

TYPING = 2
"""Goes up where a network comes out in other types than before: plans of the old ones are left."""

_HALF_LIMIT = float(np.finfo(np.float16).max)
_HALF_TINY = float(np.finfo(np.float16).smallest_subnormal)

SECOND = '.half'
"""Ending of the name of a weight's second copy, where both precisions use it."""

_SMALL = 64
"""Elements of a constant that must not become 0: guards such as 1e-7 against division by 0."""

_METRIC = frozenset({'Exp', 'Log'})
"""Operators that begin a metric head; exporters write softmax and activations as one."""

_WAVES = frozenset({'Sin', 'Cos'})
"""Operators of an angle; many turns of one leave no part of a turn in half precision."""

_NORMS = frozenset(
    [
        'Softmax',
        'LogSoftmax',
        'LayerNormalization',
        'InstanceNormalization',
        'GroupNormalization',
        'ReduceMean',
        'Pow',
        'Sqrt',
    ]
)
"""Operators of softmax and norms, in one piece or written out."""

_SINGLE_ONLY = frozenset({'QuantizeLinear', 'DequantizeLinear', 'Range', 'CumSum'})
"""Operators that opset 17 or TensorRT take in single precision alone."""

_FREE = frozenset(
    [
        'Slice',
        'Concat',
        'Unsqueeze',
        'Squeeze',
        'Reshape',
        'Transpose',
        'Identity',
        'Split',
        'Gather',
        'Expand',
        'Pad',
        'DepthToSpace',
        'Tile',
    ]
)
"""Operators that move values and compute nothing; they stay with what made their values."""

_SCALES = {'Resize': (1, 2), 'Upsample': (1,)}
"""Floating point inputs that are numbers about the operator and never become half precision."""


@dataclass(frozen=True)
class TypedOnnx:
    """
    A network as it goes to the parser.

    :param content: ONNX file with weights inside.
    :param precision: one of :data:`PRECISIONS`.
    :param float32_nodes: names of the nodes with floating point values that stay in single
        precision; none for 'fp32', where all do.
    :param half: whether anything is in half precision.
    :param int8: whether it has quantised tensors.
    """

    content: bytes
    precision: str
    float32_nodes: tuple[str, ...] = ()
    half: bool = False
    int8: bool = False


def typed_onnx(bundle: Bundle, precision: str, keep: Sequence[str] = ()) -> TypedOnnx:
    """
    Network of a bundle in a precision; inputs and outputs keep their types.

    :param bundle: any; one that is in half precision already is typed anew.
    :param precision: one of :data:`PRECISIONS`.
    :param keep: names of further nodes to keep in single precision.
    :returns: the network. Weights keep their names; one that is used in both precisions has a
        second copy named '<name>.half'.
    :raises EngineError: the precision is not known, or the network is no valid ONNX.
    """
    return typed_model(bundle_model(bundle), precision, keep)


def typed_model(model: Any, precision: str, keep: Sequence[str] = ()) -> TypedOnnx:
    """
    As :func:`typed_onnx`, of a model in memory.

    :param model: onnx.ModelProto; it is used up.
    :param precision: one of :data:`PRECISIONS`.
    :param keep: names of further nodes to keep in single precision.
    :raises EngineError: see there.
    """
    if precision not in PRECISIONS:
        msg = f'precision {precision!r} is not known; use one of {", ".join(PRECISIONS)}'
        raise EngineError(msg)
    model = simplify(model)
    int8 = any(node.op_type == 'QuantizeLinear' for node in model.graph.node)
    single: set[str] = set()
    half = precision != 'fp32'
    if half:
        single = _single_nodes(model, precision) | set(keep)
        single |= _beyond_half(model)
        _Typing(model, single).convert()
    return TypedOnnx(
        bytes(model.SerializeToString()), precision, tuple(sorted(single)), half, int8
    )


def _single_nodes(model: Any, precision: str) -> set[str]:
    """Nodes that a recipe keeps in single precision."""
    graph = model.graph
    constants = {item.name for item in graph.initializer}
    single = metric_head(graph)
    waves = {node.name for node in graph.node if node.op_type in _WAVES}
    single |= waves | _leading_to(graph, waves)
    quantised: set[str] = set()
    for node in graph.node:
        if node.op_type == 'DequantizeLinear' or (
            node.op_type == 'Transpose' and quantised.intersection(node.input)
        ):
            quantised.update(node.output)
        moving = sum(name not in constants for name in node.input if name)
        product = node.op_type in ('MatMul', 'Einsum') and moving > 1
        # a cast between a quantised value and its reader would keep them from being fused
        if quantised.intersection(node.input) or (
            precision == 'fp16-safe' and (node.op_type in _NORMS or product)
        ):
            single.add(node.name)
        if node.op_type in _SINGLE_ONLY:
            single.add(node.name)
    if precision == 'fp16-safe':
        single |= _between(graph, single, constants)
    return single


def metric_head(graph: Any) -> set[str]:
    """
    What follows a logarithm or exponential, and what leads to it.

    Between the last convolution or matrix product before it and the outputs.

    :param graph: onnx.GraphProto whose nodes are sorted and named.
    :returns: names of the nodes.
    """
    head: set[str] = set()
    values: set[str] = set()
    for node in graph.node:
        if node.op_type in _METRIC or values.intersection(node.input):
            head.add(node.name)
            values.update(node.output)
    return head | _leading_to(graph, head)


def _leading_to(graph: Any, names: set[str]) -> set[str]:
    """Nodes before some others, back to the last convolutions or matrix products, with these."""
    writers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    pending = [name for node in graph.node if node.name in names for name in node.input]
    while pending:
        node = writers.get(pending.pop())
        if node is None or node.name in names or node.name in found:
            continue
        found.add(node.name)
        if node.op_type not in ('Conv', 'ConvTranspose', 'MatMul', 'Gemm'):
            pending.extend(node.input)
    return found


def _between(graph: Any, single: set[str], constants: set[str]) -> set[str]:
    """Nodes between two that stay in single precision: scales, masks, parts of norms."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    writers = {name: node for node in graph.node for name in node.output}
    added: set[str] = set()
    for node in graph.node:
        if node.name in single or node.op_type in ('Conv', 'MatMul', 'Gemm'):
            continue
        before = [writers[n].name for n in node.input if n in writers and n not in constants]
        after = [item.name for name in node.output for item in readers.get(name, [])]
        known = single | added
        if known.intersection(before) and known.intersection(after):
            added.add(node.name)
    return added


def _beyond_half(model: Any) -> set[str]:
    """Nodes with a constant that half precision cannot hold."""
    onnx = need_onnx()
    bad = set()
    for item in model.graph.initializer:
        if item.data_type != onnx.TensorProto.FLOAT:
            continue
        value = np.abs(onnx.numpy_helper.to_array(item))
        lost = value.size <= _SMALL and bool(((value > 0) & (value < _HALF_TINY)).any())
        if value.size and (float(value.max()) > _HALF_LIMIT or lost):
            bad.add(item.name)
    return {node.name for node in model.graph.node if bad.intersection(node.input)}


class _Typing:
    """
    Turns nodes to half precision and puts casts where precisions meet.

    :param model: simplified; it is changed.
    :param single: names of nodes to leave alone.
    """

    def __init__(self, model: Any, single: set[str]) -> None:
        """See the class."""
        self._onnx = need_onnx()
        self._graph = model.graph
        kinds = self._onnx.TensorProto
        self._wide, self._half = kinds.FLOAT, kinds.FLOAT16
        self._float = {name for name, kind in value_types(model).items() if kind == kinds.FLOAT}
        self._constants = {i.name: i for i in self._graph.initializer if i.name in self._float}
        self._are: dict[str, bool] = {}
        self._uses: dict[str, set[bool]] = {}
        self._plan = self._decide(single)
        self._copies: dict[tuple[str, bool], str] = {}
        self._nodes: list[Any] = []

    def convert(self) -> None:
        """Rewrite the graph."""
        outputs = {value.name for value in self._graph.output}
        self._narrow_constants()
        for node in self._graph.node:
            half = self._plan[node.name]
            for k in self._tensors(node):
                node.input[k] = self._as(node.input[k], half)
            if half:
                self._retype(node)
            self._nodes.append(node)
            for k, name in enumerate(node.output):
                if half and name in outputs:
                    # what leaves the network stays in single precision, under its name
                    node.output[k] = f'{name}.half'
                    self._copies[name, True] = node.output[k]
                    self._cast(node.output[k], name, self._wide)
                    self._are[name] = False
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        del self._graph.value_info[:]

    def _decide(self, single: set[str]) -> dict[str, bool]:
        """Whether each node computes in half precision; one that moves values follows them."""
        self._are = {value.name: False for value in self._graph.input}
        plan = {}
        for node in self._graph.node:
            moved = [self._are[name] for name in node.input if name in self._are]
            half = node.name not in single and (
                all(moved) if node.op_type in _FREE and moved else self._computes(node)
            )
            plan[node.name] = half
            for k in self._tensors(node):
                if node.input[k] in self._constants:
                    self._uses.setdefault(node.input[k], set()).add(half)
            self._are.update((name, half) for name in node.output if name in self._float)
        return plan

    def _computes(self, node: Any) -> bool:
        """Whether a node has floating point values at all."""
        return any(name in self._float for name in (*node.input, *node.output))

    def _tensors(self, node: Any) -> list[int]:
        """Indices of the inputs of a node whose type follows that of the node."""
        fixed = _SCALES.get(node.op_type, ())
        return [k for k, n in enumerate(node.input) if n in self._float and k not in fixed]

    def _narrow_constants(self) -> None:
        """Turn constants; one that is used in both precisions gets a second copy."""
        fixed = {
            node.input[k]
            for node in self._graph.node
            for k in _SCALES.get(node.op_type, ())
            if k < len(node.input)
        }
        for name, item in self._constants.items():
            uses = self._uses.get(name, set())
            if True not in uses:
                continue
            if uses == {True} and name not in fixed:
                item.CopyFrom(self._halved(item, name))
                self._are[name] = True
            else:
                copy = f'{name}{SECOND}'
                self._graph.initializer.append(self._halved(item, copy))
                self._copies[name, True] = copy
                self._are[name] = False

    def _as(self, name: str, half: bool) -> str:
        """Name under which a value is to be read in a precision."""
        if self._are.get(name, False) == half:
            return name
        if (name, half) not in self._copies:
            copy = f'{name}{SECOND if half else ".single"}'
            self._copies[name, half] = copy
            self._cast(name, copy, self._half if half else self._wide)
        return self._copies[name, half]

    def _cast(self, source: str, target: str, kind: int) -> None:
        """Add a cast."""
        name = f'cast:{target}'
        self._nodes.append(self._onnx.helper.make_node('Cast', [source], [target], name, to=kind))

    def _retype(self, node: Any) -> None:
        """Turn the types that a node says itself."""
        for attribute in node.attribute:
            if node.op_type == 'Cast' and attribute.name == 'to' and attribute.i == self._wide:
                attribute.i = self._half
            if attribute.name == 'value' and attribute.t.data_type == self._wide:
                attribute.t.CopyFrom(self._halved(attribute.t, attribute.t.name))

    def _halved(self, item: Any, name: str) -> Any:
        """Copy of a tensor in half precision."""
        value = self._onnx.numpy_helper.to_array(item).astype(np.float16)
        return self._onnx.numpy_helper.from_array(value, name)
