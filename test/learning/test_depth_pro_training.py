# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Pro's losses as options of both trainers: what they add, and that runs go on with them."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('safetensors', reason='safetensors is not installed')

from tiny_pairs import TinyPairs, tiny_task  # noqa: E402

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.learning import depth_pro_losses as losses  # noqa: E402
from monother_ros.learning import trainer as trainer_module  # noqa: E402
from monother_ros.learning.depth_pro_losses import DepthProWeights  # noqa: E402
from monother_ros.learning.recipe import build  # noqa: E402
from monother_ros.learning.tasks.lite import LiteStep, LiteTask  # noqa: E402
from monother_ros.learning.tasks.lite_batches import LiteBatch, LiteSettings  # noqa: E402
from monother_ros.learning.trainer import RunSettings, Trainer  # noqa: E402
from monother_ros.networks.lite import LiteConfig, LiteNetwork  # noqa: E402

ALL = DepthProWeights(1.0, 0.5, 2.0, 0.3, 4.0, 0.7, 0.2)
STAGE_ONE = DepthProWeights(mae=1.0, ssi_mage=1.0)
QUIET = RunSettings(tensorboard=False, log_every=1, threads=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One thread and no curves, which take longer than tiny steps do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(trainer_module, 'write_curves', lambda *_args: None)
    yield
    torch.set_num_threads(before)


@pytest.fixture(name='lite')
def _lite():
    """A small lite network in evaluation mode and a batch."""
    torch.manual_seed(0)
    network = LiteNetwork(LiteConfig(bins=16, width=16)).eval()
    target = math.log(5.0) + torch.rand(2, 1, 32, 64)
    target[:, :, :8] = math.log(network.config.far)
    return network, LiteBatch(torch.randn(2, 1, 32, 64), target)


def _gradient(network, loss):
    network.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_lite_adds_the_losses_of_canonical_inverse_depth(lite):
    network, batch = lite
    plain = LiteStep(network, LiteSettings())(batch)
    more = LiteStep(network, LiteSettings(depth_pro=ALL))(batch)
    prediction, _ = network.log_depth(batch.image)
    # 260 px at 320 px width: the focal length that depth is told for
    said, label = (260 / (320 * torch.exp(t)) for t in (prediction, batch.target))
    expected = {
        'mae': (said - label).abs().mean(),
        'mse': ((said - label) ** 2).mean(),
        'mage': losses.mage(said, label),
        'male': losses.male(said, label),
        'msge': losses.msge(said, label),
        'ssi_mae': losses.ssi_mae(said, label),
        'ssi_mage': losses.ssi_mage(said, label),
    }
    weights = ALL.weights()
    assert weights.keys() == expected.keys()
    total = plain['total'] + sum(weights[k] * v for k, v in expected.items())
    assert more['total'].item() == pytest.approx(total.item(), rel=1e-5)
    for name, value in expected.items():
        assert more[f'depth_pro_{name}'].item() == pytest.approx(value.item(), rel=1e-5), name
    assert set(plain) == {'total', 'bins', 'depth', 'edges'}
    assert set(more) - set(plain) == set(ALL.names())


@pytest.mark.parametrize('name', list(ALL.weights()))
def test_each_of_them_reaches_the_weights_of_the_lite_network(lite, name):
    network, batch = lite
    before = _gradient(network, LiteStep(network, LiteSettings())(batch)['total'])
    settings = LiteSettings(depth_pro=DepthProWeights(**{name: 1.0}))
    after = _gradient(network, LiteStep(network, settings)(batch)['total'])
    assert torch.isfinite(after).all()
    assert (after - before).norm() > 1e-7 * before.norm()


def test_a_lite_run_logs_them_and_older_checkpoints_go_on(small_dataset, tmp_path):
    from monother_ros.learning.rendered import Frames

    frames = Frames(small_dataset)
    tiny = LiteSettings(
        steps=4, full_steps=2, batch=4, full_batch=3, width=128, height=64, warmup=2
    )
    task = LiteTask(frames, replace(tiny, depth_pro=STAGE_ONE), LiteConfig(bins=16, width=16))
    assert task.losses[-2:] == ('depth_pro_mae', 'depth_pro_ssi_mage')
    trainer = Trainer(tmp_path / 'run', task, QUIET)
    trainer.train(2, progress=False)
    assert (tmp_path / 'run' / 'latest').is_dir()
    # a run without them cannot go on from there, one that never heard of them can go on
    other = LiteTask(frames, tiny, LiteConfig(bins=16, width=16))
    with pytest.raises(SettingsError, match='other settings'):
        Trainer(tmp_path / 'run', other, QUIET)
    old = dict(other.identity())
    old['settings'] = {k: v for k, v in old['settings'].items() if k != 'depth_pro'}
    assert other.reconcile(old, 3) == other.identity()


def _dual_losses(task):
    batch = task.batches.batch(0)
    torch.manual_seed(0)
    task.module.eval()
    return task.module(batch), batch


def test_dual_adds_them_for_thermal_labels():
    plain, _ = _dual_losses(tiny_task())
    task = tiny_task(depth_pro=replace(STAGE_ONE, trim=0.2))
    more, batch = _dual_losses(task)
    depth = task.network(batch.thermal, batch.rgb, None).thermal.depth
    focal, width = 60.0, batch.thermal.shape[-1]
    valid = batch.thermal_depth > 0
    label = focal / (width * torch.where(valid, batch.thermal_depth, 1.0))
    said = focal / (width * depth)
    mae = losses.mean_error(said, label, valid, trim=0.2)
    assert more['depth_pro_mae'].item() == pytest.approx(mae.item(), rel=1e-4)
    whole = plain['total'] + more['depth_pro_mae'] + more['depth_pro_ssi_mage']
    assert more['total'].item() == pytest.approx(whole.item(), rel=1e-4)
    assert task.losses[-2:] == ('depth_pro_mae', 'depth_pro_ssi_mage')


def test_a_dual_run_with_them_changes_the_weights(tmp_path):
    states = []
    for name, weights in (('plain', DepthProWeights()), ('pro', replace(ALL, mae=50.0))):
        task = tiny_task(TinyPairs(4), depth_pro=weights)
        trainer = Trainer(tmp_path / name, task, QUIET)
        trainer.train(2, progress=False)
        assert trainer.skipped == 0
        states.append(task.network.state_dict())
    moved = [(a - b).abs().max() for a, b in zip(*(s.values() for s in states), strict=True)]
    assert max(float(m) for m in moved) > 1e-5


def test_older_dual_checkpoints_go_on():
    task = tiny_task()
    identity = dict(task.identity())
    settings = dict(identity['settings'])
    settings.pop('depth_pro')
    assert task.reconcile({**identity, 'settings': settings}, 1) == identity


def test_dual_without_labels_is_told():
    task = tiny_task(
        TinyPairs(labels=False),
        depth_pro=STAGE_ONE,
        losses=replace(tiny_task().settings.losses, silog_rgb=0.0, silog_thermal=0.0, nll=0.0),
    )
    with pytest.raises(SettingsError, match='depth_pro needs thermal depth labels'):
        _dual_losses(task)


@pytest.mark.parametrize(
    ('values', 'words'),
    [({'mae': -1.0}, 'depth_pro.mae'), ({'trim': 1.0}, 'depth_pro.trim'),
     ({'mag': 1.0}, 'depth_pro.mag'), ({'male': float('nan')}, 'depth_pro.male')],
)  # fmt: skip
def test_what_is_no_weight_is_refused(values, words):
    with pytest.raises(SettingsError, match=words):
        build(LiteSettings, {'depth_pro': values})


def test_recipes_can_set_them():
    settings = build(LiteSettings, {'depth_pro': {'mae': 1, 'ssi_mage': 0.5}})
    assert settings.depth_pro == DepthProWeights(mae=1.0, ssi_mage=0.5)
    assert asdict(settings)['depth_pro']['mae'] == 1.0
