# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Finds that the calibration between thermal and RGB camera has slipped.

The thermal picture is brought to the RGB picture with the teacher's depth and the calibration.
Edges that both show must then lie on each other. Their brightness has nothing in common, but
their direction has, up to its sign: the product of two unit vectors of twice the gradient's angle
is cos(2 * difference). It is summed for every shift of the two pictures, in six tiles of the
picture, and over pairs: what only one camera sees averages out. The shift, and the turn about the
optical axis, at which the sum is largest is the misalignment.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.learning.alignment_edges import REACH, SIZE, TILES, PairSurface, surface

if TYPE_CHECKING:
    from monother_ros.learning.online_pair import OnlinePair

TURNS = tuple(math.radians(v) for v in (-4, -3, -2, -1, 0, 1, 2, 3, 4))
"""Turns about the optical axis that are tried, radians; positive is clockwise in the picture."""

SPAN = 0.6
"""Lever of a turn as a part of the picture's width, about that of the corners: its displacement
there is told in pixels."""

APART = 3
"""Pixels of the small pictures from which another shift is another answer."""

CLEAR = (2.0, 6.0)
"""Standard errors by which pairs prefer the peak to any other answer, at which certainty begins
and is full."""


@dataclass(frozen=True)
class AlignmentSettings:
    """Limits of the monitor."""

    slipped: float = 5.0
    """displacement from which the calibration counts as slipped, pixels of a picture 320 wide"""
    settled: float = 3.0
    """displacement below which it no longer does"""
    least_pairs: int = 8
    """pairs before anything is said"""
    memory: int = 40
    """pairs that are remembered; the last ones count most"""
    sure: float = 6.0
    """standard errors by which the peak must be better than no displacement"""

    def __post_init__(self) -> None:
        """Refuse limits that cannot be."""
        if not 0 < self.settled <= self.slipped:
            msg = f'settled {self.settled} and slipped {self.slipped} must be positive, in order'
            raise SettingsError(msg)
        if not 2 <= self.least_pairs <= self.memory or self.sure <= 0:
            msg = f'least_pairs {self.least_pairs}, memory {self.memory} or sure {self.sure}'
            raise SettingsError(f'{msg} is out of range')


class Alignment(NamedTuple):
    """How well the two pictures lie on each other."""

    offset: tuple[float, float]
    """(right, down) by which the thermal picture lies off what the calibration says, pixels of
    the student's input"""
    certainty: float
    """0 (nothing known) to 1, that the offset is the true one"""
    slipped: bool
    """the calibration is not to be learned with"""
    text: str
    """for people"""
    turn: float = 0.0
    """turn of the thermal picture about its axis, radians, clockwise"""


class AlignmentMonitor:
    """
    Accumulates over pairs of different views; for one thread. Another rig starts it anew.

    :param settings: limits.
    """

    def __init__(self, settings: AlignmentSettings | None = None) -> None:
        self.settings = settings or AlignmentSettings()
        self._pairs: deque[PairSurface] = deque(maxlen=self.settings.memory)
        self.reset()

    def reset(self) -> None:
        """Forget earlier pairs: another place of the cameras, or a new calibration."""
        self._pairs.clear()
        self._slipped = False
        self._key = ''

    def update(self, pair: OnlinePair) -> Alignment:
        """
        Take the next pair.

        It goes on being called while the calibration counts as slipped: only so is it found that
        the camera was put right.

        :param pair: with the teacher's depth.
        """
        if pair.rig.key != self._key:
            self.reset()
            self._key = pair.rig.key
        found = surface(pair)
        if found is not None:
            self._pairs.append(found)
        count = len(self._pairs)
        if count < self.settings.least_pairs:
            text = f'{count} pairs with edges, {self.settings.least_pairs} are needed'
            return Alignment((0.0, 0.0), 0.0, self._slipped, text)
        return self._judge(pair)

    def _judge(self, pair: OnlinePair) -> Alignment:
        """Peak of all pairs together, and whether it lies off."""
        rig, settings = pair.rig, self.settings
        count = len(self._pairs)
        age = np.arange(count - 1, -1, -1, dtype=np.float32)
        weights = np.exp(-age / np.float32(0.75 * settings.memory))
        shared = np.einsum('k,kabcd->abcd', weights, np.stack([p.shared for p in self._pairs]))
        mass = np.einsum('k,kabcd->abcd', weights, np.stack([p.mass for p in self._pairs]))
        maps = np.stack([_turned(shared, mass, turn) for turn in TURNS])
        best = int(np.argmax(maps.max((1, 2))))
        row, column = (int(v) for v in np.unravel_index(np.argmax(maps[best]), maps[best].shape))
        values = np.stack([_turned(p.shared, p.mass, TURNS[best]) for p in self._pairs])
        certainty = _certainty(values, maps[best], row, column)
        fine_row, fine_column = _refined(maps[best], row, column)
        # half a pixel of the RGB view to a pixel of the thermal one
        scale = 2.0 * float(rig.thermal_intrinsics[0, 0] / rig.rgb_intrinsics[0, 0])
        offset = ((fine_column - REACH) * scale, (fine_row - REACH) * scale)
        turn = _fine_turn(maps, best, row, column)
        away = math.hypot(*offset) + abs(turn) * SPAN * rig.width
        away *= 320.0 / rig.width
        text = f'off by {offset[0]:+.1f}, {offset[1]:+.1f} px'
        if abs(turn) > math.radians(0.5):
            text += f' and turned by {math.degrees(turn):+.1f} degrees'
        text += f' ({count} pairs, certainty {certainty:.2f})'
        if certainty >= 0.5:
            if away >= settings.slipped and self._prefer(values[:, row, column]) >= settings.sure:
                self._slipped = True
            elif away < settings.settled:
                self._slipped = False
        if self._slipped:
            text = f'calibration has slipped: {text}; calibrate the cameras again'
        return Alignment(offset, certainty, self._slipped, text, turn)

    def _prefer(self, there: NDArray[np.float32]) -> float:
        """Standard errors by which pairs prefer a displacement to none, each with one voice."""
        none = [_turned(p.shared, p.mass, 0.0)[REACH, REACH] for p in self._pairs]
        return _standard_errors(there - np.array(none))


