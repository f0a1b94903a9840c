# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights handed over to ONNX Runtime equal those written into the model."""

from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest
from contract import apart
from revision_data import ONE_THREAD, onnx_weights, patched, run_onnx

from monother_ros.core.bundle import (
    Normalisation,
    TensorSpec,
    find_bundle,
    load_bundle,
    write_bundle,
)
from monother_ros.core.errors import EngineError
from monother_ros.core.initialisers import DATA, INITIALISERS, External
from monother_ros.core.tensor_file import write_tensors
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine

pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def lite():
    return load_bundle(find_bundle('lite'))


@pytest.fixture(scope='module')
def inputs(lite):
    return np.random.default_rng(1).normal(0, 1, lite.inputs[0].shape).astype(np.float32)


@pytest.fixture(scope='module')
def new(lite):
    """Every weight of the lite network, changed by 5 %."""
    rng = np.random.default_rng(2)
    return {
        name: (value * (1 + 0.05 * rng.normal(0, 1, value.shape))).astype(value.dtype)
        for name, value in onnx_weights(lite.model_path.read_bytes()).items()
        if name not in ('gather', 'centres', 'moments')
    }


@pytest.fixture(scope='module')
def wanted(lite, inputs, new):
    return run_onnx(patched(lite.model_path.read_bytes(), new), inputs)


def greatest(a, b):
    return max(float(np.abs(a[key] - b[key]).max()) for key in b)


def test_add_initializer_is_silently_wrong(lite, inputs, new, wanted):
    """Why that way is not taken: no error, and depth that is metres off."""
    settings = ort.SessionOptions()
    kept = [ort.OrtValue.ortvalue_from_numpy(value) for value in new.values()]
    for name, value in zip(new, kept, strict=True):
        settings.add_initializer(name, value)
    level = ort.GraphOptimizationLevel
    off = run_onnx(
        lite.model_path, inputs, settings, graph_optimization_level=level.ORT_DISABLE_ALL
    )
    assert greatest(off, wanted) < 1e-3, 'not even without optimisation: the test is wrong'
    full = run_onnx(
        lite.model_path, inputs, settings, graph_optimization_level=level.ORT_ENABLE_ALL
    )
    assert greatest(full, wanted) > 1.0


def test_external_values_equal_a_patched_model(lite, inputs, new, wanted, tmp_path):
    assert greatest(run_onnx(lite.model_path, inputs), wanted) > 1.0
    with OnnxRuntimeEngine(apart(lite, tmp_path / 'm', new), ONE_THREAD) as engine:
        assert greatest(engine.infer({'thermal': inputs}), wanted) <= 1e-6


def test_some_values_equal_a_patched_model(lite, inputs, new, tmp_path):
    some = {name: value for name, value in new.items() if name.startswith(('refine', 'edge'))}
    assert 0 < len(some) < len(new)
    reference = run_onnx(patched(lite.model_path.read_bytes(), some), inputs)
    with OnnxRuntimeEngine(apart(lite, tmp_path / 'm', some), ONE_THREAD) as engine:
        assert greatest(engine.infer({'thermal': inputs}), reference) <= 1e-6


def test_no_values_equal_the_model_itself(lite, inputs, tmp_path):
    bundle = dataclasses.replace(apart(lite, tmp_path / 'm', {}), external=External(DATA))
    with OnnxRuntimeEngine(bundle, ONE_THREAD) as engine:
        found = engine.infer({'thermal': inputs})
    assert greatest(found, run_onnx(lite.model_path, inputs)) <= 1e-6


def test_prepare_takes_a_revision_and_shares_nothing(lite, inputs, new, wanted, tmp_path):
    base = run_onnx(lite.model_path, inputs)
    with OnnxRuntimeEngine(lite, ONE_THREAD) as engine:
        following = engine.prepare(apart(lite, tmp_path / 'm', new))
        gc.collect()
        assert greatest(following.infer({'thermal': inputs}), wanted) <= 1e-6
        assert greatest(engine.infer({'thermal': inputs}), base) <= 1e-6
        with following, following.prepare(lite) as back:
            assert greatest(back.infer({'thermal': inputs}), base) <= 1e-6


