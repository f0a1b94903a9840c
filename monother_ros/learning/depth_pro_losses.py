# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training losses of Depth Pro (Bochkovskii et al. 2024, section 3.2), pure functions.

All compare a prediction with a label, both canonical inverse depth C = f / (w D), (B, 1, H, W),
on the pixels that have a label. Each image counts alike: a loss is the mean over the images of the
image's own mean; an image without a pixel that counts has the loss 0 with its graph.

What the paper leaves open is chosen here: the pyramid blurs with (1, 4, 6, 4, 1)/16 in both
directions, border mirrored, and averages 2 x 2 pixels; Scharr kernels are divided by 32 so that a
ramp of slope 1 answers 1; the Laplacian has four neighbours; derivatives repeat the border; a
pixel of a pyramid or of a derivative counts where everything that it is made of has a label.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from monother_ros.core.errors import SettingsError

LEVELS = 6
"""Levels of the pyramid, the image itself among them."""

TRIM = 0.2
"""Part of an image's pixels, those of the largest error, that real labels lose."""

Operator = Literal['scharr', 'laplace']
Norm = Literal['componentwise', 'euclidean']

_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_SCHARR = ((-3.0, 0.0, 3.0), (-10.0, 0.0, 10.0), (-3.0, 0.0, 3.0))
_LAPLACE = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


class Derivative(NamedTuple):
    """A loss of derivatives at several scales."""

    loss: Tensor
    """scalar, mean of the levels"""
    levels: Tensor
    """(M,) loss of each level, the full size first"""


@dataclass(frozen=True)
class DepthProWeights:
    """
    Weight of each of Depth Pro's losses; one of weight 0 is not computed.

    The paper gives none; its sums are read as plain ones.
    """

    mae: float = 0.0
    """of the error of canonical inverse depth, without the part of ``trim``"""
    mse: float = 0.0
    """of its square, likewise"""
    mage: float = 0.0
    """of the error of slopes at several scales; as the next four it needs dense labels"""
    male: float = 0.0
    """of the error of Laplacians at several scales"""
    msge: float = 0.0
    """of the squared error of slopes at several scales"""
    ssi_mae: float = 0.0
    """of the error without scale and shift, without the part of ``trim``; labels may be sparse"""
    ssi_mage: float = 0.0
    """of the error of slopes without scale and shift"""
    trim: float = 0.0
    """part of each image's pixels, those of the largest errors, that does not count: 0 for
    synthetic labels, 0.2 for real ones"""

    def __post_init__(self) -> None:
        """Refuse what is no weight."""
        for name, value in self.weights().items():
            if not 0 <= value < float('inf'):
                msg = f'weight depth_pro.{name} is {value}; give a number from 0'
                raise SettingsError(msg)
        if not 0 <= self.trim < 1:
            msg = f'depth_pro.trim is {self.trim}; give a part of the pixels, from 0 to below 1'
            raise SettingsError(msg)

    def weights(self) -> dict[str, float]:
        """Weight by loss."""
        return {f.name: float(getattr(self, f.name)) for f in fields(self) if f.name != 'trim'}

    def names(self) -> tuple[str, ...]:
        """Names of the losses that count, as they are logged."""
        return tuple(f'depth_pro_{name}' for name, weight in self.weights().items() if weight > 0)


