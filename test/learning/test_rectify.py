# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lens distortion undone: straight lines, whole labels; points projected."""

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.learning.rectify import Rectifier, project_points

LENSES = {
    'barrel': ('plumb_bob', (-0.30, 0.09, 1e-3, -5e-4, 0.0)),
    'pincushion': ('plumb_bob', (0.15, 0.02, 0.0, 0.0, 0.0)),
    'fisheye': ('equidistant', (0.02, -0.01, 0.003, -0.001)),
}


def camera(lens):
    return Intrinsics(160, 120, 140.0, 138.0, 81.3, 57.9, *LENSES[lens])


def stripes(rays):
    """A pattern of straight lines in the world, smooth enough to be sampled."""
    return 100 + 60 * np.sin(14 * rays[..., 0]) + 40 * np.cos(11 * rays[..., 1])


@pytest.mark.parametrize('lens', LENSES)
def test_straight_lines_become_straight(lens):
    lens_camera = camera(lens)
    rectifier = Rectifier(lens_camera)
    seen = stripes(lens_camera.rays()).astype(np.float32)
    pinhole = rectifier.camera
    assert not pinhole.distorted and np.array_equal(pinhole.matrix, lens_camera.matrix)
    straight = stripes(pinhole.rays())
    flat = rectifier.image(seen)
    known = flat > 0
    assert known.mean() > 0.75
    inner = known[1:-1, 1:-1] & (flat[:-2, 1:-1] > 0) & (flat[2:, 1:-1] > 0)
    inner &= (flat[1:-1, :-2] > 0) & (flat[1:-1, 2:] > 0)
    error = np.abs(flat - straight)[1:-1, 1:-1][inner]
    assert error.max() < 1.0
    before = np.abs(seen - straight)[1:-1, 1:-1][inner]
    assert before.max() > 10 * error.max()


@pytest.mark.parametrize('lens', LENSES)
def test_labels_are_moved_and_never_mixed(lens):
    lens_camera = camera(lens)
    rng = np.random.default_rng(2)
    depth = rng.choice([2.125, 7.7, 31.3, 0.0, np.inf, np.nan], lens_camera_size(lens_camera))
    flat = Rectifier(lens_camera).depth(depth.astype(np.float32))
    assert set(np.unique(flat)) == {np.float32(v) for v in (0.0, 2.125, 7.7, 31.3)}
    # a smooth surface lands where its rays are: Z does not change
    rays = lens_camera.rays()
    surface = (5 + rays[..., 0] + 2 * rays[..., 1]).astype(np.float32)
    flat = Rectifier(lens_camera).depth(surface)
    expected = Rectifier(lens_camera).camera.rays() @ np.array([1.0, 2.0]) + 5
    error = np.abs(flat - expected)[flat > 0]
    assert error.max() < 0.75 * (1 + 2) / 138 * 1.5


def lens_camera_size(lens_camera):
    return lens_camera.height, lens_camera.width


def test_an_undistorted_camera_changes_nothing():
    plain = Intrinsics(20, 16, 18.0, 18.0, 9.5, 7.5)
    image = np.random.default_rng(1).integers(0, 60000, (16, 20)).astype(np.uint16)
    rectifier = Rectifier(plain)
    assert np.array_equal(rectifier.image(image), image)
    depth = image.astype(np.float32) / 1000
    assert np.array_equal(rectifier.depth(depth), depth)


def test_what_the_lens_does_not_see_is_zero():
    rectifier = Rectifier(camera('pincushion'))
    flat = rectifier.image(np.full((120, 160), 900, np.uint16))
    labels = rectifier.depth(np.full((120, 160), 3.0, np.float32))
    assert set(np.unique(flat)) == {0, 900}
    assert np.array_equal(flat > 0, labels > 0)
    assert flat[0, 0] == 0 and flat[60, 80] == 900


def test_a_model_that_folds_back_shows_nothing_twice():
    folding = Intrinsics(160, 120, 60.0, 60.0, 79.5, 59.5, 'plumb_bob', (-0.5, 0.0, 0.0, 0.0))
    labels = Rectifier(folding).depth(np.full((120, 160), 3.0, np.float32))
    radius = np.hypot(*(np.moveaxis(Rectifier(folding).camera.rays(), -1, 0)))
    # r (1 - r^2 / 2) has its maximum at r = 0.816
    assert not labels[radius > 0.95].any() and labels[radius < 0.7].all()


def test_another_size_scales_the_camera_for_half_pixel_centres():
    plain = Intrinsics(160, 120, 140.0, 138.0, 81.3, 57.9)
    rectifier = Rectifier(plain, (80, 40))
    scaled = plain.scaled(80, 40)
    assert np.array_equal(rectifier.camera.matrix, scaled.matrix)
    assert scaled.cx == pytest.approx((81.3 + 0.5) / 2 - 0.5)
    image = rectifier.image(stripes(plain.rays()).astype(np.float32))
    # averaging takes a little contrast away
    assert np.abs(image - stripes(scaled.rays())).max() < 1.5


def test_points_land_on_their_pixels_and_the_nearest_counts():
    pinhole = Intrinsics(40, 30, 50.0, 50.0, 20.0, 15.0)
    pose = np.eye(4)
    pose[:3, 3] = 0.1, 0.0, 0.0
    points = np.array(
        [
            [-0.1, 0.0, 4.0],  # the principal point
            [-0.1, 0.0, 9.0],  # behind it
            [0.9, 0.5, 5.0],  # 10 pixels right, 5 down
            [0.0, 0.0, -3.0],  # behind the camera
            [9.0, 0.0, 3.0],  # outside
            [-0.1 + 5.8 * 1 / 50, 0.0, 5.8],  # one pixel right of the first, farther
        ],
        np.float32,
    )
    everything = project_points(points, pose, pinhole, radius=0)
    assert np.count_nonzero(everything) == 3
    assert everything[15, 20] == 4 and everything[20, 30] == 5
    assert everything[15, 21] == pytest.approx(5.8)
    seen = project_points(points, pose, pinhole, radius=2)
    assert seen[15, 21] == 0 and np.count_nonzero(seen) == 2
    assert not project_points(points[:0], pose, pinhole).any()
