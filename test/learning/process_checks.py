# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What one of several processes does for test_distributed: ``process_checks.py FOLDER STEPS``.

Writes what it found to FOLDER/found.pt and a run in double precision to FOLDER/run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tiny_pairs import TinyPairs, tiny_task
from torch import nn

from monother_ros.learning.distributed import Group, processes, share_batch_norms, total
from monother_ros.learning.objective import PairBatch
from monother_ros.learning.trainer import RunSettings, Trainer


def values() -> torch.Tensor:
    """Samples of both processes together: 6 of 3 channels, far from mean 0."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, 3, 4, 5, generator=generator) * 2 + 30


def norm_loss(y: torch.Tensor) -> torch.Tensor:
    """Something that every output counts in differently."""
    weight = torch.linspace(0, 1, y[0].numel()).view_as(y[0])
    return (y.square() * weight).sum()


def batch_norm() -> nn.Module:
    """A batch norm whose parameters are not 1 and 0."""
    module = nn.Sequential(nn.BatchNorm2d(3))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        module[0].bias.copy_(torch.tensor([0.1, 0.0, -0.2]))
    return module


def in_double() -> None:
    """Make everything compute in double precision, also what asks for single precision."""
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    PairBatch.to = lambda self, *_args, **_options: PairBatch(  # type: ignore[method-assign]
        *(None if value is None else value.double() for value in self)
    )


def double_run(folder: Path, steps: int, group: Group | None = None) -> Trainer:
    """Train the tiny dual network in double precision."""
    task = tiny_task(validation=TinyPairs(3))
    task.network.double()
    trainer = Trainer(folder, task, RunSettings(log_every=1, tensorboard=False), group)
    trainer.train(steps, progress=False)
    return trainer


def main() -> None:
    """Check sums and batch norm, then train."""
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    with processes('cpu') as group:
        x = torch.tensor([1.0, 10.0])[group.rank].requires_grad_()
        (total(x * (group.rank + 2)) ** 2).backward()
        # parts of unequal size
        part = values()[:4] if group.rank == 0 else values()[4:]
        part.requires_grad_()
        module = share_batch_norms(batch_norm(), group)
        y = module(part)
        total(norm_loss(y)).backward()
        # the mean that DistributedDataParallel forms
        gradients = [total(p.grad.detach()) / group.world for p in module.parameters()]
        found = {
            'kind': type(module[0]).__name__,
            'sum_gradient': x.grad / group.world,
            'outputs': torch.cat(group.gather(y.detach())),
            'input_gradient': torch.cat(group.gather(part.grad)) / group.world,
            'gradients': gradients,
            'state': module.state_dict(),
            'means': group.means([float(group.rank), 5.0]),
        }
        if group.first:
            torch.save(found, folder / 'found.pt')
        in_double()
        double_run(folder / 'run', steps, group)


if __name__ == '__main__':
    main()
