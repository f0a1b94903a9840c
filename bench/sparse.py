# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth from a thermal picture and some measured points, on held-out simulated frames, as JSON.

python bench/sparse.py --model lite-sparse --out sparse.json

(a) the thermal network alone, (b) the same with the range fit of core/scale_fit.py, made anew for
each frame, (c) the network that takes the points in. Points are drawn evenly from the pixels with
a surface within 80 m, with 2 cm of noise; 'rings N' are those of a LiDAR of N rings. World seeds
start at 1,000,000, where training never reaches; frames are rendered once into the data folder.
With --stretch every distance is multiplied, so that the thermal network's scale is wrong; with
--clutter-filter the points go through the filter of the node first. The exit
code is 1 where (c) is not the best from 500 points on, or more than 5 % worse than (a) without
any.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import SPARSE_INPUT
from monother_ros.core.range_clutter import ClutterFilter
from monother_ros.core.scale_fit import fit_range
from monother_ros.core.thermal import Normaliser
from monother_ros.engines.base import Engine, EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import FAR, NEAR
from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.learning.rendered import TEST_SEED, DatasetPlan, Frames, render_dataset
from monother_ros.learning.sparse_patterns import ring_pixels

COUNTS = (0, 50, 500, 5000)
RINGS = (16, 64)
NOISE = 0.02
WAYS = ('monocular', 'range_fit', 'adapter')


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--model', default='lite-sparse', help='bundle that takes points')
    parser.add_argument('--thermal', default='lite', help='bundle of the thermal network alone')
    parser.add_argument('--frames', type=int, default=288, help='of the held-out data set')
    parser.add_argument('--every', type=int, default=3, help='use each so manieth frame')
    parser.add_argument('--stretch', type=float, default=1.0, help='factor of all distances')
    parser.add_argument('--clutter-filter', action='store_true', help='filter points as the node')
    parser.add_argument('--data', type=Path, default=Path('data/lite'), help='rendered frames')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--runs', type=int, default=20, help='for the cost')
    parser.add_argument('--out', type=Path, help='JSON file; printed as well')
    return parser.parse_args()


