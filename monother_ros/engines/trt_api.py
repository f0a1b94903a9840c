# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The one place that knows how the versions of TensorRT differ.

``tensorrt`` 8.6 (JetPack 6.0), 10.x (JetPack 6.1 to 7) and 11 share one API of named tensors with
``tensorrt_rtx`` (desktop RTX). Network flags, how precision is said, refit, compatibility and
targets of a build differ; everything else in this package is written once.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from monother_ros.core.errors import EngineError
from monother_ros.engines.trt_logger import shared_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType

TENSORRT = 'tensorrt'
RTX = 'tensorrt_rtx'

_MODULES = ((TENSORRT, TENSORRT), (RTX, RTX), ('tensorrt_rtx_bindings', RTX))
"""Names to import in this order, and what they are."""

_REFIT_DROPS_BIAS = (11, 3)
"""NVIDIA's notes on this version: a plan with REFIT may lose the bias of a matrix product."""


def find_trt() -> TrtApi:
    """
    TensorRT of this machine.

    :returns: ``tensorrt`` where it can be imported, else ``tensorrt_rtx``.
    :raises EngineError: neither can be; with each cause and what to install.
    """
    causes = []
    for name, flavour in _MODULES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as err:  # noqa: PERF203
            if err.name == name:
                continue
            causes.append(f'{name}: {err}')
        except Exception as err:  # a library that does not fit raises many types
            causes.append(f'{name}: {err}')
        else:
            return TrtApi(module, flavour)
    found = f' ({"; ".join(causes)})' if causes else ''
    msg = (
        f'TensorRT is not installed{found}; on a Jetson it comes with JetPack '
        '(python3-libnvinfer), on a data centre GPU pip install tensorrt, on a GeForce or RTX '
        "GPU pip install 'monother_ros[tensorrt-rtx]'"
    )
    raise EngineError(msg)


