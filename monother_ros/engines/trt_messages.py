# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What TensorRT says while a plan is loaded or runs."""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT = 3
"""Errors of TensorRT that are kept for the message of an exception."""


class Messages:
    """
    What TensorRT says to one plan: kept for exceptions, and handed on.

    TensorRT has one logger for the process. What it says in another thread belongs to another
    plan, such as the next revision that is being prepared.

    :param log: gets the warnings and errors, one line each.
    """

    def __init__(self, log: Callable[[str], None] | None = None) -> None:
        """See the class."""
        self._errors: collections.deque[str] = collections.deque(maxlen=KEPT)
        self._log = log
        self._thread: int | None = None

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to what is said in this thread during a block; one thread at a time."""
        self._errors.clear()
        self._thread = threading.get_ident()
        try:
            yield
        finally:
            self._thread = None

    def __call__(self, level: int, text: str) -> None:
        """Take a message, from any thread."""
        if threading.get_ident() != self._thread:
            return
        if level >= logging.ERROR:
            self._errors.append(text)
        if level >= logging.WARNING and self._log is not None:
            self._log(f'TensorRT: {text}')

    def take(self) -> str:
        """Errors since the last call, to be put behind a sentence; empty for none."""
        errors = list(self._errors)
        self._errors.clear()
        return f': {"; ".join(errors)}' if errors else ''
