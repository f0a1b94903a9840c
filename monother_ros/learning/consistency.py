# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Confidence-aware consistency between the depths of a thermal and an RGB camera.

The thermal depth is fetched onto the RGB grid and expressed in the RGB camera; a network judges
from the comparison how far the RGB depth can be trusted; where it can, the thermal depth is pulled
towards it (L_con of MonoTher-Depth, Zuo et al., RA-L 2025). Pixel, depth and pose conventions are
those of :mod:`monother_ros.learning.warp`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from monother_ros.core.errors import SettingsError
from monother_ros.learning import warp
from monother_ros.learning.losses import Total, keep_smallest, local, masked_mean


@dataclass(frozen=True)
class ConsistencySettings:
    """
    Settings of the consistency block and of the losses with labels.

    The numbers are those that were published. The switches below them tell REFERENCE, which keeps
    the published behaviour to the last pixel of a mask, from DEFAULT, which repairs it.
    """

    near: float = 1e-3
    """Metres; depths up to it, predicted or labelled, do not count."""
    far: float = 80.0
    """Metres; depths from it on do not count."""
    least_difference: float = 0.01
    """Metres; pixels that agree better than this are left alone."""
    least_similarity: float = 0.01
    """Cosine of the features on the RGB grid that a pixel must exceed."""
    least_confidence: float = 1e-3
    """Confidence that a pixel must exceed; 1e-3 is an expected error of 2 m."""
    drop_largest: float = 0.2
    """Part of the pixels with the largest depth difference, or label error, that is dropped."""
    drop_dissimilar: float = 0.8
    """Complement of the part with the least similarity that is dropped; 0.8 drops about 20 %."""

    inside_only: bool = True
    """Only pixels whose projection hits the other picture are compared. False: one that misses it
    gets the depth t_z of the translation and stays in where t_z is 1 cm or more."""
    border_padding: bool = True
    """Depth is read at the border as it is there. False: it fades to 0 over the pixel beyond."""
    corner_aligned_intrinsics: bool = True
    """Intrinsics scale by (w-1)/(W-1), as images with aligned corners do. False: by w/W."""
    compare_valid_only: bool = True
    """The 20 % quantiles of difference and similarity are taken over comparable pixels. False:
    over all pixels, so that those out of view take most of the part that is dropped."""
    trim_valid_only: bool = True
    """The 20 % quantile of label errors is taken over labelled pixels. False: over all, with
    the whole predicted depth as error where there is no label: few labels are then trimmed."""
    trim_stride: int = 1
    """Grid step of the quantile of label errors; 10 was published, 1 suits sparse labels."""
    guard_empty: bool = True
    """A mean over no pixel is 0 with its graph alive. False: it is NaN."""
    confidence_floor: float = 1e-8
    """Least confidence in the logarithm of L_nll. 0: none, and its logarithm may be infinite."""
    resize_by_width: bool = False
    """True: a prediction is resized to its labels only if their widths differ."""


DEFAULT = ConsistencySettings()
"""The published method with its faults repaired; for training."""

REFERENCE = ConsistencySettings(
    inside_only=False,
    border_padding=False,
    corner_aligned_intrinsics=False,
    compare_valid_only=False,
    trim_valid_only=False,
    trim_stride=10,
    guard_empty=False,
    confidence_floor=0.0,
    resize_by_width=True,
)
"""The published behaviour, faults included; to reproduce its numbers."""

SETTINGS = {'default': DEFAULT, 'reference': REFERENCE}


def settings_named(name: str) -> ConsistencySettings:
    """
    Settings by name.

    :param name: default or reference.
    :raises SettingsError: another name.
    """
    if name not in SETTINGS:
        msg = f'no consistency settings are named {name!r}; use one of {sorted(SETTINGS)}'
        raise SettingsError(msg)
    return SETTINGS[name]


