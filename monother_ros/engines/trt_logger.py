# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The logger of TensorRT: one for a whole process.

TensorRT keeps the first logger that it is given as long as any of its objects lives, and ignores
later ones. So there is one that is never let go, and whoever wants to hear it listens.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
"""Of :mod:`logging`, by the number of TensorRT's severity: internal error to verbose."""


_LOGGERS: dict[int, tuple[Any, Any, Listeners]] = {}
"""Module, logger and listeners, by the id of the module."""

_LOCK = threading.Lock()


def shared_logger(module: Any) -> tuple[Any, Listeners]:
    """
    The logger of a module, and whom it tells.

    :param module: tensorrt, tensorrt_rtx, or a double.
    :returns: a trt.ILogger and its listeners.
    """
    with _LOCK:
        if id(module) not in _LOGGERS:
            listeners = Listeners()
            _LOGGERS[id(module)] = (module, _make(module, listeners), listeners)
        return _LOGGERS[id(module)][1:]


def _make(module: Any, listeners: Listeners) -> Any:
    """An object of a class of the module's own."""

    class Logger(module.ILogger):  # type: ignore[misc]
        """Hands over what TensorRT says."""

        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, msg: str) -> None:
            listeners.tell(_LEVELS[min(max(int(severity), 0), 4)], str(msg))

    return Logger()


class Listeners:
    """Who hears what TensorRT says; those that are gone hear nothing."""

    def __init__(self) -> None:
        """See the class."""
        self._lock = threading.Lock()
        self._each: list[Callable[[], Callable[[int, str], None] | None]] = []

    def add(self, callback: Callable[[int, str], None]) -> None:
        """
        Add a listener.

        :param callback: a method or an object is held weakly, a function is held.
        """
        if isinstance(callback, FunctionType):
            found: Callable[[], Any] = lambda: callback  # noqa: E731
        elif isinstance(callback, MethodType):
            found = weakref.WeakMethod(callback)
        else:
            try:
                found = weakref.ref(callback)
            except TypeError:  # a builtin
                found = lambda: callback  # noqa: E731
        with self._lock:
            self._each = [item for item in self._each if item() is not None]
            if all(item() != callback for item in self._each):
                self._each.append(found)

    def tell(self, level: int, text: str) -> None:
        """
        Hand over a message; errors must not reach TensorRT, which calls this.

        :param level: of :mod:`logging`.
        :param text: one message.
        """
        with self._lock:
            each = [item() for item in self._each]
        if not any(each):
            logging.getLogger(__name__).log(level, text)
        for callback in each:
            if callback is not None:
                with contextlib.suppress(Exception):
                    callback(level, text)
