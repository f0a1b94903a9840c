# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds that the calibration between thermal and RGB camera has slipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from monother_ros.learning.online_pair import OnlinePair


@dataclass(frozen=True)
class AlignmentSettings:
    """Limits of the monitor."""

    slipped: float = 5.0
    """offset in pixels of a picture 320 wide from which the calibration counts as slipped"""
    settled: float = 3.0
    """offset below which it no longer does"""


class Alignment(NamedTuple):
    """How well the two pictures lie on each other."""

    offset: tuple[float, float]
    """(right, down) by which the thermal picture lies off the RGB picture brought to it, pixels of
    the student's input"""
    certainty: float
    """0 (nothing known) to 1"""
    slipped: bool
    """the calibration is not to be learned with"""
    text: str
    """for people"""


class AlignmentMonitor:
    """
    Accumulates over pairs; for one rig and one thread.

    :param settings: limits.
    """

    def __init__(self, settings: AlignmentSettings | None = None) -> None:
        self.settings = settings or AlignmentSettings()

    def update(self, pair: OnlinePair) -> Alignment:
        """
        Take the next pair.

        :param pair: with the teacher's depth.
        """
        del pair
        return Alignment((0.0, 0.0), 0.0, slipped=False, text='not enough pairs')

    def reset(self) -> None:
        """Forget earlier pairs."""
