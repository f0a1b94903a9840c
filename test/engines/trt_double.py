# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Double of TensorRT with the members of a recorded version, on the GPU of :mod:`cuda_double`.

A plan holds its ONNX file, and running it is running that file in ONNX Runtime, so that what comes
out is right or wrong for real: weights that were not exchanged, frames that were mixed up, memory
that was read too early. ``World.spoil`` makes it wrong on purpose.
"""

from __future__ import annotations

import functools
import json
import sys
import types
from typing import Any

import numpy as np
from cuda_double import LaunchError, World, install_cuda
from trt_double_build import FLOATS, MAGIC, Plain
from trt_double_build import IMPLEMENTED as OF_BUILDS
from trt_signatures import Recorded

WORKSPACE = 64 << 20


@functools.lru_cache(maxsize=32)
def session_of(model: bytes) -> Any:
    """ONNX Runtime over a file, unoptimised enough to be the same for every weight."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
    return onnxruntime.InferenceSession(model, settings, providers=['CPUExecutionProvider'])


class Double:
    """
    One TensorRT on one machine.

    :ivar module: to be imported as tensorrt.
    :ivar world: the machine.
    :ivar spoil: called with the header of the plan and the outputs of every run; may change them.
    :param version: one of the recorded ones.
    :param world: the machine.
    """

    def __init__(self, version: str, world: World) -> None:
        self.version = version
        self.world = world
        self.spoil: Any = None
        self.builds = 0
        self.refits = 0
        self.depths: list[int] = []
        double = self
        kinds = {
            name: type(name, (kind,), {'double': double}) for name, kind in IMPLEMENTED.items()
        }
        self.recorded = Recorded(version, kinds, world.fault)
        self.classes = self.recorded.classes
        self.kinds = kinds
        self.module = types.ModuleType('tensorrt')
        self.module.__dict__.update(self.classes, __version__=version)
        self.module.init_libnvinfer_plugins = lambda logger, namespace: True

    def wrap(self, name: str, *args: Any) -> Any:
        """A new object of a class that only TensorRT makes."""
        return self.recorded.wrap(name, self.kinds[name](*args))

    def enum(self, name: str, member: str) -> Any:
        """A member of an enumeration of this version."""
        return getattr(self.classes[name], member)

    def error(self, logger: Any, text: str) -> None:
        """Say an error as TensorRT does."""
        logger.log(self.classes['ILogger'].Severity.ERROR, text)


class _Runtime(Plain):
    def __init__(self, logger: Any) -> None:
        self.logger = logger
        self.engine_host_code_allowed = False
        self.max_threads = 1

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        double = self.double
        double.world.need_context('deserialize_cuda_engine')
        plan = bytes(serialized_engine)
        if not plan.startswith(MAGIC):
            double.error(self.logger, 'the plan has a wrong magic tag')
            return None
        start = len(MAGIC) + 4
        size = int.from_bytes(plan[start - 4 : start], 'little')
        header = json.loads(plan[start : start + size])
        for key, here in (('version', double.version), ('capability', double.world.capability)):
            if header[key] != (list(here) if isinstance(here, tuple) else here):
                double.error(self.logger, f'the plan is for {key} {header[key]}, this is {here}')
                return None
        if header['host_code'] and not self.engine_host_code_allowed:
            double.error(self.logger, 'the plan holds code that runs on the host')
            return None
        return double.wrap('ICudaEngine', header, plan[start + size :])


