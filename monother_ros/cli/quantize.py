# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother quantize``: a bundle in INT8, calibrated on a recorded drive."""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle, write_bundle
from monother_ros.core.errors import EngineError
from monother_ros.core.pipeline import Pipeline, ThermalFrame
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.engines.quantize import METHODS, Quantised, QuantizeSettings, quantize
from monother_ros.evaluation.accuracy import OPEN_LIMITS
from monother_ros.evaluation.drive_frames import DriveFrame, read_drive
from monother_ros.evaluation.metrics import depth_metrics, mean_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    add = parser.add_argument
    add('bundle', metavar='BUNDLE', help='name of a model or folder of its bundle')
    add('--bag', type=Path, required=True, help='recorded drive to calibrate on')
    add('--to', type=Path, metavar='FOLDER', help='new bundle; BUNDLE-int8 beside it if not given')
    add('--topic', help='thermal pictures; found by its usual names if not given')
    add('--frames', type=int, default=64, help='to calibrate on; as many others to compare on')
    add('--method', choices=METHODS, default='percentile')
    add('--percentile', type=float, default=99.99, help='for the method percentile')
    add('--keep', nargs='+', default=[], metavar='NODE', help='nodes to leave in floating point')
    add('--limit', type=float, metavar='SHARE', help='write nothing where mean depth differs more')
    add('--json', action='store_true', help='print the figures as JSON')


def run(arguments: argparse.Namespace) -> int:
    """
    Quantise, compare, write.

    :param arguments: parsed options.
    :returns: 0; 1 where the difference is above the limit, and nothing was written.
    :raises BagError: the bag cannot be read or has no thermal pictures.
    :raises BundleError: the bundle cannot be read or written.
    :raises EngineError: it cannot be quantised.
    """
    bundle = load_bundle(find_bundle(arguments.bundle))
    target = arguments.to or Path(f'{bundle.path.absolute()}-int8')
    settings = QuantizeSettings(arguments.method, arguments.percentile, tuple(arguments.keep))
    frames = read_drive(arguments.bag, 2 * max(arguments.frames, 1), arguments.topic)
    # every other frame, so that both halves see the whole drive
    learned, held_out = frames[::2], frames[1::2] or frames
    with OnnxRuntimeEngine(bundle) as engine:
        inputs = _inputs(engine, learned)
        before = _depths(engine, held_out)
    result = quantize(bundle, inputs, settings, None if arguments.json else _say)
    with tempfile.TemporaryDirectory(prefix='monother-quantize.') as folder:
        trial = _write(Path(folder) / 'int8', bundle, result, {}, settings)
        with OnnxRuntimeEngine(trial) as engine:
            after = _depths(engine, held_out)
    figures: dict[str, Any] = {
        'bundle': f'{bundle.name} {bundle.revision}',
        'method': settings.method,
        'frames': {'calibrated on': len(learned), 'compared on': len(held_out)},
        'nodes in INT8': len(result.nodes),
        'fp32 against truth': _against_truth(before, held_out),
        'int8 against truth': _against_truth(after, held_out),
        'int8 against fp32': _difference(after, before),
    }
    differs = figures['int8 against fp32']['mean']
    refused = arguments.limit is not None and not differs <= arguments.limit
    if not refused:
        made = _write(target, bundle, result, figures, settings)
        figures['written'] = str(made.path)
        figures['revision'] = made.revision
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        _tell(figures)
        if refused:
            print(f'not written: depth differs by {differs:.2%}, more than {arguments.limit:.2%}')
    return int(refused)


class _Ears:
    """An engine that keeps what it is fed with."""

    def __init__(self, engine: OnnxRuntimeEngine) -> None:
        self.bundle = engine.bundle
        self.heard: list[NDArray[Any]] = []
        self._engine = engine

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        self.heard.append(inputs[self.bundle.inputs[0].name].copy())
        return self._engine.infer(inputs)


