# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other verbs and nodes as processes of their own, with their output in log files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from monother_ros.core.errors import MonotherError


class ChildError(MonotherError):
    """A child process that failed or did not come up."""


class Child:
    """
    One running module; ends with SIGINT, as a person would end it.

    :param name: short name for messages and for the log file's name.
    :param words: module and arguments, as after ``python -m``.
    :param logs: folder of the log file.
    :param environment: variables of the process; None takes those of this process.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str | Path],
        logs: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f'{name}.log'
        self._file = self.log.open('wb')
        self.process = subprocess.Popen(
            [sys.executable, '-u', '-m', *(str(w) for w in words)],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C reaches this process alone, which ends its children in the right order
            start_new_session=True,
        )

    def __enter__(self) -> Child:
        """Return the running child."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process, whatever happened."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._file.close()

    def output(self) -> str:
        """Everything that the process has printed so far."""
        return self.log.read_text(errors='replace')

    def check(self) -> None:
        """
        Complain where the process has ended with an error.

        :raises ChildError: it has; the message ends with its last lines.
        """
        if self.process.poll():
            last = '\n'.join(self.output().strip().splitlines()[-12:])
            msg = f'{self.name} ended with code {self.process.returncode}; its last lines:\n{last}'
            raise ChildError(msg)

    def wait_for(self, texts: Sequence[str], timeout: float) -> None:
        """
        Wait until all texts have been printed.

        :param texts: what must appear in the output.
        :param timeout: seconds.
        :raises ChildError: the process ended, or the time is over.
        """
        end = time.monotonic() + timeout
        while not all(text in self.output() for text in texts):
            self.check()
            if self.process.poll() is not None or time.monotonic() > end:
                missing = [text for text in texts if text not in self.output()]
                msg = f'{self.name} did not say {missing} in {timeout:g} s; see {self.log}'
                raise ChildError(msg)
            time.sleep(0.05)

    def wait(self, timeout: float | None = None) -> int:
        """
        Wait for the end of the process.

        :returns: exit code 0.
        :raises ChildError: it ended with an error, or did not end in time.
        """
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired as err:
            msg = f'{self.name} did not end within {timeout:g} s; see {self.log}'
            raise ChildError(msg) from err
        self.check()
        return 0

    def stop(self, timeout: float = 20.0) -> None:
        """
        Send SIGINT and wait for a clean end.

        :raises ChildError: the process ended with an error, or did not end.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.wait(timeout)
