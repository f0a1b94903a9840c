# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points of a range sensor as a sparse depth image: geometry, hiding, bad points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.range_points import (
    MOST,
    gather_sparse,
    project,
    remove_hidden,
    sparse_depth,
)

PLAIN = Intrinsics(320, 256, 260.0, 260.0, 159.5, 127.5)
BENT = Intrinsics(320, 256, 260.0, 260.0, 159.5, 127.5, distortion=(-0.24, 0.075, 0, 0, 0))
FISHEYE = Intrinsics(320, 256, 160.0, 160.0, 159.5, 127.5, 'equidistant', (-0.01, 0.002, 0.0, 0.0))


def lidar_pose(x=0.0, y=0.0, z=0.0):
    """T_thermal_lidar of a LiDAR (x forward, y left, z up) at a place in the optical frame."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    matrix[:3, 3] = x, y, z
    return matrix


@pytest.mark.parametrize('camera', [PLAIN, BENT, FISHEYE])
def test_each_point_lies_in_the_pixel_that_its_ray_says(camera):
    rays = camera.rays()
    rng = np.random.default_rng(0)
    depth = rng.uniform(2, 40, rays.shape[:2]).astype(np.float32)
    chosen = rng.random(depth.shape) < 0.05
    points = np.dstack([rays * depth[..., None], depth])[chosen]
    sparse = sparse_depth(points, None, camera)
    # half of a pixel apart at most: rays() itself is exact to a hundredth of one
    np.testing.assert_allclose(sparse, np.where(chosen, depth, 0), rtol=1e-6)


def test_pose_of_the_sensor_is_applied():
    sparse = sparse_depth([[10.0, 0.0, 0.0]], lidar_pose(y=-0.3, z=0.1), PLAIN)
    rows, columns = np.nonzero(sparse)
    # 0.3 m above the optical axis, 10.1 m ahead
    assert columns.tolist() == [160] and abs(rows[0] - (127.5 - 260 * 0.3 / 10.1)) <= 0.5
    assert sparse.max() == pytest.approx(10.1)


def test_another_size_has_the_same_field_of_view():
    rng = np.random.default_rng(1)
    points = rng.uniform([-3, -2, 4], [3, 2, 9], (400, 3))
    full = sparse_depth(points, None, BENT)
    half = sparse_depth(points, None, BENT, (160, 128))
    assert half.shape == (128, 160)
    np.testing.assert_array_equal(half > 0, gather_sparse(full, (160, 128)) > 0)


def test_nearest_point_of_a_pixel_stays():
    points = [[0.0, 0.0, 9.0], [0.0, 0.0, 4.0], [0.001, 0.0, 6.0]]
    assert sparse_depth(points, None, PLAIN).max() == 4.0
    assert sparse_depth(points[::-1], None, PLAIN).max() == 4.0


def test_what_no_camera_sees_is_left_out():
    bad = np.array(
        [
            [np.nan, 0, 5],
            [0, np.inf, 5],
            [0, 0, -np.inf],
            [0, 0, np.inf],
            [0, 0, -5],
            [0, 0, 0],
            [0, 0, 0.01],
            [500, 0, 5],
            [1e30, 1e30, 1e30],
        ]
    )
    for camera in (PLAIN, BENT, FISHEYE):
        assert not sparse_depth(bad, None, camera).any()
        with_one = np.concatenate([bad, [[0, 0, 7.0]]])
        assert np.count_nonzero(sparse_depth(with_one, None, camera)) == 1
    assert not sparse_depth([[0, 0, 50.0]], None, PLAIN, range_max=40.0).any()
    assert not sparse_depth(np.empty((0, 3)), lidar_pose(), BENT).any()


def test_a_distortion_that_folds_back_brings_nothing_in():
    folding = replace(PLAIN, distortion=(-0.24, 0.0, 0.0, 0.0))
    angle = np.radians(np.linspace(45, 70, 200))
    points = np.stack([np.tan(angle), np.zeros(200), np.ones(200)], 1)
    pixels = folding.project(points)
    assert ((pixels[:, 0] > 0) & (pixels[:, 0] < 319)).any(), 'the case is not what it was'
    assert not sparse_depth(points, None, folding).any()


def test_memory_is_reused_and_overwritten():
    out = np.full((256, 320), 7, np.float32)
    again = sparse_depth([[0, 0, 5.0]], None, PLAIN, out=out)
    assert again is out and np.count_nonzero(out) == 1


def wall_and_pole():
    """Points of a wall at 20 m behind a board at 3 m, both seen by a LiDAR above the camera."""
    azimuth, elevation = np.meshgrid(
        np.radians(np.arange(-25, 25, 0.25)), np.radians(np.arange(-16, 14, 2.0))
    )
    forward = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        -1,
    ).reshape(-1, 3)
    distance = 20.0 / forward[:, 0]
    near = 3.0 / forward[:, 0]
    at = forward * near[:, None]
    board = (np.abs(at[:, 1]) < 0.6) & (at[:, 2] < 0.1)
    return forward * np.where(board, near, distance)[:, None]


def test_points_behind_a_nearer_surface_are_removed():
    pose = lidar_pose(y=-0.5)
    points = wall_and_pole()
    sparse = sparse_depth(points, pose, PLAIN)
    flat, z = project(points, pose, PLAIN)
    everything = np.zeros(256 * 320, np.float32)
    everything[flat] = z
    everything = everything.reshape(256, 320)
    # the board's picture: |x| < 0.6 at 3 m, and from 0.4 m under the LiDAR's axis downwards
    top = 127.5 + 260 * (-0.5 - 0.1) / 3
    v, u = np.mgrid[:256, :320]
    behind = (np.abs(u - 159.5) < 260 * 0.6 / 3 - 2) & (v > top + 2) & (v < 225)
    wrong = behind & (everything > 10)
    assert wrong.sum() >= 20, 'the case is not what it was'
    assert (sparse[wrong] > 10).mean() < 0.1
    # what is not hidden stays, but for a seam beside the board
    free = (everything > 10) & ~behind
    assert (sparse[free] > 0).mean() > 0.85
    assert (sparse[(everything > 0) & (everything < 5)] > 0).all()


def test_a_slope_is_not_hidden_by_itself():
    depth = np.zeros((256, 320), np.float32)
    for row in range(130, 256, 8):
        depth[row, ::2] = 260 * 1.2 / (row - 127.5)
    kept = depth.copy()
    removed = remove_hidden(kept, 0.3 * 260)
    assert removed < 0.1 * np.count_nonzero(depth)
    assert remove_hidden(depth, 0.0) == 0


def test_sparse_depth_of_another_size_keeps_the_nearest():
    image = np.zeros((4, 6))
    image[0, 0], image[0, 1], image[3, 5], image[2, 2] = 8, 5, np.nan, -1
    small = gather_sparse(image, (3, 2))
    np.testing.assert_array_equal(small, [[5, 0, 0], [0, 0, 0]])
    large = gather_sparse(small, (6, 4))
    assert np.count_nonzero(large) == 1 and large[0, 0] == 5


def test_a_dense_cloud_is_thinned_evenly():
    v, u = np.mgrid[0:480, 0:640]
    depth = np.full(v.shape, 4.0)
    points = np.dstack([(u - 320) / 520 * depth, (v - 240) / 520 * depth, depth]).reshape(-1, 3)
    flat, z = project(points, None, PLAIN)
    assert 0.5 * MOST < len(z) <= MOST
    counts = np.bincount(flat // 320, minlength=256)
    assert counts[12:-12].min() > 0.3 * counts[12:-12].mean()


@pytest.mark.parametrize('pose', [np.eye(3), np.full((4, 4), np.nan)])
def test_a_pose_that_is_none_is_refused(pose):
    with pytest.raises(CalibrationError, match='pose of the range sensor'):
        sparse_depth([[0, 0, 5.0]], pose, PLAIN)
