# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the dual network on pairs of a thermal and an RGB image (MonoTher-Depth)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.core.errors import SettingsError
from monother_ros.evaluation.metrics import depth_metrics, valid_mask
from monother_ros.learning.datasets import PairDataset
from monother_ros.learning.depth_pro_losses import (
    DepthProWeights,
    canonical,
    depth_pro_terms,
)
from monother_ros.learning.distributed import Group
from monother_ros.learning.losses import Total, local, resize, valid_depth
from monother_ros.learning.objective import PairBatch, objective
from monother_ros.learning.parameter_groups import (
    DUAL_GROUPS,
    Hyper,
    ParameterGroup,
    dual_group,
    freeze,
    one_cycle,
)
from monother_ros.learning.tasks.base import Task
from monother_ros.learning.tasks.dual_batches import DualBatches, DualSettings
from monother_ros.networks.checkpoint import CONFIG_KEY, load_state
from monother_ros.networks.confidence import GATE, GradientGate
from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork, network_size
from monother_ros.networks.names import official_name, official_state


class DualStep(nn.Module):
    """
    The dual network and its loss.

    :param network: to train; frozen parts have been frozen.
    :param settings: of the run.
    """

    def __init__(self, network: MonoTherNetwork, settings: DualSettings) -> None:
        super().__init__()
        self.network = network
        self.weights = settings.losses
        self.depth_pro = settings.depth_pro
        self.consistency = settings.consistency()
        self.size = None if settings.size is None else network_size(*settings.size)
        self.total: Total = local
        confidence = network.confidence.parameters()
        self.still = settings.frozen_statistics and not any(p.requires_grad for p in confidence)

    def train(self, mode: bool = True) -> DualStep:
        """Training mode, but for a frozen confidence network with frozen statistics."""
        super().train(mode)
        if self.still:
            self.network.confidence.eval()
        return self

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """Losses of the batch of all processes by name, not weighted, and their weighted sum."""
        outputs = self.network(batch.thermal, batch.rgb, self.size)
        # logarithms, ratios and projections do not fit half precision
        with torch.autocast(batch.thermal.device.type, enabled=False):
            found = objective(
                outputs, batch, self.network.confidence, self.weights, self.consistency, self.total
            )
            if not self.depth_pro.names():
                return {'total': found.total, **found.parts}
            more, parts = self._depth_pro(outputs.thermal.depth.float(), batch)
        return {'total': found.total + more, **found.parts, **parts}

    def _depth_pro(self, depth: Tensor, batch: PairBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Depth Pro's losses of the thermal depth of the batch of all processes."""
        truth = batch.thermal_depth
        if truth is None:
            msg = (
                'depth_pro needs thermal depth labels and the data set has none; set its weights '
                'to 0 or train on a data set with labels'
            )
            raise SettingsError(msg)
        near, far = self.consistency.near, self.consistency.far
        valid = valid_depth(truth, near, far)
        depth = resize(depth, (int(truth.shape[-2]), int(truth.shape[-1])))
        # f / w is that of the images, whatever the size of the labels
        focal, width = batch.thermal_intrinsics[:, 0, 0], int(batch.thermal.shape[-1])
        said = canonical(depth.clamp(min=near), focal, width)
        label = canonical(torch.where(valid, truth, torch.ones_like(truth)), focal, width)
        count = depth.new_tensor(float(len(depth)))
        more, parts = depth_pro_terms(said, label, self.depth_pro, valid)
        # a mean over the images of all processes
        names = list(parts)
        whole = self.total(torch.stack([more, *parts.values(), count.new_ones(())]) * count)
        means = whole[:-1] / whole[-1]
        return means[0], dict(zip(names, means[1:].detach(), strict=True))


class DualTask(Task):
    """
    Training of the dual network.

    :param dataset: training data.
    :param settings: of the run.
    :param network: to train, with its first weights; its shape is that of the settings.
    :param validation: data to watch; None for none.
    :param start: digest of the first weights, where they are not random.
    """

    name = 'dual'
    network: MonoTherNetwork
    batches: DualBatches
    unused = True
    figures = ('abs_rel', 'd1', 'rmse', 'rgb_abs_rel')

    def __init__(
        self,
        dataset: PairDataset,
        settings: DualSettings,
        network: MonoTherNetwork,
        validation: PairDataset | None = None,
        start: str | None = None,
    ) -> None:
        self.settings = settings
        self.validation = validation
        self.start = start
        self.network = network
        self.config: MonoTherConfig = network.config
        freeze(network, settings.frozen)
        self.step_module = DualStep(network, settings)
        self.module = self.step_module
        self.batches = DualBatches(dataset, settings)
        if self.batches.per_epoch < 1:
            msg = (
                f'{len(dataset)} samples do not fill one batch of {settings.batch}; take more '
                'data or a smaller batch'
            )
            raise SettingsError(msg)
        self.steps = settings.epochs * self.batches.per_epoch
        self.clip, self.eps = settings.clip, settings.eps
        weights = settings.losses
        counted = [n for n, w in weights.as_dict().items() if w > 0]
        self.losses = (
            'total',
            *(n for n in counted if n != 'nll' or weights.uses_nll),
            *settings.depth_pro.names(),
        )
        self._groups = self._grouped()

    def _grouped(self) -> list[ParameterGroup]:
        """Groups that have trained parameters."""
        members: dict[str, list[str]] = {name: [] for name in DUAL_GROUPS}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                members[dual_group(official_name(name))].append(name)
        decay = self.settings.weight_decay
        return [ParameterGroup(k, decay, tuple(names)) for k, names in members.items() if names]

    def groups(self) -> Sequence[ParameterGroup]:
        """Those of :data:`DUAL_GROUPS` that are trained; all parameters decay."""
        return self._groups

    def hyper(self, step: int) -> Sequence[Hyper]:
        """One cycle over all steps; all groups but 'rest' at rate / divisor."""
        s = self.settings
        rate, beta1 = one_cycle(
            step,
            self.steps,
            s.rate,
            up=s.up,
            div_factor=s.div_factor,
            final_div_factor=s.final_div_factor,
            momentum=s.momentum,
        )
        return [
            Hyper(rate if g.name == 'rest' else rate / s.divisor, beta1, s.beta2)
            for g in self._groups
        ]

    def samples(self, step: int) -> int:
        """Samples of all processes together in a step."""
        return self.settings.batch

    def decay(self, step: int) -> float | None:
        """Faster at the start, when the average has seen little."""
        average = self.settings.average
        return min(average, (1 + step) / (10 + step)) if average else None

    def connect(self, group: Group) -> None:
        """Sum losses over all processes."""
        self.step_module.total = group.total

    def scaled(self, factor: float) -> None:
        """The gate of the confidence limits gradients of the global loss, not scaled ones."""
        for module in self.network.confidence.modules():
            if isinstance(module, GradientGate):
                module.limit = GATE * factor

    def identity(self) -> Mapping[str, Any]:
        """Settings, shape of the network, number of samples and digest of the start."""
        return {
            'settings': asdict(self.settings),
            'config': self.config.as_dict(),
            'samples': len(self.batches.dataset),
            'start': self.start,
        }

    def reconcile(self, found: Mapping[str, Any], step: int) -> Mapping[str, Any]:
        """Checkpoints of older versions do not name weights that they had no choice of."""
        del step
        if not isinstance(found.get('settings'), dict):
            return found
        older = {'depth_pro': asdict(DepthProWeights())}
        return {**found, 'settings': {**older, **found['settings']}}

    def watch_at(self, step: int) -> bool:
        """At the end of every so many epochs."""
        every = self.settings.watch_epochs * self.batches.per_epoch
        return self.validation is not None and every > 0 and step % every == 0

    def measure(
        self, network: nn.Module, step: int, rank: int, world: int
    ) -> list[dict[str, float]]:
        """Metrics of thermal depth and AbsRel of RGB depth, where there are labels."""
        if self.validation is None:
            return []
        assert isinstance(network, MonoTherNetwork)
        return [
            pair_figures(network, self.validation, i, self.step_module.size)
            for i in range(rank, len(self.validation), world)
        ]

    def state(self, network: nn.Module) -> dict[str, Tensor]:
        """Weights under official names."""
        return official_state(network)

    def metadata(self) -> dict[str, str]:
        """Configuration, as :func:`monother_ros.networks.checkpoint.read_checkpoint` reads it."""
        return {CONFIG_KEY: json.dumps(self.config.as_dict())}

    def load(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """
        Put weights back.

        :raises SettingsError: they are incomplete.
        """
        report = load_state(network, state)
        if not report.complete:
            msg = f'the weights of the checkpoint do not fit the network: {report.text()}'
            raise SettingsError(msg)


def pair_figures(
    network: MonoTherNetwork,
    dataset: PairDataset,
    index: int,
    size: tuple[int, int] | None = None,
) -> dict[str, float]:
    """
    Figures of one pair as MonoTher-Depth is evaluated.

    Predictions are brought to the labels' size (bilinear, aligned corners) and clipped; labels
    count in (0.001 m, 80 m); no scale is aligned.

    :param network: in evaluation mode.
    :param dataset: of the pair.
    :param index: of the pair.
    :param size: (h, w) of the network; None for that of the images.
    :returns: abs_rel, d1, rmse of thermal and rgb_abs_rel, those that there are labels for; empty
        without thermal labels.
    """
    sample = dataset[index]
    device = next(network.parameters()).device
    batch = PairBatch.stack([sample]).to(device)
    with torch.inference_mode():
        outputs = network(batch.thermal, batch.rgb, size)
    figures: dict[str, float] = {}
    for output, truth, prefix in (
        (outputs.thermal, sample.thermal_depth, ''),
        (outputs.rgb, sample.rgb_depth, 'rgb_'),
    ):
        if truth is None or not valid_mask(truth[0]).any():
            continue
        rows, columns = truth.shape[-2:]
        depth = output.depth.float()
        if depth.shape[-2:] != (rows, columns):
            depth = F.interpolate(depth, (rows, columns), mode='bilinear', align_corners=True)
        metrics = depth_metrics(depth[0, 0].cpu().numpy(), truth[0])
        names = ('abs_rel',) if prefix else ('abs_rel', 'd1', 'rmse')
        figures.update({prefix + name: metrics[name] for name in names})
    return figures if 'abs_rel' in figures else {}
