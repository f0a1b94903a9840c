# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.networks.dpt import DecoderOutput  # noqa: E402
from monother_ros.networks.metric_bins import (  # noqa: E402
    BinDistribution,
    MetricBinsHead,
    attract,
)

NEAR, FAR = 1e-3, 80.0


def make_head(scale=1.0):
    torch.manual_seed(7)
    head = MetricBinsHead(8, 64, 16, NEAR, FAR).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0, scale * parameter[0].numel() ** -0.5)
    return head


def make_decoded(size=(28, 42), gain=1.0, batch=2):
    generator = torch.Generator().manual_seed(8)

    def noise(channels, rows, columns):
        return gain * torch.randn(batch, channels, rows, columns, generator=generator)

    rows, columns = size[0] // 14, size[1] // 14
    pyramid = tuple(noise(8, n * rows, n * columns) for n in (1, 2, 4, 8))
    return DecoderOutput(noise(1, *size).abs(), noise(32, *size).abs(), noise(8, 1, 2), pyramid)


def test_attractor_formula_by_hand():
    rng = np.random.default_rng(1)
    bins, attractors = rng.random((1, 5, 2, 3)), rng.random((1, 4, 2, 3)) * 1.5
    expected = bins.copy()
    for k in range(5):
        pull = 0.0
        for j in range(4):
            d = attractors[:, j] - bins[:, k]
            pull = pull + d / (1 + 300 * d**2)
        expected[:, k] += pull / 4
    got = attract(torch.from_numpy(bins), torch.from_numpy(attractors))
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize('count', [1, 4, 16])
def test_attraction_never_changes_the_order_of_bins(count):
    generator = torch.Generator().manual_seed(count)
    bins = torch.rand(50, 64, 3, 3, generator=generator, dtype=torch.float64).sort(1).values
    attractors = torch.rand(50, count, 3, 3, generator=generator, dtype=torch.float64) * 2
    assert float(attract(bins, attractors).diff(dim=1).min()) >= -1e-12


def test_seeds_are_mid_points_of_widths_that_fill_the_range():
    head = make_head()
    z = torch.randn(1, 8, 2, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        seeds = head.metres(head.seed(z)).double().numpy()
        width = head.seed_bin_regressor(z).relu().double().numpy() + 1e-3
    width = (FAR - NEAR) * width / width.sum(1, keepdims=True)
    edges = np.concatenate([np.full_like(width[:, :1], NEAR), NEAR + np.cumsum(width, 1)], 1)
    np.testing.assert_allclose(seeds, (edges[:, 1:] + edges[:, :-1]) / 2, rtol=1e-5)
    np.testing.assert_allclose(edges[:, -1], FAR, rtol=1e-6)


def test_distribution_against_double_precision_and_stirling():
    net = BinDistribution(6, 64)
    pairs = torch.rand(1, 4, 3, 5, generator=torch.Generator().manual_seed(3)) * 3
    got = net.probabilities(pairs).detach().numpy()
    q = pairs.double().numpy()
    p = (q[:, :1] + 1e-4) / (q[:, :1] + q[:, 1:2] + 2e-4)
    t = 0.0212 + (50 - 0.0212) * (q[:, 2:3] + 1e-4) / (q[:, 2:3] + q[:, 3:] + 2e-4)
    k = np.arange(64.0).reshape(1, -1, 1, 1)
    n1, k1 = 63 + 1e-7, k + 1e-7
    b = n1 * np.log(n1) - k1 * np.log(k1) - (n1 - k1) * np.log(n1 - k1 + 1e-7)
    logits = b + k * np.log(np.clip(p, 1e-4, 1)) + (63 - k) * np.log(np.clip(1 - p, 1e-4, 1))
    logits = logits / t
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_the_mode_follows_the_first_pair_and_the_width_the_second():
    net = BinDistribution(6, 64)
    low = net.probabilities(torch.tensor([1.0, 9.0, 1e-3, 9.0]).view(1, 4, 1, 1)).flatten()
    high = net.probabilities(torch.tensor([9.0, 1.0, 1e-3, 9.0]).view(1, 4, 1, 1)).flatten()
    wide = net.probabilities(torch.tensor([1.0, 9.0, 9.0, 1e-3]).view(1, 4, 1, 1)).flatten()
    assert abs(int(low.argmax()) - 6) <= 1
    assert abs(int(high.argmax()) - 57) <= 1
    assert float(low.max()) > 3 * float(wide.max())


@pytest.mark.parametrize('extreme', [0.0, 1e-30, 1e30])
def test_extreme_pairs_stay_finite(extreme):
    net = BinDistribution(6, 64)
    pairs = torch.tensor([extreme, 1.0, extreme, 1.0]).view(1, 4, 1, 1)
    for value in (pairs, pairs.flip(1)):
        value.requires_grad_(True)
        out = net.probabilities(value)
        assert abs(float(out.detach().sum()) - 1) < 1e-4
        out[:, 3].sum().backward()
        assert bool(torch.isfinite(value.grad).all())
        value = value.detach()


def test_outputs_and_the_expectation():
    head, decoded = make_head(), make_decoded()
    with torch.no_grad():
        out = head(decoded)
    assert out.depth.shape == (2, 1, 28, 42)
    assert out.features.shape == (2, 33 + 16, 28, 42)
    assert out.probabilities.shape == out.centres.shape == (2, 64, 28, 42)
    torch.testing.assert_close(out.features[:, :32], decoded.activation, rtol=0, atol=0)
    torch.testing.assert_close(out.features[:, 32:33], decoded.relative, rtol=0, atol=0)
    expected = (out.probabilities.double() * out.centres.double()).sum(1, keepdim=True)
    torch.testing.assert_close(out.depth.double(), expected, rtol=1e-5, atol=1e-5)
    assert float(out.depth.std()) > 0


def test_attractors_are_the_raw_first_elements_of_their_pairs():
    head, decoded = make_head(), make_decoded()
    with torch.no_grad():
        before = head(decoded).depth
        for layer in head.attractors:
            layer._net[2].bias[1::2] += 0.3  # second elements
        torch.testing.assert_close(head(decoded).depth, before, rtol=0, atol=0)
        for layer in head.attractors:
            layer._net[2].bias[::2] += 0.3
        assert float((head(decoded).depth - before).abs().max()) > 1e-2


def test_the_range_holds_for_wild_features():
    with torch.no_grad():
        out = make_head(4.0)(make_decoded(gain=100.0))
    assert float(out.depth.min()) >= NEAR * (1 - 1e-4)
    assert float(out.depth.max()) <= FAR * (1 + 1e-5)
    assert bool(torch.isfinite(out.probabilities).all())
    assert float(out.centres.min()) >= NEAR
    assert float(out.centres.max()) <= FAR
    assert float(out.centres.diff(dim=1).min()) >= -1e-4


def test_sorting_changes_rounding_only():
    head, decoded = make_head(), make_decoded()
    with torch.no_grad():
        ordered = head(decoded).depth
        head.sort_centres = False
        torch.testing.assert_close(head(decoded).depth, ordered, rtol=0, atol=1e-4)


def test_every_parameter_gets_a_finite_gradient():
    head = make_head()
    head(make_decoded()).depth.sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
