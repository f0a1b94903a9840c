# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When not to learn, decided by what is measured in the pictures of a pair."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.core.shutter import ShutterState
from monother_ros.learning.gate_lens import LensWatch
from monother_ros.learning.gate_picture import Picture, measure, shrink
from monother_ros.learning.gate_view import View, similarity

REASONS = (
    'disabled',
    'no calibration',
    'misaligned',
    'stamps apart',
    'shutter',
    'night',
    'glare',
    'blurred',
    'rain on the lens',
    'standing still',
)
"""Every reason, in the order in which they are looked for. 'disabled', 'no calibration' and
'misaligned' are known to the caller of :class:`Gates`, not to the gates."""

FOLLOW = 0.3
"""Part by which the smoothed visibility follows that of a new picture."""


@dataclass(frozen=True)
class GateSettings:
    """Limits of the gates; docs/when_it_learns.md says where they come from."""

    stamps: float = 0.03
    """largest distance of the two stamps, seconds"""
    shutter: float = 1.0
    """seconds after a shutter event in which the thermal picture settles"""
    night: float = 1.25
    """visibility below which it is night"""
    day: float = 1.6
    """visibility above which it is day again"""
    night_level: float = 115.0
    """median level above which it is never night: auto exposure still reaches what it wants"""
    black: float = 0.7
    """part of the picture below 20 of 255 from which it is night, however little noise there is"""
    white: float = 0.3
    """part of the picture that is white from which it is glare"""
    blob: float = 0.04
    """part of the picture that one white area takes from which it is glare, if it has a halo"""
    halo: float = 205.0
    """mean level around a white area from which that is a halo"""
    blurred: float = 0.36
    """sharpness below which a picture is blurred"""
    drops: float = 0.035
    """part of the picture that drops blur from which it rains on the lens"""
    dry: float = 0.022
    """part below which it no longer does"""
    same_rgb: float = 0.6
    """similarity of RGB pictures above which the view is the last one"""
    same_thermal: float = 0.85
    """the same of thermal pictures, whose fixed pattern is always alike"""

    def __post_init__(self) -> None:
        """Refuse limits that cannot be."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                msg = f'{field.name} is {value}; use a number from 0'
                raise SettingsError(msg)
        if self.night > self.day or self.dry > self.drops:
            msg = f'night {self.night} > day {self.day} or dry {self.dry} > drops {self.drops}'
            raise SettingsError(msg)


class Gates:
    """
    Looks at pairs in the order in which they come; for one thread.

    :param settings: limits.
    """

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings or GateSettings()
        self._lens = LensWatch()
        self.reset()

    def reset(self) -> None:
        """Forget earlier frames: time has jumped, or another camera."""
        self._shutter_ns: int | None = None
        self._last_ns: int | None = None
        self._visible: float | None = None
        self._night = False
        self._wet = False
        self._seen: tuple[View, View] | None = None
        self._known: tuple[View, View] | None = None
        self._counted: View | None = None
        self._lens.reset()
        self.picture: Picture | None = None
        """Measures of the last RGB picture that was looked at, for diagnostics."""

    @property
    def covered(self) -> float:
        """Part of the RGB picture that drops blur, 0 until it is known."""
        return self._lens.covered

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
        :param thermal_stamp_ns: nanoseconds; time that goes backwards forgets earlier frames.
        :param rgb_stamp_ns: nanoseconds.
        :param shutter: state of the thermal picture.
        :returns: one of REASONS; None where there is none.
        """
        settings = self.settings
        if self._last_ns is not None and thermal_stamp_ns < self._last_ns:
            self.reset()
        self._last_ns = thermal_stamp_ns
        if shutter is not ShutterState.OPEN:
            self._shutter_ns = thermal_stamp_ns
        self._seen = None
        if abs(thermal_stamp_ns - rgb_stamp_ns) > settings.stamps * 1e9:
            return 'stamps apart'
        since = None if self._shutter_ns is None else thermal_stamp_ns - self._shutter_ns
        if since is not None and since <= settings.shutter * 1e9:
            return 'shutter'
        small = shrink(rgb)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        picture = measure(rgb, small, grey)
        self.picture = picture
        if self._is_night(picture):
            return 'night'
        if picture.saturated > settings.white or (
            picture.blob > settings.blob and picture.halo > settings.halo
        ):
            return 'glare'
        if picture.sharpness < settings.blurred:
            return 'blurred'
        view = View(grey, max(picture.noise, 0.5))
        if self._is_wet(grey, view):
            return 'rain on the lens'
        thermal = View(thermal_raw, _thermal_noise(thermal_raw))
        self._seen = (view, thermal)
        if self._known is not None:
            colour, warm = (similarity(a, b) for a, b in zip(self._seen, self._known, strict=True))
            # what cannot be compared says nothing; where nothing can be, nothing new is seen
            moved = colour < settings.same_rgb if not math.isnan(colour) else not math.isnan(warm)
            if not moved or warm > settings.same_thermal:
                return 'standing still'
        return None

    def accepted(self) -> None:
        """The pair looked at last is learned from: the next one must show another view."""
        if self._seen is not None:
            self._known = self._seen

    def _is_night(self, picture: Picture) -> bool:
        """Too dark or too noisy to see, with hysteresis."""
        settings = self.settings
        visible = math.log(max(picture.visible, 0.01))
        if self._visible is None:
            self._visible = visible
        self._visible += FOLLOW * (visible - self._visible)
        limit = settings.day if self._night else settings.night
        black = settings.black * (0.85 if self._night else 1.0)
        level = settings.night_level * (1.1 if self._night else 1.0)
        unseen = picture.level < level and math.exp(self._visible) < limit
        self._night = unseen or picture.dark > black
        return self._night

    def _is_wet(self, grey: NDArray[np.uint8], view: View) -> bool:
        """Drops on the lens, with hysteresis; only views that differ are counted."""
        alike = math.nan if self._counted is None else similarity(view, self._counted)
        if self._counted is None or alike < self.settings.same_rgb:
            self._counted = view
            self._lens.update(grey)
        limit = self.settings.dry if self._wet else self.settings.drops
        self._wet = self._lens.covered > limit
        return self._wet


def _thermal_noise(raw: NDArray[Any]) -> float:
    """Standard deviation of pixel noise in counts, from some rows; see core/shutter.py."""
    rows = raw[::16].astype(np.float32)
    if rows.shape[1] < 3:
        return 1.0
    second = np.abs(rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:])
    middle = second.size // 2
    median = float(np.partition(second, middle, axis=None)[middle])
    return max(median / (0.6745 * math.sqrt(6.0)), 0.3)
