# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import numpy as np
import pytest

from monother_ros.cli import doctor as verb
from monother_ros.cli.main import main
from monother_ros.core.bundle import load_bundle
from monother_ros.doctor import selftest as module
from monother_ros.doctor.choice import engine_choice
from monother_ros.doctor.findings import FAIL, INFO, OK
from monother_ros.doctor.selftest import latency, self_test
from monother_ros.engines import select
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine

pytest.importorskip('onnx')


@pytest.fixture
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture
def only_reference(monkeypatch):
    """ONNX Runtime alone, and few runs."""
    monkeypatch.setattr(module, 'TRIALS', (('onnxruntime', 'cpu', 'fp32'),))
    monkeypatch.setattr(module, 'RUNS', 5)


def test_measures_the_engine(bundle, only_reference):
    said = []
    section = self_test(bundle, 1, said.append)
    assert said == ['self-test of onnxruntime cpu fp32']
    (finding,) = section.findings
    assert finding.state == OK
    figures = finding.values
    assert figures['accuracy']['accepted'] and figures['accuracy']['mean'] == 0
    assert figures['latency_ms']['runs'] == 5
    assert figures['revision']['problem'] == ''
    assert figures['revision']['separate']
    assert figures['revision']['mean'] < 1e-5
    json.dumps(figures)


def test_engine_that_mixes_revisions_is_found(bundle, only_reference, monkeypatch):
    def prepare(self, following):
        self._session = OnnxRuntimeEngine(following, self.options)._session
        return OnnxRuntimeEngine(following, self.options)

    monkeypatch.setattr(OnnxRuntimeEngine, 'prepare', prepare)
    (finding,) = self_test(bundle, 1).findings
    assert finding.state == FAIL
    assert 'took the weights of the next revision' in finding.found


def test_wrong_engine_is_found(bundle, only_reference, monkeypatch):
    real = OnnxRuntimeEngine.infer
    built = []

    def infer(self, inputs):
        outputs = real(self, inputs)
        if built:
            outputs['depth'] = outputs['depth'] * np.float32(1.2)
        return outputs

    def build(bundle, name, options):
        built.append(name)
        return select.build_engine(bundle, name, options)

    monkeypatch.setattr(OnnxRuntimeEngine, 'infer', infer)
    monkeypatch.setattr(module, 'build_engine', build)
    (finding,) = self_test(bundle, 1).findings
    assert finding.state == FAIL
    assert 'depth is off by 20.00%' in finding.found
    assert 'do not use this engine' in finding.advice


def test_kinds_that_are_not_here_are_named(bundle, monkeypatch):
    monkeypatch.setattr(module, 'TRIALS', (('tensorrt', 'cuda', 'auto'),))
    kind = select.Kind('nowhere', 'Nothing', ('no_such_module',))
    monkeypatch.setitem(select.ENGINES, 'tensorrt', kind)
    states = [finding.state for finding in self_test(bundle, 1).findings]
    assert states == [INFO, FAIL]


def test_choice(bundle):
    section = engine_choice(bundle, EngineOptions(threads=1))
    found = {finding.name: finding for finding in section.findings}
    assert found['tensorrt on a GPU'].found == 'the device asked for is the CPU'
    last = section.findings[-1]
    assert last.state == OK
    assert last.found.startswith('would be taken: onnxruntime')


def test_choice_where_nothing_works(bundle, monkeypatch):
    for name in ('tensorrt', 'openvino', 'onnxruntime'):
        kind = select.Kind('nowhere', 'Nothing', (f'no_{name}',))
        monkeypatch.setitem(select.ENGINES, name, kind)
    section = engine_choice(bundle, EngineOptions(device='auto'))
    assert section.state == FAIL
    assert section.findings[-1].found == 'none works here'


def test_latency_ends_in_time(bundle):
    with OnnxRuntimeEngine(bundle, EngineOptions(threads=1)) as engine:
        found = latency(engine, 1000000, 0.05)
    assert 1 <= found['runs'] < 1000000
    assert found['median'] <= found['p95'] <= found['max']


@pytest.fixture
def quick(monkeypatch, only_reference):
    """Without the look at the machine, which other tests have."""
    monkeypatch.setattr(verb, 'installed', list)


def test_verb_writes_json_and_page(tiny_bundle, tmp_path, capsys, quick):
    command = ['doctor', '--self-test', '--no-topics', '--device', 'cpu', '--precision', 'fp32']
    assert main([*command, '--model', str(tiny_bundle), '-o', str(tmp_path / 'out')]) == 0
    text = capsys.readouterr().out
    assert 'would be taken: onnxruntime' in text
    written = json.loads((tmp_path / 'out/doctor.json').read_text())
    assert written['self_test'] and written['state'] in ('ok', 'info', 'warn')
    titles = [section['title'] for section in written['sections']]
    assert titles == [
        'Transport',
        'Engine of tiny 1',
        'Self-test with tiny 1',
        'Around the network',
    ]
    pytest.importorskip('jinja2')
    page = (tmp_path / 'out/doctor.html').read_text()
    assert 'Self-test with tiny 1' in page and 'onnxruntime cpu fp32' in page
    assert 'http' not in page


def test_verb_prints_json(tiny_bundle, capsys, quick):
    command = ['doctor', '--no-topics', '--json', '--device', 'cpu', '--model', str(tiny_bundle)]
    assert main([*command, '--precision', 'fp32']) == 0
    assert json.loads(capsys.readouterr().out)['title'] == 'monother doctor'


def test_verb_writes_text_without_jinja(tiny_bundle, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'monother_ros.evaluation.page', None)
    paths = verb.write(tmp_path, {'a': 1}, [])
    assert [path.name for path in paths] == ['doctor.json', 'doctor.txt']


def test_verb_says_that_the_model_is_missing(capsys):
    assert main(['doctor', '--model', 'nowhere/at/all']) == 1
    assert 'monother doctor: ' in capsys.readouterr().err
