# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Descriptors of self-similarity: the same for both sensors, different from place to place."""

from __future__ import annotations

import torch

from monother_ros.learning.structure import CHANNELS, structure_features
from monother_ros.learning.warp import cosine_similarity


def picture(seed: int = 0) -> torch.Tensor:
    """A smooth random picture with edges, (1, 1, 48, 64) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.nn.functional.interpolate(
        torch.rand(1, 1, 8, 10, generator=generator), (48, 64), mode='bicubic'
    )
    return ((blobs > 0.5).float() * 0.4 + 0.5 * blobs).clamp(0, 1)


def test_shape_range_and_zero_mean() -> None:
    found = structure_features(picture())
    assert found.shape == (1, CHANNELS, 48, 64)
    assert found.dtype == torch.float32
    assert found.abs().max() <= 1.0
    for part in found.split(8, 1):
        assert part.mean(1).abs().max() < 1e-6


def test_inverted_and_stretched_pictures_look_alike() -> None:
    thermal = picture()
    other = 1.0 - 0.6 * thermal
    same = cosine_similarity(structure_features(thermal), structure_features(other))
    elsewhere = cosine_similarity(structure_features(thermal), structure_features(picture(1)))
    assert same.median() > 0.98
    assert elsewhere.median() < 0.5


def test_shifted_picture_is_less_alike() -> None:
    thermal = picture()
    here = structure_features(thermal)
    moved = structure_features(torch.roll(thermal, 4, 3))
    assert cosine_similarity(here, moved).mean() < 0.6


def test_descriptor_moves_with_the_picture() -> None:
    thermal = picture()
    found = structure_features(torch.roll(thermal, (3, 2), (2, 3)))
    expected = torch.roll(structure_features(thermal), (3, 2), (2, 3))
    inner = (..., slice(16, -16), slice(16, -16))
    assert torch.allclose(found[inner], expected[inner], atol=1e-5)


def test_mirrored_picture_has_mirrored_neighbours() -> None:
    """Neighbour 0 (right) of the mirrored picture is its opposite, channel 4 (left)."""
    thermal = picture()
    here, mirrored = structure_features(thermal), structure_features(thermal.flip(3))
    assert torch.allclose(mirrored[:, 0].flip(2), here[:, 4], atol=1e-5)
    assert torch.allclose(mirrored[:, 2], here[:, 2].flip(2), atol=1e-5)


def test_nothing_to_see_gives_zeros() -> None:
    found = structure_features(torch.full((2, 3, 32, 32), 0.4))
    assert found.abs().max() < 1e-3


def test_rgb_is_brought_to_luma() -> None:
    grey = picture()
    assert torch.allclose(
        structure_features(grey.expand(-1, 3, -1, -1)), structure_features(grey), atol=1e-4
    )
