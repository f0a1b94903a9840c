# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Geometry between two rectified pinhole cameras, for whole depth maps.

Pixel coordinates are (u, v) = (column, row) of pixel centres, from 0. Depth is the z coordinate in
the camera in metres. ``T_ab`` moves points of camera a into camera b: X_b = T_ab X_a, metres.
Formulas: MonoTher-Depth (Zuo et al., RA-L 2025), its confidence-aware block. Nothing here changes
its arguments.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BEHIND = 1e-2
"""Points nearer than this to the camera plane, metres, count as behind the camera."""

AWAY = 1e5
"""Pixel coordinate of points behind the camera: far outside of any picture."""


def scale_intrinsics(
    intrinsics: Tensor,
    from_size: tuple[int, int],
    to_size: tuple[int, int],
    *,
    corner_aligned: bool,
) -> Tensor:
    """
    Intrinsics of a resized image.

    With aligned corners pixel u of W lands on u (w-1)/(W-1) of w, so both focal length and
    principal point scale by (w-1)/(W-1). Otherwise they scale by w/W, which is what the published
    code does although it resizes with aligned corners: a bias below one pixel.

    :param intrinsics: (B, 3, 3) or (B, 3, 4), pixels of the image of from_size.
    :param from_size: (height, width) of the image.
    :param to_size: (height, width) after resizing.
    :param corner_aligned: the image is resized with aligned corners.
    :returns: a new tensor of the same shape, pixels of to_size.
    """
    less = 1 if corner_aligned else 0
    factors = [
        max(n - less, 1) / max(m - less, 1) for m, n in zip(from_size, to_size, strict=True)
    ]
    rows = intrinsics.new_tensor([factors[1], factors[0], 1.0])
    return intrinsics * rows[:, None]


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """
    Coordinates of every pixel.

    :param height: rows.
    :param width: columns.
    :param like: gives device and floating point type.
    :returns: (height, width, 2), (u, v).
    """
    v, u = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=like.dtype),
        torch.arange(width, device=like.device, dtype=like.dtype),
        indexing='ij',
    )
    return torch.stack([u, v], -1)


def normalise_pixels(pixels: Tensor, height: int, width: int) -> Tensor:
    """
    Pixel coordinates as grid sampling with aligned corners wants them.

    :param pixels: (..., 2), (u, v).
    :param height: rows of the image that is sampled.
    :param width: its columns.
    :returns: (..., 2); -1 and 1 are the centres of the first and last pixel.
    """
    return torch.stack(
        [2 * pixels[..., 0] / (width - 1) - 1, 2 * pixels[..., 1] / (height - 1) - 1], -1
    )


def restore_pixels(grid: Tensor, height: int, width: int) -> Tensor:
    """
    Inverse of :func:`normalise_pixels`.

    :param grid: (..., 2) normalised coordinates.
    :param height: rows of the image.
    :param width: columns of the image.
    :returns: (..., 2), (u, v).
    """
    return torch.stack(
        [(grid[..., 0] + 1) / 2 * (width - 1), (grid[..., 1] + 1) / 2 * (height - 1)], -1
    )


def inside_picture(grid: Tensor, height: int, width: int, tolerance: float = 1e-3) -> Tensor:
    """
    Where a sampling grid hits the picture, between the centres of its outermost pixels.

    :param grid: (B, h, w, 2) normalised coordinates, aligned corners.
    :param height: rows of the image that is sampled.
    :param width: its columns.
    :param tolerance: pixels by which rounding may exceed the border.
    :returns: (B, 1, h, w) bool; False for what is not a number.
    """
    limit = grid.new_tensor([1 + 2 * tolerance / (width - 1), 1 + 2 * tolerance / (height - 1)])
    return (grid.abs() <= limit).all(-1)[:, None]


def sample(values: Tensor, grid: Tensor, mode: str = 'bilinear', padding: str = 'zeros') -> Tensor:
    """
    Read an image at given places, corners aligned.

    :param values: (B, C, H, W).
    :param grid: (B, h, w, 2) normalised coordinates in it.
    :param mode: bilinear or nearest.
    :param padding: zeros (fades to 0 over one pixel beyond the border) or border.
    :returns: (B, C, h, w).
    """
    return F.grid_sample(values, grid, mode=mode, padding_mode=padding, align_corners=True)


def lift(pixels: Tensor, depth: Tensor, intrinsics: Tensor) -> Tensor:
    """
    Points that pixels with depth show.

    :param pixels: (B, N, 2), (u, v).
    :param depth: (B, N) metres.
    :param intrinsics: (B, 3, 3) camera matrix, or (B, 3, 4) projection matrix.
    :returns: (B, 3, N) metres, camera frame (of a projection matrix: its world frame).
    """
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1).transpose(1, 2)
    rays = depth[:, None] * homogeneous
    if intrinsics.shape[-1] == 4:
        rays = rays - intrinsics[:, :, 3:]
    return torch.linalg.inv_ex(intrinsics[:, :, :3])[0] @ rays


