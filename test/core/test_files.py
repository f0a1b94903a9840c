# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from monother_ros.core.files import atomic_folder, atomic_write, recover_folder, sha256_file


def test_file_is_replaced_whole(tmp_path):
    path = tmp_path / 'deep' / 'f.txt'
    atomic_write(path, 'eins')
    atomic_write(path, b'zwei')
    assert path.read_bytes() == b'zwei'
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = atomic_write(tmp_path / 'f', 'old')

    def fail(*_):
        raise OSError('no space')

    monkeypatch.setattr('os.fsync', fail)
    with pytest.raises(OSError, match='no space'):
        atomic_write(path, 'new')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / 'folder'
    with pytest.raises(KeyError), atomic_folder(target) as work:
        (work / 'a').write_text('1')
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    for text in ('1', '2'):
        with atomic_folder(target) as work:
            (work / text).write_text(text)
            assert not (target / text).exists()
        assert [p.name for p in target.iterdir()] == [text]
    assert list(tmp_path.iterdir()) == [target]


def test_old_folder_comes_back_when_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    target = tmp_path / 'folder'
    with atomic_folder(target) as work:
        (work / 'old').write_text('')
    replace = Path.replace

    def fail(self, to):
        if Path(to) == target and not (self / 'old').exists():
            raise OSError('lost')
        return replace(self, to)

    monkeypatch.setattr(Path, 'replace', fail)
    with pytest.raises(OSError, match='lost'), atomic_folder(target) as work:
        (work / 'new').write_text('')
    monkeypatch.undo()
    assert [p.name for p in target.iterdir()] == ['old']
    assert list(tmp_path.iterdir()) == [target]


def test_sha256(tmp_path):
    path = atomic_write(tmp_path / 'f', b'x' * 3_000_000)
    assert sha256_file(path) == hashlib.sha256(b'x' * 3_000_000).hexdigest()


def test_folder_of_a_killed_writer_is_put_right(tmp_path):
    target = tmp_path / 'state'
    with atomic_folder(target) as work:
        (work / 'a').write_text('old')
    # killed while a new one was written
    half = tmp_path / '.state.abcd'
    half.mkdir()
    (half / 'a').write_text('ne')
    other = tmp_path / '.states.abcd'
    other.mkdir()
    assert recover_folder(target) == ['.state.abcd']
    assert (target / 'a').read_text() == 'old' and other.is_dir()
    # killed between moving the old one aside and naming the new one
    aside = tmp_path / '.state.old.abcd'
    aside.mkdir()
    target.replace(aside / 'state')
    assert recover_folder(target) == ['.state.old.abcd']
    assert (target / 'a').read_text() == 'old'
    # killed before the old one was removed
    aside.mkdir()
    (aside / 'state').mkdir()
    assert recover_folder(target) == ['.state.old.abcd']
    assert (target / 'a').read_text() == 'old'
    assert recover_folder(target) == [] == recover_folder(tmp_path / 'none' / 'state')
