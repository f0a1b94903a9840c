# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks in another precision say the same within what that precision can hold."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
ort = pytest.importorskip('onnxruntime')

import cv2  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from monother_ros.core.bundle import (  # noqa: E402
    Normalisation,
    TensorSpec,
    find_bundle,
    load_bundle,
    write_bundle,
)
from monother_ros.core.errors import EngineError  # noqa: E402
from monother_ros.core.initialisers import DATA, INITIALISERS, External  # noqa: E402
from monother_ros.core.tensor_file import write_tensors  # noqa: E402
from monother_ros.engines.onnx_graph import bundle_model, simplify, weights  # noqa: E402
from monother_ros.engines.onnx_precision import (  # noqa: E402
    PRECISIONS,
    SECOND,
    typed_model,
    typed_onnx,
)

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def run(content, *inputs):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    names = [item.name for item in session.get_outputs()]
    feeds = {item.name: value for item, value in zip(session.get_inputs(), inputs, strict=True)}
    return dict(zip(names, session.run(names, feeds), strict=True))


def warm(shape, seed=0):
    """Smooth texture, as a normalised thermal picture has it."""
    rng = np.random.default_rng(seed)
    small = rng.normal(0, 1, (shape[2] // 16, shape[3] // 16)).astype(np.float32)
    large = cv2.resize(small, (shape[3], shape[2]))[None, None]
    return (large + 0.1 * rng.normal(0, 1, shape)).astype(np.float32)


def checked(content):
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.fixture(scope='module')
def lite():
    return load_bundle(find_bundle('lite'))


@pytest.fixture(scope='module')
def expected(lite):
    return run(lite.model_path.read_bytes(), warm(lite.inputs[0].shape))


def test_constants_are_folded_and_weights_keep_names_and_values(lite):
    raw = bundle_model(lite)
    before = weights(raw.SerializeToString())
    model = simplify(raw)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {'Constant', 'Cast', 'CastLike', 'Shape', 'Range'}
    assert len(model.graph.node) < 300
    after = weights(model)
    learned = [name for name in before if '.' in name]
    assert len(learned) > 100
    for name in learned:
        assert np.array_equal(after[name], before[name]), name
    # parsers before TensorRT 10 want weights and biases of convolutions as plain values
    constants = {item.name for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ('Conv', 'Resize'):
            assert constants.issuperset(filter(None, node.input[1:])), node.name


@pytest.mark.parametrize('precision', PRECISIONS)
def test_lite_says_the_same(lite, expected, precision):
    typed = typed_onnx(lite, precision)
    checked(typed.content)
    found = run(typed.content, warm(lite.inputs[0].shape))
    limit = 1e-5 if precision == 'fp32' else 1e-3
    error = np.abs(found['depth'] - expected['depth']) / expected['depth']
    assert error.mean() < limit, error.mean()
    assert np.percentile(error, 99) < 5 * limit
    assert np.abs(found['confidence'] - expected['confidence']).mean() < limit
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    half = len(typed.content) < 0.6 * lite.model_path.stat().st_size
    assert half == typed.half == (precision != 'fp32')


def test_the_metric_head_stays_in_single_precision(lite):
    typed = typed_onnx(lite, 'fp16')
    model = checked(typed.content)
    kept = {node.op_type for node in model.graph.node if node.name in typed.float32_nodes}
    assert {'Exp', 'Div'} <= kept
    share = sum(n.op_type == 'Conv' and n.name in typed.float32_nodes for n in model.graph.node)
    assert 0 < share < 15


def test_many_turns_of_an_angle_stay_in_single_precision():
    # as the encoding of metres: a convolution, then waves of half a metre up to 100 m
    kernel = np.full((1, 1, 1, 1), 2 * np.pi / 0.5, np.float32)
    nodes = [
        helper.make_node('Relu', ['metres'], ['known'], 'relu'),
        helper.make_node('Mul', ['known', 'wave'], ['angle'], 'angle'),
        helper.make_node('Sin', ['angle'], ['sine'], 'sine'),
        helper.make_node('Conv', ['sine', 'one'], ['out'], 'conv'),
    ]
    spec = [helper.make_tensor_value_info(name, FLOAT, [1, 1, 8, 8]) for name in ('metres', 'out')]
    weights = [
        numpy_helper.from_array(value, name)
        for name, value in (('wave', kernel), ('one', np.ones_like(kernel)))
    ]
    graph = helper.make_graph(nodes, 'waves', spec[:1], spec[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    metres = np.linspace(1, 99, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    typed = typed_model(model, 'fp16')
    assert {'relu', 'angle', 'sine'} <= set(typed.float32_nodes) and typed.half
    assert 'conv' not in typed.float32_nodes
    found = run(typed.content, metres)['out']
    assert np.abs(found - np.sin(metres * kernel)).max() < 2e-3


def test_weights_that_a_revision_replaces_are_in_the_file(lite, tmp_path):
    from monother_ros.networks.external_data import externalise

    name, value = next(
        (k, v) for k, v in weights(bundle_model(lite)).items() if k.endswith('.weight')
    )
    bundle = write_bundle(
        tmp_path / 'next',
        model=lambda path: externalise(lite.model_path, path, path.parent / DATA),
        name=lite.name,
        revision='next',
        inputs=lite.inputs,
        outputs=lite.outputs,
        normalisation=lite.normalisation,
        depth_range=lite.depth_range,
        extra_files={
            DATA: lambda path: None,
            INITIALISERS: lambda path: write_tensors(path, {name: 2 * value}),
        },
        external=External(DATA, INITIALISERS),
    )
    assert np.array_equal(weights(typed_onnx(bundle, 'fp32').content)[name], 2 * value)
    half = weights(typed_onnx(bundle, 'fp16').content)[name]
    assert half.dtype == np.float16
    assert np.allclose(half, 2 * value, rtol=1e-3, atol=1e-6)


def tensor(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def model_of(nodes, constants, inputs, outputs, opset=17):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        'made',
        [info(name, kind, shape) for name, kind, shape in inputs],
        [info(name, kind, shape) for name, kind, shape in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)])
    model.ir_version = 8
    return model


def attention(embed=32, count=12):
    """One block: norm, softmax(x x^T) x, a linear layer with a residual."""
    rng = np.random.default_rng(1)
    make = helper.make_node
    nodes = [
        make('LayerNormalization', ['x', 'gain', 'shift'], ['norm'], 'norm', axis=-1),
        make('Transpose', ['norm'], ['keys'], 'keys', perm=[0, 2, 1]),
        make('MatMul', ['norm', 'keys'], ['scores'], 'product'),
        make('Mul', ['scores', 'scale'], ['scaled'], 'scaling'),
        make('Softmax', ['scaled'], ['share'], 'softmax', axis=-1),
        make('MatMul', ['share', 'norm'], ['mixed'], 'mix'),
        make('MatMul', ['mixed', 'weight'], ['linear'], 'linear'),
        make('Add', ['linear', 'x'], ['y'], 'residual'),
    ]
    constants = [
        tensor('gain', np.ones(embed, np.float32)),
        tensor('shift', np.zeros(embed, np.float32)),
        tensor('scale', np.float32(embed**-0.5)),
        tensor('weight', rng.normal(0, 0.1, (embed, embed)).astype(np.float32)),
    ]
    shape = [1, count, embed]
    return model_of(nodes, constants, [('x', FLOAT, shape)], [('y', FLOAT, shape)])


def test_safe_half_precision_keeps_attention_and_norms():
    plain, safe = (typed_model(attention(), p) for p in ('fp16', 'fp16-safe'))
    assert plain.float32_nodes == ()
    assert set(safe.float32_nodes) == {'norm', 'keys', 'product', 'scaling', 'softmax', 'mix'}
    x = np.random.default_rng(2).normal(0, 1, (1, 12, 32)).astype(np.float32)
    wanted = run(attention().SerializeToString(), x)['y']
    for typed in (plain, safe):
        checked(typed.content)
        assert np.abs(run(typed.content, x)['y'] - wanted).max() < 0.01


def test_a_scale_that_half_precision_cannot_hold_stays_single():
    nodes = [
        helper.make_node('Mul', ['x', 'huge'], ['large'], 'enlarge'),
        helper.make_node('Mul', ['large', 'tiny'], ['small'], 'shrink'),
        helper.make_node('Add', ['small', 'guard'], ['y'], 'guarded'),
    ]
    constants = [
        tensor('huge', np.float32(1e6)),
        tensor('tiny', np.float32(1e-6)),
        tensor('guard', np.float32(1e-9)),
    ]
    model = model_of(nodes, constants, [('x', FLOAT, [4])], [('y', FLOAT, [4])])
    typed = typed_model(model, 'fp16')
    assert set(typed.float32_nodes) == {'enlarge', 'guarded'} | {'shrink'} & set(
        typed.float32_nodes
    )
    x = np.array([0.5, 1, 2, 3], np.float32)
    assert np.isfinite(run(typed.content, x)['y']).all()


def test_a_weight_that_both_precisions_use_has_two_copies():
    nodes = [
        helper.make_node('Conv', ['x', 'w'], ['a'], 'first'),
        helper.make_node('Conv', ['a', 'w'], ['b'], 'second'),
        helper.make_node('Exp', ['b'], ['y'], 'exp'),
    ]
    w = np.full((1, 1, 1, 1), 0.3, np.float32)
    shape = [1, 1, 4, 4]
    model = model_of(nodes, [tensor('w', w)], [('x', FLOAT, shape)], [('y', FLOAT, shape)])
    typed = typed_model(model, 'fp16')
    assert set(typed.float32_nodes) == {'second', 'exp'}
    found = weights(typed.content)
    assert {name: value.dtype.name for name, value in found.items()} == {
        'w': 'float32',
        f'w{SECOND}': 'float16',
    }
    x = np.ones(shape, np.float32)
    assert np.allclose(run(typed.content, x)['y'], np.exp(0.09), rtol=1e-3)


def test_outputs_that_are_read_again_and_resizes_keep_their_types():
    nodes = [
        helper.make_node('Relu', ['x'], ['y'], 'relu'),
        helper.make_node('Resize', ['y', '', 'scales'], ['z'], 'resize', mode='linear'),
    ]
    scales = tensor('scales', np.array([1, 1, 2, 2], np.float32))
    shape, twice = [1, 1, 4, 4], [1, 1, 8, 8]
    model = model_of(
        nodes, [scales], [('x', FLOAT, shape)], [('y', FLOAT, shape), ('z', FLOAT, twice)]
    )
    typed = typed_model(model, 'fp16')
    assert weights(typed.content)['scales'].dtype == np.float32
    checked(typed.content)
    x = np.arange(-8, 8, dtype=np.float32).reshape(shape)
    assert np.array_equal(run(typed.content, x)['y'], np.maximum(x, 0))


def test_a_network_in_half_precision_is_typed_anew(tmp_path):
    nodes = [
        helper.make_node('Cast', ['x'], ['h'], 'down', to=HALF),
        helper.make_node('Conv', ['h', 'w'], ['c'], 'conv', pads=[1, 1, 1, 1]),
        helper.make_node('Cast', ['c'], ['depth'], 'up', to=FLOAT),
    ]
    w = np.random.default_rng(0).normal(0, 0.1, (1, 1, 3, 3)).astype(np.float16)
    shape = (1, 1, 8, 8)
    model = model_of(
        nodes, [tensor('w', w)], [('x', FLOAT, list(shape))], [('depth', FLOAT, list(shape))]
    )
    bundle = write_bundle(
        tmp_path / 'half',
        model=model.SerializeToString(),
        name='half',
        revision='1',
        inputs=[TensorSpec('x', shape)],
        normalisation=Normalisation('fixed', 0, 1),
        depth_range=(0.5, 80.0),
        outputs={'depth': 'depth'},
    )
    single = checked(typed_onnx(bundle, 'fp32').content)
    assert weights(single)['w'].dtype == np.float32
    assert sum(node.op_type == 'Conv' for node in single.graph.node) == 1
    half = typed_onnx(bundle, 'fp16')
    assert np.array_equal(weights(half.content)['w'], w)
    x = warm((1, 1, 32, 32))[..., :8, :8].copy()
    a, b = (run(content, x)['depth'] for content in (single.SerializeToString(), half.content))
    assert np.abs(a - b).max() < 1e-2


def test_half_precision_inputs_keep_their_type():
    nodes = [helper.make_node('Relu', ['x'], ['y'], 'relu')]
    model = model_of(nodes, [], [('x', HALF, [4])], [('y', HALF, [4])])
    for precision in PRECISIONS:
        typed = typed_model(onnx.load_model_from_string(model.SerializeToString()), precision)
        checked(typed.content)
        found = run(typed.content, np.array([-1, 0, 1, 2], np.float16))['y']
        assert found.dtype == np.float32
        assert found.tolist() == [0, 0, 1, 2]


def test_unknown_precisions_and_files_are_refused(lite, tmp_path):
    with pytest.raises(EngineError, match='fp8'):
        typed_onnx(lite, 'fp8')
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'model.onnx').write_bytes(b'no onnx at all')
    from dataclasses import replace

    with pytest.raises(EngineError, match='cannot be read as ONNX'):
        typed_onnx(replace(lite, path=broken), 'fp32')
