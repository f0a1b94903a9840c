# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One whole optimisation step of both recipes against the public implementation's."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from parity_bench import check, load  # noqa: E402

EVERY_RECIPE = (
    *('loss of w_depth_smooth', 'loss of w_rgbt_nll_l1', 'total loss', 'mask', 'confidence'),
    *('norm of the gradient', 'running_mean after the step', 'running_var after the step'),
)


@pytest.fixture
def folder(shared):
    return shared('golden/monother')


def test_supervised_step(folder):
    rows = check(
        load().step_rows(folder, 'ms2_supervised'),
        (
            *EVERY_RECIPE,
            *(f'loss of {name}' for name in ('w_si', 'w_si_thermal', 'w_rgbt_nll')),
            'loss of w_rgbt_nll_l1_smooth',
            'parameters without gradient (10)',
            'unchanged parameters (10)',
            'norms of 616 gradients',
            '25 stored gradients, 1 - cosine',
        ),
    )
    assert len(rows) == 19


def test_label_free_step(folder):
    rows = check(
        load().step_rows(folder, 'vivid_finetune'),
        (
            *EVERY_RECIPE,
            'parameters without gradient (364)',
            'unchanged parameters (364)',
            'norms of 280 gradients',
            '11 stored gradients, 1 - cosine',
        ),
    )
    assert len(rows) == 15


def test_every_parameter_is_in_its_published_group(folder):
    module = load()
    layouts = json.loads((folder / 'state_dict.json').read_text())['variants']
    for layout in layouts.values():
        entries = [e for e in layout['entries'] if e['kind'] == 'parameter']
        assert len(entries) > 600
        for entry in entries:
            assert module.dual_group(entry['name']) == entry['lr_group'], entry['name']