def project(points: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """
    Pixels and depth of points, before any test of whether they are visible.

    :param points: (B, 3, N) metres.
    :param intrinsics: (B, 3, 3) camera matrix, or (B, 3, 4) projection matrix.
    :returns: (B, N, 2) pixels and (B, N) depth in metres.
    """
    if intrinsics.shape[-1] == 4:
        points = torch.cat([points, torch.ones_like(points[:, :1])], 1)
    q = intrinsics @ points
    z = q[:, 2]
    safe = torch.where(z.abs() < 1e-4, z + 1e-6, z)
    return (q[:, :2] / safe[:, None]).transpose(1, 2), z


def transform(points: Tensor, pose: Tensor | None) -> Tensor:
    """
    Points in another frame.

    :param points: (B, 3, N) metres.
    :param pose: (B, 4, 4), or None for the identity.
    :returns: (B, 3, N) metres.
    """
    if pose is None:
        return points
    return pose[:, :3, :3] @ points + pose[:, :3, 3:]


def forward_warp(
    depth: Tensor, from_intrinsics: Tensor, to_intrinsics: Tensor, pose: Tensor | None
) -> tuple[Tensor, Tensor]:
    """
    Where camera b sees each pixel of camera a.

    X = K_a^-1 (D [u, v, 1]), X' = T_ab X, q = K_b X', depth q_z, pixel q_xy / q_z.

    :param depth: (B, 1, h, w) metres, of camera a.
    :param from_intrinsics: (B, 3, 3) of camera a, pixels of the depth map; (B, 3, 4) projection
        matrices are taken too.
    :param to_intrinsics: (B, 3, 3) or (B, 3, 4) of camera b.
    :param pose: (B, 4, 4) T_ab, or None for the identity.
    :returns: (B, h, w, 2) pixels in camera b, 1e5 where the point is behind it, and (B, h, w, 1)
        depth in camera b in metres, 0 there; float32.
    """
    batch, _, height, width = depth.shape
    pixels = pixel_grid(height, width, depth).expand(batch, -1, -1, -1)
    moved, z = _warp(depth, pixels, from_intrinsics, to_intrinsics, pose)
    behind = z < BEHIND
    moved = torch.where(behind[..., None], torch.full_like(moved, AWAY), moved)
    z = torch.where(behind, torch.zeros_like(z), z)
    return moved.float(), z[..., None].float()


def express(
    depth: Tensor,
    pixels: Tensor,
    from_intrinsics: Tensor,
    to_intrinsics: Tensor,
    pose: Tensor | None,
    *,
    strict: bool,
) -> tuple[Tensor, Tensor]:
    """
    Depth values of camera a, fetched from given pixels of it, as depth in camera b.

    :param depth: (B, 1, h, w) metres in camera a, on any grid; 0 where none was fetched.
    :param pixels: (B, h, w, 2) where in camera a each value comes from.
    :param from_intrinsics: (B, 3, 3) of camera a.
    :param to_intrinsics: (B, 3, 3) of camera b.
    :param pose: (B, 4, 4) T_ab, or None for the identity.
    :param strict: True sets what has no depth in a or lies behind b to 0. False is the published
        behaviour: only where both hold, so that a missing depth turns into the translation's z.
    :returns: (B, h, w, 2) pixels in camera b and (B, 1, h, w) depth in camera b in metres,
        differentiable with respect to depth.
    """
    moved, z = _warp(depth, pixels, from_intrinsics, to_intrinsics, pose)
    missing = depth[:, 0] < BEHIND
    bad = (z < BEHIND) | missing if strict else (z < BEHIND) & missing
    moved = torch.where(bad[..., None], torch.full_like(moved, AWAY), moved)
    return moved, torch.where(bad, torch.zeros_like(z), z)[:, None]


def cosine_similarity(a: Tensor, b: Tensor) -> Tensor:
    """
    Cosine of the angle between the features of each pixel, sum ab / (|a| |b| + 1e-8).

    :param a: (B, C, H, W).
    :param b: (B, C, H, W).
    :returns: (B, 1, H, W), -1 to 1; 0 where one is all zeros.
    """
    norms = torch.linalg.vector_norm(a, dim=1, keepdim=True) * torch.linalg.vector_norm(
        b, dim=1, keepdim=True
    )
    return (a * b).sum(1, keepdim=True) / (norms + 1e-8)


def _warp(
    depth: Tensor,
    pixels: Tensor,
    from_intrinsics: Tensor,
    to_intrinsics: Tensor,
    pose: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Pixels (B, h, w, 2) and depth (B, h, w) in camera b, untested."""
    batch, _, height, width = depth.shape
    points = lift(pixels.reshape(batch, -1, 2), depth.reshape(batch, -1), from_intrinsics)
    moved, z = project(transform(points, pose), to_intrinsics)
    return moved.reshape(batch, height, width, 2), z.reshape(batch, height, width)
