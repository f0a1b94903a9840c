# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.networks.checkpoint import official_layout, official_tensors  # noqa: E402
from monother_ros.networks.monother import (  # noqa: E402
    RGB_MEAN,
    RGB_STD,
    MonoTherConfig,
    MonoTherNetwork,
    network_size,
    prepare_rgb,
    prepare_thermal,
)
from monother_ros.networks.named_weights import fill  # noqa: E402

SMALL = MonoTherConfig(
    embed=32, blocks=4, heads=2, features=16, projections=(8, 8, 16, 16), bins=32, embedding=16,
    near=0.1, far=50.0, confidence_width=4,
)  # fmt: skip
VARIANTS = ('vits', 'vits_wide', 'vitb', 'vitl')


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(11)
    net = MonoTherNetwork(SMALL).eval()
    fill(net)
    return net


def images(rows=40, columns=60, batch=2):
    generator = torch.Generator().manual_seed(12)
    thermal = torch.rand(batch, 1, rows, columns, generator=generator)
    return thermal, torch.rand(batch, 3, rows, columns, generator=generator)


def test_a_small_network_works_as_a_whole(network):
    thermal, rgb = images()
    with torch.inference_mode():
        out = network(thermal, rgb)
    for branch in out:
        assert branch.depth.shape == (2, 1, 42, 56)
        assert branch.features.shape == (2, 33 + 16, 42, 56)
        assert branch.probabilities.shape == (2, 32, 42, 56)
        assert 0.1 <= float(branch.depth.min()) < float(branch.depth.max()) <= 50.0
    assert float((out.thermal.depth - out.rgb.depth).abs().mean()) > 0.1


def test_branches_exchange_nothing(network):
    thermal, rgb = images()
    with torch.inference_mode():
        before, after = network(thermal, rgb), network(thermal, 1 - rgb)
    torch.testing.assert_close(before.thermal.depth, after.thermal.depth, rtol=0, atol=0)
    assert float((before.rgb.depth - after.rgb.depth).abs().max()) > 1e-3


def test_size_can_be_given(network):
    thermal, rgb = images()
    with torch.inference_mode():
        assert network(thermal, rgb, (28, 70)).thermal.depth.shape == (2, 1, 28, 70)


def test_prepared_images():
    thermal, rgb = images()
    x, y = prepare_thermal(thermal, (40, 60)), prepare_rgb(rgb, (40, 60))
    torch.testing.assert_close(x, ((thermal - 0.45) / 0.225).expand(-1, 3, -1, -1))
    torch.testing.assert_close(x, prepare_thermal(thermal.expand(-1, 3, -1, -1), (40, 60)))
    for channel in range(3):
        expected = (rgb[:, channel] - RGB_MEAN[channel]) / RGB_STD[channel]
        torch.testing.assert_close(y[:, channel], expected)
    corner = prepare_thermal(thermal, (28, 42))[..., -1, -1]
    torch.testing.assert_close(corner, x[..., -1, -1])


@pytest.mark.parametrize(
    ('nominal', 'expected'),
    [((256, 640), (252, 644)), ((480, 640), (476, 644)), ((116, 164), (112, 168)),
     ((7, 21), (14, 28)), ((35, 49), (28, 56))],
)  # fmt: skip
def test_network_size_rounds_half_to_even(nominal, expected):
    assert network_size(*nominal) == expected


def test_network_size_equals_the_reference(shared):
    with np.load(shared('golden/monother/preprocess.npz')) as file:
        (key,) = [k for k in file.files if k.startswith('resize')]
        table = file[key]
    assert len(table) == 30
    for rows, columns, _, _, *expected in table.tolist():
        assert network_size(rows, columns) == tuple(expected)


@pytest.mark.parametrize('variant', VARIANTS)
def test_layout_equals_the_official_one(shared, variant):
    entries = json.loads(shared('golden/monother/state_dict.json').read_text())['variants'][
        variant
    ]
    expected = {e['name']: (tuple(e['shape']), e['dtype']) for e in entries['entries']}
    got = official_tensors(MonoTherConfig.preset(variant))
    types = {k: (tuple(v.shape), str(v.dtype).removeprefix('torch.')) for k, v in got.items()}
    assert len(types) == entries['num_entries']
    assert types == expected


