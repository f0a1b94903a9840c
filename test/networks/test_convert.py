# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import math
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
onnx = pytest.importorskip('onnx', reason='onnx is not installed')

from checkpoints import make_checkpoint, make_state  # noqa: E402

from monother_ros.core.bundle import load_bundle  # noqa: E402
from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.core.pipeline import Pipeline, ThermalFrame  # noqa: E402
from monother_ros.engines.select import load_engine  # noqa: E402
from monother_ros.networks import agreement, convert  # noqa: E402
from monother_ros.networks.checkpoint import load_branch, read_checkpoint  # noqa: E402
from monother_ros.networks.convert import ConvertSettings  # noqa: E402
from monother_ros.networks.deploy import confidence_of  # noqa: E402
from monother_ros.networks.monother import prepare_rgb, prepare_thermal  # noqa: E402
from monother_ros.networks.pictures import NORMALISATION, network_input  # noqa: E402

SIZE = (56, 84)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp('checkpoints') / 'authors.pt')


@pytest.fixture(scope='module')
def thermal(shared):
    return cv2.imread(str(shared('data/thermal_rgb_pair/left_thr.png')), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope='module')
def converted(checkpoint, thermal, tmp_path_factory):
    """Conversion of the thermal branch, and what was said meanwhile."""
    said = []
    settings = ConvertSettings(size=SIZE, focal_length=430.0)
    target = tmp_path_factory.mktemp('models') / 'tiny-thermal'
    result = convert.convert(checkpoint, target, thermal, 'left_thr.png', settings, said.append)
    return result, '\n'.join(said)


def reference(checkpoint, branch, image):
    """Depth and confidence of the branch in torch."""
    network, _ = load_branch(read_checkpoint(checkpoint), branch)
    prepare = prepare_thermal if branch == 'thermal' else prepare_rgb
    with torch.inference_mode():
        out = network(prepare(image, SIZE))
        return [v.numpy() for v in (out.depth, confidence_of(*out[3:], out.depth))]


def test_depth_pipeline_says_what_torch_says(checkpoint, converted, thermal):
    # from raw counts: percentiles, aligned resize, network; none of it shared with the pipeline
    low, high = np.percentile(thermal.astype(np.float64), (2, 98))
    scaled = np.clip((thermal - low) / (high - low), 0, 1).astype(np.float32)
    depth, confidence = reference(checkpoint, 'thermal', torch.from_numpy(scaled)[None, None])
    bundle = load_bundle(converted[0].bundle.path)
    engine = load_engine(bundle)
    pipeline = Pipeline(engine)
    pipeline.settings = dataclasses.replace(
        pipeline.settings, range_min=1e-3, range_max=100.0, output_size='network'
    )
    result = pipeline.process(ThermalFrame(thermal, 0))
    assert depth.std() > 0.5
    for found, expected in ((result.depth, depth), (result.confidence, confidence)):
        error = np.abs(found - expected[0, 0])
        assert error.max() < 1e-2 and error.mean() < 1e-4, (error.max(), error.mean())


def test_bundle_carries_what_the_node_and_people_need(converted):
    result, said = converted
    bundle = result.bundle
    assert bundle.name == 'tiny-thermal'
    assert bundle.modality == 'thermal'
    assert bundle.revision.endswith('-56x84-fp32')
    assert bundle.normalisation == NORMALISATION['thermal']
    assert (bundle.normalisation.mean, bundle.normalisation.std) == (0.45, 0.225)
    assert bundle.normalisation.resize == 'aligned' and bundle.normalisation.channels == 3
    assert bundle.depth_range == (1e-3, 80.0)
    assert bundle.focal_length == 430.0
    assert bundle.inputs[0].shape == (1, 3, *SIZE)
    assert bundle.training['sha256'][:12] == bundle.revision[:12]
    assert bundle.training['checkpoint'] == 'authors.pt'
    difference = bundle.metrics['onnxruntime against torch']
    assert difference['picture'] == 'left_thr.png'
    assert 0 < difference['depth max [m]'] < 5e-2
    assert 'depth max' in said and 'limit 0.05' in said and 'all entries of the file fit' in said


def test_figures_are_complete(converted):
    figures = converted[0].figures
    assert figures['parameters'] == sum(
        math.prod(v.shape)
        for k, v in make_state(branches=('thermal',)).items()
        if not k.endswith(('k_idx', 'K_minus_1'))
    )
    assert figures['peak memory [MB]'] > 100
    assert figures['onnxruntime / torch'] > 0
    assert set(figures['files [bytes]']) == {'model.onnx', 'weights.safetensors'}
    assert figures['missing'] == figures['unexpected'] == figures['mis-shaped'] == []
    assert 0 < sum(figures['seconds'].values()) <= figures['seconds in all'] + 0.1


