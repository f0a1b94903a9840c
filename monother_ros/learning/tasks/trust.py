# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the confidence network on simulated pairs, by L_nll."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monother_ros.evaluation.metrics import sparsification
from monother_ros.learning.batches import part_of, permuted
from monother_ros.learning.consistency import DEFAULT
from monother_ros.learning.losses import laplace_nll
from monother_ros.learning.tasks.single import SingleTask
from monother_ros.learning.trust_samples import TrustSample, TrustSamples
from monother_ros.networks.confidence import ConfidenceNetwork

REFERENCE_DEPTH = 10.0
"""Metres at which a relative error is told as one in metres."""


@dataclass(frozen=True)
class TrustSettings:
    """Everything that decides the weights, beside the data."""

    width: int = 8
    """channels of the first level of the network"""
    steps: int = 450
    """optimiser steps"""
    batch: int = 12
    """samples per step"""
    rate: float = 3e-3
    """highest learning rate; it falls over half a cosine"""
    warmup: int = 50
    """steps in which the learning rate rises"""
    weight_decay: float = 1e-4
    """of AdamW"""
    clip: float = 1.0
    """limit of the gradient's norm"""
    average: float = 0.995
    """decay of the moving average of the weights that is written"""
    relative: bool = True
    """errors count relative to the teacher's depth, told in metres at REFERENCE_DEPTH: learning on
    the vehicle draws logarithms of depth together, and with errors in metres hardly anything far
    would be trusted. False: metres, as published"""
    noise: float = 0.02
    """deviation of what is added to the colours"""
    seed: int = 0
    """of weights, order and changes"""

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        part = step / max(1, self.steps)
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return self.rate * rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part)))


class TrustBatch(NamedTuple):
    """Samples of a step."""

    inputs: Tensor
    """(B, 8, h, w) float32"""
    error: Tensor
    """(B, 1, h, w) float32 metres, NaN where it does not count"""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> TrustBatch:
        """The same on a device."""
        return TrustBatch(*(t.to(device, non_blocking=non_blocking) for t in self))


@dataclass(frozen=True)
class TrustBatches:
    """Batches of a run: see :class:`monother_ros.learning.batches.Batches`."""

    samples: TrustSamples
    """training data"""
    settings: TrustSettings
    """of the run"""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> TrustBatch:
        """A process's part of the samples of a step, some of them mirrored."""
        settings = self.settings
        part = part_of(settings.batch, rank, world)
        places = np.arange(step * settings.batch, (step + 1) * settings.batch)
        order = permuted(places, len(self.samples), settings.seed)
        rng = np.random.default_rng([settings.seed, 3, step])
        mirror = rng.random(settings.batch) < 0.5
        gain = rng.uniform(0.85, 1.15, (settings.batch, 3, 1, 1)).astype(np.float32)
        inputs, errors = [], []
        for k in part:
            sample = self.samples[int(order[k])]
            seen = sample.inputs.astype(np.float32)
            seen[5:] *= gain[k]
            seen[5:] += rng.standard_normal(seen[5:].shape, np.float32) * settings.noise
            np.clip(seen[5:], 0, 1, out=seen[5:])
            error = told_error(sample, relative=settings.relative)[None]
            if mirror[k]:
                seen, error = seen[..., ::-1], error[..., ::-1]
            inputs.append(seen)
            errors.append(error)
        return TrustBatch(
            torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(errors).copy())
        )


class TrustStep(nn.Module):
    """
    The confidence network and L_nll.

    :param network: to train.
    """

    def __init__(self, network: ConfidenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: TrustBatch) -> dict[str, Tensor]:
        """Losses of a batch by name."""
        seen = batch.inputs.contiguous(memory_format=torch.channels_last)
        confidence = self.network(seen).float()
        keep = torch.isfinite(batch.error)
        error = torch.where(keep, batch.error, torch.zeros_like(batch.error))
        nll = laplace_nll(confidence, error, keep, floor=DEFAULT.confidence_floor, guard=True)
        # the loss is of the size of confidences; the optimiser's epsilon is not
        return {'total': nll * 100.0, 'nll': nll}


