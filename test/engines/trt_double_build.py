# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the double of TensorRT does when a network is read, built or given new weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from trt_double import Double

MAGIC = b'DOUBLE OF A PLAN'
FLOATS = {1: 'FLOAT', 10: 'HALF'}
KINDS = {'float32': 'FLOAT', 'float16': 'HALF', 'int32': 'INT32', 'int64': 'INT64'}


class HostMemory(bytes):
    """trt.IHostMemory, which has the buffer protocol."""

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return len(self)


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
        double.depths.append(double.world.depth)
        monitor = config.progress_monitor
        if monitor is not None:
            monitor.phase_start('Building engine', None, 4)
            for step in range(4):
                if not monitor.step_complete('Building engine', step):
                    double.error(self.logger, 'the build was cancelled')
                    return None
            monitor.phase_finish('Building engine')
        half = any(item.data_type == 10 for item in network.model.graph.initializer)
        flags = set(config.flags_set)
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

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
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


class _WithErrors(Plain):
    _errors: list[str]

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self.double.wrap('ParserError', self._errors[index])


class _Parser(_WithErrors):
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


class _OnnxRefitter(_WithErrors):
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


IMPLEMENTED = {
    'Builder': _Builder,
    'Dims': _Dims,
    'IBuilderConfig': _Config,
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
    'Weights': _Weights,
}
