# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What decides the weights of sparse depth adapters: their settings and their batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monother_ros.learning.augment import CANONICAL_FOCAL, AugmentSettings, make_sample
from monother_ros.learning.batches import part_of, permuted
from monother_ros.learning.depth_distributions import OUTDOORS, Distributions, change_depth
from monother_ros.learning.rendered import Frames
from monother_ros.learning.sparse_patterns import Patterns, sparse_from
from monother_ros.networks.depth_adapter import SparseConfig
from monother_ros.networks.depth_encoding import DepthEncoding, outdoor


@dataclass(frozen=True)
class SparseSettings:
    """What decides the weights of any sparse depth adapter, beside the data."""

    steps: int = 2000
    """optimiser steps"""
    batch: int = 8
    """pictures per step"""
    draws: int = 3
    """sparse depths per picture; the frozen network looks at it once only"""
    width: int = 320
    """width of the network input in pixels"""
    height: int = 256
    """height of the network input in pixels"""
    rate: float = 3e-3
    """highest learning rate"""
    weight_decay: float = 0.01
    """of AdamW"""
    clip: float = 5.0
    """limit of the gradient's norm"""
    average: float = 0.995
    """decay of the moving average of the weights that is exported"""
    maximum: float = 100.0
    """longest wavelength of the depth encoding in metres; farther points are not taken"""
    last_period: float = 0.5
    """shortest wavelength of the depth encoding in metres"""
    channels: int = 16
    """sines and cosines of the depth encoding"""
    validity: bool = True
    """tell the branch which pixels are measured"""
    changed: float = 0.4
    """part of the sparse depths whose distances are changed, where there are points"""
    epoch_samples: int = 100
    """pictures that count as an epoch for the noise shift"""
    patterns: Patterns = field(default_factory=Patterns)
    """kinds of sparse depth"""
    seed: int = 0
    """of weights, order and augmentation"""

    def samples(self, step: int) -> int:
        """Pictures of a step."""
        del step
        return self.batch

    def before(self, step: int) -> int:
        """Pictures of all steps before one."""
        return step * self.batch

    def window(self, step: int) -> tuple[int, int, int, int]:
        """Top, left, rows and columns of what is learned from in a step, pixels."""
        del step
        return 0, 0, self.height, self.width

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        del step
        return self.rate

    def encoding(self) -> DepthEncoding:
        """How measured depth is told."""
        return outdoor(self.maximum, self.last_period, self.channels, validity=self.validity)


