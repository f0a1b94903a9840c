# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from monother_ros.learning import warp  # noqa: E402


@pytest.fixture
def golden(shared):
    stored = np.load(shared('golden/monother/losses.npz'))
    return {
        key[len('warp/') :]: torch.from_numpy(stored[key])
        for key in stored.files
        if key.startswith('warp/')
    }


def test_forward_warp_golden(golden):
    pixels, depth = warp.forward_warp(
        golden['depth1'][:, None], golden['K1'], golden['K2'], golden['T_1_to_2']
    )
    torch.testing.assert_close(depth, golden['fwd_depth'], rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(pixels, golden['fwd_pixels'], rtol=1e-6, atol=1e-4)
    assert torch.equal(depth == 0, golden['fwd_depth'] == 0)


def test_forward_warp_with_projection_matrices_golden(golden):
    pixels, depth = warp.forward_warp(golden['depth1'][:, None], golden['P1'], golden['P2'], None)
    torch.testing.assert_close(depth, golden['fwd_proj3x4_depth'], rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(pixels, golden['fwd_proj3x4_pixels'], rtol=1e-6, atol=1e-4)


def test_express_golden(golden):
    pixels, depth = warp.express(
        golden['values_in_depth1'][:, None],
        golden['values_in_uv1'],
        golden['K1'],
        golden['K2'],
        golden['T_1_to_2'],
        strict=False,
    )
    torch.testing.assert_close(depth[:, 0], golden['values_out_depth2'][..., 0])
    torch.testing.assert_close(pixels, golden['values_out_pixels2'], rtol=1e-6, atol=1e-4)


def test_cosine_golden(golden):
    got = warp.cosine_similarity(golden['cos_a'], golden['cos_b'])
    torch.testing.assert_close(got, golden['cos_out'], rtol=1e-6, atol=1e-6)


def cameras():
    k_a = torch.tensor([[[50.0, 0, 19.5], [0, 55.0, 14.5], [0, 0, 1]]])
    k_b = torch.tensor([[[60.0, 0, 21.0], [0, 58.0, 13.0], [0, 0, 1]]])
    pose = torch.eye(4)[None].clone()
    pose[0, :3, 3] = torch.tensor([0.3, -0.1, 0.2])
    return k_a, k_b, pose


def test_warp_there_and_back():
    k_a, k_b, pose = cameras()
    depth = torch.rand(1, 1, 30, 40, generator=torch.manual_seed(3)) * 5 + 2
    pixels, moved = warp.forward_warp(depth, k_a, k_b, pose)
    back, again = warp.express(
        moved.permute(0, 3, 1, 2), pixels, k_b, k_a, torch.linalg.inv(pose), strict=True
    )
    torch.testing.assert_close(again, depth, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(back[0], warp.pixel_grid(30, 40, depth), rtol=0, atol=1e-3)
    grid = warp.normalise_pixels(pixels, 30, 40)
    torch.testing.assert_close(warp.restore_pixels(grid, 30, 40), pixels, rtol=1e-5, atol=1e-4)


def test_points_behind_the_camera():
    k_a, k_b, pose = cameras()
    pose[0, 2, 3] = -3.0
    depth = torch.full((1, 1, 30, 40), 2.0)
    pixels, moved = warp.forward_warp(depth, k_a, k_b, pose)
    assert (moved == 0).all()
    assert (pixels == warp.AWAY).all()
    assert not warp.inside_picture(warp.normalise_pixels(pixels, 30, 40), 30, 40).any()


def test_a_missing_depth_becomes_the_translation_unless_strict():
    k_a, k_b, pose = cameras()
    depth = torch.zeros(1, 1, 30, 40)
    pixels = warp.pixel_grid(30, 40, depth)[None]
    _, published = warp.express(depth, pixels, k_a, k_b, pose, strict=False)
    _, strict = warp.express(depth, pixels, k_a, k_b, pose, strict=True)
    torch.testing.assert_close(published, torch.full_like(published, 0.2))
    assert (strict == 0).all()


def test_inside_picture_is_between_the_outermost_centres():
    pixels = torch.tensor(
        [[0.0, 0.0], [39.0, 29.0], [-5e-4, 0.0], [-0.4, 3.0], [39.4, 3.0], [3.0, 29.4]]
    )
    nan = torch.full((1, 2), torch.nan)
    grid = warp.normalise_pixels(torch.cat([pixels, nan]), 30, 40)
    got = warp.inside_picture(grid[None, None], 30, 40)
    assert got.flatten().tolist() == [True, True, True, False, False, False, False]


def test_corner_aligned_intrinsics_fit_the_resize():
    """A point's pixel, resized with aligned corners, is where the scaled camera projects it."""
    k, _, _ = cameras()
    from_size, to_size = (30, 40), (56, 98)
    u, v = 31.0, 22.0
    point = warp.lift(torch.tensor([[[u, v]]]), torch.tensor([[4.0]]), k)
    # an image that holds its own coordinates, resized as the network resizes
    own = warp.pixel_grid(*from_size, k).permute(2, 0, 1)[None]
    big = torch.nn.functional.interpolate(own, to_size, mode='bilinear', align_corners=True)
    aligned = warp.scale_intrinsics(k, from_size, to_size, corner_aligned=True)
    ratio = warp.scale_intrinsics(k, from_size, to_size, corner_aligned=False)
    where, _ = warp.project(point, aligned)
    grid = warp.normalise_pixels(where, *to_size)[:, None]
    torch.testing.assert_close(
        warp.sample(big, grid).flatten(), torch.tensor([u, v]), rtol=0, atol=1e-3
    )
    wrong, _ = warp.project(point, ratio)
    assert (wrong - where).abs().max() > 0.5
    assert torch.equal(ratio[0, 0], k[0, 0] * (98 / 40))
    assert torch.equal(k, cameras()[0])


def test_gradient_of_express_is_the_derivative():
    k_a, k_b, pose = (x.double() for x in cameras())
    depth = (torch.rand(1, 1, 3, 4, generator=torch.manual_seed(1)) * 5 + 2).double()
    pixels = warp.pixel_grid(3, 4, depth)[None]
    assert torch.autograd.gradcheck(
        lambda d: warp.express(d, pixels, k_a, k_b, pose, strict=True)[1],
        depth.requires_grad_(),
    )
