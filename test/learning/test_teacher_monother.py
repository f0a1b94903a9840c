# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The RGB branch of the reference network as a teacher."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

import tiny_teachers as tiny  # noqa: E402

from monother_ros.core.camera import Intrinsics  # noqa: E402
from monother_ros.core.errors import TeacherError  # noqa: E402
from monother_ros.learning.teacher import TeacherOptions, load_teacher  # noqa: E402
from monother_ros.networks import named_weights  # noqa: E402
from monother_ros.networks.checkpoint import write_checkpoint  # noqa: E402
from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork  # noqa: E402
from monother_ros.networks.names import official_state  # noqa: E402

SMALL = TeacherOptions(size=(70, 112))


@pytest.fixture(scope='module')
def network():
    config = MonoTherConfig(
        64, 4, 1, 16, (8, 16, 24, 32), bins=16, embedding=16, confidence_width=4
    )
    module = MonoTherNetwork(config)
    named_weights.fill(module)
    return module.eval()


@pytest.fixture(scope='module')
def checkpoint(network, tmp_path_factory):
    return write_checkpoint(network, tmp_path_factory.mktemp('monother') / 'dual.safetensors')


def test_depth_is_that_of_the_rgb_branch(network, checkpoint):
    """The whole published way: OpenCV to the nominal size, then aligned corners to 14s."""
    teacher = load_teacher(f'monother:{checkpoint}', SMALL)
    rgb = tiny.picture(96, 150)
    result = teacher.depth(rgb)
    nominal = cv2.resize(rgb.astype(np.float32) / 255, (112, 70), interpolation=cv2.INTER_LINEAR)
    picture = torch.from_numpy(nominal.transpose(2, 0, 1))[None]
    with torch.no_grad():
        expected = network(torch.zeros(1, 1, 70, 112), picture).rgb.depth
    whole = torch.nn.functional.interpolate(
        expected, (96, 150), mode='bilinear', align_corners=True
    )
    np.testing.assert_allclose(result.depth, whole[0, 0], rtol=2e-3)
    assert result.kind == 'metric' and not teacher.relative
    assert result.depth.std() > 0.01


def test_confidence_is_the_mass_near_the_depth(network, checkpoint):
    teacher = load_teacher(f'monother:{checkpoint}', SMALL)
    rgb = tiny.picture(70, 112)
    result = teacher.depth(rgb)
    with torch.no_grad():
        picture = torch.from_numpy(rgb.transpose(2, 0, 1))[None] / 255
        output = network(torch.zeros(1, 1, 70, 112), picture).rgb
    ratio = (output.centres / output.depth)[0].numpy()
    mass = output.probabilities[0].numpy()
    surely = (mass * ((ratio > 0.83) & (ratio < 1.22))).sum(0)
    at_most = (mass * ((ratio > 0.77) & (ratio < 1.28))).sum(0)
    assert result.confidence.shape == (70, 112)
    assert (result.confidence >= surely - 1e-4).all()
    assert (result.confidence <= at_most + 1e-4).all()
    assert result.confidence.std() > 1e-3


def test_default_size_is_640_wide_with_the_aspect_of_the_picture(checkpoint):
    teacher = load_teacher(f'monother:{checkpoint}')
    assert teacher.nominal_size(256, 640) == (256, 640)
    assert teacher.nominal_size(480, 640) == (480, 640)
    assert teacher.nominal_size(384, 1224) == (201, 640)
    assert teacher.prepare(torch.zeros(1, 3, 512, 1280)).shape == (1, 3, 252, 644)


def test_a_known_training_focal_length_corrects_the_scale(checkpoint):
    rgb = tiny.picture(70, 112)
    plain = load_teacher(f'monother:{checkpoint}', SMALL).depth(rgb)
    options = TeacherOptions(size=(70, 112), focal_length=100.0)
    teacher = load_teacher(f'monother:{checkpoint}', options)
    camera = Intrinsics(112, 70, 150.0, 150.0, 55.5, 34.5)
    np.testing.assert_allclose(teacher.depth(rgb, camera).depth, plain.depth * 1.5, rtol=1e-5)
    np.testing.assert_allclose(teacher.depth(rgb).depth, plain.depth, rtol=1e-5)


def test_a_checkpoint_without_the_rgb_branch_is_refused(network, tmp_path):
    thermal = official_state(network)
    part = {name: value for name, value in thermal.items() if '_extra' not in name}
    torch.save({'model': part}, tmp_path / 'thermal.pt')
    with pytest.raises(TeacherError, match='pretrained_extra'):
        load_teacher(f'monother:{tmp_path / "thermal.pt"}')
    with pytest.raises(TeacherError, match='no checkpoint at'):
        load_teacher(f'monother:{tmp_path / "absent.pt"}')


def test_an_exported_rgb_branch_teaches_the_same(checkpoint, tmp_path):
    pytest.importorskip('onnxscript', reason='onnxscript is not installed')
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    from monother_ros.networks.convert import ConvertSettings, convert

    settings = ConvertSettings(branch='rgb', size=(70, 112), weights=False)
    convert(checkpoint, tmp_path / 'rgb', tiny.picture(90, 150), 'a test', settings)
    bundle = load_teacher(f'bundle:{tmp_path / "rgb"}')
    branch = load_teacher(f'monother:{checkpoint}', SMALL)
    rgb = tiny.picture(70, 112, 5)
    ours, theirs = bundle.depth(rgb), branch.depth(rgb)
    np.testing.assert_allclose(ours.depth, theirs.depth, rtol=1e-3)
    assert np.abs(ours.confidence - theirs.confidence).max() < 1e-3
    # a larger picture goes there and back with aligned corners
    large = torch.from_numpy(tiny.picture(160, 200, 5).transpose(2, 0, 1))[None] / 255

    def aligned(plane, size):
        return torch.nn.functional.interpolate(plane, size, mode='bilinear', align_corners=True)

    expected = aligned(bundle.predict(aligned(large, (70, 112))).depth, (160, 200))
    np.testing.assert_allclose(bundle.predict(large).depth, expected, rtol=1e-5)