@dataclass(frozen=True)
class AdapterSettings(SparseSettings):
    """Everything that decides the weights of the adapter of the lite network."""

    fall_steps: int = 500
    """in how many of them, the last ones, the learning rate falls over half a cosine"""
    full_steps: int = 100
    """how many of them, the last ones, learn from whole pictures; those before from a window of
    half the width and height, cut from the frozen features, which takes a third of the time"""
    full_batch: int = 4
    """pictures per step of whole pictures"""
    warmup: int = 50
    """steps in which the learning rate rises"""
    decoder: int = 32
    """channels of the branch's decoder"""
    balanced_weight: float = 0.1
    """weight of the balanced multi-scale loss"""
    depth_weight: float = 1.0
    """weight of the loss of depth"""
    edge_weight: float = 0.1
    """weight of the gradient loss of log depth"""
    confidence_weight: float = 0.1
    """weight of the cross-entropy of the confidence"""

    @property
    def small_steps(self) -> int:
        """Steps with windows, which come first."""
        return max(0, self.steps - self.full_steps)

    def samples(self, step: int) -> int:
        """Pictures of a step."""
        return self.batch if step < self.small_steps else self.full_batch

    def before(self, step: int) -> int:
        """Pictures of all steps before one."""
        full = max(0, step - self.small_steps)
        return min(step, self.small_steps) * self.batch + full * self.full_batch

    def window(self, step: int) -> tuple[int, int, int, int]:
        """Top, left, rows and columns of what is learned from in a step, pixels."""
        if step >= self.small_steps:
            return 0, 0, self.height, self.width
        rng = np.random.default_rng([self.seed, 5, step])
        rows, columns = (max(1, n // 64) * 32 for n in (self.height, self.width))
        top = int(rng.integers((self.height - rows) // 32 + 1)) * 32
        left = int(rng.integers((self.width - columns) // 32 + 1)) * 32
        return top, left, rows, columns

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        level = max(0, self.steps - self.fall_steps)
        part = min(1.0, max(0, step - level) / max(1, self.fall_steps))
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return self.rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))

    def config(self) -> SparseConfig:
        """Shape of the adapter."""
        return SparseConfig(self.encoding(), self.maximum, self.decoder)


class AdapterBatch(NamedTuple):
    """Samples of a step: B pictures, B * draws depths."""

    image: Tensor
    """(B, 1, h, w) network input"""
    sparse: Tensor
    """(B * draws, 1, h, w) metres, 0 = none"""
    target: Tensor
    """(B * draws, 1, h, w) log metres"""
    window: Tensor
    """(4,) top, left, rows and columns that sparse depth and target show of the picture"""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> AdapterBatch:
        """The same on a device."""
        return AdapterBatch(*(t.to(device, non_blocking=non_blocking) for t in self))


DISTRIBUTIONS = Distributions(
    shift=0.1, remap=0.1, stretch=0.8, least_factor=0.6, most_factor=1.6, far=120.0,
    ranges=OUTDOORS,
)  # fmt: skip
"""How distances are changed: mostly the scale, which a monocular network gets wrong."""


@dataclass(frozen=True)
class AdapterBatches:
    """Batches of a run: see :class:`monother_ros.learning.batches.Batches`."""

    frames: Frames
    """training data"""
    settings: SparseSettings
    """of the run"""
    augment: AugmentSettings
    """how pictures are changed"""
    far: float
    """target depth of sky, metres"""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> AdapterBatch:
        """A process's part of the samples of a step; every sample has randomness of its own."""
        settings = self.settings
        part = part_of(settings.samples(step), rank, world)
        done = settings.before(step)
        places = np.arange(done, done + settings.samples(step))
        top, left, rows, columns = window = settings.window(step)
        order = permuted(places, len(self.frames), settings.seed)
        images, sparse, targets = [], [], []
        for k in part:
            rng = np.random.default_rng([settings.seed, 4, step, k])
            seen, log_depth = picture(
                self.frames, int(order[k]), settings, self.far, rng, self.augment
            )
            images.append(seen)
            epoch = places[k] / settings.epoch_samples
            for _ in range(settings.draws):
                known, wanted = measured_sample(log_depth, self.far, rng, settings, float(epoch))
                sparse.append(known[top : top + rows, left : left + columns])
                targets.append(wanted[top : top + rows, left : left + columns])
        image, points, target = (
            torch.from_numpy(np.stack(values)[:, None]) for values in (images, sparse, targets)
        )
        return AdapterBatch(image, points, target, torch.tensor(window))


def picture(
    frames: Frames,
    index: int,
    settings: SparseSettings,
    far: float,
    rng: np.random.Generator,
    augment: AugmentSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Network input and depth of one frame.

    :param frames: of the frame.
    :param index: of the frame.
    :param settings: for the size.
    :param far: target depth of sky, metres.
    :param rng: source of all that is random.
    :param augment: what to change.
    :returns: (h, w) input and (h, w) log metres.
    """
    return make_sample(
        frames.thermal(index),
        frames.depth(index),
        frames.bounds[index],
        float(frames.focal[index]),
        (settings.width, settings.height),
        far,
        rng,
        augment,
    )


def measured_sample(
    log_depth: NDArray[np.float32],
    far: float,
    rng: np.random.Generator,
    settings: SparseSettings,
    epoch: float = 0.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Sparse depth of one picture, and the depth that is wanted with it.

    :param log_depth: (h, w) log metres for the canonical focal length.
    :param far: target depth of sky, metres.
    :param rng: source of all that is random.
    :param settings: of the run.
    :param epoch: for the noise shift.
    :returns: (h, w) metres, 0 = none, and (h, w) log metres.
    """
    depth = np.exp(log_depth)
    sky = depth >= far * 0.999
    surface = np.where(sky, np.float32(np.inf), depth)
    focal = CANONICAL_FOCAL * settings.width / 320
    sparse = sparse_from(surface, focal, settings.maximum, rng, settings.patterns, epoch)
    if rng.random() >= settings.changed or not sparse.any():
        return sparse, log_depth
    # one change for what is measured and what is wanted
    both = np.stack([np.where(sky, np.float32(0), depth), sparse])
    seed = int(rng.integers(2**31))
    changed = change_depth(both, np.random.default_rng(seed), DISTRIBUTIONS)
    wanted = np.where(sky | (changed[0] <= 0), np.float32(far), changed[0])
    points = np.where(changed[1] <= settings.maximum, changed[1], np.float32(0))
    if not points.any():
        return sparse, log_depth
    return points, np.log(np.clip(wanted, 0.01, far)).astype(np.float32)
