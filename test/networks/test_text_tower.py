# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny CLIP text encoder, and every kind of sentence that people may give it."""

from __future__ import annotations

import pytest

pytest.importorskip('torch', reason='torch is not installed')

import torch
from tiny_clip import FEATURES, make_clip

from monother_ros.core.errors import BundleError
from monother_ros.networks.text_tower import LONGEST, load_text_tower, tidy


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp('clip') / 'tiny')


@pytest.fixture(scope='module', name='tower')
def _tower(folder):
    return load_text_tower(str(folder))


def test_features_depend_on_the_sentence_alone(tower):
    assert (tower.features, tower.context) == (FEATURES, 77)
    sentences = ['a car on a road', 'a corridor', 'a car on a road']
    both = tower.encode(sentences)
    alone = tower.encode(sentences[:1])
    assert both.features.shape == (3, FEATURES) and both.features.dtype == torch.float32
    torch.testing.assert_close(both.features[0], both.features[2])
    # the padding beside a longer sentence does not matter
    torch.testing.assert_close(both.features[:1], alone.features, rtol=1e-4, atol=1e-5)
    assert (both.features[0] - both.features[1]).abs().max() > 1e-2
    assert both.truncated == [False, False, False]


def test_pooling_is_at_the_end_of_the_text(tower):
    """Against the library's own pass over the tokens of one sentence without padding."""
    ids = tower.tokenizer(['a road'], return_tensors='pt')['input_ids']
    assert ids[0, -1] == tower.model.config.eos_token_id
    with torch.inference_mode():
        hidden = tower.model.text_model(input_ids=ids).last_hidden_state[:, -1]
        expected = tower.model.text_projection(hidden)
    torch.testing.assert_close(tower.encode(['a road']).features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'sentence',
    ['Ein Flur mit drei Türen', '一条有两辆车的街道', 'طريق فيه سيارتان', 'улица с деревьями',
     'двор 🚗🚗 🌲', 'a\x00b\x1b[31m\u2028c', '\ud83d broken surrogate', 'e\u0301' * 40],
)  # fmt: skip
def test_any_script_is_taken(tower, sentence):
    found = tower.encode([sentence])
    assert torch.isfinite(found.features).all()


def test_ten_thousand_characters_are_cut(tower):
    long = 'a car on a road and a person ' * 400
    assert len(long) > 10_000
    found = tower.encode([long, 'x' * 10_000, 'short'])
    assert found.truncated == [True, True, False]
    assert torch.isfinite(found.features).all()
    # what counts is the beginning
    torch.testing.assert_close(tower.encode([long[:1500]]).features, found.features[:1])


def test_tidy():
    assert tidy('  a \n\t car\x07 \r\n') == 'a car'
    assert tidy('\ud800') == ''
    assert len(tidy('word ' * 5000)) <= LONGEST


def test_what_cannot_be_loaded_is_told(tmp_path, folder):
    with pytest.raises(BundleError, match='does not exist'):
        load_text_tower(str(tmp_path / 'nothing'))
    with pytest.raises(BundleError, match='is a file'):
        load_text_tower(str(folder / 'vocab.json'))
    with pytest.raises(BundleError, match='cannot be loaded'):
        (tmp_path / 'empty').mkdir()
        load_text_tower(str(tmp_path / 'empty'))


def test_a_model_without_its_vocabulary_is_refused(tmp_path):
    bare = make_clip(tmp_path / 'bare')
    for name in ('vocab.json', 'merges.txt', 'tokenizer.json'):
        (bare / name).unlink(missing_ok=True)
    with pytest.raises(BundleError, match=r'vocab\.json'):
        load_text_tower(str(bare))


def test_a_model_without_a_projection_is_refused(tmp_path, folder):
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / 'other'
    shutil.copytree(folder, other)
    state = load_file(other / 'model.safetensors')
    state.pop('text_projection.weight')
    save_file(state, other / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(BundleError, match='incomplete'):
        load_text_tower(str(other))
