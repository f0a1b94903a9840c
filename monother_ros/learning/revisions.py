# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The store of what was learned on the vehicle: one bundle folder for each revision of a model.

A revision is written under another name, checked by running it, and renamed: it is there whole or
not at all. The graph and the weights that the model came with are one file on disk for all of
them (hard links). ``current.json`` names the revision in use and is replaced at once. Any number
of processes may read a store; one may write revisions, and any may say which one is in use.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monother_ros.core.bundle import Bundle
from monother_ros.core.errors import AdaptationError, BundleError
from monother_ros.core.files import atomic_write
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import CheckFrame
from monother_ros.learning.revision_content import (
    ancestors_of,
    base_draft,
    expected_frames,
    new_draft,
    write_draft,
)
from monother_ros.learning.revision_files import (
    CURRENT,
    WITHDRAWN,
    Current,
    next_number,
    read_current,
    remove_folder,
    sweep,
    write_current,
)
from monother_ros.learning.revision_lock import WRITER_LOCK, Lock, changing
from monother_ros.learning.revision_reader import (
    FOLDER_VARIABLE,
    Good,
    RevisionInfo,
    RevisionReader,
    default_folder,
    descends,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

__all__ = [
    'FOLDER_VARIABLE',
    'CheckFrame',
    'Good',
    'RevisionInfo',
    'RevisionReader',
    'RevisionStore',
    'default_folder',
    'descends',
]

LOG = logging.getLogger(__name__)

LEAST = 3
"""Smallest limit of a store: the revision in use, the one before and a new one."""


class RevisionStore(RevisionReader):
    """
    Folder of revisions; see the module.

    Reading needs no lock and changes nothing. :meth:`acquire`, or the first write, makes this
    object the only writer until :meth:`close`.

    :param folder: of the store; made by the first write.
    :param limit: most revisions that are kept besides the model as it came, at least 3.
    :param threads: of the engine that checks a new revision.
    :raises AdaptationError: the limit is too small.
    """

    def __init__(self, folder: str | Path, limit: int = 10, threads: int = 1) -> None:
        """See the class."""
        self._writer = Lock(Path(folder) / WRITER_LOCK)
        self._gate = threading.Lock()
        if limit < LEAST:
            msg = f'a store of {limit} revisions is too small; {LEAST} is the least'
            raise AdaptationError(msg)
        super().__init__(folder)
        self.limit = limit
        self._options = EngineOptions(threads=threads, warmup=False)

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop being the writer."""
        self.close()

    def acquire(self) -> list[str]:
        """
        Become the only writer and remove what a killed one left behind.

        :returns: names of what was removed.
        :raises AdaptationError: another process writes, or the folder cannot be made.
        """
        with self._gate:
            return [] if self._writer.held else self._acquire()

    def _acquire(self) -> list[str]:
        """As :meth:`acquire`, by one thread."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._writer.acquire():
                msg = (
                    f'revisions in {self.folder} are being written by {self._writer.holder()}; '
                    'stop it, or name another folder'
                )
                raise AdaptationError(msg)
            with changing(self.folder):
                removed = sweep(self.folder)
        except OSError as err:
            self._writer.release()
            msg = f'{self.folder} cannot hold revisions: {err}'
            raise AdaptationError(msg) from err
        if removed:
            LOG.info('removed %s, left behind by a writer that was stopped', ', '.join(removed))
        return removed

    def close(self) -> None:
        """Stop being the writer; may be called again."""
        self._writer.release()

    def write_base(self, bundle: Bundle, inputs: Sequence[NDArray[Any]] | None = None) -> Bundle:
        """
        Put the model as it came into the store, and in use where nothing is.

        Its graph and weights are written apart, so that later revisions share them; it computes
        what the original computes. Going back to the factory is ``use`` of it.

        :param bundle: the model; one of its revisions gives their base.
        :param inputs: network inputs (1, C, h, w) for its stored frames; a made-up picture where
            none are given.
        :returns: the base in the store; an existing one is left as it is.
        :raises AdaptationError: it cannot be written, or another process writes.
        """
        known = self.base(bundle)
        if known is not None:
            self._use_first(known)
            return known
        if bundle.external is not None:
            msg = f'the base of {bundle.revision} is not in {self.folder}; give the model itself'
            raise AdaptationError(msg)
        self.acquire()
        frames = expected_frames(bundle, inputs, self._options)
        written = write_draft(
            self.folder,
            base_draft(bundle),
            frames,
            self._options,
            metrics=bundle.metrics,
            training=bundle.training,
        )
        self._use_first(written)
        return written

    def write(
        self,
        parent: Bundle,
        initialisers: Mapping[str, NDArray[Any]],
        *,
        weights: bytes | None,
        metrics: Mapping[str, Any],
        training: Mapping[str, Any],
        check: CheckFrame | Sequence[CheckFrame],
    ) -> Bundle:
        """
        Write a revision whole or not at all; it is not put in use.

        It is run on the stored frames before it gets its name.

        :param parent: what it was trained from: a revision of this store, or a model outside of
            it, which is put into the store as the base first.
        :param initialisers: new values by name of the ONNX initialiser, in its shape and type;
            those that are not named stay as in the parent.
        :param weights: content of weights.safetensors, to train on from; None for none.
        :param metrics: what it reached; see docs/revisions.md for the keys.
        :param training: how it was made, for people.
        :param check: frames with what the network must say about them (within
            :class:`monother_ros.engines.check.Tolerance`); stored with what the engine said.
        :returns: the revision, read back and checked.
        :raises AdaptationError: it does not compute what it should, a value does not fit or is
            not finite, the disk is full, or another process writes. Nothing is left behind.
        """
        self.acquire()
        source = parent if self._holds(parent) else self.write_base(parent)
        frames = [check] if isinstance(check, CheckFrame) else list(check)
        if not frames:
            msg = 'a revision needs at least one stored frame'
            raise AdaptationError(msg)
        try:
            number = next_number(self.folder)
        except OSError as err:
            msg = f'{self.folder} cannot be written: {err}; learning goes on without a revision'
            raise AdaptationError(msg) from err
        written = write_draft(
            self.folder,
            new_draft(source, number, initialisers, weights),
            frames,
            self._options,
            metrics=metrics,
            training=training,
        )
        try:
            self.prune()
        except AdaptationError as err:
            LOG.warning('old revisions stay: %s', err)
        return written

    def use(self, revision: str) -> Bundle:
        """
        Put a revision in use; one that was withdrawn is taken back.

        :param revision: its name.
        :returns: the revision, checked.
        :raises AdaptationError: it is not there or damaged, or the disk is full; the one in use
            stays.
        """
        try:
            with changing(self.folder):
                bundle = self.load(revision)
                record, _ = read_current(self.folder)
                previous = record.revision if record else None
                if record is not None and previous == revision:
                    previous = record.previous
                (bundle.path / WITHDRAWN).unlink(missing_ok=True)
                write_current(self.folder, Current(revision, bundle.digest, previous, time.time()))
        except BundleError as err:
            msg = f'revision {revision} cannot be used: {err}'
            raise AdaptationError(msg) from err
        except OSError as err:
            msg = f'{self.folder / CURRENT} cannot be written: {err}; the revision in use stays'
            raise AdaptationError(msg) from err
        return bundle

    def withdraw(self, revision: str, reason: str) -> None:
        """
        Mark a revision so that nobody uses it who is not asked to.

        :param revision: its name.
        :param reason: why, for people.
        :raises AdaptationError: it is not there, or the mark cannot be written.
        """
        try:
            with changing(self.folder):
                atomic_write(self.path(revision) / WITHDRAWN, reason + '\n')
        except OSError as err:
            msg = f'{revision} cannot be marked as withdrawn: {err}'
            raise AdaptationError(msg) from err

    def rollback(self, reason: str) -> Bundle:
        """
        Go back from the revision in use to the nearest good one that it was trained from.

        :param reason: why, for people; the revision that is left is marked with it.
        :returns: the revision that is in use now.
        :raises AdaptationError: there is none to go back to.
        """
        record, text = read_current(self.folder)
        if record is None:
            msg = f'there is no revision to go back from: {text}'
            raise AdaptationError(msg)
        try:
            ancestors = self.lineage(record.revision)[1:]
        except (AdaptationError, BundleError) as err:
            LOG.warning('the ancestors of %s are not known: %s', record.revision, err)
            ancestors = [record.previous] if record.previous else []
        for name in ancestors:
            if (self.folder / name / WITHDRAWN).exists():
                continue
            try:
                bundle = self.use(name)
            except AdaptationError as err:
                LOG.warning('going back further: %s', err)
                continue
            if (self.folder / record.revision).is_dir():
                self.withdraw(record.revision, reason)
            return bundle
        msg = f'{record.revision} has no good revision to go back to in {self.folder}'
        raise AdaptationError(msg)

    def remove(self, revision: str) -> None:
        """
        Remove a revision; it vanishes at once.

        :param revision: its name.
        :raises AdaptationError: it is in use, not there, or cannot be removed.
        """
        path = self.path(revision)
        try:
            with changing(self.folder):
                record, _ = read_current(self.folder)
                if record is not None and record.revision == revision:
                    msg = f'{revision} is in use; use another one first'
                    raise AdaptationError(msg)
                remove_folder(path)
        except OSError as err:
            msg = f'{path} cannot be removed: {err}'
            raise AdaptationError(msg) from err

    def prune(self) -> list[str]:
        """
        Remove revisions above the limit.

        Bases, the newest one, the one in use with its two nearest ancestors, and the one before
        stay. Of the others the newest stay; damaged and withdrawn ones go first.

        :returns: names of what was removed.
        :raises AdaptationError: one cannot be removed.
        """
        learned = [item for item in self.revisions() if item.number > 0]
        record, _ = read_current(self.folder)
        pinned = {item.name for item in learned[-1:]}
        if record is not None:
            pinned |= {record.revision, record.previous or ''}
            for item in learned:
                if item.current and item.bundle is not None:
                    pinned.update(ancestors_of(item.bundle)[:2])
        learned.sort(key=lambda i: (i.name in pinned, not (i.defect or i.withdrawn), i.number))
        surplus = max(len(learned) - self.limit, 0)
        removed = [item.name for item in learned[:surplus] if item.name not in pinned]
        for name in removed:
            self.remove(name)
        return removed

    def _holds(self, bundle: Bundle) -> bool:
        """Whether a bundle is a revision of this store."""
        return (
            bundle.path.parent.resolve() == self.folder.resolve() and bundle.external is not None
        )

    def _use_first(self, base: Bundle) -> None:
        """Put the best there is in use where the record of what is in use is lost."""
        record, reason = read_current(self.folder)
        if record is None:
            best = self.good().bundle or base
            LOG.info('%s: using revision %s', reason, best.revision)
            self.use(best.revision)
