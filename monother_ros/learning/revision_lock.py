# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Locks between the processes that change a store of revisions."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from monother_ros.core.errors import AdaptationError

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITER_LOCK = '.writer.lock'
CHANGE_LOCK = '.change.lock'
PATIENCE = 5.0
"""Seconds for which a change waits for another one to end; a change takes milliseconds."""


class Lock:
    """
    A lock between processes, freed by the kernel when its holder dies.

    :param path: of the lock file.
    """

    def __init__(self, path: Path) -> None:
        """See the class."""
        self._path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._fd is not None

    def acquire(self, patience: float = 0.0) -> bool:
        """
        Take it.

        :param patience: seconds to wait for another holder.
        :returns: whether it is held now.
        :raises OSError: the lock file cannot be made.
        """
        if self.held:
            return True
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(fd)
                    return False
                time.sleep(0.01)
                continue
            except OSError:
                os.close(fd)
                raise
            break
        self._fd = fd
        with contextlib.suppress(OSError):  # the number is for the message of others only
            os.ftruncate(fd, 0)
            os.write(fd, f'{os.getpid()}\n'.encode())
        return True

    def holder(self) -> str:
        """Process that holds it, for a message."""
        try:
            return f'process {int(self._path.read_text(encoding="ascii"))}'
        except (OSError, ValueError):
            return 'another process'

    def release(self) -> None:
        """Give it back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """
    Be the only one who changes which revisions there are and which one is in use.

    :param folder: of the store.
    :raises AdaptationError: another process changes it for too long.
    :raises OSError: the folder cannot be written.
    """
    lock = Lock(folder / CHANGE_LOCK)
    if not lock.acquire(PATIENCE):
        msg = f'{folder} is being changed by {lock.holder()} for more than {PATIENCE:g} s'
        raise AdaptationError(msg)
    try:
        yield
    finally:
        lock.release()
