# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Pairs of the vehicle as tensors, and the student's depth against the teacher's.

Everything is compared on the grid of the RGB camera at half of the student's input size: with a
pixel of two the comparison costs a quarter and judges the same. Sizes of pictures are h x w, of
comparisons h/2 x w/2; corners are aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from monother_ros.core.bundle import Normalisation
from monother_ros.learning import warp
from monother_ros.learning.consistency import (
    DEFAULT,
    Consistency,
    ConsistencySettings,
    consistency,
)
from monother_ros.learning.online_pair import OnlinePair, RigView
from monother_ros.learning.structure import structure_features

STRIDE = 2
"""Pixels of the student's input per pixel of a comparison."""


class Geometry(NamedTuple):
    """A rig on the device, each (1, ...)."""

    thermal: Tensor
    """(1, 3, 3) pixels of h/2 x w/2"""
    rgb: Tensor
    """(1, 3, 3) pixels of h/2 x w/2"""
    extrinsics: Tensor
    """(1, 4, 4) metres"""
    grid: Tensor
    """(1, h/2, w/2, 2) places in the student's picture of the pinhole thermal camera's pixels"""
    scale: Tensor
    """(1, 1, 1, 1) metres per metre that the network says"""


class PairView(NamedTuple):
    """A batch of pairs; of several rigs where need be."""

    inputs: Tensor
    """(B, C, h, w) the student's input"""
    image: Tensor
    """(B, 3, h, w) rectified RGB, 0 to 1"""
    teacher: Tensor
    """(B, 1, h/2, w/2) metres in the RGB camera, 0 unknown"""
    features: tuple[Tensor, Tensor]
    """descriptors of the pinhole thermal and of the RGB picture, (B, 16, h/2, w/2)"""
    geometry: Geometry
    """of each pair, (B, ...)"""


class PairViews:
    """
    Makes batches; what belongs to a rig is kept on the device.

    :param normalisation: of the student's bundle, to undo mean and deviation.
    :param device: of the tensors.
    """

    def __init__(self, normalisation: Normalisation, device: str | torch.device = 'cpu') -> None:
        self._normalisation = normalisation
        self._device = torch.device(device)
        self._rigs: dict[str, Geometry] = {}

    def of(self, pairs: Sequence[OnlinePair]) -> PairView:
        """
        Batch of pairs.

        :param pairs: at least one, of one size.
        """
        geometry = self._geometry([pair.rig for pair in pairs])
        inputs = self._stack([pair.thermal for pair in pairs]).float()
        image = self._stack([pair.rgb for pair in pairs]).float() * (1.0 / 255.0)
        teacher = self._stack([pair.teacher_depth[None] for pair in pairs]).float()
        size = reduced((int(inputs.shape[-2]), int(inputs.shape[-1])))
        plain = inputs[:, :1] * self._normalisation.std + self._normalisation.mean
        seen = structure_features(plain.clamp(0, 1))
        identity = pixel_places(size, inputs)
        features = (
            warp.sample(seen, geometry.grid),
            warp.sample(structure_features(image), identity.expand(len(pairs), -1, -1, -1)),
        )
        # depth is never mixed over an edge
        teacher = warp.sample(teacher, identity.expand(len(pairs), -1, -1, -1), mode='nearest')
        return PairView(inputs, image, teacher, features, geometry)

    def _stack(self, arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(self._device)

    def _geometry(self, rigs: Sequence[RigView]) -> Geometry:
        for rig in rigs:
            if rig.key not in self._rigs:
                if len(self._rigs) >= 8:
                    self._rigs.clear()
                self._rigs[rig.key] = _on_device(rig, self._device)
        kept = [self._rigs[rig.key] for rig in rigs]
        return Geometry(*(torch.cat(parts) for parts in zip(*kept, strict=True)))


def reduced(size: tuple[int, int]) -> tuple[int, int]:
    """Size (h, w) of a comparison for a size of the student's input."""
    return size[0] // STRIDE, size[1] // STRIDE


def pixel_places(size: tuple[int, int], like: Tensor) -> Tensor:
    """
    Places of the pixels of a smaller picture in a larger one with the same corners.

    :param size: (h, w) of the smaller one.
    :param like: gives device and type.
    :returns: (1, h, w, 2) normalised.
    """
    return warp.normalise_pixels(warp.pixel_grid(*size, like), *size)[None]


def _on_device(rig: RigView, device: torch.device) -> Geometry:
    full = (rig.height, rig.width)
    size = reduced(full)
    thermal, rgb = (
        warp.scale_intrinsics(torch.from_numpy(k)[None], full, size, corner_aligned=True)
        for k in (rig.thermal_intrinsics, rig.rgb_intrinsics)
    )
    places = pixel_places(size, thermal)
    if rig.thermal_grid is not None:
        dense = torch.from_numpy(rig.thermal_grid).permute(2, 0, 1)[None]
        # places that were not seen are marked by 2; a mean with one of them is outside, too
        near = warp.sample(dense, places)
        lost = warp.sample((dense.abs() > 1.5).float(), places).amax(1, keepdim=True) > 0
        near = torch.where(lost, torch.full_like(near, 2.0), near)
        places = near.permute(0, 2, 3, 1)
    return Geometry(
        thermal.to(device),
        rgb.to(device),
        torch.from_numpy(rig.extrinsics)[None].to(device),
        places.contiguous().to(device),
        torch.full((1, 1, 1, 1), float(rig.focal_scale), device=device),
    )


def pinhole_depth(view: PairView, depth: Tensor) -> Tensor:
    """
    The student's depth as the pinhole thermal camera sees it.

    :param view: the pairs.
    :param depth: (B, 1, h, w) as the network says it.
    :returns: (B, 1, h/2, w/2) metres, 0 where the lens saw nothing; differentiable.
    """
    grid = view.geometry.grid
    seen = (grid.abs() <= 1.0).all(-1)[:, None]
    fetched = warp.sample(depth, grid, padding='border') * view.geometry.scale
    return torch.where(seen, fetched, torch.zeros_like(fetched))


def compare(
    view: PairView,
    depth: Tensor,
    network: Callable[[Tensor], Tensor] | None,
    settings: ConsistencySettings = DEFAULT,
) -> Consistency:
    """
    The student's depth against the teacher's; L_con and what it is made of.

    :param view: the pairs.
    :param depth: (B, 1, h, w) as the network says it.
    :param network: confidence network; None has full confidence everywhere.
    :param settings: of the comparison.
    """
    size = (int(view.teacher.shape[-2]), int(view.teacher.shape[-1]))
    image = F.interpolate(view.image, size, mode='bilinear', align_corners=True)
    geometry = view.geometry
    return consistency(
        (pinhole_depth(view, depth), view.features[0]),
        (view.teacher, view.features[1]),
        image,
        geometry.thermal,
        geometry.rgb,
        geometry.extrinsics,
        network or _certain,
        settings,
    )


def _certain(inputs: Tensor) -> Tensor:
    """Full confidence."""
    return torch.ones_like(inputs[:, :1])