class TrustTask(SingleTask):
    """
    Training of the confidence network.

    No label is trimmed: simulated truth has no outliers, and large errors of the teacher are what
    there is to learn.

    :param samples: training data.
    :param settings: of the run.
    :param validation: samples to watch; None for none.
    :param watch_every: steps between validations, 0 for none.
    :param device: to train on.
    """

    name = 'confidence'
    best: ClassVar[str] = 'ause_ratio'
    network: ConfidenceNetwork
    batches: TrustBatches
    losses: tuple[str, ...] = ('total', 'nll')
    figures = ('ause_ratio', 'confidence', 'nll')

    def __init__(
        self,
        samples: TrustSamples,
        settings: TrustSettings,
        validation: TrustSamples | None = None,
        watch_every: int = 250,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.settings: TrustSettings = settings
        self.validation = validation
        self.watch_every = watch_every
        torch.manual_seed(settings.seed)
        network = ConfidenceNetwork(settings.width)
        # twice as fast on a CPU
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        gate = self.network.outc_unc[1]
        gate.limit = None  # type: ignore[assignment]
        # the network begins where an error of half a metre is expected everywhere
        torch.nn.init.constant_(self.network.outc_unc[0].conv.bias, -5.5)  # type: ignore
        self.module = TrustStep(self.network)
        self.batches = TrustBatches(samples, settings)
        self.steps, self.clip = settings.steps, settings.clip

    def samples(self, step: int) -> int:
        """Samples of all processes together in a step."""
        del step
        return self.settings.batch

    def identity(self) -> Mapping[str, Any]:
        """Settings and number of samples."""
        return {'settings': asdict(self.settings), 'samples': len(self.batches.samples)}

    def measure(
        self, network: nn.Module, step: int, rank: int, world: int
    ) -> list[dict[str, float]]:
        """How well the confidence ranks the teacher's errors in each sample."""
        del step
        if self.validation is None:
            return []
        return [
            trust_figures(network, self.validation, i, relative=self.settings.relative)
            for i in range(rank, len(self.validation), world)
        ]


def told_error(sample: TrustSample, *, relative: bool) -> NDArray[np.float32]:
    """
    Error that the confidence is to tell.

    :param sample: of the teacher.
    :param relative: see :class:`TrustSettings`.
    :returns: (h, w) metres, NaN where it does not count.
    """
    error = sample.error.astype(np.float32)
    if not relative:
        return error
    depth = np.maximum(sample.inputs[4].astype(np.float32), np.float32(0.1))
    return np.asarray(error * (np.float32(REFERENCE_DEPTH) / depth), np.float32)


def trust_figures(
    network: nn.Module, samples: TrustSamples, index: int, *, relative: bool = True
) -> dict[str, float]:
    """
    Figures of one sample.

    :param network: in evaluation mode.
    :param samples: with truth.
    :param index: of the sample.
    :param relative: see :class:`TrustSettings`.
    :returns: 'ause_ratio' (of the error that is told; 1 is a random ranking), 'confidence' and
        'error' (means, the latter relative to the teacher's depth), 'nll', and 'trusted', the mean
        relative error weighted by the confidence; empty without truth.
    """
    sample = samples[index]
    error = told_error(sample, relative=relative)
    counts = np.isfinite(error)
    if not counts.any():
        return {}
    device = next(network.parameters()).device
    seen = sample.inputs.astype(np.float32)
    with torch.inference_mode():
        said = network(torch.from_numpy(seen[None]).to(device))
    confidence = said[0, 0].float().cpu().numpy()[counts]
    wrong = error[counts].astype(np.float64)
    curve = sparsification(wrong, confidence)
    nll = wrong * confidence - 0.002 * np.log(np.maximum(confidence, 1e-8))
    part = told_error(sample, relative=True)[counts] / REFERENCE_DEPTH
    return {
        'ause_ratio': curve.ratio,
        'confidence': float(confidence.mean()),
        'error': float(part.mean()),
        'trusted': float((part * confidence).sum() / confidence.sum()),
        'nll': float(nll.mean()),
    }
