# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Caches of bags: used again, made anew when stale or damaged, shared by processes."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rig_bag import TOPICS, write_rig_bag

from monother_ros.core.errors import DatasetError
from monother_ros.learning import pair_cache
from monother_ros.learning.bag_pairs import RigBag
from monother_ros.learning.pair_cache import cached_pairs, usable
from monother_ros.learning.rig_config import RigConfig

CONFIG = RigConfig(**TOPICS)
FEW = range(0, 300, 100)


@pytest.fixture
def bag(tmp_path):
    return write_rig_bag(tmp_path / 'drive', FEW, range(3, 303, 100), cloud=False)


@pytest.fixture
def conversions(monkeypatch):
    """Counts how often a bag is read."""
    found = []
    fill = pair_cache._fill

    def counted(reader, *rest):
        found.append(reader.path)
        fill(reader, *rest)

    monkeypatch.setattr(pair_cache, '_fill', counted)
    return found


def test_a_bag_is_read_once(bag, conversions):
    first = RigBag(bag, CONFIG)
    assert first.folder.parent == bag.with_name('drive.pairs')
    stamp = first.folder.stat().st_mtime_ns
    again = RigBag(bag, CONFIG)
    assert len(conversions) == 1 and again.folder == first.folder
    assert again.folder.stat().st_mtime_ns == stamp
    assert np.array_equal(again[2].thermal, first[2].thermal)
    assert again.summary == first.summary


def test_settings_and_bags_do_not_mix(bag, tmp_path, conversions):
    pairs = RigBag(bag, CONFIG, tmp_path / 'cache')
    other = RigBag(bag, RigConfig(**TOPICS, stride=2), tmp_path / 'cache')
    assert len(pairs) == 3 and len(other) == 2
    assert pairs.folder.parent == other.folder.parent == tmp_path / 'cache'
    assert not bag.with_name('drive.pairs').exists()
    longer = write_rig_bag(tmp_path / 'x' / 'drive', range(0, 500, 100), cloud=False)
    assert len(RigBag(longer, CONFIG, tmp_path / 'cache')) == 5
    assert len(RigBag(bag, CONFIG, tmp_path / 'cache')) == 3
    assert len(conversions) == 3


def test_a_changed_bag_is_read_anew(bag, conversions):
    assert len(RigBag(bag, CONFIG)) == 3
    shutil.rmtree(bag)
    write_rig_bag(bag, range(0, 500, 100), cloud=False)
    assert len(RigBag(bag, CONFIG)) == 5 and len(conversions) == 2


def test_a_bag_may_move_with_its_cache(bag, tmp_path, conversions):
    RigBag(bag, CONFIG)
    (tmp_path / 'far').mkdir()
    for folder in (bag, bag.with_name('drive.pairs')):
        folder.rename(tmp_path / 'far' / folder.name)
    assert len(RigBag(tmp_path / 'far' / 'drive', CONFIG)) == 3
    assert len(conversions) == 1


@pytest.mark.parametrize('damage', ['cut', 'lost', 'description', 'format', 'shard'])
def test_a_damaged_cache_is_made_anew(bag, conversions, damage):
    pairs = RigBag(bag, CONFIG)
    expected = RigBag(bag, CONFIG)[1].thermal
    image = pairs.folder / 'shard-0000' / 'thermal.npy'
    description = pairs.folder / 'pairs.json'
    if damage == 'cut':
        image.write_bytes(image.read_bytes()[:-1])
    elif damage == 'lost':
        image.unlink()
    elif damage == 'description':
        description.write_text('{')
    elif damage == 'format':
        description.write_text(description.read_text().replace('"format": 1', '"format": 0'))
    else:
        np.save(image, np.load(image)[:2])
    assert not usable(pairs.folder)
    if damage in ('cut', 'lost'):
        with pytest.raises(DatasetError, match='open the data set again'):
            pairs[0]
    again = RigBag(bag, CONFIG)
    assert len(conversions) == 2 and np.array_equal(again[1].thermal, expected)
    assert [p.name for p in pairs.folder.parent.iterdir() if p.is_dir()] == [pairs.folder.name]


def test_what_fails_leaves_nothing(tmp_path):
    bag = write_rig_bag(tmp_path / 'drive', FEW, range(50, 350, 100), cloud=False)
    with pytest.raises(DatasetError, match='nearest stamps'):
        RigBag(bag, CONFIG)
    left = [p for p in tmp_path.rglob('*') if 'pairs' in p.name and p.is_file()]
    assert not left and not [p for p in (tmp_path / 'drive.pairs').iterdir() if p.is_dir()]


def test_a_place_that_cannot_be_written_is_named(bag, tmp_path):
    (tmp_path / 'file').write_text('no folder')
    with pytest.raises(
        DatasetError, match=r'cannot be written to .*file.* set cache: to a folder'
    ):
        RigBag(bag, CONFIG, tmp_path / 'file')


def test_another_process_gets_the_same(bag):
    pairs = RigBag(bag, CONFIG)
    pairs[0]
    data = pickle.dumps(pairs)
    assert len(data) < 20_000  # no pixels travel
    copy = pickle.loads(data)
    assert np.array_equal(copy[2].rgb, pairs[2].rgb) and copy[2].name == pairs[2].name


def test_shards_are_cut_and_read_as_one(bag, monkeypatch):
    whole = RigBag(bag, CONFIG)
    expected = [whole[k] for k in range(3)]
    shutil.rmtree(whole.folder)
    monkeypatch.setattr(pair_cache, 'SHARD_BYTES', 50_000)
    pairs = RigBag(bag, CONFIG)
    assert len(list(pairs.folder.glob('shard-*'))) == 2
    for k, pair in enumerate(expected):
        assert pairs[k].name == pair.name and np.array_equal(pairs[k].rgb, pair.rgb)
        assert pairs[k - 3].name == pair.name
    with pytest.raises(IndexError):
        pairs[3]


def test_two_processes_at_once_make_one_cache(bag):
    code = (
        'import sys, time\n'
        'from pathlib import Path\n'
        'from monother_ros.learning import pair_cache\n'
        'from monother_ros.learning.bag_pairs import RigBag\n'
        'from monother_ros.learning.rig_config import RigConfig\n'
        'from rig_bag import TOPICS\n'
        'fill = pair_cache._fill\n'
        'def slow(*given):\n'
        '    print("fills")\n'
        '    time.sleep(0.5)\n'
        '    fill(*given)\n'
        'pair_cache._fill = slow\n'
        'print(len(RigBag(sys.argv[1], RigConfig(**TOPICS))))\n'
    )
    running = [
        subprocess.Popen(
            [sys.executable, '-c', code, str(bag)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0].split() for process in running]
    assert sorted(told) == [['3'], ['fills', '3']]
    assert usable(cached_pairs(bag, CONFIG))


def test_a_slower_process_without_locks_takes_what_is_there(bag, tmp_path, monkeypatch):
    target = cached_pairs(bag, CONFIG)
    shutil.copytree(target, tmp_path / 'ready')
    shutil.rmtree(target)

    def beaten(*given):
        shutil.copytree(tmp_path / 'ready', target)
        msg = 'Directory not empty'
        raise OSError(msg)

    monkeypatch.setattr(pair_cache, '_fill', beaten)
    assert cached_pairs(bag, CONFIG) == target
