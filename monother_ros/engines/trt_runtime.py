# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A TensorRT plan that runs: its memory, its stream, and the CUDA graph of one frame."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError
from monother_ros.engines.cuda_graph import Graph, GraphError, find_driver
from monother_ros.engines.trt_kernels import KernelCache
from monother_ros.engines.trt_messages import Messages
from monother_ros.engines.trt_refit import refit_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.cuda import Cuda, HostBuffer
    from monother_ros.engines.trt_api import TrtApi

_TYPES = {'FLOAT': 'float32', 'HALF': 'float16'}
"""NumPy's names of the types that inputs and outputs of a bundle may have."""


@dataclass(frozen=True)
class RunSettings:
    """
    How a plan runs.

    :param cuda_graph: record the work of a frame once and launch it whole, where that works.
    :param zero_copy: let the GPU work in the memory of the host; None for where it is shared.
    :param version_compatible: the plan was built so.
    :param kernels: file that keeps what TensorRT for RTX compiles when it runs; None for none.
    """

    cuda_graph: bool = True
    zero_copy: bool | None = None
    version_compatible: bool = False
    kernels: Path | None = None


class PlanRefusedError(EngineError):
    """TensorRT does not load a plan: it is damaged, or of another version or GPU."""


class RunningPlan:
    """
    One plan with weights, memory and stream of its own; safe to close while it runs.

    :ivar bundle: that it computes.
    :ivar refittable: whether it takes new weights.
    :ivar graph: 'on', or why the work of a frame is not recorded.
    :param api: TensorRT.
    :param cuda: GPU to run on.
    :param plan: what was built.
    :param bundle: whose inputs and outputs it has.
    :param settings: how to run it.
    :param weights: ONNX file with other weights to be put into the plan first; None for its own.
    :param log: gets the warnings and errors of TensorRT.
    :raises PlanRefusedError: TensorRT does not load the plan.
    :raises monother_ros.engines.trt_refit.RefitError: it does not take the weights.
    :raises CudaLost: the context of the process is broken.
    :raises EngineError: its inputs and outputs are not the bundle's, memory is short, or it fails.
    """

    def __init__(
        self,
        api: TrtApi,
        cuda: Cuda,
        plan: bytes,
        bundle: Bundle,
        settings: RunSettings | None = None,
        weights: bytes | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """See the class."""
        self.bundle = bundle
        self.graph = 'not asked for'
        self.refittable = False
        self._api, self._cuda = api, cuda
        self._settings = settings or RunSettings()
        self._messages = Messages(log)
        self._lock = threading.Lock()
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self._stream: Any = None
        self._kernels: KernelCache | None = None
        self._recorded: Graph | None = None
        self._inputs: dict[str, HostBuffer] = {}
        self._outputs: dict[str, HostBuffer] = {}
        try:
            with self._messages.heard(), cuda.active('load a plan'):
                self._logger = api.logger(self._messages)
                self._load(plan)
                if weights is not None:
                    self._refit(weights)
                self._make_context()
                self._make_buffers()
                self._warm_up()
        except BaseException:
            self.close()
            raise

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """
        Run the network once.

        :param inputs: of the bundle, checked.
        :returns: by the bundle's output names, float32, in memory of their own.
        :raises CudaLost: the context of the process is broken.
        :raises EngineError: the run failed, or the plan is closed.
        """
        with self._lock:
            if self._context is None:
                msg = f'the engine of {self.bundle.name} {self.bundle.revision} has been closed'
                raise EngineError(msg)
            with self._messages.heard(), self._cuda.active(f'run {self.bundle.name}'):
                for name, buffer in self._inputs.items():
                    np.copyto(buffer.array, inputs[name])
                if self._recorded is not None:
                    self._recorded.launch()
                else:
                    self._enqueue()
                self._stream.synchronize()
                return self._results()

    def close(self) -> None:
        """Free everything; waits for a run in progress."""
        with self._lock:
            if self._runtime is None:
                return
            try:
                with self._cuda.active('free an engine'):
                    self._free()
            except EngineError:
                self._forget()  # a context that is lost has taken its memory with it

    # building up, with the context active

    def _load(self, plan: bytes) -> None:
        self._runtime = self._api.create_runtime(
            self._logger, version_compatible=self._settings.version_compatible
        )
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            self._cuda.check('load a plan')
            msg = (
                f'{self._api.label} does not load the plan of {self.bundle.name} on '
                f'{self._cuda.description}{self._messages.take()}'
            )
            raise PlanRefusedError(msg)
        self.refittable = bool(self._engine.refittable)

    def _refit(self, weights: bytes) -> None:
        """Put other weights in, while nothing runs and no graph is recorded."""
        refit_plan(self._api, self._engine, self._logger, weights, self._messages.take)

    def _make_context(self) -> None:
        if self._settings.kernels is not None:
            self._kernels = KernelCache(self._api, self._engine, self._settings.kernels)
        make = self._engine.create_execution_context
        self._context = (
            make(self._kernels.config) if self._kernels and self._kernels.config else make()
        )
        if self._context is None:
            self._cuda.check('make an execution context')
            free, total = self._cuda.driver.mem_get_info()
            msg = (
                f'TensorRT makes no execution context for {self.bundle.name}'
                f'{self._messages.take()}; {free >> 20} of {total >> 20} MiB of the GPU are free'
            )
            raise EngineError(msg)

    def _make_buffers(self) -> None:
        """Compare the tensors of the plan with the bundle and give each its memory."""
        engine, context, bundle = self._engine, self._context, self.bundle
        mode = self._api.module.TensorIOMode.INPUT
        names = [engine.get_tensor_name(k) for k in range(engine.num_io_tensors)]
        given = {name for name in names if engine.get_tensor_mode(name) == mode}
        wanted = {spec.name: spec for spec in bundle.inputs}
        if given != wanted.keys():
            msg = (
                f'the plan of {bundle.name} takes {sorted(given)}, its manifest says '
                f'{sorted(wanted)}'
            )
            raise EngineError(msg)
        for name, spec in wanted.items():
            shape = tuple(engine.get_tensor_shape(name))
            fits = -1 not in shape or context.set_input_shape(name, spec.shape)
            if not fits or tuple(context.get_tensor_shape(name)) != spec.shape:
                msg = (
                    f'the plan of {bundle.name} takes {name} as {shape}, its manifest says '
                    f'{spec.shape}{self._messages.take()}'
                )
                raise EngineError(msg)
        unknown = context.infer_shapes()
        if unknown:
            msg = f'the plan of {bundle.name} needs {", ".join(unknown)} to be known beforehand'
            raise EngineError(msg)
        height, width = bundle.inputs[0].shape[2:]
        for name in sorted(given):
            self._inputs[name] = self._buffer(name, wanted[name].dtype)
        for name in sorted(set(names) - given):
            self._outputs[name] = self._buffer(name, None)
        for key, name in bundle.outputs.items():
            found = self._outputs[name].array.shape if name in self._outputs else None
            if found != (1, 1, height, width):
                msg = (
                    f'the plan of {bundle.name} gives {name!r} for {key} as {found}, not '
                    f'{(1, 1, height, width)}'
                )
                raise EngineError(msg)
        self._stream = self._cuda.stream()

    def _buffer(self, name: str, dtype: str | None) -> HostBuffer:
        """Memory of a tensor, told to the context."""
        kind = self._engine.get_tensor_dtype(name)
        found = _TYPES.get(kind.name)
        if found is None or (dtype is not None and found != dtype):
            msg = (
                f'the plan of {self.bundle.name} has {name} in {kind.name}, not {dtype or "FLOAT"}'
            )
            raise EngineError(msg)
        shape = tuple(self._context.get_tensor_shape(name))
        buffer = self._cuda.buffer(shape, found, mapped=self._settings.zero_copy)
        buffer.array[...] = 0
        if not self._context.set_tensor_address(name, buffer.address):
            buffer.free()
            msg = f'TensorRT does not take memory for {name}{self._messages.take()}'
            raise EngineError(msg)
        return buffer

    def _warm_up(self) -> None:
        """Run once, as must be before recording; then record, and compare what both say."""
        self._enqueue()
        self._stream.synchronize()
        if self._kernels is not None:
            self._kernels.save()
        if not self._settings.cuda_graph:
            return
        plain = self._results()
        try:
            capturable = getattr(self._context, 'is_stream_capturable', None)
            if capturable is not None and not capturable(self._stream.handle):
                msg = 'TensorRT says that this plan cannot be recorded'
                raise GraphError(msg)
            self._recorded = Graph(find_driver(), self._stream.handle, self._enqueue)
            for buffer in self._outputs.values():
                buffer.array[...] = np.nan
            self._recorded.launch()
            self._stream.synchronize()
            again = self._results()
            if not all(np.allclose(again[k], plain[k], 1e-3, 1e-3) for k in plain):
                msg = 'the recorded work gives other numbers'
                raise GraphError(msg)
        except EngineError as err:
            # work that cannot be recorded still runs; a lost context shows in the check
            self._cuda.check('record a CUDA graph')
            if self._recorded is not None:
                self._recorded.close()
                self._recorded = None
            self.graph = f'off: {err}'
        else:
            self.graph = 'on'

    # running, with the context active

    def _enqueue(self) -> None:
        """Put the work of one frame into the stream."""
        for buffer in self._inputs.values():
            buffer.upload(self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            self._cuda.check(f'run {self.bundle.name}')
            msg = f'TensorRT failed to run {self.bundle.name}{self._messages.take()}'
            raise EngineError(msg)
        for buffer in self._outputs.values():
            buffer.download(self._stream)

    def _results(self) -> dict[str, NDArray[Any]]:
        return {
            key: self._outputs[name].array.astype(np.float32)
            for key, name in self.bundle.outputs.items()
        }

    def _free(self) -> None:
        """Give everything back in the order in which it depends on each other."""
        if self._stream is not None:
            self._stream.synchronize()
        if self._recorded is not None:
            self._recorded.close()
        buffers = [*self._inputs.values(), *self._outputs.values()]
        self._context = self._recorded = None
        for buffer in buffers:
            buffer.free()
        self._forget()

    def _forget(self) -> None:
        """Let every object go; what a context holds before the context."""
        self._context = self._recorded = None
        self._inputs, self._outputs = {}, {}
        self._kernels = self._engine = self._runtime = self._stream = None
