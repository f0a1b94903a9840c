# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plane seen by two cameras, with the exact depth of every pixel; for tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IMAGE = (60, 90)
"""Height and width of the images."""
SIZE = (56, 84)
"""Height and width of the depth maps."""


@dataclass(frozen=True)
class Scene:
    """Inputs of the consistency block; one sample."""

    thermal_depth: Tensor
    rgb_depth: Tensor
    features: Tensor
    """(1, 3, h, w) noise, all cosines above 0"""
    image: Tensor
    thermal_intrinsics: Tensor
    rgb_intrinsics: Tensor
    extrinsics: Tensor
    hits: Tensor
    """(1, 1, h, w) bool, exact: what the RGB pixel shows is within the thermal picture."""
    away: Tensor
    """(1, 1, h, w) bool, exact: it is more than a pixel outside of the thermal picture."""


def plane_scene(
    *,
    translation: tuple[float, float, float] = (0.1, 0.02, 0.05),
    turn: float = 0.03,
    normal: tuple[float, float, float] = (0.15, 0.1, 1.0),
    distance: float = 6.0,
    rgb_focal: float = 95.0,
    size: tuple[int, int] = SIZE,
    image: tuple[int, int] = IMAGE,
) -> Scene:
    """
    Make the scene.

    :param translation: of X_rgb = R X_thermal + t, metres.
    :param turn: of R about the vertical axis, radians.
    :param normal: of the plane n X = distance in the thermal camera.
    :param distance: metres.
    :param rgb_focal: of the RGB camera, pixels of the image; the thermal one has 80.
    :param size: of the depth maps.
    :param image: of the images.
    """
    k_thermal = np.array([[80.0, 0, 43.0], [0, 82.0, 28.0], [0, 0, 1]])
    k_rgb = np.array([[rgb_focal, 0, 46.5], [0, 0.98 * rgb_focal, 31.0], [0, 0, 1]])
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation
    n_thermal = np.asarray(normal)
    n_rgb = rotation @ n_thermal
    d_rgb = distance + n_rgb @ pose[:3, 3]
    thermal = _depth(k_thermal, n_thermal, distance, size, image)
    rgb = _depth(k_rgb, n_rgb, d_rgb, size, image)
    # where each RGB pixel's point lies in the thermal picture
    points = _rays(k_rgb, size, image) * rgb[..., None]
    seen = ((points - pose[:3, 3]) @ rotation) @ k_thermal.T
    place = (
        seen[..., :2] / seen[..., 2:] * (np.array(size[::-1]) - 1) / (np.array(image[::-1]) - 1)
    )
    beyond = np.maximum(-place, place - (np.array(size[::-1]) - 1)).max(-1)

    def single(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32))[None]

    return Scene(
        single(thermal)[None],
        single(rgb)[None],
        torch.rand(1, 3, *size, generator=torch.manual_seed(7)) + 0.2,
        torch.full((1, 3, *image), 0.5),
        single(k_thermal),
        single(k_rgb),
        single(pose),
        torch.from_numpy(beyond <= 0)[None, None],
        torch.from_numpy(beyond > 1)[None, None],
    )


def _rays(k: np.ndarray, size: tuple[int, int], image: tuple[int, int]) -> np.ndarray:
    """Rays of z = 1 through the pixels of a map that was resized with aligned corners."""
    u = np.linspace(0, image[1] - 1, size[1])
    v = np.linspace(0, image[0] - 1, size[0])
    grid = np.stack([*np.meshgrid(u, v), np.ones(size)], -1)
    return grid @ np.linalg.inv(k).T


def _depth(
    k: np.ndarray,
    normal: np.ndarray,
    distance: float,
    size: tuple[int, int],
    image: tuple[int, int],
) -> np.ndarray:
    return distance / (_rays(k, size, image) @ normal)
