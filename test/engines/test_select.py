# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import platform
import subprocess
import sys

import numpy as np
import pytest
from bundles import make_bundle

from monother_ros.core.errors import EngineError
from monother_ros.engines import select
from monother_ros.engines.base import Engine, EngineOptions, PlanOptions
from monother_ros.engines.check import Tolerance
from monother_ros.engines.openvino import has_bf16
from monother_ros.engines.quantised import is_quantised
from monother_ros.engines.select import Kind, engine_names, load_engine

pytest.importorskip('onnx')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


class Fake(Engine):
    """An engine of another kind, which works or does not."""

    name = 'tensorrt'
    error = ''

    def __init__(self, bundle, options=None):
        super().__init__(bundle, options)
        if self.error:
            raise EngineError(self.error)

    @property
    def description(self):
        return f'fake {self.options.device} {self.options.precision}'

    def infer(self, inputs):
        return {key: np.ones((1, 1, 24, 32), np.float32) for key in self.bundle.outputs}

    def close(self):
        pass


@pytest.fixture
def fake(monkeypatch):
    """TensorRT is installed."""
    kind = Kind(__name__, 'Fake', ('json',))
    monkeypatch.setattr(Fake, 'error', '')
    monkeypatch.setitem(select.ENGINES, 'tensorrt', kind)
    return Fake


@pytest.fixture
def bare(monkeypatch):
    """Neither TensorRT nor OpenVINO is installed."""
    for name in ('tensorrt', 'openvino'):
        monkeypatch.setitem(select.ENGINES, name, Kind('nowhere', 'Nothing', (f'no_{name}',)))


def test_auto_says_why(bundle):
    with load_engine(bundle) as engine:
        assert engine.name == 'onnxruntime'
        assert engine.reason.startswith('auto took onnxruntime on the CPU: it runs everywhere')
        assert 'tensorrt on a GPU: the device asked for is the CPU' in engine.reason
        assert engine.options.precision == 'fp32'


def test_name_is_obeyed(bundle):
    with load_engine(bundle, 'onnxruntime') as engine:
        assert engine.reason == 'onnxruntime was asked for'
        assert not engine.fell_back


def test_auto_passes_over_what_is_not_here(bundle, bare):
    how = EngineOptions(device='auto', precision='auto')
    with load_engine(bundle, options=how) as engine:
        assert engine.name == 'onnxruntime'
        assert 'tensorrt on a GPU: no_tensorrt is not installed' in engine.reason
        assert 'openvino on the CPU: no_openvino is not installed' in engine.reason


def test_auto_takes_tensorrt_first(bundle, fake):
    how = EngineOptions(device='auto', precision='auto')
    with load_engine(bundle, options=how) as engine:
        assert engine.description == 'fake cuda auto'
        assert engine.reason == 'auto took tensorrt on a GPU: a GPU and TensorRT are here'
    with load_engine(bundle, options=EngineOptions(device='cuda:2')) as engine:
        assert engine.description == 'fake cuda:2 fp32'


def test_tensorrt_that_fails_is_passed_over_with_its_reason(bundle, fake, monkeypatch):
    monkeypatch.setattr(fake, 'error', 'no GPU was found')
    with load_engine(bundle, options=EngineOptions(device='auto')) as engine:
        assert engine.name == 'onnxruntime'
        assert 'passed over tensorrt on a GPU: no GPU was found' in engine.reason


def test_device_that_was_asked_for_is_not_replaced(bundle, bare):
    with pytest.raises(EngineError, match='the device asked for is cuda'):
        load_engine(bundle, options=EngineOptions(device='cuda'))
    with load_engine(bundle, options=EngineOptions(device='cuda', fallback=True)) as engine:
        assert engine.options.device == 'cpu'


