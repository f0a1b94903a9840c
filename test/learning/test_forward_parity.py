# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Branches and consistency block against numbers of the public implementation."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from parity_bench import check, load  # noqa: E402

EVERY_CASE = (
    *('thermal depth [m]', 'rgb depth [m]', 'thermal relative depth', 'rgb relative depth'),
    *('mask, pixels', 'L_con, relative', 'confidence', 'confidence input'),
    *('thermal K scaled', 'rgb K scaled'),
)


@pytest.fixture
def folder(shared):
    return shared('golden/monother')


def test_forward_of_the_small_network(folder):
    rows = check(
        load().forward_rows(folder, 'vits'),
        (*EVERY_CASE, 'mask, training', 'L_con, training', 'confidence, training'),
    )
    assert {row.part.split('/')[-1] for row in rows} == {'caseA', 'caseB', 'caseC'}
    depths = [row for row in rows if row.quantity.endswith('depth [m]')]
    assert max(row.mean for row in depths) < 6e-5


def test_forward_of_the_wide_network(folder):
    check(load().forward_rows(folder, 'vits_wide'), EVERY_CASE)


def test_given_arrays(folder):
    module = load()
    rows = check(module.loss_rows(folder), ('mask_top20', 'nomask_ignorebig', 'forward 3x4'))
    assert sum('gradient' in row.quantity for row in rows) == 15
    rows = check(module.block_rows(folder), ('train_mask', 'train_grad_depth_thermal', 'abs_diff'))
    assert len(rows) == 23
    check(module.schedule_rows(folder), ('low learning rate', 'beta1'))
    check(module.metric_rows(folder), ('nocrop', 'garg'))


def test_data_sets(folder):
    rows = check(load().data_rows(folder), ('network sizes', 'border, sparse', 'rgb_mask'))
    assert {row.part.split('/', 1)[1] for row in rows} > {'ms2/val', 'ms2/train', 'vivid/test'}


def test_a_difference_is_told(folder, monkeypatch):
    """Without one of the published quirks the same rows miss their limits."""
    module = load()
    monkeypatch.setattr(
        module, 'REFERENCE', replace(module.REFERENCE, corner_aligned_intrinsics=True)
    )
    missed = {row.quantity for row in module.block_rows(folder) if not row.ok}
    assert {'loss, relative', 'train_loss, relative'} <= missed
    assert any(quantity.startswith('mask') for quantity in missed)
    assert not module.Row('part', 'nothing', float('nan'), 0.0, 1.0).ok
    assert 'MISSED' in module.table([module.Row('part', 'much', 2.0, 0.0, 1.0)])
