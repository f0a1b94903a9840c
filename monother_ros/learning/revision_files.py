# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names, links and the record of the revision in use: the file side of a store of revisions."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import AdaptationError, BundleError
from monother_ros.core.files import atomic_write, sha256_file
from monother_ros.core.manifest import Reader
from monother_ros.core.parsing import parse_json
from monother_ros.core.tensor_file import little
from monother_ros.learning.revision_lock import CHANGE_LOCK, WRITER_LOCK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LOG = logging.getLogger(__name__)

CURRENT = 'current.json'
COUNTER = 'counter.json'
WITHDRAWN = 'withdrawn.txt'

_SUFFIX = re.compile(r'-(?:a(\d+)|base)-[0-9a-f]{8}\Z')
_ROOT_LENGTH = 90


def root_of(revision: str) -> str:
    """
    Name that a revision and all its descendants begin with.

    :param revision: of any bundle.
    """
    return _SUFFIX.sub('', revision)[:_ROOT_LENGTH]


def number_of(name: str) -> int | None:
    """
    Number of a revision from its name.

    :param name: of a folder in a store.
    :returns: 0 for a base, None where it is no name of a revision.
    """
    match = _SUFFIX.search(name)
    if match is None or match.start() == 0:
        return None
    return int(match.group(1) or 0)


def revision_name(parent: str, number: int, content: str) -> str:
    """
    Name of a new revision.

    :param parent: revision that it was trained from.
    :param number: above 0; 0 for a base.
    :param content: digest of what is in it.
    """
    kind = f'a{number}' if number else 'base'
    return f'{root_of(parent)}-{kind}-{content[:8]}'


def values_digest(values: Mapping[str, NDArray[Any]]) -> str:
    """
    Digest of named arrays.

    :param values: by name.
    :returns: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(values):
        digest.update(f'{name} {values[name].shape} {values[name].dtype}\n'.encode())
        digest.update(little(values[name]))
    return digest.hexdigest()


def link_or_copy(source: Path, target: Path, digest: str, *, link: bool = True) -> None:
    """
    Give a file a second name, or copy it where the file system has no hard links.

    :param source: file of another revision.
    :param target: new name.
    :param digest: sha256 that it must have.
    :param link: False to copy always.
    :raises AdaptationError: the file was changed or damaged.
    :raises OSError: it cannot be read or written.
    """
    linked = False
    if link:
        try:
            os.link(source, target)
            linked = True
        except OSError as err:
            LOG.debug('no hard link to %s (%s): it is copied', source, err)
    if not linked:
        shutil.copyfile(source, target)
    if sha256_file(target) != digest:
        msg = f'{source} was changed or damaged since it was written; use another revision'
        raise AdaptationError(msg)


def plain(value: Any) -> Any:
    """
    Numbers of numpy as those of JSON; what is not finite becomes null.

    :param value: number, text, or mapping or sequence of such.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


@dataclass(frozen=True)
class Current:
    """
    Which revision is in use.

    :param revision: its name.
    :param digest: of its manifest, and so of all of it.
    :param previous: the one in use before; None for none.
    :param changed: seconds since 1970, UTC.
    """

    revision: str
    digest: str
    previous: str | None
    changed: float


def read_current(folder: Path) -> tuple[Current | None, str]:
    """
    Record of the revision in use.

    :param folder: of the store.
    :returns: the record, or None and why there is none that can be read.
    """
    path = folder / CURRENT
    try:
        data = parse_json(path.read_text(encoding='utf-8'))
        item = Reader(data, str(path))
        record = Current(
            item.identifier('revision'),
            item.text('digest'),
            item.optional_text('previous'),
            item.number('changed'),
        )
    except FileNotFoundError:
        return None, f'{path} is missing'
    except (OSError, ValueError, BundleError) as err:
        return None, f'{path} is damaged ({err})'
    return record, ''


def write_current(folder: Path, record: Current) -> None:
    """
    Replace the record of the revision in use, at once.

    :param folder: of the store.
    :param record: new one.
    :raises OSError: the disk is full; the old record stays.
    """
    text = {'format': 1, **record.__dict__}
    atomic_write(folder / CURRENT, json.dumps(text, indent=2) + '\n')


def next_number(folder: Path) -> int:
    """
    Take a number that no revision of the store ever had.

    :param folder: of the store; the caller is its only writer.
    :raises OSError: the disk is full.
    """
    path = folder / COUNTER
    used = [number_of(item.name) or 0 for item in folder.iterdir()]
    try:
        if path.exists():  # not so for the first one of a store
            used.append(int(parse_json(path.read_text(encoding='utf-8'))['last']))
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as err:
        LOG.warning('%s is damaged (%s): numbers go on from the newest folder', path, err)
    number = max(used, default=0) + 1
    atomic_write(path, json.dumps({'last': number}) + '\n')
    return number


def remove_folder(path: Path) -> None:
    """
    Remove a revision so that no half of it is ever found under its name.

    :param path: its folder.
    :raises OSError: it cannot be removed.
    """
    trash = Path(tempfile.mkdtemp(prefix='.trash.', dir=path.parent))
    path.replace(trash / path.name)
    shutil.rmtree(trash)


def sweep(folder: Path) -> list[str]:
    """
    Remove what a killed writer left behind.

    :param folder: of the store; the caller holds both locks.
    :returns: names of what was removed.
    """
    removed = []
    for item in folder.iterdir():
        if not item.name.startswith('.') or item.name in (WRITER_LOCK, CHANGE_LOCK):
            continue
        try:
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
        except OSError as err:
            LOG.warning('the leftover %s cannot be removed: %s', item, err)
            continue
        removed.append(item.name)
    return removed
