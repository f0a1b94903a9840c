# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a damaged text or array makes of its parser is a ValueError."""

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.parsing import parse_json, parse_yaml, read_archive, read_array


def test_good_texts_are_read():
    assert parse_json('{"a": [1, 2.5, null]}') == {'a': [1, 2.5, None]}
    assert parse_json(b'"\xc3\xa4"') == 'ä'
    pytest.importorskip('yaml')
    assert parse_yaml('a: [1, 2.5, null]') == {'a': [1, 2.5, None]}


@pytest.mark.parametrize('text', ['', '{', '[' * 100_000, '{"a": 1,}', b'\xff'])
def test_texts_that_are_no_json(text):
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize('text', ['a: [', '[' * 3000, 'a: 2001-99-99', '!!python/object:os.x {}'])
def test_texts_that_are_no_yaml(text):
    pytest.importorskip('yaml')
    with pytest.raises(ValueError):
        parse_yaml(text)


def test_arrays_are_read_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / 'a.npy'
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(path, values)
    good = path.read_bytes()
    np.testing.assert_array_equal(read_array(path), values)
    for data in (b'', good[:40], good[:-4], good.replace(b'(3, 4)', b'(3, 4('), b'PK' + good):
        path.write_bytes(data)
        with pytest.raises(ValueError, match='no array'):
            read_array(path)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match='no array'):
        read_array(path)
    with pytest.raises(OSError):
        read_array(tmp_path / 'none.npy')


def test_archives_are_read_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez_compressed(path, a=np.arange(5), b=np.float64(2))
    good = path.read_bytes()
    found = read_archive(path)
    assert (
        found.keys() == {'a', 'b'} and found['a'].tolist() == [0, 1, 2, 3, 4] and found['b'] == 2
    )
    for data in (good[:50], good[:-30], b'x', good.replace(b'PK\x01\x02', b'PK\x01\x09')):
        path.write_bytes(data)
        with pytest.raises(ValueError, match='no archive'):
            read_archive(path)
