# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine runs a bundle on this machine."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monother_ros.core.errors import EngineError
from monother_ros.engines.base import AUTO, CPU, FELL_BACK, Engine, EngineOptions
from monother_ros.engines.quantised import is_quantised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monother_ros.core.bundle import Bundle


@dataclass(frozen=True)
class Kind:
    """
    A kind of engine.

    :param module: that holds it, imported when it is wanted.
    :param name: of its class.
    :param requires: modules of which one must be installed.
    """

    module: str
    name: str
    requires: tuple[str, ...]

    @property
    def missing(self) -> str:
        """What is not installed; empty if nothing lacks."""
        if any(_installed(module) for module in self.requires):
            return ''
        return f'{" or ".join(self.requires)} is not installed'


REFERENCE = 'onnxruntime'
"""The engine that others are compared with and fall back to."""

ENGINES = {
    'tensorrt': Kind(
        'monother_ros.engines.tensorrt',
        'TensorRtEngine',
        ('tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings'),
    ),
    REFERENCE: Kind('monother_ros.engines.onnxruntime', 'OnnxRuntimeEngine', ('onnxruntime',)),
    'openvino': Kind('monother_ros.engines.openvino', 'OpenVinoEngine', ('openvino',)),
}
"""Every kind of engine by its name."""

X86 = ('x86_64', 'amd64')


@dataclass(frozen=True)
class Candidate:
    """
    What 'auto' looks at.

    :param name: of the kind of engine.
    :param options: that it would be built with.
    :param against: why it is passed over unseen; empty to try it.
    :param why: what speaks for it, for the log.
    """

    name: str
    options: EngineOptions
    against: str = ''
    why: str = ''

    @property
    def label(self) -> str:
        """Kind and device."""
        return f'{self.name} on {"the CPU" if self.options.device == CPU else "a GPU"}'


def engine_names() -> tuple[str, ...]:
    """Names that :func:`load_engine` takes."""
    return (AUTO, *ENGINES)


def load_engine(bundle: Bundle, name: str = AUTO, options: EngineOptions | None = None) -> Engine:
    """
    Build the engine of a bundle and warm it up.

    :param bundle: what to run.
    :param name: 'auto' for the first of :func:`candidates` that works here, or one of
        :func:`engine_names`.
    :param options: device, precision and the rest; None for fp32 on the CPU.
    :returns: the engine; its reason says what was probed and why this one was taken.
    :raises EngineError: the name is not known, or no engine works; every cause is named.
    """
    asked = options or EngineOptions()
    if name not in engine_names():
        msg = f'engine {name!r} is not known; use one of {", ".join(engine_names())}'
        raise EngineError(msg)
    if name != AUTO:
        return _named(bundle, name, asked)
    passed: list[str] = []
    for candidate in candidates(bundle, asked):
        against = candidate.against or ENGINES[candidate.name].missing
        if not against:
            try:
                engine = build_engine(bundle, candidate.name, candidate.options)
            except EngineError as err:
                against = str(err)
            else:
                also = f'; passed over {"; ".join(passed)}' if passed else ''
                engine.reason = f'auto took {candidate.label}: {candidate.why}{also}'
                return engine
        passed.append(f'{candidate.label}: {against}')
    msg = f'no engine can run {bundle.name} on this machine: {"; ".join(passed)}'
    raise EngineError(msg)


def candidates(bundle: Bundle, options: EngineOptions) -> Iterator[Candidate]:
    """
    What 'auto' tries, in order: TensorRT, ONNX Runtime on a GPU, OpenVINO, ONNX Runtime.

    :param bundle: what to run.
    :param options: as asked for; a device rules out the engines of the other.
    :yields: candidates; those that are known not to fit say why.
    """
    no_gpu = 'the device asked for is the CPU' if options.gpu is None else ''
    gpu = replace(options, device='cuda' if options.device in (AUTO, CPU) else options.device)
    yield Candidate('tensorrt', gpu, no_gpu, 'a GPU and TensorRT are here')
    yield Candidate(REFERENCE, gpu, no_gpu, 'its CUDA provider runs here')
    cpu = replace(options, device=CPU)
    no_cpu = ''
    if options.device not in (AUTO, CPU) and not options.fallback:
        no_cpu = f'the device asked for is {options.device}'
    yield _openvino(bundle, cpu, no_cpu)
    yield Candidate(REFERENCE, _plain(cpu), no_cpu, 'it runs everywhere')


def build_engine(bundle: Bundle, name: str, options: EngineOptions) -> Engine:
    """
    Build one kind of engine, importing its module only now.

    :param bundle: what to run.
    :param name: key of :data:`ENGINES`.
    :param options: how.
    :raises EngineError: what it needs is not installed, or it cannot be built.
    """
    kind = ENGINES[name]
    try:
        made = getattr(importlib.import_module(kind.module), kind.name)
    except ImportError as err:
        msg = f'{name} cannot be imported: {err}'
        raise EngineError(msg) from err
    engine: Engine = made(bundle, options)
    return engine


def _named(bundle: Bundle, name: str, options: EngineOptions) -> Engine:
    """The engine that was asked for, or the reference where that is allowed."""
    try:
        engine = build_engine(bundle, name, options)
    except EngineError as err:
        if not options.fallback or name == REFERENCE:
            raise
        engine = build_engine(bundle, REFERENCE, _plain(replace(options, device=CPU)))
        engine.reason = f'{name} was asked for, but {FELL_BACK} {REFERENCE}: {err}'
        return engine
    engine.reason = f'{name} was asked for'
    return engine


def _openvino(bundle: Bundle, options: EngineOptions, against: str) -> Candidate:
    """OpenVINO, where it gains: bf16 on a CPU that has it, or a quantised network."""
    name = 'openvino'
    if against or ENGINES[name].missing:
        return Candidate(name, options, against)
    if platform.machine().lower() not in X86:
        return Candidate(name, options, f'{platform.machine()} is no x86 CPU')
    if options.plan.refit:
        return Candidate(name, options, 'revisions will come, which it takes over slowly')
    if is_quantised(bundle):
        return Candidate(name, options, '', 'it runs INT8 networks fastest on x86')
    if options.precision not in (AUTO, 'bf16'):
        return Candidate(name, options, f'it gains nothing in {options.precision}')
    from monother_ros.engines.openvino import has_bf16

    if not has_bf16():
        return Candidate(name, options, 'this CPU has no bf16, and it gains nothing without')
    return Candidate(name, replace(options, precision='bf16'), '', 'this CPU computes in bf16')


def _plain(options: EngineOptions) -> EngineOptions:
    """Options for ONNX Runtime on the CPU, which computes as the bundle says."""
    return replace(options, precision='fp32')


def _installed(module: str) -> bool:
    """Whether a module can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
