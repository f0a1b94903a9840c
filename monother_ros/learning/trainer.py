# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop of every recipe: seeded, resumable at any checkpoint, on one or many processes.

Everything random of a step is derived from (seed, step), and rates are functions of the step
alone, so a run that was stopped and resumed gives the same weights as one that was not. What is
trained is a :class:`~monother_ros.learning.tasks.base.Task`.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from monother_ros.core.errors import SettingsError, TrainingError
from monother_ros.learning.batches import Batch, Batches, prefetch
from monother_ros.learning.curves import write_curves
from monother_ros.learning.distributed import Group, bucketed, share_batch_norms
from monother_ros.learning.run_log import RunLog
from monother_ros.learning.tasks.base import Task
from monother_ros.learning.training_state import (
    AVERAGE,
    BEST,
    LATEST,
    NETWORK,
    OPTIMISER,
    find_latest,
    optimiser_tensors,
    parameter_names,
    read_about,
    read_tensors,
    restore_optimiser,
    write_state,
)

CURVES = 'curves.png'


@dataclass(frozen=True)
class RunSettings:
    """How a run is carried out; only precision and accumulate change its numbers."""

    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    """auto takes a GPU where there is one"""
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = 'auto'
    """auto: bf16 or else fp16 on a GPU, fp32 on a CPU"""
    accumulate: int = 1
    """parts that a batch is done in, for memory; each part has batch statistics of its own"""
    workers: int = 0
    """processes that prepare batches; 0 takes a thread"""
    threads: int = 0
    """of torch on the CPU; 0 leaves its default"""
    log_every: int = 10
    """steps between points of the loss curve"""
    save_seconds: float = 600.0
    """time between checkpoints"""
    skips: int = 20
    """a run ends when so many steps in a row had losses or gradients that are no numbers"""
    tensorboard: bool = True
    """write TensorBoard event files to RUN/log"""


def pick_precision(wanted: str, device: torch.device) -> str:
    """
    Precision to train in.

    :param wanted: as in :class:`RunSettings`.
    :param device: to train on.
    :returns: 'fp32', 'bf16' or 'fp16'.
    """
    if wanted != 'auto':
        return wanted
    if device.type != 'cuda':
        return 'fp32'
    return 'bf16' if torch.cuda.is_bf16_supported() else 'fp16'


def batch_parts(batches: Batches, step: int, rank: int, world: int, parts: int) -> list[Batch]:
    """The parts of a step's batch that one process works on, one after the other."""
    return [batches.batch(step, part * world + rank, world * parts) for part in range(parts)]


