# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Pro's losses against golden numbers, and what they do with missing labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from monother_ros.core.errors import SettingsError
from monother_ros.learning import depth_pro_losses as losses


def _image(array):
    return torch.from_numpy(np.asarray(array, np.float64))[None, None]


@pytest.fixture(name='golden')
def _golden(shared):
    folder = shared('golden/depth_pro')
    expected = json.loads((folder / 'losses_expected.json').read_text())
    return folder, expected


def test_pixel_losses(golden):
    folder, expected = golden
    images = np.load(folder / 'pixel_losses.npz')
    pred, target = _image(images['pred']), _image(images['target'])
    wanted = expected['pixel_losses']
    found = {
        'mae': losses.mean_error(pred, target),
        'mse': losses.mean_error(pred, target, power=2),
        'mae_trimmed20': losses.mean_error(pred, target, trim=losses.TRIM),
        'ssi_mae': losses.ssi_mae(pred, target),
        'ssi_mae_trimmed20': losses.ssi_mae(pred, target, trim=losses.TRIM),
        'ssi_mae_of_affine_copy': losses.ssi_mae(3.0 * target + 0.7, target),
    }
    for name, value in found.items():
        assert float(value) == pytest.approx(wanted[name], abs=1e-10), name


def test_derivative_losses_of_every_case(golden):
    folder, expected = golden
    images = np.load(folder / 'multiscale_derivative.npz')
    kinds = {'mage': ('scharr', 1), 'male': ('laplace', 1), 'msge': ('scharr', 2)}
    for case, wanted in expected['multiscale_derivative'].items():
        pred, target = _image(images[f'{case}__pred']), _image(images[f'{case}__target'])
        for name, (operator, power) in kinds.items():
            for norm in ('componentwise', 'euclidean'):
                found = losses.derivative_loss(
                    pred, target, operator=operator, power=power, norm=norm
                )
                where = f'{case} {name} {norm}'
                value = wanted[name][norm]
                assert float(found.loss) == pytest.approx(value, abs=1e-8), where
                np.testing.assert_allclose(
                    found.levels, wanted[name][f'{norm}_per_level'], atol=1e-8, err_msg=where
                )
    pred, target = _image(images['scene__pred']), _image(images['scene__target'])
    scene = expected['multiscale_derivative']['scene']
    for name in kinds:
        found = getattr(losses, name)(pred, target)
        assert float(found) == pytest.approx(scene[name]['componentwise'], abs=1e-8)


def test_pyramid_and_derivatives(golden):
    folder, _ = golden
    images = np.load(folder / 'multiscale_derivative.npz')
    level = _image(images['scene__target'])
    slopes = losses.derivatives(level, 'scharr')[0]
    np.testing.assert_allclose(slopes[0], images['scene__target_scharr_x'], atol=1e-10)
    laplace = losses.derivatives(level, 'laplace')[0, 0]
    np.testing.assert_allclose(laplace, images['scene__target_laplace'], atol=1e-10)
    for k in range(1, 6):
        level = losses.pyramid_down(level)
        np.testing.assert_allclose(level[0, 0], images[f'scene__target_level{k}'], atol=1e-10)


@pytest.fixture(name='pair')
def _pair():
    generator = torch.Generator().manual_seed(5)
    target = torch.rand((3, 1, 48, 64), generator=generator, dtype=torch.float64) + 0.1
    pred = target + 0.1 * torch.randn(target.shape, generator=generator, dtype=torch.float64)
    valid = torch.rand(target.shape, generator=generator) < 0.7
    valid[:, :, :, 40:] = True
    valid[2] = False
    return pred, target, valid


ALL = {
    'mae': losses.mean_error,
    'trimmed': lambda p, t, v: losses.mean_error(p, t, v, trim=0.2),
    'mse': lambda p, t, v: losses.mean_error(p, t, v, power=2),
    'ssi_mae': losses.ssi_mae,
    'mage': losses.mage,
    'male': losses.male,
    'msge': losses.msge,
    'ssi_mage': losses.ssi_mage,
    'euclidean': lambda p, t, v: losses.derivative_loss(p, t, v, norm='euclidean').loss,
}


