# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from monother_ros.core.errors import BundleError
from monother_ros.core.tensor_file import (
    ALIGNMENT,
    iterate_tensors,
    layout,
    read_entries,
    read_tensors,
    write_tensors,
)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(3)
    return {
        'half': rng.normal(size=(3, 5)).astype(np.float16),
        'full': rng.normal(size=(2, 3, 1)).astype(np.float32),
        'number': np.asarray(-4.5, np.float32),
        'none': np.zeros((0, 4), np.float32),
        'count': np.arange(7),
        'yes': np.asarray([True, False]),
        'turned': rng.normal(size=(4, 6)).astype(np.float32).T,
    }


def test_arrays_come_back_as_they_were(tmp_path, arrays):
    write_tensors(tmp_path / 'f', arrays)
    found = read_tensors(tmp_path / 'f')
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        np.testing.assert_array_equal(found[name], value)
    for name, entry in read_entries(tmp_path / 'f').items():
        assert entry.start % arrays[name].dtype.itemsize == 0, f'{name} is not aligned'


def test_some_arrays_in_the_order_asked_for(tmp_path, arrays):
    write_tensors(tmp_path / 'f', arrays)
    assert [name for name, _ in iterate_tensors(tmp_path / 'f', ['yes', 'half'])] == [
        'yes',
        'half',
    ]
    with pytest.raises(BundleError, match='holds no array gone'):
        read_tensors(tmp_path / 'f', ['half', 'gone'])


def test_same_format_as_the_safetensors_package(tmp_path, arrays):
    package = pytest.importorskip('safetensors.numpy')
    given = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    write_tensors(tmp_path / 'ours', arrays)
    for name, value in package.load_file(tmp_path / 'ours').items():
        np.testing.assert_array_equal(value, given[name])
    package.save_file(given, tmp_path / 'theirs', {'note': 'with metadata'})
    for name, value in read_tensors(tmp_path / 'theirs').items():
        np.testing.assert_array_equal(value, given[name])


def test_layout_refuses_what_cannot_be_stored():
    with pytest.raises(BundleError, match='complex64'):
        layout([('z', 'complex64', (1,))])
    with pytest.raises(BundleError, match='twice'):
        layout([('a', 'float32', (1,)), ('a', 'float32', (1,))])
    assert len(layout([('a', 'float32', (1,))])[0]) % ALIGNMENT == 0


def header(fields):
    text = json.dumps(fields).encode()
    return struct.pack('<Q', len(text)) + text


def entry(dtype, shape, *places):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': list(places)}


DAMAGED = {
    'empty': (b'', 'cut off'),
    'short': (b'123', 'cut off'),
    'header beyond the file': (struct.pack('<Q', 1 << 60) + b'{}', 'cut off'),
    'no JSON': (struct.pack('<Q', 2) + b'{x', 'header of .* is damaged'),
    'no object': (header([1]), 'must be a JSON object'),
    'unknown type': (header({'a': entry('BF16', [1], 0, 2)}) + b'12', "'dtype' must be one of"),
    'wrong size': (header({'a': entry('F32', [2], 0, 4)}) + b'1234', r'no place for \[2\]'),
    'negative': (header({'a': entry('F32', [-1], 0, -4)}), 'no place for'),
    'hole': (header({'a': entry('F32', [1], 4, 8)}) + b'12345678', 'do not follow'),
    'overlap': (
        header({'a': entry('F32', [1], 0, 4), 'b': entry('F32', [1], 0, 4)}) + b'1234',
        'do not follow',
    ),
    'cut off data': (header({'a': entry('F32', [2], 0, 8)}) + b'1234', 'its header says'),
    'more data': (header({'a': entry('F32', [1], 0, 4)}) + b'12345', 'its header says'),
}


@pytest.mark.parametrize('case', DAMAGED)
def test_damaged_files_are_refused(tmp_path, case):
    content, sentence = DAMAGED[case]
    (tmp_path / 'f').write_bytes(content)
    with pytest.raises(BundleError, match=sentence):
        read_tensors(tmp_path / 'f')


def test_missing_file(tmp_path):
    with pytest.raises(BundleError, match='cannot be read'):
        read_entries(tmp_path / 'f')
