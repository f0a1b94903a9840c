# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Double of pycuda.driver and of NVIDIA's cuda.bindings.driver.

Memory of the GPU are bytes by address. Streams keep work until somebody waits for them, so that
whoever reads too early or reuses a buffer too soon gets wrong numbers here as on a GPU. Everything
but the module's start needs a current context in the calling thread.
"""

from __future__ import annotations

import itertools
import sys
import threading
import types
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

LOST = 'an illegal memory access was encountered'


@dataclass
class Value:
    """What a member is to return instead of doing its work."""

    value: Any


@dataclass
class World:
    """
    A machine with a GPU that is none.

    :param name: of the GPU.
    :param capability: compute capability.
    :param integrated: host and GPU share their memory.
    :param driver_version: as CUDA says it, 12060 for 12.6.
    :param total: memory of the GPU, bytes.
    """

    name: str = 'Double'
    capability: tuple[int, int] = (8, 7)
    integrated: bool = False
    driver_version: int = 12060
    total: int = 8 << 30
    faults: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    blocks: dict[int, np.ndarray] = field(default_factory=dict)
    streams: dict[int, Stream] = field(default_factory=dict)
    misuse: list[str] = field(default_factory=list)
    lost: str = ''

    def __post_init__(self) -> None:
        self.contexts = threading.local()
        self._addresses = itertools.count(0x7F0000000000, 1 << 32)
        self._handles = itertools.count(0x5000, 16)

    def fail(self, where: str, *values: Any) -> None:
        """
        Let the next calls of a member fail.

        :param where: 'Class.member' of TensorRT, or the name of a function of CUDA.
        :param values: one for each call: an exception to raise, or what to return.
        """
        self.faults.setdefault(where, []).extend(
            value if isinstance(value, BaseException) else Value(value) for value in values
        )

    def fault(self, where: str) -> Any:
        """Note a call and take what it is to do instead, or None."""
        self.calls.append(where)
        waiting = self.faults.get(where)
        return waiting.pop(0) if waiting else None

    @property
    def depth(self) -> int:
        """Contexts on the stack of this thread."""
        return getattr(self.contexts, 'depth', 0)

    def need_context(self, where: str) -> None:
        """What needs a current context; noted as misuse where there is none."""
        if self.depth == 0:
            self.misuse.append(f'{where} without a current context')
            msg = f'{where} failed: invalid device context'
            raise LogicError(msg)
        if self.lost:
            msg = f'{where} failed: {self.lost}'
            raise LaunchError(msg)

    def allocate(self, array: np.ndarray) -> int:
        """Address of memory."""
        address = next(self._addresses)
        self.blocks[address] = array.reshape(-1).view(np.uint8)
        return address

    def view(self, address: int, size: int) -> np.ndarray:
        """Bytes at an address; an address that is none breaks the context, as on a GPU."""
        block = self.blocks.get(address)
        if block is None or size > block.size:
            self.lost = LOST
            msg = f'cuCtxSynchronize failed: {LOST}'
            raise LaunchError(msg)
        return block[:size]

    def handle(self) -> int:
        """Handle of a new stream."""
        return next(self._handles)


class Error(Exception):
    """pycuda.driver.Error."""


class MemoryError(Error):
    """pycuda.driver.MemoryError."""


class LogicError(Error):
    """pycuda.driver.LogicError."""


class LaunchError(Error):
    """pycuda.driver.LaunchError."""


class Stream:
    """pycuda.driver.Stream; work waits until somebody synchronises."""

    _world: World

    def __init__(self, flags: int = 0) -> None:
        self._world.need_context('cuStreamCreate')
        if flags != 1:
            self._world.misuse.append('a stream that blocks on the default stream')
        self._queue: list[Any] = []
        self._capture: list[Any] | None = None
        self.handle = self._world.handle()
        self._world.streams[self.handle] = self

    def _put(self, work: Any) -> None:
        (self._queue if self._capture is None else self._capture).append(work)

    def is_done(self) -> bool:
        return not self._queue

    def synchronize(self) -> None:
        self._world.need_context('cuStreamSynchronize')
        fault = self._world.fault('cuStreamSynchronize')
        if isinstance(fault, BaseException):
            raise fault
        if self._capture is not None:
            self._capture = None
            msg = 'cuStreamSynchronize failed: operation not permitted when stream is capturing'
            raise LogicError(msg)
        while self._queue:
            self._queue.pop(0)()


class _Context:
    """pycuda.driver.Context of the primary context."""

    _world: World

    def push(self) -> None:
        self._world.contexts.depth = self._world.depth + 1

    @classmethod
    def pop(cls) -> None:
        if cls._world.depth == 0:
            cls._world.misuse.append('pop of an empty stack')
            msg = 'cuCtxPopCurrent failed: invalid device context'
            raise LogicError(msg)
        cls._world.contexts.depth = cls._world.depth - 1

    @classmethod
    def synchronize(cls) -> None:
        cls._world.need_context('cuCtxSynchronize')
        for stream in list(cls._world.streams.values()):
            stream.synchronize()

    def detach(self) -> None:
        self._world.misuse.append('the shared context is let go')


class _HostAllocation:
    """pycuda.driver.HostAllocation: owner of page-locked memory."""

    _world: World

    def __init__(self, shape: tuple, dtype: Any, flags: int) -> None:
        self._data: Any = np.full(shape, 77, dtype)
        self._address = 0
        if flags & 2:
            self._address = self._world.allocate(self._data)
        self.__array_interface__ = self._data.__array_interface__
        _HostAllocation.alive += 1

    alive = 0

    def get_device_pointer(self) -> int:
        if not self._address:
            msg = 'cuMemHostGetDevicePointer failed: invalid argument'
            raise LogicError(msg)
        return self._address

    def free(self) -> None:
        self._world.need_context('cuMemFreeHost')
        if self._data is None:
            self._world.misuse.append('page-locked memory is freed twice')
            return
        # what still looks at it sees nonsense, as it would there
        self._data.reshape(-1).view(np.uint8)[...] = 0x7F
        self._world.blocks.pop(self._address, None)
        _HostAllocation.alive -= 1


class _DeviceAllocation:
    """pycuda.driver.DeviceAllocation."""

    _world: World

    def __init__(self, size: int) -> None:
        self._address = self._world.allocate(np.full(size, 77, np.uint8))

    def __int__(self) -> int:
        return self._address

    __index__ = __int__

    def free(self) -> None:
        self._world.need_context('cuMemFree')
        if self._world.blocks.pop(self._address, None) is None:
            self._world.misuse.append('memory of the GPU is freed twice')


class _Attributes(IntEnum):
    """pycuda.driver.device_attribute, as far as it was recorded."""

    INTEGRATED = 18
    CAN_MAP_HOST_MEMORY = 19
    CONCURRENT_MANAGED_ACCESS = 89


def make_driver(world: World) -> types.ModuleType:
    """The module pycuda.driver of a world."""
    module = types.ModuleType('pycuda.driver')
    made: dict[str, Any] = {}
    for kind in (Stream, _Context, _HostAllocation, _DeviceAllocation):
        made[kind.__name__.lstrip('_')] = type(
            kind.__name__.lstrip('_'), (kind,), {'_world': world}
        )
    started: list[int] = []

    class Device:
        def __init__(self, number: int) -> None:
            if not started:
                msg = 'cuDeviceGet failed: initialization error'
                raise LogicError(msg)
            self._number = number

        @staticmethod
        def count() -> int:
            return 1

        def name(self) -> str:
            return world.name

        def compute_capability(self) -> tuple[int, int]:
            return world.capability

        def total_memory(self) -> int:
            return world.total

        def get_attribute(self, attribute: _Attributes) -> int:
            if attribute is _Attributes.INTEGRATED:
                return int(world.integrated)
            return 1

        def retain_primary_context(self) -> Any:
            return made['Context']()

    def checked(name: str) -> None:
        world.need_context(name)
        fault = world.fault(name)
        if isinstance(fault, BaseException):
            raise fault

    def init(flags: int = 0) -> None:
        fault = world.fault('init')
        if isinstance(fault, BaseException):
            raise fault
        started.append(1)

    def mem_alloc(size: int) -> Any:
        checked('mem_alloc')
        return made['DeviceAllocation'](size)

    def mem_get_info() -> tuple[int, int]:
        checked('mem_get_info')
        used = sum(block.size for block in world.blocks.values())
        return world.total - used, world.total

    def pagelocked_empty(shape: Any, dtype: Any, order: str = 'C', mem_flags: int = 0) -> Any:
        checked('pagelocked_empty')
        return np.asarray(made['HostAllocation'](shape, dtype, int(mem_flags)))

    def of_stream(stream: Any) -> Any:
        if stream is None:
            world.misuse.append('work in the default stream')
        return stream

    def memcpy_htod_async(dest: Any, src: Any, stream: Any = None) -> None:
        checked('memcpy_htod_async')
        page_locked(src)
        address, size = dest.__index__(), src.nbytes
        data = src.reshape(-1).view(np.uint8)

        def copy() -> None:
            world.view(address, size)[...] = data

        of_stream(stream)._put(copy)

    def memcpy_dtoh_async(dest: Any, src: Any, stream: Any = None) -> None:
        checked('memcpy_dtoh_async')
        page_locked(dest)
        address, size = src.__index__(), dest.nbytes
        data = dest.reshape(-1).view(np.uint8)

        def copy() -> None:
            data[...] = world.view(address, size)

        of_stream(stream)._put(copy)

    def page_locked(array: np.ndarray) -> None:
        if not isinstance(array.base, _HostAllocation):
            world.misuse.append('an asynchronous copy of memory that is not page-locked')

    module.__dict__.update(
        made,
        Device=Device,
        Error=Error,
        MemoryError=MemoryError,
        LogicError=LogicError,
        LaunchError=LaunchError,
        device_attribute=_Attributes,
        host_alloc_flags=types.SimpleNamespace(PORTABLE=1, DEVICEMAP=2, WRITECOMBINED=4),
        init=init,
        get_driver_version=lambda: world.driver_version,
        mem_alloc=mem_alloc,
        mem_get_info=mem_get_info,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=memcpy_htod_async,
        memcpy_dtoh_async=memcpy_dtoh_async,
    )
    return module


class Result(IntEnum):
    """cuda.bindings.driver.CUresult."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


