# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera chains of Kalibr against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camchain import read_camchain
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError

pytest.importorskip('yaml')

CAM0 = """
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.2, 0.05, 0.001, -0.002]
  distortion_model: radtan
  intrinsics: [458.5, 457.25, 367.0, 248.5]
  resolution: [752, 480]
  rostopic: /rgb/image_raw
"""
CAM1 = """
cam1:
  T_cn_cnm1:
  - [0.0, -1.0, 0.0, 0.1]
  - [1.0, 0.0, 0.0, 0.2]
  - [0.0, 0.0, 1.0, 0.3]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [0]
  camera_model: pinhole
  distortion_coeffs: [0.01, -0.02, 0.003, -0.004]
  distortion_model: equidistant
  intrinsics: [410.0, 411.0, 319.5, 255.5]
  resolution: [640, 512]
  rostopic: /boson/image_raw
  timeshift_cam_imu: 0.01
"""


def write(folder, text):
    path = folder / 'camchain.yaml'
    path.write_text(text)
    return path


def test_intrinsics_and_distortion_by_hand(tmp_path):
    chain = read_camchain(write(tmp_path, CAM0 + CAM1))
    assert [c.name for c in chain.cameras] == ['cam0', 'cam1']
    assert chain.cameras[0].intrinsics == Intrinsics(
        752, 480, 458.5, 457.25, 367.0, 248.5, 'plumb_bob', (-0.2, 0.05, 0.001, -0.002)
    )
    assert chain.cameras[1].intrinsics == Intrinsics(
        640, 512, 410.0, 411.0, 319.5, 255.5, 'equidistant', (0.01, -0.02, 0.003, -0.004)
    )


def test_transform_takes_points_of_the_camera_before_to_this_one(tmp_path):
    chain = read_camchain(write(tmp_path, CAM0 + CAM1))
    rgb, thermal = chain.cameras
    # X_1 = T_cn_cnm1 X_0: turn by 90 degrees about z, then move
    point = chain.extrinsics(thermal, rgb) @ [1.0, 2.0, 3.0, 1.0]
    assert np.allclose(point, [-2.0 + 0.1, 1.0 + 0.2, 3.0 + 0.3, 1.0])
    back = chain.extrinsics(rgb, thermal) @ point
    assert np.allclose(back, [1.0, 2.0, 3.0, 1.0])


def test_projection_of_both_distortion_models_by_the_formulas(tmp_path):
    chain = read_camchain(write(tmp_path, CAM0 + CAM1))
    point = np.array([[0.3, -0.2, 1.0]])
    x, y = 0.3, -0.2
    k1, k2, p1, p2 = -0.2, 0.05, 0.001, -0.002
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    expected = [458.5 * u + 367.0, 457.25 * v + 248.5]
    assert np.allclose(chain.cameras[0].intrinsics.project(point), [expected], atol=1e-6)
    r = np.hypot(x, y)
    t = np.arctan(r)
    bent = t * (1 + 0.01 * t**2 - 0.02 * t**4 + 0.003 * t**6 - 0.004 * t**8)
    expected = [410.0 * x * bent / r + 319.5, 411.0 * y * bent / r + 255.5]
    assert np.allclose(chain.cameras[1].intrinsics.project(point), [expected], atol=1e-6)


def test_chain_of_three_goes_through_the_one_between(tmp_path):
    third = CAM1.replace('cam1', 'cam2').replace('/boson/image_raw', '/other')
    chain = read_camchain(write(tmp_path, third + CAM1 + CAM0))
    step = np.array([[0, -1, 0, 0.1], [1, 0, 0, 0.2], [0, 0, 1, 0.3], [0, 0, 0, 1.0]])
    first, _, last = chain.cameras
    assert np.allclose(chain.extrinsics(last, first), step @ step)


@pytest.mark.parametrize('turned', [False, True])
def test_poses_to_the_imu_stand_in_for_a_missing_step(tmp_path, turned):
    def rows(x):
        sign = -1 if turned else 1
        lines = [[1, 0, 0, sign * x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        key = 'T_imu_cam' if turned else 'T_cam_imu'
        return f'  {key}: {lines}\n'

    single = CAM1[: CAM1.index('  T_cn')] + CAM1[CAM1.index('  cam_overlaps') :]
    text = '%YAML:1.0 # as OpenCV wants it\n' + CAM0 + rows(0.5) + single + rows(0.2)
    chain = read_camchain(write(tmp_path, text))
    # both axes alike: the thermal camera's origin is 0.3 m from the RGB camera's
    pose = chain.extrinsics(chain.cameras[1], chain.cameras[0])
    assert np.allclose(pose[:3, 3], [-0.3, 0, 0]) and np.allclose(pose[:3, :3], np.eye(3))


@pytest.mark.parametrize(
    ('arguments', 'thermal'),
    [
        ({}, 'cam1'),
        ({'thermal_topic': '/rgb/image_raw', 'rgb_topic': '/boson/image_raw'}, 'cam0'),
        ({'thermal': 'cam0'}, 'cam0'),
        ({'rgb': 'cam1'}, 'cam0'),
    ],
)
def test_roles_by_name_by_topic_and_by_words(tmp_path, arguments, thermal):
    chain = read_camchain(write(tmp_path, CAM0 + CAM1))
    first, second = chain.roles(**arguments)
    assert first.name == thermal and {first.name, second.name} == {'cam0', 'cam1'}


def test_roles_that_nothing_tells_are_asked_for(tmp_path):
    text = (CAM0 + CAM1).replace('/rgb/image_raw', '/left').replace('/boson/image_raw', '/right')
    chain = read_camchain(write(tmp_path, text))
    with pytest.raises(CalibrationError, match=r'cam0 \(/left\), cam1 \(/right\).*thermal_camera'):
        chain.roles()
    # one that is known tells the other; the transport is no part of the topic
    assert chain.roles(rgb_topic='left/compressed')[0].name == 'cam1'
    with pytest.raises(CalibrationError, match="no camera 'cam7'; it has cam0, cam1"):
        chain.roles(thermal='cam7')


@pytest.mark.parametrize(
    ('old', 'new', 'words'),
    [
        ('camera_model: pinhole', 'camera_model: omni', 'is omni-radtan; use pinhole-radtan'),
        ('distortion_model: radtan', 'distortion_model: fov', 'pinhole-fov'),
        ('resolution: [752, 480]', 'resolution: [752]', 'resolution .* are needed'),
        ('intrinsics: [458.5', 'intrinsics: [-458.5', 'not positive'),
        ('[1.0, 0.0, 0.0, 0.2]', '[1.0, 0.0, 0.5, 0.2]', 'T_cn_cnm1 of cam1 .* not a rigid'),
        ('  - [0.0, 0.0, 0.0, 1.0]\n', '', 'has 12 numbers'),
        ('T_cn_cnm1', 'T_other', 'no T_cn_cnm1.*calibrate them together'),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path, old, new, words):
    text = CAM0 + CAM1
    assert old in text
    with pytest.raises(CalibrationError, match=words):
        read_camchain(write(tmp_path, text.replace(old, new, 1)))


def test_other_files_are_no_chain(tmp_path):
    with pytest.raises(CalibrationError, match='no entry cam0'):
        read_camchain(write(tmp_path, 'image_width: 3\n'))
    with pytest.raises(CalibrationError, match='cannot be read'):
        read_camchain(tmp_path / 'missing.yaml')
