# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Self-supervised training of the sparse depth adapter beside the frozen lite network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.learning.augment import AugmentSettings
from monother_ros.learning.completion_losses import BalancedLoss, balanced_loss
from monother_ros.learning.lite_losses import cautious_l1, log_gradient
from monother_ros.learning.losses import Total, local
from monother_ros.learning.rendered import Frames
from monother_ros.learning.tasks.adapter_batches import (
    AdapterBatch,
    AdapterBatches,
    AdapterSettings,
)
from monother_ros.learning.tasks.beside import BesideTask
from monother_ros.learning.tasks.lite import weights_digest
from monother_ros.networks.depth_adapter import SparseLite
from monother_ros.networks.lite import LiteNetwork

BEYOND = math.log(80.0)
"""Log metres from which ground truth is out of range."""


class AdapterStep(nn.Module):
    """
    The network and its loss.

    :param network: to train.
    :param settings: weights of the losses.
    """

    def __init__(self, network: SparseLite, settings: AdapterSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.total: Total = local
        self.balanced = BalancedLoss(epsilon=1e-6)

    def forward(self, batch: AdapterBatch) -> dict[str, Tensor]:
        """Losses of a batch by name."""
        settings = self.settings
        with torch.no_grad():
            images = batch.image.contiguous(memory_format=torch.channels_last)
            window = [int(value) for value in batch.window]
            frozen = self.network.freeze(images).window(*window).repeated(settings.draws)
        output = self.network.complete(frozen, batch.sparse)
        target = batch.target
        surface = torch.where(target < BEYOND, torch.exp(target), 0.0)
        removed = batch.sparse <= 0
        levels, wanted, gone = [torch.exp(output.log_depth)], [surface[:, 0]], [removed[:, 0]]
        for k, level in enumerate(output.levels):
            step = 8 << k
            # the pixel nearest to the middle of each cell stands for it
            rows = slice(step // 2, None, step)
            levels.append(torch.exp(level))
            wanted.append(surface[:, 0, rows, rows])
            gone.append(-F.max_pool2d(-removed.float(), step)[:, 0] > 0.5)
        balanced = balanced_loss(levels, wanted, gone, self.balanced, self.total)
        if balanced is None:
            balanced = output.log_depth.sum() * 0.0
        depth = cautious_l1(output.log_depth, target, BEYOND, 0.3)
        edges = log_gradient(output.log_depth, target)
        right = (output.log_depth.detach() - target).abs() < math.log(1.25)
        sure = output.confidence.clamp(1e-4, 1 - 1e-4)
        confidence = F.binary_cross_entropy(sure, right.to(sure.dtype))
        total = settings.depth_weight * depth + settings.balanced_weight * balanced
        total = total + settings.edge_weight * edges + settings.confidence_weight * confidence
        return {
            'total': total,
            'balanced': balanced,
            'depth': depth,
            'edges': edges,
            'confidence': confidence,
        }


class AdapterTask(BesideTask):
    """
    Training of the sparse depth adapter.

    Only the branch is trained and written into checkpoints.

    :param frames: training data.
    :param settings: of the run.
    :param thermal: network to stand beside.
    :param augment: how pictures are changed.
    :param validation: frames to watch; None for none.
    :param watch_every: steps between validations, 0 for none.
    :param device: to train on.
    """

    name = 'sparse'
    frozen = 'thermal.'
    network: SparseLite
    losses: tuple[str, ...] = ('total', 'balanced', 'depth', 'edges', 'confidence')

    def __init__(
        self,
        frames: Frames,
        settings: AdapterSettings,
        thermal: LiteNetwork,
        augment: AugmentSettings | None = None,
        validation: Frames | None = None,
        watch_every: int = 250,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.settings: AdapterSettings = settings
        self.validation = validation
        self.watch_every = watch_every
        self.begun_with = weights_digest(thermal)
        torch.manual_seed(settings.seed)
        network = SparseLite(thermal, settings.config())
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.step_module = AdapterStep(self.network, settings)
        self.module = self.step_module
        far = thermal.config.far
        self.batches = AdapterBatches(frames, settings, augment or AugmentSettings(), far)
        self.steps, self.clip = settings.steps, settings.clip

    def identity(self) -> Mapping[str, Any]:
        """Settings, augmentation, number of frames and the frozen weights."""
        return {
            'settings': asdict(self.settings),
            'augment': asdict(self.batches.augment),
            'frames': len(self.batches.frames),
            'thermal': self.begun_with,
        }

    def reconcile(self, found: Mapping[str, Any], step: int) -> Mapping[str, Any]:
        """The end of the schedule may be moved as long as it has not begun."""
        names = ('steps', 'fall_steps', 'full_steps')
        try:
            before = {name: int(found['settings'][name]) for name in names}
        except (KeyError, TypeError, ValueError):
            return found
        end = {name: int(getattr(self.settings, name)) for name in names}
        ends = (before, end)
        if step > min(e['steps'] - max(e['fall_steps'], e['full_steps']) for e in ends):
            return found
        return {**found, 'settings': {**found['settings'], **end}}

    def predict(self, network: nn.Module, image: Tensor, sparse: Tensor) -> Tensor:
        """Depth of one picture with several sparse depths."""
        assert isinstance(network, SparseLite)
        output = network.complete(network.freeze(image).repeated(len(sparse)), sparse)
        return torch.exp(output.log_depth)
