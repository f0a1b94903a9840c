# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from monother_ros.networks.confidence import (  # noqa: E402
    GATE,
    ConfidenceNetwork,
    gradient_gate,
)


def make_network():
    torch.manual_seed(9)
    return ConfidenceNetwork(4)


def make_input(rows, columns, batch=1):
    return torch.randn(batch, 8, rows, columns, generator=torch.Generator().manual_seed(10))


def test_gate_passes_values_and_tames_gradients():
    x = torch.zeros(5, requires_grad=True)
    y = gradient_gate(x)
    assert torch.equal(y, x)
    wild = torch.tensor([float('nan'), float('inf'), -5.0, 0.004, -0.004])
    y.backward(wild)
    expected = torch.tensor([0.0, GATE, -GATE, 0.004, -0.004])
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=0)


def test_gate_sits_before_the_sigmoid():
    net = make_network().eval()
    logits = []
    net.outc_unc[1].register_forward_hook(lambda _m, args, out: logits.extend([args[0], out]))
    x = make_input(16, 16)
    out = net(x)
    logits[0].retain_grad()
    (1e6 * out.sum()).backward()
    torch.testing.assert_close(logits[0].grad, torch.full_like(logits[0], GATE))


def test_gate_can_be_switched_off():
    net = make_network().eval()
    net.outc_unc[1].limit = None
    out = net(make_input(16, 16))
    (1e3 * out.sum()).backward()
    assert float(net.outc_unc[0].conv.bias.grad.abs()) > 16 * 16 * GATE * 10


@pytest.mark.parametrize('size', [(16, 16), (17, 30), (112, 168), (33, 47)])
def test_output_has_the_size_of_the_input_and_lies_between_0_and_1(size):
    net = make_network().eval()
    with torch.inference_mode():
        out = net(make_input(*size))
    assert out.shape == (1, 1, *size)
    assert 0 < float(out.min()) <= float(out.max()) < 1
    assert float(out.std()) > 0


def test_batch_norm_makes_training_mode_differ():
    net = make_network()
    x = make_input(32, 32, 2)
    with torch.no_grad():
        trained = net.train()(x)
        plain = net.eval()(x)
    assert float((trained - plain).abs().max()) > 1e-3


def test_training_mode_moves_the_running_statistics_a_tenth_of_the_way():
    net = make_network().train()
    x = make_input(32, 32, 2)
    convolution, norm = net.inc.double_conv[0], net.inc.double_conv[1]
    with torch.no_grad():
        net(x)
        inner = convolution(x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, 0.1 * inner.mean(1))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * inner.var(1))


def test_every_parameter_gets_a_gradient():
    net = make_network().train()
    net(make_input(32, 48, 2)).mean().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_the_published_width_has_the_published_number_of_parameters():
    with torch.device('meta'):
        count = sum(p.numel() for p in ConfidenceNetwork().parameters())
    assert abs(count / 1e6 - 13.40) < 0.005
