# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os

import numpy as np
import pytest
from bundles import make_onnx
from revision_data import onnx_weights, run_onnx

onnx = pytest.importorskip('onnx')

from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.core.tensor_file import read_tensors  # noqa: E402
from monother_ros.networks import external_data  # noqa: E402
from monother_ros.networks.external_data import embed, externalise  # noqa: E402


@pytest.fixture
def model(tmp_path):
    path = tmp_path / 'whole.onnx'
    path.write_bytes(make_onnx(16, 24))
    return path


@pytest.fixture
def parts(model, tmp_path):
    graph, data = tmp_path / 'model.onnx', tmp_path / 'model.data'
    externalise(model, graph, data)
    return graph, data


def test_graph_and_weights_apart_are_valid_onnx(model, parts):
    graph = parts[0]
    onnx.checker.check_model(str(graph), full_check=True)
    loaded = onnx.load(graph)
    for item in loaded.graph.initializer:
        np.testing.assert_array_equal(
            onnx.numpy_helper.to_array(item), onnx_weights(model.read_bytes())[item.name]
        )
    assert not any(
        item.HasField('raw_data')
        for item in onnx.load(graph, load_external_data=False).graph.initializer
    )
    inputs = np.random.default_rng(0).uniform(0, 1, (1, 1, 16, 24)).astype(np.float32)
    for key, value in run_onnx(model, inputs).items():
        np.testing.assert_array_equal(run_onnx(graph, inputs)[key], value)


def test_the_file_of_weights_is_a_tensor_file(model, parts):
    found = read_tensors(parts[1])
    wanted = onnx_weights(model.read_bytes())
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_whole_numbers_stay_in_the_graph(tmp_path):
    proto = onnx.load_from_string(make_onnx(16, 24))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1, 2]), 'sizes'))
    (tmp_path / 'm').write_bytes(proto.SerializeToString())
    externalise(tmp_path / 'm', tmp_path / 'g', tmp_path / 'd')
    graph = onnx.load(tmp_path / 'g', load_external_data=False)
    here = [i.name for i in graph.graph.initializer if i.data_location != 1]
    assert here == ['sizes']
    assert 'sizes' not in read_tensors(tmp_path / 'd')


def test_embedded_again_it_is_the_model_it_was(model, parts):
    again = onnx.load_from_string(embed(*parts))
    assert again == onnx.load(model)


def test_embedded_with_new_values(parts, tmp_path):
    new = {'farthest': np.asarray(50, np.float32)}
    whole = embed(*parts, new)
    values = onnx_weights(whole)
    assert values['farthest'] == 50
    assert values['minus_span'] == -30
    inputs = np.full((1, 1, 16, 24), 0.5, np.float32)
    assert run_onnx(whole, inputs)['depth'][0, 0, 8, 8] == pytest.approx(35)


def test_embedding_reads_weights_with_several_names(parts, tmp_path):
    """As revisions have them; onnx itself refuses such files."""
    folder = tmp_path / 'other'
    folder.mkdir()
    for path in parts:
        os.link(path, folder / path.name)
    assert embed(folder / 'model.onnx', folder / 'model.data') == embed(*parts)


@pytest.mark.parametrize(
    ('new', 'sentence'),
    [
        ({'gone': np.zeros(1, np.float32)}, 'replaces gone, which the network does not have'),
        ({'kernel': np.zeros(3, np.float32)}, r'shape or type for kernel \(\[3\] float32'),
    ],
)
def test_values_that_do_not_fit(parts, new, sentence):
    with pytest.raises(BundleError, match=sentence):
        embed(*parts, new)


def test_what_cannot_be_divided(model, parts, tmp_path, monkeypatch):
    with pytest.raises(BundleError, match='in another file already'):
        externalise(parts[0], tmp_path / 'g', tmp_path / 'd')
    with pytest.raises(BundleError, match='must lie in one folder'):
        externalise(model, tmp_path / 'a/g', tmp_path / 'b/d')
    (tmp_path / 'x').write_bytes(b'nothing of this kind')
    with pytest.raises(BundleError, match='is no ONNX file'):
        externalise(tmp_path / 'x', tmp_path / 'g', tmp_path / 'd')
    proto = onnx.load(model)
    del proto.graph.initializer[:]
    (tmp_path / 'x').write_bytes(proto.SerializeToString())
    with pytest.raises(BundleError, match='no floating point weights'):
        externalise(tmp_path / 'x', tmp_path / 'g', tmp_path / 'd')
    monkeypatch.setattr(external_data, 'LIMIT', 10)
    with pytest.raises(BundleError, match='that fit into one ONNX file'):
        embed(*parts)
