# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions as the depth node reads them: found by name, compared with the model, tried out."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from monother_ros.core.bundle import Bundle, load_bundle
from monother_ros.core.errors import BundleError, EngineError
from monother_ros.core.manifest import IDENTIFIER
from monother_ros.engines.base import Engine
from monother_ros.engines.check import check_engine, read_check
from monother_ros.learning.revision_files import WITHDRAWN, Current, read_current
from monother_ros.learning.revision_reader import RevisionReader, descends

T = TypeVar('T')

NICE = 5
"""Added to the niceness to read and check a revision: after the frames, before learning."""

SLOWER = 10.0
"""A revision is refused that takes this many times as long for a frame as the running one."""

SLOWEST = 5.0
"""Seconds for one frame that are always allowed: on a busy machine single frames may wait long."""

TIMED = 3
"""Frames that are timed; the fastest counts."""


class RevisionSource:
    """
    Reads a store of revisions that another process writes.

    :param folder: of the store; it may not exist yet.
    :param base: bundle of the `model` parameter; revisions must be of the same model.
    """

    def __init__(self, folder: Path, base: Bundle) -> None:
        self.folder = folder
        self.base = base
        self._store = RevisionReader(folder)

    def changed(self) -> Current | None:
        """
        Record of the revision in use, where it was written since the last call; cheap else.

        :raises BundleError: it was, and cannot be read.
        """
        if not self._store.changed():
            return None
        record, problem = read_current(self.folder)
        if record is None:
            raise BundleError(problem)
        return record

    def candidates(self) -> tuple[list[tuple[str, str]], str]:
        """
        Revisions to start with, best first.

        The one in use, the one in use before, then those that were not withdrawn from the newest
        to the oldest.

        :returns: names with the digests they must have (empty for any), and what is wrong with
            the record of the one in use; empty if fine.
        """
        self._store.changed()
        if not self.folder.is_dir():
            return [], ''
        record, problem = read_current(self.folder)
        try:
            known = [info for info in reversed(self._store.revisions()) if not info.withdrawn]
        except OSError as err:
            known, problem = [], f'{self.folder} cannot be read: {err}'
        else:
            problem = problem if known else ''  # a store that is only just being made
        digests = {}
        if record is not None:
            digests[record.revision] = record.digest
            if record.previous:
                digests.setdefault(record.previous, '')
        for info in known:
            digests.setdefault(info.name, '')
        return list(digests.items()), problem

    def overtaken(self, name: str, published_ns: int) -> str | None:
        """
        Whether another revision was put in use after a name was published on the topic.

        A latched name outlives what a person does with `monother revisions use`.

        :param name: from the topic.
        :param published_ns: when, nanoseconds since 1970; 0 where that is not known.
        :returns: the revision that was put in use since; None for none.
        """
        record, _ = read_current(self.folder)
        if record is None or record.revision == name or not published_ns:
            return None
        return record.revision if record.changed * 1e9 > published_ns else None

    def manifest_digest(self, name: str) -> str:
        """Digest of a revision by its manifest alone; empty where it cannot be read."""
        try:
            return self._load(name, verify=False).digest
        except BundleError:
            return ''  # load() says what is wrong

    def load(self, name: str, digest: str = '') -> Bundle:
        """
        Read a revision and verify every file of it.

        :param name: of the revision, or the name of the base's own.
        :param digest: that it must have; empty for any.
        :raises BundleError: the name is none, the revision is missing, damaged or of another
            model, or its digest is another one.
        """
        bundle = self._load(name, verify=True)
        if digest and bundle.digest != digest:
            msg = f'{name} was changed since it was put in use'
            raise BundleError(msg)
        if bundle.revision != name:
            msg = f'the folder {name} holds the revision {bundle.revision}'
            raise BundleError(msg)
        if bundle is not self.base and (bundle.path / WITHDRAWN).exists():
            msg = f'{name} was withdrawn; monother revisions use takes it back'
            raise BundleError(msg)
        if bundle.name != self.base.name:
            msg = f'{name} is a revision of the model {bundle.name}, not of {self.base.name}'
            raise BundleError(msg)
        for what in ('modality', 'inputs', 'normalisation'):
            wanted, found = getattr(self.base, what), getattr(bundle, what)
            if wanted != found:
                msg = f'{name} has other {what} than {self.base.name}: {found}, not {wanted}'
                raise BundleError(msg)
        if bundle is not self.base and not descends(bundle, self.base):
            msg = f'{name} was not learned from {self.base.name} {self.base.revision}'
            raise BundleError(msg)
        if bundle.outputs.keys() != self.base.outputs.keys():
            msg = f'{name} gives {", ".join(bundle.outputs)}, not {", ".join(self.base.outputs)}'
            raise BundleError(msg)
        return bundle

    def _load(self, name: str, *, verify: bool) -> Bundle:
        if not IDENTIFIER.fullmatch(name):
            msg = f'{name[:80]!r} is not the name of a revision; a path is never taken'
            raise BundleError(msg)
        path = self.folder / name
        if name == self.base.revision and not path.exists():
            return self.base
        return load_bundle(path, verify=verify)


def try_out(engine: Engine) -> float:
    """
    Run the stored frames of a revision through its engine, and warm it up by that.

    :param engine: of the revision, that nothing else uses yet.
    :returns: largest mean relative difference of depth from what it said when it was written.
    :raises EngineError: an output is not what is expected.
    :raises BundleError: there is no stored frame, or it is damaged.
    """
    frames = read_check(engine.bundle)
    if not frames:
        msg = f'{engine.bundle.revision} holds no stored frame to try it out with'
        raise BundleError(msg)
    return check_engine(engine, frames)


def check_speed(engine: Engine, usual: float | None) -> float:
    """
    Refuse an engine that is far slower than the running one.

    To be called at the priority of the frames, for the times to compare.

    :param engine: that has been warmed up.
    :param usual: seconds that the running engine takes for a frame, where known.
    :returns: seconds for a frame.
    :raises EngineError: it is too slow, or failed.
    """
    inputs = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in engine.bundle.inputs}
    limit = max(SLOWEST, SLOWER * (usual or 0.0))
    took = float('inf')
    for _ in range(TIMED):
        start = time.perf_counter()
        engine.infer(inputs)
        took = min(took, time.perf_counter() - start)
        if took <= limit:
            return took
    name = engine.bundle.revision
    msg = f'{name} takes {took:.2f} s for a frame; at most {limit:.2f} s is allowed'
    raise EngineError(msg)


def gently(function: Callable[[], T]) -> T:
    """
    Run something in a thread of its own that yields the processor to others (on Linux).

    Never for building an engine: the threads of its pool would inherit the niceness and keep it
    for every frame, as it can only be given back with a privilege.

    :returns: what the function returns.
    :raises Exception: what the function raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            if sys.platform == 'linux':
                thread = threading.get_native_id()
                own = os.getpriority(os.PRIO_PROCESS, thread)
                os.setpriority(os.PRIO_PROCESS, thread, min(own + NICE, 19))
            results.append(function())
        except BaseException as err:  # raised again where it was asked for
            errors.append(err)

    thread = threading.Thread(target=run, name='revision files', daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