class _Engine(Plain):
    def __init__(self, header: dict, model: bytes) -> None:
        import onnx

        self.header = header
        self.model = onnx.load_model_from_string(model)
        self.content = model
        self.refittable = header['refit']
        self.inputs = {item.name: _shape(item) for item in self.model.graph.input}
        self.outputs = {item.name: _shape(item) for item in self.model.graph.output}
        self.num_io_tensors = len(self.inputs) + len(self.outputs)
        self.num_optimization_profiles = 1
        self.num_layers = len(self.model.graph.node)
        self.num_aux_streams = 0
        self.device_memory_size = self.device_memory_size_v2 = WORKSPACE
        self.busy = 0

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.double.enum('TensorIOMode', 'INPUT' if name in self.inputs else 'OUTPUT')

    def get_tensor_shape(self, name: str) -> Any:
        return self.double.wrap('Dims', {**self.inputs, **self.outputs}[name])

    def get_tensor_dtype(self, name: str) -> Any:
        for item in (*self.model.graph.input, *self.model.graph.output):
            if item.name == name:
                return self.double.enum('DataType', FLOATS[item.type.tensor_type.elem_type])
        raise KeyError(name)

    def create_execution_context(self, **_: Any) -> Any:
        self.double.world.need_context('create_execution_context')
        return self.double.wrap('IExecutionContext', self)

    def serialize(self) -> Any:
        raise NotImplementedError


def _shape(item: Any) -> tuple[int, ...]:
    return tuple(d.dim_value or -1 for d in item.type.tensor_type.shape.dim)


class _ExecutionContext(Plain):
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._shapes = dict(engine.inputs)
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Any) -> bool:
        for profile in self._engine.header['profiles']:
            low, _, high = profile.get(name, (shape, shape, shape))
            if not all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
                return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> Any:
        shape = self._shapes.get(name) or self._engine.outputs[name]
        if -1 in shape and name in self._engine.outputs:
            rows, columns = self._shapes[next(iter(self._shapes))][2:]
            shape = (1, 1, rows, columns)
        return self.double.wrap('Dims', shape)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = int(memory)
        return name in self._engine.inputs or name in self._engine.outputs

    def infer_shapes(self) -> list[str]:
        return [name for name, shape in self._shapes.items() if -1 in shape]

    def execute_async_v3(self, stream_handle: int) -> bool:
        world, engine = self.double.world, self._engine
        try:
            world.need_context('execute_async_v3')
        except LaunchError:
            return False
        names = {*engine.inputs, *engine.outputs}
        assert self._addresses.keys() == names, 'a tensor has no memory'
        stream = world.streams[int(stream_handle)]
        model = engine.content  # what is recorded in a graph keeps these weights
        sizes = {name: tuple(self.get_tensor_shape(name)) for name in names}
        engine.busy += 1
        recorded = stream._capture is not None

        def run() -> None:
            feed = {}
            for name in engine.inputs:
                feed[name] = self._bytes(name, sizes[name]).reshape(sizes[name]).copy()
            outputs = dict(zip(engine.outputs, session_of(model).run(None, feed), strict=True))
            if self.double.spoil is not None:
                outputs = self.double.spoil(engine.header, outputs)
            for name, value in outputs.items():
                self._bytes(name, value.shape)[...] = value.reshape(-1)
            if not recorded:
                engine.busy -= 1

        if recorded:
            engine.busy -= 1
        stream._put(run)
        return True

    def _bytes(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        kind = self._engine.get_tensor_dtype(name).name
        dtype = np.float16 if kind == 'HALF' else np.float32
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.double.world.view(self._addresses[name], size).view(dtype)


IMPLEMENTED = {
    **OF_BUILDS,
    'ICudaEngine': _Engine,
    'IExecutionContext': _ExecutionContext,
    'Runtime': _Runtime,
}


def install(
    monkeypatch: Any,
    version: str = '10.3.0',
    *,
    graphs: bool = True,
    old: bool = False,
    **machine: Any,
) -> Double:
    """
    A machine with TensorRT and CUDA, where the real modules would be imported from.

    :param monkeypatch: of pytest; takes all of it back.
    :param version: of TensorRT, one of the recorded ones.
    :param graphs: NVIDIA's bindings are installed.
    :param old: they are those of CUDA 11.
    :param machine: fields of :class:`cuda_double.World`.
    """
    from importlib.machinery import ModuleSpec

    world = World(**machine)
    install_cuda(monkeypatch, world, graphs=graphs, old=old)
    double = Double(version, world)
    double.module.__spec__ = ModuleSpec('tensorrt', None)
    monkeypatch.setitem(sys.modules, 'tensorrt', double.module)
    for name in ('tensorrt_rtx', 'tensorrt_rtx_bindings'):
        monkeypatch.setitem(sys.modules, name, None)
    return double
