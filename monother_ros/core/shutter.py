# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Frames that a thermal camera sends while its shutter is closed (flat-field correction).

No driver says so in a standard message, but the pixels do: the camera repeats its last picture, or
shows the shutter itself, and afterwards the level of all pixels has moved.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.thermal import check_raw

FLAT_NOISE = 6.0
"""A picture whose 2..98 % span is below this many sigmas of pixel noise has no structure: pure
Gaussian noise spans 4.1."""

FLAT_BLURRED = 30.0
"""Below this many sigmas a picture is flat if it has no edges, too: the shutter's own shading and
warm spots reach some 20, a scene in dense fog still has edges."""

EDGE_DISTANCE = 6
EDGE_TAIL = 5.5
"""Differences of pixels 6 apart: 99th percentile by median. 3.8 for noise on any smooth shading,
4.7 for a defocused shutter of a real camera, 8 and more for real scenes."""

FLAT_SHRINK = 0.12
"""... and so has one whose span falls to this part of what it was a moment ago."""

FLAT_SUDDEN = 0.5
"""A blurred picture is flat only where its span fell to this part of that of the last ordinary
ones, or nothing was before: dense fog comes slowly, the shutter within a frame."""

FOLLOW_OPEN = 0.3
FOLLOW_FLAT = 5.0
"""Seconds over which the usual span is followed by ordinary pictures, and by flat ones: a scene
that stays flat is accepted again."""

JUMP_SHIFT = 0.15
"""Common shift of all pixels, as a part of the span, that cannot be motion in one frame."""

JUMP_SHIFT_AFTER = 0.06
"""The same right after frozen or flat frames, where a jump is expected."""

REFERENCE_AGE = 5.0
"""Seconds after which an old picture says nothing about the level any more."""

RUNS = 8
"""Runs of repeated frames that tell how often a camera repeats by habit."""


class ShutterState(str, Enum):
    """What a frame is."""

    OPEN = 'open'
    """An ordinary picture."""
    FROZEN = 'frozen'
    """The same pixels as before under a new stamp."""
    FLAT = 'flat'
    """No structure: the shutter, or a covered lens."""
    JUMP = 'jump'
    """A picture of the scene whose level has just moved as a whole."""


