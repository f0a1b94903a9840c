# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from dual_batch import SmallConfidence, random_batch, random_outputs  # noqa: E402

from monother_ros.core.errors import DatasetError, SettingsError  # noqa: E402
from monother_ros.learning import losses  # noqa: E402
from monother_ros.learning.consistency import DEFAULT, REFERENCE  # noqa: E402
from monother_ros.learning.objective import (  # noqa: E402
    MS2_SUPERVISED,
    VIVID_LABEL_FREE,
    LossWeights,
    PairBatch,
    objective,
)


def learnt(outputs, network):
    """Which tensors got a gradient that is not zero."""
    names = set()
    for branch, values in outputs._asdict().items():
        for name, tensor in values._asdict().items():
            if tensor.grad is not None and tensor.grad.abs().max() > 0:
                names.add(f'{branch}.{name}')
    if network.layer.weight.grad is not None and network.layer.weight.grad.abs().max() > 0:
        names.add('confidence')
    return names


@pytest.mark.parametrize('settings', [REFERENCE, DEFAULT])
@pytest.mark.parametrize(
    ('loss', 'reaches'),
    [
        ('silog_thermal', {'thermal.depth'}),
        ('silog_rgb', {'rgb.depth'}),
        ('smooth_depth', {'rgb.depth'}),
        ('consistency', {'thermal.depth'}),
        ('smooth_confidence', {'confidence'}),
    ],
)
def test_each_loss_reaches_one_part_only(loss, reaches, settings):
    outputs, network = random_outputs(), SmallConfidence()
    weights = LossWeights(**{loss: 2.0})
    got = objective(outputs, random_batch(), network, weights, settings)
    assert set(got.parts) == {loss}
    assert got.total.item() == pytest.approx(2 * got.parts[loss].item())
    got.total.backward()
    assert learnt(outputs, network) == reaches


def test_nll_reaches_the_confidence_only_and_needs_training_on_labels():
    batch = random_batch()
    gradients = []
    for nll in (1.0, 0.0):
        outputs, network = random_outputs(), SmallConfidence()
        got = objective(
            outputs, batch, network, LossWeights(silog_thermal=1.0, nll=nll), REFERENCE
        )
        got.total.backward()
        gradients.append((outputs.thermal.depth.grad, learnt(outputs, network), set(got.parts)))
    assert gradients[0][1:] == ({'thermal.depth', 'confidence'}, {'silog_thermal', 'nll'})
    assert gradients[1][1:] == ({'thermal.depth'}, {'silog_thermal'})
    assert torch.equal(gradients[0][0], gradients[1][0])
    label_free = objective(random_outputs(), batch, SmallConfidence(), VIVID_LABEL_FREE)
    assert set(label_free.parts) == {'smooth_depth', 'consistency'}


def test_parts_of_the_supervised_recipe_by_hand():
    outputs, batch, network = random_outputs(), random_batch(), SmallConfidence()
    got = objective(outputs, batch, network, MS2_SUPERVISED, REFERENCE)
    large = losses.resize(outputs.rgb.depth, (50, 70))
    guide = losses.resize(batch.rgb, (50, 70))
    assert got.parts['smooth_depth'].item() == pytest.approx(
        losses.smoothness(large, guide).item()
    )
    block = got.consistency
    assert got.parts['consistency'].item() == pytest.approx(
        (block.confidence * block.difference)[block.mask].mean().item()
    )
    assert got.parts['smooth_confidence'].item() == pytest.approx(
        losses.smoothness(block.confidence, outputs.rgb.relative).item()
    )
    want = sum(v.item() * MS2_SUPERVISED.as_dict()[k] for k, v in got.parts.items())
    assert got.total.item() == pytest.approx(want)
    assert len(got.parts) == 6
    without = replace(MS2_SUPERVISED, silog_rgb=0.0)
    image_sized = objective(outputs, batch, network, without, REFERENCE).parts['smooth_depth']
    assert image_sized.item() == pytest.approx(
        losses.smoothness(losses.resize(outputs.rgb.depth, (40, 60)), batch.rgb).item()
    )


def test_trimming_of_sparse_labels():
    """Published: a no-op, for pixels without label have the larger errors. Default: it trims."""
    outputs, batch = random_outputs(), random_batch(labelled=0.05)
    truth = losses.resize(outputs.thermal.depth.detach(), (40, 60)) * 1.1
    labelled = batch.thermal_depth > 0
    truth = truth * torch.where(torch.arange(60) % 10 == 0, 0.3, 1.0)  # a tenth is far off
    batch = batch._replace(thermal_depth=truth * labelled)
    weights = LossWeights(silog_thermal=1.0)
    untrimmed = losses.silog(
        losses.resize(outputs.thermal.depth, (40, 60)), truth, labelled, guard=False
    ).item()

    def loss(settings):
        return objective(outputs, batch, SmallConfidence(), weights, settings).total.item()

    assert loss(REFERENCE) == pytest.approx(untrimmed)
    perfect = 10 * np.sqrt(0.15) * np.log(1.1)
    assert loss(DEFAULT) == pytest.approx(perfect, rel=1e-3)
    assert untrimmed > 5 * perfect
    # the published grid of every tenth pixel hits too few of sparse labels
    assert loss(replace(DEFAULT, trim_stride=10)) > 2 * perfect


