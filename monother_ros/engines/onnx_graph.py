# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The network of a bundle as one ONNX graph that is easy to type: float32, named, constants folded.

The exporter writes shapes and paddings as small subgraphs of constants. They are computed here,
since parsers before TensorRT 10 want the bias of a convolution and the sizes of a resize as plain
values. Large weights keep their names and stay as they are; what a revision exchanges in small
tables arrives with its own graph, which is folded in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import BundleError, EngineError
from monother_ros.core.initialisers import replaced_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

FOLDED = frozenset(
    [
        'Cast',
        'Concat',
        'Constant',
        'ConstantOfShape',
        'Div',
        'Equal',
        'Expand',
        'Floor',
        'Gather',
        'Less',
        'Mul',
        'Range',
        'Reshape',
        'Shape',
        'Slice',
        'Squeeze',
        'Sub',
        'Add',
        'Transpose',
        'Unsqueeze',
        'Where',
    ]
)
"""Operators that are computed where all of their inputs are constants."""

LARGEST = 1 << 20
"""Elements of a folded constant; what is larger stays a computation."""


TABLE = 4096
"""Elements of a floating point initialiser up to which it is folded as a constant is."""


def bundle_model(bundle: Bundle) -> Any:
    """
    Network of a bundle with the weights of its revision inside.

    :param bundle: any.
    :returns: onnx.ModelProto.
    :raises EngineError: the package onnx is missing, or the weights do not fit the graph.
    """
    onnx = need_onnx()
    try:
        if bundle.external is None:
            return onnx.load_model_from_string(bundle.model_path.read_bytes())
        from monother_ros.networks.external_data import embed

        data = bundle.path / bundle.external.data
        return onnx.load_model_from_string(embed(bundle.model_path, data, replaced_values(bundle)))
    except BundleError as err:
        raise EngineError(str(err)) from err
    except Exception as err:  # protobuf raises types of its own
        msg = f'{bundle.model_path} cannot be read as ONNX: {err}; copy the bundle again'
        raise EngineError(msg) from err


def need_onnx() -> Any:
    """
    The package onnx with what is used of it.

    :raises EngineError: it is not installed.
    """
    try:
        import onnx
        import onnx.numpy_helper
        import onnx.shape_inference
    except ImportError as err:
        msg = f'building an engine needs the package onnx ({err}); pip install onnx'
        raise EngineError(msg) from err
    return onnx


def simplify(model: Any) -> Any:
    """
    Widen every tensor to float32, fold constants, and infer all types and shapes.

    :param model: onnx.ModelProto; it is changed.
    :returns: the model, without casts between floating point types.
    :raises EngineError: its shapes contradict each other, or a constant cannot be computed.
    """
    onnx = need_onnx()
    _name_nodes(model.graph)
    _widen(onnx, model.graph)
    model = _inferred(onnx, model)
    count = len(model.graph.node) + 1
    while len(model.graph.node) < count:
        # a shape that is known now may make others known
        count = len(model.graph.node)
        _plain_casts(onnx, model)
        _fold(onnx, model)
        _drop_unused(model.graph)
        model = _inferred(onnx, model)
    return model