@pytest.mark.parametrize('variant', VARIANTS)
def test_parameters_and_buffers_are_the_official_ones(shared, variant):
    entries = json.loads(shared('golden/monother/state_dict.json').read_text())['variants'][
        variant
    ]
    with torch.device('meta'):
        net = MonoTherNetwork(MonoTherConfig.preset(variant))
    assert sum(p.numel() for p in net.parameters()) == entries['num_parameters']
    thermal = sum(p.numel() for p in net.thermal.parameters())
    assert thermal == entries['num_trainable_in_vivid_finetune']
    kinds = {e['name']: e['kind'] for e in entries['entries']}
    assert sorted(kinds.values()).count('buffer') == len(list(net.buffers()))


@pytest.mark.parametrize('variant', [*VARIANTS, None])
@pytest.mark.parametrize('branch', ['thermal', 'rgb'])
def test_configuration_from_shapes(variant, branch):
    config = MonoTherConfig.preset(variant) if variant else SMALL
    found = MonoTherConfig.from_shapes(official_layout(config), branch, 0 if variant else 2)
    assert found == (
        config if variant else MonoTherConfig(**{**vars(SMALL), 'near': 1e-3, 'far': 80.0})
    )


def test_shapes_that_do_not_tell_the_configuration_are_refused():
    shapes = official_layout(SMALL)
    with pytest.raises(ValueError, match='give the number of heads'):
        MonoTherConfig.from_shapes(shapes)
    del shapes['seed_projector._net.2.weight']
    with pytest.raises(ValueError, match=r'seed_projector\._net\.2\.weight is missing'):
        MonoTherConfig.from_shapes(shapes, heads=2)


def test_configuration_as_plain_values():
    plain = json.loads(json.dumps(SMALL.as_dict()))
    assert MonoTherConfig.from_dict(plain) == SMALL
    with pytest.raises(ValueError, match='unknown fields of a network: width'):
        MonoTherConfig.from_dict({'width': 3})
    with pytest.raises(ValueError, match='four numbers'):
        MonoTherConfig.from_dict({'projections': [1, 2, 3]})
    with pytest.raises(ValueError, match='vits, vits_wide, vitb, vitl'):
        MonoTherConfig.preset('vitg')


def test_gradients_are_finite_and_reach_all_but_the_unused_parameters():
    torch.manual_seed(13)
    net = MonoTherNetwork(SMALL).train()
    fill(net)
    out = net(*images())
    (out.thermal.depth.sum() + out.rgb.depth.sum()).backward()
    for name, parameter in net.named_parameters():
        used = not (
            name.startswith('confidence.')
            or name.endswith('.mask_token')
            or '.refinenet4.resConfUnit1.' in name
        )
        assert (parameter.grad is not None) == used, name
        if used:
            assert bool(torch.isfinite(parameter.grad).all()), name


def test_training_mode_predicts_the_same_depth(network):
    thermal, rgb = images()
    with torch.no_grad():
        expected = network(thermal, rgb)
        got = network.train()(thermal, rgb)
        network.eval()
    torch.testing.assert_close(got.thermal.depth, expected.thermal.depth, rtol=0, atol=0)


def test_half_backbone_keeps_the_head_in_full_precision():
    net = MonoTherNetwork(SMALL).eval()
    fill(net)
    image = prepare_thermal(images()[0], (42, 56))
    with torch.inference_mode():
        expected = net.thermal(image)
        assert net.thermal.half_backbone() is net.thermal
        out = net.thermal(image)
    assert net.thermal.encoder.pos_embed.dtype == torch.float16
    assert {p.dtype for p in net.thermal.head.parameters()} == {torch.float32}
    assert {x.dtype for x in out} == {torch.float32}
    assert float((out.depth / expected.depth).log().abs().mean()) < 5e-3


def test_autocast_leaves_the_head_in_full_precision(network):
    image = prepare_thermal(images()[0], (42, 56))
    seen = []
    hook = network.thermal.decoder.register_forward_hook(lambda _m, _i, o: seen.append(o.relative))
    with torch.inference_mode(), torch.autocast('cpu', dtype=torch.bfloat16):
        out = network.thermal(image)
    hook.remove()
    assert seen[0].dtype == torch.bfloat16
    assert {x.dtype for x in out} == {torch.float32}
    total = out.probabilities.sum(1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)


def test_double_precision_works(network):
    image = prepare_thermal(images(batch=1)[0].double(), (42, 56))
    net = MonoTherNetwork(SMALL).double().eval()
    net.load_state_dict(network.state_dict())
    with torch.inference_mode():
        exact, plain = net.thermal(image).depth, network.thermal(image.float()).depth
    assert exact.dtype == torch.float64
    torch.testing.assert_close(plain.double(), exact, rtol=1e-4, atol=1e-4)
