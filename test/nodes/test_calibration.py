# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CameraInfo kept, checked and fitted to the images."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
from depth_rig import info_message
from sensor_msgs.msg import CameraInfo

from monother_ros.nodes.calibration import Calibration


@pytest.fixture
def calibration():
    return Calibration('/thermal/camera_info')


def test_nothing_is_known_before_the_first_message(calibration):
    assert calibration.fit(640, 512) is None and calibration.height is None
    assert calibration.problem == 'no camera_info on /thermal/camera_info'


def test_same_size_is_taken_as_it_is_and_looked_at_once(calibration):
    calibration.update(info_message(640, 512))
    first = calibration.fit(640, 512)
    calibration.update(info_message(640, 512, stamp=99))
    assert calibration.fit(640, 512) is first
    assert first.fx == 576.0 and calibration.problem is None and calibration.note is None


def test_half_size_is_scaled_and_noted(calibration):
    calibration.update(info_message(640, 512))
    assert calibration.fit(320, 256).fx == 288.0
    assert calibration.note == 'camera_info is for 640x512, images are 320x256: scaled'


def test_another_shape_is_refused_until_the_image_fits_again(calibration):
    calibration.update(info_message(640, 480))
    assert calibration.fit(640, 512) is None
    assert '640x480' in calibration.problem and '640x512' in calibration.problem
    assert calibration.fit(640, 480) is not None and calibration.problem is None


def test_uncalibrated_driver_and_its_recovery(calibration):
    calibration.update(CameraInfo(width=640, height=512))
    assert calibration.fit(640, 512) is None
    assert 'cannot be used' in calibration.problem and 'not calibrated' in calibration.problem
    calibration.update(info_message(640, 512))
    assert calibration.fit(640, 512) is not None and calibration.problem is None


@pytest.mark.parametrize('defect', ['nan', 'coefficients', 'model', 'no size'])
def test_each_impossible_calibration_is_a_sentence_and_no_exception(calibration, defect):
    msg = info_message(640, 512)
    if defect == 'nan':
        msg.k[2] = float('nan')
    elif defect == 'coefficients':
        msg.d = [0.1, 0.2, 0.3]
    elif defect == 'model':
        msg.distortion_model = 'kaleidoscope'
    else:
        msg.width = 0
    calibration.update(msg)
    assert calibration.fit(640, 512) is None
    assert calibration.problem.startswith('camera_info on /thermal/camera_info cannot be used: ')