@pytest.fixture(scope='module')
def half(tmp_path_factory):
    """A model in half precision with casts around it, as a ViT branch for GPUs is written."""
    from onnx import TensorProto, checker, helper, numpy_helper

    rng = np.random.default_rng(4)
    weights = {
        'a': rng.normal(0, 0.3, (8, 1, 3, 3)).astype(np.float16),
        'b': rng.normal(0, 0.1, 8).astype(np.float16),
        'c': rng.uniform(0, 0.2, (1, 8, 1, 1)).astype(np.float16),
        'offset': np.asarray(5, np.float32),
    }
    nodes = [
        helper.make_node('Cast', ['thermal'], ['x'], to=TensorProto.FLOAT16),
        helper.make_node('Conv', ['x', 'a', 'b'], ['y'], pads=[1, 1, 1, 1]),
        helper.make_node('Relu', ['y'], ['z']),
        helper.make_node('Conv', ['z', 'c'], ['w']),
        helper.make_node('Cast', ['w'], ['v'], to=TensorProto.FLOAT),
        helper.make_node('Add', ['v', 'offset'], ['depth']),
    ]
    shape = [1, 1, 16, 24]
    graph = helper.make_graph(
        nodes,
        'half',
        [helper.make_tensor_value_info('thermal', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('depth', TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    checker.check_model(model)
    return write_bundle(
        tmp_path_factory.mktemp('half') / 'm',
        model=model.SerializeToString(),
        name='half',
        revision='1',
        inputs=[TensorSpec('thermal', (1, 1, 16, 24))],
        outputs={'depth': 'depth'},
        normalisation=Normalisation('percentile', 2, 98),
        depth_range=(0.5, 80.0),
    )


@pytest.mark.parametrize('names', [('a', 'b', 'c', 'offset'), ('c',), ('offset',)])
def test_half_precision(half, tmp_path, names):
    rng = np.random.default_rng(5)
    inputs = rng.uniform(0, 1, half.inputs[0].shape).astype(np.float32)
    old = onnx_weights(half.model_path.read_bytes())
    values = {n: (old[n] * rng.uniform(0.5, 2, old[n].shape)).astype(old[n].dtype) for n in names}
    reference = run_onnx(patched(half.model_path.read_bytes(), values), inputs)
    assert greatest(reference, run_onnx(half.model_path, inputs)) > 1e-2
    with OnnxRuntimeEngine(apart(half, tmp_path / 'm', values), ONE_THREAD) as engine:
        assert greatest(engine.infer({'thermal': inputs}), reference) <= 1e-6


def rewritten(bundle, values):
    """Other replaced weights in a bundle that has been loaded."""
    write_tensors(bundle.path / INITIALISERS, values)
    return bundle


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda v: {**v, 'stranger': v['c']}, 'replaces stranger, which the network does not'),
        (lambda v: {'a': v['a'][:4]}, r'another shape .* for a \(\[4, 1, 3, 3\] float16, in the'),
        (lambda v: {'a': v['a'].astype(np.float32)}, r'or type for a .* float32, in the network'),
    ],
)
def test_values_that_do_not_fit_are_refused(half, tmp_path, change, sentence):
    values = onnx_weights(half.model_path.read_bytes())
    bundle = rewritten(apart(half, tmp_path / 'm', values), change(values))
    with pytest.raises(EngineError, match=sentence):
        OnnxRuntimeEngine(bundle, ONE_THREAD)


def test_missing_and_damaged_files_are_refused(half, tmp_path):
    values = onnx_weights(half.model_path.read_bytes())
    bundle = apart(half, tmp_path / 'm', values)
    (bundle.path / INITIALISERS).write_bytes(b'')
    with pytest.raises(EngineError, match='cut off'):
        OnnxRuntimeEngine(bundle, ONE_THREAD)
    (bundle.path / INITIALISERS).unlink()
    with pytest.raises(EngineError, match='cannot be read'):
        OnnxRuntimeEngine(bundle, ONE_THREAD)
    (bundle.path / DATA).unlink()
    plain = dataclasses.replace(bundle, external=External(DATA))
    with pytest.raises(EngineError, match='cannot be loaded by onnxruntime'):
        OnnxRuntimeEngine(plain, ONE_THREAD)