def depth_pro_terms(
    prediction: Tensor, target: Tensor, weights: DepthProWeights, valid: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """
    Weighted sum of the losses that count.

    :param prediction: (B, 1, H, W) canonical inverse depth.
    :param target: (B, 1, H, W) the same of the labels.
    :param weights: of the losses.
    :param valid: (B, 1, H, W) bool, pixels with a label; None for all.
    :returns: the sum, 0 where none counts, and each loss by its logged name, not weighted and
        detached.
    """
    trim = weights.trim
    losses = {
        'mae': lambda: mean_error(prediction, target, valid, trim=trim),
        'mse': lambda: mean_error(prediction, target, valid, power=2, trim=trim),
        'mage': lambda: mage(prediction, target, valid),
        'male': lambda: male(prediction, target, valid),
        'msge': lambda: msge(prediction, target, valid),
        'ssi_mae': lambda: ssi_mae(prediction, target, valid, trim=trim),
        'ssi_mage': lambda: ssi_mage(prediction, target, valid),
    }
    total = prediction.new_zeros(())
    parts: dict[str, Tensor] = {}
    for name, weight in weights.weights().items():
        if weight > 0:
            value = losses[name]()
            total = total + weight * value
            parts[f'depth_pro_{name}'] = value.detach()
    return total, parts


def canonical(depth: Tensor, focal: Tensor | float, width: int) -> Tensor:
    """
    Canonical inverse depth C = f / (w D) (Depth Pro, section 3.1).

    :param depth: (B, 1, H, W) metres, > 0.
    :param focal: horizontal focal length in pixels of an image that is ``width`` wide; a number or
        (B,).
    :param width: of that image in pixels.
    :returns: (B, 1, H, W), without unit.
    """
    if isinstance(focal, Tensor):
        focal = focal.view(-1, 1, 1, 1)
    return focal / (width * depth)


def mean_error(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor | None = None,
    *,
    power: int = 1,
    trim: float = 0.0,
) -> Tensor:
    """
    Mean of |C - C*|^power; trimmed: without the largest errors of each image.

    :param prediction: (B, 1, H, W).
    :param target: (B, 1, H, W).
    :param valid: (B, 1, H, W) bool, pixels with a label; None for all.
    :param power: 1 for MAE, 2 for MSE.
    :param trim: part of each image's pixels to drop, 0 to below 1; :data:`TRIM` for real labels,
        0 for synthetic ones. int(trim n) of n pixels go.
    :returns: scalar.
    :raises SettingsError: trim is out of range.
    """
    if not 0 <= trim < 1:
        msg = f'trim is {trim}; give the part of the pixels to drop, from 0 to below 1'
        raise SettingsError(msg)
    valid = _all(target) if valid is None else valid
    # where() before the power keeps what is no number out of the gradient
    error = torch.where(valid, prediction - torch.where(valid, target, 0.0), 0.0).abs()
    if power != 1:
        error = error**power
    if trim > 0:
        valid = _smallest(error.detach(), valid, trim)
    return _mean(error, valid)


def normalised(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """
    Values without scale and shift, (x - median) / mean |x - median| per image (SSI).

    :param values: (B, 1, H, W).
    :param valid: (B, 1, H, W) bool, pixels that count; None for all.
    :returns: (B, 1, H, W), 0 where a pixel does not count; a constant image becomes 0.
    """
    valid = _all(values) if valid is None else valid
    centred = torch.where(valid, values - _median(values, valid), 0.0)
    count = valid.flatten(1).sum(1).clamp(min=1)
    spread = (centred.abs().flatten(1).sum(1) / count).view(-1, 1, 1, 1)
    return centred / spread.clamp(min=torch.finfo(values.dtype).eps)


def pyramid_down(values: Tensor) -> Tensor:
    """
    Next level of a pyramid, half the size: blur, then the mean of 2 x 2 pixels.

    :param values: (B, 1, H, W), both sides from 3; the last of an odd number of rows or columns
        only takes part in the blur.
    :returns: (B, 1, H // 2, W // 2).
    """
    taps = values.new_tensor(_BLUR)
    padded = F.pad(values, (2, 2, 2, 2), mode='reflect')
    blurred = F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))
    return F.avg_pool2d(blurred, 2)


def derivatives(values: Tensor, operator: Operator) -> Tensor:
    """
    Spatial derivatives with a repeated border.

    :param values: (B, 1, H, W).
    :param operator: 'scharr', slopes along x and y per pixel, or 'laplace'.
    :returns: (B, 2, H, W) for scharr, (B, 1, H, W) for laplace.
    """
    if operator == 'scharr':
        along_x = values.new_tensor(_SCHARR) / 32.0
        kernels = torch.stack([along_x, along_x.T])[:, None]
    else:
        kernels = values.new_tensor(_LAPLACE)[None, None]
    return F.conv2d(F.pad(values, (1, 1, 1, 1), mode='replicate'), kernels)