def _standard_errors(values: NDArray[np.floating]) -> float:
    """Mean of independent values in units of its standard error."""
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) / max(error, 1e-6)


def _certainty(
    values: NDArray[np.float32], mean: NDArray[np.float32], row: int, column: int
) -> float:
    """
    How surely the peak is better than the best answer elsewhere.

    :param values: (N, s, s) agreement of each pair.
    :param mean: (s, s) of all together, with its peak at row and column.
    """
    others = mean.copy()
    top, left = max(row - APART, 0), max(column - APART, 0)
    others[top : row + APART + 1, left : column + APART + 1] = -np.inf
    rival = np.unravel_index(np.argmax(others), others.shape)
    better = _standard_errors(values[:, row, column] - values[:, rival[0], rival[1]])
    return min(max((better - CLEAR[0]) / (CLEAR[1] - CLEAR[0]), 0.0), 1.0)


def _fine_turn(maps: NDArray[np.float32], best: int, row: int, column: int) -> float:
    """Turn at the top of the parabola through the best one and its neighbours, radians."""
    if not 0 < best < len(TURNS) - 1:
        return TURNS[best]
    part = _top(*(float(maps[best + k, row, column]) for k in (-1, 0, 1)))
    return TURNS[best] + part * (TURNS[best + 1] - TURNS[best])


def _turned(
    shared: NDArray[np.float32], mass: NDArray[np.float32], turn: float
) -> NDArray[np.float32]:
    """
    Agreement for every shift, where the picture is also turned about its middle.

    A turn shifts each tile by another amount.

    :param shared: (rows, columns, s, s) sums of products of each tile.
    :param mass: the same of the weights alone.
    :returns: (s, s), -1..1.
    """
    total, weight = np.zeros(shared.shape[2:], np.float32), np.zeros(shared.shape[2:], np.float32)
    for i, j in np.ndindex(*TILES):
        one, other = shared[i, j], mass[i, j]
        if turn:
            x = SIZE[0] * ((j + 0.5) / TILES[1] - 0.5)
            y = SIZE[1] * ((i + 0.5) / TILES[0] - 0.5)
            move = np.array([[1, 0, turn * y], [0, 1, -turn * x]], np.float32)
            size = (one.shape[1], one.shape[0])
            one, other = (_moved(part, move, size) for part in (one, other))
        total += one
        weight += other
    return np.asarray(total / np.maximum(weight, 0.05 * float(weight.max()) + 1e-6), np.float32)


def _moved(
    part: NDArray[np.float32], move: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """One map shifted by a part of a pixel."""
    moved = cv2.warpAffine(part, move, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _top(before: float, here: float, after: float) -> float:
    """Place of the top of a parabola through three neighbours, -0.5..0.5 from the middle one."""
    bend = before - 2 * here + after
    return 0.0 if bend >= -1e-9 else float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5))


def _refined(values: NDArray[np.float32], row: int, column: int) -> tuple[float, float]:
    """Row and column of a peak to a part of a pixel."""
    last = values.shape[0] - 1
    fine = [float(row), float(column)]
    if 0 < row < last:
        fine[0] += _top(*(float(values[row + k, column]) for k in (-1, 0, 1)))
    if 0 < column < last:
        fine[1] += _top(*(float(values[row, column + k]) for k in (-1, 0, 1)))
    return fine[0], fine[1]
