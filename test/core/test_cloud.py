# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.cloud import CloudBuilder, ColorSampler, pack_rgb

PLAIN = Intrinsics(64, 48, 50.0, 52.0, 31.0, 24.5)
BARREL = Intrinsics(64, 48, 50.0, 52.0, 31.0, 24.5, 'plumb_bob', (-0.25, 0.06, 0.001, -0.002))
RATIONAL = Intrinsics(
    96, 72, 60.0, 60.0, 47.0, 36.0, 'rational_polynomial', (0.1, 0.02, 0.001, 0.002, 0, 0.2, 0, 0)
)
FISHEYE = Intrinsics(96, 72, 40.0, 40.0, 47.0, 36.0, 'equidistant', (0.02, -0.01, 0.002, 0.0))


def depth_map(seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 40, (48, 64)).astype(np.float32)
    depth[rng.uniform(size=depth.shape) < 0.1] = np.nan
    return depth


def test_points_of_a_plain_camera():
    depth = depth_map()
    confidence, intensity = depth / 50, np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    cloud = CloudBuilder(PLAIN).build(depth, confidence, intensity)
    v, u = np.mgrid[:48, :64]
    assert cloud.dtype == np.float32
    np.testing.assert_allclose(cloud[..., 0], (u - 31.0) / 50 * depth, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(cloud[..., 1], (v - 24.5) / 52 * depth, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(cloud[..., 2], depth)
    np.testing.assert_array_equal(cloud[..., 3], confidence)
    np.testing.assert_array_equal(cloud[..., 4], intensity)


@pytest.mark.parametrize('camera', [PLAIN, BARREL])
def test_points_project_back_to_their_pixels(camera):
    depth = depth_map()
    cloud = CloudBuilder(camera).build(depth)
    known = np.isfinite(depth)
    v, u = np.mgrid[:48, :64]
    pixels = camera.project(cloud[known][:, :3])
    np.testing.assert_allclose(pixels, np.stack([u, v], -1)[known], atol=0.02)


def test_unknown_is_nan_in_all_coordinates():
    depth = depth_map()
    cloud = CloudBuilder(BARREL).build(depth)
    unknown = np.isnan(depth)
    assert unknown.any()
    assert np.isnan(cloud[unknown][:, :3]).all()
    assert np.isfinite(cloud[~unknown][:, :3]).all()
    assert np.isnan(cloud[..., 3:]).all()


def test_pixels_that_the_lens_model_cannot_see_are_unknown():
    folding = Intrinsics(64, 48, 20.0, 20.0, 31.5, 23.5, 'plumb_bob', (-0.9, 0.1, 0, 0))
    blind = np.isnan(folding.rays()[..., 0])
    assert blind.any()
    cloud = CloudBuilder(folding).build(np.ones((48, 64), np.float32))
    assert np.isnan(cloud[blind][:, :3]).all()
    assert np.isfinite(cloud[~blind][:, :3]).all()


def test_written_in_place_and_entirely():
    out = np.full((48, 64, 5), -1, np.float32)
    builder = CloudBuilder(PLAIN)
    made = builder.build(depth_map(), None, None, None, out)
    assert made is out
    assert not (out == -1).any()
    np.testing.assert_array_equal(out, builder.build(depth_map()))


def test_wrong_size():
    with pytest.raises(ValueError, match='do not fit a camera'):
        CloudBuilder(PLAIN).build(np.ones((48, 65), np.float32))
    with pytest.raises(ValueError, match='do not fit a camera'):
        CloudBuilder(PLAIN).build(depth_map(), out=np.empty((48, 64, 6), np.float32))


def test_packed_colours():
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    cloud = CloudBuilder(PLAIN).build(depth_map(), rgb=rgb)
    bits = np.ascontiguousarray(cloud[..., 5]).view(np.uint32)
    expected = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    np.testing.assert_array_equal(bits, expected)
    np.testing.assert_array_equal(pack_rgb(rgb[:, ::2]).view(np.uint32), bits[:, ::2])


def turned(x, y, z, angle=0.1):
    extrinsics = np.eye(4)
    c, s = np.cos(angle), np.sin(angle)
    extrinsics[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    extrinsics[:3, 3] = x, y, z
    return extrinsics


@pytest.mark.parametrize('rgb', [PLAIN, BARREL, RATIONAL, FISHEYE])
def test_colours_are_those_where_the_points_project(rgb):
    extrinsics = turned(0.2, -0.05, 0.02)
    depth = depth_map()
    v, u = np.mgrid[: rgb.height, : rgb.width]
    picture = np.stack([u * 2, v * 3, u + v], -1).astype(np.uint8)
    colors = ColorSampler(BARREL, rgb, extrinsics).sample(depth, picture)
    points = CloudBuilder(BARREL).build(depth)[..., :3].reshape(-1, 3).astype(np.float64)
    points = points @ extrinsics[:3, :3].T + extrinsics[:3, 3]
    pixels = np.full((len(points), 2), np.nan)
    front = points[:, 2] > 0
    pixels[front] = rgb.project(points[front])
    inside = (pixels > 1).all(1) & (pixels < (rgb.width - 2, rgb.height - 2)).all(1)
    assert 0.3 < inside.mean() < 1
    expected = np.stack([pixels[:, 0] * 2, pixels[:, 1] * 3, pixels.sum(1)], -1)[inside]
    np.testing.assert_allclose(colors.reshape(-1, 3)[inside], expected, atol=1.5)
    outside = ~((pixels > -0.6) & (pixels < (rgb.width - 0.4, rgb.height - 0.4))).all(1)
    assert outside.any()
    assert not colors.reshape(-1, 3)[outside].any()


def test_nothing_behind_the_colour_camera():
    picture = np.full((48, 64, 3), 255, np.uint8)
    sampler = ColorSampler(PLAIN, PLAIN, turned(0, 0, -10.0, 0))
    depth = np.full((48, 64), 5, np.float32)
    assert not sampler.sample(depth, picture).any()
    assert sampler.sample(depth + 20, picture).any()


def test_colour_image_of_another_size():
    picture = np.zeros((24, 32, 3), np.uint8)
    picture[:, 16:] = 200
    depth = np.full((48, 64), 5, np.float32)
    colors = ColorSampler(PLAIN, PLAIN, np.eye(4)).sample(depth, picture)
    assert (colors[:, 34:] == 200).all()
    assert (colors[:, :30] == 0).all()
