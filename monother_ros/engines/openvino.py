# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on x86 CPUs: bf16 where the CPU has it, and INT8 networks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import BundleError, EngineError
from monother_ros.core.initialisers import replaced_values
from monother_ros.engines.base import AUTO, CPU, Engine, EngineOptions
from monother_ros.engines.onnxruntime import MAX_THREADS, available_threads
from monother_ros.engines.tested import accept_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

BF16 = 'bf16'


def capabilities() -> frozenset[str]:
    """
    What the CPU computes in, as OpenVINO reports it, such as 'FP32', 'BF16' and 'INT8'.

    :raises EngineError: OpenVINO is not installed.
    """
    core = _import().Core()
    return frozenset(str(name) for name in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))


def has_bf16() -> bool:
    """Whether the CPU has bf16; without it, bf16 would be twenty times slower or fail."""
    try:
        return 'BF16' in capabilities()
    except EngineError:
        return False


class OpenVinoEngine(Engine):
    """
    A network in OpenVINO on the CPU.

    There is no way to put new weights into a compiled network: :meth:`prepare` compiles again,
    three to seven times slower than ONNX Runtime takes a revision over.

    :param bundle: what to run.
    :param options: threads, and precision: 'fp32'; 'bf16' if the CPU reports it; 'auto' for bf16
        where that is there and passes the acceptance test, else fp32. Device 'cpu' or 'auto'.
    :raises EngineError: OpenVINO is not installed, the device or the precision is not there, the
        network is refused by the acceptance test, or it is not what the manifest says.
    """

    name = 'openvino'

    def __init__(self, bundle: Bundle, options: EngineOptions | None = None) -> None:
        """See the class."""
        super().__init__(bundle, options)
        if self.options.device not in (AUTO, CPU):
            msg = f"openvino runs on 'cpu' here, not on {self.options.device!r}"
            raise EngineError(msg)
        if self.options.precision not in (AUTO, 'fp32', BF16):
            msg = (
                f'openvino computes in fp32 or bf16 on a CPU, not in {self.options.precision!r}; '
                "use precision 'auto'"
            )
            raise EngineError(msg)
        if self.options.precision == BF16 and BF16.upper() not in capabilities():
            msg = "this CPU reports no bf16 (OPTIMIZATION_CAPABILITIES); use precision 'fp32'"
            raise EngineError(msg)
        self._openvino = _import()
        self._lock = threading.Lock()
        self._outputs = list(bundle.outputs.items())
        self._threads = self.options.threads or min(available_threads(), MAX_THREADS)
        self._request: Any = None
        self.precision = 'fp32'
        if self.options.precision == 'fp32' or not has_bf16():
            self._compile('fp32')
        else:
            self._try_bf16()
        if self.options.warmup:
            self.infer({spec.name: np.zeros(spec.shape, spec.dtype) for spec in bundle.inputs})

    @property
    def description(self) -> str:
        """Engine, version, device, precision and threads in one line."""
        version = self._openvino.__version__.partition('-')[0]
        plural = '' if self._threads == 1 else 's'
        return f'openvino {version} on the CPU, {self.precision}, {self._threads} thread{plural}'

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; see :meth:`Engine.infer`."""
        self.check_inputs(inputs)
        with self._lock:
            if self._request is None:
                msg = f'the engine of {self.bundle.name} {self.bundle.revision} has been closed'
                raise EngineError(msg)
            try:
                # the request reads the arrays in place and keeps them until the next run
                given = {key: np.ascontiguousarray(value) for key, value in inputs.items()}
                found = self._request.infer(given, share_inputs=True)
                values = [found[tensor] for _, tensor in self._outputs]
            except Exception as err:  # OpenVINO raises RuntimeError and types of its own
                msg = f'openvino failed to run {self.bundle.name}: {err}'
                raise EngineError(msg) from err
        return {
            key: value.astype(np.float32)
            for (key, _), value in zip(self._outputs, values, strict=True)
        }

    def close(self) -> None:
        """Free the compiled network."""
        with self._lock:
            self._request = None

    def _try_bf16(self) -> None:
        """
        Take bf16 if it passes the acceptance test, else fp32 where that is allowed.

        :raises EngineError: bf16 was asked for and is refused.
        """
        self._compile(BF16)
        try:
            accept_engine(self)
        except EngineError as err:
            if self.options.precision == BF16:
                raise
            self.options.say(f'{err}; fp32 is used')
            self._compile('fp32')

    def _compile(self, precision: str) -> None:
        """
        Compile the network with the weights of its revision.

        :raises EngineError: it cannot be read or compiled, or is not what the manifest says.
        """
        config = {
            'INFERENCE_PRECISION_HINT': {'fp32': 'f32', BF16: 'bf16'}[precision],
            'INFERENCE_NUM_THREADS': self._threads,
            'NUM_STREAMS': 1,
            'PERFORMANCE_HINT': 'LATENCY',
        }
        path = self.bundle.model_path
        try:
            model = self._openvino.Core().read_model(str(path))
            _replace(self._openvino, model, replaced_values(self.bundle), str(path))
            self._check_model(model)
            compiled = self._openvino.Core().compile_model(model, 'CPU', config)
            request = compiled.create_infer_request()
        except EngineError:
            raise
        except BundleError as err:
            raise EngineError(str(err)) from err
        except Exception as err:  # OpenVINO raises RuntimeError and types of its own
            msg = f'{path} cannot be loaded by openvino: {err}'
            raise EngineError(msg) from err
        self.precision = precision
        self._request = request

    def _check_model(self, model: Any) -> None:
        """Compare the network with the manifest, so that a wrong one fails now and not later."""
        bundle, path = self.bundle, self.bundle.model_path
        types = {'float32': 'f32', 'float16': 'f16'}
        found = {port.get_any_name(): port for port in model.inputs}
        if found.keys() != {spec.name for spec in bundle.inputs}:
            names = [spec.name for spec in bundle.inputs]
            msg = f'{path} has inputs {sorted(found)}, its manifest says {names}'
            raise EngineError(msg)
        for spec in bundle.inputs:
            port = found[spec.name]
            kind = port.get_element_type().get_type_name()
            if not _fits(port, spec.shape) or kind != types[spec.dtype]:
                msg = (
                    f'{path} takes {spec.name} as {port.get_partial_shape()} {kind}, its manifest '
                    f'says {spec.shape} {spec.dtype}'
                )
                raise EngineError(msg)
        outputs = {name: port for port in model.outputs for name in port.get_names()}
        wanted = (1, 1, *bundle.inputs[0].shape[2:])
        for key, tensor in bundle.outputs.items():
            if tensor not in outputs:
                msg = (
                    f'{path} has no output {tensor!r} for {key}, only {sorted(outputs)}; its '
                    'manifest does not belong to it'
                )
                raise EngineError(msg)
            if not _fits(outputs[tensor], wanted):
                shape = outputs[tensor].get_partial_shape()
                msg = f'{path} gives {tensor} as {shape}, but {key} must be {wanted}'
                raise EngineError(msg)


def _import() -> Any:
    """
    The module openvino, imported when it is wanted.

    :raises EngineError: it is not installed.
    """
    try:
        import openvino
    except ImportError as err:
        msg = f"openvino cannot be imported ({err}); pip install 'monother_ros[openvino]'"
        raise EngineError(msg) from err
    return openvino


def _fits(port: Any, wanted: tuple[int, ...]) -> bool:
    """Whether an input or output can have a shape."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) != len(wanted):
        return False
    return all(a.is_dynamic or a.get_length() == b for a, b in zip(shape, wanted, strict=True))


def _replace(openvino: Any, model: Any, values: dict[str, NDArray[Any]], path: str) -> None:
    """
    Put the weights of a revision in the place of the constants of those names.

    :raises EngineError: a constant is not there by its name.
    """
    if not values:
        return
    constants = {
        node.get_friendly_name(): node
        for node in model.get_ops()
        if node.get_type_name() == 'Constant'
    }
    missing = sorted(values.keys() - constants.keys())
    if missing:
        msg = f'openvino does not find the weight {missing[0]} of a revision in {path}'
        raise EngineError(msg)
    for name, value in values.items():
        old = constants[name]
        new = openvino.opset13.constant(np.array(value), dtype=old.get_element_type())
        new.set_friendly_name(name)
        for target in old.output(0).get_target_inputs():
            target.replace_source_output(new.output(0))
