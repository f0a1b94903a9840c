# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Plans on disk, so that a network is compiled once on a machine.

Each plan lies in a folder named by the hash of everything that it depends on. A folder appears
whole or not at all, and what does not agree with its own record is removed and built again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import EngineError
from monother_ros.core.files import atomic_folder, atomic_write, recover_folder
from monother_ros.core.parsing import parse_json
from monother_ros.engines.trt_key import CacheKey, Gpu, bundle_hash, make_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monother_ros.engines.trt_api import TrtApi

__all__ = [
    'FOLDER_VARIABLE',
    'LIMIT',
    'CacheEntry',
    'CacheKey',
    'EngineCache',
    'Gpu',
    'bundle_hash',
    'default_folder',
    'make_key',
]

FOLDER_VARIABLE = 'MONOTHER_ENGINES'
LIMIT = 4_000_000_000
"""Bytes of plans that are kept, if nothing else is said."""

PLAN = 'engine.plan'
ENTRY = 'entry.json'
_FORMAT = 1
_POLL = 0.1
_LOCKS = 'locks'
_TIMINGS = 'timings'


def default_folder() -> Path:
    """``$MONOTHER_ENGINES``, else ``~/.cache/monother_ros/engines``."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'monother_ros' / 'engines'


@dataclass(frozen=True)
class CacheEntry:
    """
    One plan on disk.

    :param path: its folder.
    :param key: everything it depends on, as :meth:`CacheKey.as_dict`.
    :param sha256: of the plan.
    :param size: of the plan in bytes.
    :param created: seconds since 1970.
    :param used: seconds since 1970, last time it was loaded.
    :param notes: name and revision of the bundle, seconds of the build; for people.
    :param acceptance: record of the comparison with the reference; None before it was made.
    """

    path: Path
    key: dict[str, Any]
    sha256: str
    size: int
    created: float
    used: float
    notes: dict[str, Any] = field(default_factory=dict)
    acceptance: dict[str, Any] | None = None


class EngineCache:
    """
    Plans of this machine.

    Several processes may use one folder. Plans that were not used for longest go where all of
    them are larger than the limit.

    :param folder: None for :func:`default_folder`.
    :param limit_bytes: of all plans; the newest stays even where it alone is larger.
    """

    def __init__(self, folder: str | Path | None = None, limit_bytes: int = LIMIT) -> None:
        """See the class."""
        self.folder = default_folder() if folder is None else Path(folder)
        self.limit_bytes = limit_bytes

    def path(self, key: CacheKey) -> Path:
        """
        Folder of a plan, whether it is there or not.

        :param key: see there.
        """
        return self.folder / key.digest

    def timing_path(self, api: TrtApi, gpu: Gpu) -> Path:
        """
        File of measured times of kernels, shared by all builds for one GPU and TensorRT.

        :param api: with what is built.
        :param gpu: for what.
        """
        text = '\n'.join((api.flavour, api.version, gpu.name, gpu.capability, gpu.l4t))
        name = f'{hashlib.sha256(text.encode()).hexdigest()[:16]}.cache'
        return self.folder / _TIMINGS / name

    def load(self, key: CacheKey) -> tuple[CacheEntry, bytes] | None:
        """
        A plan, compared with its record.

        :param key: what is wanted.
        :returns: the entry and the plan; None where there is none. One that is damaged or belongs
            to another key is removed first.
        """
        path = self.path(key)
        if not path.is_dir():
            return None
        try:
            entry = _read_entry(path)
            plan = (path / PLAN).read_bytes()
        except (OSError, ValueError):
            _discard(path)
            return None
        whole = hashlib.sha256(plan).hexdigest() == entry.sha256
        if not whole or entry.key != key.as_dict():
            _discard(path)
            return None
        with contextlib.suppress(OSError):  # a cache on a read-only disk still serves
            os.utime(path / ENTRY)
        return entry, plan

    def store(
        self,
        key: CacheKey,
        plan: bytes,
        notes: dict[str, Any] | None = None,
        acceptance: dict[str, Any] | None = None,
    ) -> CacheEntry:
        """
        Keep a plan, whole or not at all, and make room for it.

        :param key: what it depends on.
        :param plan: its content.
        :param notes: for people.
        :param acceptance: how it compares with the reference, where that is known already.
        :returns: the entry.
        :raises EngineError: the disk is full or the folder cannot be written.
        """
        path = self.path(key)
        digest = hashlib.sha256(plan).hexdigest()
        now = time.time()
        entry = CacheEntry(
            path, key.as_dict(), digest, len(plan), now, now, notes or {}, acceptance
        )
        try:
            with atomic_folder(path) as work:
                (work / PLAN).write_bytes(plan)
                (work / ENTRY).write_text(_text(entry), encoding='utf-8')
        except OSError as err:
            msg = f'the plan cannot be kept in {self.folder}: {err}; make room or name another'
            raise EngineError(f'{msg} folder with ${FOLDER_VARIABLE}') from err
        self.trim(keep=path)
        return entry

    def accept(self, entry: CacheEntry, acceptance: dict[str, Any]) -> CacheEntry:
        """
        Write down how a plan compares with the reference.

        :param entry: of the plan.
        :param acceptance: any JSON.
        :returns: the entry with it.
        :raises EngineError: it cannot be written, or the plan has gone.
        """
        new = CacheEntry(**{**_fields(entry), 'acceptance': acceptance})
        try:
            if not (entry.path / PLAN).is_file():
                raise FileNotFoundError(entry.path / PLAN)
            atomic_write(entry.path / ENTRY, _text(new))
        except OSError as err:
            msg = f'the record of {entry.path} cannot be written: {err}'
            raise EngineError(msg) from err
        return new

    def obtain(
        self,
        key: CacheKey,
        build: Callable[[], bytes],
        notes: dict[str, Any] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[CacheEntry, bytes, bool]:
        """
        A plan from the cache, or built; of several processes one builds and the others wait.

        :param key: what is wanted.
        :param build: makes the plan.
        :param notes: for people; the seconds of the build are added.
        :param cancelled: asked while another process builds.
        :returns: the entry, the plan, and whether it was there already.
        :raises EngineError: what `build` raises, or the plan cannot be kept.
        """
        found = self.load(key)
        if found is not None:
            return *found, True
        with self.locked(key, cancelled):
            found = self.load(key)
            if found is not None:
                return *found, True
            recover_folder(self.path(key))
            begin = time.monotonic()
            plan = build()
            seconds = round(time.monotonic() - begin, 3)
            entry = self.store(key, plan, {**(notes or {}), 'build_seconds': seconds})
            return entry, plan, False

    @contextlib.contextmanager
    def locked(self, key: CacheKey, cancelled: Callable[[], bool] | None = None) -> Iterator[None]:
        """
        Be the only process that builds for a key; the kernel frees the lock of one that dies.

        :param key: see there.
        :param cancelled: asked while waiting.
        :raises EngineError: cancelled, or the folder cannot be written.
        """
        path = self.folder / _LOCKS / f'{key.digest[:32]}.lock'
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as err:
            msg = f'{path} cannot be written: {err}; name another folder with ${FOLDER_VARIABLE}'
            raise EngineError(msg) from err
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # noqa: PERF203
                    if cancelled is not None and cancelled():
                        msg = 'stopped while another process built the engine'
                        raise EngineError(msg) from None
                    time.sleep(_POLL)
                else:
                    break
            yield
        finally:
            os.close(fd)

    def entries(self) -> list[CacheEntry]:
        """Every readable plan, the one used last first; what is not readable is left out."""
        found = []
        for path in self._folders():
            with contextlib.suppress(OSError, ValueError):
                found.append(_read_entry(path))
        return sorted(found, key=lambda entry: -entry.used)

    def find(self, name: str) -> CacheEntry:
        """
        An entry by the beginning of its name.

        :param name: some of the digits of its hash.
        :raises EngineError: none begins so, or several do.
        """
        found = [entry for entry in self.entries() if entry.path.name.startswith(name)]
        if len(found) == 1:
            return found[0]
        count = 'no plan' if not found else f'{len(found)} plans'
        msg = f'{count} in {self.folder} with a name that begins with {name!r}'
        raise EngineError(msg)

    def remove(self, entry: CacheEntry) -> None:
        """
        Remove a plan; an engine that runs it goes on.

        :param entry: of it.
        """
        _discard(entry.path)

    def trim(self, limit_bytes: int | None = None, keep: Path | None = None) -> list[CacheEntry]:
        """
        Remove the plans that were not used for longest until the rest fits.

        :param limit_bytes: of all plans; None for the limit of this cache.
        :param keep: folder of a plan that stays.
        :returns: what was removed.
        """
        limit = self.limit_bytes if limit_bytes is None else limit_bytes
        total, removed = 0, []
        for entry in sorted(self.entries(), key=lambda e: (e.path != keep, -e.used)):
            total += entry.size
            if total > limit and entry.path != keep:
                _discard(entry.path)
                removed.append(entry)
        return removed

    def clean(self) -> list[str]:
        """
        Remove what is damaged or was left half written.

        :returns: names of what was removed.
        """
        removed = []
        for path in self._folders():
            try:
                entry = _read_entry(path)
                good = hashlib.sha256((path / PLAN).read_bytes()).hexdigest() == entry.sha256
            except (OSError, ValueError):
                good = False
            if not good:
                _discard(path)
                removed.append(path.name)
        for path in self._leftovers():
            _discard(path)
            removed.append(path.name)
        return removed

    def _folders(self) -> list[Path]:
        """Folders that are named as entries are."""
        if not self.folder.is_dir():
            return []
        return sorted(
            p for p in self.folder.iterdir() if len(p.name) == 64 and not p.name.startswith('.')
        )

    def _leftovers(self) -> list[Path]:
        """What writers left that were killed; that of one at work is younger than an hour."""
        if not self.folder.is_dir():
            return []
        old = time.time() - 3600
        found = []
        for path in self.folder.glob('.*'):
            with contextlib.suppress(OSError):
                if path.is_dir() and path.stat().st_mtime < old:
                    found.append(path)
        return found


def _discard(path: Path) -> None:
    """Remove a folder so that nobody sees half of it."""
    aside = path.with_name(f'.{path.name}.gone.{os.getpid()}')
    with contextlib.suppress(OSError):
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


def _fields(entry: CacheEntry) -> dict[str, Any]:
    """Fields of an entry, not copied."""
    return {name: getattr(entry, name) for name in entry.__dataclass_fields__}


def _text(entry: CacheEntry) -> str:
    """Record of a plan as JSON."""
    data = {'format': _FORMAT, **_fields(entry)}
    del data['path'], data['used']
    return json.dumps(data, indent=2) + '\n'


def _read_entry(path: Path) -> CacheEntry:
    """
    Record of a plan.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no record of this format, or the plan has another size.
    """
    record = path / ENTRY
    data = parse_json(record.read_text(encoding='utf-8'))
    used = record.stat().st_mtime
    if not isinstance(data, dict) or data.pop('format', None) != _FORMAT:
        msg = f'{record} is of another format'
        raise ValueError(msg)
    try:
        entry = CacheEntry(path=path, used=used, **data)
    except TypeError as err:
        msg = f'{record} lacks something: {err}'
        raise ValueError(msg) from err
    if not isinstance(entry.key, dict) or (path / PLAN).stat().st_size != entry.size:
        msg = f'{path / PLAN} is not as long as its record says'
        raise ValueError(msg)
    return entry
