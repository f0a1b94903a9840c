# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
onnx = pytest.importorskip('onnx', reason='onnx is not installed')

from monother_ros.core.bundle import Normalisation, load_bundle  # noqa: E402
from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.engines.select import load_engine  # noqa: E402
from monother_ros.networks.export import WEIGHTS, export_bundle, load_weights  # noqa: E402
from monother_ros.networks.lite import LiteConfig, LiteNetwork  # noqa: E402


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A network whose batch norms have seen data, and its bundle at a small size."""
    torch.manual_seed(2)
    network = LiteNetwork(LiteConfig(far=100.0)).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 1, 64, 96))
    bundle = export_bundle(
        network,
        tmp_path_factory.mktemp('models') / 'small',
        revision='test-1',
        normalisation=Normalisation('percentile', 2.0, 98.0, 0.5, 0.25),
        depth_range=(0.5, 80.0),
        focal_length=260.0,
        training={'data': 'none'},
        metrics={},
        width=96,
        height=64,
    )
    return network.eval(), bundle


def test_engine_agrees_with_torch(exported):
    network, bundle = exported
    image = np.random.default_rng(3).normal(0, 1, (1, 1, 64, 96)).astype(np.float32)
    outputs = load_engine(load_bundle(bundle.path)).infer({'thermal': image})
    with torch.inference_mode():
        expected = network(torch.from_numpy(image))
    np.testing.assert_allclose(outputs['depth'], expected.depth.numpy(), rtol=2e-4)
    np.testing.assert_allclose(outputs['confidence'], expected.confidence.numpy(), atol=2e-4)


def test_graph_is_fit_for_every_engine(exported):
    _, bundle = exported
    model = onnx.load(bundle.model_path)
    assert {(o.domain, o.version) for o in model.opset_import} == {('', 17)}
    for value in (*model.graph.input, *model.graph.output):
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        assert shape == [1, 1, 64, 96], value.name
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {'BatchNormalization', 'Softmax', 'Pad', 'If', 'Loop'}
    assert not model.functions


def test_parameters_keep_their_names(exported):
    network, bundle = exported
    initialisers = {item.name for item in onnx.load(bundle.model_path).graph.initializer}
    convolutions = {n for n, p in network.named_parameters() if p.ndim == 4}
    assert convolutions <= initialisers
    assert 'encoder.stem.conv.bias' in initialisers  # where the batch norm went


def test_weights_come_back(exported):
    network, bundle = exported
    again = load_weights(bundle.path / WEIGHTS)
    assert again.config == network.config
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_other_weights_are_refused(tmp_path):
    (tmp_path / 'weights.safetensors').write_bytes(b'not weights')
    with pytest.raises(BundleError, match='no weights of the lite network'):
        load_weights(tmp_path / 'weights.safetensors')
    with pytest.raises(BundleError, match='no weights of the lite network'):
        load_weights(tmp_path / 'missing.safetensors')
