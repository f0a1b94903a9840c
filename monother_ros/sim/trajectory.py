# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smooth paths: a curve through way-points, run at a steady speed, with the shake of a vehicle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SimulationError
from monother_ros.sim.rig import rotation, transform

STEP = 0.05
"""Distance between two points of the sampled curve, m."""


def smooth_curve(points: NDArray[np.float64], step: float = STEP) -> NDArray[np.float64]:
    """
    Catmull-Rom curve through points, sampled at nearly equal distances.

    :param points: (N, 3) way-points in metres, N >= 2.
    :param step: distance of the samples in metres.
    :returns: (M, 3) float64.
    :raises SimulationError: fewer than two points.
    """
    if len(points) < 2:
        msg = f'a path needs at least two points, got {len(points)}'
        raise SimulationError(msg)
    p = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    u = np.linspace(0, 1, 64, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    dense = 0.5 * (
        2 * p1
        + (p2 - p0) * u
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * u**2
        + (3 * p1 - p0 - 3 * p2 + p3) * u**3
    )
    line = np.concatenate([dense.reshape(-1, 3), points[-1:]])
    run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, run[-1], max(int(run[-1] / step), 2))
    return np.stack([np.interp(at, run, line[:, i]) for i in range(3)], -1)


class Trajectory:
    """
    Motion of `base_link` along a path over the ground.

    Beyond the end of the path the vehicle turns back, so that any time has a pose.

    :param points: (N, 3) way-points on the ground, metres.
    :param speed: m/s.
    :param rng: source of the shake.
    :param shake: factor on vibration, 0 for none.
    """

    def __init__(
        self,
        points: NDArray[np.float64],
        speed: float,
        rng: np.random.Generator,
        *,
        shake: float = 1.0,
    ) -> None:
        self._line = smooth_curve(np.asarray(points, np.float64))
        self._step = float(np.linalg.norm(np.diff(self._line, axis=0), axis=1).mean())
        self.length = self._step * (len(self._line) - 1)
        self.speed = speed
        # rows: height [m], lateral [m], yaw, pitch, roll [rad]; three sines each
        self._amplitude = shake * np.array([[0.008], [0.02], [0.008], [0.007], [0.006]])
        self._amplitude = self._amplitude * rng.uniform(0.3, 1.0, (5, 3))
        self._frequency = rng.uniform([0.15, 0.6, 2.5], [0.5, 1.6, 6.0], (5, 3))
        self._amplitude[:, 2] *= 0.25
        self._phase = rng.uniform(0, 2 * np.pi, (5, 3))

    @property
    def duration(self) -> float:
        """Seconds from one end of the path to the other."""
        return self.length / self.speed

    def at(self, distance: float) -> tuple[NDArray[np.float64], float, float]:
        """
        Point and heading of the bare path.

        :param distance: metres along it; beyond an end it is folded back.
        :returns: position (3,) in metres, yaw and pitch (nose down) in radians.
        """
        folded = abs((distance + self.length) % (2 * self.length) - self.length)
        index = min(max(folded / self._step, 0.0), len(self._line) - 1.001)
        low = int(index)
        part = index - low
        position = self._line[low] * (1 - part) + self._line[low + 1] * part
        reach = max(int(0.8 / self._step), 1)
        ahead = self._line[min(low + reach, len(self._line) - 1)]
        behind = self._line[max(low - reach, 0)]
        x, y, z = ahead - behind
        return position, float(np.arctan2(y, x)), float(-np.arctan2(z, np.hypot(x, y)))

    def pose(self, t: float) -> NDArray[np.float64]:
        """
        World from `base_link`.

        :param t: seconds.
        :returns: (4, 4) float64.
        """
        position, yaw, pitch = self.at(t * self.speed)
        wave = self._amplitude * np.sin(2 * np.pi * self._frequency * t + self._phase)
        up, side, turn, nod, lean = wave.sum(1)
        left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        origin = position + left * side + np.array([0, 0, up])
        return transform(rotation(yaw + turn, pitch + nod, lean), origin)
