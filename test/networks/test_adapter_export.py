# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sparse depth adapter as a bundle of two inputs, from network to pipeline."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
onnx = pytest.importorskip('onnx', reason='onnx is not installed')

from monother_ros.core.bundle import Normalisation, load_bundle  # noqa: E402
from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import BundleError, EngineError  # noqa: E402
from monother_ros.core.pipeline import (  # noqa: E402
    Pipeline,
    PipelineSettings,
    ThermalFrame,
    Wanted,
)
from monother_ros.core.scale_arbiter import ScaleSettings  # noqa: E402
from monother_ros.engines.acceptance import judge, reference_of  # noqa: E402
from monother_ros.engines.base import all_inputs  # noqa: E402
from monother_ros.engines.onnx_precision import typed_onnx  # noqa: E402
from monother_ros.engines.select import load_engine  # noqa: E402
from monother_ros.networks.adapter_export import export_sparse_bundle  # noqa: E402
from monother_ros.networks.depth_adapter import SparseConfig, SparseLite  # noqa: E402
from monother_ros.networks.depth_encoding import outdoor  # noqa: E402
from monother_ros.networks.export import export_bundle  # noqa: E402
from monother_ros.networks.lite import LiteNetwork  # noqa: E402
from monother_ros.networks.onnx_export import OnnxRun, store_half  # noqa: E402