class Comparison(NamedTuple):
    """Thermal against RGB depth on the RGB grid; h x w is the size of the predictions."""

    grid: Tensor
    """(B, h, w, 2) where in the thermal picture each RGB pixel lands, normalised; no gradient."""
    back_grid: Tensor
    """(B, h, w, 2) where in the RGB picture each thermal pixel lands, normalised; no gradient."""
    fetched: Tensor
    """(B, 1, h, w) thermal depth there, metres in the thermal camera."""
    expressed: Tensor
    """(B, 1, h, w) the same as depth in the RGB camera, metres; with gradient."""
    difference: Tensor
    """(B, 1, h, w) |RGB depth - expressed|, metres; gradient to the thermal depth only."""
    inside: Tensor
    """(B, 1, h, w) bool, the RGB pixel lands in the thermal picture; all True in REFERENCE."""
    back_inside: Tensor
    """(B, 1, h, w) bool, the thermal pixel lands in the RGB picture; all True in REFERENCE."""


class Consistency(NamedTuple):
    """Result of the consistency block, on the RGB grid of the predictions."""

    loss: Tensor
    """Scalar L_con, metres; its gradient reaches the thermal depth only."""
    mask: Tensor
    """(B, 1, h, w) bool, pixels that L_con is averaged over."""
    confidence: Tensor
    """(B, 1, h, w) trust in the RGB depth, 0 to 1, gradient to the confidence network."""
    difference: Tensor
    """(B, 1, h, w) |RGB - expressed thermal depth|, metres, -1 where not comparable; detached."""
    inputs: Tensor
    """(B, 8, h, w) what the network saw: cosine on the RGB grid, that of the thermal grid fetched
    to it, difference, expressed, RGB depth, red, green, blue; detached."""
    expressed: Tensor
    """(B, 1, h, w) thermal depth in the RGB camera, metres, 0 where none; detached."""
    valid: Tensor
    """(B, 1, h, w) bool, pixels where both depths are in range and can be compared."""


def compare_depths(
    thermal_depth: Tensor,
    rgb_depth: Tensor,
    thermal_intrinsics: Tensor,
    rgb_intrinsics: Tensor,
    extrinsics: Tensor,
    settings: ConsistencySettings = DEFAULT,
) -> Comparison:
    """
    Thermal depth on the RGB grid and in the RGB camera, against the RGB depth.

    :param thermal_depth: (B, 1, h, w) metres.
    :param rgb_depth: (B, 1, h, w) metres; treated as constant.
    :param thermal_intrinsics: (B, 3, 3) pixels of the depth map.
    :param rgb_intrinsics: (B, 3, 3) pixels of the depth map.
    :param extrinsics: (B, 4, 4) T, X_rgb = T X_thermal, metres.
    :param settings: see :class:`ConsistencySettings`.
    """
    height, width = rgb_depth.shape[-2:]
    rgb_depth = rgb_depth.detach()
    with torch.no_grad():
        there, _ = warp.forward_warp(thermal_depth, thermal_intrinsics, rgb_intrinsics, extrinsics)
        back_grid = warp.normalise_pixels(there, height, width)
        inverse = torch.linalg.inv_ex(extrinsics)[0]
        here, _ = warp.forward_warp(rgb_depth, rgb_intrinsics, thermal_intrinsics, inverse)
        grid = warp.normalise_pixels(here, height, width)
        if settings.inside_only:
            inside = warp.inside_picture(grid, height, width)
            back_inside = warp.inside_picture(back_grid, height, width)
        else:
            inside = torch.ones_like(rgb_depth, dtype=torch.bool)
            back_inside = inside
        places = warp.restore_pixels(grid, height, width)
    fetched = warp.sample(
        thermal_depth, grid, padding='border' if settings.border_padding else 'zeros'
    )
    _, expressed = warp.express(
        fetched,
        places,
        thermal_intrinsics,
        rgb_intrinsics,
        extrinsics,
        strict=settings.inside_only,
    )
    expressed = torch.where(inside, expressed, torch.zeros_like(expressed))
    difference = (rgb_depth - expressed).abs()
    return Comparison(grid, back_grid, fetched, expressed, difference, inside, back_inside)


