# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from torch.nn import functional  # noqa: E402

from monother_ros.networks.dpt import DptDecoder, FusionBlock, ResidualUnit, resize  # noqa: E402


def make(height, width, batch=1):
    torch.manual_seed(5)
    net = DptDecoder(16, 8, (4, 6, 8, 10)).eval()
    generator = torch.Generator().manual_seed(6)
    count = height // 14 * (width // 14)
    return net, tuple(torch.randn(batch, count, 16, generator=generator) for _ in range(4))


@pytest.mark.parametrize('size', [(252, 644), (42, 70), (14, 28)])
def test_sizes_of_all_maps(size):
    height, width = size
    net, taps = make(height, width, 2)
    with torch.inference_mode():
        out = net(taps, height, width)
    rows, columns = height // 14, width // 14
    assert out.relative.shape == (2, 1, height, width)
    assert out.activation.shape == (2, 32, height, width)
    assert out.deepest.shape == (2, 8, -(-rows // 2), -(-columns // 2))
    expected = [(2, 8, n * rows, n * columns) for n in (1, 2, 4, 8)]
    assert [tuple(x.shape) for x in out.pyramid] == expected


def test_relative_depth_and_activation_are_not_negative():
    net, taps = make(28, 42)
    with torch.inference_mode():
        out = net(taps, 28, 42)
    assert float(out.relative.min()) >= 0
    assert float(out.activation.min()) >= 0
    assert float(out.activation.max()) > 0


def test_relative_depth_is_made_of_the_activation():
    net, taps = make(28, 42)
    out = net(taps, 28, 42)
    last = net.scratch.output_conv2[2]
    expected = (out.activation * last.weight.view(1, 32, 1, 1)).sum(1, keepdim=True) + last.bias
    torch.testing.assert_close(out.relative, expected.relu(), rtol=1e-4, atol=1e-6)


def test_only_the_first_unit_of_the_deepest_block_is_unused():
    net, taps = make(28, 42)
    out = net(taps, 28, 42)
    (out.relative.sum() + sum(x.sum() for x in out.pyramid)).backward()
    without = {n.rsplit('.', 2)[0] for n, p in net.named_parameters() if p.grad is None}
    assert without == {'scratch.refinenet4.resConfUnit1'}


def test_tokens_are_laid_out_row_by_row():
    net, _ = make(28, 42)
    marked = torch.zeros(1, 6, 16)
    marked[0, 4] = 1.0  # row 1, column 1 of 2x3
    third = net.reassemble(
        (torch.zeros(1, 6, 16),) * 2 + (marked,) + (torch.zeros(1, 6, 16),), 2, 3
    )
    difference = (third[2] - third[2][:, :, :1, :1]).abs().sum(1)[0]
    assert difference.nonzero().tolist() == [[1, 1]]


def test_residual_unit_by_hand():
    torch.manual_seed(1)
    unit = ResidualUnit(3)
    x = torch.randn(1, 3, 5, 6)
    before = x.clone()
    inner = functional.conv2d(x.clamp(min=0), unit.conv1.weight, unit.conv1.bias, padding=1)
    expected = x + functional.conv2d(
        inner.clamp(min=0), unit.conv2.weight, unit.conv2.bias, padding=1
    )
    torch.testing.assert_close(unit(x), expected)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_fusion_adds_the_refined_skip():
    torch.manual_seed(2)
    block = FusionBlock(3)
    x, skip = torch.randn(1, 3, 4, 5), torch.randn(1, 3, 4, 5)
    whole = block.resConfUnit2(x + block.resConfUnit1(skip))
    torch.testing.assert_close(block(x, skip, (7, 9)), block.out_conv(resize(whole, (7, 9))))


def test_resize_keeps_corners_and_skips_equal_sizes():
    x = torch.randn(1, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    y = resize(x, (9, 12))
    torch.testing.assert_close(y[..., 0, 0], x[..., 0, 0])
    torch.testing.assert_close(y[..., -1, -1], x[..., -1, -1])
    assert resize(x, (4, 5)) is x
