# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Drives for the experiment of learning on the vehicle, rendered once and read as memory maps.

In each world the vehicle learns while it drives to and fro, by day, over the first 70 % of the
path. It is judged on the last 25 %, by day and at night, where the drive never went.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.files import atomic_folder
from monother_ros.learning.rectify import Rectifier
from monother_ros.sim.laps import stay_within
from monother_ros.sim.simulator import EPOCH_NS, SimConfig, Simulator

VERSION = 1
LEARNED = (0.0, 0.7)
"""Part of the path that the drive covers."""
JUDGED = (0.75, 1.0)
"""Part of the path that frames to judge by come from."""
RATE = 2.0
"""Pairs per second of the drive."""


@dataclass(frozen=True)
class Rendered:
    """
    A rendered stretch.

    :param thermal: (N, H, W) uint16 counts.
    :param rgb: (N, h, w, 3) uint8.
    :param stamps: (N,) int64 nanoseconds.
    :param depth: (N, H, W) float16 metres of the thermal pictures, +inf for sky.
    :param rgb_depth: (N, h, w) float16 metres of the RGB pictures.
    :param thermal_camera: as calibrated.
    :param rgb_camera: as calibrated.
    :param extrinsics: (4, 4) X_rgb = T X_thermal.
    """

    thermal: NDArray[np.uint16]
    rgb: NDArray[np.uint8]
    stamps: NDArray[np.int64]
    depth: NDArray[np.float16]
    rgb_depth: NDArray[np.float16]
    thermal_camera: Intrinsics
    rgb_camera: Intrinsics
    extrinsics: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.stamps)


def render(
    config: SimConfig, part: tuple[float, float], frames: int, rate: float, folder: Path
) -> Rendered:
    """
    Frames of a stretch, from the disk where they are there.

    :param config: the world.
    :param part: of the path.
    :param frames: how many.
    :param rate: frames per second.
    :param folder: that holds all rendered stretches.
    """
    plan = json.dumps([VERSION, asdict(config), part, frames, rate], sort_keys=True)
    name = f'{config.scene}-{config.seed}-{config.time_of_day}'
    target = folder / f'{name}-{hashlib.sha256(plan.encode()).hexdigest()[:12]}'
    if not target.exists():
        with atomic_folder(target) as work:
            _render(config, part, frames, rate, work)
    rig = json.loads((target / 'rig.json').read_text())
    arrays: dict[str, Any] = {
        key: np.load(target / f'{key}.npy', mmap_mode='r')
        for key in ('thermal', 'rgb', 'stamps', 'depth', 'rgb_depth')
    }
    return Rendered(
        **arrays,
        thermal_camera=_camera(rig['thermal']),
        rgb_camera=_camera(rig['rgb']),
        extrinsics=np.array(rig['extrinsics']),
    )


def _camera(values: dict[str, Any]) -> Intrinsics:
    return Intrinsics(**{**values, 'distortion': tuple(values['distortion'])})


def _render(
    config: SimConfig, part: tuple[float, float], frames: int, rate: float, folder: Path
) -> None:
    """Render into a folder."""
    simulator = Simulator(replace(config, rate=rate))
    stay_within(simulator.world, part, config.seed)
    parts: dict[str, list[Any]] = {'thermal': [], 'rgb': [], 'depth': [], 'rgb_depth': []}
    for index in range(frames):
        frame = simulator.frame(index / rate, ('thermal', 'rgb'))
        parts['thermal'].append(frame.thermal)
        parts['rgb'].append(frame.rgb)
        assert frame.thermal_depth is not None and frame.rgb_depth is not None
        parts['depth'].append(frame.thermal_depth.astype(np.float16))
        parts['rgb_depth'].append(frame.rgb_depth.astype(np.float16))
    for key, values in parts.items():
        np.save(folder / f'{key}.npy', np.stack(values))
    stamps = EPOCH_NS + np.round(np.arange(frames) / rate * 1e9).astype(np.int64)
    np.save(folder / 'stamps.npy', stamps)
    rig = {
        'thermal': asdict(simulator.rig.thermal),
        'rgb': asdict(simulator.rig.rgb),
        'extrinsics': simulator.rig.rgb_from_thermal.tolist(),
    }
    (folder / 'rig.json').write_text(json.dumps(rig, indent=2))


def drive(config: SimConfig, seconds: float, folder: Path) -> Rendered:
    """
    The drive that is learned from, by day.

    :param config: the world.
    :param seconds: length.
    :param folder: that holds all rendered stretches.
    """
    return render(replace(config, time_of_day='day'), LEARNED, round(seconds * RATE), RATE, folder)


def judged(config: SimConfig, time_of_day: str, frames: int, folder: Path) -> Rendered:
    """
    Frames to judge by, spread over the way there and back.

    :param config: the world.
    :param time_of_day: day or night.
    :param frames: how many.
    :param folder: that holds all rendered stretches.
    """
    world = replace(config, time_of_day=time_of_day, shutter=False)
    line = Simulator(world).world.trajectory
    seconds = 2 * (JUDGED[1] - JUDGED[0]) * line.duration
    return render(world, JUDGED, frames, frames / seconds, folder)


def pinhole(camera: Intrinsics, size: tuple[int, int]) -> Rectifier:
    """Rectifier of the RGB pictures, for teachers."""
    return Rectifier(camera, size)
