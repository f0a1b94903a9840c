# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Worlds that differ from those that the shipped student was trained in, to measure adaptation.

The student knows the scenes street, corridor, woods and yard with temperate materials, a linear
thermal camera and cameras on a mast about 1.2 m high. Each world here differs in one or several
of these; seeds are from 2,000,000 on, where no training, validation or test set reaches. By day
and with clear air the RGB camera sees well; the same place can be visited at night.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monother_ros.core.errors import SimulationError
from monother_ros.sim.simulator import SimConfig

FIRST_SEED = 2_000_000
"""Least world seed of this list."""


@dataclass(frozen=True)
class NewWorld:
    """
    A place that is new to the shipped student.

    :param name: for reports.
    :param scene: see :class:`SimConfig`, as the other values.
    :param seed: of layout, rig and weather.
    :param materials: temperatures and colours.
    :param response: of the thermal camera.
    :param mount: of the cameras.
    :param difference: what differs from the source worlds, one sentence.
    """

    name: str
    scene: str
    seed: int
    materials: str
    response: str
    mount: str
    difference: str

    def config(self, time_of_day: str = 'day', weather: str = 'clear', **others: Any) -> SimConfig:
        """
        The place at some time and in some weather.

        :param time_of_day: day, dusk or night.
        :param weather: clear, fog, smoke or rain.
        :param others: further settings of the simulation, such as sizes and rate.
        """
        return SimConfig(
            scene=self.scene,
            seed=self.seed,
            time_of_day=time_of_day,
            weather=weather,
            materials=self.materials,
            response=self.response,
            mount=self.mount,
            **others,
        )


NEW_WORLDS: tuple[NewWorld, ...] = (
    NewWorld(
        'farm', 'farm', 2_000_021, 'temperate', 'linear', 'mast',
        'Another scene: a field track between crops, pastures and barns.',
    ),
    NewWorld(
        'farm in the desert', 'farm', 2_000_002, 'desert', 'equalised', 'mast',
        'Another scene; sand far hotter than the air; the camera equalises its histogram.',
    ),
    NewWorld(
        'farm in winter', 'farm', 2_000_012, 'winter', 'black_hot', 'mast',
        'Another scene under snow; the camera shows heat as black.',
    ),
    NewWorld(
        'street in winter', 'street', 2_000_041, 'winter', 'black_hot', 'mast',
        'Snow that is colder than heated houses; the camera shows heat as black.',
    ),
    NewWorld(
        'street in the desert', 'street', 2_000_051, 'desert', 'compressed', 'high',
        'Hot sand and cool walls; the camera compresses contrast and sits on a roof.',
    ),
    NewWorld(
        'woods in the desert', 'woods', 2_000_062, 'desert', 'linear', 'high',
        'Dry ground far hotter than trunks and leaves; the cameras sit on a roof.',
    ),
    NewWorld(
        'yard in winter', 'yard', 2_000_091, 'winter', 'equalised', 'low',
        'Snow; the camera equalises its histogram; a small robot with low cameras.',
    ),
    NewWorld(
        'steel works', 'yard', 2_000_081, 'industrial', 'compressed', 'high',
        'Bare metal walls that mirror the sky, warm sooty ground; contrast is compressed; roof.',
    ),
)  # fmt: skip
"""Eight worlds; names are unique."""


def new_world(name: str) -> NewWorld:
    """
    World of the list.

    :param name: see `NEW_WORLDS`.
    :raises SimulationError: there is none of that name.
    """
    for world in NEW_WORLDS:
        if world.name == name:
            return world
    msg = f'no new world is named {name!r}; use one of {[world.name for world in NEW_WORLDS]}'
    raise SimulationError(msg)