class Mode(IntEnum):
    """cuda.bindings.driver.CUstreamCaptureMode."""

    CU_STREAM_CAPTURE_MODE_GLOBAL = 0
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1
    CU_STREAM_CAPTURE_MODE_RELAXED = 2


class Handle(int):
    """cuda.bindings.driver.CUstream."""


def make_bindings(world: World, *, old: bool = False) -> types.ModuleType:
    """
    The module cuda.bindings.driver of a world.

    :param old: as cuda.cuda of CUDA 11 was, whose cuGraphInstantiate has another signature.
    """
    module = types.ModuleType('cuda.cuda' if old else 'cuda.bindings.driver')
    alive: set[int] = set()
    module.alive = alive

    def status(name: str) -> Result | None:
        if world.depth == 0:
            world.misuse.append(f'{name} without a current context')
        fault = world.fault(name)
        return None if fault is None else Result(fault.value)

    def begin(hStream: Handle, mode: Mode) -> tuple:  # noqa: N803  names of CUDA
        stream = world.streams[int(hStream)]
        if stream._queue:
            world.misuse.append('recording in a stream that has work')
        failed = status('cuStreamBeginCapture')
        if failed:
            return (failed,)
        assert isinstance(mode, Mode)
        stream._capture = []
        return (Result.CUDA_SUCCESS,)

    def end(hStream: Handle) -> tuple:  # noqa: N803
        stream = world.streams[int(hStream)]
        work, stream._capture = stream._capture, None
        failed = status('cuStreamEndCapture')
        if work is None or failed:
            return (failed or Result.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, None)
        alive.add(id(work))
        return (Result.CUDA_SUCCESS, work)

    def instantiate(hGraph: list, flags: int) -> tuple:  # noqa: N803
        failed = status('cuGraphInstantiate')
        if failed:
            return (failed, None)
        executable = list(hGraph)
        alive.add(id(executable))
        return (Result.CUDA_SUCCESS, executable)

    def launch(hGraphExec: list, hStream: Handle) -> tuple:  # noqa: N803
        failed = status('cuGraphLaunch')
        if not failed:
            world.streams[int(hStream)]._queue.extend(hGraphExec)
        return (failed or Result.CUDA_SUCCESS,)

    def destroy(graph: list) -> tuple:
        alive.remove(id(graph))
        return (Result.CUDA_SUCCESS,)

    module.__dict__.update(
        CUresult=Result,
        CUstream=Handle,
        CUstreamCaptureMode=Mode,
        cuStreamBeginCapture=begin,
        cuStreamEndCapture=end,
        cuGraphLaunch=launch,
        cuGraphExecDestroy=destroy,
        cuGraphDestroy=destroy,
        cuGetErrorString=lambda error: (Result.CUDA_SUCCESS, Result(error).name.encode()),
    )
    if old:
        module.cuGraphInstantiateWithFlags = instantiate
        module.cuGraphInstantiate = None
    else:
        module.cuGraphInstantiate = instantiate
    return module


def install_cuda(
    monkeypatch: Any, world: World, *, graphs: bool = True, old: bool = False
) -> None:
    """
    Put the doubles where the real modules would be imported from.

    :param graphs: NVIDIA's bindings are installed.
    :param old: they are those of CUDA 11.
    """
    from importlib.machinery import ModuleSpec

    from monother_ros.engines import cuda

    def put(name: str, module: types.ModuleType | None) -> None:
        if module is not None:
            module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)

    package = types.ModuleType('pycuda')
    package.driver = make_driver(world)
    put('pycuda', package)
    put('pycuda.driver', package.driver)
    for name in ('cuda', 'cuda.bindings', 'cuda.bindings.driver', 'cuda.cuda'):
        put(name, None)
    if graphs:
        module = make_bindings(world, old=old)
        world.bindings = module
        names = ('cuda',) if old else ('cuda', 'cuda.bindings')
        for name in names:
            put(name, types.ModuleType(name))
        put(module.__name__, module)
    monkeypatch.setattr(cuda, '_opened', {})
