# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from checkpoints import make_state  # noqa: E402

from monother_ros.core.errors import BundleError  # noqa: E402
from monother_ros.networks.checkpoint import load_branch  # noqa: E402
from monother_ros.networks.deploy import (  # noqa: E402
    DeployedBranch,
    check_size,
    confidence_of,
    initialiser_name,
    inside,
)
from monother_ros.networks.metric_bins import BinDistribution, attract  # noqa: E402
from monother_ros.networks.monother import prepare_rgb, prepare_thermal  # noqa: E402

SIZE = (56, 84)


@pytest.fixture(scope='module')
def state():
    return make_state()


def example(channels=3):
    torch.manual_seed(0)
    return torch.rand(1, channels, *SIZE)


def expected(branch, image):
    with torch.inference_mode():
        out = branch(image)
        return out.depth, confidence_of(out.probabilities, out.centres, out.depth)


@pytest.mark.parametrize('modality', ['thermal', 'rgb'])
def test_deployed_branch_says_what_the_branch_says(state, modality):
    image = example()
    branch, _ = load_branch(state, modality)
    prepared = prepare_thermal(image, SIZE) if modality == 'thermal' else prepare_rgb(image, SIZE)
    depth, confidence = expected(branch, prepared)
    deployed = DeployedBranch(branch, modality, SIZE)
    with torch.inference_mode():
        found = deployed(prepared if modality == 'thermal' else image)
    assert depth.std() > 0.5 and confidence.std() > 0.02  # the comparison can fail
    for value, wanted in zip(found, (depth, confidence), strict=True):
        error = (value - wanted).abs()
        assert error.max() < 3e-3 and error.mean() < 3e-5, (error.max(), error.mean())


def test_attraction_keeps_the_order_of_the_bins():
    # why no sort is exported: x + d / (1 + 300 d^2), d = a - x, never falls with x
    generator = torch.Generator().manual_seed(1)
    for count in (1, 4, 8, 16):
        width = torch.rand(200, 64, 3, 3, generator=generator) ** 4 + 1e-6
        bins = (width / width.sum(1, keepdim=True)).cumsum(1)
        attractors = 1.5 * torch.rand(200, count, 3, 3, generator=generator)
        moved = attract(bins.double(), attractors.double())
        assert (moved.diff(dim=1) >= -1e-12).all()
        moved = attract(bins, attractors)
        assert moved.diff(dim=1).min() > -2e-7  # rounding, 2e-5 m of 80 m
        assert (moved - bins).abs().max() > 1e-3


def test_distribution_needs_no_shift_before_the_exponential(state):
    # -N KL(k/N || p) / temperature: 0 at best, and the best of 64 bins is never far below
    distribution = BinDistribution(49, 64)
    share = torch.linspace(0, 1, 2001)
    pairs = torch.stack([share, 1 - share, torch.zeros(2001), torch.ones(2001)])
    pairs = pairs.view(1, 4, 1, -1) * 100
    p = (pairs[:, :1] + 1e-4) / (pairs[:, :1] + pairs[:, 1:2] + 2e-4)
    branch, _ = load_branch(state, 'thermal')
    deployed = DeployedBranch(branch, 'thermal', SIZE)
    rest = 63.0 - deployed.bin_index
    exponent = deployed.bin_weight + deployed.bin_index * p.clamp(1e-4, 1).log()
    exponent = (exponent + rest * (1 - p).clamp(1e-4, 1).log()) / 0.0212
    assert exponent.amax(1).max() < 1.0
    assert exponent.amax(1).min() > -40.0  # exp(-40) is far above the least float32
    mass = exponent.exp()
    torch.testing.assert_close(
        mass / mass.sum(1, keepdim=True), distribution.probabilities(pairs), rtol=0, atol=2e-3
    )


def test_bins_count_within_a_factor_of_a_quarter():
    ratio = torch.tensor([0.5, 0.77, 0.8, 0.83, 1.0, 1.22, 1.25, 1.28, 3.0])
    share = torch.tensor([0, 0, 0.5, 1, 1, 1, 0.5, 0, 0])
    torch.testing.assert_close(inside(ratio), share, rtol=0, atol=1e-4)
    centres = torch.tensor([2.0, 4.0, 4.5, 9.0]).view(1, 4, 1, 1)
    mass = torch.tensor([0.1, 0.5, 0.3, 0.1]).view(1, 4, 1, 1)
    sure = confidence_of(mass, centres, torch.full((1, 1, 1, 1), 4.2))
    assert sure.item() == pytest.approx(0.8)


def test_half_precision_where_it_is_safe(state):
    image = prepare_thermal(example(), SIZE)
    branch, _ = load_branch(state, 'thermal')
    depth, confidence = expected(branch, image)
    names = set(branch.state_dict())
    deployed = DeployedBranch(branch, 'thermal', SIZE, 'fp16')
    assert {n.removeprefix('network.') for n in deployed.state_dict()} == names
    for name, value in deployed.named_parameters():
        careful = '.norm' in name or '.head.' in name
        assert value.dtype == (torch.float32 if careful else torch.float16), name
    kinds = {}
    block = deployed.network.encoder.blocks[1]
    for name, module in block.named_children():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: kinds.update(
                {name: (inputs[0].dtype, output.dtype)}
            )
        )
    with torch.inference_mode():
        found = deployed(image)
    assert kinds.keys() >= {'norm1', 'attn', 'mlp'}
    assert all(kind == (torch.float16, torch.float16) for kind in kinds.values())
    assert [value.dtype for value in found] == [torch.float32] * 2
    assert ((found[0] - depth).abs() / depth).mean() < 1e-2
    assert (found[1] - confidence).abs().mean() < 2e-2


def test_softmax_of_half_precision_attention_is_computed_in_float32(state):
    from monother_ros.networks.deploy import _Attention32

    branch, _ = load_branch(state, 'thermal')
    deployed = DeployedBranch(branch, 'thermal', SIZE, 'fp16')
    attention = deployed.network.encoder.blocks[0].attn
    assert isinstance(attention, _Attention32)
    tokens = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(0)).half()
    seen = []
    original = torch.nn.functional.softmax

    def spy(values, *options):
        seen.append(values.dtype)
        return original(values, *options)

    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr('monother_ros.networks.deploy.F.softmax', spy)
        out = attention(tokens)
    assert seen == [torch.float32] and out.dtype == torch.float16


def test_sizes():
    check_size((252, 644))
    check_size((476, 644))
    with pytest.raises(BundleError, match='height 250 -> 238 or 252, width 640 -> 630 or 644'):
        check_size((250, 640))
    with pytest.raises(BundleError, match=r'nearest: width 650 -> 644 or 658$'):
        check_size((252, 650))
    with pytest.raises(BundleError, match='height 0 -> 14'):
        check_size((0, 14))


def test_precision_that_is_not_known(state):
    branch, _ = load_branch(state, 'thermal')
    with pytest.raises(BundleError, match='use one of fp32, fp16'):
        DeployedBranch(branch, 'thermal', SIZE, 'int8')


def test_initialisers_have_official_names():
    name = 'network.encoder.blocks.3.attn.qkv.weight'
    assert initialiser_name('thermal', name) == 'core.core.pretrained.blocks.3.attn.qkv.weight'
    assert initialiser_name('rgb', 'network.head.conv2.bias') == 'conv2_extra.bias'
    assert initialiser_name('rgb', 'bin_weight') == 'bin_weight'
