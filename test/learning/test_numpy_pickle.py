# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import collections
import io
import pickle
import struct

import numpy as np
import pytest

from monother_ros.core.errors import DatasetError
from monother_ros.learning.numpy_pickle import load_dict

REFUSED = r'was not loaded: it asks for .*; take the file from its publisher again'


def write(path, pickled):
    """An object array whose pickle is given."""
    data = io.BytesIO()
    header = {'descr': '|O', 'fortran_order': False, 'shape': ()}
    np.lib.format.write_array_header_1_0(data, header)
    path.write_bytes(data.getvalue() + pickled)
    return path


def saved(path, content, protocol):
    """A dictionary as numpy.save writes it."""
    box = np.empty((), object)
    box[()] = content
    return write(path, pickle.dumps(box, protocol))


def under_old_names(pickled):
    """The pickle as numpy 1 writes it: other module names, shorter by one."""
    framed = pickled[2:11] if pickled[2:3] == b'\x95' else b''
    body = pickled[2 + len(framed) :]
    for name in (b'multiarray', b'numeric'):
        new, old = (b'numpy.' + core + b'.' + name for core in (b'_core', b'core'))
        body = body.replace(b'\x8c' + bytes([len(new)]) + new, b'\x8c' + bytes([len(old)]) + old)
        body = body.replace(b'c' + new, b'c' + old)
    if framed:
        framed = b'\x95' + struct.pack('<Q', len(body))
    return pickled[:2] + framed + body


CONTENT = {
    'matrix': np.arange(9.0).reshape(3, 3),
    'columns first': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    'big end first': np.arange(4, dtype='>i4'),
    'nothing': np.empty((0, 3)),
    'flags': np.array([True, False]),
    'words': np.array(['left', 'righter']),
    'objects': np.asfortranarray(np.array([[1, 'a', None], [2, [3], {4: 5}]], object)),
    'one': np.array(2.5),
    'number': np.float32(0.1),
    'integer': np.int64(-7),
}


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
@pytest.mark.parametrize('old', [False, True])
def test_everything_that_calibrations_hold(tmp_path, protocol, old):
    box = np.empty((), object)
    box[()] = CONTENT
    pickled = pickle.dumps(box, protocol)
    if np.__version__.startswith('2') and old:
        pickled = under_old_names(pickled)
        assert b'numpy._core' not in pickled
        assert b'numpy.core' in pickled
    found = load_dict(write(tmp_path / 'calib.npy', pickled))
    assert found.keys() == CONTENT.keys()
    for name, wanted in CONTENT.items():
        assert type(found[name]) is type(wanted), name
        assert found[name].dtype == wanted.dtype, name
        assert found[name].shape == wanted.shape, name
        np.testing.assert_array_equal(found[name], wanted, name)
    found['matrix'][0, 0] = 5.0  # memory of its own, not of the file


@pytest.mark.parametrize('protocol', [2, 4])
def test_nested_and_shared_content(tmp_path, protocol):
    eye = np.eye(3)
    content = {'a': [eye, (eye, {'deep': eye})], 'b': collections.OrderedDict(c=eye), 'd': {1, 2}}
    found = load_dict(saved(tmp_path / 'calib.npy', content, protocol))
    np.testing.assert_array_equal(found['a'][1][1]['deep'], eye)
    assert found['a'][0] is found['b']['c']
    assert found['d'] == {1, 2}
    # fifty levels of a list that holds its part twice are no 2^50 copies
    twice = [eye]
    for _ in range(50):
        twice = [twice, twice]
    assert len(load_dict(saved(tmp_path / 'calib.npy', {'twice': twice}, 4))['twice']) == 2


class _Calls:
    """Asks to be made by a call."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


class _Typed:
    """An array of raw bytes whose type says something else."""

    def __init__(self, code, state):
        self.code, self.state = code, state

    def __reduce__(self):
        make = np.zeros(1).__reduce__()[0]
        kind = _Calls(np.dtype, (self.code, False, True), self.state)
        return make, (np.ndarray, (0,), b'b'), (1, (1,), kind, False, b'\x01' * 8)


@pytest.mark.parametrize(
    'content',
    [
        _Calls(eval, ("open('ran', 'w')",)),
        _Calls(print, ('ran',)),
        _Calls(getattr, ('text', 'format')),
        _Calls(np.fromfile, ('/dev/zero', 'u1', 4)),
        _Calls(np.load, ('calib.npy',)),
        # fields beyond the element that would read memory as an object
        _Typed('V8', (3, '|', None, ('a',), {'a': (np.dtype('O'), 4096)}, 8, 1, 0)),
        _Typed('V8', (3, '|', None, None, None, 8, 1, 63)),
        _Typed('f8', (3, '<', (np.dtype('O'), (1,)), None, None, -1, -1, 63)),
        _Typed('M8[s]', (4, '<', None, None, None, -1, -1, 0, ({}, (b's', 1, 1, 1)))),
        np.array([(1.0, 2)], dtype=[('x', 'f8'), ('n', 'i4')]),
    ],
)
@pytest.mark.parametrize('protocol', [2, 4])
def test_nothing_is_called_and_no_type_is_trusted(
    tmp_path, monkeypatch, capsys, content, protocol
):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / 'calib.npy', {'K_thrL': content}, protocol)
    with pytest.raises(DatasetError, match=REFUSED):
        load_dict(path)
    assert [p.name for p in tmp_path.iterdir()] == ['calib.npy']
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    'program',
    [
        b'\x80\x04\x8c\x05numpy\x8c\x0endarray.__init__\x93.',  # attributes of a known name
        b'\x80\x04\x8c\x05numpy\x8c\x10core.os.system.xx\x93.',
        b'\x80\x04K\x01Q.',  # an object outside of the file
        b'cnumpy\nndarray\n(I9999999\ntR.',  # the class itself is not called
        b'(S"x"\nios\nsystem\n.',
        b'\x80\x02]q\x00h\x00a.',  # a list of itself
        b'\x80\x02}q\x00K\x01h\x00s.',  # a dictionary of itself
        b'\x80\x04}.'[:-1],
        b'',
        b'garbage',
    ],
)
def test_damaged_and_forged_files_give_one_kind_of_error(tmp_path, program):
    with pytest.raises(DatasetError, match=r'calib\.npy'):
        load_dict(write(tmp_path / 'calib.npy', program))


def test_lengths_that_do_not_fit_are_refused(tmp_path):
    make = np.zeros(1).__reduce__()[0]
    for shape in ((3, 3), (10**12,), (-1, 2)):
        kind = _Calls(np.dtype, ('f8', False, True), (3, '<', None, None, None, -1, -1, 0))
        array = _Calls(make, (np.ndarray, (0,), b'b'), (1, shape, kind, False, b'\0' * 40))
        with pytest.raises(DatasetError, match=r'cannot be read as a \.npy file'):
            load_dict(saved(tmp_path / 'calib.npy', {'K': array}, 4))
