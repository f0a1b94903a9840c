# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Echoes of the air among LiDAR points: what the filter finds, and what depth gains by it, as JSON.

python bench/range_clutter.py --out range_clutter.json

Held-out simulated worlds (seeds from a million on), by weather, with a LiDAR of 16, 32 and 64
lines whose turn is 30 ms older than the picture. A point is an echo where the surface that its ray
meets is more than 0.3 m behind it. 'filter' tells the part of the echoes in view that was removed,
the part of the other points that was lost, and in clear weather on which materials those were.
'depth' has, with the LiDAR of --rings lines, AbsRel and |log(median(depth / truth))| of frames run
one by one: the thermal network, the same with the scale of the points, and the network that takes
the points in; the latter two without the filter, with it, and with true points only. Exit code 1
where a limit is not met.

With --scans real turns in clear air are looked through, files of KITTI (float32 x, y, z,
reflectance, line after line), of all lines, every second and every fourth; as they are, and with
echoes put before the points of one ray in five.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scale import FIRST_SEED, HELD_OUT, scale_error
from sparse_drive import ALONE, FITTED, depth_of

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import ThermalFrame
from monother_ros.core.range_clutter import ClutterFilter
from monother_ros.core.range_points import RangePoints, project
from monother_ros.engines.base import Engine, EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.sim.materials import MATERIALS
from monother_ros.sim.scenes import SCENES
from monother_ros.sim.simulator import SimConfig, Simulator
from monother_ros.sim.weather import WEATHERS

LINES = (16, 32, 64)

FRONT = 0.3
"""Metres before the surface from which on a point is an echo."""

LATE = 0.03
"""Seconds by which the turn is older than the picture."""


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    add = parser.add_argument
    add('--model', default='lite-sparse', help='bundle that takes points')
    add('--thermal', default='lite', help='bundle of the thermal network alone')
    add('--weather', nargs='+', default=list(WEATHERS), choices=WEATHERS)
    add('--scenes', nargs='+', default=list(HELD_OUT), choices=SCENES)
    add('--filter-only', action='store_true', help='no depth')
    add('--rings', type=int, default=16, help='of the LiDAR, for depth')
    add('--frames', type=int, default=4, help='of each world, evenly spread')
    add('--seed', type=int, default=FIRST_SEED + 100, help='of the first world')
    add('--scans', nargs='+', type=Path, default=[], help='velodyne/*.bin of KITTI')
    add('--out', type=Path, help='JSON file; printed as well')
    return parser.parse_args()


