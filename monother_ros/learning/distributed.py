# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training over several processes, as torchrun starts them.

Losses and batch statistics are sums over all processes that carry gradients. Each process
differentiates its own copy of the global loss; the backward pass of :func:`total` adds up what
all copies ask for, so the mean of the gradients that DistributedDataParallel forms is exactly the
gradient of the global loss.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import inspect
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from monother_ros.core.errors import SettingsError


@dataclass(frozen=True)
class Group:
    """The processes of a run, seen from one of them."""

    device: torch.device
    """on which this process works"""
    rank: int = 0
    """number of this process, from 0"""
    world: int = 1
    """number of processes"""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def total(self, value: Tensor) -> Tensor:
        """Sum over all processes; see :func:`total`."""
        return value if self.world == 1 else total(value)

    def means(self, values: Sequence[float]) -> list[float]:
        """Means over all processes of some numbers, the same in every process."""
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        tensor = tensor.to(self.device) / self.world
        distributed.all_reduce(tensor)
        return [float(v) for v in tensor.cpu()]

    def gather(self, item: Any) -> list[Any]:
        """What every process has, in order of their numbers; the same in every process."""
        if self.world == 1:
            return [item]
        found: list[Any] = [None] * self.world
        distributed.all_gather_object(found, item)
        return found

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            self.gather(None)


class _Total(torch.autograd.Function):
    """Sum over processes whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        result = value.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        result = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(result)
        return result


def total(value: Tensor) -> Tensor:
    """
    Sum of a tensor over all processes of the default group, differentiable.

    :param value: any shape, the same in every process; every process must come here equally often.
    :returns: the same shape, the same bytes in every process.
    """
    return _Total.apply(value)  # type: ignore[no-any-return]


class SharedBatchNorm(nn.BatchNorm2d):
    """
    Batch norm whose statistics are those of all processes' samples, on any device.

    torch's own SyncBatchNorm does the same on GPUs only. Variance is the mean squared distance
    from the common mean (two passes).
    """

    def forward(self, input: Tensor) -> Tensor:
        """
        Normalise.

        :param input: (B, C, H, W).
        :returns: the same shape.
        """
        if not self.training:
            return super().forward(input)
        x = input if input.dtype.itemsize > 2 else input.float()
        count = torch.full((), x.numel() / x.shape[1], dtype=x.dtype, device=x.device)
        sums = total(torch.cat([x.sum((0, 2, 3)), count[None]]))
        n = sums[-1].detach()
        mean = sums[:-1] / n
        centred = x - mean[None, :, None, None]
        variance = total(centred.square().sum((0, 2, 3))) / n
        if self.track_running_stats:
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (n / (n - 1).clamp(min=1)), self.momentum)
        result = centred * torch.rsqrt(variance + self.eps)[None, :, None, None]
        if self.affine:
            result = result * self.weight[None, :, None, None] + self.bias[None, :, None, None]
        return result.to(input.dtype)


def share_batch_norms(module: nn.Module, group: Group) -> nn.Module:
    """
    Make every batch norm of a module see the samples of all processes.

    Parameters, buffers and their names stay; on a GPU torch's SyncBatchNorm is used.

    :param module: changed in place; in a group of one it is left as it is.
    :returns: the module.
    """
    if group.world == 1:
        return module
    if group.device.type == 'cuda':
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm(
                child.num_features,
                child.eps,
                child.momentum,
                child.affine,
                child.track_running_stats,
            )
            shared.__dict__.update(child.__dict__)
            setattr(module, name, shared)
        else:
            share_batch_norms(child, group)
    return module


def pick_device(wanted: str = 'auto', local_rank: int = 0) -> torch.device:
    """
    Device to train on.

    :param wanted: 'auto' (a GPU where there is one), 'cpu' or 'cuda'.
    :param local_rank: number of the process on this host; process i takes GPU i.
    :raises SettingsError: a GPU is wanted and there is none for this process.
    """
    if wanted == 'cpu' or (wanted == 'auto' and not torch.cuda.is_available()):
        return torch.device('cpu')
    if not torch.cuda.is_available() or local_rank >= torch.cuda.device_count():
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        msg = (
            f'process {local_rank} of this host has no GPU of its own ({count} found); start '
            'fewer processes per host or set run.device=cpu'
        )
        raise SettingsError(msg)
    return torch.device('cuda', local_rank)


@contextlib.contextmanager
def processes(wanted: str = 'auto', minutes: float = 30.0) -> Iterator[Group]:
    """
    The group of processes that torchrun started, or this process alone without torchrun.

    :param wanted: device, see :func:`pick_device`.
    :param minutes: how long a process waits for the others before it gives up.
    :yields: the group.
    :raises SettingsError: see :func:`pick_device`; or the others cannot be reached.
    """
    world = int(os.environ.get('WORLD_SIZE', '1'))
    local = int(os.environ.get('LOCAL_RANK', '0'))
    device = pick_device(wanted, local)
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    if world == 1 or 'RANK' not in os.environ:
        yield Group(device)
        return
    rank = int(os.environ['RANK'])
    try:
        distributed.init_process_group(
            'nccl' if device.type == 'cuda' else 'gloo',
            timeout=dt.timedelta(minutes=minutes),
        )
    except (RuntimeError, ValueError) as err:
        msg = f'process {rank} of {world} cannot reach the others: {err}'
        raise SettingsError(msg) from err
    try:
        yield Group(device, rank, world)
    finally:
        distributed.destroy_process_group()


def bucketed(module: nn.Module, group: Group, *, unused: bool = True) -> nn.Module:
    """
    Module whose gradients become means over all processes in the backward pass.

    :param module: whose forward pass gives the loss.
    :param unused: whether some parameters may go without a gradient.
    :returns: DistributedDataParallel around it; the module itself in a group of one.
    """
    if group.world == 1:
        return module
    # of a parameter of one row such as a class token; it costs nothing
    warnings.filterwarnings('ignore', 'Grad strides do not match bucket view strides')
    devices = [group.device] if group.device.type == 'cuda' else None
    wrapper = nn.parallel.DistributedDataParallel
    # statistics are the same in every process already; torch 2.13 has renamed the switch
    known = inspect.signature(wrapper.__init__).parameters
    switch = 'forward_sync_buffers' if 'forward_sync_buffers' in known else 'broadcast_buffers'
    options: dict[str, Any] = {switch: False}
    return wrapper(
        module,
        device_ids=devices,
        find_unused_parameters=unused,
        gradient_as_bucket_view=True,
        **options,
    )
