# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from monother_ros.learning import losses  # noqa: E402


@pytest.fixture
def golden(shared):
    stored = np.load(shared('golden/monother/losses.npz'))
    return {
        key: torch.from_numpy(stored[key])
        for key in stored.files
        if key.startswith(('silog', 'nll', 'top20', 'smooth'))
    }


def assert_close_relative(got, want):
    torch.testing.assert_close(got, want.reshape(got.shape), rtol=1e-5, atol=0)


def assert_gradient_close(got, want):
    assert (got - want).abs().max() <= 1e-5 * want.abs().max()


def kept(truth, mask, error, trim):
    keep = torch.ones_like(truth, dtype=torch.bool) if mask is None else mask
    return keep & losses.keep_smallest(error.abs(), 0.2) if trim else keep


@pytest.mark.parametrize('drop', [0.2, 0.8])
def test_keep_smallest_golden(golden, drop):
    got = losses.keep_smallest(golden['top20/input'], drop)
    assert torch.equal(got, golden[f'top20/keep_mask_frac{drop}'])


@pytest.mark.parametrize(
    ('case', 'name'),
    [
        ('silog', 'mask'),
        ('silog', 'mask_top20'),
        ('silog', 'top20_nomask'),
        ('silog_dense', 'mask'),
        ('silog_dense', 'mask_top20'),
    ],
)
def test_silog_golden(golden, case, name):
    prediction = golden['silog/pred'].clone().requires_grad_()
    large = losses.resize(prediction, (84, 130))
    torch.testing.assert_close(large, golden['silog/pred_upsampled'], rtol=1e-6, atol=1e-6)
    free = 'nomask' in name
    truth = golden[f'{case}/gt_dense' if free else f'{case}/gt']
    mask = None if free else golden[f'{case}/mask']
    if mask is not None:
        assert torch.equal(losses.valid_depth(truth, 1e-3, 80.0), mask)
    keep = kept(truth, mask, truth - large, 'top20' in name)
    for guard in (False, True):
        loss = losses.silog(large, truth, keep, guard=guard)
        assert_close_relative(loss.detach(), golden[f'{case}/loss_{name}'])
    loss.backward()
    assert_gradient_close(prediction.grad, golden[f'{case}/grad_pred_{name}'])


@pytest.mark.parametrize(
    ('case', 'name'),
    [
        ('nll', 'mask_ignorebig'),
        ('nll', 'mask_only'),
        ('nll', 'nomask'),
        ('nll', 'nomask_ignorebig'),
        ('nll_dense', 'mask_ignorebig'),
        ('nll_dense', 'mask_only'),
    ],
)
def test_laplace_nll_golden(golden, case, name):
    confidence = golden['nll/conf'].clone().requires_grad_()
    large = losses.resize(confidence, (84, 130))
    labels = case.replace('nll', 'silog')
    free = 'nomask' in name
    truth = golden['silog/gt_dense' if free else f'{labels}/gt']
    error = truth - golden['silog/pred_upsampled']
    keep = kept(truth, None if free else golden[f'{labels}/mask'], error, 'ignorebig' in name)
    loss = losses.laplace_nll(large, error, keep, floor=0.0, guard=False)
    assert_close_relative(loss.detach(), golden[f'{case}/loss_{name}'])
    loss.backward()
    assert_gradient_close(confidence.grad, golden[f'{case}/grad_conf_{name}'])


@pytest.mark.parametrize('name', ['top20', 'plain', 'inverse_top20'])
def test_smoothness_golden(golden, name):
    depth = golden['silog/pred'].clone().requires_grad_()
    guide = losses.resize(golden['smooth/image'], (70, 98))
    values = 1 / depth if 'inverse' in name else depth
    loss = losses.smoothness(values, guide, drop=0.2 if 'top20' in name else 0.0)
    assert_close_relative(loss.detach(), golden[f'smooth/loss_{name}'])
    loss.backward()
    assert_gradient_close(depth.grad, golden[f'smooth/grad_depth_{name}'])


def test_smoothness_of_a_confidence_golden(golden):
    loss = losses.smoothness(golden['nll/conf'], golden['smooth/guide_1ch'])
    assert_close_relative(loss, golden['smooth/loss_conf_guided_by_1ch'])


