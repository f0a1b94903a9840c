# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Losses of the dual-branch network (MonoTher-Depth, Zuo et al., RA-L 2025), pure functions.

Every mean over a batch is a ratio of sums. ``total`` adds such sums over processes in a
differentiable way, so that several processes with parts of a batch get the loss of the whole; each
process calls it the same number of times whatever its data. Keywords without a default choose
between the published behaviour and a repaired one;
:class:`monother_ros.learning.consistency.ConsistencySettings` names both choices.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Total = Callable[[Tensor], Tensor]
"""Sum over processes of a tensor of any shape, differentiable."""

SILOG_SCALE = 10.0
SILOG_MEAN_WEIGHT = 0.15
NLL_SCALE = 0.002
"""Metres: the likelihood is best at confidence = NLL_SCALE / |error|."""


def local(values: Tensor) -> Tensor:
    """Sum over processes where there is one."""
    return values


def resize(values: Tensor, size: tuple[int, int], *, by_width: bool = False) -> Tensor:
    """
    Bilinear resize with aligned corners.

    :param values: (B, C, H, W).
    :param size: (height, width) wanted.
    :param by_width: published behaviour: leave values alone when only the height differs.
    :returns: (B, C, height, width), the argument itself where nothing is to be done.
    """
    done = values.shape[-1] == size[1] if by_width else tuple(values.shape[-2:]) == tuple(size)
    if done:
        return values
    return F.interpolate(values, size, mode='bilinear', align_corners=True)


def valid_depth(truth: Tensor, near: float, far: float) -> Tensor:
    """
    Pixels that have a label in range.

    :param truth: metres; 0, NaN and infinity are none.
    :param near: excluded lower end, metres.
    :param far: excluded upper end, metres.
    :returns: bool of the same shape.
    """
    return (truth > near) & (truth < far)


def keep_smallest(
    values: Tensor, drop: float, *, stride: int = 10, valid: Tensor | None = None
) -> Tensor:
    """
    Drop the largest part of the values of each sample.

    The threshold is element int((1 - drop) n) of the n sorted values of a coarser grid; values up
    to it stay.

    :param values: (B, C, H, W).
    :param drop: part to drop, 0 to 1.
    :param stride: the coarser grid takes every stride-th row and column.
    :param valid: (B, C, H, W) bool; only these give the threshold and only these can stay.
    :returns: (B, C, H, W) bool.
    """
    batch = values.shape[0]
    values = values.detach()
    coarse = values[:, :, ::stride, ::stride]
    if valid is None:
        few = torch.full((batch,), coarse[0].numel(), device=values.device)
    else:
        chosen = valid[:, :, ::stride, ::stride]
        coarse = torch.where(chosen, coarse, torch.inf)
        few = chosen.reshape(batch, -1).sum(1)
    ordered = coarse.reshape(batch, -1).sort(1).values
    # the cut is made in double precision: 1 - 0.8 is a little less than 0.2
    place = torch.clamp(((1 - drop) * few.double()).long(), max=ordered.shape[1] - 1)
    threshold = ordered.gather(1, place[:, None])
    keep = values <= threshold[:, :, None, None]
    return keep if valid is None else keep & valid


def masked_mean(values: Tensor, keep: Tensor, *, guard: bool, total: Total = local) -> Tensor:
    """
    Mean of the kept values of the whole batch, over all processes.

    :param values: any shape.
    :param keep: bool of the same shape.
    :param guard: where nothing is kept the mean is 0 with its graph; otherwise it is NaN.
    :param total: sum over processes.
    :returns: scalar.
    """
    part = torch.where(keep, values, torch.zeros_like(values)).sum()
    both = total(torch.stack([part, keep.sum().to(part.dtype)]))
    return both[0] / (both[1].clamp(min=1) if guard else both[1])


