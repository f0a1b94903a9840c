# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Stored frames that tell whether an engine runs a revision as it was when it was written.

``check.safetensors`` of a bundle holds some network inputs and what the engine that wrote the
revision said about them. Whoever loads the revision runs them first, on its own engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from monother_ros.core.errors import BundleError, EngineError
from monother_ros.core.tensor_file import read_tensors, write_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

CHECK = 'check.safetensors'

BEYOND = 2.0
"""Depth may exceed the far end of the bundle's range by this factor: open sky does."""

INSIDE = 0.01
"""Share of pixels that must lie inside of the bundle's depth range."""


@dataclass(frozen=True, eq=False)
class CheckFrame:
    """
    One stored frame.

    :param inputs: (1, C, h, w) float32, network input.
    :param depth: (1, 1, h, w) metres, what the network says about it.
    :param confidence: (1, 1, h, w) in [0, 1]; None where the network says none.
    """

    inputs: NDArray[Any]
    depth: NDArray[Any]
    confidence: NDArray[Any] | None = None


@dataclass(frozen=True)
class Tolerance:
    """
    How far an engine may be from a stored frame; float16 arithmetic stays below a tenth of it.

    :param mean: largest mean of the relative difference of depth.
    :param tail: largest 99th percentile of it.
    :param confidence: largest mean difference of confidence.
    """

    mean: float = 0.01
    tail: float = 0.05
    confidence: float = 0.02


