# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from bundles import make_bundle
from contract import EngineContract, apart, given
from revision_data import onnx_weights, patched, run_onnx

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines import openvino as module
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import Tolerance
from monother_ros.engines.openvino import OpenVinoEngine, has_bf16

pytest.importorskip('onnx')
pytest.importorskip('openvino')
needs_bf16 = pytest.mark.skipif(not has_bf16(), reason='this CPU has no bf16')


class TestContract(EngineContract):
    def build(self, bundle, **options):
        return OpenVinoEngine(bundle, EngineOptions(**{'threads': 1, **options}))


@needs_bf16
class TestContractBf16(EngineContract):
    rtol = 0.01

    def build(self, bundle, **options):
        return OpenVinoEngine(bundle, EngineOptions(**{'precision': 'bf16', **options}))


@pytest.fixture(scope='module')
def lite():
    return load_bundle(find_bundle('lite'))


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


def test_says_precision_and_threads(tiny):
    with OpenVinoEngine(tiny, EngineOptions(threads=1)) as engine:
        assert engine.description.endswith('on the CPU, fp32, 1 thread')


@needs_bf16
def test_auto_takes_bf16_where_it_is_accurate(lite):
    said = []
    with OpenVinoEngine(lite, EngineOptions(precision='auto', log=said.append)) as engine:
        assert engine.precision == 'bf16'
    assert 'passes the acceptance test' in said[-1]


@needs_bf16
def test_auto_goes_back_to_fp32_where_it_is_not(lite):
    said, strict = [], Tolerance(mean=1e-4)
    how = EngineOptions(precision='auto', tolerance=strict, log=said.append)
    with OpenVinoEngine(lite, how) as engine:
        assert engine.precision == 'fp32'
        assert engine.infer(given(lite))['depth'].size
    assert 'refused' in said[-1] and 'at most 0.01%' in said[-1]
    with pytest.raises(EngineError, match='refused by the acceptance test'):
        OpenVinoEngine(lite, EngineOptions(precision='bf16', tolerance=strict))


def test_bf16_is_never_forced(tiny, monkeypatch):
    monkeypatch.setattr(module, 'capabilities', lambda: frozenset({'FP32', 'INT8'}))
    with pytest.raises(EngineError, match='this CPU reports no bf16'):
        OpenVinoEngine(tiny, EngineOptions(precision='bf16'))
    with OpenVinoEngine(tiny, EngineOptions(precision='auto')) as engine:
        assert engine.precision == 'fp32'


def test_precision_and_device_it_has_not(tiny):
    with pytest.raises(EngineError, match="fp32 or bf16 on a CPU, not in 'fp16'"):
        OpenVinoEngine(tiny, EngineOptions(precision='fp16'))
    with pytest.raises(EngineError, match="not on 'cuda'"):
        OpenVinoEngine(tiny, EngineOptions(device='cuda'))


def test_weights_of_a_revision_equal_a_patched_model(lite, tmp_path):
    rng = np.random.default_rng(2)
    inputs = rng.normal(0, 1, lite.inputs[0].shape).astype(np.float32)
    model = lite.model_path.read_bytes()
    new = {
        name: (value * (1 + 0.05 * rng.normal(0, 1, value.shape))).astype(value.dtype)
        for name, value in onnx_weights(model).items()
        if name not in ('gather', 'centres', 'moments')
    }
    wanted = run_onnx(patched(model, new), inputs)['depth']
    assert np.abs(run_onnx(lite.model_path, inputs)['depth'] - wanted).max() > 1
    with OpenVinoEngine(apart(lite, tmp_path / 'm', new)) as engine:
        assert np.abs(engine.infer({'thermal': inputs})['depth'] - wanted).max() < 1e-2
