# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
CUDA graphs by NVIDIA's own bindings, for PyCUDA has none.

The launches and copies of a frame are recorded once and started by one call from then on. That
saves the time that the CPU takes to start each kernel, which is what small networks wait for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULES = ('cuda.bindings.driver', 'cuda.cuda')
"""Names of the bindings, the newer first."""


class GraphError(EngineError):
    """Work that cannot be recorded; it still runs without a graph."""


class Graph:
    """
    Recorded work of a stream.

    The context must be active in every call, the stream that of the recording or one of the same
    context, and every address that was used must stay valid. What was recorded holds the values
    of pointers: after new shapes, addresses or weights it must be recorded again.

    :param driver: of :func:`find_driver`.
    :param stream: handle of a stream that is not the default one, with nothing in work.
    :param enqueue: puts the work into that stream; must not wait for it.
    :raises GraphError: something in the work cannot be recorded.
    """

    def __init__(self, driver: Any, stream: int, enqueue: Callable[[], None]) -> None:
        """See the class."""
        self._driver = driver
        self._executable: Any = None
        self._stream = driver.CUstream(int(stream))
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call('cuStreamBeginCapture', self._stream, mode)
        try:
            enqueue()
        except BaseException:
            # the stream must be taken out of recording, whatever that says
            driver.cuStreamEndCapture(self._stream)
            raise
        graph = self._call('cuStreamEndCapture', self._stream)
        try:
            # older bindings have another cuGraphInstantiate, with a log
            old = hasattr(driver, 'cuGraphInstantiateWithFlags')
            name = 'cuGraphInstantiateWithFlags' if old else 'cuGraphInstantiate'
            self._executable = self._call(name, graph, 0)
        finally:
            driver.cuGraphDestroy(graph)

    def launch(self) -> None:
        """
        Start the recorded work in its stream.

        :raises GraphError: it cannot be started.
        """
        self._call('cuGraphLaunch', self._executable, self._stream)

    def close(self) -> None:
        """Free the graph; its work must be done. May be called again."""
        executable, self._executable = self._executable, None
        if executable is not None:
            self._driver.cuGraphExecDestroy(executable)

    def _call(self, name: str, *args: Any) -> Any:
        """Second part of what a function returns; the first is its result code."""
        status, *values = getattr(self._driver, name)(*args)
        if int(status) != 0:
            try:
                _, text = self._driver.cuGetErrorString(status)
                cause = text.decode()
            except Exception:  # the number must do
                cause = str(status)
            msg = f'{name} failed: {cause}'
            raise GraphError(msg)
        return values[0] if values else None


def find_driver() -> Any:
    """
    NVIDIA's bindings of the driver.

    :returns: the module.
    :raises GraphError: it is not installed.
    """
    causes = []
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError as err:  # noqa: PERF203
            causes.append(str(err))
    msg = f"no CUDA graphs without NVIDIA's bindings; pip install cuda-bindings ({causes[0]})"
    raise GraphError(msg)
