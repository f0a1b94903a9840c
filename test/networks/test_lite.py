# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from monother_ros.networks.blocks import fold_batch_norm  # noqa: E402
from monother_ros.networks.lite import LiteConfig, LiteNetwork  # noqa: E402


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return LiteNetwork().eval()


def logits_of(*masses, bins=64):
    """Logits of one cell whose distribution has the given (bin, mass) pairs."""
    p = torch.full((bins,), 1e-9)
    for place, mass in masses:
        p[place] = mass
    return torch.log(p).view(1, bins, 1, 1)


def test_shapes_and_ranges(network):
    with torch.inference_mode():
        out = network(torch.randn(2, 1, 64, 96) * 3)
    assert out.depth.shape == out.confidence.shape == (2, 1, 64, 96)
    assert out.logits.shape == (2, 64, 16, 24)
    assert out.depth.min() >= 0.5 * 0.999
    assert out.depth.max() <= 120 * 1.001
    assert 0 <= out.confidence.min() <= out.confidence.max() <= 1


def test_training_path_gives_the_same_depth(network):
    x = torch.randn(2, 1, 64, 96)
    with torch.inference_mode():
        out = network(x)
        log_depth, logits = network.log_depth(x)
    torch.testing.assert_close(log_depth, out.depth.log(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits, out.logits)


def test_small_enough_to_ship(network):
    assert sum(p.numel() for p in network.parameters()) < 1.2e6


def test_depth_of_a_certain_distribution(network):
    log_depth, confidence = network.read(logits_of((20, 1.0)))
    assert log_depth.item() == pytest.approx(network.centres.view(-1)[20].item(), abs=1e-4)
    assert confidence.item() == pytest.approx(1.0, abs=1e-4)


def test_two_surfaces_go_to_the_likelier_one(network):
    """Near wall with 90 %, far wall with 10 %: depth is near the wall, confidence is its mass."""
    config = LiteConfig(sharpness=2.0, caution=0.0)
    log_depth, confidence = LiteNetwork(config).read(logits_of((10, 0.9), (50, 0.1)))
    centres = network.centres.view(-1)
    weight = 0.1**2 / (0.9**2 + 0.1**2)
    expected = centres[10] + weight * (centres[50] - centres[10])
    assert log_depth.item() == pytest.approx(expected.item(), abs=1e-3)
    # a factor of 1.25 is 2.57 bins, and bin 10 is half a bin away
    assert confidence.item() == pytest.approx(0.9, abs=0.01)


def test_caution_prefers_the_near_surface(network):
    """60 % sky, 40 % wall at bin 10: told is the wall, with the wall's part as confidence."""
    log_depth, confidence = network.read(logits_of((10, 0.4), (63, 0.6)))
    centres = network.centres.view(-1)
    near, far = (math.exp(-network.config.caution * centres[k].item()) for k in (10, 63))
    weight = 0.6 * far / (0.6 * far + 0.4 * near)
    expected = centres[10] + weight * (centres[63] - centres[10])
    assert log_depth.item() == pytest.approx(expected.item(), abs=1e-3)
    assert log_depth.item() < centres[12].item()
    assert confidence.item() == pytest.approx(0.4, abs=0.02)


def test_confidence_is_mass_within_a_factor(network):
    """A flat distribution over 21 bins: the window covers 2 ln 1.25 / width of them."""
    masses = [(k, 1 / 21) for k in range(20, 41)]
    _, confidence = network.read(logits_of(*masses))
    assert confidence.item() == pytest.approx(
        2 * math.log(1.25) / network.bin_width / 21, rel=0.02
    )


def test_upsampling_keeps_constants_and_stays_between_neighbours(network):
    weights = torch.randn(1, 144, 5, 6) * 4
    flat = torch.full((1, 1, 5, 6), 1.7)
    fine, same = network.upsample(flat, flat, weights)
    assert fine.shape == (1, 1, 20, 24)
    torch.testing.assert_close(fine, torch.full_like(fine, 1.7))
    torch.testing.assert_close(same, fine)
    coarse = torch.randn(1, 1, 5, 6)
    fine, _ = network.upsample(coarse, coarse, weights)
    padded = torch.nn.functional.pad(coarse, (1, 1, 1, 1), mode='replicate')
    highest = torch.nn.functional.max_pool2d(padded, 3, 1)
    assert (fine <= highest.repeat_interleave(4, 2).repeat_interleave(4, 3) + 1e-5).all()


def test_upsampling_can_choose_a_neighbour(network):
    """With all weight on the centre, or on the right, pixels take exactly that cell."""
    coarse = torch.arange(12.0).view(1, 1, 3, 4)
    for neighbour, expected in ((4, 5.0), (5, 6.0), (1, 1.0)):
        weights = torch.full((1, 9, 16, 3, 4), -8.0)
        weights[:, neighbour] = 8.0
        fine, _ = network.upsample(coarse, coarse, weights.view(1, 144, 3, 4))
        torch.testing.assert_close(
            fine[0, 0, 4:8, 4:8], torch.full((4, 4), expected), atol=1e-4, rtol=0
        )


def test_folding_changes_nothing():
    torch.manual_seed(1)
    network = LiteNetwork().train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 1, 64, 64))
    network.eval()
    folded = fold_batch_norm(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    x = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x).depth, network(x).depth, rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_parameter():
    network = LiteNetwork(LiteConfig(bins=32)).train()
    out = network(torch.randn(2, 1, 64, 64))
    loss = torch.log_softmax(out.logits, 1)[:, 3].mean() + out.depth.log().mean()
    loss.backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
