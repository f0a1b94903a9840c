# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.scale import fit_intrinsics, focal_scale

CAMERA = Intrinsics(640, 512, 800.0, 800.0, 319.5, 255.5)


def test_longer_lens_means_farther_away():
    # 800 px at width 640 are 400 px at width 320
    assert focal_scale(250.0, CAMERA, 320) == pytest.approx(400 / 250)


def test_no_correction_without_both():
    assert focal_scale(None, CAMERA, 320) == 1
    assert focal_scale(250.0, None, 320) == 1


def test_calibration_of_another_size_is_scaled():
    fitted = fit_intrinsics(CAMERA, 320, 256)
    assert (fitted.width, fitted.height, fitted.fx) == (320, 256, 400)
    assert fit_intrinsics(CAMERA, 640, 512) is CAMERA
    assert focal_scale(250.0, fitted, 320) == focal_scale(250.0, CAMERA, 320)


def test_calibration_of_another_aspect_is_refused():
    with pytest.raises(CalibrationError, match='640x512, the image is 640x480: another aspect'):
        fit_intrinsics(CAMERA, 640, 480)