def compare_features(
    thermal_features: Tensor, rgb_features: Tensor, geometry: Comparison
) -> tuple[Tensor, Tensor, Tensor]:
    """
    Similarity of what both branches see at the same place.

    :param thermal_features: (B, C, h, w).
    :param rgb_features: (B, C, h, w).
    :param geometry: of :func:`compare_depths`.
    :returns: cosine on the RGB grid, cosine on the thermal grid, and the latter fetched to the RGB
        grid (nearest pixel); each (B, 1, h, w), detached, 0 out of view.
    """
    with torch.no_grad():
        on_rgb = warp.cosine_similarity(rgb_features, warp.sample(thermal_features, geometry.grid))
        on_rgb = on_rgb * geometry.inside
        on_thermal = warp.cosine_similarity(
            thermal_features, warp.sample(rgb_features, geometry.back_grid)
        )
        on_thermal = on_thermal * geometry.back_inside
        fetched = warp.sample(on_thermal, geometry.grid, mode='nearest') * geometry.inside
    return on_rgb, on_thermal, fetched


def consistency(
    thermal: tuple[Tensor, Tensor],
    rgb: tuple[Tensor, Tensor],
    image: Tensor,
    thermal_intrinsics: Tensor,
    rgb_intrinsics: Tensor,
    extrinsics: Tensor,
    network: Callable[[Tensor], Tensor],
    settings: ConsistencySettings = DEFAULT,
    total: Total = local,
) -> Consistency:
    """
    Judge the RGB depth and compare the thermal depth with it; L_con = mean over mask of c d.

    The geometry is computed in float32 whatever the autocast mode; arguments are never changed.

    :param thermal: depth (B, 1, h, w) in metres and features (B, C, h, w) of the thermal branch.
    :param rgb: the same of the RGB branch; constants here.
    :param image: (B, 3, H, W) RGB image, 0 to 1, not normalised.
    :param thermal_intrinsics: (B, 3, 3) pixels of a thermal image of H x W.
    :param rgb_intrinsics: (B, 3, 3) pixels of the RGB image of H x W.
    :param extrinsics: (B, 4, 4) T, X_rgb = T X_thermal, metres.
    :param network: confidence network, (B, 8, h, w) to (B, 1, h, w) in 0..1.
    :param settings: DEFAULT, REFERENCE or changes of them.
    :param total: differentiable sum over processes; the mean is then that of the whole batch.
    """
    size = (int(rgb[0].shape[-2]), int(rgb[0].shape[-1]))
    given = (int(image.shape[-2]), int(image.shape[-1]))
    with torch.autocast(image.device.type, enabled=False):
        aligned = settings.corner_aligned_intrinsics
        rgb_depth = rgb[0].detach().float()
        geometry = compare_depths(
            thermal[0].float(),
            rgb_depth,
            warp.scale_intrinsics(thermal_intrinsics.float(), given, size, corner_aligned=aligned),
            warp.scale_intrinsics(rgb_intrinsics.float(), given, size, corner_aligned=aligned),
            extrinsics.float(),
            settings,
        )
        on_rgb, _, fetched = compare_features(
            thermal[1].detach().float(), rgb[1].detach().float(), geometry
        )
        difference = geometry.difference
        raw = difference.detach()
        expressed = geometry.expressed.detach()
        comparable = (rgb_depth > settings.near) & (expressed > settings.near) & geometry.inside
        raw_marked = torch.where(comparable, raw, -torch.ones_like(raw))
        valid = comparable & (rgb_depth < settings.far) & (expressed < settings.far)
        among = valid if settings.compare_valid_only else None
        near_enough = keep_smallest(raw, settings.drop_largest, valid=among)
        alike = (on_rgb > settings.least_similarity) & ~keep_smallest(
            on_rgb, settings.drop_dissimilar, valid=among
        )
        expressed = torch.where(expressed < settings.near, torch.zeros_like(expressed), expressed)
        colours = F.interpolate(image.float(), size, mode='bilinear', align_corners=True)
        inputs = torch.cat(
            [on_rgb, fetched, raw_marked, expressed, rgb_depth, colours], 1
        ).detach()
    confidence = network(inputs)
    with torch.autocast(image.device.type, enabled=False):
        confidence = confidence.float()
        mask = (
            valid
            & (raw_marked > settings.least_difference)
            & alike
            & (confidence.detach() > settings.least_confidence)
            & near_enough
        )
        loss = masked_mean(
            confidence.detach() * difference, mask, guard=settings.guard_empty, total=total
        )
    return Consistency(loss, mask, confidence, raw_marked, inputs, expressed, valid)
