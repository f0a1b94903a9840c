# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Supervised training of the lite network on rendered frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monother_ros.evaluation.metrics import absolute_relative, depth_metrics, sparsification
from monother_ros.learning.augment import PLAIN, AugmentSettings, make_sample
from monother_ros.learning.batches import part_of, permuted
from monother_ros.learning.lite_losses import supervised_loss
from monother_ros.learning.parameter_groups import Hyper, ParameterGroup
from monother_ros.learning.rendered import Frames
from monother_ros.learning.tasks.base import Task
from monother_ros.networks.lite import LiteConfig, LiteNetwork


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
    """(B, 1, h, w) network input"""
    target: Tensor
    """(B, 1, h, w) log metres"""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> LiteBatch:
        """The same on a device."""
        return LiteBatch(*(t.to(device, non_blocking=non_blocking) for t in self))


@dataclass(frozen=True)
class LiteBatches:
    """Batches of a run: see :class:`monother_ros.learning.batches.Batches`."""

    frames: Frames
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
        samples = [_sample(self.frames, i, size, self.far, rng, self.augment)
                   for i in self.indices(step)][part.start : part.stop]  # fmt: skip
        images = torch.from_numpy(np.stack([s[0] for s in samples])[:, None])
        targets = torch.from_numpy(np.stack([s[1] for s in samples])[:, None])
        return LiteBatch(images, targets)


