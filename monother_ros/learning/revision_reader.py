# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a store of revisions: what is there, what is in use, what to use if that is damaged."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from monother_ros.core.bundle import Bundle, load_bundle
from monother_ros.core.errors import AdaptationError, BundleError
from monother_ros.learning.revision_content import ancestors_of, base_name
from monother_ros.learning.revision_files import (
    CURRENT,
    WITHDRAWN,
    Current,
    number_of,
    read_current,
    root_of,
)

LOG = logging.getLogger(__name__)

FOLDER_VARIABLE = 'MONOTHER_REVISIONS'
"""Environment variable: folder of the store where none is named."""


def default_folder() -> Path:
    """Store of this user: $MONOTHER_REVISIONS, else ~/.local/share/monother_ros/revisions."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path.home() / '.local/share/monother_ros/revisions'


def descends(revision: Bundle, base: Bundle) -> bool:
    """
    Whether a revision was learned from a model, so that it may run in its place.

    :param revision: of a store.
    :param base: the model as it came: outside of the store, or its base in the store.
    """
    origin = revision.training.get('base')
    if revision.external is None or not isinstance(origin, dict):
        return False
    other = base.training.get('base') if base.external is not None else None
    digest = other.get('digest') if isinstance(other, dict) else base.digest
    return bool(origin.get('digest') == digest)


class Good(NamedTuple):
    """
    Revision to use, and why it is not the one that was put in use.

    :param bundle: checked; None where there is none.
    :param reason: '' where it is the one in use, as it was.
    """

    bundle: Bundle | None
    reason: str


@dataclasses.dataclass(frozen=True)
class RevisionInfo:
    """
    One revision of a store.

    :param name: of the revision and of its folder.
    :param number: grows with every revision of the store; 0 for a model as it came.
    :param path: its folder.
    :param bundle: None where it is damaged.
    :param defect: what is wrong with it; '' for nothing.
    :param withdrawn: why it is not to be used by itself any more; '' for not withdrawn.
    :param current: whether it is in use.
    :param bytes: size of its files.
    :param own_bytes: size of the files that no other revision shares.
    """

    name: str
    number: int
    path: Path
    bundle: Bundle | None
    defect: str
    withdrawn: str
    current: bool
    bytes: int
    own_bytes: int

    @property
    def parent(self) -> str | None:
        """Revision that it was trained from."""
        return self.bundle.parent if self.bundle else None

    @property
    def metrics(self) -> dict[str, Any]:
        """What it reached; see docs/revisions.md for the keys."""
        return self.bundle.metrics if self.bundle else {}

    @property
    def written(self) -> str:
        """When it was written, UTC, as in ISO 8601; '' where that is not known."""
        return str(self.bundle.training.get('written', '')) if self.bundle else ''


class RevisionReader:
    """
    Folder of revisions, to read from: needs no lock, changes nothing, no folder need be there.

    :param folder: of the store.
    """

    def __init__(self, folder: str | Path) -> None:
        """See the class."""
        self.folder = Path(folder)
        self._seen = self._stamp()

    def path(self, revision: str) -> Path:
        """
        Folder of a revision.

        :param revision: its name.
        :raises AdaptationError: it is no name of a revision of this store.
        """
        folder = self.folder / revision
        if number_of(revision) is None or '/' in revision or not folder.is_dir():
            msg = (
                f'there is no revision {revision!r} in {self.folder}; see monother revisions list'
            )
            raise AdaptationError(msg)
        return folder

    def load(self, revision: str) -> Bundle:
        """
        One revision, every file checked.

        :param revision: its name.
        :raises AdaptationError: it is not there.
        :raises BundleError: it is damaged.
        """
        bundle = load_bundle(self.path(revision))
        if bundle.revision != revision:
            msg = f'{bundle.path} holds the revision {bundle.revision}; the folder was renamed'
            raise BundleError(msg)
        return bundle

    def revisions(self, *, verify: bool = False) -> list[RevisionInfo]:
        """
        What is in the store, oldest first.

        :param verify: read every file and compare its hash, not only the manifests.
        """
        record, _ = read_current(self.folder)
        found = [self._info(name, record, verify) for name in self._names()]
        return sorted(found, key=lambda item: item.number)

    def good(self) -> Good:
        """
        The revision in use, or the best one to use instead where that one cannot be.

        In this order: the one in use, the one before it, then from the newest to the oldest what
        was not withdrawn, and the model as it came; of the same model first.
        """
        while True:
            stamp = self._stamp()
            found = self._good()
            # what another process replaced and removed while it was looked at is no defect
            if not found.reason or stamp == self._stamp():
                return found

    def _good(self) -> Good:
        """As :meth:`good`, looked at once."""
        if not self.folder.is_dir():
            return Good(None, f'there are no revisions in {self.folder}')
        record, reason = read_current(self.folder)
        reasons = [reason] if reason else []
        for name in self._order(record):
            first = record is not None and name == record.revision
            if (self.folder / name / WITHDRAWN).exists():
                if first:
                    reasons.append(f'{name} was withdrawn')
                continue
            try:
                bundle = self.load(name)
            except (AdaptationError, BundleError) as err:
                reasons.append(f'{name}: {err}')
                continue
            if first and record is not None and bundle.digest != record.digest:
                reasons.append(f'{name} is not what was put in use: its manifest was changed')
                continue
            return Good(bundle, '; '.join(reasons))
        return Good(None, '; '.join([*reasons, f'there is no usable revision in {self.folder}']))

    def _order(self, record: Current | None) -> list[str]:
        """Names of the revisions, the best to use first."""
        names = self._names()
        if record is None:
            return sorted(names, key=lambda name: -(number_of(name) or 0))
        root = root_of(record.revision)
        rest = sorted(names, key=lambda name: (root_of(name) != root, -(number_of(name) or 0)))
        named = [name for name in (record.revision, record.previous) if name]
        return [*named, *(name for name in rest if name not in named)]

    def current(self) -> Bundle | None:
        """Revision in use or the best one instead, which is logged; None for an empty store."""
        found = self.good()
        if found.reason and found.bundle is not None:
            LOG.warning('using revision %s: %s', found.bundle.revision, found.reason)
        return found.bundle

    def newest(self) -> Bundle | None:
        """Newest revision that is whole and was not withdrawn; None for an empty store."""
        for info in reversed(self.revisions()):
            if not info.defect and not info.withdrawn:
                try:
                    return self.load(info.name)
                except (AdaptationError, BundleError) as err:
                    LOG.warning('revision %s cannot be used: %s', info.name, err)
        return None

    def lineage(self, revision: str) -> list[str]:
        """
        A revision and those that it was trained from, nearest first, back to the base.

        Names of revisions that were pruned since are among them.

        :param revision: its name.
        :raises AdaptationError: it is not there.
        :raises BundleError: its manifest is damaged.
        """
        bundle = load_bundle(self.path(revision), verify=False)
        return [revision, *ancestors_of(bundle)]

    def base(self, bundle: Bundle) -> Bundle | None:
        """
        The model as it came, in this store.

        :param bundle: the model outside of the store, or one of its revisions.
        :returns: checked; None where it is not here.
        """
        origin = bundle.training.get('base') if bundle.external is not None else None
        name = str(origin['revision']) if isinstance(origin, dict) else base_name(bundle)
        try:
            return self.load(name)
        except AdaptationError:
            return None
        except BundleError as err:
            LOG.warning('the base %s cannot be used: %s', name, err)
            return None

    def bytes(self) -> int:
        """Size on disk of all revisions; a file that several of them share counts once."""
        sizes: dict[tuple[int, int], int] = {}
        for name in self._names():
            for item in (self.folder / name).rglob('*'):
                if item.is_file():
                    found = item.stat()
                    sizes[found.st_dev, found.st_ino] = found.st_size
        return sum(sizes.values())

    def changed(self) -> bool:
        """
        Whether another revision was put in use since the last call, or since this object was made.

        Costs one look at a file's stamp.
        """
        stamp, seen = self._stamp(), self._seen
        self._seen = stamp
        return stamp != seen

    def _names(self) -> list[str]:
        """Names of the folders that may be revisions."""
        try:
            items = list(self.folder.iterdir())
        except OSError:
            return []  # no store yet
        return [i.name for i in items if number_of(i.name) is not None and i.is_dir()]

    def _info(self, name: str, record: Current | None, verify: bool) -> RevisionInfo:
        """Describe one folder."""
        path = self.folder / name
        bundle, defect, withdrawn = None, '', ''
        try:
            found = load_bundle(path, verify=verify)
            if found.revision == name:
                bundle = found
            else:
                defect = f'the folder holds the revision {found.revision}'
        except BundleError as err:
            defect = str(err)
        mark = path / WITHDRAWN
        if mark.exists():
            try:
                withdrawn = mark.read_text(encoding='utf-8').strip() or 'withdrawn'
            except (OSError, UnicodeDecodeError) as err:
                withdrawn = f'withdrawn; the reason cannot be read ({err})'
        sizes = [item.stat() for item in path.rglob('*') if item.is_file()]
        return RevisionInfo(
            name=name,
            number=number_of(name) or 0,
            path=path,
            bundle=bundle,
            defect=defect,
            withdrawn=withdrawn,
            current=record is not None and record.revision == name,
            bytes=sum(item.st_size for item in sizes),
            own_bytes=sum(item.st_size for item in sizes if item.st_nlink == 1),
        )

    def _stamp(self) -> tuple[int, int, int]:
        """What changes when the record of the revision in use is replaced."""
        try:
            found = (self.folder / CURRENT).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_ino, found.st_size)