class Runs(Protocol):
    """What runs a bundle: an engine."""

    bundle: Bundle

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network once; see :meth:`monother_ros.engines.base.Engine.infer`."""
        ...


def write_check(path: Path, frames: Sequence[CheckFrame]) -> None:
    """
    Write ``check.safetensors``.

    Numbers are stored in float16 where that loses nothing (inputs) or nothing that counts
    (outputs: 0.05 %).

    :param path: target.
    :param frames: at least one.
    :raises OSError: the file cannot be written.
    """
    tensors: dict[str, NDArray[Any]] = {}
    for k, frame in enumerate(frames):
        short = frame.inputs.astype(np.float16)
        exact = np.array_equal(short.astype(np.float32), frame.inputs)
        tensors[f'inputs.{k}'] = short if exact else frame.inputs.astype(np.float32)
        tensors[f'depth.{k}'] = frame.depth.astype(np.float16)
        if frame.confidence is not None:
            tensors[f'confidence.{k}'] = frame.confidence.astype(np.float16)
    write_tensors(path, tensors)


def read_check(bundle: Bundle) -> list[CheckFrame]:
    """
    Stored frames of a bundle.

    :param bundle: any.
    :returns: in float32; empty where the bundle has none (one that is no revision).
    :raises BundleError: the file is damaged.
    """
    if CHECK not in bundle.files:
        return []
    path = bundle.path / CHECK
    values = {k: v.astype(np.float32) for k, v in read_tensors(path).items()}
    count = sum(name.startswith('inputs.') for name in values)
    try:
        return [
            CheckFrame(values[f'inputs.{k}'], values[f'depth.{k}'], values.get(f'confidence.{k}'))
            for k in range(count)
        ]
    except KeyError as err:
        msg = f'{path} lacks {err}; copy the bundle again'
        raise BundleError(msg) from err


def check_engine(
    engine: Runs, frames: Sequence[CheckFrame], tolerance: Tolerance | None = None
) -> float:
    """
    Run stored frames through an engine and compare.

    :param engine: of the bundle that the frames belong to.
    :param frames: see :func:`read_check`; with none of them nothing is checked.
    :param tolerance: how far it may be from them.
    :returns: largest mean relative difference of depth over the frames, 0 for none.
    :raises EngineError: outputs are not finite, out of range, or not those of the frames.
    """
    return run_frames(engine, frames, tolerance)[0]


def run_frames(
    engine: Runs, frames: Sequence[CheckFrame], tolerance: Tolerance | None = None
) -> tuple[float, list[CheckFrame]]:
    """
    As :func:`check_engine`, and what the engine said.

    :param engine: of the bundle that the frames belong to.
    :param frames: what it is compared with.
    :param tolerance: how far it may be from them.
    :returns: largest mean relative difference of depth, and the frames with the engine's outputs.
    :raises EngineError: see there.
    """
    limits = tolerance or Tolerance()
    worst, said = 0.0, []
    for k, frame in enumerate(frames):
        outputs = _run(engine, frame.inputs, k)
        worst = max(worst, _compare(engine.bundle, outputs, k, frame, limits))
        said.append(CheckFrame(frame.inputs, outputs['depth'], outputs.get('confidence')))
    return worst, said


def check_outputs(bundle: Bundle, outputs: dict[str, NDArray[Any]], where: str) -> None:
    """
    Refuse outputs that no usable network says.

    :param bundle: whose depth range counts.
    :param outputs: 'depth' in metres and, where there is one, 'confidence'.
    :param where: for the message.
    :raises EngineError: not finite, depth not above 0 or far out of range, confidence not in
        [0, 1].
    """
    depth = outputs['depth']
    near, far = bundle.depth_range
    for key, value in outputs.items():
        if not np.isfinite(value).all():
            msg = f'{where}: {key} is not finite in {np.mean(~np.isfinite(value)):.1%} of pixels'
            raise EngineError(msg)
    inside = float(np.mean((depth >= near) & (depth <= far)))
    if depth.min() <= 0 or depth.max() > BEYOND * far or inside < INSIDE:
        msg = (
            f'{where}: depth is {depth.min():.3g} to {depth.max():.3g} m, {inside:.0%} of it '
            f'within the range of {near:g} to {far:g} m'
        )
        raise EngineError(msg)
    sure = outputs.get('confidence')
    if sure is not None and (sure.min() < -1e-3 or sure.max() > 1 + 1e-3):
        msg = f'{where}: confidence is {sure.min():.3g} to {sure.max():.3g}, not within 0 to 1'
        raise EngineError(msg)


def _run(engine: Runs, inputs: NDArray[Any], k: int) -> dict[str, NDArray[Any]]:
    """Plausible outputs, in memory of their own."""
    from monother_ros.engines.base import all_inputs

    outputs = engine.infer(all_inputs(engine.bundle, inputs))
    check_outputs(engine.bundle, outputs, f'revision {engine.bundle.revision}, stored frame {k}')
    return {key: value.copy() for key, value in outputs.items()}


def _compare(
    bundle: Bundle,
    outputs: dict[str, NDArray[Any]],
    k: int,
    frame: CheckFrame,
    limits: Tolerance,
) -> float:
    """Mean relative difference of one frame."""
    where = f'revision {bundle.revision}, stored frame {k}'
    depth = outputs['depth']
    if depth.shape != frame.depth.shape:
        msg = f'{where}: depth is {depth.shape}, expected {frame.depth.shape}'
        raise EngineError(msg)
    change = np.abs(depth - frame.depth) / np.maximum(np.abs(frame.depth), 1e-3)
    mean, tail = float(change.mean()), float(np.percentile(change, 99))
    # written so that a difference that is no number does not pass
    if not (mean <= limits.mean and tail <= limits.tail):
        msg = (
            f'{where}: depth differs from what is expected by {mean:.2%} on average (at most '
            f'{limits.mean:.2%}) and {tail:.2%} at the 99th percentile (at most {limits.tail:.2%})'
        )
        raise EngineError(msg)
    if frame.confidence is not None and 'confidence' in outputs:
        off = float(np.abs(outputs['confidence'] - frame.confidence).mean())
        if not off <= limits.confidence:
            msg = (
                f'{where}: confidence differs from what is expected by {off:.3f} on average (at '
                f'most {limits.confidence:.3f})'
            )
            raise EngineError(msg)
    return mean
