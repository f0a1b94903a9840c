# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The test that an engine passes before a frame of a robot goes through it.

Compiled engines can be wrong without an error: arithmetic in half precision overflows, a fused
layer loses its bias, depth comes out at a scale that varies from frame to frame. Frames whose
answer is known by ONNX Runtime on the CPU in fp32 go through the engine several times and in
several orders. What is too far from the reference is refused with its numbers, and the next safer
precision is tried.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from monother_ros.core.errors import EngineError
from monother_ros.engines.check import CheckFrame, Tolerance, check_outputs, read_check
from monother_ros.engines.probe_frames import probe_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.check import Runs

LADDER = ('fp16', 'fp16-safe', 'fp32')
"""Precisions of a compiled engine, from the fastest to the safest."""

STORED = 8
"""Stored frames of a revision that are used at most."""


class Candidate(Protocol):
    """An engine that can be let go."""

    bundle: Bundle

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; see :meth:`monother_ros.engines.base.Engine.infer`."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


C = TypeVar('C', bound=Candidate)


@dataclass(frozen=True)
class Limits:
    """
    How far an engine may be from the reference.

    :param frame: of each frame by itself; see :class:`monother_ros.engines.check.Tolerance`.
    :param scale: largest spread of the scale of depth (median ratio to the reference) over all
        runs of all frames, largest by smallest minus 1.
    :param repeat: largest mean relative difference of depth between two runs of one frame.
    """

    frame: Tolerance = field(default_factory=Tolerance)
    scale: float = 0.01
    repeat: float = 0.002


@dataclass(frozen=True)
class Verdict:
    """
    What the acceptance test said about an engine.

    :param precision: that was tried.
    :param accepted: whether the engine may be used.
    :param problem: why not; empty if it may.
    :param frames: how many frames were compared.
    :param runs: how often the engine was run.
    :param mean: largest mean relative difference of depth of a run.
    :param tail: largest 99th percentile of it.
    :param confidence: largest mean difference of confidence; None where there is none.
    :param scale: smallest and largest median ratio of depth to the reference.
    :param repeat: largest mean relative difference of depth between two runs of one frame.
    :param milliseconds: median time of a run.
    """

    precision: str
    accepted: bool
    problem: str = ''
    frames: int = 0
    runs: int = 0
    mean: float = 0.0
    tail: float = 0.0
    confidence: float | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    repeat: float = 0.0
    milliseconds: float | None = None

    @property
    def text(self) -> str:
        """The numbers in one line."""
        if not self.runs:
            return self.problem
        numbers = (
            f'depth differs by {self.mean:.3%} on average and {self.tail:.3%} at the 99th '
            f'percentile, scale {self.scale[0]:.4f} to {self.scale[1]:.4f}, between runs '
            f'{self.repeat:.3%}, {self.frames} frames, {self.runs} runs'
        )
        return f'{self.problem} ({numbers})' if self.problem else numbers


@dataclass(frozen=True)
class Acceptance:
    """
    Record of an acceptance test, for the cache entry of a plan.

    :param reference: what it was compared with, in one line.
    :param limits: that were applied.
    :param verdicts: of every precision that was tried, in order; the last one was accepted.
    """

    reference: str
    limits: Limits
    verdicts: tuple[Verdict, ...]

    @property
    def precision(self) -> str:
        """Precision that was accepted."""
        return self.verdicts[-1].precision

    @property
    def record(self) -> dict[str, Any]:
        """Everything, as JSON knows it."""
        return {
            'precision': self.precision,
            'reference': self.reference,
            'limits': asdict(self.limits),
            'verdicts': [{**asdict(v), 'scale': list(v.scale)} for v in self.verdicts],
        }


@dataclass(frozen=True, eq=False)
class Reference:
    """
    Frames and what the reference says about them.

    :param name: of the engine that said it, in one line.
    :param frames: at least one.
    """

    name: str
    frames: tuple[CheckFrame, ...]


def reference_of(bundle: Bundle, threads: int = 0) -> Reference:
    """
    Run the acceptance frames of a bundle through ONNX Runtime on the CPU in fp32.

    :param bundle: its own stored frames are used where it has some, and frames made for its input.
    :param threads: of ONNX Runtime; 0 for the default.
    :raises EngineError: the reference itself cannot be run or says nothing plausible.
    :raises BundleError: the stored frames are damaged.
    """
    from monother_ros.engines.base import EngineOptions, all_inputs
    from monother_ros.engines.onnxruntime import OnnxRuntimeEngine

    inputs = [frame.inputs for frame in read_check(bundle)[:STORED]] + probe_inputs(bundle)
    frames = []
    with OnnxRuntimeEngine(bundle, EngineOptions(threads=threads, warmup=False)) as engine:
        for k, values in enumerate(inputs):
            outputs = engine.infer(all_inputs(bundle, values))
            check_outputs(bundle, outputs, f'reference of {bundle.name}, frame {k}')
            said = {key: value.copy() for key, value in outputs.items()}
            frames.append(CheckFrame(values, said['depth'], said.get('confidence')))
        return Reference(engine.description, tuple(frames))


