# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our own calibration file of a rig, and transforms as people write them."""

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.errors import CalibrationError
from monother_ros.core.rig_file import read_rig_file
from monother_ros.core.rigid import inverse, rigid_transform

pytest.importorskip('yaml')

CAMERA = """
image_width: 64
image_height: 48
camera_matrix: {rows: 3, cols: 3, data: [50.0, 0, 31.5, 0, 51.0, 23.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}
"""


def test_files_beside_the_rig_file_and_a_measured_pose(tmp_path):
    (tmp_path / 'thermal.yaml').write_text(CAMERA)
    path = tmp_path / 'rig.yaml'
    path.write_text(
        'thermal: /front/thermal\n'  # keys of training are left alone
        'thermal_info: thermal.yaml\n'
        'rgb_info: /rgb/camera_info\n'
        'extrinsics:\n'
        '  translation: [0.1, 0.2, 0.3]\n'
        '  rotation: [0.0, 0.0, 2.0, 2.0]\n'
    )
    rig = read_rig_file(path)
    assert rig.thermal == read_camera_info(tmp_path / 'thermal.yaml')
    assert rig.thermal.fy == 51.0 and rig.rgb is None
    # a turn by 90 degrees about z; quaternion of any length
    assert np.allclose(rig.extrinsics @ [1, 0, 0, 1], [0.1, 1.2, 0.3, 1])
    assert rig.summary == 'rig.yaml: thermal camera, extrinsics'


def test_the_same_file_serves_training(tmp_path):
    pytest.importorskip('torch')
    from monother_ros.learning.rig_config import as_array, rig_config

    (tmp_path / 'thermal.yaml').write_text(CAMERA)
    path = tmp_path / 'rig.yaml'
    path.write_text(
        'thermal_info: thermal.yaml\n'
        'extrinsics: {translation: [0.1, 0.2, 0.3], rotation: [0.1, 0.2, 0.3, 0.9]}\n'
    )
    config = rig_config({'rig': str(path)})
    assert np.allclose(as_array(config.extrinsics), read_rig_file(path).extrinsics)


def test_cameras_in_place_and_rows_of_a_matrix(tmp_path):
    inside = CAMERA.replace('\n', '\n  ')
    path = tmp_path / 'rig.yml'
    path.write_text(
        f'rgb_info:{inside}\nextrinsics:\n- [1, 0, 0, 0.5]\n- [0, 1, 0, 0]\n- [0, 0, 1, 0]\n'
        '- [0, 0, 0, 1]\n'
    )
    rig = read_rig_file(path)
    assert rig.rgb.fx == 50.0 and rig.thermal is None and rig.extrinsics[0, 3] == 0.5


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('extrinsic: [1]\n', 'says nothing about the cameras'),
        ('- 1\n', 'holds no mapping'),
        ('extrinsics: [1, 2, 3]\n', 'has 3 numbers; give 16'),
        ('extrinsics: {rotation: [0, 0, 0, 1]}\n', 'give translation and rotation'),
        ('extrinsics: {translation: [0, 0, 0], rotation: [0, 0, 0, 0]}\n', 'is zero'),
        ('extrinsics: {translation: [0, 0], rotation: [0, 0, 0, 1]}\n', 'of 3 numbers'),
        ('thermal_info: 7\n', 'give a file .yaml'),
        ('thermal_info: missing.yaml\n', 'missing.yaml cannot be read'),
        ('thermal_info: {image_width: 3}\n', 'thermal_info of .* is no camera_info'),
        ('extrinsics: [unclosed\n', 'cannot be read'),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path, text, words):
    path = tmp_path / 'rig.yaml'
    path.write_text(text)
    with pytest.raises(CalibrationError, match=words):
        read_rig_file(path)


@pytest.mark.parametrize('name', ['left', 'right'])
def test_published_thermal_calibrations_serve_as_rig_cameras(shared, tmp_path, name):
    file = shared(f'data/camera_info/flir_stereo_yamaha_atv_thermal_{name}.yaml')
    path = tmp_path / 'rig.yaml'
    path.write_text(f'thermal_info: {file}\nextrinsics: {{translation: [0.1, 0, 0]}}\n')
    rig = read_rig_file(path)
    assert (rig.thermal.width, rig.thermal.height) == (640, 512)
    # the file carries Kalibr's own fields as well: both ways of reading agree
    import yaml

    data = yaml.safe_load(file.read_text())
    chain = tmp_path / 'camchain.yaml'
    keys = ('camera_model', 'distortion_model', 'distortion_coeffs', 'intrinsics', 'resolution')
    entry = {**{key: data.get(key) for key in keys}, 'distortion_model': 'radtan'}
    second = {**entry, 'rostopic': '/rgb', 'T_cn_cnm1': np.eye(4).tolist()}
    chain.write_text(yaml.safe_dump({'cam0': {**entry, 'rostopic': '/lwir'}, 'cam1': second}))
    assert read_rig_file(chain).thermal == rig.thermal


def test_rounded_rotations_become_orthonormal_and_inverses_are_exact():
    rough = np.round(rigid_transform([0, 0, 0, 0.1, 0.2, 0.3, 0.9], 'pose'), 4)
    rough[:3, 3] = 1.0, 2.0, 3.0
    exact = rigid_transform(rough.ravel().tolist(), 'pose')
    assert np.allclose(exact[:3, :3] @ exact[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.abs(exact - rough).max() < 1e-4
    assert np.allclose(inverse(exact) @ exact, np.eye(4), atol=1e-12)


def test_mirrors_and_numbers_that_are_none_are_refused():
    mirror = np.diag([1.0, 1.0, -1.0, 1.0])
    for value in (mirror, np.full(16, np.nan), 2 * np.eye(4)):
        with pytest.raises(CalibrationError, match='not a rigid transform'):
            rigid_transform(value, 'pose')
    with pytest.raises(CalibrationError, match='something else than numbers'):
        rigid_transform(['a', 'b'], 'pose')
