# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError

CAMERAS = [
    Intrinsics(64, 48, 50.0, 52.0, 31.0, 24.5),
    Intrinsics(64, 48, 50.0, 52.0, 31.0, 24.5, 'plumb_bob', (-0.4, 0.15, 0.001, -0.002, 0.01)),
    Intrinsics(
        64, 48, 50.0, 50.0, 31.0, 24.5, 'rational_polynomial', (0.1, 0, 0, 0, 0, 0.2, 0, 0)
    ),
    Intrinsics(64, 48, 30.0, 30.0, 31.0, 24.5, 'fisheye', (0.02, -0.01, 0.002, 0.0)),
]


@pytest.mark.parametrize('camera', CAMERAS)
def test_rays_project_back_to_their_pixels(camera):
    rays = camera.rays().reshape(-1, 2)
    v, u = np.mgrid[:48, :64]
    pixels = camera.project(np.c_[rays, np.ones(len(rays))])
    np.testing.assert_allclose(pixels, np.c_[u.ravel(), v.ravel()], atol=0.02)


@pytest.mark.parametrize('camera', CAMERAS)
def test_scaling_keeps_directions(camera):
    half = camera.scaled(32, 24)
    point = np.array([[0.1, -0.2, 1.0]])
    expected = (camera.project(point) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(half.project(point), expected, atol=1e-9)
    assert half.scaled(64, 48).matrix == pytest.approx(camera.matrix)


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [
        ({'width': 0}, 'size 0x48 is not positive'),
        ({'fx': 0.0}, 'the camera is not calibrated'),
        ({'fy': -3.0}, 'is not positive'),
        ({'cx': float('nan')}, 'not finite'),
        ({'distortion': (float('inf'), 0, 0, 0)}, 'not finite'),
        ({'distortion_model': 'magic'}, "'magic' is not known"),
        ({'distortion': (0.1, 0.2)}, '2 distortion coefficients do not fit plumb_bob'),
    ],
)
def test_impossible_cameras(fields, sentence):
    values = {'width': 64, 'height': 48, 'fx': 50.0, 'fy': 50.0, 'cx': 31.0, 'cy': 24.0} | fields
    with pytest.raises(CalibrationError, match=sentence):
        Intrinsics(**values)


@pytest.mark.parametrize(('alias', 'name'), [('radtan', 'plumb_bob'), ('', 'plumb_bob')])
def test_names_in_real_files(alias, name):
    assert Intrinsics(64, 48, 1.0, 1.0, 0.0, 0.0, alias).distortion_model == name
