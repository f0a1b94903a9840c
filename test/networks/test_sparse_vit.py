# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two transformers for thermal picture and sparse depth, from network to pipeline."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
onnx = pytest.importorskip('onnx', reason='onnx is not installed')

from sparse_vit_bundle import make_sparse_vit, make_sparse_vit_bundle  # noqa: E402

from monother_ros.core.bundle import load_bundle  # noqa: E402
from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.core.pipeline import (  # noqa: E402
    Pipeline,
    PipelineSettings,
    ThermalFrame,
    Wanted,
)
from monother_ros.core.range_points import RangePoints  # noqa: E402
from monother_ros.core.scale_arbiter import ScaleSettings  # noqa: E402
from monother_ros.engines.onnx_precision import typed_onnx  # noqa: E402
from monother_ros.engines.select import load_engine  # noqa: E402
from monother_ros.networks.adapter_export import export_sparse_vit_onnx  # noqa: E402
from monother_ros.networks.onnx_export import OnnxRun  # noqa: E402
from monother_ros.networks.sparse_vit import DeployedSparseVit  # noqa: E402

SIZE = (56, 84)


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A network that listens to points, and its bundle."""
    network = make_sparse_vit()
    folder = tmp_path_factory.mktemp('models') / 'vit'
    return network, make_sparse_vit_bundle(network, folder, SIZE)


def _inputs(count=300, seed=3):
    rng = np.random.default_rng(seed)
    sparse = np.zeros((1, 1, *SIZE), np.float32)
    places = rng.choice(sparse.size, count, replace=False)
    sparse.ravel()[places] = rng.uniform(2, 90, count)
    picture = rng.normal(0, 1, (1, 3, *SIZE)).astype(np.float32)
    return {'thermal': picture, 'sparse_depth': sparse}


@pytest.mark.parametrize('count', [0, 5, 300, 4704])
def test_engine_agrees_with_torch_and_points_change_depth(exported, count):
    network, bundle = exported
    inputs = _inputs(count)
    with load_engine(load_bundle(bundle.path), 'onnxruntime') as engine:
        depth = engine.infer(inputs)['depth']
        alone = engine.infer(_inputs(0))['depth']
    with torch.inference_mode():
        wanted = network(*(torch.from_numpy(v) for v in inputs.values())).numpy()
    assert depth.shape == wanted.shape == (1, 1, *SIZE)
    # weights are stored in half precision
    assert np.percentile(np.abs(depth / wanted - 1), 99) < 0.02
    moved = float(np.median(np.abs(depth / alone - 1)))
    assert moved > 0.05 if count >= 300 else moved >= 0


def test_graph_and_manifest_are_fit_for_every_engine(exported):
    _, bundle = exported
    model = onnx.load(bundle.model_path)
    assert {(o.domain, o.version) for o in model.opset_import} == {('', 17)}
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*model.graph.input, *model.graph.output)
    }
    plane = [1, 1, *SIZE]
    assert shapes == {'thermal': [1, 3, *SIZE], 'sparse_depth': plane, 'depth': plane}
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {'BatchNormalization', 'Pad', 'If', 'Loop', 'CastLike', 'Attention'}
    # attention is spelled out: one softmax for each block of both encoders
    assert sum(node.op_type == 'Softmax' for node in model.graph.node) == 8
    assert bundle.outputs == {'depth': 'depth'} and bundle.inputs[0].shape == (1, 3, *SIZE)


@pytest.mark.parametrize('precision', ['fp16', 'fp16-safe', 'fp32'])
def test_every_precision_of_the_typed_network_says_the_same(exported, precision):
    _, bundle = exported
    typed, plain = typed_onnx(bundle, precision), OnnxRun(bundle.model_path)
    run = OnnxRun(typed.content)
    for count in (0, 300):
        inputs = _inputs(count)
        apart = np.abs(run(inputs)['depth'] / plain(inputs)['depth'] - 1)
        assert np.percentile(apart, 99) < (1e-4 if precision == 'fp32' else 0.02)
    if precision != 'fp32':
        graph = onnx.load_from_string(typed.content).graph
        waves = [node.name for node in graph.node if node.op_type in ('Sin', 'Cos')]
        # an angle of many turns is nothing in half precision
        assert len(waves) == 2 and set(waves) <= set(typed.float32_nodes)


def test_half_precision_encoders_say_the_same(exported):
    network, _ = exported
    state = {k: v.clone() for k, v in network.state_dict().items()}
    model = export_sparse_vit_onnx(network, SIZE[1], SIZE[0], 'fp16', half=False)
    inputs = _inputs()
    with torch.inference_mode():
        wanted = network(*(torch.from_numpy(v) for v in inputs.values())).numpy()
    assert np.percentile(np.abs(OnnxRun(model)(inputs)['depth'] / wanted - 1), 99) < 0.02
    after = network.state_dict()
    assert all(torch.equal(state[k], after[k]) for k in state), 'the network was changed'
    kinds = {i.name: i.data_type for i in onnx.load_from_string(model).graph.initializer}
    half = {name for name, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16}
    for name in (
        'adapter.image.blocks.0.attn.qkv.weight',
        'adapter.depth.patch_embed.proj.weight',
    ):
        assert f'network.{name}' in half
    assert kinds['network.decoder.heads.3.weight'] == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    ('size', 'precision', 'words'),
    [((55, 84), 'fp32', 'multiples of 14'), ((56, 28), 'fp32', '32 or more'),
     (SIZE, 'int8', 'int8')],
)  # fmt: skip
def test_what_cannot_be_exported_is_refused(exported, size, precision, words):
    with pytest.raises(BundleError, match=words):
        DeployedSparseVit(exported[0], size, precision)


def test_the_pipeline_projects_points_into_the_second_input(exported):
    _, bundle = exported
    rng = np.random.default_rng(5)
    image = rng.integers(5000, 9000, (112, 168)).astype(np.uint16)
    # a lens twice as long as that of the training, at twice the width
    focal = 2 * 2 * bundle.focal_length
    camera = Intrinsics(168, 112, focal, focal, 83.5, 55.5)
    wall = 24.0
    pixels = np.stack(np.meshgrid(np.arange(8, 160, 3), np.arange(8, 104, 3)), -1).reshape(-1, 2)
    rays = np.c_[(pixels - [83.5, 55.5]) / focal, np.ones(len(pixels))]
    pose = np.eye(4)
    pose[:3, 3] = 0.1, -0.2, 0.0
    points = RangePoints((rays * wall - pose[:3, 3]).astype(np.float32), pose)
    settings = PipelineSettings(
        process_shutter_frames=True, scale=ScaleSettings(sources=('model',))
    )
    fed = []

    class Recorder:
        def __init__(self, engine):
            self.bundle, self.engine = engine.bundle, engine

        def infer(self, inputs):
            fed.append({k: v.copy() for k, v in inputs.items()})
            return self.engine.infer(inputs)

    with load_engine(bundle, 'onnxruntime') as engine:
        pipeline = Pipeline(Recorder(engine), settings)
        wanted = Wanted(depth=True)
        near = pipeline.process(ThermalFrame(image, 1, '', camera, points=points), wanted)
        alone = pipeline.process(ThermalFrame(image.copy(), 200_000_000, '', camera), wanted)
    sparse = fed[0]['sparse_depth'][0, 0]
    known = sparse[sparse > 0]
    assert len(known) > 500
    # the network is told metres of the lens that it was trained with
    assert np.allclose(known, wall / 2, rtol=0.02)
    assert not fed[1]['sparse_depth'].any() and fed[0]['thermal'].shape == (1, 3, *SIZE)
    assert near.scale == pytest.approx(2.0)
    assert near.depth.shape == image.shape and near.confidence is None
    assert np.nanmedian(np.abs(near.depth / alone.depth - 1)) > 0.05


@pytest.mark.skipif(
    importlib.util.find_spec('tensorrt_rtx_bindings') is None,
    reason='TensorRT for RTX is not installed',
)
def test_it_compiles_for_a_gpu(exported, monkeypatch):
    from monother_ros.engines.trt_api import find_trt
    from monother_ros.engines.trt_build import BuildSettings, build_plan

    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    api, bundle = find_trt(), exported[1]
    settings = BuildSettings(precision='fp16', targets=('8.9',))
    plan = build_plan(api, typed_onnx(bundle, 'fp16'), settings)
    assert len(plan) > bundle.model_path.stat().st_size / 4
