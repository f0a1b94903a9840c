# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The vision transformer branch as a student."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import make_checkpoint
from students import make_pairs, patched

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from monother_ros.core.errors import AdaptationError  # noqa: E402
from monother_ros.learning.distiller import Distiller, DistillerSettings  # noqa: E402
from monother_ros.learning.student import PARTS, load_student  # noqa: E402
from monother_ros.networks.checkpoint import load_branch, read_checkpoint  # noqa: E402
from monother_ros.networks.convert import ConvertSettings, convert  # noqa: E402
from monother_ros.networks.onnx_export import OnnxRun  # noqa: E402

SIZE = (56, 84)


@pytest.fixture(scope='module')
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp('branch')
    checkpoint = make_checkpoint(folder / 'c.pth')
    picture = np.random.default_rng(0).integers(0, 255, (100, 120)).astype(np.uint8)

    def make(precision):
        settings = ConvertSettings(size=SIZE, precision=precision)
        found = convert(checkpoint, folder / precision, picture, 'x', settings, lambda _: None)
        return found.bundle

    return {precision: make(precision) for precision in ('fp32', 'fp16')}


def _graph(bundle):
    model = onnx.load(str(bundle.model_path))
    return {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_untrained_initialisers_are_those_of_the_graph(bundles, precision):
    found, graph = load_student(bundles[precision]).initialisers(), _graph(bundles[precision])
    assert {n.split('.')[-1] for n in set(graph) - set(found)} >= {'frozen_position'}
    assert all('frozen' in n or n.startswith('bin_') for n in set(graph) - set(found))
    for name, value in found.items():
        assert value.dtype == graph[name].dtype
        # the float32 layer norms of a fp16 graph were rounded to half precision on the way there
        near = 6e-4 if precision == 'fp16' and value.dtype == np.float32 else 0.0
        np.testing.assert_allclose(value, graph[name], rtol=near, atol=near * 1e-3, err_msg=name)
    if precision == 'fp16':
        assert {v.dtype.name for v in found.values()} == {'float16', 'float32'}


@pytest.mark.parametrize('part', PARTS)
def test_what_was_learned_reaches_onnx_runtime(bundles, tmp_path, part):
    bundle = bundles['fp32']
    student = load_student(bundle)
    x = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.AdamW(student.select(part), 3e-3)
    for _ in range(3):
        optimiser.zero_grad()
        (student.predict(x).depth.log() - 2.0).abs().mean().backward()
        optimiser.step()
    path = patched(bundle, student.initialisers(), tmp_path / 'model.onnx')
    found = OnnxRun(path)({'thermal': x.numpy()})['depth']
    with torch.no_grad():
        expected = student.predict(x).depth.numpy()
    # weights by chance enlarge rounding at single pixels
    relative = np.abs(found / expected - 1)
    assert np.quantile(relative, 0.99) < 1e-4 and relative.max() < 1e-3
    untrained = OnnxRun(bundle.model_path)({'thermal': x.numpy()})['depth']
    assert np.abs(found / untrained - 1).mean() > 1e-3
    (tmp_path / 'weights.safetensors').write_bytes(student.weights())
    again, _ = load_branch(read_checkpoint(tmp_path / 'weights.safetensors'), 'thermal')
    with torch.no_grad():
        np.testing.assert_allclose(again(x).depth.numpy(), expected, rtol=1e-4)


def test_learns_from_pairs(bundles):
    bundle = bundles['fp32']
    pairs = make_pairs(bundle)
    student = load_student(bundle)
    settings = DistillerSettings(part='head', rate=3e-3, augment=0.0)
    distiller = Distiller(student, None, settings)
    before = distiller.errors(pairs)
    for _ in range(15):
        assert distiller.step(pairs).finite
    assert distiller.errors(pairs).mean() < 0.8 * before.mean()


def test_refuses_the_rgb_branch(tmp_path):
    checkpoint = make_checkpoint(tmp_path / 'c.pth')
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    settings = ConvertSettings(branch='rgb', size=(28, 42))
    bundle = convert(checkpoint, tmp_path / 'b', picture, 'x', settings, lambda _: None).bundle
    with pytest.raises(AdaptationError, match='must be a thermal network'):
        load_student(bundle)
