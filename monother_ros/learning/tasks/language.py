# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the language head: alpha and beta from sentences (RSA, Zeng et al. 2024)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from monother_ros.core.errors import SettingsError
from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.learning.batches import part_of, permuted
from monother_ros.learning.language_losses import balanced, depth_loss, polynomial_rate
from monother_ros.learning.language_samples import LanguageSamples
from monother_ros.learning.tasks.single import SingleTask
from monother_ros.networks.language_scale import (
    LAYOUTS,
    TRAINING_EPSILON,
    HeadLayout,
    LanguageHead,
    metric_depth,
)
from monother_ros.networks.text_tower import TextTower


@dataclass(frozen=True)
class LanguageSettings:
    """
    Everything that decides the weights, beside the data.

    Defaults are the published ones, but for the number of steps (50 epochs of 24,231 samples
    there) and for first_shift.
    """

    steps: int = 4000
    """optimiser steps"""
    batch: int = 8
    """samples per step"""
    loss: Literal['huber', 'l1', 'l2'] = 'huber'
    """of metric depth"""
    near: float = 0.001
    """metres below which ground truth does not count"""
    far: float = 80.0
    """metres above which ground truth does not count"""
    balanced: bool = True
    """each scene gives the same share of the gradient (RSA: each data set)"""
    rate: float = 3e-5
    """first learning rate"""
    last_rate: float = 1e-5
    """last learning rate; it falls polynomially with the power 0.9"""
    clip: float = 1.0
    """limit of the gradient's norm"""
    weight_decay: float = 0.0
    """of AdamW; 0 is Adam"""
    first_shift: float = 0.01
    """beta in 1/m that the head begins with; ours scales models that say metres already. 1 is what
    the published initialisation gives"""
    average: float = 0.0
    """decay of a moving average of the weights; 0 for none"""
    seed: int = 0
    """of weights, order and choice of sentences"""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if min(self.steps, self.batch) < 1 or self.first_shift <= 0:
            msg = 'steps and batch must be at least 1, first_shift above 0'
            raise SettingsError(msg)
        if not 0 < self.near < self.far:
            msg = f'near {self.near:g} m must be above 0 and below far {self.far:g} m'
            raise SettingsError(msg)

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""
        return polynomial_rate(step, self.steps, self.rate, self.last_rate)


class LanguageBatch(NamedTuple):
    """Samples of a step."""

    features: Tensor
    """(B, F) of one sentence each"""
    inverse: Tensor
    """(B, h, w) inverse depth of the depth model, 1/m"""
    depth: Tensor
    """(B, h, w) truth in metres"""
    scene: Tensor
    """(B,) number of the scene"""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> LanguageBatch:
        """The same on a device."""
        return LanguageBatch(*(t.to(device, non_blocking=non_blocking) for t in self))


@dataclass(frozen=True)
class LanguageBatches:
    """Batches of a run: see :class:`monother_ros.learning.batches.Batches`."""

    samples: LanguageSamples
    """training data"""
    features: Tensor
    """(N, K, F) of all sentences"""
    settings: LanguageSettings
    """of the run"""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> LanguageBatch:
        """A process's part of the samples of a step, one of the sentences of each at random."""
        settings = self.settings
        part = part_of(settings.batch, rank, world)
        places = np.arange(step * settings.batch, (step + 1) * settings.batch)
        order = permuted(places, len(self.samples), settings.seed)
        rng = np.random.default_rng([settings.seed, 5, step])
        spoken = rng.integers(self.features.shape[1], size=settings.batch)
        chosen, said = order[part.start : part.stop], spoken[part.start : part.stop]
        names = sorted(set(self.samples.scenes))
        scenes = [names.index(self.samples.scenes[i]) for i in chosen]
        return LanguageBatch(
            self.features[torch.from_numpy(chosen), torch.from_numpy(said)],
            torch.from_numpy(self.samples.inverse[chosen].astype(np.float32)),
            torch.from_numpy(self.samples.depth[chosen].astype(np.float32)),
            torch.tensor(scenes),
        )


class LanguageStep(nn.Module):
    """
    The head and its loss.

    :param head: to train.
    :param settings: of the run.
    """

    def __init__(self, head: LanguageHead, settings: LanguageSettings) -> None:
        super().__init__()
        self.head = head
        self.settings = settings

    def forward(self, batch: LanguageBatch) -> dict[str, Tensor]:
        """Losses of a batch by name; ``depth`` is the published sum, not balanced."""
        s = self.settings
        alpha, beta = self.head(batch.features)
        depth = metric_depth(batch.inverse, alpha.float(), beta.float(), TRAINING_EPSILON)
        parts = []
        for scene in batch.scene.unique():
            here = batch.scene == scene
            parts.append(depth_loss(depth[here], batch.depth[here], s.near, s.far, s.loss))
        each = torch.stack(parts)
        total = sum((balanced(part) for part in parts), each.new_zeros(()))
        return {'total': total if s.balanced else each.sum(), 'depth': each.sum().detach()}