def test_graph_is_fit_for_every_engine(converted, checkpoint):
    model = onnx.load(converted[0].bundle.model_path)
    assert {(o.domain, o.version) for o in model.opset_import} == {('', 17)}
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    one = [1, 1, *SIZE]
    assert shapes == {'thermal': [1, 3, *SIZE], 'depth': one, 'confidence': one}
    kinds = {node.op_type for node in model.graph.node}
    unwanted = {'TopK', 'If', 'Loop', 'CastLike', 'IsNaN', 'Reciprocal', 'Attention', 'NonZero'}
    assert not kinds & unwanted
    assert 'LayerNormalization' in kinds and not model.functions
    modes = [a.s for n in model.graph.node if n.op_type == 'Resize' for a in n.attribute]
    assert b'cubic' not in modes  # the position embedding is frozen
    state = read_checkpoint(checkpoint)
    initialisers = {item.name: item for item in model.graph.initializer}
    unused = ('pos_embed', 'mask_token', 'k_idx', 'K_minus_1', 'refinenet4.resConfUnit1')
    for name, value in make_state(branches=('thermal',)).items():
        if not any(part in name for part in unused):
            kept = onnx.numpy_helper.to_array(initialisers[name])
            np.testing.assert_array_equal(kept, state[name].numpy(), err_msg=name)
            assert kept.shape == value.shape


def test_weights_go_on_as_a_checkpoint(converted, checkpoint, tmp_path):
    bundle = converted[0].bundle
    state = read_checkpoint(bundle.path / convert.WEIGHTS)
    original = read_checkpoint(checkpoint)
    assert set(state) == set(make_state(branches=('thermal',)))
    for name, value in state.items():
        assert torch.equal(value, original[name]), name
    again, report = load_branch(state, 'thermal')
    assert report.complete
    assert again.config == state.config and again.config.embed == 64


def test_half_precision(checkpoint, thermal, tmp_path):
    settings = ConvertSettings(size=SIZE, precision='fp16', weights=False)
    result = convert.convert(checkpoint, tmp_path / 'half', thermal, 'x', settings, str)
    assert list(result.bundle.files) == ['model.onnx']
    model = onnx.load(result.bundle.model_path)
    float16, float32 = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for item in model.graph.initializer:
        careful = '.norm' in item.name or not item.name.startswith('core.core.')
        assert item.data_type == (float32 if careful else float16), item.name
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == float32
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type in ('Softmax', 'LayerNormalization', 'Exp', 'Log'):
            assert types[node.output[0]] == float32, node.name
    assert 1e-5 < result.figures['difference']['depth mean relative'] < 1e-2
    depth = load_engine(result.bundle).infer({'thermal': network_input(thermal, 'thermal', SIZE)})[
        'depth'
    ]
    assert depth.dtype == np.float32 and np.isfinite(depth).all()


def test_rgb_branch_is_a_teacher_and_no_depth_camera(checkpoint, shared, tmp_path):
    bgr = cv2.imread(str(shared('data/thermal_rgb_pair/left_rgb.png')))
    picture = np.ascontiguousarray(bgr[..., ::-1])
    settings = ConvertSettings(branch='rgb', size=SIZE, weights=False)
    bundle = convert.convert(checkpoint, tmp_path / 'rgb', picture, 'x', settings, str).bundle
    engine = load_engine(bundle)
    assert bundle.modality == 'rgb' and bundle.inputs[0].name == 'rgb'
    assert (bundle.normalisation.mean, bundle.normalisation.std) == (0.0, 1.0)
    image = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    depth, _ = reference(checkpoint, 'rgb', image)
    found = engine.infer({'rgb': network_input(picture, 'rgb', SIZE)})
    error = np.abs(found['depth'] - depth)
    assert error.max() < 1e-2 and error.mean() < 1e-4
    with pytest.raises(BundleError, match='takes rgb'):
        Pipeline(engine)


def _names(folder):
    return {p.name for p in folder.iterdir()}


PICTURE = np.arange(64 * 80, dtype=np.uint16).reshape(64, 80)


def test_incomplete_branch_is_refused_by_name(tmp_path):
    state = make_state()
    del state['core.core.pretrained.blocks.2.mlp.fc1.weight']
    state['conv2.bias'] = torch.zeros(3)
    torch.save({'model': state}, tmp_path / 'a.pt')
    with pytest.raises(BundleError) as caught:
        convert.convert(tmp_path / 'a.pt', tmp_path / 'out', PICTURE, 'x', ConvertSettings())
    assert 'core.core.pretrained.blocks.2.mlp.fc1.weight' in str(caught.value)
    assert 'conv2.bias' in str(caught.value)
    assert _names(tmp_path) == {'a.pt'}


@pytest.fixture
def quick(converted, monkeypatch):
    """An export that copies what has been exported from the same weights."""
    source = converted[0].bundle.model_path
    monkeypatch.setattr(convert, '_export', lambda *a: a[-1].write_bytes(source.read_bytes()))


