# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drives to and fro over a part of a world, so that another part stays unseen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SimulationError
from monother_ros.sim.trajectory import Trajectory
from monother_ros.sim.world import World

_LANES = 91
"""Stream of random numbers of the lanes; those of the simulator are below 10."""


class Laps(Trajectory):
    """
    To and fro over a part of a path, on another lane each time.

    :param line: the path.
    :param part: start and end as parts of its length, 0 to 1.
    :param sway: how far lanes may lie from the path, metres.
    :param rng: source of the lanes.
    :raises SimulationError: the part is empty or outside of the path.
    """

    def __init__(
        self,
        line: Trajectory,
        part: tuple[float, float],
        sway: float,
        rng: np.random.Generator,
    ) -> None:
        if not 0.0 <= part[0] < part[1] <= 1.0:
            msg = f'{part} is no part of a path; use a start and an end within 0 to 1'
            raise SimulationError(msg)
        vars(self).update(vars(line))  # the same path and the same shake
        self._from, self._to = part[0] * line.length, part[1] * line.length
        self._sides = rng.uniform(-sway, sway, 64)

    @property
    def duration(self) -> float:
        """Seconds from one end of the part to the other."""
        return (self._to - self._from) / self.speed

    def at(self, distance: float) -> tuple[NDArray[np.float64], float, float]:
        """Point and heading after so many metres; see the base class."""
        stretch = self._to - self._from
        lap, inside = divmod(distance, stretch)
        back = int(lap) % 2 == 1
        position, yaw, pitch = super().at(self._from + (stretch - inside if back else inside))
        if back:
            yaw, pitch = yaw + np.pi, -pitch
        side = self._sides[int(lap) % len(self._sides)]
        return position + side * np.array([-np.sin(yaw), np.cos(yaw), 0.0]), yaw, pitch


def stay_within(world: World, part: tuple[float, float], seed: int) -> None:
    """
    Keep the drive through a world within a part of its path.

    :param world: its trajectory is replaced.
    :param part: see :class:`Laps`.
    :param seed: of the lanes.
    :raises SimulationError: see :class:`Laps`.
    """
    rng = np.random.default_rng([seed, _LANES, round(1000 * part[0])])
    world.trajectory = Laps(world.trajectory, part, 0.6 * world.sway, rng)