class Trainer:
    """
    A training run in a folder, continued from its checkpoint where there is one.

    :param folder: of the run; holds latest/, best/, curves.png and log/.
    :param task: what to train.
    :param run: how.
    :param group: processes of the run; None for this one alone, on the task's device.
    :param recipe: written into the checkpoints, for people and exporters.
    :raises SettingsError: the checkpoint in the folder belongs to other settings.
    """

    def __init__(
        self,
        folder: str | Path,
        task: Task,
        run: RunSettings | None = None,
        group: Group | None = None,
        recipe: dict[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.task = task
        self.run = run or RunSettings()
        device = next(task.network.parameters()).device
        self.group = group or Group(device)
        self.recipe = recipe
        self.precision = pick_precision(self.run.precision, device)
        self.network = task.network
        self.average: nn.Module | None = None
        if task.decay(0) is not None:
            self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        task.connect(self.group)
        share_batch_norms(task.module, self.group)
        self.names = parameter_names(self.network)
        groups = task.groups()
        self.optimiser = torch.optim.AdamW(
            [
                {'params': [self.names[n] for n in g.names], 'weight_decay': g.weight_decay}
                for g in groups
            ],
            lr=1.0,
            eps=task.eps,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == 'fp16')
        self.step = 0
        self.skipped = 0
        self.lowest: float | None = None
        self.training: dict[str, list[float]] = {
            key: [] for key in ('step', *task.losses, 'rate', 'norm')
        }
        self.watched: dict[str, list[float]] = {key: [] for key in ('step', *task.figures)}
        if find_latest(self.folder) is not None:
            self._restore()
        self.module = bucketed(task.module, self.group, unused=task.unused)
        self._buffers = [b for b in self.network.buffers() if b.dtype.is_floating_point]
        self._in_a_row = 0
        self.seconds, self.done = 0.0, 0

    @property
    def result(self) -> nn.Module:
        """The network to use: the moving average where there is one."""
        return self.network if self.average is None else self.average

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with."""
        numbers = {'precision': self.run.precision, 'accumulate': self.run.accumulate}
        identity = {'task': self.task.name, 'run': numbers, **self.task.identity()}
        plain: dict[str, Any] = json.loads(json.dumps(identity))
        return plain

    def save(self, name: str = LATEST) -> Path | None:
        """
        Write a checkpoint, whole or not at all; only the first process does.

        :param name: folder in the run; only LATEST holds what a run is continued from.
        """
        if not self.group.first:
            return None
        task = self.task
        about = {
            'identity': self._identity(),
            'step': self.step,
            'skipped': self.skipped,
            'lowest': self.lowest,
            'scaler': self.scaler.state_dict(),
            'training': self.training,
            'watched': self.watched,
            'recipe': self.recipe,
        }
        return write_state(
            self.folder / name,
            about,
            task.state(self.network),
            None if self.average is None else task.state(self.average),
            optimiser_tensors(self.optimiser, self.names) if name == LATEST else None,
            task.metadata(),
        )

    def _restore(self) -> None:
        """Continue where the checkpoint ends."""
        folder = self.folder / LATEST
        about, wanted = read_about(folder), self._identity()
        found = dict(self.task.reconcile(about['identity'], about['step']))
        if found != wanted:
            differing = sorted(
                k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k)
            )
            msg = (
                f'{folder} belongs to a run with other {", ".join(differing)}; '
                'repeat the settings of that run or take another folder'
            )
            raise SettingsError(msg)
        self.task.load(self.network, read_tensors(folder / NETWORK))
        if self.average is not None:
            self.task.load(self.average, read_tensors(folder / AVERAGE))
        restore_optimiser(self.optimiser, self.names, read_tensors(folder / OPTIMISER))
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(about['scaler'])
        self.step, self.skipped = int(about['step']), int(about['skipped'])
        self.lowest = about['lowest']
        self.training, self.watched = about['training'], about['watched']

    def batches(self, start: int, stop: int) -> Iterator[list[Batch]]:
        """This process's parts of the batches of the steps start to stop - 1, made ahead."""
        group, parts = self.group, self.run.accumulate
        make = partial(
            _make, batches=self.task.batches, rank=group.rank, world=group.world, parts=parts
        )
        return prefetch(make, start, stop, self.run.workers)

    def advance(
        self, parts: list[Batch], clock: Callable[[str], None] | None = None
    ) -> dict[str, Tensor]:
        """
        One optimiser step.

        :param parts: of this process's share of the batch.
        :param clock: told the name of each stage as it ends: forward, backward, optimiser.
        :returns: the losses, means over the parts, and ``norm`` of the gradients.
        :raises TrainingError: too many steps in a row had losses or gradients that are no numbers.
        """
        tick = clock or (lambda _stage: None)
        for options, hyper in zip(
            self.optimiser.param_groups, self.task.hyper(self.step), strict=True
        ):
            options['lr'], options['betas'] = hyper.rate, (hyper.beta1, hyper.beta2)
        before = [b.clone() for b in self._buffers]
        self.task.scaled(self.group.world * self.scaler.get_scale())
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for k, part in enumerate(parts):
            with self._no_sync(last=k == len(parts) - 1):
                with self._autocast():
                    losses = self.module(part.to(self.group.device, non_blocking=True))
                tick('forward')
                self.scaler.scale(losses['total'] / len(parts)).backward()
                tick('backward')
            for name, value in losses.items():
                share = value.detach() / len(parts)
                sums[name] = sums[name] + share if name in sums else share
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(list(self.names.values()), self.task.clip)
        # one process's loss may be no number where the mean of the gradients still is one
        if bool(torch.isfinite(norm + self.group.total(sums['total']))):
            self._in_a_row = 0
            self.scaler.step(self.optimiser)
            self._follow()
        else:
            self._skip(before, sums)
        self.scaler.update()
        self.step += 1
        tick('optimiser')
        return {**sums, 'norm': norm}

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision where it is on."""
        kind = torch.bfloat16 if self.precision == 'bf16' else torch.float16
        return torch.autocast(self.group.device.type, kind, self.precision != 'fp32')

    def _no_sync(self, *, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Exchange gradients after the last part only."""
        if last or self.group.world == 1:
            return contextlib.nullcontext()
        manager: contextlib.AbstractContextManager[Any] = self.module.no_sync()  # type: ignore[operator]
        return manager

    def _skip(self, before: list[Tensor], losses: dict[str, Tensor]) -> None:
        """Leave everything as it was before the step, but count it."""
        with torch.no_grad():
            for buffer, value in zip(self._buffers, before, strict=True):
                buffer.copy_(value)
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row >= self.run.skips:
            values = ', '.join(f'{k} {float(v):g}' for k, v in losses.items())
            msg = (
                f'{self._in_a_row} steps in a row, up to step {self.step}, had losses or '
                f'gradients that are no numbers ({values}); look at the data, or lower the '
                'learning rate or take precision fp32'
            )
            raise TrainingError(msg)

    def _follow(self) -> None:
        """Move the average towards the weights."""
        decay = self.task.decay(self.step)
        if self.average is None or decay is None:
            return
        with torch.no_grad():
            ours, theirs = self.average.state_dict(), self.network.state_dict()
            for name, value in theirs.items():
                if value.dtype.is_floating_point:
                    ours[name].lerp_(value, 1 - decay)
                else:
                    ours[name].copy_(value)

    def train(self, until: int | None = None, *, progress: bool = True) -> nn.Module:
        """
        Train and save.

        :param until: stop before this step; None for the end of the schedule.
        :param progress: whether to show a progress bar.
        :returns: the network to use, in evaluation mode.
        :raises TrainingError: see :meth:`advance`.
        """
        first = self.group.first
        stop = self.task.steps if until is None else min(until, self.task.steps)
        log = RunLog(self.folder / 'log', self.step, first and self.run.tensorboard)
        bar = tqdm(
            total=self.task.steps,
            initial=self.step,
            desc='train',
            disable=not (progress and first),
            mininterval=1.0 if os.isatty(2) else 15.0,
        )
        saved, self.seconds, self.done = time.monotonic(), 0.0, 0
        self.module.train()
        with contextlib.closing(log), bar:
            began = time.monotonic()
            for parts in self.batches(self.step, stop):
                count = self.task.samples(self.step)
                losses = self.advance(parts)
                self.done += count
                bar.update()
                if self.step % self.run.log_every == 0:
                    rate = self.done / max(time.monotonic() - began, 1e-9)
                    bar.set_postfix_str(self._note(losses, rate, log))
                if self.task.watch_at(self.step):
                    pause = time.monotonic()
                    self.watch(log)
                    began += time.monotonic() - pause
                if first and time.monotonic() - saved > self.run.save_seconds:
                    self._save_all()
                    saved = time.monotonic()
            self.seconds = time.monotonic() - began
        self._save_all()
        self.group.wait()
        return self.result.eval()

    def _save_all(self) -> None:
        """Checkpoint and curves."""
        if self.group.first:
            self.save()
            write_curves(self.folder / CURVES, self.training, self.watched)

    def _note(self, losses: dict[str, Tensor], rate: float, log: RunLog) -> str:
        """Keep a point of the loss curves; the text for the progress bar."""
        names = list(losses)
        found = self.group.means([float(losses[name]) for name in names])
        values = dict(zip(names, found, strict=True))
        values['rate'] = max(h.rate for h in self.task.hyper(self.step - 1))
        for key in self.training:
            self.training[key].append(self.step if key == 'step' else values.get(key, 0.0))
        log.add('train', values, self.step)
        log.add('speed', {'samples_per_second': rate, 'skipped_steps': self.skipped}, self.step)
        skipped = f', {self.skipped} skipped' if self.skipped else ''
        return f'loss {values["total"]:.3f}, {rate:.1f} samples/s{skipped}'

    def watch(self, log: RunLog | None = None) -> dict[str, float]:
        """
        Measure the network on the validation samples and note it; keep it where it is the best.

        Every process measures a share of the samples.

        :returns: means over the samples with ground truth; empty where there is none.
        """
        values = self.measure()
        if not values:
            return values
        for key in self.watched:
            self.watched[key].append(float(self.step) if key == 'step' else values[key])
        if log is not None:
            log.add('validation', values, self.step)
        better = self.lowest is None or values[self.task.best] < self.lowest
        if better:
            self.lowest = values[self.task.best]
            self.save(BEST)
        if self.group.first:
            text = ' '.join(f'{k} {v:.3f}' for k, v in values.items())
            tqdm.write(f'step {self.step}: {text}{" (best)" if better else ""}')
        return values

    def latest(self) -> dict[str, float]:
        """Validation figures of the newest weights, measured unless they just were."""
        if self.watched['step'] and self.watched['step'][-1] == self.step:
            return {key: self.watched[key][-1] for key in self.task.figures}
        return self.measure()

    def measure(self) -> dict[str, float]:
        """Means of the validation figures of :attr:`result` over the samples with truth."""
        network, group = self.result, self.group
        was_training = self.module.training
        network.eval()
        shares = group.gather(self.task.measure(network, self.step, group.rank, group.world))
        self.module.train(was_training)
        longest = max(len(share) for share in shares)
        rows = [s[k] for k in range(longest) for s in shares if k < len(s) and s[k]]
        if not rows:
            return {}
        found = {key: [row[key] for row in rows if key in row] for key in self.task.figures}
        return {key: float(np.mean(v)) if v else float('nan') for key, v in found.items()}


def _make(step: int, batches: Batches, rank: int, world: int, parts: int) -> list[Batch]:
    """One step's parts, for a process that knows nothing else of the run."""
    return batch_parts(batches, step, rank, world, parts)
