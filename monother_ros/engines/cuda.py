# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
CUDA by PyCUDA: one shared context, streams, page-locked and mapped memory, clear errors.

The primary context of the GPU is used, the one that torch uses as well. It is pushed for every
piece of work and popped after it, in whatever thread that is, and nothing of PyCUDA is made or
let go outside of it: PyCUDA cannot free what belongs to a context that is not current.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: does not wait for the default stream, which others here may use."""

_LOST = (
    'illegal memory access',
    'illegal instruction',
    'illegal address',
    'launch failure',
    'launch failed',
    'launch timed out',
    'misaligned address',
    'address space',
    'program counter',
    'hardware stack',
    'device-side assert',
    'ecc error',
    'unknown error',
    'context is destroyed',
    'driver shutting down',
    'busy or unavailable',
    'no cuda-capable device',
)
"""In the text of errors after which every further call of the process on this GPU fails."""

_INSTALL = (
    'on a Jetson install python3-pycuda or pip install pycuda, elsewhere pip install pycuda; both '
    "need NVIDIA's driver"
)


class CudaLost(EngineError):  # noqa: N818 - it says what happened
    """The CUDA context of this process cannot be used any more; only a new process can."""


class HostBuffer:
    """
    Page-locked memory on the host with its counterpart on the GPU.

    :ivar array: on the host, C order.
    :ivar address: of its counterpart for the GPU; of the same memory where it is mapped.
    :ivar mapped: host and GPU share the memory, so nothing is copied.
    """

    def __init__(
        self, cuda: Cuda, shape: Sequence[int], dtype: DTypeLike, *, mapped: bool
    ) -> None:
        """Use :meth:`Cuda.buffer`."""
        drv = cuda.driver
        flags = drv.host_alloc_flags.DEVICEMAP if mapped else 0
        self.mapped = mapped
        self.array: NDArray[Any] = drv.pagelocked_empty(tuple(shape), dtype, mem_flags=flags)
        self._driver = drv
        self._host: Any = self.array.base
        self._device: Any = None
        if mapped:
            self.address = int(self._host.get_device_pointer())
        else:
            try:
                self._device = drv.mem_alloc(max(self.array.nbytes, 1))
            except BaseException:
                self._host.free()
                raise
            self.address = int(self._device)

    def upload(self, stream: Any) -> None:
        """Copy to the GPU, in the order of a stream; nothing where it is mapped."""
        if not self.mapped:
            self._driver.memcpy_htod_async(self.address, self.array, stream)

    def download(self, stream: Any) -> None:
        """Copy from the GPU, in the order of a stream; nothing where it is mapped."""
        if not self.mapped:
            self._driver.memcpy_dtoh_async(self.array, self.address, stream)

    def free(self) -> None:
        """Give the memory back; the array must not be used after it. May be called again."""
        device, host = self._device, self._host
        self._device = self._host = None
        self.array = np.empty(0, self.array.dtype)
        if device is not None:
            device.free()
        if host is not None:
            host.free()


class Cuda:
    """
    One GPU and its primary context; get it by :func:`open_cuda`.

    :ivar driver: the module pycuda.driver.
    :ivar index: of the GPU.
    :ivar name: e.g. 'Orin'.
    :ivar capability: compute capability, e.g. (8, 7).
    :ivar integrated: host and GPU share their memory (Jetson) and mapping is possible.
    :ivar driver_version: of CUDA as the driver knows it, e.g. '12.6'.
    """

    def __init__(self, driver: Any, index: int) -> None:
        """Use :func:`open_cuda`."""
        self.driver = driver
        self.index = index
        device = driver.Device(index)
        known = driver.device_attribute
        self.name = str(device.name())
        major, minor = device.compute_capability()
        self.capability = (int(major), int(minor))
        self.integrated = all(
            device.get_attribute(attribute)
            for attribute in (known.INTEGRATED, known.CAN_MAP_HOST_MEMORY)
        )
        version = int(driver.get_driver_version())
        self.driver_version = f'{version // 1000}.{version % 1000 // 10}'
        self._context = device.retain_primary_context()

    @property
    def description(self) -> str:
        """Name and compute capability in one line."""
        return f'{self.name} (sm_{self.capability[0]}{self.capability[1]})'

    @contextlib.contextmanager
    def active(self, what: str) -> Iterator[None]:
        """
        Make the context current in this thread for a block; may be nested.

        :param what: is done in it, for messages: 'run the network'.
        :raises CudaLost: the context broke in the block or before it.
        :raises EngineError: another error of CUDA in the block.
        """
        try:
            self._context.push()
        except self.driver.Error as err:
            raise self._error(err, what) from err
        failed = True
        try:
            yield
            failed = False
        except self.driver.Error as err:
            raise self._error(err, what) from err
        finally:
            try:
                self._context.pop()
            except self.driver.Error as err:
                if not failed:
                    raise self._error(err, what) from err

    def check(self, what: str) -> None:
        """
        Wait for all work of the context, and notice that it is lost.

        :param what: was done, for the message.
        :raises CudaLost: it is.
        :raises EngineError: some work failed in another way.
        """
        with self.active(what):
            self.driver.Context.synchronize()

    def stream(self) -> Any:
        """Stream that waits for nobody else; make and drop it while the context is active."""
        return self.driver.Stream(NON_BLOCKING)

    def buffer(
        self, shape: Sequence[int], dtype: DTypeLike, *, mapped: bool | None = None
    ) -> HostBuffer:
        """
        Page-locked memory and its counterpart on the GPU; call it while the context is active.

        :param shape: of the array.
        :param dtype: of its elements.
        :param mapped: let the GPU work in the memory of the host; None for where both share it.
        """
        wanted = self.integrated if mapped is None else mapped
        return HostBuffer(self, shape, dtype, mapped=wanted)

    def memory(self) -> tuple[int, int]:
        """
        Memory of the GPU.

        :returns: free and all of it, bytes.
        :raises EngineError: see :meth:`active`.
        """
        with self.active('ask for the memory of the GPU'):
            free, total = self.driver.mem_get_info()
        return int(free), int(total)

    def _error(self, err: Exception, what: str) -> EngineError:
        """What went wrong and what to do."""
        text = str(err)
        where = f'CUDA could not {what} on {self.description}: {text}'
        if any(part in text.lower() for part in _LOST):
            return CudaLost(f'{where}; this process cannot use the GPU any more, start it again')
        if isinstance(err, self.driver.MemoryError):
            return EngineError(f'{where}; close other programs on the GPU or take a smaller model')
        return EngineError(where)


_opened: dict[int, Cuda] = {}
_lock = threading.Lock()


def open_cuda(index: int = 0) -> Cuda:
    """
    A GPU of this machine; the same object for every caller, for as long as the process lives.

    :param index: of the GPU.
    :raises EngineError: PyCUDA is not installed, there is no driver, or no such GPU.
    """
    with _lock:
        if index in _opened:
            return _opened[index]
        try:
            driver: Any = importlib.import_module('pycuda.driver')
        except ImportError as err:
            msg = f'PyCUDA cannot be imported ({err}); {_INSTALL}'
            raise EngineError(msg) from err
        try:
            driver.init()
            count = int(driver.Device.count())
            if index >= count:
                msg = f'there is no GPU {index}; CUDA sees {count}'
                raise EngineError(msg)
            _opened[index] = Cuda(driver, index)
        except driver.Error as err:
            msg = f'CUDA cannot be used here: {err}; is the driver of the GPU loaded (nvidia-smi)?'
            raise EngineError(msg) from err
        return _opened[index]