@pytest.mark.parametrize('name', ALL)
def test_what_stands_where_no_label_is_does_not_matter(pair, name):
    pred, target, valid = pair
    loss = ALL[name]
    results = []
    for filler in (0.0, 1e6, float('nan'), float('inf')):
        begin = pred.clone().requires_grad_()
        value = loss(begin, torch.where(valid, target, filler), valid)
        (slope,) = torch.autograd.grad(value, begin)
        assert torch.isfinite(slope).all()
        assert float(slope.abs().sum()) > 0
        assert not slope[~valid].any(), 'a pixel without a label has a gradient'
        results.append(float(value.detach()))
    assert results[0] > 0
    assert results == [pytest.approx(results[0], rel=1e-12)] * 4


@pytest.mark.parametrize('name', ALL)
def test_without_one_label_the_loss_is_nothing_with_a_graph(pair, name):
    pred, target, valid = pair
    begin = pred.clone().requires_grad_()
    value = ALL[name](begin, target, torch.zeros_like(valid))
    assert float(value) == 0.0
    (slope,) = torch.autograd.grad(value, begin)
    assert not slope.any()


def test_masked_means_are_those_of_the_kept_pixels(pair):
    pred, target, valid = pair
    expected = [float((pred - target)[k][valid[k]].abs().mean()) for k in range(2)] + [0.0]
    assert float(losses.mean_error(pred, target, valid)) == pytest.approx(np.mean(expected))
    trimmed = []
    for k in range(2):
        ordered = np.sort((pred - target)[k][valid[k]].abs().numpy())
        trimmed.append(ordered[: len(ordered) - int(0.2 * len(ordered))].mean())
    found = losses.mean_error(pred, target, valid, trim=0.2)
    assert float(found) == pytest.approx(np.mean([*trimmed, 0.0]))
    x = target[0][valid[0]].numpy()
    ssi = losses.normalised(target, valid)[0][valid[0]]
    centred = x - np.median(x)
    np.testing.assert_allclose(ssi, centred / np.abs(centred).mean(), rtol=1e-12)


def test_a_constant_image_has_no_normalised_shape():
    flat = torch.full((1, 1, 8, 8), 0.3).requires_grad_()
    value = losses.ssi_mae(flat, torch.rand(1, 1, 8, 8))
    (slope,) = torch.autograd.grad(value, flat)
    assert torch.isfinite(value)
    assert torch.isfinite(slope).all()


def test_small_and_odd_sizes_end_the_pyramid():
    generator = torch.Generator().manual_seed(1)
    pred, target = torch.rand((2, 2, 1, 15, 9), generator=generator)
    found = losses.derivative_loss(pred, target)
    assert len(found.levels) == 3, '15x9, 7x4, 3x2; the next would need a border wider than it is'
    assert torch.isfinite(found.loss)


def test_canonical_inverse_depth(golden):
    folder, _ = golden
    rows = json.loads((folder / 'conversions.json').read_text())['canonical_conversion']
    for row in rows:
        depth = torch.full((1, 1, 2, 2), row['depth_m'], dtype=torch.float64)
        found = losses.canonical(depth, row['focal_px'], row['width'])
        assert found.unique().tolist() == pytest.approx(
            [row['canonical_inverse_depth']], rel=1e-12
        )
    both = losses.canonical(torch.ones((2, 1, 1, 1)), torch.tensor([100.0, 200.0]), 400)
    assert both.flatten().tolist() == [0.25, 0.5]


def test_a_wrong_trim_is_refused():
    with pytest.raises(SettingsError, match='from 0 to below 1'):
        losses.mean_error(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), trim=1.0)
