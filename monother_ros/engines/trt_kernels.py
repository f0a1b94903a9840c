# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Kernels that TensorRT for RTX compiles when a plan first runs, kept in a file.

Its plans are compiled for the GPU at hand at the first run, which takes seconds. ``tensorrt``
compiles all of it at the build and has nothing to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monother_ros.core.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from monother_ros.engines.trt_api import TrtApi


class KernelCache:
    """
    Kernels of one plan.

    A file that does not fit (damaged, other GPU, driver or version) is not used: TensorRT looks at
    it and compiles again.

    :ivar config: for create_execution_context.
    :param api: TensorRT.
    :param engine: trt.ICudaEngine, with its CUDA context active.
    :param path: file; it need not exist yet.
    """

    def __init__(self, api: TrtApi, engine: Any, path: Path) -> None:
        """See the class."""
        self.config: Any = None
        self._cache: Any = None
        self._path = path
        if not hasattr(api.module, 'IRuntimeCache'):
            return
        self.config = engine.create_runtime_config()
        self._cache = self.config.create_runtime_cache()
        self._known = b''
        if path.is_file():
            self._known = path.read_bytes()
            if not self._cache.deserialize(self._known):
                self._known = b''
        self.config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write the file where there is anything new; a disk that is full costs time only."""
        if self._cache is None:
            return
        memory = self._cache.serialize()
        data = b'' if memory is None else bytes(memoryview(memory))
        if data and data != self._known:
            try:
                atomic_write(self._path, data)
            except OSError:
                return
            self._known = data
