# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The anchors of the shipped student: frames of the simulated worlds that it was trained in.

python -m monother_ros.learning.anchor_frames models/lite-anchors/anchors.npz
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.thermal import Normaliser
from monother_ros.learning.anchors import FIRST, LITE, STRIDE, Anchors
from monother_ros.learning.augment import CANONICAL_FOCAL
from monother_ros.learning.rendered import TRAINING_SEED, DatasetPlan, World, world_of

WORLDS = 1200
"""Worlds that the shipped student was trained in; anchors come from the first of each kind."""

TIMES_CLEAR = 3
"""Anchors of each scene and time of day with clear air; one of each other weather."""

SHIPPED_QUALITY = 80
"""Of the JPEG pictures."""


def anchor_worlds() -> Iterator[World]:
    """Worlds of the anchors: every scene, time of day and weather, those of clear air thrice."""
    plan = DatasetPlan(WORLDS * 12, TRAINING_SEED)
    wanted = {
        (scene, time, weather): TIMES_CLEAR if weather == 'clear' else 1
        for scene, time, weather in itertools.product(
            ('street', 'corridor', 'woods', 'yard'),
            ('day', 'dusk', 'night'),
            ('clear', 'fog', 'smoke', 'rain'),
        )
    }
    for index in range(plan.worlds):
        world = world_of(plan, index)
        kind = (world.scene, world.time_of_day, world.weather)
        if wanted[kind]:
            wanted[kind] -= 1
            yield world


def render_anchors() -> Anchors:
    """
    Render one frame of each world; the same bytes each time.

    :returns: pictures of 320x256, depth for the focal length of the lite student.
    """
    from monother_ros.sim.simulator import SimConfig, Simulator

    images: list[NDArray[np.uint8]] = []
    depths: list[NDArray[np.float16]] = []
    for world in anchor_worlds():
        simulator = Simulator(SimConfig(**world._asdict()))
        camera = simulator.rig.thermal
        frame = simulator.training_frame(np.random.default_rng([world.seed, 79]))
        assert frame.thermal is not None and frame.thermal_depth is not None
        seen = Normaliser(LITE, (camera.width, camera.height))(frame.thermal, 0)[0]
        images.append(np.rint((seen * LITE.std + LITE.mean) * 255).clip(0, 255).astype(np.uint8))
        focal = camera.fx * 320 / camera.width
        depth = frame.thermal_depth[FIRST::STRIDE, FIRST::STRIDE]
        depths.append((depth * np.float32(CANONICAL_FOCAL / focal)).astype(np.float16))
    return Anchors(np.stack(images), np.stack(depths), CANONICAL_FOCAL)


def main() -> None:
    """Render the anchors and write them."""
    parser = argparse.ArgumentParser(description='Anchors of the shipped student.')
    parser.add_argument('path', type=Path, help='file to write, ends in .npz')
    path = parser.parse_args().path
    anchors = render_anchors()
    path.parent.mkdir(parents=True, exist_ok=True)
    anchors.write(path, SHIPPED_QUALITY)
    print(f'{len(anchors)} anchors, {path.stat().st_size} bytes: {path}')


if __name__ == '__main__':
    main()