class LiteStep(nn.Module):
    """
    The lite network and its loss.

    :param network: to train.
    :param settings: weights of the losses.
    """

    def __init__(self, network: LiteNetwork, settings: LiteSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(self, batch: LiteBatch) -> dict[str, Tensor]:
        """Losses of a batch by name."""
        images = batch.image.contiguous(memory_format=torch.channels_last)
        prediction, logits = self.network.log_depth(images)
        losses = supervised_loss(
            prediction,
            logits,
            batch.target,
            first=math.log(self.network.config.near),
            width=self.network.bin_width,
            depth_weight=self.settings.depth_weight,
            edge_weight=self.settings.edge_weight,
        )
        return losses._asdict()


class LiteTask(Task):
    """
    Training of the lite network.

    The end of the schedule may be moved as long as the steps at full size have not begun.

    :param frames: training data.
    :param settings: of the run.
    :param config: of the network.
    :param augment: how samples are changed.
    :param validation: frames to watch; None for none.
    :param start: network to begin with, such as that of an older bundle; None begins anew.
    :param watch_every: steps between validations, 0 for none.
    :param device: to train on.
    """

    name = 'lite'
    network: LiteNetwork
    batches: LiteBatches
    losses: tuple[str, ...] = ('total', 'bins', 'depth', 'edges')
    figures = ('abs_rel', 'd1', 'confidence', 'ause_ratio')

    def __init__(
        self,
        frames: Frames,
        settings: LiteSettings,
        config: LiteConfig | None = None,
        augment: AugmentSettings | None = None,
        validation: Frames | None = None,
        start: LiteNetwork | None = None,
        watch_every: int = 500,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.settings = settings
        self.validation = validation
        self.watch_every = watch_every
        torch.manual_seed(settings.seed)
        network = LiteNetwork(config if start is None else start.config)
        self.begun_with: str | None = None
        if start is not None:
            network.load_state_dict(start.state_dict())
            self.begun_with = weights_digest(start)
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config: LiteConfig = network.config
        self.module = LiteStep(self.network, settings)
        self.batches = LiteBatches(frames, settings, augment or AugmentSettings(), self.config.far)
        self.steps, self.clip = settings.steps, settings.clip

    def groups(self) -> Sequence[ParameterGroup]:
        """Weights decay, biases and batch norms do not."""
        named = dict(self.network.named_parameters())
        decayed = tuple(n for n, p in named.items() if p.ndim > 1)
        others = tuple(n for n, p in named.items() if p.ndim <= 1)
        return (
            ParameterGroup('weights', self.settings.weight_decay, decayed),
            ParameterGroup('others', 0.0, others),
        )

    def hyper(self, step: int) -> Sequence[Hyper]:
        """The same rate for all."""
        return (Hyper(self.settings.learning_rate(step), 0.9, 0.999),) * 2

    def samples(self, step: int) -> int:
        """Samples of all processes together in a step."""
        return self.settings.samples(step)

    def decay(self, step: int) -> float:
        """Faster at the start, when the average has seen little."""
        return min(self.settings.average, (1 + step) / (10 + step))

    def identity(self) -> Mapping[str, Any]:
        """Settings, network, augmentation, number of frames and the weights of the start."""
        identity = {
            'settings': asdict(self.settings),
            'config': self.config.as_dict(),
            'augment': asdict(self.batches.augment),
            'frames': len(self.batches.frames),
        }
        return identity if self.begun_with is None else {**identity, 'start': self.begun_with}

    def metadata(self) -> dict[str, str]:
        """Configuration, as :func:`monother_ros.networks.export.load_weights` reads it."""
        return {key: repr(value) for key, value in self.config.as_dict().items()}

    def reconcile(self, found: Mapping[str, Any], step: int) -> Mapping[str, Any]:
        """Nothing depends on the end of the schedule before the steps at full size."""
        settings = self.settings
        try:
            before = LiteSettings(**found['settings'])
        except (KeyError, TypeError):
            return found
        if step > min(before.small_steps, settings.small_steps):
            return found
        end = {'steps': settings.steps, 'full_steps': settings.full_steps}
        return {**found, 'settings': {**found['settings'], **end}}

    def watch_at(self, step: int) -> bool:
        """Every so many steps."""
        return self.validation is not None and bool(self.watch_every) and not (
            step % self.watch_every
        )  # fmt: skip

    def measure(
        self, network: nn.Module, step: int, rank: int, world: int
    ) -> list[dict[str, float]]:
        """Figures at the size of the last step."""
        if self.validation is None:
            return []
        assert isinstance(network, LiteNetwork)
        size = self.settings.size(max(0, step - 1))
        return frame_figures(network, self.validation, size, rank, world)


def weights_digest(network: nn.Module) -> str:
    """Digest of all parameters and statistics, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _sample(
    frames: Frames,
    index: int,
    size: tuple[int, int],
    far: float,
    rng: np.random.Generator,
    augment: AugmentSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Input and target of one frame."""
    return make_sample(
        frames.thermal(index),
        frames.depth(index),
        frames.bounds[index],
        float(frames.focal[index]),
        size,
        far,
        rng,
        augment,
    )


def frame_figures(
    network: LiteNetwork,
    frames: Frames,
    size: tuple[int, int],
    rank: int = 0,
    world: int = 1,
    batch: int = 16,
) -> list[dict[str, float]]:
    """
    Figures of a network on each frame, without the run-time pipeline.

    :param network: in evaluation mode.
    :param frames: with ground truth.
    :param size: (width, height) of the input.
    :param rank: with world: only frames rank, rank + world, …
    :param world: see rank.
    :param batch: frames per forward pass.
    :returns: abs_rel, d1, mean confidence and the AUSE ratio of each frame; empty without truth.
    """
    rng = np.random.default_rng(0)
    device = next(network.parameters()).device
    indices = range(rank, len(frames), world)
    rows: list[dict[str, float]] = []
    for start in range(0, len(indices), batch):
        samples = [
            _sample(frames, i, size, network.config.far, rng, PLAIN)
            for i in indices[start : start + batch]
        ]
        images = torch.from_numpy(np.stack([s[0] for s in samples])[:, None]).to(device)
        with torch.inference_mode():
            output = network(images)
        for k, (_, target) in enumerate(samples):
            truth = np.exp(target)
            depth = output.depth[k, 0].cpu().numpy()
            confidence = output.confidence[k, 0].cpu().numpy()
            valid = truth < 80.0
            if not valid.any():
                rows.append({})
                continue
            error = absolute_relative(depth[valid], truth[valid])
            metrics = depth_metrics(depth, truth)
            rows.append(
                {
                    'abs_rel': metrics['abs_rel'],
                    'd1': metrics['d1'],
                    'confidence': float(confidence[valid].mean()),
                    'ause_ratio': sparsification(error, confidence[valid]).ratio,
                }
            )
    return rows


def evaluate_network(
    network: LiteNetwork, frames: Frames, size: tuple[int, int], batch: int = 16
) -> dict[str, float]:
    """
    Mean figures of a network on frames: see :func:`frame_figures`.

    :param network: in evaluation mode.
    :param frames: with ground truth.
    :param size: (width, height) of the input.
    :param batch: frames per forward pass.
    """
    rows = [row for row in frame_figures(network, frames, size, batch=batch) if row]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
