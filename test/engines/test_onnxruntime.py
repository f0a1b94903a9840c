# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from bundles import make_bundle
from contract import EngineContract, given

from monother_ros.core.bundle import TensorSpec, load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines import onnxruntime as module
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.onnxruntime import CPU_PROVIDER, CUDA_PROVIDER, OnnxRuntimeEngine

pytest.importorskip('onnx')


class TestContract(EngineContract):
    def build(self, bundle, **options):
        return OnnxRuntimeEngine(bundle, EngineOptions(**{'threads': 1, **options}))


class TestContractAuto(EngineContract):
    """On this machine, whatever it has."""

    def build(self, bundle, **options):
        asked = {'device': 'auto', 'precision': 'auto', **options}
        return OnnxRuntimeEngine(bundle, EngineOptions(**asked))


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


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


def test_threads(bundle):
    with OnnxRuntimeEngine(bundle, EngineOptions(threads=1)) as engine:
        assert '1 thread' in engine.description
        assert engine._session.get_session_options().intra_op_num_threads == 1
        key = 'session.intra_op.allow_spinning'
        assert engine._session.get_session_options().get_session_config_entry(key) == '0'
    with OnnxRuntimeEngine(bundle, EngineOptions(warmup=False)) as engine:
        assert 1 <= engine._session.get_session_options().intra_op_num_threads <= 4


def test_precision_of_the_bundle_only(bundle):
    for precision in ('fp16', 'fp16-safe', 'bf16'):
        with pytest.raises(EngineError, match='computes as the bundle says'):
            OnnxRuntimeEngine(bundle, EngineOptions(precision=precision))


def test_reads_what_load_bundle_reads(bundle):
    with OnnxRuntimeEngine(load_bundle(bundle.path)) as engine:
        assert engine.bundle == bundle


def test_without_the_cuda_provider(bundle, monkeypatch):
    import onnxruntime as ort

    monkeypatch.setattr(ort, 'get_available_providers', lambda: [CPU_PROVIDER])
    with pytest.raises(EngineError, match=r"no CUDA provider for device 'cuda:1'; pip install"):
        OnnxRuntimeEngine(bundle, EngineOptions(device='cuda:1'))
    with OnnxRuntimeEngine(bundle, EngineOptions(device='auto')) as engine:
        assert engine.device == 'cpu'
        assert 'on the CPU' in engine.description


@pytest.fixture
def listed(monkeypatch):
    """The CUDA provider is listed as available, as its package does on machines without a GPU."""
    import onnxruntime as ort

    asked = []
    real = ort.InferenceSession

    def session(path, settings, providers):
        asked.append(providers)
        return real(path, settings, providers=[CPU_PROVIDER])

    monkeypatch.setattr(ort, 'get_available_providers', lambda: [CUDA_PROVIDER, CPU_PROVIDER])
    monkeypatch.setattr(ort, 'InferenceSession', session)
    return asked


def test_silent_fallback_to_the_cpu_is_seen(bundle, listed):
    with pytest.raises(EngineError, match=f"asked for 'cuda' and built its .* {CPU_PROVIDER}"):
        OnnxRuntimeEngine(bundle, EngineOptions(device='cuda'))
    assert listed[-1][0] == (CUDA_PROVIDER, {'device_id': 0, 'use_tf32': 0})
    with OnnxRuntimeEngine(bundle, EngineOptions(device='auto', precision='auto')) as engine:
        assert engine.device == 'cpu'
    assert listed[-1] == [(CUDA_PROVIDER, {'device_id': 0, 'use_tf32': 1}), CPU_PROVIDER]


class OnGpu:
    """A session that says that it runs on the GPU; its numbers are the CPU's times a factor."""

    factor = 1.0

    def __init__(self, session):
        self.session = session

    def get_providers(self):
        return [CUDA_PROVIDER, CPU_PROVIDER]

    def run(self, names, inputs):
        values = self.session.run(names, inputs)
        return [values[0] * np.float32(self.factor), *values[1:]]

    def __getattr__(self, name):
        return getattr(self.session, name)


def test_gpu_is_tested_before_use(bundle, listed, monkeypatch):
    import onnxruntime as ort

    plain = ort.InferenceSession
    monkeypatch.setattr(
        ort,
        'InferenceSession',
        lambda path, settings, providers: (
            plain(path, settings, providers)
            if providers == [CPU_PROVIDER]
            else OnGpu(plain(path, settings, providers))
        ),
    )
    said = []
    how = EngineOptions(device='cuda:1', precision='auto', log=said.append)
    with OnnxRuntimeEngine(bundle, how) as engine:
        assert engine.device == 'cuda:1'
        assert engine.description.endswith('on cuda:1')
        assert engine.infer(given(bundle))['depth'].size
    assert 'passes the acceptance test' in said[-1]
    monkeypatch.setattr(OnGpu, 'factor', 1.05)
    with pytest.raises(
        EngineError, match=r'refused by the acceptance test: depth is off by 5\.00%'
    ):
        OnnxRuntimeEngine(bundle, how)


def test_threads_that_are_available():
    assert module.available_threads() >= 1
