# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Metric scale of a network whose depth is wrong by a factor, in held-out simulated worlds, as JSON.

python bench/scale.py --out scale.json

The network's depth is multiplied by --wrong before the pipeline sees it. Drives with a spinning
LiDAR go through sixteen held-out worlds: eight of the scenes that the network was trained in (with
other seeds), and the eight new ones of sim/new_worlds.py. The error of a frame is
|log(median(depth / truth))| over the pixels whose truth is within 0.5 to 80 m and whose depth is
told; 'of medians' is |log(median(depth) / median(truth))|. A drive's first seconds, in which the
scale slides at its set rate, are left out. Frames and what the network makes of them are kept in
the data folder.

focal and language come from networks whose weights are not part of this package: their rows say
what the arbiter makes of an estimate that is off by --assumed-error, and are no measurement of
those networks.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import Pipeline, ThermalFrame, Wanted
from monother_ros.core.range_points import RangePoints, sparse_depth
from monother_ros.core.scale_arbiter import ScaleSettings
from monother_ros.core.scale_fit import fit_range
from monother_ros.core.scale_sources import ScaleEstimate
from monother_ros.engines.base import Engine, EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import FAR, NEAR, OPEN_LIMITS
from monother_ros.sim.new_worlds import NEW_WORLDS
from monother_ros.sim.simulator import SimConfig, Simulator

HELD_OUT = ('street', 'corridor', 'woods', 'yard')
"""Scenes that the network knows; in worlds that it does not."""

FIRST_SEED = 1_000_301
"""Seeds from a million on are held out."""

SETTLING = 2.0
"""Seconds of a drive that are not measured: 30 % at 0.5 per second take half a second."""


@dataclass
class Recorded:
    """
    A drive and what the network says about it.

    :param images: (N, H, W) uint16; truth: (N, H, W) metres; network: (N, h, w) metres.
    :param points: (M, 3) metres of all turns; ends: (N,) where each frame's points end.
    :param extrinsics: (4, 4) T_thermal_lidar.
    :param camera: of the thermal images.
    """

    images: NDArray[np.uint16]
    truth: NDArray[np.float32]
    network: NDArray[np.float32]
    points: NDArray[np.float32]
    ends: NDArray[np.int64]
    extrinsics: NDArray[np.float64]
    camera: Intrinsics

    def turn(self, index: int) -> NDArray[np.float32]:
        """Points of one frame."""
        return self.points[self.ends[index - 1] if index else 0 : self.ends[index]]