def value_types(model: Any) -> dict[str, int]:
    """
    Element type of every value.

    :param model: onnx.ModelProto with inferred types.
    :returns: by name.
    """
    graph = model.graph
    types = {item.name: item.data_type for item in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def static_shape(value: Any) -> tuple[int, ...] | None:
    """
    Shape of a value.

    :param value: onnx.ValueInfoProto.
    :returns: None where an axis is not known.
    """
    tensor = value.type.tensor_type
    if not tensor.HasField('shape') or not all(d.HasField('dim_value') for d in tensor.shape.dim):
        return None
    return tuple(d.dim_value for d in tensor.shape.dim)


def weights(model: Any) -> dict[str, NDArray[Any]]:
    """
    Floating point initialisers.

    :param model: onnx.ModelProto, or its bytes.
    :returns: by name, in their own type.
    """
    onnx = need_onnx()
    if isinstance(model, bytes):
        model = onnx.load_model_from_string(model)
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return {
        item.name: onnx.numpy_helper.to_array(item)
        for item in model.graph.initializer
        if item.data_type in kinds
    }


def _name_nodes(graph: Any) -> None:
    """Give every node a name of its own: errors and precision are told by it."""
    seen: set[str] = set()
    for k, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            node.name = f'{node.op_type}_{k}'
        seen.add(node.name)


def _inferred(onnx: Any, model: Any) -> Any:
    """With types and shapes of all values."""
    del model.graph.value_info[:]
    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as err:  # InferenceError, and what protobuf raises
        msg = f'the shapes of the network contradict each other: {err}'
        raise EngineError(msg) from err


def _widen(onnx: Any, graph: Any) -> None:
    """Turn half precision inside of the graph into single precision."""
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for item in graph.initializer:
        if item.data_type == half:
            value = onnx.numpy_helper.to_array(item).astype(np.float32)
            item.CopyFrom(onnx.numpy_helper.from_array(value, item.name))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == 'Cast' and attribute.name == 'to' and attribute.i == half:
                attribute.i = single
            tensor = attribute.t
            if attribute.type == onnx.AttributeProto.TENSOR and tensor.data_type == half:
                value = onnx.numpy_helper.to_array(tensor).astype(np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(value))
    for value in graph.output:
        if value.type.tensor_type.elem_type == half:
            value.type.tensor_type.elem_type = single
    casts = []
    for value in graph.input:
        if value.type.tensor_type.elem_type == half:
            inner = f'{value.name}.float32'
            _rename_uses(graph, {value.name: inner})
            casts.append(onnx.helper.make_node('Cast', [value.name], [inner], inner, to=single))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    _drop_casts(onnx, graph)


def _drop_casts(onnx: Any, graph: Any) -> None:
    """Remove casts from float32 to float32, which widening leaves behind."""
    known: dict[str, int] = {i.name: i.data_type for i in graph.initializer}
    known.update({v.name: v.type.tensor_type.elem_type for v in graph.input})
    before = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
    wide = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    outputs = {v.name for v in graph.output}
    aliases: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = aliases.get(name, name)
        if node.op_type == 'Cast' and node.output[0] not in outputs:
            to = next(a.i for a in node.attribute if a.name == 'to')
            source = node.input[0]
            kind = known.get(source, before.get(source, 0))
            inner = source not in known or kind == onnx.TensorProto.FLOAT
            if to == onnx.TensorProto.FLOAT and kind in wide and inner:
                aliases[node.output[0]] = source
                continue
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _plain_casts(onnx: Any, model: Any) -> None:
    """Write the type into casts that take it from another tensor."""
    types = value_types(model)
    for node in model.graph.node:
        if node.op_type == 'CastLike' and node.input[1] in types:
            node.op_type = 'Cast'
            kind = types[node.input.pop()]
            node.attribute.append(onnx.helper.make_attribute('to', kind))


def _rename_uses(graph: Any, names: dict[str, str]) -> None:
    """Let nodes read other values."""
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = names.get(name, name)


def _fold(onnx: Any, model: Any) -> None:
    """Compute what depends on constants and shapes alone, in one run of ONNX Runtime."""
    graph = model.graph
    single = onnx.TensorProto.FLOAT
    shapes = {v.name: static_shape(v) for v in (*graph.input, *graph.value_info)}
    shapes.update({item.name: tuple(item.dims) for item in graph.initializer})
    # large weights are learned; what is made of them stays a computation
    plain = {
        item.name: item
        for item in graph.initializer
        if item.data_type != single or int(np.prod(item.dims, dtype=np.int64)) <= TABLE
    }
    constant, folded, rest, added = set(plain), [], [], []
    for node in graph.node:
        name = node.input[0] if node.input else ''
        if node.op_type == 'Shape' and shapes.get(name) is not None:
            part = {a.name: a.i for a in node.attribute}
            value = np.array(shapes[name], np.int64)[part.get('start', 0) : part.get('end')]
            added.append(onnx.numpy_helper.from_array(value, node.output[0]))
            constant.add(node.output[0])
        elif _can_fold(node, constant, shapes):
            folded.append(node)
            constant.update(node.output)
        else:
            rest.append(node)
    del graph.node[:]
    graph.node.extend(rest)
    graph.initializer.extend(added)
    if not folded:
        return
    used = {name for node in rest for name in node.input}
    used.update(value.name for value in graph.output)
    made = {name for node in folded for name in node.output}
    wanted = sorted(used & made)
    if wanted:
        values = _compute(onnx, model, folded, [*plain.values(), *added], wanted)
        graph.initializer.extend(onnx.numpy_helper.from_array(v, n) for n, v in values.items())


def _can_fold(node: Any, constant: set[str], shapes: dict[str, Any]) -> bool:
    """Whether a node is one of constants and gives something small."""
    if node.op_type not in FOLDED or not all(n in constant for n in node.input if n):
        return False
    sizes = [shapes.get(name) for name in node.output]
    return all(s is None or int(np.prod(s, dtype=np.int64)) <= LARGEST for s in sizes)


def _compute(
    onnx: Any, model: Any, nodes: list[Any], constants: list[Any], wanted: list[str]
) -> dict[str, NDArray[Any]]:
    """Values of a graph that has no inputs."""
    import onnxruntime as ort

    types = value_types(model)
    outputs = [onnx.helper.make_tensor_value_info(n, types.get(n, 1), None) for n in wanted]
    graph = onnx.helper.make_graph(nodes, 'constants', [], outputs, constants)
    small = onnx.helper.make_model(graph, opset_imports=model.opset_import)
    small.ir_version = model.ir_version
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(
            small.SerializeToString(), options, providers=['CPUExecutionProvider']
        )
        return dict(zip(wanted, session.run(wanted, {}), strict=True))
    except Exception as err:  # ONNX Runtime raises many types of its own
        msg = f'the constants of the network cannot be computed: {err}'
        raise EngineError(msg) from err


def _drop_unused(graph: Any) -> None:
    """Remove nodes and initialisers that lead nowhere."""
    used = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if used.intersection(node.output):
            used.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
