# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training run does at each step: size, learning rate and samples, by the step alone."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Full, Queue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monother_ros.learning.augment import AugmentSettings, make_sample
from monother_ros.learning.rendered import Frames


@dataclass(frozen=True)
class TrainSettings:
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


class Batches:
    """
    Batches of a run, prepared by a thread while the network trains.

    :param frames: training data.
    :param settings: of the run.
    :param augment: how samples are changed.
    :param far: target depth of sky, metres.
    """

    def __init__(
        self, frames: Frames, settings: TrainSettings, augment: AugmentSettings, far: float
    ) -> None:
        self.frames = frames
        self.settings = settings
        self.augment = augment
        self.far = far
        self._starts: dict[int, int] = {}

    def indices(self, step: int) -> NDArray[np.int64]:
        """Frames of a step: each epoch is a permutation, cut into batches without a rest."""
        settings = self.settings
        count = settings.batch if step < settings.small_steps else settings.full_batch
        done = min(step, settings.small_steps) * settings.batch
        done += max(0, step - settings.small_steps) * settings.full_batch
        places = np.arange(done, done + count)
        epochs, rows = places // len(self.frames), places % len(self.frames)
        orders = {
            int(e): np.random.default_rng([settings.seed, 1, int(e)]).permutation(len(self.frames))
            for e in np.unique(epochs)
        }
        return np.array([orders[int(e)][r] for e, r in zip(epochs, rows, strict=True)])

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """
        Samples of a step.

        :param step: from 0.
        :returns: (B, 1, h, w) input and (B, 1, h, w) log metres.
        """
        rng = np.random.default_rng([self.settings.seed, 2, step])
        size = self.settings.size(step)
        samples = [
            make_sample(
                self.frames.thermal(i),
                self.frames.depth(i),
                self.frames.bounds[i],
                float(self.frames.focal[i]),
                size,
                self.far,
                rng,
                self.augment,
            )
            for i in self.indices(step)
        ]
        images = torch.from_numpy(np.stack([s[0] for s in samples])[:, None])
        targets = torch.from_numpy(np.stack([s[1] for s in samples])[:, None])
        return images, targets

    def run(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """
        Batches of the steps start to stop - 1.

        :raises Exception: what went wrong while a batch was prepared.
        """
        queue: Queue[tuple[Tensor, Tensor] | BaseException] = Queue(3)
        over = threading.Event()

        def put(item: tuple[Tensor, Tensor] | BaseException) -> None:
            while not over.is_set():
                with contextlib.suppress(Full):
                    queue.put(item, timeout=0.5)
                    return

        def work() -> None:
            try:
                for step in range(start, stop):
                    if over.is_set():
                        return
                    put(self.batch(step))
            except BaseException as err:
                put(err)

        thread = threading.Thread(target=work, name='batches', daemon=True)
        thread.start()
        try:
            for _ in range(start, stop):
                item = queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            over.set()
            thread.join()