class Wrong:
    """
    Engine that gives what was recorded, times a factor.

    :param bundle: of the network; :param factor: of its depth.
    """

    def __init__(self, bundle: Bundle, factor: float) -> None:
        self.bundle, self.factor = bundle, factor
        self.depth: NDArray[np.float32] | None = None

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Depth of the frame that :attr:`depth` was set to."""
        del inputs
        assert self.depth is not None
        return {'depth': np.float32(self.factor) * self.depth[None, None]}


def worlds(rate: float, rings: int) -> dict[str, SimConfig]:
    """Drives by name, day and night in turn."""
    common: dict[str, Any] = {'rate': rate, 'lidar_rings': rings, 'shutter': False}
    found = {
        f'{scene} {when}': SimConfig(
            scene=scene, seed=FIRST_SEED + 2 * k + n, time_of_day=when, **common
        )
        for k, scene in enumerate(HELD_OUT)
        for n, when in enumerate(('day', 'night'))
    }
    for k, world in enumerate(NEW_WORLDS):
        when = ('night', 'day')[k % 2]
        found[f'{world.name} {when}'] = world.config(when, **common)
    return found


def record(config: SimConfig, seconds: float, engine: Engine, stored: Path) -> Recorded:
    """
    Drive through a world, or read the drive that was stored before.

    :param config: the world.
    :param seconds: length of the drive.
    :param engine: of the network.
    :param stored: .npz file.
    """
    simulator = Simulator(config)
    rig = simulator.rig
    pose = np.linalg.inv(rig.base_from_thermal) @ rig.base_from_lidar
    names = ('images', 'truth', 'network', 'points', 'ends')
    if stored.is_file():
        with np.load(stored) as kept:
            arrays: dict[str, Any] = {name: kept[name] for name in names}
        return Recorded(**arrays, extrinsics=pose, camera=rig.thermal)
    pipeline = Pipeline(engine, replace(OPEN_LIMITS, output_size='network'))
    images, truths, depths, turns = [], [], [], []
    start = 0.3 * simulator.duration
    for k in range(round(seconds * config.rate)):
        # the turn of the LiDAR was 30 ms before the picture: a robot's sensors are not in step
        now = start + k / config.rate
        frame = simulator.frame(now, {'thermal'})
        turn = simulator.frame(now - 0.03, {'lidar'})
        assert frame.thermal is not None and frame.thermal_depth is not None
        assert turn.points is not None
        result = pipeline.process(ThermalFrame(frame.thermal, frame.stamp_ns))
        assert result.depth is not None
        images.append(frame.thermal)
        truths.append(frame.thermal_depth)
        depths.append(result.depth)
        turns.append(turn.points[:, :3])
    ends = np.cumsum([len(turn) for turn in turns])
    values = (np.stack(images), np.stack(truths), np.stack(depths), np.concatenate(turns), ends)
    arrays = dict(zip(names, values, strict=True))
    stored.parent.mkdir(parents=True, exist_ok=True)
    np.savez(stored, **arrays)
    return Recorded(**arrays, extrinsics=pose, camera=rig.thermal)


def scale_error(
    depth: NDArray[np.floating], truth: NDArray[np.floating]
) -> tuple[float, float, float]:
    """
    Errors of a frame over the pixels that both know; NaN where there are none.

    :returns: |log(median(depth / truth))|, |log(median(depth) / median(truth))|, AbsRel.
    """
    with np.errstate(invalid='ignore'):
        valid = (truth > NEAR) & (truth < FAR) & np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return math.nan, math.nan, math.nan
    mine, right = depth[valid], truth[valid]
    ratio = float(np.median(mine / right))
    medians = float(np.median(mine)) / float(np.median(right))
    relative = float(np.mean(np.abs(mine - right) / right))
    return abs(math.log(ratio)), abs(math.log(medians)), relative


Said = Callable[[int, int], tuple[ScaleEstimate, ...]]


def drive(
    recorded: Recorded,
    engine: Wrong,
    rate: float,
    settings: ScaleSettings,
    *,
    lidar: Callable[[float], bool] = lambda _t: False,
    says: Said = lambda _i, _stamp: (),
    calibrated: bool = True,
) -> dict[str, float]:
    """
    Send a drive through the pipeline.

    :param lidar: whether the LiDAR measures at a time of the drive, seconds.
    :param says: estimates of other sources for a frame and its stamp.
    :param calibrated: whether the focal length of the camera is known.
    :returns: 'scale' and 'abs_rel', means after settling; 'largest step' of the log scale.
    """
    # processor time, so that other programs do not count
    pipeline = Pipeline(engine, replace(OPEN_LIMITS, scale=settings), clock=time.thread_time)
    errors, factors, spent = [], [], []
    for k in range(len(recorded.images)):
        stamp = 1 + round(k * 1e9 / rate)
        engine.depth = recorded.network[k]
        points = None
        if lidar(k / rate):
            points = RangePoints(recorded.turn(k), recorded.extrinsics, stamp)
        camera = recorded.camera if calibrated else None
        frame = ThermalFrame(recorded.images[k], stamp, '', camera, points, None, says(k, stamp))
        result = pipeline.process(frame, Wanted(depth=True, confidence=False))
        assert result.depth is not None
        factors.append(math.log(result.scale))
        spent.append(result.timings.get('points', 0.0) + result.timings['scale'])
        if k / rate >= SETTLING:
            errors.append(scale_error(result.depth, recorded.truth[k]))
    scale, medians, relative = np.nanmean(np.array(errors), 0)
    return {
        'scale': float(scale),
        'of medians': float(medians),
        'abs_rel': float(relative),
        'largest step': float(np.abs(np.diff(factors)).max()),
        'ms': 1e3 * float(np.median(spent)),
    }


def single_fits(
    recorded: Recorded, engine: Wrong, rate: float, *, shift: bool
) -> dict[str, float]:
    """Fit of each frame's points alone, without the arbiter; see :func:`drive`."""
    errors, refused = [], 0
    size = engine.bundle.input_size
    for k in range(round(SETTLING * rate), len(recorded.images)):
        depth = np.float32(engine.factor) * recorded.network[k]
        sparse = sparse_depth(recorded.turn(k), recorded.extrinsics, recorded.camera, size)
        found = fit_range(depth, sparse, shift=shift)
        if not found.speaks:
            refused += 1
            continue
        with np.errstate(divide='ignore'):
            metric = 1 / (np.float32(found.scale) / depth + np.float32(found.shift))
        errors.append(scale_error(metric, recorded.truth[k]))
    mean = np.nanmean(np.array(errors), 0) if errors else np.full(3, math.nan)
    told = dict(zip(('scale', 'of medians', 'abs_rel'), mean.tolist(), strict=True))
    return {**told, 'refused': float(refused)}