def derivative_loss(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor | None = None,
    *,
    operator: Operator = 'scharr',
    power: int = 1,
    levels: int = LEVELS,
    norm: Norm = 'componentwise',
) -> Derivative:
    """
    Multi-scale derivative loss, 1/M sum_j 1/N_j sum_i |op C_i^j - op C*_i^j|^p.

    :param prediction: (B, 1, H, W).
    :param target: (B, 1, H, W).
    :param valid: (B, 1, H, W) bool, pixels with a label; None for all. Sparse labels leave no
        pixel whose whole surroundings have one, and the loss is 0: it is for dense labels.
    :param operator: see :func:`derivatives`.
    :param power: p.
    :param levels: M, the image itself among them; a level too small to be halved is the last.
    :param norm: 'componentwise' takes the mean over x and y too, 'euclidean' the length of the
        difference vector.
    """
    # all operators are linear: those of the difference are the difference of those
    if valid is None:
        difference = prediction - target
        unknown = None
    else:
        difference = torch.where(valid, prediction - torch.where(valid, target, 0.0), 0.0)
        unknown = (~valid).to(difference.dtype)
    found: list[Tensor] = []
    for level in range(levels):
        if level:
            if min(difference.shape[-2:]) < 3:
                break
            difference = pyramid_down(difference)
            unknown = None if unknown is None else _unknown_down(unknown)
        slopes = derivatives(difference, operator)
        if norm == 'euclidean' and slopes.shape[1] > 1:
            length = (slopes**2).sum(1, keepdim=True)
            live = length > 0
            # the root has no slope at 0
            root = torch.where(live, length, 1.0).sqrt()
            error = torch.where(live, root, 0.0) ** power
        else:
            error = (slopes.abs() ** power).mean(1, keepdim=True)
        known = _all(error) if unknown is None else F.max_pool2d(unknown, 3, 1, 1) == 0
        found.append(_mean(error, known))
    each = torch.stack(found)
    return Derivative(each.mean(), each)


def mage(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean absolute gradient error, :func:`derivative_loss` with Scharr and p = 1; scalar."""
    return derivative_loss(prediction, target, valid).loss


def male(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean absolute Laplace error, :func:`derivative_loss` with Laplace and p = 1; scalar."""
    return derivative_loss(prediction, target, valid, operator='laplace').loss


def msge(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean squared gradient error, :func:`derivative_loss` with Scharr and p = 2; scalar."""
    return derivative_loss(prediction, target, valid, power=2).loss


def ssi_mae(
    prediction: Tensor, target: Tensor, valid: Tensor | None = None, *, trim: float = 0.0
) -> Tensor:
    """
    MAE after :func:`normalised` of both, for labels without a reliable scale; scalar.

    :param prediction: (B, 1, H, W).
    :param target: (B, 1, H, W).
    :param valid: (B, 1, H, W) bool; None for all.
    :param trim: see :func:`mean_error`.
    """
    one, other = normalised(prediction, valid), normalised(target, valid)
    return mean_error(one, other, valid, trim=trim)


def ssi_mage(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """MAGE after :func:`normalised` of both; scalar."""
    return mage(normalised(prediction, valid), normalised(target, valid), valid)


def _all(values: Tensor) -> Tensor:
    """Mask of all pixels."""
    return torch.ones_like(values, dtype=torch.bool)


def _mean(values: Tensor, keep: Tensor) -> Tensor:
    """Mean over the images of the mean of each one's kept pixels; 0 for an image with none."""
    part = torch.where(keep, values, 0.0).flatten(1).sum(1)
    return (part / keep.flatten(1).sum(1).clamp(min=1)).mean()


def _smallest(error: Tensor, valid: Tensor, trim: float) -> Tensor:
    """Mask of the valid pixels of each image without its int(trim n) largest errors."""
    flat = torch.where(valid, error, torch.inf).flatten(1)
    count = valid.flatten(1).sum(1)
    # in double precision: 0.2 * 5 must be 1, not a little less
    kept = count - (count.double() * trim + 1e-9).long()
    rank = flat.argsort(dim=1, stable=True).argsort(dim=1)
    return (rank < kept[:, None]).view_as(error)


def _median(values: Tensor, valid: Tensor) -> Tensor:
    """Median of each image's valid pixels, (B, 1, 1, 1), the mean of two middle ones, or 0."""
    # values that are no number may stand where there is no label
    ordered = torch.where(valid, values, torch.inf).flatten(1).sort(1).values
    count = valid.flatten(1).sum(1)
    lower = ((count - 1).clamp(min=0) // 2)[:, None]
    upper = (count // 2).clamp(max=ordered.shape[1] - 1)[:, None]
    middle = (ordered.gather(1, lower) + ordered.gather(1, upper)) / 2
    return torch.where(count[:, None] > 0, middle, 0.0).view(-1, 1, 1, 1)


def _unknown_down(unknown: Tensor) -> Tensor:
    """1 where a pixel of the next level is made of one without a label, else 0."""
    spread = F.max_pool2d(unknown, 5, 1, 2)
    return F.max_pool2d(spread, 2)