class World:
    """
    A simulated world, and what is known about the points of its LiDAR.

    :param config: the world.
    """

    def __init__(self, config: SimConfig) -> None:
        """See the class."""
        self.simulator = Simulator(config)
        rig = self.simulator.rig
        self.camera = rig.thermal
        self.pose = np.linalg.inv(rig.base_from_thermal) @ rig.base_from_lidar

    def times(self, count: int) -> list[float]:
        """Seconds of the drive, evenly spread."""
        return [float(part) * self.simulator.duration for part in np.linspace(0.1, 0.9, count)]

    def turn(self, now: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Points (N, 3) of the turn before a time, whether each is an echo, and its material."""
        frame = self.simulator.frame(now - LATE, {'lidar'})
        assert frame.points is not None
        points = frame.points[:, :3]
        distance = np.linalg.norm(points, axis=1)
        sensor = frame.pose @ self.simulator.rig.base_from_lidar
        rays = (points / distance[:, None]) @ sensor[:3, :3].T
        hits = self.simulator.world.cast(sensor[:3, 3], rays.astype(np.float32), now - LATE)
        return points, ~(hits.distance - distance < FRONT), hits.material


def in_view(
    points: NDArray[Any], pose: NDArray[np.float64], camera: Intrinsics
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
    """Pixel, distance and number of each point in view."""
    flat, z = project(points, pose, camera)
    # project() does not tell which they are; hardly two have one and the same distance
    matrix = pose.astype(np.float32)
    everyone = (points @ matrix[:3, :3].T + matrix[:3, 3])[:, 2]
    order = np.argsort(everyone)
    number = order[np.searchsorted(everyone[order], z)]
    assert (everyone[number] == z).all()
    return flat, z, number


def look_through(world: World, count: int, totals: Counter[str], lost_on: Counter[str]) -> None:
    """Add the points of some turns to the counts, and materials of lost ones."""
    look = ClutterFilter()
    for now in world.times(count):
        points, echo, material = world.turn(now)
        lost = add_turn(look, points, echo, world.pose, world.camera, totals)
        lost_on.update(MATERIALS[k].name for k in material[lost])


def add_turn(
    look: ClutterFilter,
    points: NDArray[Any],
    echo: NDArray[np.bool_],
    pose: NDArray[np.float64],
    camera: Intrinsics,
    totals: Counter[str],
) -> NDArray[np.intp]:
    """Add the points of a turn to the counts; the numbers of those lost that were no echoes."""
    flat, z, number = in_view(points, pose, camera)
    begun = time.thread_time()
    stays = look.stays(flat, z, (camera.width, camera.height))
    totals['microseconds'] += round(1e6 * (time.thread_time() - begun))
    removed = np.zeros(len(z), bool) if stays is None else ~stays
    seen = echo[number]
    totals['turns'] += 1
    totals['echoes'] += int(seen.sum())
    totals['echoes removed'] += int((seen & removed).sum())
    totals['others'] += int((~seen).sum())
    totals['others lost'] += int((~seen & removed).sum())
    return number[~seen & removed]


def look_through_scans(paths: list[Path]) -> dict[str, dict[str, float]]:
    """Real turns in clear air, and the same with echoes, by the number of lines."""
    camera = Intrinsics(320, 256, 260.0, 260.0, 159.5, 127.5)
    forward = [[0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1]]
    pose = np.array(forward, np.float64)
    found: dict[str, dict[str, float]] = {}
    rng, look = np.random.default_rng(0), ClutterFilter()
    for every in (1, 2, 4):
        clear: Counter[str] = Counter()
        foggy: Counter[str] = Counter()
        for path in paths:
            points = np.fromfile(path, np.float32).reshape(-1, 4)[:, :3]
            turned = np.mod(np.arctan2(points[:, 1], points[:, 0]), 2 * np.pi)
            line = np.cumsum(np.diff(turned, prepend=turned[0]) < -np.pi)
            points = points[line % every == 0]
            distance = np.linalg.norm(points, axis=1)
            add_turn(look, points, np.zeros(len(points), bool), pose, camera, clear)
            near = 0.4 + rng.exponential(3.5, len(points))
            echo = (rng.random(len(points)) < 0.2) & (near < distance - FRONT)
            factor = np.where(echo, near / distance, 1).astype(np.float32)
            add_turn(look, points * factor[:, None], echo, pose, camera, foggy)
        found[f'clear, every {every}'] = told(clear)
        found[f'echoes put in, every {every}'] = told(foggy)
    return found


def told(totals: Counter[str]) -> dict[str, float]:
    """Figures of some turns."""
    return {
        'points in view': round((totals['echoes'] + totals['others']) / totals['turns']),
        'echoes': round(totals['echoes'] / (totals['echoes'] + totals['others']), 3),
        'echoes removed': round(totals['echoes removed'] / max(totals['echoes'], 1), 3),
        'others lost': round(totals['others lost'] / totals['others'], 4),
        'ms': round(totals['microseconds'] / totals['turns'] / 1000, 2),
    }


def depths(world: World, count: int, alone: Engine, both: Engine) -> dict[str, NDArray[Any]]:
    """Rows of AbsRel and scale error of each way."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for now in world.times(count):
        frame = world.simulator.frame(now, {'thermal'})
        assert frame.thermal is not None and frame.thermal_depth is not None
        points, echo, _ = world.turn(now)
        given = {'': (points, False), ', filter': (points, True), ', true': (points[~echo], False)}
        for name, (cloud, clutter_filter) in given.items():
            seen = ThermalFrame(
                frame.thermal, 1, '', world.camera, points=RangePoints(cloud, world.pose)
            )
            ways = {'range_fit': (alone, FITTED), 'adapter': (both, ALONE)}
            if not name:
                ways['monocular'] = (alone, ALONE)
            for way, (engine, how) in ways.items():
                depth = depth_of(seen, engine, how, clutter_filter=clutter_filter)
                scale, _, relative = scale_error(depth, frame.thermal_depth)
                rows.setdefault(f'{way}{name}', []).append((relative, scale))
    return {way: np.array(found) for way, found in rows.items()}


def main() -> int:
    """Drive through the worlds and measure."""
    arguments = parse()

    def config(scene: str, weather: str, rings: int) -> SimConfig:
        seed = arguments.seed + arguments.scenes.index(scene)
        return SimConfig(
            scene=scene, seed=seed, time_of_day='night', weather=weather, lidar_rings=rings,
            shutter=False,
        )  # fmt: skip

    report: dict[str, Any] = {
        'seeds': [arguments.seed, arguments.seed + len(arguments.scenes) - 1]
    }
    found: dict[str, Any] = {}
    lost_on: Counter[str] = Counter()
    for weather in arguments.weather:
        for rings in LINES:
            totals: Counter[str] = Counter()
            lost: Counter[str] = Counter()
            for scene in arguments.scenes:
                look_through(World(config(scene, weather, rings)), arguments.frames, totals, lost)
            found[f'{weather}, {rings} lines'] = told(totals)
            print(weather, rings, told(totals), flush=True)
            if weather == 'clear':
                lost_on += lost
    if arguments.scans:
        report['real scans'] = look_through_scans(arguments.scans)
        print(json.dumps(report['real scans'], indent=2), flush=True)
    report['filter'], report['lost in clear weather'] = found, dict(lost_on.most_common(8))
    options = EngineOptions(threads=1)
    report['depth'] = {}
    with (
        load_engine(load_bundle(find_bundle(arguments.thermal)), 'onnxruntime', options) as alone,
        load_engine(load_bundle(find_bundle(arguments.model)), 'onnxruntime', options) as both,
    ):
        report['model'] = f'{both.bundle.name} {both.bundle.revision}'
        for weather in [] if arguments.filter_only else arguments.weather:
            parts = [
                depths(
                    World(config(scene, weather, arguments.rings)), arguments.frames, alone, both
                )
                for scene in arguments.scenes
            ]
            report['depth'][weather] = {
                way: [
                    round(float(value), 4)
                    for value in np.nanmean(np.concatenate([part[way] for part in parts]), 0)
                ]
                for way in sorted(parts[0])
            }
            print(weather, report['depth'][weather], flush=True)
    limits = {}
    for name, row in found.items():
        if name.startswith(('fog', 'smoke')):
            limits[f'{name}: over 90 % of the echoes removed'] = row['echoes removed'] > 0.9
        if name.startswith('clear'):
            limits[f'{name}: under 1 % of the points lost'] = row['others lost'] < 0.01
    for weather, ways in report['depth'].items():
        limits[f'{weather}: no loss of depth'] = (
            ways['adapter, filter'][0] < ways['adapter'][0] + 0.001
        )
    report['limits'] = limits
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        atomic_write(arguments.out, text + '\n')
    return 0 if all(limits.values()) else 1


if __name__ == '__main__':
    sys.exit(main())