def test_gaps_of_the_other_branch_are_told_and_do_no_harm(tmp_path, quick, thermal):
    state = make_state()
    del state['core.core.pretrained_extra.blocks.2.norm1.weight']
    state['conv2_extra.bias'] = torch.zeros(3)
    state['surplus.weight'] = torch.zeros(2)
    torch.save({'model': state}, tmp_path / 'a.pt')
    said = []
    settings = ConvertSettings(size=SIZE, weights=False)
    result = convert.convert(
        tmp_path / 'a.pt', tmp_path / 'out', thermal, 'x', settings, said.append
    )
    assert result.report.missing == ('core.core.pretrained_extra.blocks.2.norm1.weight',)
    assert result.report.unexpected == ('surplus.weight',)
    text = '\n'.join(said)
    for word in (
        'pretrained_extra.blocks.2.norm1.weight',
        'conv2_extra.bias 3 for',
        'surplus.weight',
    ):
        assert word in text
    assert load_bundle(tmp_path / 'out').modality == 'thermal'
    settings, rgb = ConvertSettings(branch='rgb', size=SIZE), np.zeros((64, 80, 3), np.uint8)
    with pytest.raises(BundleError, match=r'conv2_extra\.bias 3 for 16'):
        convert.convert(tmp_path / 'a.pt', tmp_path / 'b', rgb, 'x', settings)
    settings = ConvertSettings(branch='rgb', size=SIZE)
    with pytest.raises(BundleError, match='an RGB picture must be'):
        convert.convert(tmp_path / 'a.pt', tmp_path / 'b', PICTURE, 'x', settings)


def test_a_network_that_comes_out_different_is_refused(checkpoint, quick, tmp_path, monkeypatch):
    def lame(path, name, example):
        found, seconds = agreement.run_onnx(path, name, example)
        return {**found, 'depth': found['depth'] + np.float32(0.01)}, seconds

    monkeypatch.setattr(convert, 'run_onnx', lame)
    settings = ConvertSettings(size=SIZE)
    with pytest.raises(BundleError, match='differs from torch by more than fp32 may'):
        convert.convert(checkpoint, tmp_path / 'out', PICTURE, 'x', settings, str)
    assert not _names(tmp_path)


@pytest.mark.parametrize(
    'change',
    [
        {'depth max [m]': 0.06},
        {'depth mean [m]': 6e-4},
        {'depth mean relative': 2e-4},
        {'confidence mean': 2e-3},
        {'depth mean [m]': math.nan},
    ],
)
def test_each_limit_counts(change):
    names = ('depth max [m]', 'depth mean [m]', 'depth mean relative')
    fine = dict.fromkeys((*names, 'confidence max', 'confidence mean'), 1e-6)
    agreement.require_close(fine, 'fp32')
    with pytest.raises(BundleError, match='the export is wrong'):
        agreement.require_close(fine | change, 'fp32')
    if 'depth mean relative' not in change and not any(map(math.isnan, change.values())):
        agreement.require_close(fine | change, 'fp16')


def test_not_enough_disk(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(convert.shutil, 'disk_usage', lambda _: SimpleNamespace(free=1000))
    with pytest.raises(BundleError, match=r'GB left; make room or leave out the weights'):
        convert.convert(checkpoint, tmp_path / 'a' / 'b', PICTURE, 'x', ConvertSettings(size=SIZE))
    assert not _names(tmp_path)


def test_size_and_precision_are_refused_before_anything_is_read(tmp_path):
    for settings, words in (
        (ConvertSettings(size=(250, 640)), 'multiples of 14'),
        (ConvertSettings(precision='int8'), 'one of fp32, fp16'),
    ):
        with pytest.raises(BundleError, match=words):
            convert.convert(tmp_path / 'none.pt', tmp_path / 'out', PICTURE, 'x', settings)
    with pytest.raises(BundleError, match='no checkpoint at'):
        convert.convert(tmp_path / 'none.pt', tmp_path / 'out', PICTURE, 'x')


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path):
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'letter.txt').write_text('dear')
    for target in ('home', 'home/letter.txt'):
        with pytest.raises(BundleError, match='is there and is no model bundle'):
            convert.convert(tmp_path / 'none.pt', tmp_path / target, PICTURE, 'x')
    assert (tmp_path / 'home' / 'letter.txt').read_text() == 'dear'
    for name in ('a b', '../x'):
        with pytest.raises(BundleError, match='cannot name a model'):
            convert.convert(
                tmp_path / 'none.pt', tmp_path / 'out', PICTURE, 'x', ConvertSettings(name=name)
            )


def test_an_existing_bundle_is_replaced(checkpoint, converted, quick, thermal, tmp_path):
    target = shutil.copytree(converted[0].bundle.path, tmp_path / 'out')
    settings = ConvertSettings(size=SIZE, weights=False, name='second')
    convert.convert(checkpoint, target, thermal, 'x', settings, str)
    bundle = load_bundle(target)
    assert bundle.name == 'second' and list(bundle.files) == ['model.onnx']
    assert _names(tmp_path) == {'out'}
