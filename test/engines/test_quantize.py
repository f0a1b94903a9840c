# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs of Q/DQ where TensorRT looks for them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
ort = pytest.importorskip('onnxruntime')

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from monother_ros.core.bundle import Normalisation, TensorSpec, write_bundle  # noqa: E402
from monother_ros.core.errors import EngineError  # noqa: E402
from monother_ros.engines.onnx_precision import typed_model  # noqa: E402
from monother_ros.engines.quantize import QuantizeSettings, quantize  # noqa: E402

SHAPE = (1, 1, 8, 16)


def network():
    """Linear layers in each form that exporters write, then an exponential as the metric head."""
    rng = np.random.default_rng(0)
    make = helper.make_node

    # larger than what is folded as a table
    def weight(name, *shape):
        value = rng.normal(0, 0.3, shape) * np.linspace(0.1, 3, shape[0])[:, None]
        return numpy_helper.from_array(value.astype(np.float32), name)

    nodes = [
        make('MatMul', ['x', 'plain'], ['a'], 'plain product'),
        make('Transpose', ['turned'], ['t'], 'turn', perm=[1, 0]),
        make('MatMul', ['a', 't'], ['b'], 'turned product'),
        make('Relu', ['b'], ['c'], 'relu'),
        make('Reshape', ['c', 'flat'], ['d'], 'flatten'),
        make('Gemm', ['d', 'rows', 'bias'], ['e'], 'gemm', transB=1),
        make('MatMul', ['e', 'last'], ['f'], 'before the head'),
        make('Exp', ['f'], ['g'], 'exp'),
        make('Reshape', ['g', 'back'], ['depth'], 'unflatten'),
    ]
    constants = [
        weight('plain', 16, 24),
        weight('turned', 200, 24),
        weight('rows', 20, 200),
        weight('last', 20, 16),
        numpy_helper.from_array(np.zeros(20, np.float32), 'bias'),
        numpy_helper.from_array(np.array([8, 200]), 'flat'),
        numpy_helper.from_array(np.array(SHAPE), 'back'),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        'linear',
        [info('x', TensorProto.FLOAT, SHAPE)],
        [info('depth', TensorProto.FLOAT, SHAPE)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    return model.SerializeToString()


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return write_bundle(
        tmp_path_factory.mktemp('linear') / 'linear',
        model=network(),
        name='linear',
        revision='1',
        inputs=[TensorSpec('x', SHAPE)],
        outputs={'depth': 'depth'},
        normalisation=Normalisation('fixed', 0, 1),
        depth_range=(0.5, 80.0),
    )


def frames(count=8):
    rng = np.random.default_rng(1)
    return [rng.normal(0, 0.1, SHAPE).astype(np.float32) for _ in range(count)]


def run(content, value):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    return session.run(['depth'], {'x': value})[0]


@pytest.mark.parametrize('method', ['percentile', 'entropy'])
def test_each_form_of_a_linear_layer_is_quantised_by_its_output_channels(bundle, method):
    result = quantize(bundle, frames(), QuantizeSettings(method))
    assert set(result.nodes) == {'plain product', 'turned product', 'gemm'}
    model = onnx.load_model_from_string(result.content)
    onnx.checker.check_model(model, full_check=True)
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    axes = {}
    for node in model.graph.node:
        if node.op_type == 'QuantizeLinear' and node.input[0] in constants:
            (axis,) = (a.i for a in node.attribute if a.name == 'axis')
            weight, scale = constants[node.input[0]], constants[node.input[1]]
            assert scale.shape == (weight.shape[axis],)
            others = tuple(k for k in range(weight.ndim) if k != axis)
            assert np.allclose(scale * 127, np.abs(weight).max(axis=others), rtol=1e-5)
            axes[node.input[0]] = axis
    assert axes == {'plain': 1, 'turned': 0, 'rows': 0}
    for value in frames(2):
        wanted, found = run(network(), value), run(result.content, value)
        # the network ends in an exponential
        wanted, found = np.log(wanted), np.log(found)
        limit = 0.05 if method == 'percentile' else 0.3
        assert np.abs(found - wanted).mean() < limit * wanted.std()


def test_nodes_can_be_kept(bundle):
    settings = QuantizeSettings(keep=('gemm', 'turned product'))
    assert quantize(bundle, frames(2), settings).nodes == ('plain product',)


def test_in_half_precision_nothing_comes_between_a_pair_and_its_layer(bundle):
    result = quantize(bundle, frames(2))
    typed = typed_model(onnx.load_model_from_string(result.content), 'fp16')
    assert typed.int8
    assert set(result.nodes) <= set(typed.float32_nodes)
    model = onnx.load_model_from_string(typed.content)
    onnx.checker.check_model(model, full_check=True)
    writers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.name in result.nodes:
            assert writers[node.input[0]].op_type == 'DequantizeLinear'
            assert writers[node.input[1]].op_type in ('DequantizeLinear', 'Transpose')


def test_what_cannot_be_quantised_is_told(bundle, tmp_path):
    with pytest.raises(EngineError, match='no frames'):
        quantize(bundle, [])
    with pytest.raises(EngineError, match='calibration'):
        QuantizeSettings('best')
    with pytest.raises(EngineError, match='percentile'):
        QuantizeSettings(percentile=10)
    with pytest.raises(EngineError, match='no Conv, MatMul, Gemm'):
        quantize(
            bundle,
            frames(1),
            QuantizeSettings(keep=('plain product', 'turned product', 'gemm')),
        )