SHAPE = (1, 1, 64, 96)


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A network whose batch norms have seen data, and its bundle at a small size."""
    torch.manual_seed(2)
    thermal = LiteNetwork().train()
    folder = tmp_path_factory.mktemp('models')
    with torch.no_grad():
        for _ in range(3):
            thermal(torch.randn(4, *SHAPE[1:]))
    parent = export_bundle(
        thermal.eval(),
        folder / 'thermal',
        revision='thermal-1',
        normalisation=Normalisation('percentile', 2.0, 98.0, 0.5, 0.25),
        depth_range=(0.5, 80.0),
        focal_length=78.0,
        training={},
        metrics={},
        width=SHAPE[3],
        height=SHAPE[2],
        with_weights=False,
    )
    network = SparseLite(thermal, SparseConfig(outdoor(), 100.0, 16)).eval()
    bundle = export_sparse_bundle(
        network, folder / 'sparse', parent=parent, revision='sparse-1', training={}, metrics={}
    )
    return network, bundle


def _inputs(count=300, seed=3):
    rng = np.random.default_rng(seed)
    sparse = np.zeros(SHAPE, np.float32)
    places = rng.choice(sparse.size, count, replace=False)
    sparse.ravel()[places] = rng.uniform(2, 40, count)
    return {'thermal': rng.normal(0, 1, SHAPE).astype(np.float32), 'sparse_depth': sparse}


@pytest.mark.parametrize('count', [0, 5, 300, 6144])
def test_engine_agrees_with_torch(exported, count):
    network, bundle = exported
    inputs = _inputs(count)
    with load_engine(load_bundle(bundle.path), 'onnxruntime') as engine:
        outputs = engine.infer(inputs)
    with torch.inference_mode():
        depth, confidence = network(*(torch.from_numpy(v) for v in inputs.values()))
    # weights are stored in half precision
    apart = np.abs(outputs['depth'] / depth.numpy() - 1)
    assert np.percentile(apart, 99) < 0.02
    assert np.abs(outputs['confidence'] - confidence.numpy()).mean() < 0.02


def test_graph_and_manifest_are_fit_for_every_engine(exported):
    _, bundle = exported
    model = onnx.load(bundle.model_path)
    assert {(o.domain, o.version) for o in model.opset_import} == {('', 17)}
    assert [value.name for value in model.graph.input] == ['thermal', 'sparse_depth']
    assert [spec.name for spec in bundle.inputs] == ['thermal', 'sparse_depth']
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {'BatchNormalization', 'Pad', 'If', 'Loop', 'CastLike'}
    large = [i for i in model.graph.initializer if np.prod(i.dims) >= 64 and i.data_type != 7]
    assert {i.data_type for i in large} == {onnx.TensorProto.FLOAT16}
    assert bundle.parent == 'thermal-1'


@pytest.mark.parametrize('precision', ['fp16', 'fp16-safe', 'fp32'])
def test_every_precision_of_the_typed_network_says_the_same(exported, precision):
    _, bundle = exported
    typed = OnnxRun(typed_onnx(bundle, precision).content)
    plain = OnnxRun(bundle.model_path)
    for count in (0, 300):
        inputs = _inputs(count)
        apart = np.abs(typed(inputs)['depth'] / plain(inputs)['depth'] - 1)
        assert np.percentile(apart, 99) < (1e-4 if precision == 'fp32' else 1e-3)


def test_acceptance_runs_a_network_with_points_without_any(exported):
    _, bundle = exported
    reference = reference_of(bundle)
    with load_engine(bundle, 'onnxruntime') as engine:
        assert judge(engine, reference).accepted


def test_an_engine_wants_both_inputs_in_their_shape(exported):
    _, bundle = exported
    inputs = _inputs()
    with load_engine(bundle, 'onnxruntime') as engine:
        with pytest.raises(EngineError, match='sparse_depth'):
            engine.infer({'thermal': inputs['thermal']})
        with pytest.raises(EngineError, match='sparse_depth'):
            engine.infer({**inputs, 'sparse_depth': inputs['sparse_depth'][..., :-1]})
        given = all_inputs(bundle, inputs['thermal'])
        assert not given['sparse_depth'].any()
        assert np.isfinite(engine.infer(given)['depth']).all()


class Recorder:
    """Engine that keeps what it is fed with."""

    def __init__(self, engine):
        self.bundle, self.engine, self.fed = engine.bundle, engine, []

    def infer(self, inputs):
        self.fed.append({k: v.copy() for k, v in inputs.items()})
        return self.engine.infer(inputs)


def test_the_pipeline_feeds_points_in_the_metres_of_the_network(exported):
    _, bundle = exported
    rng = np.random.default_rng(5)
    image = rng.integers(5000, 9000, (128, 192)).astype(np.uint16)
    # a lens twice as long as that of the training, at twice the width
    camera = Intrinsics(192, 128, 312.0, 312.0, 95.5, 63.5)
    sparse = np.zeros(SHAPE[2:], np.float32)
    sparse[10:50:5, 10:90:7] = 12.0
    sparse[3, 3] = np.nan
    settings = PipelineSettings(
        process_shutter_frames=True, scale=ScaleSettings(sources=('model',))
    )
    wanted = Wanted(depth=True)
    with load_engine(bundle, 'onnxruntime') as engine:
        recorder = Recorder(engine)
        pipeline = Pipeline(recorder, settings)
        with_points = pipeline.process(ThermalFrame(image, 1, '', camera, sparse=sparse), wanted)
        without = pipeline.process(
            ThermalFrame(image[::-1].copy(), 200_000_000, '', camera), wanted
        )
    fed = recorder.fed[0]['sparse_depth']
    assert np.isfinite(fed).all()
    assert np.allclose(fed[0, 0][10:50:5, 10:90:7], 12.0 / 2)
    assert fed[0, 0][3, 3] == 0
    assert not recorder.fed[1]['sparse_depth'].any()
    assert with_points.scale == pytest.approx(2.0)
    # the cells around the points say the measured depth again
    told = with_points.depth[20:100:10, 20:180:14]
    assert np.nanmedian(np.abs(told / 12.0 - 1)) < 0.1
    assert without.depth is not None


def test_a_second_input_of_another_size_or_name_is_refused(exported):
    _, bundle = exported
    from dataclasses import replace

    class Wrong:
        def __init__(self, **changes):
            spec = replace(bundle.inputs[1], **changes)
            self.bundle = replace(bundle, inputs=(bundle.inputs[0], spec))

    for changes in ({'shape': (1, 1, 32, 48)}, {'shape': (1, 3, 64, 96)}, {'name': 'radar'}):
        with pytest.raises(BundleError, match=r'sparse_depth|radar'):
            Pipeline(Wrong(**changes))


def test_weights_too_large_for_half_precision_are_refused():
    value = np.full(100, 1e6, np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Add', ['x', 'w'], ['y'])],
        'g',
        [onnx.helper.make_tensor_value_info('x', 1, [100])],
        [onnx.helper.make_tensor_value_info('y', 1, [100])],
        [onnx.numpy_helper.from_array(value, 'w')],
    )
    with pytest.raises(BundleError, match='w is too large'):
        store_half(onnx.helper.make_model(graph))