def silog(
    prediction: Tensor, truth: Tensor, keep: Tensor, *, guard: bool, total: Total = local
) -> Tensor:
    """
    Scale-aware logarithmic loss, 10 sqrt(Var(g) + 0.15 mean(g)^2).

    g = ln(p + 1e-7) - ln(t + 1e-7) over the kept pixels of the whole batch; Var is unbiased.

    :param prediction: (B, 1, H, W) metres, size of the labels.
    :param truth: (B, 1, H, W) metres.
    :param keep: (B, 1, H, W) bool, pixels that count.
    :param guard: 0 with its graph, instead of NaN, for no pixel and for a perfect prediction; one
        pixel has variance 0.
    :param total: sum over processes.
    :returns: scalar.
    """
    truth = torch.where(keep, truth, torch.ones_like(truth))
    g = torch.log(prediction + 1e-7) - torch.log(truth + 1e-7)
    zero = torch.zeros_like(g)
    part = torch.stack([torch.where(keep, g, zero).sum(), keep.sum().to(g.dtype)])
    whole = total(part)
    count = whole[1].clamp(min=1) if guard else whole[1]
    mean = whole[0] / count
    squares = total(torch.where(keep, (g - mean) ** 2, zero).sum())
    spread = squares / ((count - 1).clamp(min=1) if guard else count - 1)
    inner = spread + SILOG_MEAN_WEIGHT * mean**2
    if guard:
        # the root has no slope at 0, where all of its argument's slopes are 0 anyway
        live = inner > 0
        root = torch.sqrt(torch.where(live, inner, torch.ones_like(inner)))
        return SILOG_SCALE * torch.where(live, root, inner)
    return SILOG_SCALE * torch.sqrt(inner)


def laplace_nll(
    confidence: Tensor,
    error: Tensor,
    keep: Tensor,
    *,
    floor: float,
    guard: bool,
    total: Total = local,
) -> Tensor:
    """
    Negative log likelihood of errors under a Laplacian of inverse scale c / 0.002 m, scaled.

    mean(|error| c) - 0.002 mean(ln c): least at c = 0.002 / |error|. Trains the confidence only.

    :param confidence: (B, 1, H, W) c, 0 to 1.
    :param error: (B, 1, H, W) metres, label minus prediction.
    :param keep: (B, 1, H, W) bool, pixels that count.
    :param floor: least c in the logarithm (its gradient goes on below); 0 for none.
    :param guard: no pixel gives 0 instead of NaN.
    :param total: sum over processes.
    :returns: scalar.
    """
    safe = confidence
    if floor > 0:
        lifted = confidence - confidence.detach() + floor
        safe = torch.where(confidence < floor, lifted, confidence)
    size = torch.where(keep, error.detach().abs(), torch.zeros_like(error))
    values = size * confidence - NLL_SCALE * torch.log(safe)
    return masked_mean(values, keep, guard=guard, total=total)


def smoothness(
    values: Tensor, guide: Tensor, *, drop: float = 0.2, total: Total = local
) -> Tensor:
    """
    Edge-aware smoothness, mean |dx v| exp(-|dx guide|) plus the same along y.

    Differences are between neighbours; those of the guide are averaged over its channels. Places
    with the largest guide differences of each direction are left out.

    :param values: (B, 1, H, W) v.
    :param guide: (B, C, H, W), detached here.
    :param drop: part of the places to leave out, by guide difference; 0 for none.
    :param total: sum over processes.
    :returns: scalar, unit of v per pixel.
    """
    guide = guide.detach()
    means = []
    for axis in (-1, -2):
        steps = torch.diff(values, dim=axis).abs()
        edges = torch.diff(guide, dim=axis).abs().mean(1, keepdim=True)
        keep = keep_smallest(edges, drop) if drop > 0 else torch.ones_like(edges, dtype=torch.bool)
        means.append(masked_mean(steps * torch.exp(-edges), keep, guard=False, total=total))
    return means[0] + means[1]
