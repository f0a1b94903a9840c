# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every inference engine offers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError
from monother_ros.engines.check import Tolerance

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from monother_ros.core.bundle import Bundle


PRECISIONS = ('auto', 'fp32', 'fp16', 'fp16-safe', 'bf16')
"""Arithmetic that can be asked for. INT8 is a property of a bundle (`monother quantize`)."""

FELL_BACK = 'fell back to'
"""Words in the reason of an engine that took the place of another."""

CPU = 'cpu'
AUTO = 'auto'


def all_inputs(bundle: Bundle, first: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """
    Inputs of a network whose picture alone is at hand.

    :param bundle: of the network.
    :param first: of its first input; its type may be another one.
    :returns: by name, in the types of the bundle; further inputs, such as sparse depth, are 0,
        which means that there is nothing.
    """
    picture, *others = bundle.inputs
    rest = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in others}
    return {picture.name: first.astype(picture.dtype, copy=False), **rest}


@dataclass(frozen=True)
class PlanOptions:
    """
    How engines that compile a plan (TensorRT) build and keep it.

    :param cache: folder of the plans; None for the default one, see
        :mod:`monother_ros.engines.trt_cache`.
    :param workspace: MiB that a layer may use for scratch; 0 for the default.
    :param level: effort of the builder, 0 to 5; None for the default.
    :param refit: build plans that take new weights without being built again; they can be slower.
    :param version_compatible: plans that later versions of the library can load.
    :param hardware_compatible: plans that other GPUs can load.
    """

    cache: Path | None = None
    workspace: int = 0
    level: int | None = None
    refit: bool = False
    version_compatible: bool = False
    hardware_compatible: bool = False


@dataclass(frozen=True)
class EngineOptions:
    """
    How an engine runs.

    The defaults are exact and run everywhere, as learning and comparisons want it. A robot asks
    for 'auto' as device and precision.

    :param threads: CPU threads; 0 means as many as there are cores, 4 at most.
    :param device: 'cpu', 'cuda', 'cuda:1' (a GPU by its index), or 'auto' for a GPU where an
        engine can use one.
    :param precision: 'fp32', or what else the engine knows of :data:`PRECISIONS`; 'auto' for the
        fastest that passes the acceptance test.
    :param warmup: run once with zeros, so that the first frame is not the slow one.
    :param fallback: go on with ONNX Runtime on the CPU where the engine cannot be built or its
        GPU is lost; the reason is told.
    :param tolerance: of the acceptance test; None for the default.
    :param cuda_graph: record the work of a frame once and launch it whole, where that works.
    :param zero_copy: let the GPU work in the memory of the host; None for where memory is shared
        (Jetson).
    :param plan: of engines that compile one.
    :param log: gets a line about what takes long or was decided; None for silence.
    :param cancelled: tells whether to give up building; None for never.
    """

    threads: int = 0
    device: str = CPU
    precision: str = 'fp32'
    warmup: bool = True
    fallback: bool = False
    tolerance: Tolerance | None = None
    cuda_graph: bool = True
    zero_copy: bool | None = None
    plan: PlanOptions = field(default_factory=PlanOptions)
    log: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    cancelled: Callable[[], bool] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """
        Check the names.

        :raises EngineError: device or precision is none that exists.
        """
        if not re.fullmatch(r'auto|cpu|cuda(:\d+)?', self.device):
            msg = f"device {self.device!r} is not known; use 'auto', 'cpu', 'cuda' or 'cuda:1'"
            raise EngineError(msg)
        if self.precision not in PRECISIONS:
            msg = f'precision {self.precision!r} is not known; use one of {", ".join(PRECISIONS)}'
            raise EngineError(msg)

    @property
    def gpu(self) -> int | None:
        """Index of the GPU to use, 0 for 'auto' and 'cuda'; None for 'cpu'."""
        if self.device == CPU:
            return None
        return int(self.device.partition(':')[2] or 0)

    def say(self, text: str) -> None:
        """
        Tell what takes long or was decided.

        :param text: one line.
        """
        if self.log is not None:
            self.log(text)


class Engine(ABC):
    """
    A network ready to run; safe to close while another thread infers.

    :ivar name: of the kind of engine, e.g. 'onnxruntime'.
    :ivar bundle: the bundle that it runs.
    :ivar options: how it runs.
    :ivar reason: why this kind was chosen, for logs and diagnostics.
    """

    name = ''

    def __init__(self, bundle: Bundle, options: EngineOptions | None = None) -> None:
        """See the class."""
        self.bundle = bundle
        self.options = options or EngineOptions()
        self.reason = f'{self.name} was asked for'

    @property
    def fell_back(self) -> bool:
        """Whether this is not the engine that was asked for; the reason says why."""
        return FELL_BACK in self.reason

    @property
    @abstractmethod
    def description(self) -> str:
        """Engine, version, device and threads in one line."""

    @abstractmethod
    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """
        Run the network once.

        :param inputs: array of each input of the bundle by its name, with its shape and type.
        :returns: arrays by the bundle's output names: 'depth' (1, 1, H, W) float32 in metres and,
            where the network says it, 'confidence' (1, 1, H, W) float32 in [0, 1]. They may be
            overwritten by the next call.
        :raises EngineError: an input does not fit, the engine is closed, or the run failed.
        """

    def prepare(self, bundle: Bundle) -> Self:
        """
        Build an engine of the same kind and options for another bundle, beside this one.

        This engine may run while it is built. Where both bundles have the same graph
        (`files['model.onnx']`) and weights beside it, they differ in the values of
        :func:`monother_ros.core.initialisers.current_values` alone, by name: an engine that can
        put new values into what it has compiled (TensorRT: a plan built with REFIT and a
        Refitter with set_named_weights) does so here, in a copy of its own, and falls back to a
        full build. What it returns must not share weights with this engine: frames of two
        revisions must not mix.

        :param bundle: the next revision.
        :returns: the new engine, warmed up; the caller closes whichever it stops using.
        :raises EngineError: it cannot be built; this engine goes on.
        """
        engine = type(self)(bundle, self.options)
        engine.reason = self.reason
        return engine

    @abstractmethod
    def close(self) -> None:
        """Free everything; waits for a run in progress. A closed engine may be closed again."""

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close at the end of a with block."""
        self.close()

    def check_inputs(self, inputs: dict[str, NDArray[Any]]) -> None:
        """
        Compare inputs with the bundle.

        :raises EngineError: one is missing or superfluous, or of another shape or type.
        """
        wanted = {spec.name: spec for spec in self.bundle.inputs}
        if inputs.keys() != wanted.keys():
            msg = f'the model {self.bundle.name} takes {sorted(wanted)}, but got {sorted(inputs)}'
            raise EngineError(msg)
        for name, spec in wanted.items():
            value = inputs[name]
            if value.shape != spec.shape or value.dtype != np.dtype(spec.dtype):
                msg = (
                    f'the model {self.bundle.name} takes {name} as {spec.shape} {spec.dtype}, but '
                    f'got {value.shape} {value.dtype}'
                )
                raise EngineError(msg)