class Ways:
    """
    The three ways from a picture and points to depth.

    :param thermal: engine of the network alone.
    :param sparse: engine of the network with two inputs.
    """

    def __init__(self, thermal: Engine, sparse: Engine) -> None:
        """See the class."""
        self.thermal, self.sparse = thermal, sparse
        bundle = thermal.bundle
        self._normaliser = Normaliser(bundle.normalisation, bundle.input_size)
        self._input = np.empty(bundle.inputs[0].shape, np.float32)

    def see(self, image: NDArray[np.uint16]) -> None:
        """Take the next picture."""
        self._normaliser.reset()
        self._normaliser(image, 0, self._input[0])

    def monocular(self) -> NDArray[np.float32]:
        """Depth of the network alone, at the focal length of its training."""
        said = self.thermal.infer({self.thermal.bundle.inputs[0].name: self._input})
        return np.array(said['depth'][0, 0])

    def adapter(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth of the network with points, both at the focal length of its training."""
        name = self.sparse.bundle.inputs[0].name
        said = self.sparse.infer({name: self._input, SPARSE_INPUT: points[None, None]})
        return np.array(said['depth'][0, 0])


def fitted(
    depth: NDArray[np.float32], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], bool]:
    """Depth with the range fit, and whether there was one."""
    said = fit_range(depth, points)
    if said.reason:
        return depth, False
    if said.space == 'depth':
        return np.asarray(depth * said.scale + said.shift, np.float32), True
    divisor = np.maximum(said.scale + said.shift * depth, 1e-6)
    return np.asarray(depth / divisor, np.float32), True


def drawn(
    truth: NDArray[np.float32], what: str, focal: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Sparse depth of a frame: 'points N' or 'rings N'."""
    kind, _, number = what.partition(' ')
    valid = (truth > NEAR) & (truth < FAR)
    if kind == 'rings':
        hit = ring_pixels(truth, focal, rng, rings=int(number), columns=720)
        chosen = np.flatnonzero((hit & valid).ravel())
    else:
        places = np.flatnonzero(valid.ravel())
        chosen = rng.choice(places, min(int(number), len(places)), replace=False)
    sparse = np.zeros(truth.size, np.float32)
    noise = rng.standard_normal(len(chosen), np.float32) * np.float32(NOISE)
    sparse[chosen] = truth.ravel()[chosen] + noise
    return sparse.reshape(truth.shape)


def filtered(points: NDArray[np.float32], look: ClutterFilter | None) -> NDArray[np.float32]:
    """Sparse depth without what the filter takes for echoes of the air."""
    if look is None:
        return points
    flat = np.flatnonzero(points)
    kept, metres = look(flat, points.reshape(-1)[flat], (points.shape[1], points.shape[0]))
    left = np.zeros_like(points)
    left.reshape(-1)[kept] = metres
    return left


def accuracy(
    ways: Ways, frames: Frames, indices: range, stretch: float, look: ClutterFilter | None
) -> dict[str, Any]:
    """AbsRel of each way by the kind of points: mean of per-image values."""
    kinds = [f'points {n}' for n in COUNTS] + [f'rings {n}' for n in RINGS]
    rows: dict[str, dict[str, list[float]]] = {k: {w: [] for w in WAYS} for k in kinds}
    counts: dict[str, list[int]] = {k: [] for k in kinds}
    silent = dict.fromkeys(kinds, 0)
    canonical = ways.thermal.bundle.focal_length or 260.0
    for index in indices:
        ways.see(frames.thermal(index))
        # all at the focal length of the training, which changes no relative error
        factor = np.float32(stretch * canonical / float(frames.focal[index]))
        truth = frames.depth(index).astype(np.float32) * factor
        if not ((truth > NEAR) & (truth < FAR)).any():
            continue
        alone = ways.monocular()
        for number, kind in enumerate(kinds):
            rng = np.random.default_rng([index, number])
            points = filtered(drawn(truth, kind, canonical, rng), look)
            counts[kind].append(int((points > 0).sum()))
            fit, spoke = fitted(alone, points)
            silent[kind] += not spoke
            for way, depth in zip(WAYS, (alone, fit, ways.adapter(points)), strict=True):
                metrics = depth_metrics(depth, truth, near=NEAR, far=FAR)
                rows[kind][way].append(metrics['abs_rel'])
    return {
        kind: {
            **{way: round(float(np.mean(rows[kind][way])), 4) for way in WAYS},
            'points_per_frame': round(float(np.mean(counts[kind])), 1),
            'frames_without_a_fit': silent[kind],
        }
        for kind in kinds
    }


def cost(ways: Ways, frames: Frames, runs: int) -> dict[str, float]:
    """Milliseconds of one thread: processor time, which other programs do not lengthen."""
    ways.see(frames.thermal(0))
    truth = frames.depth(0).astype(np.float32)
    points = drawn(truth, 'points 5000', 260.0, np.random.default_rng(0))
    alone = ways.monocular()
    found = {}
    jobs: dict[str, Callable[[], object]] = {
        'monocular': ways.monocular,
        'adapter': lambda: ways.adapter(points),
        'range_fit': lambda: fit_range(alone, points),
    }
    for name, job in jobs.items():
        job()
        times = []
        for _ in range(runs):
            start = time.process_time()
            job()
            times.append(time.process_time() - start)
        found[name] = round(1000 * float(np.median(times)), 2)
    return found


def main() -> int:
    """Render what is missing, measure, compare with the limits."""
    arguments = parse()
    plan = DatasetPlan(arguments.frames, TEST_SEED, frames_per_world=3)
    folder = arguments.data / 'test'
    render_dataset(plan, folder, workers=arguments.workers)
    frames = Frames(folder, arguments.frames)
    options = EngineOptions(threads=1)
    with (
        load_engine(
            load_bundle(find_bundle(arguments.thermal)), 'onnxruntime', options
        ) as thermal,
        load_engine(load_bundle(find_bundle(arguments.model)), 'onnxruntime', options) as sparse,
    ):
        ways = Ways(thermal, sparse)
        indices = range(0, len(frames), arguments.every)
        look = ClutterFilter() if arguments.clutter_filter else None
        table = accuracy(ways, frames, indices, arguments.stretch, look)
        milliseconds = cost(ways, frames, arguments.runs)
    none = table['points 0']
    limits = {
        'without points at most 5 % worse than monocular': none['adapter']
        <= 1.05 * none['monocular'],
        **{
            f'{kind}: the adapter is best': row['adapter']
            < min(row['monocular'], row['range_fit'])
            for kind, row in table.items()
            if kind in ('points 500', 'points 5000')
        },
    }
    report = {
        'model': sparse.bundle.name,
        'revision': sparse.bundle.revision,
        'thermal': f'{thermal.bundle.name} {thermal.bundle.revision}',
        'frames': len(indices),
        'world_seeds': [TEST_SEED, TEST_SEED + plan.worlds - 1],
        'stretch': arguments.stretch,
        'abs_rel': table,
        'ms_of_one_thread': milliseconds,
        'limits': limits,
    }
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        atomic_write(arguments.out, text + '\n')
    finite = all(math.isfinite(row[way]) for row in table.values() for way in WAYS)
    return 0 if all(limits.values()) and finite else 1


if __name__ == '__main__':
    sys.exit(main())
