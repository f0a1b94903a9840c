# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.learning import recipe as recipe_module  # noqa: E402
from monother_ros.learning.recipe import (  # noqa: E402
    build,
    change,
    find_recipe,
    plain,
    read_mapping,
    recipe_names,
    to_yaml,
)

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Inner:
    pair: tuple[int, int] = (1, 2)
    names: tuple[str, ...] = ()
    free: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outer:
    kind: Literal['a', 'b']
    rate: float = 0.5
    count: int = 3
    on: bool = True
    name: str | None = None
    inner: Inner = field(default_factory=Inner)


def test_values_become_what_the_fields_are():
    built = build(
        Outer,
        {
            'kind': 'b',
            'rate': '1e-4',
            'inner': {'pair': [3, 4], 'names': ['x', 'y'], 'free': {'a': [1, {'b': None}]}},
        },
    )
    assert built == Outer('b', 1e-4, inner=Inner((3, 4), ('x', 'y'), {'a': [1, {'b': None}]}))
    assert build(Outer, {'kind': 'a', 'rate': 2}).rate == 2.0
    assert build(Outer, yaml.safe_load(to_yaml(built))) == built
    assert plain(built)['inner']['pair'] == [3, 4]


@pytest.mark.parametrize(
    ('mapping', 'words'),
    [
        ({'kind': 'c'}, ["setting kind is 'c'", 'allowed: a, b']),
        ({}, ['setting kind is missing', 'a, b']),
        ({'kind': 'a', 'rat': 1}, ['setting rat is not known', 'kind, rate, count, on']),
        ({'kind': 'a', 'inner': {'x': 1}}, ['setting inner.x is not known', 'pair, names']),
        ({'kind': 'a', 'count': 1.5}, ['setting count is 1.5', 'a whole number']),
        ({'kind': 'a', 'count': True}, ['setting count is True', 'a whole number']),
        ({'kind': 'a', 'on': 'yes'}, ["setting on is 'yes'", 'true or false']),
        ({'kind': 'a', 'rate': 'fast'}, ["setting rate is 'fast'", 'a number']),
        ({'kind': 'a', 'rate': True}, ['setting rate is True', 'a number']),
        ({'kind': 'a', 'rate': None}, ['setting rate is None', 'a number']),
        ({'kind': 'a', 'name': 3}, ['setting name is 3', 'a text']),
        ({'kind': 'a', 'inner': 3}, ['setting inner is 3', 'a mapping with pair, names, free']),
        ({'kind': 'a', 'inner': {'pair': [1]}}, ['setting inner.pair is [1]', 'a list of 2']),
        ({'kind': 'a', 'inner': {'pair': [1, 'x']}}, ["inner.pair[1] is 'x'", 'a whole number']),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(mapping, words):
    with pytest.raises(SettingsError) as error:
        build(Outer, mapping)
    for word in words:
        assert word in str(error.value)


def test_changes_are_yaml_values_in_sections():
    before = {'kind': 'a', 'inner': {'pair': [1, 2]}}
    after = change(before, ['kind=b', 'inner.pair=[5, 6]', 'inner.free.x=null', 'other.y=1.5'])
    assert after == {
        'kind': 'b',
        'inner': {'pair': [5, 6], 'free': {'x': None}},
        'other': {'y': 1.5},
    }
    assert before == {'kind': 'a', 'inner': {'pair': [1, 2]}}
    for text in ('kind', '=1', 'inner..x=1'):
        with pytest.raises(SettingsError, match='not of the form'):
            change(before, [text])
    with pytest.raises(SettingsError, match='kind holds a value'):
        change(before, ['kind.x=1'])
    with pytest.raises(SettingsError, match='is no YAML'):
        change(before, ['kind={'])


def test_files_are_found_by_name_and_by_path(tmp_path, monkeypatch):
    assert recipe_names() == [
        'language_scale', 'lite', 'lite_confidence', 'lite_rgb', 'lite_sparse', 'ms2_supervised',
        'sim', 'vit_sparse', 'vivid_label_free',
    ]  # fmt: skip
    assert find_recipe('sim') == REPOSITORY / 'config' / 'recipes' / 'sim.yaml'
    mine = tmp_path / 'mine.yaml'
    mine.write_text('task: lite\n')
    assert find_recipe(str(mine)) == mine
    with pytest.raises(SettingsError, match=r'simm.*lite_sparse, ms2_supervised, sim'):
        find_recipe('simm')
    with pytest.raises(SettingsError, match='is not there'):
        find_recipe(str(tmp_path / 'no.yaml'))
    # an installation comes before the checkout
    installed = tmp_path / 'config' / 'recipes'
    installed.mkdir(parents=True)
    (installed / 'sim.yaml').write_text('task: dual\n')
    monkeypatch.setattr(recipe_module, 'share_folders', lambda: [tmp_path])
    assert find_recipe('sim') == installed / 'sim.yaml'


def test_what_is_no_recipe_is_refused(tmp_path):
    for content, words in ((b'- 1\n', 'no mapping'), (b'a: [', 'as YAML'), (b'\xff', 'as YAML')):
        (tmp_path / 'x.yaml').write_bytes(content)
        with pytest.raises(SettingsError, match=words):
            read_mapping(tmp_path / 'x.yaml')


def test_shipped_recipes_are_the_published_ones():
    pytest.importorskip('torch', reason='torch is not installed')
    from monother_ros.learning.objective import MS2_SUPERVISED, VIVID_LABEL_FREE
    from monother_ros.learning.tasks.recipes import DualRecipe, LiteRecipe, load_recipe

    loaded = {name: load_recipe(name) for name in recipe_names()}
    for name, item in loaded.items():
        assert build(type(item), yaml.safe_load(to_yaml(item))) == item, name
    assert isinstance(loaded['lite'], LiteRecipe)
    ms2, vivid = loaded['ms2_supervised'], loaded['vivid_label_free']
    assert isinstance(ms2, DualRecipe)
    assert isinstance(vivid, DualRecipe)
    assert ms2.training.losses == MS2_SUPERVISED
    assert vivid.training.losses == VIVID_LABEL_FREE
    assert (ms2.training.frozen, vivid.training.frozen) == ((), ('rgb', 'confidence'))
    assert (ms2.training.epochs, vivid.training.epochs) == (5, 7)
    assert (ms2.training.watch_epochs, vivid.training.watch_epochs) == (1, 5)
    assert (ms2.training.size, vivid.training.size) == ((256, 640), (480, 640))
    for item in (ms2, vivid):
        training = item.training
        assert (training.rate, training.divisor, training.weight_decay) == (8.5e-5, 50, 0.01)
        assert (training.eps, training.beta2, training.momentum) == (1e-8, 0.999, (0.85, 0.95))
        assert (training.up, training.div_factor, training.final_div_factor) == (0.7, 1, 1e4)
        assert (training.clip, training.batch, training.seed) == (0.1, 4, 43)
        assert (training.network, training.average) == ('vitl', 0)
        assert item.run.precision == 'fp32'
        assert training.settings == 'default'


def test_data_and_start_are_put_into_a_recipe(tmp_path):
    pytest.importorskip('torch', reason='torch is not installed')
    from monother_ros.learning.tasks.recipes import load_recipe

    folders = [tmp_path / name for name in ('a', 'b')]
    for folder in folders:
        folder.mkdir()
    a, b = map(str, folders)
    ms2 = load_recipe('ms2_supervised', data=[a], start='weights.pt')
    assert ms2.data.training == {'kind': 'ms2', 'root': a, 'split': 'train'}
    assert ms2.data.validation == {'kind': 'ms2', 'root': a, 'split': 'val'}
    assert ms2.start == 'weights.pt'
    sim = load_recipe('sim', data=[a, b])
    assert sim.data.training == {'kind': 'sim', 'path': [a, b]}
    assert sim.data.drives is None
    assert load_recipe('sim', ['data.drives.training=3']).data.drives.training == 3
    assert load_recipe('lite', data=['frames']).data.folder == 'frames'
    with pytest.raises(SettingsError, match='2 folders'):
        load_recipe('ms2_supervised', data=[a, b])
    with pytest.raises(SettingsError, match='nowhere not found'):
        load_recipe('ms2_supervised', data=['nowhere'])
    with pytest.raises(SettingsError, match=r"task is 'x'; allowed: lite, dual"):
        load_recipe('sim', ['task=x'])
    with pytest.raises(SettingsError, match=r'training\.losses\.ssim is not known'):
        load_recipe('sim', ['training.losses.ssim=1'])
