# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What decides the weights of a lite run: its settings and its batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monother_ros.learning.augment import AugmentSettings, make_sample
from monother_ros.learning.batches import part_of, permuted
from monother_ros.learning.depth_pro_losses import DepthProWeights
from monother_ros.learning.rendered import Frames
from monother_ros.learning.rgb_augment import make_rgb_sample
from monother_ros.learning.rgb_frames import RgbFrames


@dataclass(frozen=True)
class LiteSettings:
    """Everything that decides the weights, beside the data."""

    steps: int = 4000
    """optimiser steps"""
    full_steps: int = 1200
    """how many of them, the last ones, are done at full size; those before at half of the width
    and height, which is four times faster. The learning rate falls during these steps only."""
    batch: int = 32
    """samples per step at the small size"""
    full_batch: int = 12
    """samples per step at the full size"""
    width: int = 320
    """width of the network input in pixels"""
    height: int = 256
    """height of the network input in pixels"""
    rate: float = 2e-3
    """highest learning rate"""
    warmup: int = 200
    """steps in which the learning rate rises"""
    weight_decay: float = 0.02
    """of AdamW"""
    clip: float = 5.0
    """limit of the gradient's norm"""
    average: float = 0.998
    """decay of the moving average of the weights that is exported"""
    depth_weight: float = 1.0
    """weight of the loss of depth"""
    edge_weight: float = 0.1
    """weight of the gradient loss of log depth"""
    depth_pro: DepthProWeights = field(default_factory=DepthProWeights)
    """weights of Depth Pro's losses, beside the others"""
    seed: int = 0
    """of weights, order and augmentation"""

    @property
    def small_steps(self) -> int:
        """Steps at the small size, which come first."""
        return max(0, self.steps - self.full_steps)

    def size(self, step: int) -> tuple[int, int]:
        """Width and height of the samples of a step."""
        small = step < self.small_steps
        return (self.width // 2, self.height // 2) if small else (self.width, self.height)

    def samples(self, step: int) -> int:
        """Samples of a step."""
        return self.batch if step < self.small_steps else self.full_batch

    def learning_rate(self, step: int) -> float:
        """
        Learning rate of a step.

        Rise and plateau at the small size, then half a cosine down to nearly nothing; smaller
        batches take smaller steps, in proportion to the root of their size.
        """
        rate = self.rate * min(1.0, (step + 1) / max(1, self.warmup))
        if step < self.small_steps:
            return rate
        part = (step - self.small_steps) / max(1, self.steps - self.small_steps)
        rate *= math.sqrt(self.full_batch / self.batch)
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


class LiteBatch(NamedTuple):
    """Samples of a step."""

    image: Tensor
    """(B, C, h, w) network input"""
    target: Tensor
    """(B, 1, h, w) log metres"""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> LiteBatch:
        """The same on a device."""
        return LiteBatch(*(t.to(device, non_blocking=non_blocking) for t in self))


@dataclass(frozen=True)
class LiteBatches:
    """Batches of a run: see :class:`monother_ros.learning.batches.Batches`."""

    frames: Frames | RgbFrames
    """training data"""
    settings: LiteSettings
    """of the run"""
    augment: AugmentSettings
    """how samples are changed"""
    far: float
    """target depth of sky, metres"""

    def indices(self, step: int) -> NDArray[np.int64]:
        """Frames of a step: each epoch is a permutation, cut into batches without a rest."""
        settings = self.settings
        done = min(step, settings.small_steps) * settings.batch
        done += max(0, step - settings.small_steps) * settings.full_batch
        places = np.arange(done, done + settings.samples(step))
        return permuted(places, len(self.frames), settings.seed)

    def batch(self, step: int, rank: int = 0, world: int = 1) -> LiteBatch:
        """
        A process's part of the samples of a step.

        Changes are drawn for one sample after the other, so every process makes all of them.
        """
        part = part_of(self.settings.samples(step), rank, world)
        rng = np.random.default_rng([self.settings.seed, 2, step])
        size = self.settings.size(step)
        samples = [lite_sample(self.frames, i, size, self.far, rng, self.augment)
                   for i in self.indices(step)][part.start : part.stop]  # fmt: skip
        images = torch.from_numpy(np.stack([s[0] for s in samples]))
        targets = torch.from_numpy(np.stack([s[1] for s in samples])[:, None])
        return LiteBatch(images, targets)


def lite_sample(
    frames: Frames | RgbFrames,
    index: int,
    size: tuple[int, int],
    far: float,
    rng: np.random.Generator,
    augment: AugmentSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Input and target of one frame.

    :param frames: of the frame.
    :param index: of the frame.
    :param size: (width, height) of the sample in pixels.
    :param far: target depth of sky, metres.
    :param rng: source of all that is random.
    :param augment: what to change.
    :returns: (C, h, w) float32 network input, and the target as of
        :func:`monother_ros.learning.augment.make_sample`.
    """
    if isinstance(frames, RgbFrames):
        rgb, depth = frames.rgb(index), frames.depth(index)
        return make_rgb_sample(rgb, depth, float(frames.focal[index]), size, far, rng, augment)
    image, target = make_sample(
        frames.thermal(index),
        frames.depth(index),
        frames.bounds[index],
        float(frames.focal[index]),
        size,
        far,
        rng,
        augment,
    )
    return image[None], target
