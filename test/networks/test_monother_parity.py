# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks against numbers of the public reference implementation; weights from names."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.networks.monother import (  # noqa: E402
    MonoTherConfig,
    MonoTherNetwork,
    network_size,
    prepare_rgb,
    prepare_thermal,
)
from monother_ros.networks.named_weights import fill  # noqa: E402

CASES = [('vits', 'caseA'), ('vits', 'caseB'), ('vits', 'caseC'), ('vits_wide', 'caseA')]
SIZE = network_size(116, 164)


@pytest.fixture(scope='module')
def golden(shared):
    return np.load(shared('golden/monother/forward_small.npz'))


@pytest.fixture(scope='module')
def networks():
    made = {}

    def get(variant):
        if variant not in made:
            with torch.inference_mode(False):
                made[variant] = MonoTherNetwork(MonoTherConfig.preset(variant)).eval()
                fill(made[variant])
        return made[variant]

    return get


def tensor(golden, key):
    return torch.from_numpy(golden[key])


def inputs(golden, case):
    return tensor(golden, f'vits/{case}/in_thermal'), tensor(golden, f'vits/{case}/in_rgb')


@pytest.mark.parametrize(('variant', 'case'), CASES)
def test_metric_and_relative_depth(golden, networks, variant, case):
    with torch.inference_mode():
        out = networks(variant)(*inputs(golden, case), SIZE)
    for name, branch in zip(('thermal', 'rgb'), out, strict=True):
        difference = branch.depth - tensor(golden, f'{variant}/{case}/{name}_metric_depth')
        assert float(difference.abs().max()) < 1e-3
        assert float(difference.abs().mean()) < 6e-5
        expected = tensor(golden, f'{variant}/{case}/{name}_rel_depth')[:, None]
        torch.testing.assert_close(branch.relative, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize(('variant', 'case'), CASES)
def test_confidence(golden, networks, variant, case):
    x = tensor(golden, f'{variant}/{case}/conf_net_input')
    with torch.inference_mode():
        out = networks(variant).confidence(x)
    expected = tensor(golden, f'{variant}/{case}/conf_rgb')
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-4)


@pytest.fixture(scope='module')
def trace(golden, networks):
    """Intermediates of the thermal branch, by the names of the fixture."""
    branch = networks('vits').thermal
    seen = {}
    hooks = []

    def keep(name, module, pick=lambda out: out):
        def hook(_module, _args, out):
            seen[name] = pick(out)

        hooks.append(module.register_forward_hook(hook))

    keep('patch_embed', branch.encoder.patch_embed)
    for i in range(4):
        keep(f'reassemble_{i}', branch.decoder.resize_layers[i])
        keep(f'attractors_{i}', branch.head.attractors[i], lambda x: x.relu()[:, ::2] + 1e-3)
        keep(f'embedding_{i}', branch.head.projectors[i])
    scratch = branch.decoder.scratch
    keep('l4_rn', scratch.layer4_rn)
    for i in range(1, 5):
        keep(f'r{i}', getattr(scratch, f'refinenet{i}'))
    keep('out_conv1', scratch.output_conv1)
    keep('out_conv2_relu', scratch.output_conv2[1])
    keep('seed_embedding', branch.head.seed_projector)
    keep('pt', branch.head.conditional_log_binomial.mlp)
    keep('conv2', branch.head.conv2)
    thermal, rgb = inputs(golden, 'caseA')
    seen['prep'] = prepare_thermal(thermal, SIZE)
    with torch.inference_mode():
        seen['pos_embed_interp'] = branch.encoder.position(*SIZE)
        for i, tap in enumerate(branch.encoder(seen['prep'])):
            seen[f'tokens_{i}'] = tap
        out = branch(seen['prep'])
        seen['seed_centers'] = branch.head.metres(branch.head.seed(seen['conv2']))
    seen.update(probs=out.probabilities, bin_centers=out.centres, features=out.features)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(
        prepare_rgb(rgb, SIZE), tensor(golden, 'vits/caseA/mid/rgb_prep'), rtol=0, atol=1e-5
    )
    return seen


LIMITS = {'bin_centers': 2e-3, 'seed_centers': 1e-3, 'pt': 2e-4}


def test_intermediates_localise_an_error(golden, trace):
    """Every intermediate that the fixture holds and the network has, in order of computation."""
    start = 'vits/caseA/mid/thermal_'
    compared = []
    for key in [k for k in golden.files if k.startswith(start)]:
        name, _, step = key[len(start) :].partition('_every')
        if name not in trace:
            continue
        got = trace[name]
        if step:
            got = got[..., :: int(step), :: int(step)]
        expected = tensor(golden, key)
        limit = LIMITS.get(name, 1e-4 * max(1.0, float(expected.abs().max())))
        worst = float((got - expected).abs().max())
        assert worst < limit, f'{name}: {worst} (limit {limit})'
        compared.append(name)
    assert len(compared) >= 28, compared


def test_bins_of_every_stage(golden, trace, networks):
    from monother_ros.networks.dpt import resize
    from monother_ros.networks.metric_bins import attract

    head = networks('vits').thermal.head
    with torch.inference_mode():
        bins = head.seed(trace['conv2'])
        for i, every in enumerate((1, 1, 4, 4)):
            attractors = trace[f'attractors_{i}']
            bins = attract(resize(bins, tuple(attractors.shape[-2:])), attractors)
            start = f'vits/caseA/mid/thermal_bins_{{}}_{i}_every{every}'
            expected = tensor(golden, start.format('normed'))
            got = bins[..., ::every, ::every]
            torch.testing.assert_close(got, expected, rtol=0, atol=2e-5)
            expected = tensor(golden, start.format('metric'))
            got = head.metres(bins)[..., ::every, ::every]
            torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)


def test_training_mode_of_the_confidence_network(golden, networks):
    """
    Output with the statistics of the batch.

    The fixture's running statistics after this call equal the ones before it bit for bit, so they
    say nothing about the update; test_confidence checks that by hand.
    """
    x = tensor(golden, 'vits/caseB/conf_net_input')
    net = copy.deepcopy(networks('vits').confidence)
    start = 'vits/caseB/trainmode_after/conf_net.'
    keys = [k for k in golden.files if k.startswith(start)]
    assert len(keys) == 4
    for key in keys:
        before = net.state_dict()[key[len(start) :]]
        torch.testing.assert_close(before, tensor(golden, key), rtol=0, atol=0)
    with torch.no_grad():
        out = net.train()(x)
    expected = tensor(golden, 'vits/caseB/trainmode_conf_rgb')
    torch.testing.assert_close(out, expected, rtol=0, atol=3e-3)


@pytest.mark.parametrize('variant', ['vits', 'vits_wide'])
def test_other_ways_to_run_give_the_same_depth(golden, networks, variant):
    """What the export switches: plain attention, frozen position, no sorting."""
    branch = networks(variant).thermal
    image = prepare_thermal(inputs(golden, 'caseA')[0], SIZE)
    branch.encoder.plain_attention = True
    branch.encoder.freeze_position(*SIZE)
    branch.head.sort_centres = False
    try:
        with torch.inference_mode():
            depth = branch(image).depth
    finally:
        branch.encoder.plain_attention = False
        branch.encoder.thaw_position()
        branch.head.sort_centres = True
    expected = tensor(golden, f'{variant}/caseA/thermal_metric_depth')
    assert float((depth - expected).abs().max()) < 1e-3
