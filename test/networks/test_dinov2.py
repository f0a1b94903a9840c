# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from torch.nn import functional  # noqa: E402

from monother_ros.networks.dinov2 import GRID, DinoV2  # noqa: E402


@pytest.fixture
def encoder():
    torch.manual_seed(3)
    net = DinoV2(32, 6, 2).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return net


@pytest.fixture
def image():
    return torch.randn(2, 3, 28, 56, generator=torch.Generator().manual_seed(4))


def test_four_token_maps_without_class_token(encoder, image):
    taps = encoder(image)
    assert [tuple(t.shape) for t in taps] == [(2, 2 * 4, 32)] * 4


def test_taps_are_the_last_four_blocks_after_the_final_norm(encoder, image):
    seen = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _m, _i, out: seen.append(out))
    taps = encoder(image)
    assert len(seen) == 6
    for tap, out in zip(taps, seen[2:], strict=True):
        expected = functional.layer_norm(out, (32,), encoder.norm.weight, encoder.norm.bias, 1e-6)
        torch.testing.assert_close(tap, expected[:, 1:])


def test_plain_attention_gives_the_same(encoder, image):
    fused = encoder(image)
    encoder.plain_attention = True
    for a, b in zip(fused, encoder(image), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_position_is_sampled_by_scale_factor_not_by_size(encoder):
    height, width = 112, 168
    got = encoder.position(height, width)
    assert got.shape == (1, 1 + 8 * 12, 32)
    torch.testing.assert_close(got[:, 0], encoder.pos_embed[:, 0], rtol=0, atol=0)
    # sampling position of output i for scale factor s: (i + 0.5) / s - 0.5, checked on a ramp,
    # which the cubic kernel keeps up to 0.05
    with torch.no_grad():
        ramp = torch.arange(GRID, dtype=torch.float32)
        encoder.pos_embed[0, 1:] = ramp.repeat(GRID)[:, None].expand(-1, 32)
    row = encoder.position(height, width).detach()[0, 1:].reshape(8, 12, 32)[4, :, 0]
    where = (torch.arange(12) + 0.5) * GRID / 12.1 - 0.5
    torch.testing.assert_close(row[1:-1], where[1:-1], rtol=0, atol=0.06)
    by_size = (torch.arange(12) + 0.5) * GRID / 12 - 0.5
    assert float((row - by_size)[1:-1].abs().max()) > 0.2


def test_position_of_the_stored_size_is_the_stored_one(encoder):
    assert encoder.position(14 * GRID, 14 * GRID) is encoder.pos_embed


def test_same_patch_count_in_another_shape_is_interpolated(encoder):
    assert encoder.position(14, 14 * GRID * GRID).shape == encoder.pos_embed.shape
    assert not torch.equal(encoder.position(14, 14 * GRID * GRID), encoder.pos_embed)


def test_frozen_position_gives_the_same_and_only_one_size(encoder, image):
    expected = encoder(image)
    names = set(encoder.state_dict())
    encoder.freeze_position(28, 56)
    assert set(encoder.state_dict()) == names
    for a, b in zip(expected, encoder(image), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    with pytest.raises(ValueError, match='frozen for'):
        encoder(image[..., :28])
    encoder.thaw_position()
    assert encoder(image[..., :28])[0].shape == (2, 4, 32)


def test_mask_token_exists_and_gets_no_gradient(encoder, image):
    sum(t.sum() for t in encoder(image)).backward()
    without = [n for n, p in encoder.named_parameters() if p.grad is None]
    assert without == ['mask_token']


def test_gelu_is_exact(encoder):
    mlp = encoder.blocks[0].mlp
    x = torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(1)) * 2
    inner = mlp.fc1(x).double()
    exact = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    torch.testing.assert_close(mlp(x), mlp.fc2(exact.float()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('size', [(27, 56), (28, 57), (0, 14)])
def test_sizes_that_are_no_multiple_of_a_patch_are_refused(encoder, size):
    with pytest.raises(ValueError, match='multiples of 14'):
        encoder(torch.zeros(1, 3, *size))


@pytest.mark.parametrize(('embed', 'blocks', 'heads'), [(30, 4, 4), (32, 3, 2)])
def test_impossible_shapes_are_refused(embed, blocks, heads):
    with pytest.raises(ValueError, match='heads must divide'):
        DinoV2(embed, blocks, heads)
