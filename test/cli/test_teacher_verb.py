# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

from monother_ros.cli.main import main
from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.errors import CalibrationError


@pytest.fixture
def street(shared):
    return str(shared('data/thermal_rgb_pair/left_rgb.png'))


@pytest.fixture
def pydnet(shared, tmp_path):
    path = tmp_path / 'pydnet.json'
    path.write_text(json.dumps({'meaning': 'inverse', 'kind': 'scale', 'factor': -1.0}))
    model = shared('data/rgb_depth_model/mobile_pydnet_pruned35_fp32.onnx')
    return ['--teacher', f'onnx:{model}', '--description', str(path)]


@pytest.fixture
def bundle(tmp_path):
    pytest.importorskip('onnx')
    from bundles import make_bundle

    make_bundle(
        tmp_path / 'rgb', 32, 48, modality='rgb', channels=3, method='fixed', low=0, high=255,
        focal_length=40.0,
    )  # fmt: skip
    return ['--teacher', f'bundle:{tmp_path / "rgb"}']


@pytest.fixture
def grey(tmp_path):
    path = tmp_path / 'grey.png'
    cv2.imwrite(str(path), np.full((64, 96, 3), 102, np.uint8))
    return str(path)


def test_depth_and_colours_are_written(street, pydnet, tmp_path, capsys):
    out = [tmp_path / 'depth.npy', tmp_path / 'depth.png']
    code = main(
        ['teacher', street, *pydnet, '-o', str(out[0]), '-o', str(out[1]), '--device', 'cpu']
    )
    assert code == 0
    said = capsys.readouterr().out
    assert 'scale depth, on cpu' in said and 'a factor unknown' in said
    depth = np.load(out[0])
    assert depth.shape == (384, 1224) and depth.dtype == np.float32
    colours = cv2.imread(str(out[1])).astype(int)
    assert colours.shape == (384, 1224, 3)
    road, horizon = colours[370, 600], colours[205, 610]
    assert road[2] > road[0] and horizon[0] > horizon[2]  # red is near, blue is far


def test_focal_length_and_calibration_file_mean_the_same(grey, bundle, tmp_path, capsys):
    pytest.importorskip('yaml')
    (tmp_path / 'camera.yaml').write_text(
        'image_width: 192\nimage_height: 128\ncamera_matrix:\n  rows: 3\n  cols: 3\n'
        '  data: [320.0, 0, 95.5, 0, 320.0, 63.5, 0, 0, 1]\ndistortion_model: plumb_bob\n'
    )
    found = []
    for extra in ([], ['--focal-length', '160'], ['--intrinsics', str(tmp_path / 'camera.yaml')]):
        out = tmp_path / f'{len(found)}.npy'
        assert main(['teacher', grey, *bundle, '-o', str(out), *extra]) == 0
        found.append(np.load(out))
    np.testing.assert_allclose(found[1], 2 * found[0], rtol=1e-6)
    np.testing.assert_array_equal(found[2], found[1])
    assert 'mean confidence' in capsys.readouterr().out


def test_camera_info_of_a_real_camera(shared):
    pytest.importorskip('yaml')
    camera = read_camera_info(shared('data/camera_info/boson640_astuff.yaml'))
    assert (camera.width, camera.height) == (640, 512) and camera.distorted
    assert camera.fx == pytest.approx(767.942728) and camera.cy == pytest.approx(231.644928)


@pytest.mark.parametrize('text', ['a: [', 'image_width: 640', '[]', 'camera_matrix: {data: 1}'])
def test_files_that_are_no_calibration_are_named(tmp_path, text):
    pytest.importorskip('yaml')
    path = tmp_path / 'camera.yaml'
    path.write_text(text)
    with pytest.raises(CalibrationError, match=r'camera\.yaml'):
        read_camera_info(path)
    with pytest.raises(CalibrationError, match='cannot be read'):
        read_camera_info(tmp_path / 'absent.yaml')


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['-o', 'x.tiff'], 'ends with none of'),
        (['-o', 'x.png', '--domain', 'kitti'], "no option 'domain'"),
        (['-o', 'x.png', '--precision', 'int4'], 'precision'),
    ],
)
def test_what_cannot_be_done_is_said(grey, bundle, capsys, arguments, message):
    assert main(['teacher', grey, *bundle, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_what_is_no_picture_is_said(bundle, tmp_path, capsys):
    absent = tmp_path / 'absent.png'
    assert main(['teacher', str(absent), *bundle, '-o', str(tmp_path / 'x.png')]) == 1
    assert 'is no picture' in capsys.readouterr().err
    assert not (tmp_path / 'x.png').exists()


def test_sizes_are_height_by_width(grey, bundle, capsys):
    with pytest.raises(SystemExit):
        main(['teacher', grey, *bundle, '-o', 'x.png', '--size', '640'])
    assert 'is not HxW' in capsys.readouterr().err
