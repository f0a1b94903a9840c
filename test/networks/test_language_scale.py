# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The head of RSA: both published layouts, its files, and what is refused."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch

from monother_ros.core.errors import BundleError
from monother_ros.networks.language_file import (
    MANIFEST,
    UNKNOWN_SIGMA,
    WEIGHTS,
    load_language,
    write_language,
)
from monother_ros.networks.language_scale import LAYOUTS, LanguageHead, head_from_state

LAYOUT_NAMES = ('five_layer', 'three_layer')


def _golden_state(shapes, scale):
    return {
        name: torch.from_numpy(
            np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
            * np.float32(scale)
        )
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize('layout', LAYOUT_NAMES)
def test_published_layout_gives_the_golden_numbers(shared, layout):
    folder = shared('golden/rsa')
    case = json.loads((folder / 'expected.json').read_text())['head'][layout]
    arrays = np.load(folder / 'head_forward.npz')
    head = head_from_state(_golden_state(case['state_dict_shapes'], case['weight_scale']))
    assert head.layout == LAYOUTS[layout]
    assert sum(p.numel() for p in head.parameters()) == case['n_parameters']
    features = torch.from_numpy(arrays['text_features'])
    with torch.inference_mode():
        scene = head.scene_feat_net(features)
        alpha, beta = head(features)
        exact = [v.numpy() for v in head.double()(features.double())]
    np.testing.assert_allclose(scene, arrays[f'{layout}__scene_features'], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alpha, arrays[f'{layout}__scale'], rtol=1e-4)
    np.testing.assert_allclose(beta, arrays[f'{layout}__shift'], rtol=1e-4)
    np.testing.assert_allclose(exact[0], arrays[f'{layout}__scale_f64'], rtol=1e-9)
    np.testing.assert_allclose(exact[1], arrays[f'{layout}__shift_f64'], rtol=1e-9)


@pytest.mark.parametrize('layout', LAYOUT_NAMES)
def test_names_of_the_weights_are_the_published_ones(shared, layout):
    case = json.loads((shared('golden/rsa') / 'expected.json').read_text())['head'][layout]
    found = {name: list(v.shape) for name, v in LanguageHead(layout).state_dict().items()}
    assert found == case['state_dict_shapes']


@pytest.mark.parametrize('wrapped', [False, True])
@pytest.mark.parametrize('layout', LAYOUT_NAMES)
def test_a_published_checkpoint_is_read_and_its_errors_are_unknown(tmp_path, layout, wrapped):
    torch.manual_seed(1)
    head = LanguageHead(layout)
    state = {f'module.{name}': value for name, value in head.state_dict().items()}
    path = tmp_path / 'rsa.pth'
    torch.save({'model': state} if wrapped else state, path)
    found = load_language(path)
    features = torch.randn(3, head.features)
    torch.testing.assert_close(found.head(features), head(features))
    assert (found.sigma, found.depth_model, found.text_encoder) == (UNKNOWN_SIGMA, '', '')


@pytest.fixture(name='written')
def _written(tmp_path):
    torch.manual_seed(2)
    head = LanguageHead('three_layer')
    folder = write_language(
        head,
        tmp_path / 'head',
        sigma=0.35,
        text_encoder='owner/clip',
        depth_model='lite',
        training={'steps': 3},
        metrics={'abs_rel': 0.2},
    )
    return head, folder


def test_a_folder_keeps_weights_and_what_is_known(written):
    head, folder = written
    found = load_language(folder)
    features = torch.randn(2, 1024)
    torch.testing.assert_close(found.head(features), head(features))
    assert (found.sigma, found.text_encoder, found.depth_model) == (0.35, 'owner/clip', 'lite')
    assert found.manifest['training'] == {'steps': 3}


def test_damage_is_told(written):
    _, folder = written
    weights = folder / WEIGHTS
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BundleError, match='damaged'):
        load_language(folder)
    weights.unlink()
    with pytest.raises(BundleError, match='cannot be read'):
        load_language(folder)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [({'format': 2}, 'update monother_ros'), ({'sigma': -1}, 'sigma'), ({'sigma': None}, 'sigma'),
     ({'sigma': True}, 'sigma')],
)  # fmt: skip
def test_a_manifest_that_cannot_be_is_refused(written, changes, words):
    path = written[1] / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(BundleError, match=words):
        load_language(written[1])


def test_what_is_no_head_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r'no language\.json'):
        load_language(tmp_path / 'nothing')
    with pytest.raises(BundleError, match='no part of a language head'):
        head_from_state({'encoder.0.weight': torch.zeros(2, 2)})
    state = LanguageHead('three_layer').state_dict()
    lacking = {k: v for k, v in state.items() if not k.startswith('shift_net')}
    with pytest.raises(BundleError, match='shift_net'):
        head_from_state(lacking)
    with pytest.raises(BundleError, match='no language head'):
        head_from_state({k: v for k, v in state.items() if k != 'scale_net.2.bias'})
    with pytest.raises(BundleError, match='not finite'):
        head_from_state({k: v * float('nan') for k, v in state.items()})
    with pytest.raises(BundleError, match='do not fit'):
        head_from_state({**state, 'scale_net.4.weight': torch.zeros(2, 64)})
    with pytest.raises(BundleError, match='sigma'):
        write_language(
            LanguageHead(), tmp_path / 'x', sigma=float('nan'), text_encoder='', depth_model='',
            training={}, metrics={},
        )  # fmt: skip