def measure(recorded: Recorded, engine: Wrong, rate: float, assumed: float) -> dict[str, Any]:
    """All ways to a scale in one drive."""
    everything = ScaleSettings()
    width, f = recorded.camera.width, recorded.camera.fx
    # a sentence tells the true scale of the scene but for its error; so does a field of view
    size = (recorded.truth.shape[2], recorded.truth.shape[1])
    ratios = [
        np.median((t / (engine.factor * cv2.resize(d, size)))[(t > NEAR) & (t < FAR)])
        for t, d in zip(recorded.truth, recorded.network, strict=True)
    ]
    right = float(np.nanmedian(ratios)) * math.exp(assumed)
    spoken = ScaleEstimate('language', 1.0 / right, 0.0, 'inverse', 0.35, 1)
    seen = ScaleEstimate('focal', width / (f * math.exp(assumed)), 0.0, 'inverse', 0.1, 1)

    def always(_t: float) -> bool:
        return True

    def run(settings: ScaleSettings = everything, **how: Any) -> dict[str, float]:
        return drive(recorded, engine, rate, settings, **how)

    half = 4.0
    return {
        'network alone': run(),
        'range, each frame alone': single_fits(recorded, engine, rate, shift=True),
        'range, each frame alone, without a shift': single_fits(
            recorded, engine, rate, shift=False
        ),
        'fused with LiDAR': run(lidar=always),
        'fused, LiDAR lost after 4 s': run(lidar=lambda t: t < half),
        'language (assumed)': run(ScaleSettings(force='language'), says=lambda _i, _s: (spoken,)),
        'focal (assumed), camera not calibrated': run(
            says=lambda _i, _s: (seen,), calibrated=False
        ),
        'fused without LiDAR': run(says=lambda _i, _s: (spoken,)),
        'fused with LiDAR and a sentence': run(lidar=always, says=lambda _i, _s: (spoken,)),
    }


def main() -> None:
    """Measure every world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add = parser.add_argument
    add('--model', default='lite', help='name or path of the bundle')
    add('--wrong', type=float, default=1.3, help="factor on the network's depth")
    add('--seconds', type=float, default=8.0, help='length of each drive')
    add('--rate', type=float, default=5.0, help='frames and LiDAR turns per second')
    add('--rings', type=int, default=16, help='of the LiDAR')
    add('--worlds', type=int, default=16, help='how many of the sixteen')
    add('--assumed-error', type=float, default=0.1, help='log error of language and focal')
    add('--data', type=Path, default=Path('data/scale'), help='folder of the drives')
    add('--out', type=Path, help='JSON file; printed as well')
    arguments = parser.parse_args()
    bundle = load_bundle(find_bundle(arguments.model))
    network = load_engine(bundle, 'onnxruntime', EngineOptions(device='cpu', threads=1))
    found = {}
    began = time.monotonic()
    chosen = list(worlds(arguments.rate, arguments.rings).items())[: arguments.worlds]
    for name, config in chosen:
        stored = f'{bundle.revision}-{config.seed}-{arguments.rings}-{arguments.rate:g}-{name}.npz'
        recorded = record(
            config, arguments.seconds, network, arguments.data / stored.replace(' ', '_')
        )
        engine = Wrong(bundle, arguments.wrong)
        found[name] = measure(recorded, engine, arguments.rate, arguments.assumed_error)
        told = {k: round(v['scale'], 4) for k, v in found[name].items()}
        print(f'{time.monotonic() - began:.0f} s: {name}: {told}', flush=True)
    ways = next(iter(found.values()))
    new = [name for name in found if any(name.startswith(w.name) for w in NEW_WORLDS)]
    groups = {
        'known scenes, unseen worlds': [found[name] for name in found if name not in new],
        'new scenes and materials': [found[name] for name in new],
    }
    mean = {
        group: {
            way: {
                key: round(float(np.nanmean([drive[way][key] for drive in drives])), 4)
                for key in ways[way]
            }
            for way in ways
        }
        for group, drives in groups.items()
        if drives
    }
    report = {
        'model': bundle.name,
        'revision': bundle.revision,
        'wrong': arguments.wrong,
        'rings': arguments.rings,
        'rate': arguments.rate,
        'seconds': arguments.seconds,
        'assumed error': arguments.assumed_error,
        'mean': mean,
        'worlds': found,
    }
    if arguments.out:
        atomic_write(arguments.out, json.dumps(report, indent=2) + '\n')
    print(json.dumps({key: report[key] for key in list(report)[:-1]}, indent=2))


if __name__ == '__main__':
    main()