def accept(
    build: Callable[[str], C],
    ladder: Sequence[str],
    reference: Reference,
    limits: Limits | None = None,
    log: Callable[[str], None] | None = None,
) -> tuple[C, Acceptance]:
    """
    Build an engine by the first precision of a ladder that passes the test.

    :param build: makes the engine of a precision; may raise EngineError, which counts as refusal.
    :param ladder: precisions, from the fastest to the safest.
    :param reference: see :func:`reference_of`.
    :param limits: how far the engine may be from it; None for the default.
    :param log: gets a line about each refusal.
    :returns: the engine, which the caller closes, and the record.
    :raises EngineError: no precision passes; the numbers of each are named.
    """
    bounds = limits or Limits()
    verdicts: list[Verdict] = []
    for precision in ladder:
        try:
            engine = build(precision)
        except EngineError as err:
            verdict = Verdict(precision, accepted=False, problem=f'cannot be built: {err}')
        else:
            try:
                verdict = judge(engine, reference, bounds, precision)
            except BaseException:
                engine.close()
                raise
            if verdict.accepted:
                return engine, Acceptance(reference.name, bounds, (*verdicts, verdict))
            engine.close()
        verdicts.append(verdict)
        if log is not None:
            log(f'{precision} is refused: {verdict.text}')
    told = '; '.join(f'{verdict.precision}: {verdict.text}' for verdict in verdicts)
    msg = f'no precision passes the acceptance test against {reference.name}: {told}'
    raise EngineError(msg)


def orders(count: int) -> list[int]:
    """
    Order in which frames go through an engine, so that what depends on the frame before shows.

    :param count: of frames.
    :returns: indices; each frame comes several times, also twice in a row and in both directions.
    """
    forward = list(range(count))
    twice = [k for k in forward for _ in range(2)]
    shuffled = [int(k) for k in np.random.default_rng(7).permutation(count)]
    return [*forward, *reversed(forward), *twice, *shuffled]


def judge(
    engine: Runs, reference: Reference, limits: Limits | None = None, precision: str = 'fp32'
) -> Verdict:
    """
    Run the frames through an engine and compare with the reference.

    :param engine: of the same bundle.
    :param reference: see :func:`reference_of`.
    :param limits: how far the engine may be from it; None for the default.
    :param precision: of the engine, for the record.
    :returns: the numbers; an engine that raises or says nothing plausible is not accepted.
    """
    from monother_ros.engines.base import all_inputs

    bounds = limits or Limits()
    verdict = Verdict(precision, accepted=False, frames=len(reference.frames))
    first: dict[int, NDArray[Any]] = {}
    times, scales, unsure = [], [], []
    mean = tail = repeat = 0.0
    for runs, k in enumerate(orders(len(reference.frames)), 1):
        frame = reference.frames[k]
        start = time.perf_counter()
        try:
            outputs = engine.infer(all_inputs(engine.bundle, frame.inputs))
            times.append(time.perf_counter() - start)
            check_outputs(engine.bundle, outputs, f'run {runs}, frame {k}')
            depth = outputs['depth']
            if depth.shape != frame.depth.shape:
                msg = f'run {runs}, frame {k}: depth is {depth.shape}, not {frame.depth.shape}'
                raise EngineError(msg)
        except EngineError as err:
            return replace(verdict, problem=str(err), runs=len(times))
        change = np.abs(depth - frame.depth) / np.maximum(np.abs(frame.depth), 1e-3)
        mean = max(mean, float(change.mean()))
        tail = max(tail, float(np.percentile(change, 99)))
        scales.append(float(np.median(depth / np.maximum(frame.depth, 1e-3))))
        before = first.setdefault(k, depth.copy())
        apart = np.abs(depth - before) / np.maximum(np.abs(before), 1e-3)
        repeat = max(repeat, float(apart.mean()))
        if frame.confidence is not None and 'confidence' in outputs:
            unsure.append(float(np.abs(outputs['confidence'] - frame.confidence).mean()))
    verdict = replace(
        verdict,
        runs=len(times),
        mean=mean,
        tail=tail,
        confidence=max(unsure) if unsure else None,
        scale=(min(scales), max(scales)),
        repeat=repeat,
        milliseconds=1e3 * float(np.median(times)),
    )
    problem = _problem(verdict, bounds)
    return replace(verdict, problem=problem, accepted=not problem)


def _problem(verdict: Verdict, limits: Limits) -> str:
    """First limit that is exceeded; written so that a number that is none does not pass."""
    low, high = verdict.scale
    spread = high / low - 1 if low > 0 else float('inf')
    if not verdict.repeat <= limits.repeat:
        return (
            f'the same frame gives depth that differs by {verdict.repeat:.2%} from run to run '
            f'(at most {limits.repeat:.2%})'
        )
    if not spread <= limits.scale:
        return (
            f'the scale of depth varies by {spread:.2%} from frame to frame '
            f'(at most {limits.scale:.2%})'
        )
    if not verdict.mean <= limits.frame.mean:
        return f'depth is off by {verdict.mean:.2%} on average (at most {limits.frame.mean:.2%})'
    if not verdict.tail <= limits.frame.tail:
        return (
            f'depth is off by {verdict.tail:.2%} at the 99th percentile '
            f'(at most {limits.frame.tail:.2%})'
        )
    if verdict.confidence is not None and not verdict.confidence <= limits.frame.confidence:
        return (
            f'confidence is off by {verdict.confidence:.3f} on average '
            f'(at most {limits.frame.confidence:.3f})'
        )
    return ''