def test_keep_smallest_among_valid_values():
    """Threshold and result know only valid values; nothing valid keeps nothing."""
    values = torch.arange(100.0).reshape(1, 1, 10, 10).repeat(2, 1, 1, 1)
    valid = torch.zeros_like(values, dtype=torch.bool)
    valid[0, 0, 5:] = True  # 50 to 99
    keep = losses.keep_smallest(values, 0.2, stride=1, valid=valid)
    assert values[keep].tolist() == [*range(50, 91)]
    assert not keep[1].any()
    everywhere = losses.keep_smallest(values, 0.2, stride=1)
    assert values[0][everywhere[0]].tolist() == [*range(81)]
    values[0, 0, 7, 7] = torch.nan
    assert not losses.keep_smallest(values, 0.2, stride=1, valid=valid)[0, 0, 7, 7]


def test_nothing_kept_is_nan_as_published_and_zero_when_guarded():
    prediction = torch.full((1, 1, 4, 5), 3.0, requires_grad=True)
    truth = torch.zeros(1, 1, 4, 5)
    none = truth > 0
    assert losses.silog(prediction, truth, none, guard=False).isnan()
    assert losses.laplace_nll(prediction, truth, none, floor=0.0, guard=False).isnan()
    whole = losses.silog(prediction, truth, none, guard=True) + losses.laplace_nll(
        prediction / 10, truth, none, floor=1e-8, guard=True
    )
    assert whole.item() == 0
    whole.backward()
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


@pytest.mark.parametrize('count', [1, 20])
def test_perfect_prediction_has_loss_and_gradient_zero_when_guarded(count):
    truth = torch.full((1, 1, 4, 5), 3.0)
    keep = (torch.arange(20) < count).reshape(1, 1, 4, 5)
    for guard, finite in ((True, True), (False, False)):
        prediction = truth.clone().requires_grad_()
        loss = losses.silog(prediction, truth, keep, guard=guard)
        loss.backward()
        assert bool(prediction.grad.isfinite().all()) is finite
        if guard:
            assert loss.item() == 0


def test_labels_that_are_no_numbers_do_not_reach_the_gradient():
    prediction = torch.full((1, 1, 4, 5), 3.0, requires_grad=True)
    truth = torch.full((1, 1, 4, 5), 3.5)
    truth[..., 0], truth[..., 1] = torch.inf, torch.nan
    truth[..., 2] += 0.3
    keep = losses.valid_depth(truth, 1e-3, 80.0)
    assert keep.sum() == 12
    loss = losses.silog(prediction, truth, keep, guard=True) + losses.laplace_nll(
        prediction / 10, truth - prediction, keep, floor=1e-8, guard=True
    )
    loss.backward()
    assert loss.isfinite()
    assert prediction.grad.isfinite().all()
    assert (prediction.grad[..., :2] == 0).all()


def test_confidence_of_zero_needs_the_floor():
    error = torch.ones(1, 1, 2, 2)
    keep = error > 0
    confidence = torch.zeros(1, 1, 2, 2, requires_grad=True)
    assert losses.laplace_nll(confidence, error, keep, floor=0.0, guard=True).isinf()
    loss = losses.laplace_nll(confidence, error, keep, floor=1e-8, guard=True)
    loss.backward()
    assert loss.item() == pytest.approx(-0.002 * np.log(1e-8))
    assert confidence.grad.isfinite().all()
    assert (confidence.grad < 0).all()  # pushed up, not left there


def test_nll_is_least_where_the_confidence_fits_the_error():
    error = torch.tensor([0.01, 0.1, 1.0]).reshape(1, 1, 1, 3)
    keep = error > 0
    best = 0.002 / error

    def loss(confidence):
        return losses.laplace_nll(confidence, error, keep, floor=0.0, guard=False).item()

    assert loss(best) < min(loss(best * 1.1), loss(best / 1.1))


def test_resize_looks_at_both_sides_unless_by_width():
    values = torch.rand(1, 1, 6, 8, generator=torch.manual_seed(0))
    assert losses.resize(values, (9, 8)).shape[-2:] == (9, 8)
    assert losses.resize(values, (9, 8), by_width=True) is values
    assert losses.resize(values, (6, 8)) is values


def test_smoothness_forgives_edges_of_the_guide():
    depth = torch.ones(1, 1, 20, 20)
    depth[..., 10:] = 5.0
    guide = torch.zeros(1, 3, 20, 20)
    flat = losses.smoothness(depth, guide, drop=0.0).item()
    assert flat == pytest.approx(4 / 19)
    guide[..., 10:] = 1.0
    assert losses.smoothness(depth, guide, drop=0.0).item() == pytest.approx(flat * np.exp(-1))