def _inputs(engine: OnnxRuntimeEngine, frames: Sequence[DriveFrame]) -> list[NDArray[Any]]:
    """What the pipeline of the robot feeds the network with."""
    ears = _Ears(engine)
    _run(ears, frames)
    return ears.heard


def _depths(engine: Any, frames: Sequence[DriveFrame]) -> list[NDArray[Any]]:
    """Depth of each frame in metres, at the size of the picture."""
    return _run(engine, frames)


def _run(engine: Any, frames: Sequence[DriveFrame]) -> list[NDArray[Any]]:
    """Frames through a pipeline of their own."""
    pipeline = Pipeline(engine, OPEN_LIMITS)
    depths = []
    for item in frames:
        frame = ThermalFrame(item.image, item.stamp_ns, '', item.intrinsics)
        result = pipeline.process(frame)
        if result.depth is None:
            msg = f'there is no depth of the frame at {item.stamp_ns} ns'
            raise EngineError(msg)
        depths.append(np.array(result.depth))
    return depths


def _difference(found: list[NDArray[Any]], expected: list[NDArray[Any]]) -> dict[str, float]:
    """Relative difference of depth."""
    each = [np.abs(a - b) / np.maximum(b, 1e-3) for a, b in zip(found, expected, strict=True)]
    tails = [float(np.percentile(item, 99)) for item in each]
    return {
        'mean': round(float(np.mean([item.mean() for item in each])), 6),
        'worst frame': round(max(float(item.mean()) for item in each), 6),
        'p99': round(float(np.mean(tails)), 6),
    }


def _against_truth(
    depths: list[NDArray[Any]], frames: Sequence[DriveFrame]
) -> dict[str, float] | None:
    """Accuracy where the drive was simulated."""
    scores = [
        depth_metrics(depth, item.truth)
        for depth, item in zip(depths, frames, strict=True)
        if item.truth is not None and item.truth.shape == depth.shape
    ]
    if not scores:
        return None
    mean = mean_metrics(scores)
    return {name: round(float(mean[name]), 5) for name in ('abs_rel', 'rmse', 'd1')}


def _write(
    folder: Path,
    bundle: Bundle,
    result: Quantised,
    figures: Mapping[str, Any],
    settings: QuantizeSettings,
) -> Bundle:
    """Bundle of a quantised network."""
    digest = hashlib.sha256(result.content).hexdigest()
    notes = {'method': settings.method, 'nodes': len(result.nodes), 'of': bundle.revision}
    return write_bundle(
        folder,
        model=result.content,
        name=bundle.name,
        revision=f'{bundle.revision}-int8-{digest[:8]}',
        parent=bundle.revision,
        modality=bundle.modality,
        inputs=bundle.inputs,
        outputs=bundle.outputs,
        normalisation=bundle.normalisation,
        depth_range=bundle.depth_range,
        focal_length=bundle.focal_length,
        training={**bundle.training, 'quantised': notes},
        metrics={**bundle.metrics, 'quantised': dict(figures)},
    )


def _tell(figures: Mapping[str, Any]) -> None:
    """Print the figures for people."""
    count = figures['frames']
    print(
        f'{figures["bundle"]}: {figures["nodes in INT8"]} nodes in INT8 by {figures["method"]}, '
        f'calibrated on {count["calibrated on"]} frames, compared on {count["compared on"]} others'
    )
    for key in ('fp32 against truth', 'int8 against truth'):
        if figures[key] is not None:
            listed = ', '.join(f'{name} {value:.4f}' for name, value in figures[key].items())
            print(f'  {key}: {listed}')
    off = figures['int8 against fp32']
    print(
        f'  int8 against fp32: depth differs by {off["mean"]:.2%} on average, {off["p99"]:.2%} at '
        f'the 99th percentile, {off["worst frame"]:.2%} in the worst frame'
    )
    if 'written' in figures:
        print(f'{figures["written"]}: revision {figures["revision"]}')


def _say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)
