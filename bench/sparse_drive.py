# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Thermal picture and a simulated spinning LiDAR on held-out drives, through the pipeline, as JSON.

python bench/sparse_drive.py --out sparse_drive.json

The drives are those of bench/scale.py: eight worlds of scenes that the network knows and eight of
kinds that it does not, with a LiDAR of 16 rings whose turn is 30 ms older than the picture. Points
take the whole way: pose, lens distortion, hidden points, noise, dropouts, rain. AbsRel of frames
that are run one by one: (a) the thermal network, (b) the same with the scale of the frame's
points, (c) the network that takes the points in, with its own scale.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scale import Recorded, record, worlds

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import Pipeline, ThermalFrame, Wanted
from monother_ros.core.range_points import RangePoints
from monother_ros.core.scale_arbiter import ScaleSettings
from monother_ros.engines.base import Engine, EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import FAR, NEAR, OPEN_LIMITS
from monother_ros.evaluation.metrics import depth_metrics

ALONE = ScaleSettings(sources=('model',))
FITTED = ScaleSettings(rate=1e3)

SETTLING = 5
"""Frames, a fifth of a second apart, until a fitted scale is taken over."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--model', default='lite-sparse', help='bundle that takes points')
    parser.add_argument('--thermal', default='lite', help='bundle of the thermal network alone')
    parser.add_argument('--data', type=Path, default=Path('data/scale'), help='drives')
    parser.add_argument('--seconds', type=float, default=8.0, help='length of a drive')
    parser.add_argument('--rate', type=float, default=5.0, help='frames per second')
    parser.add_argument('--rings', type=int, default=16, help='of the LiDAR')
    parser.add_argument('--frames', type=int, default=4, help='of each drive, evenly spread')
    parser.add_argument('--out', type=Path, help='JSON file; printed as well')
    return parser.parse_args()


def depth_of(
    frame: ThermalFrame, engine: Engine, scale: ScaleSettings, *, clutter_filter: bool = True
) -> NDArray[np.float32]:
    """Depth of one frame by one way, in metres."""
    settings = replace(OPEN_LIMITS, scale=scale, clutter_filter=clutter_filter)
    pipeline, depth = Pipeline(engine, settings), None
    # the arbiter takes a scale over in time: the same frame again and again, as of a robot at rest
    for k in range(1 if scale is ALONE else SETTLING):
        again = replace(frame, stamp_ns=1 + k * 200_000_000)
        depth = pipeline.process(again, Wanted(depth=True, confidence=False)).depth
    assert depth is not None
    return depth


def abs_rel(drive: Recorded, index: int, engine: Engine, scale: ScaleSettings) -> float:
    """Error of one frame by one way."""
    points = RangePoints(drive.turn(index), drive.extrinsics)
    frame = ThermalFrame(drive.images[index], 1, '', drive.camera, points=points)
    depth = depth_of(frame, engine, scale)
    return float(depth_metrics(depth, drive.truth[index], near=NEAR, far=FAR)['abs_rel'])


def main() -> None:
    """Drive, or read the drives, and measure."""
    arguments = parse()
    options = EngineOptions(threads=1)
    report: dict[str, Any] = {'rings': arguments.rings, 'worlds': {}}
    with (
        load_engine(load_bundle(find_bundle(arguments.thermal)), 'onnxruntime', options) as alone,
        load_engine(load_bundle(find_bundle(arguments.model)), 'onnxruntime', options) as both,
    ):
        report['model'] = f'{both.bundle.name} {both.bundle.revision}'
        for name, config in worlds(arguments.rate, arguments.rings).items():
            sizes = f'{config.seed}-{arguments.rings}-{arguments.rate:g}'
            stem = f'{alone.bundle.revision}-{sizes}-{name}'
            stored = arguments.data / f'{stem.replace(" ", "_")}.npz'
            drive = record(config, arguments.seconds, alone, stored)
            count = min(arguments.frames, len(drive.images))
            rows = []
            for index in np.linspace(0, len(drive.images) - 1, count).astype(int):
                ways = ((alone, ALONE), (alone, FITTED), (both, ALONE))
                rows.append([abs_rel(drive, int(index), engine, how) for engine, how in ways])
            means = np.nanmean(rows, 0)
            report['worlds'][name] = {
                key: round(float(value), 4)
                for key, value in zip(('monocular', 'range_fit', 'adapter'), means, strict=True)
            }
            print(name, report['worlds'][name], flush=True)
    keys = ('monocular', 'range_fit', 'adapter')
    report['mean'] = {
        key: round(float(np.mean([row[key] for row in report['worlds'].values()])), 4)
        for key in keys
    }
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        atomic_write(arguments.out, text + '\n')


if __name__ == '__main__':
    main()