@pytest.mark.parametrize(('settings', 'finite'), [(REFERENCE, False), (DEFAULT, True)])
def test_a_batch_without_any_label(settings, finite):
    outputs, network = random_outputs(), SmallConfidence()
    batch = random_batch(labelled=0.0)
    weights = replace(MS2_SUPERVISED, smooth_depth=0.0, consistency=0.0, smooth_confidence=0.0)
    got = objective(outputs, batch, network, weights, settings)
    assert bool(got.total.isfinite()) is finite
    if finite:
        assert got.total.item() == 0
        got.total.backward()
        assert torch.equal(outputs.rgb.depth.grad, torch.zeros_like(outputs.rgb.depth))
        assert torch.equal(network.layer.weight.grad, torch.zeros_like(network.layer.weight))


def test_labels_that_differ_in_height_only():
    outputs = random_outputs()
    batch = random_batch()
    batch = batch._replace(thermal_depth=batch.thermal_depth[..., :56])
    weights = LossWeights(silog_thermal=1.0)
    with pytest.raises(RuntimeError, match='must match'):
        objective(outputs, batch, SmallConfidence(), weights, REFERENCE)
    assert objective(outputs, batch, SmallConfidence(), weights, DEFAULT).total.isfinite()


def test_a_confidence_of_exactly_zero():
    outputs, batch, network = random_outputs(), random_batch(), SmallConfidence()
    with torch.no_grad():
        network.layer.bias.fill_(-200.0)  # sigmoid underflows
    weights = LossWeights(silog_rgb=1.0, nll=1.0)
    assert objective(outputs, batch, network, weights, REFERENCE).total.isinf()
    got = objective(outputs, batch, network, weights, DEFAULT)
    got.total.backward()
    assert got.total.isfinite()
    assert network.layer.weight.grad.isfinite().all()


def test_missing_labels_and_weights_are_named():
    outputs, batch = random_outputs(), random_batch()._replace(thermal_depth=None, rgb_depth=None)
    network = SmallConfidence()
    objective(outputs, batch, network, VIVID_LABEL_FREE)
    with pytest.raises(SettingsError, match='silog_thermal needs thermal depth labels'):
        objective(outputs, batch, network, MS2_SUPERVISED)
    with pytest.raises(SettingsError, match='silog_rgb needs RGB depth labels'):
        objective(outputs, batch, network, LossWeights(silog_rgb=1.0))
    with pytest.raises(SettingsError, match='no loss counts'):
        objective(outputs, batch, network, LossWeights())


def test_weights_by_published_and_by_our_names():
    published = {
        'w_si': 1.0,
        'w_si_thermal': 1,
        'w_depth_smooth': 0.01,
        'w_rgbt_nll': 0.1,
        'w_rgbt_nll_l1': 0.2,
        'w_rgbt_nll_l1_smooth': 0.0001,
    }
    assert LossWeights.from_mapping(published) == MS2_SUPERVISED
    assert LossWeights.from_mapping(MS2_SUPERVISED.as_dict()) == MS2_SUPERVISED
    with pytest.raises(SettingsError, match='w_domain'):
        LossWeights.from_mapping({'w_domain': 1.0})
    for value in (-1.0, float('nan'), 'much', True):
        with pytest.raises(SettingsError, match='nll'):
            LossWeights.from_mapping({'nll': value})


def sample(name, labels):
    rng = np.random.default_rng(len(name))
    return SimpleNamespace(
        name=name,
        thermal=rng.random((1, 4, 6), np.float32),
        rgb=rng.random((3, 4, 6), np.float32),
        thermal_depth=np.full((1, 4, 6), 2, np.float32) if labels else None,
        rgb_depth=None,
        thermal_intrinsics=np.eye(3, dtype=np.float32),
        rgb_intrinsics=np.eye(3, dtype=np.float32),
        extrinsics=np.eye(4, dtype=np.float32),
    )


def test_stacking_samples():
    batch = PairBatch.stack([sample('a', True), sample('bb', False)])
    assert batch.thermal.shape == (2, 1, 4, 6)
    assert batch.thermal_depth[0].eq(2).all()
    assert batch.thermal_depth[1].eq(0).all()
    assert batch.rgb_depth is None
    moved = batch.to('cpu')
    assert moved.rgb_depth is None
    assert torch.equal(moved.rgb, batch.rgb)
    other = sample('large', True)
    other.thermal_depth = np.ones((1, 8, 6), np.float32)
    with pytest.raises(DatasetError, match='thermal_depth of one batch differs'):
        PairBatch.stack([sample('a', True), other])
