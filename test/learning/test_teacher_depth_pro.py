# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Pro against the published inference, the library's post-processing and closed forms."""

from __future__ import annotations

import json
import math
import zlib

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

import tiny_teachers as tiny  # noqa: E402

from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import TeacherError  # noqa: E402
from monother_ros.learning.teacher import TeacherOptions, load_teacher  # noqa: E402
from monother_ros.learning.teachers.depth_pro import (  # noqa: E402
    depth_from_canonical,
    focal_from_field_of_view,
)

CASES = [
    'fov60_same_size',
    'fov60_w48_h36',
    'fov25_w48_h36',
    'fov110_w30_h40',
    'fpx_given_w48_h36',
    'fpx_given_same_size',
    'fpx_given_w64_h20',
]


@pytest.fixture(scope='module')
def spec(tmp_path_factory):
    return tiny.saved(tiny.depth_pro(), tmp_path_factory.mktemp('depth_pro'))


@pytest.fixture
def golden(shared):
    return shared('golden/depth_pro')


@pytest.mark.parametrize('case', CASES)
def test_conversion_is_that_of_the_published_inference(golden, case):
    facts = json.loads((golden / 'conversions.json').read_text())['apple_infer'][case]
    with np.load(golden / 'canonical_inverse_depth.npz') as stored:
        canonical = torch.from_numpy(stored['canonical_inverse_depth'][0])
        expected = stored[f'{case}__depth']
    height, width = facts['height'], facts['width']
    if facts['given_focal_px'] is None:
        focal = focal_from_field_of_view(torch.tensor([facts['fov_deg']]), width)
    else:
        focal = torch.tensor([facts['given_focal_px']])
    assert focal.item() == pytest.approx(facts['focal_px'], rel=1e-5)
    depth = depth_from_canonical(canonical, focal, (height, width))[0, 0]
    np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_conversion_is_that_of_the_library(golden):
    facts = json.loads((golden / 'conversions.json').read_text())['transformers_post_process']
    fields = facts['with_fov_and_target']
    with np.load(golden / 'transformers_post_process.npz') as stored:
        canonical = torch.from_numpy(stored['predicted_depth'])
        expected = [stored[f'with_fov_and_target__depth_{i}'] for i in range(2)]
    for index, size in enumerate(fields['target_sizes']):
        degrees = torch.tensor([fields['field_of_view'][index]])
        focal = focal_from_field_of_view(degrees, size[1])
        assert focal.item() == pytest.approx(fields['focal_length'][index], rel=1e-5)
        depth = depth_from_canonical(canonical[index : index + 1], focal, tuple(size))
        np.testing.assert_allclose(depth[0, 0], expected[index], rtol=1e-5)


def test_closed_forms(golden):
    facts = json.loads((golden / 'conversions.json').read_text())
    for case in facts['fov_to_focal']:
        focal = focal_from_field_of_view(torch.tensor(case['fov_deg']), case['width'])
        assert focal.item() == pytest.approx(case['focal_px'], rel=1e-5)
    for case in facts['canonical_conversion']:
        canonical = torch.full((1, 2, 2), case['canonical_inverse_depth'])
        focal = torch.tensor([case['focal_px']])
        depth = depth_from_canonical(canonical, focal, (2, case['width']))
        assert depth.mean().item() == pytest.approx(case['depth_m'], rel=1e-6)


def test_forward_of_the_library_has_not_changed(golden):
    """Tells an upgrade of transformers that changes Depth Pro; tolerance of the fixture."""
    model = tiny.depth_pro()
    with torch.no_grad():
        for name, value in sorted(model.state_dict().items()):
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            drawn = rng.standard_normal(tuple(value.shape), dtype=np.float32) * np.float32(0.15)
            value.copy_(torch.from_numpy(drawn))
        pixels = np.random.default_rng(7).standard_normal((2, 3, 128, 128), dtype=np.float32)
        output = model(torch.from_numpy(pixels))
    with np.load(golden / 'tiny_transformers_forward.npz') as stored:
        np.testing.assert_allclose(output.predicted_depth, stored['predicted_depth'], atol=1e-3)
        np.testing.assert_allclose(output.field_of_view, stored['field_of_view'], atol=1e-3)


def test_a_field_of_view_that_makes_no_sense_is_held_in_range():
    degrees = torch.tensor([-40.0, 0.0, 60.0, 400.0])
    focal = focal_from_field_of_view(degrees, 640)
    assert torch.isfinite(focal).all() and (focal > 0).all()
    assert focal[0] == focal[1] == pytest.approx(320 / math.tan(math.radians(0.5)), rel=1e-4)


def test_a_known_focal_length_replaces_the_estimate(spec):
    teacher = load_teacher(spec)
    rgb = tiny.picture(90, 160)
    camera = Intrinsics(160, 90, 120.0, 121.0, 79.5, 44.5)
    wider = Intrinsics(160, 90, 60.0, 61.0, 79.5, 44.5)
    estimated, known, wide = (teacher.depth(rgb, k) for k in (None, camera, wider))
    assert known.focal_length == 120.0
    assert estimated.focal_length == pytest.approx(80 / math.tan(math.radians(25)), rel=0.02)
    assert known.kind == 'metric' and known.depth.shape == (90, 160)
    # half the focal length is half the depth, wherever no limit is reached
    inner = (known.depth > 1e-3) & (known.depth < 1e3) & (wide.depth < 1e3)
    assert inner.mean() > 0.5
    np.testing.assert_allclose(wide.depth[inner], known.depth[inner] / 2, rtol=1e-4)
    np.testing.assert_allclose(
        known.depth[inner], estimated.depth[inner] * 120 / estimated.focal_length, rtol=1e-3
    )


def test_calibration_of_another_size_is_scaled(spec):
    teacher = load_teacher(spec)
    rgb = tiny.picture(90, 160)
    double = Intrinsics(320, 180, 240.0, 242.0, 159.5, 89.5)
    assert teacher.depth(rgb, double).focal_length == pytest.approx(120.0)


def test_the_field_of_view_network_can_be_left_out(spec):
    whole = load_teacher(spec)
    lean = load_teacher(spec, TeacherOptions(known_focal=True))
    assert whole.model.fov_model is not None and lean.model.fov_model is None
    rgb = tiny.picture(90, 160)
    camera = Intrinsics(160, 90, 120.0, 120.0, 79.5, 44.5)
    np.testing.assert_array_equal(lean.depth(rgb, camera).depth, whole.depth(rgb, camera).depth)
    with pytest.raises(TeacherError, match='intrinsics'):
        lean.depth(rgb)


def test_pictures_are_squashed_to_the_square_of_the_model(spec):
    teacher = load_teacher(spec)
    assert teacher.size == (128, 128)  # patch 32 over the smallest ratio 1/4
    rgb = tiny.picture(180, 320)
    # OpenCV's bilinear resize has half-pixel centres and no antialias
    expected = cv2.resize(rgb.astype(np.float32) / 127.5 - 1, (128, 128))
    prepared = teacher.prepare(torch.from_numpy(rgb.transpose(2, 0, 1))[None] / 255)
    np.testing.assert_allclose(prepared[0].permute(1, 2, 0), expected, atol=1e-5)
    with pytest.raises(TeacherError, match='at least 128x128'):
        load_teacher(spec, TeacherOptions(size=(64, 64)))
