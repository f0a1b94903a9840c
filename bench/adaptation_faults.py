# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What an RGB camera meets in five minutes of a clear day: low sun, dust and smoke, drops.

The thermal camera sees none of it. About half of the time something is wrong with a part of the
RGB picture; what is bad enough is refused by the gates, the rest is learned from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monother_ros.sim.defects import Clouds, Drops, glare

Picture = NDArray[np.uint8]
Fault = Callable[[Picture, float, np.random.Generator], Picture]

KINDS = ('sun', 'clouds', 'drops', 'clouds')
"""Kinds of episodes, in turn; where in the row a drive begins is drawn."""

LENGTH = (12.0, 24.0)
"""Shortest and longest episode, seconds; the clear time after each is as long."""


class FaultyRgb:
    """
    RGB pictures of a drive as the camera meets them; reads like the array of clear ones.

    :param clear: (N, H, W, 3) uint8.
    :param rate: pictures per second.
    :param seed: of what happens when.
    """

    def __init__(self, clear: NDArray[np.uint8], rate: float, seed: int) -> None:
        self._clear = clear
        self._rate = rate
        self._seed = seed
        self.kinds = ['clear'] * len(clear)
        """what is wrong with each picture"""
        self._faults: dict[int, tuple[Fault, float]] = {}
        rng = np.random.default_rng([seed, 77])
        turn = int(rng.integers(len(KINDS)))
        start = float(rng.uniform(*LENGTH))
        while start * rate < len(clear):
            length = float(rng.uniform(*LENGTH))
            kind = KINDS[turn % len(KINDS)]
            fault = self._fault(kind, rng)
            for index in range(
                round(start * rate), min(len(clear), round((start + length) * rate))
            ):
                self.kinds[index] = kind
                self._faults[index] = (fault, index / rate - start)
            turn += 1
            start += 2 * length

    def _fault(self, kind: str, rng: np.random.Generator) -> Fault:
        """One episode."""
        shape = (int(self._clear.shape[1]), int(self._clear.shape[2]))
        if kind == 'sun':
            radius, veil = float(rng.uniform(0.04, 0.14)), float(rng.uniform(15, 50))
            place = int(rng.integers(2**31))

            def sun(p: Picture, _: float, __: np.random.Generator) -> Picture:
                # the sun stays where it is for the length of an episode
                return glare(p, np.random.default_rng(place), radius=radius, veil=veil)

            return sun
        if kind == 'drops':
            drops = Drops(shape, int(rng.integers(3, 11)), rng)
            return lambda p, _, r: drops(p, r)
        clouds = Clouds(shape, rng, float(rng.uniform(0.15, 0.5)))
        return lambda p, t, r: clouds(p, t, r)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""
        return tuple(self._clear.shape)

    def __len__(self) -> int:
        return len(self._clear)

    def __getitem__(self, index: int) -> Picture:
        """Picture number ``index``, the same at every call."""
        picture = np.ascontiguousarray(self._clear[index])
        if index not in self._faults:
            return picture
        fault, seconds = self._faults[index]
        return fault(picture, seconds, np.random.default_rng([self._seed, 78, index]))
