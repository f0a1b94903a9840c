# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: the engine that is always there, on the CPU or by its CUDA provider."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import BundleError, EngineError
from monother_ros.core.initialisers import replaced_values
from monother_ros.engines.base import AUTO, CPU, Engine, EngineOptions
from monother_ros.engines.tested import accept_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

MAX_THREADS = 4
"""More threads than this take the machine from others and gain nothing on small networks."""

_TYPES = {'tensor(float)': 'float32', 'tensor(float16)': 'float16'}
_ERRORS_ONLY = 3

CPU_PROVIDER = 'CPUExecutionProvider'
CUDA_PROVIDER = 'CUDAExecutionProvider'


def available_threads() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class OnnxRuntimeEngine(Engine):
    """
    A network in ONNX Runtime, fp32.

    Threads do not spin while they wait. Spinning would make the lite network faster (7.7 instead
    of 12.6 ms on two cores), for two and a half times the CPU time (33 instead of 13 ms a frame),
    which is taken from the rest of the robot.

    Weights that replace those of the graph are handed over by `add_external_initializers`, which
    puts them in before the graph is optimised. `add_initializer` would put them in afterwards,
    when the weights of the file have been folded and reordered already: no error, wrong depth.

    Whether the GPU is used is read from the session that was built: ONNX Runtime lists the CUDA
    provider as available on machines without a GPU, and falls back to the CPU without an error.

    :param bundle: what to run.
    :param options: threads, device and precision. Device 'auto' takes the GPU where the session
        really runs there. Precision 'fp32' keeps the GPU from rounding to TF32; 'auto' lets it,
        after an acceptance test. An fp32 network is not run in anything else.
    :raises EngineError: ONNX Runtime is not installed, the device is not there, the file is no
        network, its weights do not fit, or the network's inputs and outputs are not those of the
        manifest.
    """

    name = 'onnxruntime'

    def __init__(self, bundle: Bundle, options: EngineOptions | None = None) -> None:
        """See the class."""
        super().__init__(bundle, options)
        if self.options.precision not in (AUTO, 'fp32'):
            msg = (
                f'onnxruntime computes as the bundle says, not in {self.options.precision!r}; '
                "use precision 'auto' or 'fp32', or a bundle made by monother quantize"
            )
            raise EngineError(msg)
        try:
            import onnxruntime as ort
        except ImportError as err:
            msg = f'onnxruntime cannot be imported ({err}); pip install onnxruntime'
            raise EngineError(msg) from err
        threads = self.options.threads or min(available_threads(), MAX_THREADS)
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = _ERRORS_ONLY
        settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
        providers = self._providers(ort)
        # ONNX Runtime borrows the memory of the values until the session has been built
        values = self._hand_over(ort, settings)
        try:
            session = ort.InferenceSession(str(bundle.model_path), settings, providers=providers)
        except Exception as err:  # ONNX Runtime raises many types of its own
            msg = f'{bundle.model_path} cannot be loaded by onnxruntime: {err}'
            raise EngineError(msg) from err
        del values
        self._session: Any = session
        self._lock = threading.Lock()
        self.device = self._check_device()
        plural = '' if threads == 1 else 's'
        where = f'the CPU, {threads} thread{plural}' if self.device == CPU else self.device
        self._description = f'onnxruntime {ort.__version__} on {where}'
        self._outputs = list(bundle.outputs.items())
        self._check_model()
        if self.device != CPU and self.options.precision != 'fp32':
            accept_engine(self)
        elif self.options.warmup:
            self.infer({spec.name: np.zeros(spec.shape, spec.dtype) for spec in bundle.inputs})

    @property
    def description(self) -> str:
        """Engine, version, device and threads in one line."""
        return self._description

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; see :meth:`Engine.infer`."""
        self.check_inputs(inputs)
        with self._lock:
            if self._session is None:
                msg = f'the engine of {self.bundle.name} {self.bundle.revision} has been closed'
                raise EngineError(msg)
            try:
                values = self._session.run([tensor for _, tensor in self._outputs], inputs)
            except Exception as err:  # ONNX Runtime raises many types of its own
                msg = f'onnxruntime failed to run {self.bundle.name}: {err}'
                raise EngineError(msg) from err
        return {
            key: value if value.dtype == np.float32 else value.astype(np.float32)
            for (key, _), value in zip(self._outputs, values, strict=True)
        }

    def close(self) -> None:
        """Free the session."""
        with self._lock:
            self._session = None

    def _providers(self, ort: Any) -> list[Any]:
        """
        Providers to ask for, best first.

        :raises EngineError: the device is a GPU and this build of ONNX Runtime has no CUDA.
        """
        gpu = self.options.gpu
        if gpu is None:
            return [CPU_PROVIDER]
        if CUDA_PROVIDER not in ort.get_available_providers():
            if self.options.device == AUTO:
                return [CPU_PROVIDER]
            msg = (
                f'this onnxruntime {ort.__version__} has no CUDA provider for device '
                f'{self.options.device!r}; pip install onnxruntime-gpu in its place'
            )
            raise EngineError(msg)
        if hasattr(ort, 'preload_dlls'):  # CUDA and cuDNN of pip packages, from 1.21
            with contextlib.suppress(Exception):
                ort.preload_dlls()
        exact = self.options.precision == 'fp32'
        return [(CUDA_PROVIDER, {'device_id': gpu, 'use_tf32': int(not exact)}), CPU_PROVIDER]

    def _check_device(self) -> str:
        """
        Device that the session really runs on.

        :raises EngineError: a GPU was asked for and is not used.
        """
        used = list(self._session.get_providers())
        if used and used[0] == CUDA_PROVIDER:
            return f'cuda:{self.options.gpu}'
        if self.options.device not in (AUTO, CPU):
            msg = (
                f'onnxruntime was asked for {self.options.device!r} and built its session on '
                f'{", ".join(used)}; see its messages above for what CUDA or cuDNN lacks'
            )
            raise EngineError(msg)
        return CPU

    def _hand_over(self, ort: Any, settings: Any) -> list[NDArray[Any]]:
        """
        Give the replaced weights of the bundle to a session to come.

        :returns: the memory that must outlive the building of the session.
        :raises EngineError: the weights do not belong to the network.
        """
        try:
            replaced = replaced_values(self.bundle)
        except BundleError as err:
            raise EngineError(str(err)) from err
        if not replaced:
            return []
        values = list(replaced.values())
        try:
            handles = [ort.OrtValue.ortvalue_from_numpy(value) for value in values]
            settings.add_external_initializers(list(replaced), handles)
        except Exception as err:  # ONNX Runtime raises many types of its own
            msg = f'onnxruntime {ort.__version__} does not take the weights of a revision: {err}'
            raise EngineError(msg) from err
        return values

    def _check_model(self) -> None:
        """Compare the network with the manifest, so that a wrong one fails now and not later."""
        bundle = self.bundle
        found = {item.name: item for item in self._session.get_inputs()}
        if found.keys() != {spec.name for spec in bundle.inputs}:
            names = [spec.name for spec in bundle.inputs]
            msg = f'{bundle.model_path} has inputs {sorted(found)}, its manifest says {names}'
            raise EngineError(msg)
        for spec in bundle.inputs:
            item = found[spec.name]
            shape = tuple(item.shape)
            fits = len(shape) == len(spec.shape) and all(
                not isinstance(a, int) or a == b for a, b in zip(shape, spec.shape, strict=True)
            )
            if not fits or _TYPES.get(item.type, item.type) != spec.dtype:
                msg = (
                    f'{bundle.model_path} takes {spec.name} as {shape} {item.type}, its manifest '
                    f'says {spec.shape} {spec.dtype}'
                )
                raise EngineError(msg)
        outputs = {item.name: tuple(item.shape) for item in self._session.get_outputs()}
        height, width = bundle.inputs[0].shape[2:]
        for key, tensor in bundle.outputs.items():
            if tensor not in outputs:
                msg = (
                    f'{bundle.model_path} has no output {tensor!r} for {key}, only '
                    f'{sorted(outputs)}; its manifest does not belong to it'
                )
                raise EngineError(msg)
            shape, wanted = outputs[tensor], (1, 1, height, width)
            if len(shape) != 4 or any(
                isinstance(a, int) and a != b for a, b in zip(shape, wanted, strict=True)
            ):
                msg = f'{bundle.model_path} gives {tensor} as {shape}, but {key} must be {wanted}'
                raise EngineError(msg)
