# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What decides the weights of a dual run: its settings and its batches."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from monother_ros.core.errors import SettingsError
from monother_ros.learning.batches import part_of, permuted
from monother_ros.learning.consistency import ConsistencySettings, settings_named
from monother_ros.learning.datasets import PairDataset
from monother_ros.learning.depth_pro_losses import DepthProWeights
from monother_ros.learning.objective import LossWeights, PairBatch
from monother_ros.learning.pair_augment import augmentation
from monother_ros.learning.recipe import build
from monother_ros.networks.monother import MonoTherConfig


@dataclass(frozen=True)
class DualSettings:
    """Everything that decides the weights, beside the data and the start."""

    network: str | dict[str, Any] = 'vitl'
    """vits, vits_wide, vitb, vitl, or a mapping with the fields of MonoTherConfig"""
    size: tuple[int, int] | None = None
    """nominal height and width, rounded to multiples of 14; null: those of the images"""
    epochs: int = 5
    """times that every sample is seen"""
    batch: int = 4
    """samples of a step, over all processes and accumulated parts; what is left of an epoch
    when the batches are cut is not seen in that epoch"""
    losses: LossWeights = field(default_factory=LossWeights)
    """weight of every loss"""
    depth_pro: DepthProWeights = field(default_factory=DepthProWeights)
    """weights of Depth Pro's losses of thermal depth against its labels, beside the others"""
    frozen: tuple[str, ...] = ()
    """parts that are not trained: thermal, rgb, confidence, or thermal.encoder, rgb.head, …"""
    settings: Literal['default', 'reference'] = 'default'
    """reference repeats the published behaviour with its quirks; default repairs them"""
    switches: dict[str, Any] = field(default_factory=dict)
    """single fields of ConsistencySettings, over what ``settings`` says"""
    reshuffle: bool | None = None
    """another order in every epoch; null: not with settings reference"""
    frozen_confidence: Literal['evaluation', 'training'] | None = None
    """mode of a frozen confidence network: training uses the statistics of each batch and lets
    the running ones drift; null: training with settings reference, else evaluation"""
    flip_geometry: bool | None = None
    """mirror intrinsics and pose with the images; null: not with settings reference"""
    augment: Literal['ms2', 'vivid', 'none'] = 'none'
    """how samples are changed"""
    rate: float = 8.5e-5
    """highest learning rate, of metric heads and confidence network"""
    divisor: float = 50.0
    """encoders and decoders train at rate / divisor"""
    weight_decay: float = 0.01
    """of AdamW, on all parameters"""
    eps: float = 1e-8
    """of AdamW"""
    beta2: float = 0.999
    """of AdamW"""
    momentum: tuple[float, float] = (0.85, 0.95)
    """lowest and highest beta1"""
    up: float = 0.7
    """part of the steps in the first phase of the one-cycle schedule"""
    div_factor: float = 1.0
    """highest over first learning rate"""
    final_div_factor: float = 1e4
    """first over last learning rate"""
    clip: float = 0.1
    """limit of the norm of all gradients together"""
    average: float = 0.0
    """decay of a moving average of the weights; 0 for none"""
    watch_epochs: int = 1
    """epochs between validations; 0 for none"""
    seed: int = 43
    """of weights, order and augmentation"""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if min(self.epochs, self.batch) < 1 or not 0 <= self.average < 1:
            msg = 'epochs and batch must be at least 1, average from 0 to below 1'
            raise SettingsError(msg)
        if min(self.rate, self.divisor, self.clip, self.div_factor, self.final_div_factor) <= 0:
            msg = 'rate, divisor, clip, div_factor and final_div_factor must be above 0'
            raise SettingsError(msg)

    @property
    def reference(self) -> bool:
        """Whether the published behaviour is asked for."""
        return self.settings == 'reference'

    @property
    def reshuffles(self) -> bool:
        """Whether every epoch has an order of its own."""
        return not self.reference if self.reshuffle is None else self.reshuffle

    @property
    def frozen_statistics(self) -> bool:
        """Whether a frozen confidence network uses its running statistics."""
        if self.frozen_confidence is None:
            return not self.reference
        return self.frozen_confidence == 'evaluation'

    @property
    def flips_geometry(self) -> bool:
        """Whether mirrored images have mirrored cameras."""
        return not self.reference if self.flip_geometry is None else self.flip_geometry

    def consistency(self) -> ConsistencySettings:
        """
        Settings of consistency block and losses.

        :raises SettingsError: a switch that is not known or of another type.
        """
        named = settings_named(self.settings)
        return build(ConsistencySettings, {**asdict(named), **self.switches}, 'switches')

    def config(self) -> MonoTherConfig:
        """
        Shape of the network.

        :raises SettingsError: no such network.
        """
        try:
            if isinstance(self.network, str):
                return MonoTherConfig.preset(self.network)
            return MonoTherConfig.from_dict(self.network)
        except (TypeError, ValueError) as err:
            msg = f'setting training.network: {err}'
            raise SettingsError(msg) from err


@dataclass(frozen=True)
class DualBatches:
    """Batches of a run: see :class:`monother_ros.learning.batches.Batches`."""

    dataset: PairDataset
    """training data"""
    settings: DualSettings
    """of the run"""

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return len(self.dataset) // self.settings.batch

    def indices(self, step: int) -> list[int]:
        """Samples of a step: each epoch is a permutation; what is left of it is not seen."""
        batch = self.settings.batch
        epoch, row = divmod(step, self.per_epoch)
        places = np.arange(row * batch, (row + 1) * batch)
        if self.settings.reshuffles:
            places = places + epoch * len(self.dataset)
        return [int(i) for i in permuted(places, len(self.dataset), self.settings.seed)]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> PairBatch:
        """A process's part of the samples of a step, each changed by random numbers of its own."""
        settings = self.settings
        indices = self.indices(step)
        change = augmentation(settings.augment, flip_geometry=settings.flips_geometry)
        samples = []
        for k in part_of(len(indices), rank, world):
            rng = np.random.default_rng([settings.seed, 2, step, k])
            samples.append(change(self.dataset[indices[k]], rng))
        return PairBatch.stack(samples)