class LanguageTask(SingleTask):
    """
    Training of the language head; the text encoder is frozen, all sentences are encoded once.

    :param samples: training data.
    :param settings: of the run.
    :param tower: text encoder.
    :param validation: samples to watch; None for none.
    :param start: head to begin with; None begins anew.
    :param watch_every: steps between validations, 0 for none.
    :param device: to train on.
    :raises SettingsError: the head to begin with takes features of another size.
    """

    name = 'language'
    best: ClassVar[str] = 'scale'
    network: LanguageHead
    batches: LanguageBatches
    losses: tuple[str, ...] = ('total', 'depth')
    figures = ('scale', 'abs_rel', 'd1', 'own_scale')

    def __init__(
        self,
        samples: LanguageSamples,
        settings: LanguageSettings,
        tower: TextTower,
        validation: LanguageSamples | None = None,
        start: LanguageHead | None = None,
        watch_every: int = 500,
        device: torch.device | str = 'cpu',
    ) -> None:
        self.settings: LanguageSettings = settings
        self.tower = tower
        self.validation = validation
        self.watch_every = watch_every
        torch.manual_seed(settings.seed)
        head = start or new_head(tower.features, settings.first_shift)
        if head.features != tower.features:
            msg = (
                f'the head to begin with takes {head.features} features, {tower.name} gives '
                f'{tower.features}; take its own text encoder'
            )
            raise SettingsError(msg)
        self.begun_with = head_digest(head) if start is not None else None
        self.network = head.train().to(device)
        self.module = LanguageStep(self.network, settings)
        self.batches = LanguageBatches(samples, encode_all(tower, samples), settings)
        self.spoken = None if validation is None else encode_first(tower, validation)
        self.steps, self.clip = settings.steps, settings.clip

    def samples(self, step: int) -> int:
        """Samples of all processes together in a step."""
        del step
        return self.settings.batch

    def decay(self, step: int) -> float | None:  # type: ignore[override]
        """None where the settings want no average, as published."""
        return super().decay(step) if self.settings.average else None

    def identity(self) -> Mapping[str, Any]:
        """Settings, text encoder, number of samples and digest of the start."""
        return {
            'settings': asdict(self.settings),
            'text_encoder': self.tower.name,
            'samples': len(self.batches.samples),
            'start': self.begun_with,
        }

    def measure(
        self, network: nn.Module, step: int, rank: int, world: int
    ) -> list[dict[str, float]]:
        """Figures of the first sentence of each sample."""
        del step
        if self.validation is None or self.spoken is None:
            return []
        device = next(network.parameters()).device
        with torch.inference_mode():
            alpha, beta = (v.cpu().numpy() for v in network(self.spoken.to(device)))
        return [
            scale_figures(self.validation, i, float(alpha[i]), float(beta[i]), self.settings)
            for i in range(rank, len(self.validation), world)
        ]


def new_head(features: int, shift: float) -> LanguageHead:
    """
    Head of the published layout for a text encoder of any size, with random weights.

    :param features: of a sentence.
    :param shift: beta in 1/m that it begins near; alpha begins near 1.
    """
    layout = LAYOUTS['five_layer']
    head = LanguageHead(HeadLayout((features, *layout.trunk[1:]), layout.head))
    last = head.shift_net[-1]
    assert isinstance(last, nn.Linear)
    nn.init.constant_(last.bias, math.log(shift))
    return head


def head_digest(head: LanguageHead) -> str:
    """Digest of the weights, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(head.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def encode_all(tower: TextTower, samples: LanguageSamples, batch: int = 64) -> Tensor:
    """
    Features of all sentences.

    :param tower: text encoder.
    :param samples: with the same number of sentences each.
    :param batch: sentences per pass.
    :returns: (N, K, F) float32.
    """
    texts = [text for sentences in samples.sentences for text in sentences]
    return _encode(tower, texts, batch).view(len(samples), -1, tower.features)


def encode_first(tower: TextTower, samples: LanguageSamples, batch: int = 64) -> Tensor:
    """
    Features of the first sentence of each sample.

    :param tower: text encoder.
    :param samples: to watch.
    :param batch: sentences per pass.
    :returns: (N, F) float32.
    """
    return _encode(tower, [sentences[0] for sentences in samples.sentences], batch)


def _encode(tower: TextTower, texts: Sequence[str], batch: int) -> Tensor:
    """Features of texts, each different one encoded once."""
    different = sorted(set(texts))
    place = {text: k for k, text in enumerate(different)}
    parts = [
        tower.encode(different[i : i + batch]).features for i in range(0, len(different), batch)
    ]
    return torch.cat(parts)[[place[text] for text in texts]]


def scale_figures(
    samples: LanguageSamples, index: int, alpha: float, beta: float, settings: LanguageSettings
) -> dict[str, float]:
    """
    Figures of one sample.

    :param samples: with truth.
    :param index: of the sample.
    :param alpha: that the head says.
    :param beta: that the head says, 1/m.
    :param settings: range that counts.
    :returns: 'scale', |log| of the ratio of the medians of depth and truth; 'own_scale', the same
        of the depth model alone; 'error', the signed one of the head; abs_rel and d1; empty
        without truth.
    """
    inverse = samples.inverse[index].astype(np.float64)
    truth = samples.depth[index].astype(np.float64)
    counts = (truth > settings.near) & (truth < settings.far)
    if counts.sum() < 20:
        return {}
    depth = 1.0 / (alpha * inverse + beta)
    metrics = depth_metrics(depth, truth, near=settings.near, far=settings.far)
    middle = math.log(float(np.median(truth[counts])))
    error = math.log(float(np.median(depth[counts]))) - middle
    own = math.log(float(np.median(1.0 / inverse[counts]))) - middle
    return {
        'scale': abs(error),
        'abs_rel': metrics['abs_rel'],
        'd1': metrics['d1'],
        'own_scale': abs(own),
        'error': error,
    }