class ShutterDetector:
    """
    Tells the frames of a closed shutter from ordinary ones.

    A camera of 9 Hz whose driver publishes at 27 Hz repeats every picture by habit. The lower
    median of the last runs of repeats is taken as that habit, and only longer runs are frozen; it
    is learned within a second, and one long freeze does not change it. A driver that repeats its
    last frame for ever stays frozen for ever: depth of a stale picture is worse than none.
    8-bit pictures never jump, because automatic gain moves their level all the time.
    """

    def __init__(self) -> None:
        """See the class."""
        self._runs: deque[int] = deque(maxlen=RUNS)
        self._frame = np.empty((0, 0), np.uint16)
        self.reset()

    def reset(self) -> None:
        """Forget earlier frames, after a jump in time or another camera; the habit is kept."""
        self._state = ShutterState.OPEN
        self._stamp: int | None = None
        self._run = 0
        self._span: float | None = None
        self._reference: NDArray[np.float32] | None = None
        self._reference_stamp = 0
        self._closed = False

    def update(self, raw: NDArray[Any], stamp_ns: int) -> ShutterState:
        """
        State of the next frame.

        :param raw: (H, W) uint8 or uint16.
        :param stamp_ns: its time in nanoseconds. A frame that comes twice under the same stamp is
            the same frame; time that goes backwards resets the detector.
        :raises ThermalError: raw is no thermal picture.
        """
        check_raw(raw)
        if self._stamp is not None and stamp_ns == self._stamp:
            return self._state
        if self._stamp is not None and stamp_ns < self._stamp:
            self.reset()
        last, self._stamp = self._stamp, stamp_ns
        if last is not None and self._same(raw):
            self._run += 1
            habit = sorted(self._runs)[(len(self._runs) - 1) // 2] if self._runs else 0
            if self._run > habit + (habit > 0):
                self._state = ShutterState.FROZEN
                self._closed = True
            return self._state
        if last is not None:
            self._runs.append(self._run)
        self._run = 0
        self._remember(raw)
        self._state = self._picture(raw, stamp_ns, last)
        return self._state

    def _same(self, raw: NDArray[Any]) -> bool:
        """Whether the pixels are those of the frame before; a few of them are looked at first."""
        old = self._frame
        if old.shape != raw.shape or old.dtype != raw.dtype:
            return False
        if not np.array_equal(old[::16, ::16], raw[::16, ::16]):
            return False
        return bool(np.array_equal(old, raw))

    def _remember(self, raw: NDArray[Any]) -> None:
        """Keep a copy to compare the next frame with."""
        if self._frame.shape != raw.shape or self._frame.dtype != raw.dtype:
            self._frame = np.empty(raw.shape, raw.dtype)
            self._reference = None
            self._span = None
        np.copyto(self._frame, raw)

    def _picture(self, raw: NDArray[Any], stamp_ns: int, last: int | None) -> ShutterState:
        """State of a frame that is not a repetition."""
        step = max(1, math.isqrt(raw.size // 5000))
        sample = raw[::step, ::step].astype(np.float32)
        low, high = _quantiles(sample, 0.02, 0.98)
        span = high - low
        rows = raw[:: 4 * step].astype(np.float32)
        noise = _noise(rows)
        usual = self._span
        elapsed = 0.0 if last is None else (stamp_ns - last) / 1e9
        flat = span <= max(1.0, FLAT_NOISE * noise)
        flat = flat or (usual is not None and span < FLAT_SHRINK * usual)
        if not flat and span <= FLAT_BLURRED * noise:
            sudden = usual is None or span < FLAT_SUDDEN * usual
            flat = sudden and _edge_tail(rows) < EDGE_TAIL
        gain = -math.expm1(-elapsed / (FOLLOW_FLAT if flat else FOLLOW_OPEN))
        self._span = span if usual is None else usual + gain * (span - usual)
        if flat:
            self._closed = True
            return ShutterState.FLAT
        state = ShutterState.OPEN
        reference = self._reference
        recent = stamp_ns - self._reference_stamp < REFERENCE_AGE * 1e9
        if reference is not None and recent and raw.dtype == np.uint16:
            jumped = _has_jumped(sample, reference, span, noise, closed=self._closed)
            state = ShutterState.JUMP if jumped else state
        self._reference, self._reference_stamp, self._closed = sample, stamp_ns, False
        return state


def _quantiles(sample: NDArray[np.float32], *parts: float) -> list[float]:
    """Nearest-rank quantiles of a small array."""
    ranks = [round(part * (sample.size - 1)) for part in parts]
    ordered = np.partition(sample, ranks, axis=None)
    return [float(ordered[rank]) for rank in ranks]


def _noise(rows: NDArray[np.float32]) -> float:
    """
    Standard deviation of pixel noise in counts, from second differences of neighbours.

    They leave slopes out, and their median leaves edges out. For Gaussian noise of sigma,
    a - 2b + c has the deviation sqrt(6) sigma, and the median of its absolute value lies at 0.6745
    of that.

    :param rows: (h, W) some complete rows.
    """
    if rows.shape[1] < 3:
        return 0.0
    second = np.abs(rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:])
    return _quantiles(second, 0.5)[0] / (0.6745 * math.sqrt(6.0))


def _edge_tail(rows: NDArray[np.float32]) -> float:
    """How far the largest differences of near pixels stand out of the usual ones."""
    if rows.shape[1] <= EDGE_DISTANCE:
        return 0.0
    usual, large = _quantiles(
        np.abs(rows[:, EDGE_DISTANCE:] - rows[:, :-EDGE_DISTANCE]), 0.5, 0.99
    )
    return large / max(usual, 1.0)


def _has_jumped(
    sample: NDArray[np.float32],
    reference: NDArray[np.float32],
    span: float,
    noise: float,
    *,
    closed: bool,
) -> bool:
    """
    Whether the level of a picture moved as a whole since the last ordinary one.

    Most pixels must have changed by about the same amount. The camera may have moved on while the
    shutter was closed; then it is enough that the whole distribution has moved.

    :param closed: frozen or flat frames lie between the two.
    """
    difference = sample - reference
    shift = _quantiles(difference, 0.5)[0]
    least = max((JUMP_SHIFT_AFTER if closed else JUMP_SHIFT) * span, 4.0 * noise)
    if abs(shift) > least:
        near = np.abs(difference - shift) < 0.5 * abs(shift)
        if np.count_nonzero(near) > (0.6 if closed else 0.85) * near.size:
            return True
    if not closed:
        return False
    parts = (0.05, 0.25, 0.5, 0.75, 0.95)
    now, before = _quantiles(sample, *parts), _quantiles(reference, *parts)
    moved = sorted(a - b for a, b in zip(now, before, strict=True))
    return abs(moved[2]) > least and moved[-1] - moved[0] < abs(moved[2])
