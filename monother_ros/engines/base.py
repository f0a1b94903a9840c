# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every inference engine offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from monother_ros.core.bundle import Bundle


@dataclass(frozen=True)
class EngineOptions:
    """
    How an engine runs.

    :param threads: CPU threads; 0 means as many as there are cores, 4 at most.
    :param device: 'cpu', or the name of an accelerator that the engine knows.
    :param warmup: run once with zeros, so that the first frame is not the slow one.
    """

    threads: int = 0
    device: str = 'cpu'
    warmup: bool = True


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
