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
from trt_signatures import Recorded

MAGIC = b'DOUBLE OF A PLAN'
WORKSPACE = 64 << 20
FLOATS = {1: 'FLOAT', 10: 'HALF'}
KINDS = {'float32': 'FLOAT', 'float16': 'HALF', 'int32': 'INT32', 'int64': 'INT64'}


class HostMemory(bytes):
    """trt.IHostMemory, which has the buffer protocol."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return len(self)


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


class Plain:
    """Implementation that knows its double."""

    double: Double


class _Dims(Plain):
    def __init__(self, shape: Any = ()) -> None:
        self._shape = tuple(shape)
        self.MAX_DIMS = 8

    def __len__(self) -> int:
        return len(self._shape)

    def __getitem__(self, key: Any) -> Any:
        return self._shape[key]


class _Logger(Plain):
    def __init__(self, min_severity: Any = None) -> None:
        self.min_severity = min_severity

    def log(self, severity: Any, msg: str) -> None:
        """Say nothing."""


class _Silent(Plain):
    """Base of a class that users derive from."""


class _Weights(Plain):
    def __init__(self, a: Any = None, **_: Any) -> None:
        self._array = a
        self.size = a.size
        self.nbytes = a.nbytes
        self.dtype = self.double.enum('DataType', KINDS[str(a.dtype)])

    def numpy(self) -> Any:
        return self._array

    def __len__(self) -> int:
        return int(self.size)


# building


class _Builder(Plain):
    def __init__(self, logger: Any) -> None:
        self.logger = logger
        self.max_threads = 1
        self.platform_has_fast_fp16 = True

    def create_network(self, flags: int = 0) -> Any:
        known = self.double.classes['NetworkDefinitionCreationFlag']
        if hasattr(known, 'EXPLICIT_BATCH') and int(self.double.version.split('.')[0]) < 10:
            assert int(flags) & 1 << int(known.EXPLICIT_BATCH), 'ONNX needs an explicit batch'
        typed = hasattr(known, 'STRONGLY_TYPED') and bool(
            int(flags) & 1 << int(known.STRONGLY_TYPED)
        )
        return self.double.wrap('INetworkDefinition', typed)

    def create_builder_config(self) -> Any:
        return self.double.wrap('IBuilderConfig')

    def create_optimization_profile(self) -> Any:
        return self.double.wrap('IOptimizationProfile')

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        import onnx

        double, network, config = self.double, network._impl, config._impl
        if network.model is None:
            double.error(self.logger, 'the network has no output')
            return None
        double.builds += 1
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start('Building engine', None, 4)
            for step in range(4):
                if not monitor.step_complete('Building engine', step):
                    double.error(self.logger, 'the build was cancelled')
                    return None
            monitor.phase_finish('Building engine')
        half = any(item.data_type == 10 for item in network.model.graph.initializer)
        flags = {name for name in config.flags_set}
        if network.typed and flags & {'FP16', 'INT8'}:
            double.error(self.logger, 'a strongly typed network takes no precision flags')
            return None
        refit = bool(flags & {'REFIT', 'REFIT_INDIVIDUAL'})
        header = {
            'version': double.version,
            'capability': double.world.capability,
            'refit': refit,
            'host_code': 'VERSION_COMPATIBLE' in flags,
            'half': half,
            'profiles': [profile._impl.shapes for profile in config.profiles],
        }
        text = json.dumps(header).encode()
        model = network.model.SerializeToString()
        assert onnx.load_model_from_string(model) is not None
        return HostMemory(MAGIC + len(text).to_bytes(4, 'little') + text + model)


class _Network(Plain):
    def __init__(self, typed: bool) -> None:
        self.typed = typed
        self.model: Any = None

    def _tensors(self, items: Any) -> list[Any]:
        return [self.double.wrap('ITensor', item) for item in items]

    @property
    def num_inputs(self) -> int:
        return len(self.model.graph.input)

    @property
    def num_outputs(self) -> int:
        return len(self.model.graph.output)

    @property
    def num_layers(self) -> int:
        return len(self.model.graph.node)

    def get_input(self, index: int) -> Any:
        return self._tensors(self.model.graph.input)[index]

    def get_output(self, index: int) -> Any:
        return self._tensors(self.model.graph.output)[index]

    def get_layer(self, index: int) -> Any:
        return self.double.wrap('ILayer', self.model.graph.node[index])

    def mark_weights_refittable(self, name: str) -> bool:
        return any(item.name == name for item in self.model.graph.initializer)


class _Tensor(Plain):
    def __init__(self, item: Any) -> None:
        self.name = item.name
        kind = item.type.tensor_type
        self.shape = tuple(d.dim_value or -1 for d in kind.shape.dim)
        self.dtype = self.double.enum('DataType', FLOATS.get(kind.elem_type, 'INT32'))


class _Layer(Plain):
    def __init__(self, node: Any) -> None:
        self.name = node.name
        self.num_outputs = len(node.output)
        self.precision: Any = None

    def set_output_type(self, index: int, dtype: Any) -> None:
        """Take it; the ONNX file decides here."""


class _Config(Plain):
    def __init__(self) -> None:
        self.flags_set: set[str] = {'TF32'}
        self.profiles: list[Any] = []
        self.progress_monitor: Any = None
        self.builder_optimization_level = 3
        self.hardware_compatibility_level: Any = None
        self.profiling_verbosity: Any = None
        self.max_aux_streams = -1
        self.pools: dict[str, int] = {}
        self._cache: Any = None

    def set_flag(self, flag: Any) -> None:
        self.flags_set.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.flags_set.discard(flag.name)

    def get_flag(self, flag: Any) -> bool:
        return flag.name in self.flags_set

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self.pools[pool.name] = int(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self.pools.get(pool.name, 1 << 30)

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Any:
        return self.double.wrap('ITimingCache', bytes(serialized_timing_cache))

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self._cache = cache
        return True

    def get_timing_cache(self) -> Any:
        return self._cache


class _TimingCache(Plain):
    def __init__(self, content: bytes) -> None:
        self._content = content or b'timings'

    def serialize(self) -> Any:
        return HostMemory(self._content)


class _Profile(Plain):
    def __init__(self) -> None:
        self.shapes: dict[str, list[tuple[int, ...]]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        self.shapes[input] = [tuple(min), tuple(opt), tuple(max)]


class _ParserError(Plain):
    def __init__(self, text: str, node: int = 0) -> None:
        self._text, self._node = text, node

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return self._node

    def node_name(self) -> str:
        return ''

    def node_operator(self) -> str:
        return ''

    def code(self) -> Any:
        return 0


class _Parser(Plain):
    def __init__(self, network: Any, logger: Any) -> None:
        self._network = network._impl
        self._errors: list[str] = []

    def parse(self, model: bytes, path: str | None = None) -> bool:
        import onnx

        try:
            self._network.model = onnx.load_model_from_string(bytes(model))
            onnx.checker.check_model(self._network.model)
        except Exception as err:
            self._errors.append(f'the file cannot be parsed: {err}')
            return False
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self.double.wrap('ParserError', self._errors[index])


# running


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


# new weights


class _Refitter(Plain):
    """As TensorRT: the weights of one layer must be given together."""

    def __init__(self, engine: Any, logger: Any) -> None:
        self.double.world.need_context('createInferRefitter')
        assert engine.refittable, 'the engine is not refittable'
        self.engine = engine._impl
        self.logger = logger
        self.weights_validation = True
        self._known = {
            item.name: item
            for item in self.engine.model.graph.initializer
            if item.data_type in FLOATS
        }
        self._given: dict[str, Any] = {}

    def get_all_weights(self) -> list[str]:
        return list(self._known)

    def set_named_weights(self, name: str, weights: Any, location: Any = None) -> bool:
        from onnx import numpy_helper

        if isinstance(weights, np.ndarray):
            weights = self.double.classes['Weights'](weights)
        item = self._known.get(name)
        old = None if item is None else numpy_helper.to_array(item)
        if old is None or weights.size != old.size or weights.dtype.name != KINDS[str(old.dtype)]:
            self.double.error(self.logger, f'{name} is unknown, or has another count or type')
            return False
        self._given[name] = (weights, old.shape)
        return True

    def get_missing_weights(self) -> list[str]:
        missing = []
        for node in self.engine.model.graph.node:
            own = [name for name in node.input if name in self._known]
            if any(name in self._given for name in own):
                missing += [name for name in own if name not in self._given]
        return missing

    def refit_cuda_engine(self) -> bool:
        from onnx import numpy_helper

        self.double.world.need_context('refit_cuda_engine')
        if self.engine.busy:
            self.double.world.misuse.append('refit while work is pending')
        if self.get_missing_weights():
            return False
        for name, (weights, shape) in self._given.items():
            value = np.asarray(weights.numpy()).reshape(shape)
            self._known[name].CopyFrom(numpy_helper.from_array(value.copy(), name))
        self.engine.content = self.engine.model.SerializeToString()
        self.double.refits += 1
        return True


class _OnnxRefitter(Plain):
    def __init__(self, refitter: Any, logger: Any) -> None:
        self._refitter = refitter
        self._errors: list[str] = []

    def refit_from_bytes(self, model: bytes, path: str | None = None) -> bool:
        import onnx
        from onnx import numpy_helper

        given = onnx.load_model_from_string(bytes(model))
        own = self._refitter._impl.engine.model
        if [n.op_type for n in given.graph.node] != [n.op_type for n in own.graph.node]:
            self._errors.append('the network has other nodes than the engine')
            return False
        for item in given.graph.initializer:
            if item.name in self._refitter.get_all_weights():
                value = numpy_helper.to_array(item).copy()
                if not self._refitter.set_named_weights(item.name, value):
                    self._errors.append(f'{item.name} does not fit')
                    return False
        return True

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self.double.wrap('ParserError', self._errors[index])


IMPLEMENTED = {
    'Builder': _Builder,
    'Dims': _Dims,
    'IBuilderConfig': _Config,
    'ICudaEngine': _Engine,
    'IExecutionContext': _ExecutionContext,
    'ILayer': _Layer,
    'ILogger': _Logger,
    'INetworkDefinition': _Network,
    'IOptimizationProfile': _Profile,
    'IProgressMonitor': _Silent,
    'ITensor': _Tensor,
    'ITimingCache': _TimingCache,
    'Logger': _Logger,
    'OnnxParser': _Parser,
    'OnnxParserRefitter': _OnnxRefitter,
    'ParserError': _ParserError,
    'Refitter': _Refitter,
    'Runtime': _Runtime,
    'Weights': _Weights,
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
