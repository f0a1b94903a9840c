# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all teachers have in common."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

import tiny_teachers as tiny  # noqa: E402

from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import CalibrationError, TeacherError  # noqa: E402
from monother_ros.learning.teacher import (  # noqa: E402
    FAMILIES,
    TeacherBatch,
    TeacherDepth,
    TeacherOptions,
    load_teacher,
)
from monother_ros.learning.teachers.base import BaseTeacher  # noqa: E402


class Ramp(BaseTeacher):
    """Says column + 10 · red: not the same in a mirror."""

    uses = frozenset({'focal_length'})

    def __init__(self, kind='metric', options=None):
        super().__init__('ramp', kind, options or TeacherOptions())
        self.seen = []

    def _run(self, picture, focal):
        self.seen.append((picture, focal))
        columns = torch.arange(1.0, picture.shape[3] + 1)
        depth = columns + 10 * picture[:, :1]
        return TeacherBatch(depth, torch.full_like(depth, 0.5), focal)


@pytest.mark.parametrize('spec', ['', 'onnx', 'onnx:', 'keras:model', 'C:/model'])
def test_specs_of_no_family_are_refused(spec):
    with pytest.raises(TeacherError, match='names no teacher; use one of transformers:'):
        load_teacher(spec)


@pytest.mark.parametrize('family', sorted(FAMILIES))
def test_every_family_names_what_is_missing(family, tmp_path):
    if family == 'transformers':
        pytest.importorskip('transformers')
    with pytest.raises(TeacherError, match='absent'):
        load_teacher(f'{family}:{tmp_path / "absent"}')


@pytest.mark.parametrize(
    'rgb',
    [
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((20, 30, 3), np.float32),
        np.zeros((4, 30, 3), np.uint8),
        [[0]],
    ],
)
def test_what_is_no_picture_is_refused(rgb):
    with pytest.raises(TeacherError, match='takes a'):
        Ramp().depth(rgb)


def test_a_picture_comes_back_at_its_size_with_the_focal_length():
    teacher = Ramp()
    rgb = tiny.picture(20, 30)
    camera = Intrinsics(60, 40, 100.0, 110.0, 29.5, 19.5)
    result = teacher.depth(rgb, camera)
    assert result.depth.shape == (20, 30) and result.depth.dtype == np.float32
    assert result.focal_length == 50.0  # fx at the size of the picture
    np.testing.assert_allclose(result.depth[3, 7], 8 + rgb[3, 7, 0] / 25.5, rtol=1e-6)
    with pytest.raises(CalibrationError, match='another aspect'):
        teacher.depth(rgb, Intrinsics(60, 60, 100.0, 110.0, 29.5, 19.5))


def test_bytes_and_fractions_mean_the_same():
    teacher = Ramp()
    rgb = torch.from_numpy(tiny.picture(20, 30).transpose(2, 0, 1).copy())[None].repeat(2, 1, 1, 1)
    as_bytes = teacher.predict(rgb).depth
    assert torch.equal(as_bytes, teacher.predict(rgb.float() / 255).depth)
    assert as_bytes.shape == (2, 1, 20, 30)
    one = teacher.depth(tiny.picture(20, 30)).depth
    np.testing.assert_array_equal(as_bytes[1, 0], one)


@pytest.mark.parametrize('focal', [[100.0], [100.0, 0.0], [100.0, float('nan')]])
def test_focal_lengths_must_fit_the_batch(focal):
    with pytest.raises(TeacherError, match='one for each picture'):
        Ramp().predict(torch.zeros(2, 3, 20, 30), torch.tensor(focal))


def test_no_gradient_and_no_inference_tensor_reaches_the_caller():
    rgb = torch.zeros(1, 3, 20, 30, requires_grad=True)
    depth = Ramp().predict(rgb).depth
    assert not depth.requires_grad
    weight = torch.ones(1, requires_grad=True)
    (depth * weight).sum().backward()  # an inference tensor could not be saved for backward
    assert weight.grad is not None


def test_mirrored_pass_is_averaged():
    teacher = Ramp(options=TeacherOptions(flip=True))
    result = teacher.depth(np.zeros((10, 30, 3), np.uint8))
    np.testing.assert_allclose(result.depth, 15.5)
    assert torch.equal(teacher.seen[1][0], teacher.seen[0][0].flip(-1))
    assert len(teacher.seen) == 2


def test_inverse_depths_of_unknown_shift_are_averaged_as_such():
    teacher = Ramp('affine-inverse', TeacherOptions(flip=True))
    result = teacher.depth(np.zeros((10, 30, 3), np.uint8))
    columns = np.arange(1.0, 31.0)
    np.testing.assert_allclose(1 / result.depth[0], (1 / columns + 1 / columns[::-1]) / 2, 1e-5)


def test_focal_correction_needs_both_focal_lengths():
    rgb = np.zeros((10, 30, 3), np.uint8)
    camera = Intrinsics(30, 10, 90.0, 90.0, 14.5, 4.5)
    plain = Ramp().depth(rgb, camera).depth
    teacher = Ramp(options=TeacherOptions(focal_length=45.0))
    np.testing.assert_allclose(teacher.depth(rgb, camera).depth, 2 * plain)
    np.testing.assert_allclose(teacher.depth(rgb).depth, plain)


def test_what_the_network_cannot_say_is_zero():
    class Broken(Ramp):
        def _run(self, picture, focal):
            depth = super()._run(picture, focal).depth
            depth[0, 0, 0, :4] = torch.tensor([float('nan'), float('inf'), -1.0, 0.0])
            return TeacherBatch(depth)

    result = Broken().depth(tiny.picture(10, 30))
    assert (result.depth[0, :4] == 0).all() and (result.depth[0, 4:] > 0).all()
    assert result.known.sum() == 296
    np.testing.assert_array_equal(result.inverse[0, :4], 0)
    np.testing.assert_allclose(result.inverse[0, 4:], 1 / result.depth[0, 4:])


def test_kind_says_whether_depth_is_relative():
    depth = np.ones((2, 2), np.float32)
    assert not TeacherDepth(depth).relative
    assert TeacherDepth(depth, 'scale').relative and Ramp('scale').relative
    assert TeacherDepth(depth, 'affine-inverse').relative and not Ramp().relative


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'precision': 'int8'}, 'use one of fp32'),
        ({'size': (3, 4)}, 'at least 14'),
        ({'size': (300,)}, 'at least 14'),
        ({'focal_length': -1.0}, 'must be > 0'),
        ({'device': 'abacus'}, 'cannot run on'),
        ({'domain': 'kitti'}, "no option 'domain'"),
        ({'size': (140, 140)}, "no option 'size'"),
        ({'known_focal': True}, "no option 'known_focal'"),
    ],
)
def test_options_that_cannot_be_met_are_named(fields, message):
    with pytest.raises(TeacherError, match=message):
        Ramp(options=TeacherOptions(**fields))


def test_auto_takes_what_is_there():
    wanted = 'cuda' if torch.cuda.is_available() else 'cpu'
    assert Ramp(options=TeacherOptions(device='auto')).device.type == wanted
