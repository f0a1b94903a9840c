# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Supervised training of the lite network: seeded, resumable at any checkpoint.

Everything random of a step is derived from (seed, step), and the learning rate is a function of
the step alone, so a run that was stopped and resumed gives the same weights as one that was not.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.evaluation.metrics import absolute_relative, depth_metrics, sparsification
from monother_ros.learning.augment import PLAIN, AugmentSettings, make_sample
from monother_ros.learning.batches import Batches, TrainSettings
from monother_ros.learning.curves import write_curves
from monother_ros.learning.lite_losses import supervised_loss
from monother_ros.learning.rendered import Frames
from monother_ros.networks.lite import LiteConfig, LiteNetwork

CHECKPOINT = 'checkpoint.pt'
CURVES = 'curves.png'
_FORMAT = 1


class Trainer:
    """
    A training run in a folder, continued from its checkpoint where there is one.

    The end of the schedule may be moved as long as the steps at full size have not begun.

    :param folder: of the run; holds checkpoint.pt and curves.png.
    :param frames: training data.
    :param settings: of the run.
    :param config: of the network.
    :param augment: how samples are changed.
    :param validation: frames to watch; None for none.
    :param start: network to begin with, such as that of an older bundle; None begins anew.
    :raises SettingsError: the checkpoint in the folder belongs to other settings.
    """

    def __init__(
        self,
        folder: str | Path,
        frames: Frames,
        settings: TrainSettings,
        config: LiteConfig | None = None,
        augment: AugmentSettings | None = None,
        validation: Frames | None = None,
        start: LiteNetwork | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self.frames = frames
        self.validation = validation
        torch.manual_seed(settings.seed)
        network = LiteNetwork(config if start is None else start.config)
        self.begun_with: str | None = None
        if start is not None:
            network.load_state_dict(start.state_dict())
            self.begun_with = weights_digest(start)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.batches = Batches(
            frames, settings, augment or AugmentSettings(), self.network.config.far
        )
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [
                {'params': decayed, 'weight_decay': settings.weight_decay},
                {'params': others, 'weight_decay': 0.0},
            ],
            lr=settings.rate,
        )
        self.step = 0
        self.training: dict[str, list[float]] = {
            k: [] for k in ('step', 'total', 'bins', 'depth', 'edges', 'rate')
        }
        self.watched: dict[str, list[float]] = {
            k: [] for k in ('step', 'abs_rel', 'd1', 'confidence', 'ause_ratio')
        }
        if (self.folder / CHECKPOINT).exists():
            self._restore()

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        identity = {
            'settings': asdict(self.settings),
            'config': self.network.config.as_dict(),
            'augment': asdict(self.batches.augment),
            'frames': len(self.frames),
        }
        if self.begun_with is not None:
            identity['start'] = self.begun_with
        return identity

    def save(self) -> Path:
        """Write the checkpoint, whole or not at all."""
        buffer = io.BytesIO()
        state = {
            'format': _FORMAT,
            'identity': self._identity(),
            'step': self.step,
            'network': self.network.state_dict(),
            'average': self.average.state_dict(),
            'optimiser': self.optimiser.state_dict(),
            'training': self.training,
            'watched': self.watched,
        }
        torch.save(state, buffer)
        return atomic_write(self.folder / CHECKPOINT, buffer.getvalue())

    def _restore(self) -> None:
        """Continue where the checkpoint ends."""
        state = load_checkpoint(self.folder / CHECKPOINT)
        found, wanted = state['identity'], self._identity()
        before, settings = TrainSettings(**found['settings']), self.settings
        if state['step'] <= min(before.small_steps, settings.small_steps):
            # nothing so far depended on where the schedule ends, so the end may be moved
            end = {'steps': settings.steps, 'full_steps': settings.full_steps}
            found = {**found, 'settings': {**found['settings'], **end}}
        if found != wanted:
            differing = [k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k)]
            msg = (
                f'{self.folder / CHECKPOINT} belongs to a run with other {", ".join(differing)}; '
                'repeat the settings of that run or take another folder'
            )
            raise SettingsError(msg)
        self.step = int(state['step'])
        self.network.load_state_dict(state['network'])
        self.average.load_state_dict(state['average'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.training = state['training']
        self.watched = state['watched']

    def train(
        self,
        until: int | None = None,
        *,
        save_seconds: float = 120.0,
        watch_every: int = 500,
        log_every: int = 10,
        progress: bool = True,
    ) -> LiteNetwork:
        """
        Train and save.

        :param until: stop before this step; None for the end of the schedule.
        :param save_seconds: time between checkpoints.
        :param watch_every: steps between validations, 0 for none.
        :param log_every: steps between points of the loss curve.
        :param progress: whether to show a progress bar.
        :returns: the averaged network in evaluation mode.
        """
        stop = self.settings.steps if until is None else min(until, self.settings.steps)
        first = math.log(self.network.config.near)
        saved = time.monotonic()
        bar = tqdm(
            total=self.settings.steps,
            initial=self.step,
            desc='train',
            disable=not progress,
            mininterval=1.0 if os.isatty(2) else 15.0,
        )
        self.network.train()
        for images, targets in self.batches.run(self.step, stop):
            rate = self.settings.learning_rate(self.step)
            for group in self.optimiser.param_groups:
                group['lr'] = rate
            images = images.contiguous(memory_format=torch.channels_last)
            prediction, logits = self.network.log_depth(images)
            losses = supervised_loss(
                prediction,
                logits,
                targets,
                first=first,
                width=self.network.bin_width,
                depth_weight=self.settings.depth_weight,
                edge_weight=self.settings.edge_weight,
            )
            self.optimiser.zero_grad(set_to_none=True)
            losses.total.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
            self.optimiser.step()
            self._follow()
            self.step += 1
            bar.update()
            if self.step % log_every == 0:
                values = {k: float(v.detach()) for k, v in losses._asdict().items()}
                for key, value in {'step': self.step, 'rate': rate, **values}.items():
                    self.training[key].append(value)
                bar.set_postfix_str(f'loss {values["total"]:.3f} depth {values["depth"]:.3f}')
            if self.validation is not None and watch_every and self.step % watch_every == 0:
                self.watch()
            if time.monotonic() - saved > save_seconds:
                self.save()
                write_curves(self.folder / CURVES, self.training, self.watched)
                saved = time.monotonic()
        bar.close()
        self.save()
        write_curves(self.folder / CURVES, self.training, self.watched)
        return self.average

    def _follow(self) -> None:
        """Move the average towards the weights; faster at the start, when it has seen little."""
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            ours, theirs = self.average.state_dict(), self.network.state_dict()
            for name, value in theirs.items():
                if value.dtype.is_floating_point:
                    ours[name].lerp_(value, 1 - decay)
                else:
                    ours[name].copy_(value)

    def watch(self) -> dict[str, float]:
        """Measure the averaged network on the validation frames and note it."""
        assert self.validation is not None
        size = self.settings.size(max(0, self.step - 1))
        values = evaluate_network(self.average, self.validation, size)
        for key in self.watched:
            self.watched[key].append(float(self.step) if key == 'step' else values[key])
        tqdm.write(f'step {self.step}: ' + ' '.join(f'{k} {v:.3f}' for k, v in values.items()))
        return values


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """
    Read a checkpoint; holds tensors and plain values only, so no code is run.

    :param path: of checkpoint.pt.
    :raises SettingsError: it is missing, damaged or of a newer format.
    """
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as err:
        msg = f'{path} cannot be read as a checkpoint: {err}'
        raise SettingsError(msg) from err
    if not isinstance(state, dict) or state.get('format') != _FORMAT:
        msg = f'{path} is no checkpoint of format {_FORMAT}; train anew or update monother_ros'
        raise SettingsError(msg)
    return state


def weights_digest(network: LiteNetwork) -> str:
    """Digest of all parameters and statistics, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def evaluate_network(
    network: LiteNetwork, frames: Frames, size: tuple[int, int], batch: int = 16
) -> dict[str, float]:
    """
    Mean metrics of a network on frames, without the run-time pipeline.

    :param network: in evaluation mode.
    :param frames: with ground truth.
    :param size: (width, height) of the input.
    :param batch: frames per forward pass.
    :returns: abs_rel, d1, mean confidence and the AUSE ratio.
    """
    rng = np.random.default_rng(0)
    far = network.config.far
    rows: list[dict[str, float]] = []
    for start in range(0, len(frames), batch):
        samples = [
            make_sample(
                frames.thermal(i),
                frames.depth(i),
                frames.bounds[i],
                float(frames.focal[i]),
                size,
                far,
                rng,
                PLAIN,
            )
            for i in range(start, min(start + batch, len(frames)))
        ]
        with torch.inference_mode():
            output = network(torch.from_numpy(np.stack([s[0] for s in samples])[:, None]))
        for k, (_, target) in enumerate(samples):
            truth = np.exp(target)
            depth, confidence = output.depth[k, 0].numpy(), output.confidence[k, 0].numpy()
            valid = truth < 80.0
            if not valid.any():
                continue
            error = absolute_relative(depth[valid], truth[valid])
            rows.append(
                {
                    'abs_rel': depth_metrics(depth, truth)['abs_rel'],
                    'd1': depth_metrics(depth, truth)['d1'],
                    'confidence': float(confidence[valid].mean()),
                    'ause_ratio': sparsification(error, confidence[valid]).ratio,
                }
            )
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