class TrtApi:
    """
    One TensorRT, with its differences behind methods.

    :ivar module: what was imported; everything that all versions share is called on it.
    :ivar flavour: 'tensorrt' or 'tensorrt_rtx'.
    :ivar version: full version, e.g. '10.3.0'.
    :param module: that module, or a double of it.
    :param flavour: see above.
    """

    def __init__(self, module: ModuleType | Any, flavour: str = TENSORRT) -> None:
        """See the class."""
        self.module: Any = module
        self.flavour = flavour
        self.version = str(getattr(module, '__version__', 'unknown'))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Version as numbers, e.g. (10, 3, 0); of TensorRT for RTX its own count."""
        return tuple(int(part) for part in re.findall(r'\d+', self.version))

    @property
    def major(self) -> int:
        """Major version of the API: TensorRT for RTX has that of 11."""
        return 11 if self.flavour == RTX else (self.numbers or (0,))[0]

    @property
    def label(self) -> str:
        """Name and version, for logs."""
        name = 'TensorRT for RTX' if self.flavour == RTX else 'TensorRT'
        return f'{name} {self.version}'

    @property
    def strongly_typed(self) -> bool:
        """Whether a network computes in the types that its ONNX file says (10.0 and newer)."""
        return hasattr(self.module.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED')

    @property
    def can_refit(self) -> bool:
        """Whether plans built with refit compute right; 11.3 is known to lose biases."""
        return self.flavour == RTX or self.numbers[:2] != _REFIT_DROPS_BIAS

    @property
    def measures(self) -> bool:
        """Whether a build measures kernels on the GPU, so that its timings are worth keeping."""
        return self.flavour == TENSORRT

    @property
    def has_onnx_refitter(self) -> bool:
        """Whether new weights can be taken from an ONNX file (10.0 and newer)."""
        return hasattr(self.module, 'OnnxParserRefitter')

    def logger(self, callback: Callable[[int, str], None] | None = None) -> Any:
        """
        Logger to hand to TensorRT: one for the whole process, since TensorRT keeps the first.

        :param callback: called with a level of :mod:`logging` and the text, from any thread, with
            what TensorRT says to anybody in this process. It ends with the object that it belongs
            to; a plain function stays. None for what is registered already.
        :returns: a trt.ILogger; it lives as long as the process.
        """
        logger, listeners = shared_logger(self.module)
        if callback is not None:
            listeners.add(callback)
        return logger

    def create_network(self, builder: Any) -> Any:
        """
        Network with an explicit batch, strongly typed where this version can.

        :param builder: trt.Builder.
        :returns: trt.INetworkDefinition.
        """
        known, flags = self.module.NetworkDefinitionCreationFlag, 0
        if self.major < 10:
            flags |= 1 << int(known.EXPLICIT_BATCH)
        if self.strongly_typed:
            flags |= 1 << int(known.STRONGLY_TYPED)
        return builder.create_network(flags)

    def set_precision(self, config: Any, *, half: bool, int8: bool = False) -> None:
        """
        Allow the types that the ONNX file uses; a strongly typed network needs no flag.

        :param config: trt.IBuilderConfig.
        :param half: the file has float16 tensors.
        :param int8: the file has quantised tensors (Q/DQ).
        """
        flags = self.module.BuilderFlag
        if not self.strongly_typed:
            if half:
                config.set_flag(flags.FP16)
                config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS)
            if int8:
                config.set_flag(flags.INT8)
        # TF32 keeps 10 bits of the mantissa: what is asked for in float32 shall be float32
        config.clear_flag(flags.TF32)

    def keep_float32(self, network: Any, names: Iterable[str]) -> int:
        """
        Hold layers of a weakly typed network (8.6) in float32.

        :param network: trt.INetworkDefinition.
        :param names: of ONNX nodes, which are those of the layers.
        :returns: layers that were held; 0 where the network is strongly typed.
        """
        if self.strongly_typed:
            return 0
        wanted, held = set(names), 0
        for k in range(network.num_layers):
            layer = network.get_layer(k)
            if layer.name in wanted:
                layer.precision = self.module.DataType.FLOAT
                for i in range(layer.num_outputs):
                    layer.set_output_type(i, self.module.DataType.FLOAT)
                held += 1
        return held

    def set_targets(self, config: Any, targets: Sequence[str]) -> None:
        """
        Build for GPUs that need not be in this machine.

        :param config: trt.IBuilderConfig.
        :param targets: compute capabilities, e.g. ['8.6', '12.0']; none for the GPU at hand.
        :raises EngineError: this TensorRT builds for the GPU at hand alone, or does not know one.
        """
        if not targets:
            return
        if not hasattr(self.module, 'ComputeCapability'):
            msg = (
                f'{self.label} builds for the GPU that it runs on alone; leave out the compute '
                'capability, or build with TensorRT for RTX'
            )
            raise EngineError(msg)
        known = self.module.ComputeCapability
        values = []
        for target in targets:
            name = f'SM{str(target).replace(".", "")}'
            if not re.fullmatch(r'SM\d+', name) or not hasattr(known, name):
                listed = ', '.join(self.targets())
                msg = f'{self.label} cannot build for {target}; it knows {listed}'
                raise EngineError(msg)
            values.append(getattr(known, name))
        config.num_compute_capabilities = len(values)
        for k, value in enumerate(values):
            config.set_compute_capability(value, k)

    def targets(self) -> tuple[str, ...]:
        """Compute capabilities that a build may name; none where it is for the GPU at hand."""
        known = getattr(self.module, 'ComputeCapability', None)
        names = () if known is None else tuple(known.__members__)
        return tuple(f'{n[2:-1]}.{n[-1]}' for n in names if re.fullmatch(r'SM\d+', n))

    def set_refit(self, config: Any, network: Any, names: Iterable[str] | None = None) -> None:
        """
        Build a plan whose weights can be exchanged.

        :param config: trt.IBuilderConfig.
        :param network: whose weights they are.
        :param names: weights to be exchanged, where this version can limit it to them (10.0 and
            newer: the rest is fused as usual); None or an older version for all of them.
        :raises EngineError: this version computes wrongly with refit, or does not know a weight.
        """
        if not self.can_refit:
            msg = (
                f'{self.label} is known to lose biases in plans built with refit; build without '
                'it, or install another version'
            )
            raise EngineError(msg)
        flags = self.module.BuilderFlag
        if names is None or not hasattr(flags, 'REFIT_INDIVIDUAL'):
            config.set_flag(flags.REFIT)
            return
        config.set_flag(flags.REFIT_INDIVIDUAL)
        unknown = [name for name in names if not network.mark_weights_refittable(name)]
        if unknown:
            msg = f'{self.label} has no weights {", ".join(unknown[:3])} to exchange'
            raise EngineError(msg)

    def set_compatibility(self, config: Any, *, version: bool, hardware: bool) -> None:
        """
        Build a plan for more than this TensorRT and this GPU; it runs slower.

        :param config: trt.IBuilderConfig.
        :param version: the plan is to run on later versions with the same major number.
        :param hardware: the plan is to run on all GPUs from Ampere on.
        :raises EngineError: TensorRT for RTX, whose plans are not bound to one GPU anyway.
        """
        if self.flavour == RTX and (version or hardware):
            msg = (
                f'{self.label} has no compatible plans of this kind; name the compute '
                'capabilities instead'
            )
            raise EngineError(msg)
        if version:
            config.set_flag(self.module.BuilderFlag.VERSION_COMPATIBLE)
        if hardware:
            level = self.module.HardwareCompatibilityLevel.AMPERE_PLUS
            config.hardware_compatibility_level = level

    def progress_monitor(
        self, callback: Callable[[str, str | None, int, int], None], cancelled: Callable[[], bool]
    ) -> Any:
        """
        Watcher of a build, where this version has one (10.0 and newer).

        :param callback: called with the phase, its parent, steps done and steps in all, from the
            threads of the builder; a phase that ends has all of its steps done.
        :param cancelled: asked after every step; the build stops where it says True.
        :returns: a trt.IProgressMonitor, or None; the caller must keep it during the build.
        """
        if not hasattr(self.module, 'IProgressMonitor'):
            return None
        steps: dict[str, tuple[str | None, int]] = {}

        class Monitor(self.module.IProgressMonitor):  # type: ignore[misc, name-defined]
            """Hands over what the builder says; an error here must not reach the builder."""

            def __init__(self) -> None:
                super().__init__()

            def phase_start(
                self, phase_name: str, parent_phase: str | None, num_steps: int
            ) -> None:
                steps[phase_name] = (parent_phase, int(num_steps))
                callback(phase_name, parent_phase, 0, int(num_steps))

            def step_complete(self, phase_name: str, step: int) -> bool:
                parent, count = steps.get(phase_name, (None, 0))
                callback(phase_name, parent, int(step) + 1, count)
                return not cancelled()

            def phase_finish(self, phase_name: str) -> None:
                parent, count = steps.pop(phase_name, (None, 0))
                callback(phase_name, parent, count, count)

        return Monitor()

    def create_runtime(self, logger: Any, *, version_compatible: bool = False) -> Any:
        """
        What loads plans.

        :param logger: see :meth:`logger`; must be kept as long as the runtime.
        :param version_compatible: the plan was built so; it holds code that runs on the host.
        :returns: trt.Runtime.
        :raises EngineError: it cannot be made, mostly because there is no GPU or driver.
        """
        try:
            runtime = self.module.Runtime(logger)
        except Exception as err:  # pybind11 raises what it likes
            msg = f'{self.label} cannot start ({err}); is there an NVIDIA GPU with its driver?'
            raise EngineError(msg) from err
        if version_compatible:
            runtime.engine_host_code_allowed = True
        return runtime
