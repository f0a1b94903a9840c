# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def _fsync_folder(path: Path) -> None:
    """Make a rename in a folder durable; a file system without it is left alone."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(path: str | Path, data: bytes | str) -> Path:
    """
    Write a file so that a reader sees the old content or the new one, never a part.

    :param path: target; its folder is made where it is missing.
    :param data: whole content; text is written as UTF-8.
    :returns: the target path.
    :raises OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    with atomic_path(path) as work:
        work.write_bytes(data.encode() if isinstance(data, str) else data)
    return Path(path)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """
    Write a temporary file that takes the target's place when the block ends without an error.

    For writers that want a path; see :func:`atomic_write` for content that is at hand.

    :param path: target; its folder is made where it is missing.
    :yields: path of the temporary file, empty, beside the target.
    :raises OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f'.{target.name}.', dir=target.parent)
    os.close(fd)
    work = Path(name)
    try:
        yield work
        with work.open('rb') as handle:
            os.fsync(handle.fileno())
        work.chmod(0o644)
        work.replace(target)
    except BaseException:
        work.unlink(missing_ok=True)
        raise
    _fsync_folder(target.parent)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """
    Fill a temporary folder and move it into place when the block ends without an error.

    An existing target is replaced: it is moved aside first and removed last, so a crash leaves
    either the old or the new folder complete under one of the two names.

    :param path: target folder.
    :yields: the temporary folder to write into.
    :raises OSError: a file could not be written; the target is as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f'.{target.name}.', dir=target.parent))
    try:
        yield work
        for item in (*sorted(work.rglob('*')), work):
            # names are made durable as well, or a power cut could leave a folder that lacks files
            if item.is_dir():
                _fsync_folder(item)
            elif item.is_file():
                with item.open('rb') as handle:
                    os.fsync(handle.fileno())
        work.chmod(0o755)
        old = None
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f'.{target.name}.old.', dir=target.parent))
            target.replace(old / target.name)
        try:
            work.replace(target)
        except BaseException:
            if old is not None:
                (old / target.name).replace(target)
                old.rmdir()
            raise
        _fsync_folder(target.parent)
        if old is not None:
            shutil.rmtree(old)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def recover_folder(path: str | Path) -> list[str]:
    """
    Put right what a writer that was killed in :func:`atomic_folder` left beside its target.

    A target that was moved aside and never replaced comes back; what was half written goes. For
    the one process that writes the target, before it does.

    :param path: target folder.
    :returns: names of what was removed.
    :raises OSError: the folder around the target cannot be read or written.
    """
    target = Path(path)
    removed = []
    for item in sorted(target.parent.glob(f'.{target.name}.*')):
        if not item.is_dir() or item.is_symlink():
            continue
        kept = item / target.name
        moved_aside = item.name.startswith(f'.{target.name}.old.') and kept.is_dir()
        if moved_aside and not target.exists():
            kept.replace(target)
        shutil.rmtree(item)
        removed.append(item.name)
    return removed


def sha256_file(path: str | Path) -> str:
    """
    Digest of a file's content.

    :param path: file to read.
    :returns: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with Path(path).open('rb') as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
