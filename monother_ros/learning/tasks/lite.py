# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Supervised training of the lite network on rendered frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from monother_ros.evaluation.metrics import absolute_relative, depth_metrics, sparsification
from monother_ros.learning.augment import CANONICAL_FOCAL, PLAIN, AugmentSettings
from monother_ros.learning.depth_pro_losses import DepthProWeights, depth_pro_terms
from monother_ros.learning.lite_losses import supervised_loss
from monother_ros.learning.rendered import Frames
from monother_ros.learning.rgb_frames import RgbFrames
from monother_ros.learning.tasks.lite_batches import (
    LiteBatch,
    LiteBatches,
    LiteSettings,
    lite_sample,
)
from monother_ros.learning.tasks.single import SingleTask
from monother_ros.networks.lite import LiteConfig, LiteNetwork

CANONICAL_RATIO = CANONICAL_FOCAL / 320
"""Focal length over width that depth is told for."""


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
        found = losses._asdict()
        if self.settings.depth_pro.names():
            # targets are told for the canonical focal length, so C = f / (w D) is that of any
            said = CANONICAL_RATIO * torch.exp(-prediction.float())
            label = CANONICAL_RATIO * torch.exp(-batch.target.float())
            more, parts = depth_pro_terms(said, label, self.settings.depth_pro)
            found = {**found, 'total': found['total'] + more, **parts}
        return found


class LiteTask(SingleTask):
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
        frames: Frames | RgbFrames,
        settings: LiteSettings,
        config: LiteConfig | None = None,
        augment: AugmentSettings | None = None,
        validation: Frames | RgbFrames | None = None,
        start: LiteNetwork | None = None,
        watch_every: int = 500,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.settings: LiteSettings = settings
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
        self.losses = (*type(self).losses, *settings.depth_pro.names())

    def samples(self, step: int) -> int:
        """Samples of all processes together in a step."""
        return self.settings.samples(step)

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
        if isinstance(found.get('config'), dict):
            # checkpoints of older versions do not name what they had no choice of
            found = {**found, 'config': {**LiteConfig().as_dict(), **found['config']}}
        if isinstance(found.get('settings'), dict):
            older = {'depth_pro': asdict(DepthProWeights())}
            found = {**found, 'settings': {**older, **found['settings']}}
        settings = self.settings
        try:
            before = LiteSettings(**found['settings'])
        except (KeyError, TypeError):
            return found
        if step > min(before.small_steps, settings.small_steps):
            return found
        end = {'steps': settings.steps, 'full_steps': settings.full_steps}
        return {**found, 'settings': {**found['settings'], **end}}

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


def frame_figures(
    network: LiteNetwork,
    frames: Frames | RgbFrames,
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
            lite_sample(frames, i, size, network.config.far, rng, PLAIN)
            for i in indices[start : start + batch]
        ]
        images = torch.from_numpy(np.stack([s[0] for s in samples])).to(device)
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
    network: LiteNetwork, frames: Frames | RgbFrames, size: tuple[int, int], batch: int = 16
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