def test_name_falls_back_if_told_so(bundle, fake, monkeypatch):
    monkeypatch.setattr(fake, 'error', 'the GPU is lost')
    with pytest.raises(EngineError, match='the GPU is lost'):
        load_engine(bundle, 'tensorrt', EngineOptions(device='cuda'))
    how = EngineOptions(device='cuda', precision='fp16', fallback=True)
    with load_engine(bundle, 'tensorrt', how) as engine:
        assert engine.name == 'onnxruntime'
        assert engine.options.device == 'cpu'
        wanted = 'tensorrt was asked for, but fell back to onnxruntime: the GPU is lost'
        assert engine.reason == wanted
        assert engine.fell_back


def test_auto_takes_openvino_where_it_gains(bundle):
    pytest.importorskip('openvino')
    if not has_bf16() or platform.machine().lower() not in select.X86:
        pytest.skip('this CPU has no bf16')
    with load_engine(bundle, options=EngineOptions(precision='auto')) as engine:
        assert engine.name == 'openvino'
        assert engine.reason.startswith(
            'auto took openvino on the CPU: this CPU computes in bf16; passed over'
        )


def test_auto_leaves_openvino_where_it_does_not(bundle, monkeypatch):
    pytest.importorskip('openvino')
    monkeypatch.setattr('monother_ros.engines.openvino.has_bf16', lambda: False)
    with load_engine(bundle, options=EngineOptions(precision='auto')) as engine:
        assert engine.name == 'onnxruntime'
        assert 'openvino on the CPU: this CPU has no bf16' in engine.reason
    monkeypatch.setattr('platform.machine', lambda: 'aarch64')
    with load_engine(bundle, options=EngineOptions(precision='auto')) as engine:
        assert 'openvino on the CPU: aarch64 is no x86 CPU' in engine.reason


def test_auto_leaves_openvino_where_revisions_come(bundle):
    pytest.importorskip('openvino')
    how = EngineOptions(precision='auto', plan=PlanOptions(refit=True))
    with load_engine(bundle, options=how) as engine:
        assert engine.name == 'onnxruntime'
        assert 'revisions will come' in engine.reason or 'no x86' in engine.reason


def test_openvino_that_is_refused_is_passed_over(bundle):
    pytest.importorskip('openvino')
    if not has_bf16():
        pytest.skip('this CPU has no bf16')
    how = EngineOptions(precision='auto', tolerance=Tolerance(mean=1e-9))
    with load_engine(bundle, options=how) as engine:
        assert engine.name == 'onnxruntime'
        assert 'refused by the acceptance test: depth is off by' in engine.reason


def test_unknown_name(bundle):
    assert engine_names() == ('auto', 'tensorrt', 'onnxruntime', 'openvino')
    with pytest.raises(EngineError, match="'magic' is not known; use one of auto, tensorrt"):
        load_engine(bundle, 'magic')


def test_engine_that_is_not_installed(bundle, bare):
    with pytest.raises(EngineError, match='openvino cannot be imported'):
        load_engine(bundle, 'openvino')


def test_every_cause_is_named_when_nothing_works(bundle):
    broken = dataclasses.replace(bundle, outputs={'depth': 'gone'})
    with pytest.raises(EngineError, match=r"no engine can run tiny.*onnxruntime.*'gone'"):
        load_engine(broken)


def test_quantised_bundles_are_told_by_their_operators(bundle, tmp_path):
    assert not is_quantised(bundle)
    path = tmp_path / 'm'
    path.mkdir()
    moved = dataclasses.replace(bundle, path=path)
    assert not is_quantised(moved)
    (path / 'model.onnx').write_bytes(bundle.model_path.read_bytes() + b'DequantizeLinear')
    assert is_quantised(moved)


def test_run_time_never_imports_torch(bundle):
    code = (
        'import sys; import monother_ros.core.pipeline, monother_ros.engines.select as s;'
        'import monother_ros.ros.messages; from monother_ros.core.bundle import load_bundle;'
        f's.load_engine(load_bundle({str(bundle.path)!r}));'
        'sys.exit("torch" in sys.modules or "rclpy" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0
