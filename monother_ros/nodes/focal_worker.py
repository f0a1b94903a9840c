# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The field of view of an uncalibrated thermal camera from the RGB camera, in a thread."""

from __future__ import annotations

import math
import statistics
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError, MonotherError, TeacherError
from monother_ros.core.latest import LatestSlot
from monother_ros.core.rigid import inverse
from monother_ros.learning.focal import (
    FIELD_SIGMA,
    FocalMatch,
    estimated_camera,
    field_of_focal,
)
from monother_ros.learning.teacher import Teacher, TeacherOptions, load_teacher
from monother_ros.ros.diagnostics import ERROR, OK, WARN, Health

PATIENCE = 4
"""So many times the wanted pairs may fail to agree before the search begins anew."""


class FocalPair(NamedTuple):
    """What the field of view is estimated from."""

    thermal: NDArray[Any]
    """(h, w) counts"""
    rgb: NDArray[np.uint8]
    """(H, W, 3)"""
    rgb_camera: Intrinsics | None
    """of the RGB picture, where it is calibrated"""
    rgb_from_thermal: NDArray[np.float64]
    """(4, 4) metres"""
    stamp_ns: int


class FocalFound(NamedTuple):
    """Focal length of the thermal camera, estimated."""

    focal: float
    """pixels of the thermal picture"""
    sigma: float
    """standard deviation of its logarithm"""
    size: tuple[int, int]
    """(width, height) of the thermal picture"""
    stamp_ns: int
    """of the last pair"""

    @property
    def camera(self) -> Intrinsics:
        """Pinhole camera with the principal point in the middle."""
        return estimated_camera(self.focal, *self.size)


class FocalWorker:
    """
    Looks at pairs until the focal length is known.

    The teacher is loaded with the first pair: a robot whose cameras are calibrated never needs it.

    :param spec: of the teacher, see :func:`monother_ros.learning.teacher.load_teacher`.
    :param options: of the teacher.
    :param pairs: pairs to estimate from.
    :param found: called once with the result, from the worker's thread.
    """

    def __init__(
        self,
        spec: str,
        options: TeacherOptions,
        pairs: int,
        found: Callable[[FocalFound], None],
    ) -> None:
        self._spec, self._options, self._wanted = spec, options, pairs
        self._found = found
        self._teacher: Teacher | None = None
        self._match: FocalMatch | None = None
        self._focals: list[float] = []
        self._estimated = False
        self._problem: str | None = None
        self._refused = False
        self.result: FocalFound | None = None
        self._slot: LatestSlot[FocalPair] = LatestSlot()
        self._thread = threading.Thread(target=self._run, name='focal', daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether no further pair is needed: the focal length is known, or never will be."""
        return self.result is not None or self._refused

    def put(self, pair: FocalPair) -> None:
        """Take a pair; returns at once, a pair that waits is replaced."""
        if not self.done:
            self._slot.put(pair)

    def reset(self) -> None:
        """Forget pairs that wait, as after a jump of time."""
        self._slot.clear()

    def stop(self) -> None:
        """End the thread, after the pair at hand."""
        self._slot.close()
        self._thread.join()

    def health(self) -> Health:
        """How far the search is."""
        values = {'teacher': self._spec, 'pairs': f'{len(self._focals)} of {self._wanted}'}
        found = self.result
        if found is not None:
            field = field_of_focal(found.focal, found.size[0])
            values |= {'focal length [px]': f'{found.focal:.1f}', 'sigma': f'{found.sigma:.2f}'}
            message = f'thermal field of view estimated as {field:.0f}°: a guess, no calibration'
            return Health(WARN, message, values)
        if self._problem is not None:
            return Health(ERROR if self._refused else WARN, self._problem, values)
        return Health(OK, 'waiting for pairs of images', values)

    def _run(self) -> None:
        while (pair := self._slot.take()) is not None:
            if self.done:
                continue
            try:
                self._look(pair)
            except TeacherError as err:
                self._problem, self._refused = f'no field of view: {err}', True
            except MonotherError as err:
                self._problem = str(err)
            except Exception as err:  # no picture may end the thread
                self._problem = f'a pair cannot be used: {err!r}'

    def _look(self, pair: FocalPair) -> None:
        """Add one pair, and say the result where there are enough."""
        if self._teacher is None:
            self._teacher = load_teacher(self._spec, self._options)
        if self._teacher.relative:
            msg = f'the teacher {self._teacher.name} gives no metric depth; take Depth Pro'
            raise TeacherError(msg)
        taught = self._teacher.depth(pair.rgb, pair.rgb_camera)
        rows, columns = pair.rgb.shape[:2]
        if pair.rgb_camera is None:
            if taught.focal_length is None:
                msg = (
                    f'the teacher {self._teacher.name} estimates no field of view; take Depth '
                    'Pro, or publish a camera_info with K for the RGB camera'
                )
                raise TeacherError(msg)
            focal = taught.focal_length
            self._estimated = True
        else:
            focal = pair.rgb_camera.fx
        size = (pair.thermal.shape[1], pair.thermal.shape[0])
        if self._match is None or self._match.size != size:
            self._match, self._focals = FocalMatch(size), []
        # one focal length for all pairs, so that their matches can be added: depth goes with it
        first = self._focals[0] if self._focals else focal
        camera = pair.rgb_camera or estimated_camera(first, columns, rows)
        self._match.add(
            camera,
            inverse(pair.rgb_from_thermal),
            taught.depth * np.float32(camera.fx / focal),
            pair.rgb,
            pair.thermal,
        )
        self._focals.append(focal)
        self._problem = None
        if len(self._focals) < self._wanted:
            return
        try:
            carried = self._match.result()
        except CalibrationError:
            if len(self._focals) >= PATIENCE * self._wanted:
                self._match = None
                self._focals = []
            raise
        # what was estimated is the median over the pairs, not what the first one said
        factor = statistics.median(self._focals) / first if self._estimated else 1.0
        sigma = math.hypot(carried.sigma, FIELD_SIGMA if self._estimated else 0.0)
        self.result = FocalFound(carried.focal * factor, sigma, size, pair.stamp_ns)
        self._found(self.result)
