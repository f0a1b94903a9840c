# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the dual network is trained for: the weighted sum of the losses of a recipe.

Gradients reach: the RGB branch by silog_rgb and smooth_depth, the thermal branch by silog_thermal
and consistency, the confidence network by nll and smooth_confidence (MonoTher-Depth, Zuo et al.,
RA-L 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from monother_ros.core.errors import DatasetError, SettingsError
from monother_ros.learning.consistency import (
    DEFAULT,
    Consistency,
    ConsistencySettings,
    consistency,
)
from monother_ros.learning.losses import (
    Total,
    keep_smallest,
    laplace_nll,
    local,
    resize,
    silog,
    smoothness,
    valid_depth,
)

if TYPE_CHECKING:
    from monother_ros.learning.datasets import PairSample
    from monother_ros.networks.monother import BranchOutput, DualOutput


class PairBatch(NamedTuple):
    """B pairs of one thermal and one RGB image, rectified pinhole cameras, as float32 tensors."""

    thermal: Tensor
    """(B, 1, H, W), 0 to 1"""
    rgb: Tensor
    """(B, 3, H, W), 0 to 1, red first, not normalised"""
    thermal_depth: Tensor | None
    """(B, 1, Ht, Wt) labels in metres, 0 is none"""
    rgb_depth: Tensor | None
    """(B, 1, Hr, Wr) labels in metres, 0 is none"""
    thermal_intrinsics: Tensor
    """(B, 3, 3) pixels of the H x W image"""
    rgb_intrinsics: Tensor
    """(B, 3, 3) pixels of the H x W image"""
    extrinsics: Tensor
    """(B, 4, 4) T, X_rgb = T X_thermal, metres"""

    @classmethod
    def stack(cls, samples: Sequence[PairSample]) -> PairBatch:
        """
        Samples as one batch; where only some have labels the others get none (zeros).

        :param samples: at least one; images of one size, labels of one size.
        :raises DatasetError: the sizes differ.
        """
        values: dict[str, Any] = {}
        for name in cls._fields:
            arrays = [getattr(sample, name) for sample in samples]
            known = [array for array in arrays if array is not None]
            if not known:
                values[name] = None
                continue
            shapes = {array.shape for array in known}
            if len(shapes) > 1:
                who = ', '.join(
                    f'{s.name} {a.shape}' for s, a in zip(samples, arrays, strict=True)
                )
                msg = f'{name} of one batch differs in size: {who}; batch one data set at a time'
                raise DatasetError(msg)
            empty = np.zeros_like(known[0])
            values[name] = torch.from_numpy(
                np.stack([empty if array is None else array for array in arrays])
            )
        return cls(**values)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> PairBatch:
        """
        The same on a device.

        :param device: where to.
        :param non_blocking: do not wait for copies from pinned memory.
        """
        moved: dict[str, Any] = {
            name: None if tensor is None else tensor.to(device, non_blocking=non_blocking)
            for name, tensor in self._asdict().items()
        }
        return PairBatch(**moved)

    def pin_memory(self) -> PairBatch:
        """The same in page-locked memory, for data loaders."""
        pinned: dict[str, Any] = {
            k: None if t is None else t.pin_memory() for k, t in self._asdict().items()
        }
        return PairBatch(**pinned)


PUBLISHED_NAMES = {
    'silog_rgb': 'w_si',
    'silog_thermal': 'w_si_thermal',
    'smooth_depth': 'w_depth_smooth',
    'nll': 'w_rgbt_nll',
    'consistency': 'w_rgbt_nll_l1',
    'smooth_confidence': 'w_rgbt_nll_l1_smooth',
}
"""Our names of the weights and those of the published configurations."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss of the sum; a loss of weight 0 is not computed."""

    silog_rgb: float = 0.0
    """RGB depth against its labels."""
    silog_thermal: float = 0.0
    """Thermal depth against its labels."""
    smooth_depth: float = 0.0
    """Smoothness of the RGB depth, guided by the RGB image: at the size of the RGB labels where
    silog_rgb counts (as published for MS2), else of the RGB image (as for ViViD)."""
    nll: float = 0.0
    """L_nll of the confidence against RGB labels; left out where neither SILog counts."""
    consistency: float = 0.0
    """L_con, thermal against RGB depth."""
    smooth_confidence: float = 0.0
    """Smoothness of the confidence, guided by the relative depth of the RGB branch."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, float]) -> LossWeights:
        """
        Weights by our names or by the published ones; what is not named is 0.

        :raises SettingsError: an unknown name or a weight that is not a number >= 0.
        """
        ours = {published: own for own, published in PUBLISHED_NAMES.items()}
        known = {f.name for f in fields(cls)}
        found: dict[str, Any] = {}
        for name, value in values.items():
            own = ours.get(name, name)
            if own not in known:
                msg = f'no loss is named {name!r}; use some of {sorted(known)}'
                raise SettingsError(msg)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                msg = f'weight of {name} is {value!r}; give a number from 0'
                raise SettingsError(msg)
            found[own] = float(value)
        return cls(**found)

    def as_dict(self) -> dict[str, float]:
        """Plain values, for JSON and YAML."""
        return asdict(self)

    @property
    def uses_consistency(self) -> bool:
        """Some loss needs the consistency block."""
        return self.consistency > 0 or self.smooth_confidence > 0 or self.uses_nll

    @property
    def uses_nll(self) -> bool:
        """L_nll counts: it has a weight and labels are trained on."""
        return self.nll > 0 and (self.silog_rgb > 0 or self.silog_thermal > 0)


MS2_SUPERVISED = LossWeights(1.0, 1.0, 0.01, 0.1, 0.2, 1e-4)
"""Published recipe with labels of both cameras (MS2)."""

VIVID_LABEL_FREE = LossWeights(smooth_depth=0.01, nll=1.0, consistency=2.0)
"""Published recipe without labels (ViViD); the RGB branch and the confidence are frozen."""


class Objective(NamedTuple):
    """The weighted sum and what it is made of."""

    total: Tensor
    """scalar to differentiate"""
    parts: dict[str, Tensor]
    """loss by name as in LossWeights: scalars, not weighted, detached; only those that count"""
    consistency: Consistency | None
    """the whole block; None where no loss needs it"""


def objective(
    outputs: DualOutput,
    batch: PairBatch,
    network: Callable[[Tensor], Tensor],
    weights: LossWeights,
    settings: ConsistencySettings = DEFAULT,
    total: Total = local,
) -> Objective:
    """
    Weighted sum of the losses of a recipe.

    :param outputs: of the two branches, at one size h x w.
    :param batch: what they were computed from, with the labels that the weights ask for.
    :param network: the confidence network.
    :param weights: of the recipe.
    :param settings: of losses and consistency block, see :class:`ConsistencySettings`.
    :param total: differentiable sum over processes.
    :raises SettingsError: all weights are 0, or labels are asked for that the batch lacks.
    """
    parts: dict[str, Tensor] = {}
    if weights.silog_thermal > 0:
        truth = _labels(batch.thermal_depth, 'silog_thermal', 'thermal')
        depth, _, keep = _against(outputs.thermal, truth, settings)
        parts['silog_thermal'] = silog(depth, truth, keep, guard=settings.guard_empty, total=total)
    rgb_size = _size(batch.rgb)
    if weights.silog_rgb > 0 or weights.uses_nll:
        name = 'silog_rgb' if weights.silog_rgb > 0 else 'nll'
        truth = _labels(batch.rgb_depth, name, 'RGB')
        depth, error, keep = _against(outputs.rgb, truth, settings)
        if weights.silog_rgb > 0:
            rgb_size = _size(truth)
            parts['silog_rgb'] = silog(depth, truth, keep, guard=settings.guard_empty, total=total)
    by_width = settings.resize_by_width
    if weights.smooth_depth > 0:
        depth_map = resize(outputs.rgb.depth.float(), rgb_size, by_width=by_width)
        guide = resize(batch.rgb, _size(depth_map), by_width=by_width)
        parts['smooth_depth'] = smoothness(depth_map, guide, total=total)
    block = None
    if weights.uses_consistency:
        block = consistency(
            (outputs.thermal.depth, outputs.thermal.features),
            (outputs.rgb.depth, outputs.rgb.features),
            batch.rgb,
            batch.thermal_intrinsics,
            batch.rgb_intrinsics,
            batch.extrinsics,
            network,
            settings,
            total,
        )
        if weights.uses_nll:
            parts['nll'] = laplace_nll(
                resize(block.confidence, _size(truth), by_width=by_width),
                error,
                keep,
                floor=settings.confidence_floor,
                guard=settings.guard_empty,
                total=total,
            )
        if weights.consistency > 0:
            parts['consistency'] = block.loss
        if weights.smooth_confidence > 0:
            parts['smooth_confidence'] = smoothness(
                block.confidence, outputs.rgb.relative.float(), total=total
            )
    if not parts:
        msg = 'no loss counts: give at least one of the weights a value above 0'
        raise SettingsError(msg)
    given = weights.as_dict()
    whole = torch.stack([given[name] * value for name, value in parts.items()]).sum()
    return Objective(whole, {name: value.detach() for name, value in parts.items()}, block)


def _size(images: Tensor) -> tuple[int, int]:
    """Height and width."""
    return int(images.shape[-2]), int(images.shape[-1])


def _labels(depth: Tensor | None, loss: str, camera: str) -> Tensor:
    """
    Labels that a loss needs.

    :raises SettingsError: there are none.
    """
    if depth is None:
        msg = (
            f'loss {loss} needs {camera} depth labels and the data set has none; '
            'set its weight to 0 or train on a data set with labels'
        )
        raise SettingsError(msg)
    return depth


def _against(
    branch: BranchOutput, truth: Tensor, settings: ConsistencySettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Depth at the labels' size (B, 1, H, W), its error in metres, and which pixels count."""
    depth = resize(branch.depth.float(), _size(truth), by_width=settings.resize_by_width)
    valid = valid_depth(truth, settings.near, settings.far)
    error = truth - depth.detach()
    keep = valid & keep_smallest(
        error.abs(),
        settings.drop_largest,
        stride=settings.trim_stride,
        valid=valid if settings.trim_valid_only else None,
    )
    return depth, error, keep
