# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated worlds: rendered once into a bag, then read like any other recording."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from monother_ros import __version__
from monother_ros.core.errors import SettingsError
from monother_ros.evaluation.evaluate.bag_source import BagSource
from monother_ros.evaluation.evaluate.sources import (
    SourceOptions,
    number,
    parse_words,
    refuse_rest,
)
from monother_ros.sim.bag import Drive, write_drive
from monother_ros.sim.material_sets import CLIMATES
from monother_ros.sim.new_worlds import new_world
from monother_ros.sim.response import RESPONSES
from monother_ros.sim.rig import MOUNTS
from monother_ros.sim.scenes import SCENES
from monother_ros.sim.simulator import SimConfig
from monother_ros.sim.weather import TIMES, WEATHERS

KNOWN = 'seed, seconds, rate, size, drive, world, and words for scene, time and weather'


def world_drive(text: str) -> Drive:
    """
    Drive that a text describes.

    :param text: such as ``street,night,fog,seed=7,seconds=10``: words for scene, time, weather,
        materials, response and mount; ``drive=day/clear+night/fog`` for segments; ``size=WxH``;
        ``world=NAME`` for a world that is new to the shipped student.
    :raises SettingsError: a word or value is not known.
    :raises SimulationError: it cannot be simulated.
    """
    words, named = parse_words(text)
    config = SimConfig(seed=number(int, named, 'seed', 0), rate=number(float, named, 'rate', 10.0))
    seconds = number(float, named, 'seconds', 10.0)
    if 'world' in named:
        place = new_world(named.pop('world'))
        config = place.config(rate=config.rate)
    kinds = (
        ('scene', SCENES), ('time_of_day', TIMES), ('weather', WEATHERS), ('materials', CLIMATES),
        ('response', RESPONSES), ('mount', MOUNTS),
    )  # fmt: skip
    for word in words:
        field = next((name for name, known in kinds if word in known), None)
        if field is None:
            options = '; '.join(f'{name}: {", ".join(known)}' for name, known in kinds)
            msg = f'sim:{text}: {word!r} is not known; {options}'
            raise SettingsError(msg)
        change: dict[str, Any] = {field: word}
        config = replace(config, **change)
    if 'size' in named:
        width, _, height = named.pop('size').partition('x')
        if not (width.isdecimal() and height.isdecimal()):
            msg = f'sim:{text}: size must be WIDTHxHEIGHT'
            raise SettingsError(msg)
        config = replace(config, width=int(width), height=int(height))
    conditions = []
    for part in named.pop('drive', '').split('+'):
        if part:
            when, _, weather = part.partition('/')
            conditions.append((when, weather or 'clear'))
    refuse_rest(named, KNOWN)
    return Drive(config, seconds, tuple(conditions), rgb=False)


def open_world(text: str, options: SourceOptions) -> BagSource:
    """
    Bag of a world; it is rendered where it is not there yet.

    :param text: see :func:`world_drive`.
    :param options: cache and workers, and how the bag is read.
    :raises SettingsError: see :func:`world_drive`.
    :raises BagError: it cannot be written.
    """
    drive = world_drive(text)
    folder = options.cache or default_cache()
    key = hashlib.sha256(f'{__version__} {drive!r}'.encode()).hexdigest()[:16]
    path = folder / f'{drive.config.scene}-{key}'
    if not (path / 'metadata.yaml').exists():
        from tqdm import tqdm

        with tqdm(
            total=drive.frames, unit='frame', desc=f'render {text}', file=sys.stderr, disable=None
        ) as bar:
            write_drive(
                path,
                drive,
                workers=options.workers,
                overwrite=True,
                progress=lambda done: bar.update(done - bar.n) and None,
            )
    return BagSource(path, options, kind='sim', name=f'sim {text.replace(",", " ")}')


def default_cache() -> Path:
    """Folder of rendered worlds, ``~/.cache/monother_ros/worlds``."""
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'monother_ros' / 'worlds'
