# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from monother_ros.learning import lite_losses  # noqa: E402

FIRST, WIDTH, BINS = math.log(0.5), 0.1, 40


def test_cross_entropy_by_hand():
    """Depth 30 % of the way from bin 12 to bin 13, flat prediction and exact prediction."""
    target = torch.full((1, 1, 4, 8), FIRST + 12.3 * WIDTH)
    flat = torch.zeros(1, BINS, 1, 2)
    assert lite_losses.bin_cross_entropy(flat, target, FIRST, WIDTH).item() == pytest.approx(
        math.log(BINS), rel=1e-5
    )
    p = torch.full((1, BINS, 1, 2), 1e-12)
    p[:, 12], p[:, 13] = 0.7, 0.3
    entropy = -(0.7 * math.log(0.7) + 0.3 * math.log(0.3))
    exact = lite_losses.bin_cross_entropy(torch.log(p), target, FIRST, WIDTH)
    assert exact.item() == pytest.approx(entropy, rel=1e-4)


def test_cell_across_an_edge_wants_both_sides():
    target = torch.full((1, 1, 4, 4), FIRST + 5 * WIDTH)
    target[..., 2:] = FIRST + 30 * WIDTH
    logits = torch.zeros(1, BINS, 1, 1, requires_grad=True)
    optimiser = torch.optim.SGD([logits], 5.0)
    for _ in range(60):
        optimiser.zero_grad()
        lite_losses.bin_cross_entropy(logits, target, FIRST, WIDTH).backward()
        optimiser.step()
    p = torch.softmax(logits.detach(), 1).view(-1)
    assert p[5].item() == pytest.approx(0.5, abs=0.02)
    assert p[30].item() == pytest.approx(0.5, abs=0.02)


def test_depth_outside_of_the_bins_goes_to_the_outer_ones():
    logits = torch.zeros(1, BINS, 1, 1)
    logits[:, 0] = 5.0
    near = torch.full((1, 1, 4, 4), FIRST - 3.0)
    far = torch.full((1, 1, 4, 4), FIRST + 1000.0)
    low = lite_losses.bin_cross_entropy(logits, near, FIRST, WIDTH).item()
    high = lite_losses.bin_cross_entropy(logits, far, FIRST, WIDTH).item()
    assert low == pytest.approx(-torch.log_softmax(logits, 1)[0, 0].item())
    assert high == pytest.approx(low + 5.0, rel=1e-5)


def test_gradient_by_hand():
    target = torch.zeros(1, 1, 2, 2)
    prediction = torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]])
    # differences along x: 1, 3; along y: 0, 2
    assert lite_losses.log_gradient(prediction, target).item() == pytest.approx(2.0 + 1.0)
    shifted = lite_losses.log_gradient(prediction + 7, target).item()
    assert shifted == pytest.approx(3.0)


def test_too_far_is_worse_than_too_near():
    """Ground truth 10 m twice and sky; predictions 5 m, 20 m, 60 m; then one far beyond."""
    target = torch.log(torch.tensor([10.0, 10.0, 120.0])).view(1, 1, 1, 3)
    prediction = torch.log(torch.tensor([5.0, 20.0, 60.0])).view(1, 1, 1, 3)
    expected = (math.log(2) + 1.0 + 0.25 * math.log(2)) / 3
    got = lite_losses.cautious_l1(prediction, target, math.log(80), 0.25).item()
    assert got == pytest.approx(expected, rel=1e-5)
    beyond = torch.log(torch.tensor(10.0 * 5 * math.e))
    got = lite_losses.cautious_l1(beyond.view(1, 1, 1, 1), target[..., :1], math.log(80), 1.0)
    assert got.item() == pytest.approx(4.0 + 1.0, rel=1e-5)
