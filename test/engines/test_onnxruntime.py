# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
import pytest
from bundles import make_bundle

from monother_ros.core.bundle import TensorSpec, load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine

pytest.importorskip('onnx')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


@pytest.fixture
def engine(bundle):
    with OnnxRuntimeEngine(bundle) as engine:
        yield engine


def given(bundle, value=0.5):
    return {spec.name: np.full(spec.shape, value, spec.dtype) for spec in bundle.inputs}


def test_runs_the_network(bundle, engine):
    outputs = engine.infer(given(bundle))
    assert outputs.keys() == {'depth', 'confidence'}
    assert outputs['depth'].shape == (1, 1, 24, 32)
    assert outputs['depth'].dtype == np.float32
    np.testing.assert_allclose(outputs['depth'][0, 0, 5:-5, 5:-5], 2 + 30 * 0.5, rtol=1e-5)
    np.testing.assert_allclose(outputs['confidence'][0, 0, 5:-5, 5:-5], 1, atol=1e-5)


def test_depth_depends_on_the_input(bundle, engine):
    warm, cold = engine.infer(given(bundle, 0.9))['depth'].copy(), engine.infer(given(bundle, 0.1))
    assert (warm < cold['depth']).all()


def test_outputs_are_called_by_the_manifest(tmp_path):
    import onnx

    bundle = make_bundle(tmp_path / 'm', 8, 8)
    model = onnx.load(bundle.model_path)
    for node in model.graph.node:
        node.output[:] = ['metres' if name == 'depth' else name for name in node.output]
    model.graph.output[0].name = 'metres'
    bundle.model_path.write_bytes(model.SerializeToString())
    renamed = dataclasses.replace(bundle, outputs={'depth': 'metres', 'confidence': 'confidence'})
    with OnnxRuntimeEngine(renamed) as engine:
        assert engine.infer(given(bundle)).keys() == {'depth', 'confidence'}
    with pytest.raises(EngineError, match="has no output 'depth' for depth, only"):
        OnnxRuntimeEngine(bundle)


def test_without_confidence_and_with_three_channels(tmp_path):
    bundle = make_bundle(tmp_path / 'm', 8, 8, confidence=False, channels=3)
    with OnnxRuntimeEngine(bundle) as engine:
        assert engine.infer(given(bundle)).keys() == {'depth'}


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda x: {}, r"takes \['thermal'\], but got \[\]"),
        (lambda x: {**x, 'more': x['thermal']}, 'but got'),
        (lambda x: {'thermal': x['thermal'][:, :, :, :-1]}, r'but got \(1, 1, 24, 31\)'),
        (lambda x: {'thermal': x['thermal'].astype(np.float64)}, 'but got .* float64'),
    ],
)
def test_inputs_are_checked_against_the_bundle(bundle, engine, change, sentence):
    with pytest.raises(EngineError, match=sentence):
        engine.infer(change(given(bundle)))
    assert engine.infer(given(bundle))['depth'].size


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [
        ({'inputs': (TensorSpec('rgb', (1, 1, 24, 32)),)}, 'has inputs .*, its manifest says'),
        ({'inputs': (TensorSpec('thermal', (1, 1, 24, 30)),)}, 'its manifest says'),
        ({'inputs': (TensorSpec('thermal', (1, 1, 24, 32), 'float16'),)}, 'float16'),
        ({'outputs': {'depth': 'gone'}}, "has no output 'gone'"),
    ],
)
def test_network_is_checked_against_the_manifest(bundle, fields, sentence):
    with pytest.raises(EngineError, match=sentence):
        OnnxRuntimeEngine(dataclasses.replace(bundle, **fields))


def test_file_that_is_no_network(tmp_path, bundle):
    folder = tmp_path / 'm'
    folder.mkdir()
    (folder / 'model.onnx').write_bytes(b'nothing')
    with pytest.raises(EngineError, match='cannot be loaded by onnxruntime'):
        OnnxRuntimeEngine(dataclasses.replace(bundle, path=folder))


def test_close_is_final_and_harmless(bundle):
    engine = OnnxRuntimeEngine(bundle)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match='has been closed'):
        engine.infer(given(bundle))


def test_close_while_others_infer(bundle):
    engine, errors, done = OnnxRuntimeEngine(bundle), [], []

    def work():
        try:
            for _ in range(5000):
                assert np.isfinite(engine.infer(given(bundle))['depth']).all()
                done.append(1)
        except EngineError as err:
            errors.append(str(err))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(done) < 20:
        time.sleep(0.001)
    engine.close()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 3
    assert all('has been closed' in text for text in errors)


def test_prepare_builds_beside(bundle, engine, tmp_path):
    other = make_bundle(tmp_path / 'next', 24, 32, revision='2')
    with engine.prepare(other) as following:
        assert following.bundle.revision == '2'
        assert following.options is engine.options
        assert following.reason == engine.reason
        assert engine.infer(given(bundle))['depth'].size
        assert following.infer(given(other))['depth'].size


def test_prepare_that_fails_leaves_the_engine(bundle, engine):
    with pytest.raises(EngineError):
        engine.prepare(dataclasses.replace(bundle, outputs={'depth': 'gone'}))
    assert engine.infer(given(bundle))['depth'].size


def test_threads_and_device(bundle):
    with OnnxRuntimeEngine(bundle, EngineOptions(threads=1)) as engine:
        assert '1 thread' in engine.description
        assert engine._session.get_session_options().intra_op_num_threads == 1
        key = 'session.intra_op.allow_spinning'
        assert engine._session.get_session_options().get_session_config_entry(key) == '0'
    with OnnxRuntimeEngine(bundle, EngineOptions(warmup=False)) as engine:
        assert 1 <= engine._session.get_session_options().intra_op_num_threads <= 4
    with pytest.raises(EngineError, match="not on 'cuda'"):
        OnnxRuntimeEngine(bundle, EngineOptions(device='cuda'))


def test_reads_what_load_bundle_reads(bundle):
    with OnnxRuntimeEngine(load_bundle(bundle.path)) as engine:
        assert engine.bundle == bundle
