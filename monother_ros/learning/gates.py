# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When not to learn, decided by what is measured in the pictures of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.shutter import ShutterState

REASONS = (
    'disabled',
    'no calibration',
    'misaligned',
    'stamps apart',
    'shutter',
    'night',
    'glare',
    'rain on the lens',
    'blurred',
    'standing still',
)
"""Every reason, in the order in which they are looked for. 'disabled', 'no calibration' and
'misaligned' are known to the caller of :class:`Gates`, not to the gates."""


@dataclass(frozen=True)
class GateSettings:
    """Limits of the gates."""

    stamps: float = 0.03
    """largest distance of the two stamps, seconds"""
    shutter: float = 1.0
    """seconds after a shutter event"""


class Gates:
    """
    Looks at pairs in the order in which they come; for one thread.

    :param settings: limits.
    """

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings or GateSettings()
        self._shutter_ns: int | None = None

    def look(
        self,
        rgb: NDArray[np.uint8],
        thermal_raw: NDArray[Any],
        thermal_stamp_ns: int,
        rgb_stamp_ns: int,
        shutter: ShutterState,
    ) -> str | None:
        """
        First reason not to learn from a pair.

        :param rgb: (H, W, 3) uint8, red first.
        :param thermal_raw: (H, W) uint8 or uint16 counts.
        :param thermal_stamp_ns: nanoseconds.
        :param rgb_stamp_ns: nanoseconds.
        :param shutter: state of the thermal picture.
        :returns: one of REASONS; None where there is none.
        """
        del rgb, thermal_raw
        settings = self.settings
        if abs(thermal_stamp_ns - rgb_stamp_ns) > settings.stamps * 1e9:
            return 'stamps apart'
        if shutter is not ShutterState.OPEN:
            self._shutter_ns = thermal_stamp_ns
            return 'shutter'
        return None

    def accepted(self) -> None:
        """The pair looked at last is learned from: the next one must show another view."""

    def reset(self) -> None:
        """Forget earlier frames: time has jumped, or another camera."""
        self._shutter_ns = None
