# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the sparse depth adapter: batches, what learns, resuming, moving the end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.learning.augment import PLAIN  # noqa: E402
from monother_ros.learning.sparse_patterns import Patterns  # noqa: E402
from monother_ros.learning.tasks.adapter import AdapterTask  # noqa: E402
from monother_ros.learning.tasks.adapter_batches import (  # noqa: E402
    AdapterBatches,
    AdapterSettings,
)
from monother_ros.learning.trainer import RunSettings, Trainer  # noqa: E402
from monother_ros.networks.lite import LiteNetwork  # noqa: E402

SETTINGS = AdapterSettings(
    steps=6, fall_steps=2, full_steps=1, batch=2, full_batch=1, draws=2, width=128, height=64,
    warmup=1, decoder=16,
)  # fmt: skip
pytestmark = pytest.mark.usefixtures('one_thread')
QUIET = RunSettings(device='cpu', tensorboard=False, log_every=1)


def _task(frames, settings=SETTINGS, **how):
    torch.manual_seed(1)
    return AdapterTask(frames, settings, LiteNetwork().eval(), augment=PLAIN, **how)


def test_batches_are_the_same_however_they_are_divided(frames):
    batches = AdapterBatches(frames, SETTINGS, PLAIN, 120.0)
    whole = batches.batch(2)
    parts = [batches.batch(2, rank, 2) for rank in range(2)]
    for name in ('image', 'sparse', 'target'):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name)), name
    top, left, rows, columns = (int(v) for v in whole.window)
    assert whole.image.shape == (2, 1, 64, 128)
    assert whole.sparse.shape == whole.target.shape == (4, 1, rows, columns) == (4, 1, 32, 64)
    assert top % 32 == left % 32 == 0
    assert batches.batch(5).sparse.shape == (2, 1, 64, 128), 'the last step sees all of it'


def test_measured_and_wanted_depth_agree_even_where_distances_are_changed(frames):
    quiet = Patterns(none=0, rings=0, points=1, perlin=0, coarse=0, dense=0, noise=0.0,
                     outliers=0.0, misplaced=0.0, cluttered=0.0)  # fmt: skip
    batches = AdapterBatches(frames, replace(SETTINGS, patterns=quiet, changed=1.0), PLAIN, 120.0)
    plain = AdapterBatches(frames, replace(SETTINGS, patterns=quiet, changed=0.0), PLAIN, 120.0)
    differ = 0
    for step in range(5):
        batch = batches.batch(step)
        there = batch.sparse > 0
        apart = torch.log(batch.sparse[there]) - batch.target[there]
        assert apart.abs().max() < 1e-3
        differ += not torch.equal(batch.target, plain.batch(step).target)
    assert differ == 5


def test_only_the_branch_is_trained_saved_and_resumed(frames, tmp_path):
    whole = Trainer(tmp_path / 'whole', _task(frames), QUIET)
    frozen = {k: v.clone() for k, v in whole.network.thermal.state_dict().items()}
    fresh = {k: v.clone() for k, v in whole.network.branch.state_dict().items()}
    whole.train(progress=False)
    after = whole.network.thermal.state_dict()
    assert all(torch.equal(frozen[k], after[k]) for k in frozen)
    learned = whole.network.branch.state_dict()
    assert any(not torch.equal(fresh[k], learned[k]) for k in fresh)
    assert not any(k.startswith('thermal.') for k in whole.task.state(whole.network))

    Trainer(tmp_path / 'parts', _task(frames), QUIET).train(3, progress=False)
    again = Trainer(tmp_path / 'parts', _task(frames), QUIET)
    assert again.step == 3
    again.train(progress=False)
    theirs = again.network.branch.state_dict()
    assert all(torch.equal(learned[k], theirs[k]) for k in learned)


def test_the_end_may_be_moved_before_it_has_begun_and_not_after(frames, tmp_path):
    longer = replace(SETTINGS, steps=9)
    Trainer(tmp_path, _task(frames, longer), QUIET).train(3, progress=False)
    assert Trainer(tmp_path, _task(frames), QUIET).step == 3
    Trainer(tmp_path, _task(frames), QUIET).train(5, progress=False)
    with pytest.raises(SettingsError, match='settings'):
        Trainer(tmp_path, _task(frames, longer), QUIET)
    with pytest.raises(SettingsError, match='settings'):
        Trainer(tmp_path, _task(frames, replace(SETTINGS, maximum=50.0)), QUIET)


def test_figures_tell_each_number_of_points_and_none_is_the_frozen_network(frames):
    task = _task(frames, validation=frames)
    figures = task.measure(task.network.eval(), 0, 0, len(frames))[0]
    assert set(task.figures) == set(figures)
    # untrained, yet points show where the network stands
    assert figures['abs_rel_5000'] < 0.5 * figures['abs_rel_0']
    assert figures['abs_rel'] == pytest.approx(
        np.mean([figures[f'abs_rel_{n}'] for n in (0, 50, 500, 5000)])
    )
