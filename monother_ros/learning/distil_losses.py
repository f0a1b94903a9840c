# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of points: places in the student's picture with a depth that they should have.

A pair gives the teacher's points, seen from the thermal camera. All errors are differences of
natural logarithms of metres.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from monother_ros.learning import warp
from monother_ros.learning.pair_view import PairView
from monother_ros.learning.student import Bins, StudentOutput
from monother_ros.networks.lite import CELL

_FAR_ERROR = math.log(5.0)


class Points(NamedTuple):
    """Places, depths and weights; rows x columns is a grid on which neighbours are neighbours."""

    places: Tensor
    """(B, rows, columns, 2) in the student's picture, normalised, aligned corners"""
    log_depth: Tensor
    """(B, 1, rows, columns) log metres as the network says them; any finite value where unknown"""
    weight: Tensor
    """(B, 1, rows, columns) >= 0; 0 where unknown or out of view"""


class PointLosses(NamedTuple):
    """Means over the weights, each a scalar."""

    depth: Tensor
    """error of log depth, in which too far is worse than too near"""
    bins: Tensor
    """cross-entropy of the bins, nats; 0 where the student has none"""
    edges: Tensor
    """difference of neighbouring errors of log depth"""


def teacher_points(view: PairView, near: float, far: float) -> Points:
    """
    The teacher's depths as the thermal camera should say them.

    :param view: the pairs.
    :param near: nearest depth of the teacher that counts, metres.
    :param far: farthest depth of the teacher that counts, metres.
    :returns: one point per pixel of the RGB grid, weight 1 where it counts and is in view.
    """
    geometry = view.geometry
    inverse = torch.linalg.inv_ex(geometry.extrinsics)[0]
    there, z = warp.forward_warp(view.teacher, geometry.rgb, geometry.thermal, inverse)
    rows, columns = view.teacher.shape[-2:]
    pinhole = warp.normalise_pixels(there, rows, columns)
    inside = warp.inside_picture(pinhole, rows, columns)
    grid = geometry.grid.permute(0, 3, 1, 2)
    places = warp.sample(grid, pinhole, padding='border').permute(0, 2, 3, 1)
    inside &= (places.abs() <= 1.0).all(-1)[:, None]
    z = z.permute(0, 3, 1, 2) / geometry.scale
    counts = inside & (view.teacher > near) & (view.teacher < far) & (z > near)
    return Points(places, z.clamp(min=near).log(), counts.float())


def point_losses(output: StudentOutput, points: Points, bins: Bins | None) -> PointLosses:
    """
    Losses of one batch.

    :param output: of the student.
    :param points: to be said.
    :param bins: of the student.
    :returns: means over the weights; 0 where they are all 0.
    """
    said = warp.sample(output.depth.log(), points.places, padding='border')
    error = said - points.log_depth
    weight = points.weight
    total = weight.sum().clamp(min=1e-6)
    # as lite_losses.cautious_l1: the relative error where too far, the log error where too near
    far = torch.expm1(error.clamp(0.0, _FAR_ERROR)) + (error - _FAR_ERROR).clamp(min=0.0)
    depth = (weight * (far - error.clamp(max=0.0))).sum() / total
    edges = _edges(error, weight)
    if output.logits is None or bins is None:
        return PointLosses(depth, depth.new_zeros(()), edges)
    return PointLosses(depth, _cross_entropy(output.logits, points, bins) / total, edges)


def kept_losses(output: StudentOutput, original: StudentOutput) -> PointLosses:
    """
    How far a student's outputs have moved from those of the student as it came.

    :param output: of the student.
    :param original: of the student as it came, for the same inputs; constants.
    :returns: mean |difference of log depth|; mean divergence of the bins from the original ones
        (Kullback-Leibler, nats), 0 where there are none; edges 0.
    """
    depth = (output.depth.log() - original.depth.log()).abs().mean()
    zero = depth.new_zeros(())
    if output.logits is None or original.logits is None:
        return PointLosses(depth, zero, zero)
    log_p = torch.log_softmax(output.logits.float(), 1)
    p = torch.softmax(original.logits.float(), 1)
    divergence = F.kl_div(log_p, p, reduction='none').sum(1).mean()
    return PointLosses(depth, divergence, zero)


def _edges(error: Tensor, weight: Tensor) -> Tensor:
    """Mean difference of neighbours' errors; both must count, and large steps are cut."""
    result = error.new_zeros(())
    for axis in (2, 3):
        count = error.shape[axis] - 1
        step = (error.narrow(axis, 1, count) - error.narrow(axis, 0, count)).abs()
        both = torch.minimum(weight.narrow(axis, 1, count), weight.narrow(axis, 0, count))
        result = result + (both * step.clamp(max=1.0)).sum() / both.sum().clamp(min=1e-6)
    return result


def _cross_entropy(logits: Tensor, points: Points, bins: Bins) -> Tensor:
    """Sum of the weighted cross-entropies; each depth shares its mass between two bins."""
    batch, count, rows, columns = logits.shape
    height, width = rows * CELL, columns * CELL
    pixels = warp.restore_pixels(points.places, height, width).round()
    column = (pixels[..., 0].clamp(0, width - 1) / CELL).floor().long()
    row = (pixels[..., 1].clamp(0, height - 1) / CELL).floor().long()
    cell = (row * columns + column).view(batch, -1)
    place = ((points.log_depth - bins.first) / bins.width).clamp(0, count - 1).view(batch, -1)
    lower = place.floor().clamp(max=count - 2)
    share = place - lower
    log_p = torch.log_softmax(logits.float(), 1).flatten(1)
    index = lower.long() * (rows * columns) + cell
    below = log_p.gather(1, index)
    above = log_p.gather(1, index + rows * columns)
    return -(points.weight.view(batch, -1) * (below + share * (above - below))).sum()
