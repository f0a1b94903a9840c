# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a picture looks like whatever sensor took it: dense descriptors of local self-similarity.

Heat and colour differ, but both change where one surface ends and the next begins. How much a
small patch differs from its neighbours, relative to how much they differ in the mean, is nearly
the same in both (MIND: Heinrich et al., Medical Image Analysis 16, 2012). The confidence network
compares thermal and RGB pictures by the cosine of these descriptors; no weights are involved, so
it can be used with any teacher.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DILATIONS = (2, 5)
"""Distances of the neighbours, pixels."""

CHANNELS = 8 * len(DILATIONS)
"""Channels of the descriptor: eight neighbours at each distance."""

_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Rows and columns to four neighbours; the other four lie opposite."""

_PATCH = (0.0625, 0.25, 0.375, 0.25, 0.0625)
"""Weights of a patch's pixels along each axis: nearly Gaussian, deviation 1 px."""

_LUMA = (0.299, 0.587, 0.114)

_LEAST_VARIANCE = 2e-5
"""Squared intensity; patches that differ less are noise, and their descriptor fades to zero."""


def structure_features(image: Tensor) -> Tensor:
    """
    Descriptor of every pixel.

    Neighbour n at distance d has exp(-D_n / V_d), where D_n is the weighted squared difference of
    the patches around pixel and neighbour and V_d the mean of the eight D_n. Each distance is
    divided by its largest value, and its mean is subtracted, so that the cosine of two
    descriptors is about 0 for unlike places and 1 for like ones. Beyond the border the picture
    goes on with its outermost pixels.

    :param image: (B, 1 or 3, h, w) in [0, 1], both sides at least 8 px; RGB is brought to luma.
    :returns: (B, 16, h, w) float32, within [-1, 1]; all zeros where nothing is to be seen.
    """
    image = image.float()
    if image.shape[1] == 3:
        weights = image.new_tensor(_LUMA)[None, :, None, None]
        image = (image * weights).sum(1, keepdim=True)
    return torch.cat([_at_distance(image, d) for d in DILATIONS], 1)


def _at_distance(image: Tensor, reach: int) -> Tensor:
    """Eight channels, (B, 8, h, w)."""
    height, width = image.shape[-2:]
    margin = 2 * reach
    padded = F.pad(image, (margin,) * 4, mode='replicate')
    # the distance to one neighbour, read at the other end, is that to the opposite neighbour
    rows, columns = height + 2 * reach, width + 2 * reach
    centre = padded[..., reach : reach + rows, reach : reach + columns]
    squares = [
        (centre - padded[..., reach + v * reach :, reach + u * reach :][..., :rows, :columns]) ** 2
        for v, u in _DIRECTIONS
    ]
    apart = _patch_mean(torch.cat(squares, 1))
    there = apart[..., reach : reach + height, reach : reach + width]
    back = [
        apart[:, k : k + 1, reach - v * reach :, reach - u * reach :][..., :height, :width]
        for k, (v, u) in enumerate(_DIRECTIONS)
    ]
    distance = torch.cat([there, *back], 1)
    variance = distance.mean(1, keepdim=True)
    likeness = torch.exp(-distance / (variance + _LEAST_VARIANCE))
    likeness = likeness / likeness.amax(1, keepdim=True)
    return likeness - likeness.mean(1, keepdim=True)


def _patch_mean(values: Tensor) -> Tensor:
    """Weighted mean over the patch around each pixel, same size."""
    channels = values.shape[1]
    kernel = values.new_tensor(_PATCH)
    across = kernel.view(1, 1, 1, -1).repeat(channels, 1, 1, 1)
    values = F.conv2d(F.pad(values, (2, 2, 0, 0), mode='replicate'), across, groups=channels)
    down = kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    return F.conv2d(F.pad(values, (0, 0, 2, 2), mode='replicate'), down, groups=channels)
