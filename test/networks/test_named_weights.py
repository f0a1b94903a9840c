# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

torch = pytest.importorskip('torch')

from monother_ros.networks.checkpoint import official_layout  # noqa: E402
from monother_ros.networks.confidence import ConfidenceNetwork  # noqa: E402
from monother_ros.networks.monother import DepthBranch, MonoTherConfig  # noqa: E402
from monother_ros.networks.named_weights import fill, tensor  # noqa: E402

KEPT = ('num_batches_tracked', 'k_idx', 'K_minus_1')


@pytest.mark.parametrize('variant', ['vits', 'vits_wide'])
def test_weights_equal_those_of_the_reference(shared, variant):
    path = shared(f'golden/monother/fill_check_{variant}.json')
    expected = json.loads(path.read_text())['values']
    layout = official_layout(MonoTherConfig.preset(variant))
    names = [n for n in layout if n.rsplit('.', 1)[-1] not in KEPT]
    # every kind of entry, not every one: the rgb branch and the middle blocks repeat them
    names = [n for n in names if '_extra' not in n or '_extra.0.' in n]
    names = [n for n in names if '.blocks.' not in n or '.blocks.0.' in n]
    assert len(names) > 150
    for name in names:
        got = tensor(name, layout[name])
        first, last, total = expected[name]
        assert got.dtype == torch.float32
        assert float(got.flatten()[0]) == first, name
        assert float(got.flatten()[-1]) == last, name
        assert abs(float(got.double().sum()) - total) < 1e-9 * max(1.0, abs(total)), name


def test_a_part_is_filled_under_its_own_names():
    config = MonoTherConfig(64, 4, 1, 16, (8, 8, 8, 8))
    thermal, rgb = DepthBranch(config), DepthBranch(config)
    fill(thermal, 'thermal.')
    fill(rgb, 'rgb.')
    torch.testing.assert_close(
        rgb.head.conv2.weight.detach(), tensor('conv2_extra.weight', (16, 16, 1, 1))
    )
    assert not torch.equal(thermal.head.conv2.weight, rgb.head.conv2.weight)


def test_constants_keep_their_value_and_variances_are_positive():
    net = ConfidenceNetwork(4)
    fill(net, 'confidence.')
    state = net.state_dict()
    assert int(state['inc.double_conv.1.num_batches_tracked']) == 0
    assert float(state['inc.double_conv.1.running_var'].min()) >= 1.0
