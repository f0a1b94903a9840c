# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
onnx = pytest.importorskip('onnx', reason='onnx is not installed')

from torch import nn  # noqa: E402

from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.networks import onnx_export  # noqa: E402
from monother_ros.networks.onnx_export import OnnxRun, check_graph, to_onnx  # noqa: E402


class Small(nn.Module):
    """A linear layer, whose weight the exporter's optimiser would rename, and a clamp."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 5)

    def forward(self, x):
        y = self.inner(x)
        return y.clamp(-0.5, 0.5), y.sum(1, keepdim=True)


@pytest.fixture(scope='module')
def exported():
    torch.manual_seed(0)
    network = Small().eval()
    example = torch.randn(4, 6)
    model = to_onnx(network, example, 'x', ['a', 'b'], lambda n: n.replace('inner', 'official'))
    return network, example, model


def test_numbers_names_and_operators(exported):
    network, example, model = exported
    check_graph(model)
    found = OnnxRun(model.SerializeToString())({'x': example.numpy()})
    assert list(found) == ['a', 'b']
    for value, expected in zip(found.values(), network(example), strict=True):
        np.testing.assert_allclose(value, expected.detach().numpy(), atol=1e-6)
    assert {i.name for i in model.graph.initializer} >= {'official.weight', 'official.bias'}
    assert [(o.domain, o.version) for o in model.opset_import] == [('', 17)]
    kinds = {node.op_type for node in model.graph.node}
    assert 'CastLike' not in kinds and 'Clip' in kinds
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_file_is_checked_like_what_is_in_memory(exported, tmp_path):
    _, _, model = exported
    path = tmp_path / 'm.onnx'
    path.write_bytes(model.SerializeToString())
    check_graph(path)
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    broken.graph.node[-1].op_type = 'NoSuchOperator'
    path.write_bytes(broken.SerializeToString())
    for item in (broken, path):
        with pytest.raises(BundleError, match='not valid ONNX'):
            check_graph(item)


def test_networks_above_the_limit_of_one_file_are_refused(monkeypatch):
    monkeypatch.setattr(onnx_export, 'LIMIT', 100)
    with pytest.raises(BundleError, match='--precision fp16'):
        to_onnx(Small(), torch.randn(4, 6), 'x', ['a', 'b'])


def test_what_opset_17_does_not_have_is_told():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(1)

    with pytest.raises(BundleError, match='not 17'):
        to_onnx(Mean().eval(), torch.randn(4, 6), 'x', ['a'])
