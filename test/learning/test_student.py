# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lite network as a student: what is trained, and how it reaches the ONNX graph."""

from __future__ import annotations

import numpy as np
import pytest
from students import lite_bundle, patched

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from monother_ros.core.bundle import load_bundle, write_bundle  # noqa: E402
from monother_ros.core.errors import AdaptationError  # noqa: E402
from monother_ros.learning.student import PARTS, load_student  # noqa: E402
from monother_ros.networks.export import load_weights  # noqa: E402
from monother_ros.networks.onnx_export import OnnxRun  # noqa: E402


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return lite_bundle(tmp_path_factory.mktemp('student') / 'small')


def _inputs(bundle, count=1):
    return torch.randn(count, *bundle.inputs[0].shape[1:], generator=_seeded())


def _seeded():
    return torch.Generator().manual_seed(5)


def _train(student, steps=3, rate=3e-3):
    parameters = [p for p in student.module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, rate)
    x = _inputs(student.bundle, 2)
    for _ in range(steps):
        optimiser.zero_grad()
        (student.predict(x).depth.log() - 2.0).abs().mean().backward()
        optimiser.step()


def _difference(student, path, bundle):
    x = _inputs(bundle)
    found = OnnxRun(path)({bundle.inputs[0].name: x.numpy()})['depth']
    with torch.no_grad():
        expected = student.predict(x).depth.numpy()
    return float(np.abs(found / expected - 1).max())


def test_untrained_initialisers_are_those_of_the_graph(bundle):
    found = load_student(bundle).initialisers()
    model = onnx.load(str(bundle.model_path))
    graph = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    assert set(graph) - set(found) == {'centres', 'moments', 'gather'}
    for name, value in found.items():
        assert value.dtype == graph[name].dtype and value.shape == graph[name].shape
        np.testing.assert_allclose(value, graph[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_shipped_student_gives_its_own_initialisers():
    bundle = load_bundle('models/lite')
    found = load_student(bundle).initialisers()
    model = onnx.load(str(bundle.model_path))
    graph = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    assert len(found) > 100
    for name, value in found.items():
        scale = np.abs(graph[name]).max()
        assert np.abs(value - graph[name]).max() <= 1e-5 * scale, name


def test_predicts_as_the_network_that_was_exported(bundle):
    student = load_student(bundle)
    x = _inputs(bundle, 2)
    with torch.no_grad():
        expected = load_weights(bundle.path / 'weights.safetensors')(x)
        found = student.predict(x)
    torch.testing.assert_close(found.depth, expected.depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('part', PARTS)
def test_what_was_learned_reaches_onnx_runtime(bundle, tmp_path, part):
    student = load_student(bundle)
    parameters = student.select(part)
    assert student.trainable_parameters() == sum(p.numel() for p in parameters) > 0
    before = _difference(student, bundle.model_path, bundle)
    _train(student)
    assert before < 1e-4
    assert _difference(student, bundle.model_path, bundle) > 1e-3
    initialisers = student.initialisers()
    path = patched(bundle, initialisers, tmp_path / 'model.onnx')
    assert _difference(student, path, bundle) < 1e-4
    if part == 'head':
        assert {name.split('.')[0] for name in initialisers} == {
            'bins',
            'detail',
            'edge',
            'weights',
        }


@pytest.mark.parametrize('part', ['all', 'adapters'])
def test_weights_are_read_back_as_the_same_network(bundle, tmp_path, part):
    student = load_student(bundle)
    student.select(part)
    _train(student)
    (tmp_path / 'weights.safetensors').write_bytes(student.weights())
    x = _inputs(bundle)
    with torch.no_grad():
        again = load_weights(tmp_path / 'weights.safetensors')(x).depth
        torch.testing.assert_close(student.predict(x).depth, again, rtol=1e-4, atol=1e-5)


def test_statistics_of_norms_never_change(bundle):
    student = load_student(bundle)
    student.select('all')
    before = {k: v.clone() for k, v in student.module.state_dict().items() if 'running' in k}
    _train(student)
    after = student.module.state_dict()
    assert before
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_goes_back_to_a_snapshot_to_the_last_bit(bundle):
    student = load_student(bundle)
    student.select('decoder')
    kept = student.snapshot()
    x = _inputs(bundle)
    with torch.no_grad():
        before = student.predict(x).depth
    _train(student)
    student.restore(kept)
    with torch.no_grad():
        assert torch.equal(student.predict(x).depth, before)
    student.select('head')
    with pytest.raises(AdaptationError, match='part'):
        student.restore(kept)


def test_adapters_are_merged_when_another_part_is_chosen(bundle, tmp_path):
    student = load_student(bundle)
    student.select('adapters')
    count = student.trainable_parameters()
    _train(student)
    x = _inputs(bundle)
    with torch.no_grad():
        before = student.predict(x).depth
    student.select('head')
    assert student.trainable_parameters() < count
    with torch.no_grad():
        torch.testing.assert_close(student.predict(x).depth, before, rtol=1e-4, atol=1e-5)
    # what the adapters did before must reach the graph as well
    path = patched(bundle, student.initialisers(), tmp_path / 'model.onnx')
    assert _difference(student, path, bundle) < 1e-4


def test_refuses_an_unknown_part_and_bundles_without_weights(bundle, tiny_bundle, tmp_path):
    with pytest.raises(AdaptationError, match='use one of head'):
        load_student(bundle).select('tail')
    with pytest.raises(AdaptationError, match=r'holds no weights\.safetensors'):
        load_student(load_bundle(tiny_bundle))
    other = write_bundle(
        tmp_path / 'other',
        model=(load_bundle(tiny_bundle).model_path).read_bytes(),
        name='other',
        revision='1',
        inputs=bundle.inputs,
        normalisation=bundle.normalisation,
        depth_range=(0.5, 80.0),
        extra_files={'weights.safetensors': (bundle.path / 'weights.safetensors').read_bytes()},
    )
    with pytest.raises(AdaptationError, match='lacks the initialisers'):
        load_student(other)
