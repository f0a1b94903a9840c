# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From pictures to pairs to learn from: what is refused and why, and what is held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from monother_ros.core.errors import TeacherError
from monother_ros.core.shutter import ShutterDetector
from monother_ros.learning.alignment import Alignment, AlignmentMonitor
from monother_ros.learning.gates import Gates
from monother_ros.learning.online_pair import OnlinePair, PairMaker
from monother_ros.learning.teacher_fit import fit_teacher

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.core.camera import Intrinsics
    from monother_ros.learning.adaptation_settings import AdaptationSettings
    from monother_ros.learning.teacher import Teacher

NO_CALIBRATION = 'no calibration'
MISALIGNED = 'misaligned'
TEACHER = 'teacher has no depth'
ENOUGH = 'more than needed'
"""Reasons beside those of the gates; the last is no defect: pairs come faster than asked for."""

Purpose = Literal['train', 'held out', 'border']

FARTHEST = 6e4
"""Metres; float16 ends soon after."""


class Offer(NamedTuple):
    """
    What became of a pair of pictures.

    :ivar reason: why nothing is learned from it; None where it is taken.
    :ivar pair: with the teacher's depth, where it came that far.
    :ivar held_out: taken, but to be judged on only.
    """

    reason: str | None
    pair: OnlinePair | None = None
    held_out: bool = False


class Intake:
    """
    Looks at pairs of pictures in the order in which they come.

    :param bundle: of the student.
    :param teacher: says depth for RGB pictures.
    :param settings: limits.
    :param student_depth: what the student says of a pair in the RGB camera, (h, w) metres; asked
        for teachers that do not know metres.
    """

    def __init__(
        self,
        bundle: Bundle,
        teacher: Teacher,
        settings: AdaptationSettings,
        student_depth: Callable[[OnlinePair], NDArray[np.float32]],
    ) -> None:
        self.alignment: Alignment | None = None
        """How well the two pictures lie on each other; None before the first pair."""
        self.problem = ''
        """What the teacher complained of last."""
        self._bundle = bundle
        self._teacher = teacher
        self.settings = settings
        """Limits; its rate of pairs may be changed."""
        self._student_depth = student_depth
        self._maker: PairMaker | None = None
        self._shutter = ShutterDetector()
        self._gates = Gates(settings.gates)
        self._monitor = AlignmentMonitor(settings.alignment)
        self._last: int | None = None
        self._first_stamp: int | None = None

    def set_rig(
        self, thermal: Intrinsics, rgb: Intrinsics, extrinsics: NDArray[np.floating]
    ) -> bool:
        """
        Calibration of the rig; pairs are taken from then on.

        :param thermal: thermal camera as calibrated.
        :param rgb: RGB camera as calibrated.
        :param extrinsics: (4, 4) X_rgb = T X_thermal, metres, optical frames.
        :returns: whether it differs from the one before.
        :raises AdaptationError: the extrinsics are no rigid transform.
        """
        maker = PairMaker(self._bundle, thermal, rgb, extrinsics)
        if self._maker is not None and maker.rig.key == self._maker.rig.key:
            return False
        self._maker = maker
        self._monitor.reset()
        self.alignment = None
        return True

    def reset(self) -> None:
        """Stamps start anew: a bag loops, or the clock was set."""
        self._last = self._first_stamp = None
        self._shutter.reset()
        self._gates.reset()
        if self._maker is not None:
            self._maker.reset()

    def look(
        self,
        thermal: NDArray[Any],
        thermal_stamp_ns: int,
        rgb: NDArray[np.uint8],
        rgb_stamp_ns: int,
    ) -> Offer:
        """
        A pair with the teacher's depth, or why there is none.

        :param thermal: (H, W) uint8 or uint16 counts.
        :param thermal_stamp_ns: nanoseconds.
        :param rgb: (H, W, 3) uint8, red first.
        :param rgb_stamp_ns: nanoseconds.
        :raises ThermalError: the thermal picture cannot be taken.
        :raises CalibrationError: a picture does not fit its calibration.
        """
        if self._maker is None:
            return Offer(NO_CALIBRATION)
        shutter = self._shutter.update(thermal, thermal_stamp_ns)
        reason = self._gates.look(rgb, thermal, thermal_stamp_ns, rgb_stamp_ns, shutter)
        if reason is not None:
            return Offer(reason)
        # by stamps: pairs that waited for a step come in a burst and are of different moments;
        # a little less than the period: cameras do not keep exact time
        since = None if self._last is None else (thermal_stamp_ns - self._last) * 1e-9
        if since is not None and 0 <= since < 0.9 / self.settings.pair_rate:
            return Offer(ENOUGH)
        pair = self._taught(self._maker(thermal, thermal_stamp_ns, rgb))
        if pair is None:
            return Offer(TEACHER)
        self._last = thermal_stamp_ns
        self._gates.accepted()
        self.alignment = self._monitor.update(pair)
        if self.alignment.slipped:
            return Offer(MISALIGNED, pair)
        purpose = self._purpose(thermal_stamp_ns)
        if purpose == 'border':
            return Offer(ENOUGH, pair)
        return Offer(None, pair, purpose == 'held out')

    def _taught(self, pair: OnlinePair) -> OnlinePair | None:
        """The pair with the teacher's depth in metres, or None where the teacher has none."""
        picture = torch.from_numpy(pair.rgb)[None]
        focal = torch.tensor([float(pair.rig.rgb_intrinsics[0, 0])])
        try:
            said = self._teacher.predict(picture, focal).depth[0, 0].cpu().numpy()
        except TeacherError as err:
            self.problem = str(err)
            return None
        if self._teacher.relative:
            fit = fit_teacher(said, self._teacher.kind, self._student_depth(pair))
            if fit.depth is None:
                self.problem = f'the teacher was not used: {fit.reason}'
                return None
            said = fit.depth
        if not (said > 0).any():
            self.problem = 'the teacher knows the depth of no pixel'
            return None
        return replace(pair, teacher_depth=np.minimum(said, FARTHEST).astype(np.float16))

    def _purpose(self, stamp: int) -> Purpose:
        """
        What a pair of this time is for.

        Whole blocks of time are held out, since neighbours in time show the same view; what lies
        at the border of such a block is for neither.
        """
        settings = self.settings
        if self._first_stamp is None:
            self._first_stamp = stamp
        block, inside = divmod((stamp - self._first_stamp) * 1e-9, settings.block_seconds)
        turn, last = int(block) % settings.held_out_every, settings.held_out_every - 1
        if turn == last:
            return 'held out'
        left = settings.block_seconds - inside
        before = turn == last - 1 and left < settings.gap_seconds
        after = turn == 0 and block > 0 and inside < settings.gap_seconds
        return 'border' if before or after else 'train'
