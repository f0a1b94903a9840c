# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')

from monother_ros.networks.monother import MonoTherConfig, MonoTherNetwork  # noqa: E402
from monother_ros.networks.names import (  # noqa: E402
    official_name,
    official_state,
    own_name,
    own_state,
)

PAIRS = {
    'thermal.encoder.blocks.3.attn.qkv.weight': 'core.core.pretrained.blocks.3.attn.qkv.weight',
    'rgb.encoder.cls_token': 'core.core.pretrained_extra.cls_token',
    'thermal.decoder.projects.0.bias': 'core.core.depth_head.projects.0.bias',
    'rgb.decoder.scratch.layer1_rn.weight': 'core.core.depth_head_extra.scratch.layer1_rn.weight',
    'thermal.head.conv2.weight': 'conv2.weight',
    'rgb.head.conv2.weight': 'conv2_extra.weight',
    'rgb.head.projectors.2._net.0.bias': 'projectors_extra.2._net.0.bias',
    'confidence.inc.double_conv.0.weight': 'conf_net.inc.double_conv.0.weight',
}


@pytest.fixture(scope='module')
def network():
    with torch.device('meta'):
        return MonoTherNetwork(MonoTherConfig.preset('vitl'))


@pytest.mark.parametrize('own', PAIRS)
def test_pairs_of_names(own):
    assert official_name(own) == PAIRS[own]
    assert own_name(PAIRS[own]) == own


def test_translation_is_one_to_one_over_the_whole_network(network):
    own = list(network.state_dict())
    official = [official_name(name) for name in own]
    assert len(set(official)) == len(own) == 1038
    assert [own_name(name) for name in official] == own


def test_states_of_the_whole_and_of_a_part(network):
    whole = official_state(network)
    part = official_state(network.rgb, 'rgb.')
    assert set(part) < set(whole)
    assert all('_extra' in name for name in part)
    assert own_state(whole).keys() == network.state_dict().keys()
    assert own_state({'pretrained.cls_token': torch.zeros(1), 'conv2.bias': torch.ones(1)}) == {
        'thermal.head.conv2.bias': torch.ones(1)
    }


@pytest.mark.parametrize(
    'name', ['', 'pretrained.cls_token', 'thermal.head.conv3.weight', 'conv2']
)
def test_foreign_names_are_refused(name):
    with pytest.raises(KeyError, match='no entry of the dual network'):
        official_name(name)
    with pytest.raises(KeyError, match='no entry of the dual network'):
        own_name(name)
