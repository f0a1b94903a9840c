# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files and RGB bundles as teachers, one of them really trained."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
onnx = pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

import tiny_teachers as tiny  # noqa: E402
from bundles import NEAR, SPAN, make_bundle  # noqa: E402

from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import TeacherError  # noqa: E402
from monother_ros.learning.teacher import TeacherOptions, load_teacher  # noqa: E402

PYDNET = {'meaning': 'inverse', 'kind': 'scale', 'factor': -1.0}
WEIGHTS = (1.0, 10.0, 100.0)


def write_onnx(path, shape, out_shape, layout='nchw', mask=False):
    """Network that says 1·first + 10·second + 100·third channel; the mask is a tenth of it."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.asarray(WEIGHTS, np.float32).reshape(1, 3, 1, 1)
    nodes = [helper.make_node('Conv', ['channels', 'kernel'], ['sum'])]
    first = {'nchw': ('Identity', {}), 'nhwc': ('Transpose', {'perm': [0, 3, 1, 2]})}[layout]
    nodes.insert(0, helper.make_node(first[0], ['picture'], ['channels'], **first[1]))
    axes = [i for i, side in enumerate(['b', 1, 'h', 'w']) if i == 1 and len(out_shape) == 3]
    constants = [numpy_helper.from_array(kernel, 'kernel')]
    if axes:
        constants.append(numpy_helper.from_array(np.asarray(axes, np.int64), 'axes'))
        nodes.append(helper.make_node('Squeeze', ['sum', 'axes'], ['answer']))
    else:
        nodes.append(helper.make_node('Identity', ['sum'], ['answer']))
    outputs = [helper.make_tensor_value_info('answer', TensorProto.FLOAT, out_shape)]
    if mask:
        constants.append(numpy_helper.from_array(np.float32([0.1]), 'tenth'))
        nodes.append(helper.make_node('Mul', ['answer', 'tenth'], ['mask']))
        outputs.append(helper.make_tensor_value_info('mask', TensorProto.FLOAT, out_shape))
    picture = helper.make_tensor_value_info('picture', TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, 'sum', [picture], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return f'onnx:{path}'


def flat(red, green, blue, size=(12, 20)):
    return np.broadcast_to(np.uint8([red, green, blue]), (*size, 3)).copy()


@pytest.fixture
def plain(tmp_path):
    return write_onnx(tmp_path / 'plain.onnx', [1, 3, 12, 20], [1, 1, 12, 20])


@pytest.mark.parametrize(
    'fields, expected',
    [
        ({}, (51 + 1020 + 10200) / 255),
        ({'colour': 'bgr'}, (102 + 1020 + 5100) / 255),
        ({'white': 255.0}, 51 + 1020 + 10200),
        ({'factor': 0.001}, (51 + 1020 + 10200) / 255000),
        ({'mean': [0.1, 0.2, 0.3], 'std': [1.0, 2.0, 0.5]}, 0.1 + 1.0 + 20.0),
        ({'meaning': 'inverse'}, 255 / (51 + 1020 + 10200)),
        ({'meaning': 'inverse', 'kind': 'affine-inverse'}, 255 / (51 + 1020 + 10200)),
    ],
)
def test_description_says_what_goes_in_and_what_comes_out(plain, fields, expected):
    description = {'meaning': 'depth', 'kind': 'metric', **fields}
    teacher = load_teacher(plain, TeacherOptions(description=description))
    result = teacher.depth(flat(51, 102, 102))
    np.testing.assert_allclose(result.depth, expected, rtol=1e-5)
    assert result.kind == description['kind'] and result.confidence is None
    assert teacher.relative == (description['kind'] != 'metric')


def test_layout_squeezed_output_and_confidence(tmp_path):
    spec = write_onnx(tmp_path / 'n.onnx', [1, 12, 20, 3], [1, 12, 20], 'nhwc', mask=True)
    fields = {'meaning': 'depth', 'kind': 'metric', 'layout': 'nhwc', 'confidence': 'mask'}
    result = load_teacher(spec, TeacherOptions(description=fields)).depth(flat(51, 0, 0))
    np.testing.assert_allclose(result.depth, 0.2, rtol=1e-6)
    np.testing.assert_allclose(result.confidence, 0.02, rtol=1e-6)
    result = load_teacher(spec, TeacherOptions(description=fields)).depth(flat(0, 0, 255))
    assert (result.confidence == 1.0).all()  # 10 is no confidence; held in [0, 1]


def test_focal_length_of_the_training_corrects(tmp_path):
    spec = write_onnx(tmp_path / 'n.onnx', [1, 3, 12, 20], [1, 1, 12, 20])
    fields = {'meaning': 'depth', 'kind': 'metric', 'focal_length': 40.0}
    camera = Intrinsics(80, 48, 80.0, 80.0, 39.5, 23.5)  # 20 px at network width
    rgb = flat(51, 0, 0, (48, 80))
    for options, expected in (
        (TeacherOptions(description=fields), 0.1),
        (TeacherOptions(description=fields, focal_length=10.0), 0.4),
    ):
        found = load_teacher(spec, options).depth(rgb, camera).depth
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_open_size_comes_from_the_description(tmp_path):
    spec = write_onnx(tmp_path / 'open.onnx', [1, 3, 'h', 'w'], [1, 1, 'h', 'w'])
    fields = {'meaning': 'depth', 'kind': 'metric'}
    with pytest.raises(TeacherError, match="say 'size'"):
        load_teacher(spec, TeacherOptions(description=fields))
    teacher = load_teacher(spec, TeacherOptions(description={**fields, 'size': [24, 40]}))
    rgb = tiny.picture(48, 80)
    small = cv2.resize(rgb, (40, 24), interpolation=cv2.INTER_AREA).astype(np.float64) / 255
    seen = teacher.prepare(torch.from_numpy(rgb.transpose(2, 0, 1))[None] / 255)
    assert seen.shape == (1, 3, 24, 40)
    # antialiased halving is close to the mean of 2x2 pixels
    assert np.abs(seen[0].numpy().transpose(1, 2, 0) - small).mean() < 0.02
    assert teacher.depth(rgb).depth.shape == (48, 80)


@pytest.mark.parametrize('suffix', ['.json', '.yaml'])
def test_description_beside_the_file(tmp_path, suffix):
    spec = write_onnx(tmp_path / 'model.onnx', [1, 3, 12, 20], [1, 1, 12, 20])
    with pytest.raises(TeacherError, match=r'put a model\.json beside it'):
        load_teacher(spec)
    if suffix == '.json':
        text = json.dumps(PYDNET)
    else:
        pytest.importorskip('yaml')
        text = 'meaning: inverse\nkind: scale\nfactor: -1.0\n'
    (tmp_path / f'model{suffix}').write_text(text)
    teacher = load_teacher(spec)
    assert teacher.kind == 'scale' and teacher.relative and teacher.name == 'model'
    # a disparity of the wrong sign is unknown, not a depth
    assert (teacher.depth(flat(51, 0, 0)).depth == 0).all()


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'kind': 'metric'}, "'meaning' is missing"),
        ({'meaning': 'depth', 'kind': 'metres'}, "kind is 'metres'"),
        ({'meaning': 'depth', 'kind': 'affine-inverse'}, "meaning must be 'inverse'"),
        ({'meaning': 'depth', 'kind': 'metric', 'sizes': 1}, "'sizes' is not known"),
        ({'meaning': 'depth', 'kind': 'metric', 'factor': 0}, 'must not be 0'),
        ({'meaning': 'depth', 'kind': 'metric', 'mean': 'x'}, 'finite numbers'),
        ({'meaning': 'depth', 'kind': 'metric', 'std': [1, 1]}, 'three numbers'),
        ({'meaning': 'depth', 'kind': 'metric', 'size': [10, 20]}, 'its description says'),
        ({'meaning': 'depth', 'kind': 'metric', 'output': 'x'}, "no output 'x'; it has answer"),
        ({'meaning': 'depth', 'kind': 'metric', 'input': 'x'}, r"inputs \['picture'\]"),
        ({'meaning': 'depth', 'kind': 'metric', 'layout': 'nhwc'}, 'not nhwc'),
        ({'meaning': 'depth', 'kind': 'metric', 'size': 5}, 'wrong type'),
        ([1, 2], 'there is no description|must hold named fields|wrong type'),
    ],
)
def test_wrong_descriptions_are_named(plain, tmp_path, fields, message):
    file = tmp_path / 'other.json'
    file.write_text(json.dumps(fields))
    with pytest.raises(TeacherError, match=message):
        load_teacher(plain, TeacherOptions(description=file))


def test_files_that_are_no_networks(tmp_path, plain):
    with pytest.raises(TeacherError, match='no ONNX file at'):
        load_teacher(f'onnx:{tmp_path / "absent.onnx"}')
    (tmp_path / 'broken.onnx').write_bytes(b'not a network')
    (tmp_path / 'broken.json').write_text(json.dumps(PYDNET))
    with pytest.raises(TeacherError, match='cannot be loaded by onnxruntime'):
        load_teacher(f'onnx:{tmp_path / "broken.onnx"}')
    (tmp_path / 'plain.json').write_text('{')
    with pytest.raises(TeacherError, match=r'plain\.json cannot be read'):
        load_teacher(plain)


@pytest.fixture
def pydnet(shared):
    path = shared('data/rgb_depth_model/mobile_pydnet_pruned35_fp32.onnx')
    return load_teacher(f'onnx:{path}', TeacherOptions(description=PYDNET))


@pytest.fixture
def street(pydnet, shared):
    """Depth of the left and of the right picture of a real street, by a really trained network."""
    folder = shared('data/thermal_rgb_pair')
    rgb = [cv2.imread(str(folder / f'{side}_rgb.png'))[..., ::-1] for side in ('left', 'right')]
    return [pydnet.depth(np.ascontiguousarray(picture)).depth for picture in rgb]


def test_the_road_comes_nearer_from_row_to_row(street):
    for depth in street:
        assert depth.shape == (384, 1224) and depth.dtype == np.float32
        assert (depth > 0).all()
        rows = np.median(depth[230:, 500:640], axis=1)  # the own lane, from the van down
        assert (np.diff(rows[::10]) < 0).all()
        assert rows[0] > 3 * rows[-1]
        assert np.median(depth[150:200, 560:640]) > 4 * np.median(depth[300:])


def test_things_are_nearer_than_what_is_behind_them(street):
    left, right = street
    for depth, van, beside in ((left, 515, 610), (right, 505, 605)):
        behind = np.median(depth[195:215, beside - 20 : beside + 20])
        assert np.median(depth[205:240, van - 20 : van + 20]) < 0.6 * behind
        car = np.median(depth[215:270, 20:100])
        assert car < 0.7 * np.median(depth[205:240, van - 20 : van + 20])


def test_both_eyes_of_a_stereo_pair_see_the_same_depth(street):
    left, right = (np.log(depth[:, 120:-120]).ravel() for depth in street)
    assert np.corrcoef(left, right)[0, 1] > 0.98
    assert abs(np.median(left) - np.median(right)) < 0.05


def test_a_mirrored_street_has_the_mirrored_depth(pydnet, shared):
    picture = cv2.imread(str(shared('data/thermal_rgb_pair/left_rgb.png')))[..., ::-1]
    plain = np.log(pydnet.depth(np.ascontiguousarray(picture)).depth)
    mirrored = np.log(pydnet.depth(np.ascontiguousarray(picture[:, ::-1])).depth)[:, ::-1]
    assert np.corrcoef(plain[:, 120:-120].ravel(), mirrored[:, 120:-120].ravel())[0, 1] > 0.95


def test_a_wrong_sign_is_not_taken_for_depth(shared):
    path = shared('data/rgb_depth_model/mobile_pydnet_pruned35_fp32.onnx')
    wrong = TeacherOptions(description={**PYDNET, 'factor': 1.0})
    assert (load_teacher(f'onnx:{path}', wrong).depth(tiny.picture(192, 640)).depth == 0).all()


def test_rgb_bundle_says_depth_and_confidence(tmp_path):
    make_bundle(
        tmp_path / 'b', 32, 48, modality='rgb', channels=3, method='fixed', low=0, high=255
    )
    teacher = load_teacher(f'bundle:{tmp_path / "b"}')
    result = teacher.depth(flat(51, 102, 204, (64, 96)))
    np.testing.assert_allclose(result.depth[8:-8, 8:-8], NEAR + SPAN * (1 - 357 / 765), rtol=1e-5)
    assert result.confidence.shape == (64, 96) and result.confidence[32, 48] > 0.999
    assert result.kind == 'metric' and teacher.name == 'tiny 1'


def test_rgb_bundle_corrects_for_the_focal_length_of_its_training(tmp_path):
    make_bundle(
        tmp_path / 'b', 32, 48, modality='rgb', channels=3, method='fixed', low=0, high=255,
        focal_length=40.0,
    )  # fmt: skip
    teacher = load_teacher(f'bundle:{tmp_path / "b"}')
    rgb = tiny.picture(64, 96)
    camera = Intrinsics(96, 64, 160.0, 160.0, 47.5, 31.5)  # 80 px at network width
    np.testing.assert_allclose(
        teacher.depth(rgb, camera).depth, 2 * teacher.depth(rgb).depth, rtol=1e-5
    )


def test_bundles_that_cannot_teach(tmp_path):
    make_bundle(tmp_path / 'thermal', 32, 48)
    with pytest.raises(TeacherError, match='sees thermal'):
        load_teacher(f'bundle:{tmp_path / "thermal"}')
    with pytest.raises(TeacherError, match='bundle'):
        load_teacher(f'bundle:{tmp_path / "absent"}')
