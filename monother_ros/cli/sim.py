# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother sim``."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

from tqdm import tqdm

from monother_ros.core.errors import SettingsError
from monother_ros.sim.bag import Drive, write_drive
from monother_ros.sim.material_sets import CLIMATES
from monother_ros.sim.new_worlds import NEW_WORLDS, new_world
from monother_ros.sim.response import RESPONSES
from monother_ros.sim.rig import MOUNTS
from monother_ros.sim.scenes import SCENES
from monother_ros.sim.simulator import SimConfig
from monother_ros.sim.weather import TIMES, WEATHERS


def _size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT."""
    width, _, height = text.partition('x')
    if not (width.isdigit() and height.isdigit()):
        msg = f'{text!r} is not of the form WIDTHxHEIGHT'
        raise argparse.ArgumentTypeError(msg)
    return int(width), int(height)


def _drive(text: str) -> tuple[tuple[str, str], ...]:
    """Parse TIME/WEATHER,TIME/WEATHER,…"""
    parts = []
    for part in text.split(','):
        when, _, weather = part.partition('/')
        if when not in TIMES or (weather or 'clear') not in WEATHERS:
            msg = (
                f'{part!r} is not TIME/WEATHER with a time of {", ".join(TIMES)} '
                f'and a weather of {", ".join(WEATHERS)}'
            )
            raise argparse.ArgumentTypeError(msg)
        parts.append((when, weather or 'clear'))
    return tuple(parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of the verb."""
    add = parser.add_argument
    add('output', metavar='OUT', help='folder of the new rosbag2')
    add('--scene', choices=SCENES, default='street')
    add('--seed', type=int, default=0, help='of everything random; the same seed, the same bytes')
    add('--seconds', type=float, default=20.0, help='length of the drive')
    add('--time', choices=TIMES, default='day', help='time of day')
    add('--weather', choices=WEATHERS, default='clear')
    add(
        '--drive',
        type=_drive,
        metavar='TIME/WEATHER,…',
        help='segments of one drive under these conditions, equally long, such as '
        'day/clear,night/clear,day/fog; instead of --time and --weather',
    )
    add('--materials', choices=tuple(CLIMATES), default='temperate', help='climate of the place')
    add('--response', choices=RESPONSES, default='linear', help='what the thermal camera delivers')
    add('--mount', choices=tuple(MOUNTS), default='mast', help='where the cameras sit')
    add(
        '--world',
        choices=[world.name for world in NEW_WORLDS],
        metavar='NAME',
        help='a world that is new to the shipped student, instead of --scene, --seed, '
        f'--materials, --response and --mount: {", ".join(world.name for world in NEW_WORLDS)}',
    )
    add('--rate', type=float, default=10.0, help='frames per second')
    add('--size', type=_size, default=(320, 256), metavar='WxH', help='of the thermal image')
    add('--rgb-size', type=_size, default=(480, 360), metavar='WxH', help='of the RGB image')
    add('--rgb-transport', choices=('raw', 'compressed'), default='raw', help='image or JPEG')
    add('--no-shutter', action='store_true', help='leave out the shutter events')
    add('--workers', type=int, default=0, help='rendering processes (default: one per core)')
    add('--overwrite', action='store_true', help='replace the bag that is there')


def run(arguments: argparse.Namespace) -> int:
    """
    Render the drive.

    :returns: 0.
    :raises BagError: the target exists or cannot be written.
    :raises SimulationError: a value that cannot be simulated.
    :raises SettingsError: a negative number of processes.
    """
    if arguments.workers < 0:
        msg = f'{arguments.workers} workers are not possible; use 0 for one per core'
        raise SettingsError(msg)
    conditions = arguments.drive or ((arguments.time, arguments.weather),)
    config = SimConfig(
        scene=arguments.scene,
        seed=arguments.seed,
        time_of_day=conditions[0][0],
        weather=conditions[0][1],
        width=arguments.size[0],
        height=arguments.size[1],
        rgb_width=arguments.rgb_size[0],
        rgb_height=arguments.rgb_size[1],
        rate=arguments.rate,
        shutter=not arguments.no_shutter,
        materials=arguments.materials,
        response=arguments.response,
        mount=arguments.mount,
    )
    if arguments.world is not None:
        place = new_world(arguments.world)
        config = replace(
            config,
            scene=place.scene,
            seed=place.seed,
            materials=place.materials,
            response=place.response,
            mount=place.mount,
        )
    drive = Drive(
        config, arguments.seconds, conditions, compressed=arguments.rgb_transport == 'compressed'
    )
    began = time.monotonic()
    with tqdm(total=drive.frames, unit='frame', file=sys.stderr, desc=config.scene) as bar:
        path = write_drive(
            arguments.output,
            drive,
            workers=arguments.workers,
            overwrite=arguments.overwrite,
            progress=lambda done: bar.update(done - bar.n),
        )
    seconds = time.monotonic() - began
    print(
        f'{drive.frames} frames of thermal, RGB, LiDAR and depth in {seconds:.1f} s '
        f'({drive.frames / seconds:.1f} frames/s): {path}'
    )
    return 0
