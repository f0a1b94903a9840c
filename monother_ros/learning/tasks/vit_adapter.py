# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Self-supervised training of the sparse depth branch beside a frozen DINOv2 (Vanishing Depth)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.learning.augment import MEAN, STD, AugmentSettings
from monother_ros.learning.completion_losses import BalancedLoss, balanced_loss
from monother_ros.learning.losses import Total, local
from monother_ros.learning.parameter_groups import Hyper, one_cycle
from monother_ros.learning.rendered import Frames
from monother_ros.learning.tasks.adapter_batches import (
    AdapterBatch,
    AdapterBatches,
    SparseSettings,
)
from monother_ros.learning.tasks.beside import BesideTask
from monother_ros.learning.tasks.lite import weights_digest
from monother_ros.networks.completion_decoder import WIDTHS, decode_metres
from monother_ros.networks.dinov2 import DinoV2
from monother_ros.networks.monother import THERMAL_MEAN, THERMAL_STD
from monother_ros.networks.sparse_vit import SparseVit, SparseVitConfig


@dataclass(frozen=True)
class VitAdapterSettings(SparseSettings):
    """Everything that decides the weights of branch and decoder, beside data and encoder."""

    draws: int = 2
    """sparse depths per picture; the frozen network looks at it once only"""
    width: int = 280
    """width of the network input in pixels, a multiple of 14"""
    height: int = 224
    """height of the network input in pixels, a multiple of 14"""
    rate: float = 1e-5
    """highest learning rate; the published one, for a hundred thousand steps and more"""
    weight_decay: float = 0.0
    """of AdamW"""
    up: float = 0.2
    """part of the steps in which the rate rises"""
    div_factor: float = 5.0
    """highest over first rate"""
    final_div_factor: float = 100.0
    """first over last rate"""
    widths: tuple[int, int, int, int] = WIDTHS
    """channels of the decoder's levels, from coarse to fine; half of them for ViT-S"""
    sky: bool = True
    """sky counts as the farthest depth; false leaves it out, as published, and a network that
    has never been told anything of it puts something there"""
    leniency: float = 0.85
    """how much of a common factor the loss forgives, 0 to 1"""

    def cycle(self, step: int) -> tuple[float, float]:
        """Rate and first beta of a step."""
        return one_cycle(
            step,
            self.steps,
            self.rate,
            up=self.up,
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
        )

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        return self.cycle(step)[0]

    def config(self) -> SparseVitConfig:
        """Shape of what is trained."""
        return SparseVitConfig(self.encoding(), self.widths)


def thermal_picture(image: Tensor) -> Tensor:
    """
    Picture for the encoder of the dual network, of one for the lite network.

    :param image: (B, 1, h, w) as :func:`monother_ros.learning.augment.make_sample` makes it.
    :returns: (B, 3, h, w).
    """
    return ((image * STD + (MEAN - THERMAL_MEAN)) / THERMAL_STD).expand(-1, 3, -1, -1)


class VitAdapterStep(nn.Module):
    """
    The network and its loss.

    :param network: to train.
    :param settings: of the run.
    """

    def __init__(self, network: SparseVit, settings: VitAdapterSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.total: Total = local
        self.balanced = BalancedLoss(leniency=settings.leniency, epsilon=1e-6)

    def forward(self, batch: AdapterBatch) -> dict[str, Tensor]:
        """Loss of a batch, and how far the finest level is off."""
        settings, network = self.settings, self.network
        frozen = [
            tokens.repeat_interleave(settings.draws, 0)
            for tokens in network.adapter.freeze(thermal_picture(batch.image))
        ]
        heads = network.complete(frozen, batch.sparse)
        # metres and their logarithms do not fit half precision
        with torch.autocast(batch.image.device.type, enabled=False):
            levels = [decode_metres(head.float())[:, None] for head in heads]
            truth = torch.exp(batch.target)
            far = network.config.far * 0.999
            known = truth if settings.sky else torch.where(truth < far, truth, 0.0)
            wanted, removed = [], []
            for level in levels:
                size = (int(level.shape[-2]), int(level.shape[-1]))
                wanted.append(F.interpolate(known, size)[:, 0])
                removed.append(F.interpolate(batch.sparse, size)[:, 0] <= 0)
            loss = balanced_loss(levels, wanted, removed, self.balanced, self.total)
            if loss is None:
                loss = torch.stack([level.sum() for level in levels]).sum() * 0.0
            finest, surface = levels[0].detach()[:, 0], wanted[0]
            counts = (surface > 0) & (surface < far)
            off = ((finest - surface).abs() / surface)[counts].mean()
        return {'total': loss, 'abs_rel': torch.nan_to_num(off)}


class VitAdapterTask(BesideTask):
    """
    Training of depth branch, fusion and decoder; all of the encoder is frozen.

    :param frames: training data.
    :param settings: of the run.
    :param encoder: to stand beside.
    :param augment: how pictures are changed.
    :param validation: frames to watch; None for none.
    :param watch_every: steps between validations, 0 for none.
    :param device: to train on.
    """

    name = 'sparse_vit'
    frozen = 'adapter.image.'
    network: SparseVit
    losses: tuple[str, ...] = ('total', 'abs_rel')

    def __init__(
        self,
        frames: Frames,
        settings: VitAdapterSettings,
        encoder: DinoV2,
        augment: AugmentSettings | None = None,
        validation: Frames | None = None,
        watch_every: int = 250,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.settings: VitAdapterSettings = settings
        self.validation = validation
        self.watch_every = watch_every
        self.begun_with = weights_digest(encoder)
        self.shape = [encoder.embed, len(encoder.blocks)]
        torch.manual_seed(settings.seed)
        network = SparseVit(encoder, settings.config())
        self.network = network.to(device)
        self.step_module = VitAdapterStep(self.network, settings)
        self.module = self.step_module
        far = network.config.far
        self.batches = AdapterBatches(frames, settings, augment or AugmentSettings(), far)
        self.steps, self.clip = settings.steps, settings.clip

    def hyper(self, step: int) -> Sequence[Hyper]:
        """One cycle over all steps, the same for all, as published."""
        rate, beta1 = self.settings.cycle(step)
        return (Hyper(rate, beta1, 0.999),) * 2

    def identity(self) -> Mapping[str, Any]:
        """Settings, augmentation, number of frames and the frozen weights."""
        return {
            'settings': asdict(self.settings),
            'augment': asdict(self.batches.augment),
            'frames': len(self.batches.frames),
            'encoder': self.begun_with,
            'shape': self.shape,
        }

    def predict(self, network: nn.Module, image: Tensor, sparse: Tensor) -> Tensor:
        """Depth of one picture with several sparse depths."""
        picture = thermal_picture(image).expand(len(sparse), -1, -1, -1)
        depth: Tensor = network(picture, sparse)
        return depth
