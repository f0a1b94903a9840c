# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses over two processes with half a batch each, against one process with the whole batch."""

from __future__ import annotations

import functools

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
if not torch.distributed.is_available():
    pytest.skip('this torch has no distributed package', allow_module_level=True)

import torch.distributed.nn.functional as distributed  # noqa: E402
from dual_batch import (  # noqa: E402
    SmallConfidence,
    part_of_batch,
    part_of_outputs,
    random_batch,
    random_outputs,
)
from torch import multiprocessing  # noqa: E402

from monother_ros.learning.consistency import DEFAULT, REFERENCE  # noqa: E402
from monother_ros.learning.objective import MS2_SUPERVISED, objective  # noqa: E402

SETTINGS = {'default': DEFAULT, 'reference': REFERENCE}


def uneven_batch():
    """The first half has many labels, the second few: means of means would be wrong."""
    batch = random_batch()
    for labels in (batch.thermal_depth, batch.rgb_depth):
        labels[2:, :, 8:] = 0
    return batch


def step(outputs, batch, settings, total):
    network = SmallConfidence()
    got = objective(outputs, batch, network, MS2_SUPERVISED, settings, total)
    got.total.backward()
    return {
        'total': got.total.detach(),
        **got.parts,
        'thermal': outputs.thermal.depth.grad,
        'rgb': outputs.rgb.depth.grad,
        'network': network.layer.weight.grad,
    }


def half(rank, folder):
    """What one of two processes does."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2
    )
    part = slice(2 * rank, 2 * rank + 2)
    total = functools.partial(distributed.all_reduce, op=torch.distributed.ReduceOp.SUM)
    results = {
        name: step(
            part_of_outputs(random_outputs(), part),
            part_of_batch(uneven_batch(), part),
            settings,
            total,
        )
        for name, settings in SETTINGS.items()
    }
    torch.save(results, f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_losses_and_gradients_of_one(tmp_path):
    multiprocessing.spawn(half, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    for name, settings in SETTINGS.items():
        whole = step(random_outputs(), uneven_batch(), settings, lambda x: x)
        one, two = (rank[name] for rank in ranks)
        for part in ('total', *MS2_SUPERVISED.as_dict()):
            torch.testing.assert_close(one[part], two[part], rtol=0, atol=0)
            torch.testing.assert_close(one[part], whole[part], rtol=1e-6, atol=0)
        # every process differentiates the sum of both equal losses: averaging, as data-parallel
        # training does with parameters, gives the gradient of the whole batch
        torch.testing.assert_close(
            (one['network'] + two['network']) / 2, whole['network'], rtol=1e-4, atol=1e-7
        )
        for depth in ('thermal', 'rgb'):
            got = torch.cat([one[depth], two[depth]]) / 2
            assert whole[depth].abs().max() > 1e-5
            torch.testing.assert_close(got, whole[depth], rtol=1e-4, atol=1e-8)
