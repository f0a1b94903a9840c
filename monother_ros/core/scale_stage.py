# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the pipeline that makes depth metric: points, estimates and the arbiter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import CalibrationError
from monother_ros.core.range_clutter import ClutterFilter
from monother_ros.core.range_points import RangePoints, gather_sparse, sparse_depth
from monother_ros.core.scale_arbiter import FusedScale, ScaleArbiter, ScaleSettings
from monother_ros.core.scale_fit import fit_beam, fit_range
from monother_ros.core.scale_sources import (
    ScaleEstimate,
    focal_source,
    language_source,
    model_scale,
    silent,
)

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.core.camera import Intrinsics
    from monother_ros.core.frames import ThermalFrame

NARROW = 0.03
"""Half the opening angle in radians up to which a beam's range is that of one small point."""


class ScaleStage:
    """
    Scale of each frame of one camera.

    :param settings: of the arbiter.
    :ivar counted: points in view that :meth:`sparse` projected for the last frame, and how many of
        them were echoes of the air; zeros where there was nothing new to project.
    """

    def __init__(self, settings: ScaleSettings) -> None:
        """See the class."""
        self.arbiter = ScaleArbiter(settings)
        self._sparse: NDArray[np.float32] | None = None
        self._fitted: int | None = None
        self._revision = ''
        self._points_error: str | None = None
        self._projected: tuple[RangePoints, Intrinsics, bool] | None = None
        self._clutter = ClutterFilter()
        self.counted = (0, 0)

    def reset(self) -> None:
        """Forget earlier frames."""
        self.arbiter.reset()
        self._fitted = None

    def sparse(
        self,
        frame: ThermalFrame,
        camera: Intrinsics | None,
        size: tuple[int, int],
        *,
        network: bool = True,
        clutter: bool = True,
    ) -> NDArray[np.float32] | None:
        """
        Sparse depth of a frame at the size of the network, where anyone takes it.

        :param frame: with points or sparse depth, or neither.
        :param camera: of the network's input, of that size; None where not known.
        :param size: (width, height) of the network's input in pixels.
        :param network: whether the network takes sparse depth; else the source 'range' alone does,
            and nothing is projected while that is disabled.
        :param clutter: whether echoes of fog, rain and dust among the points are left out.
        :returns: (h, w) float32 metres, 0 where there is none; memory of the stage, overwritten
            by the next frame. None where the frame has no points, they cannot be used, or nobody
            takes them.
        """
        self._points_error, self.counted = None, (0, 0)
        if not network and 'range' not in self.arbiter.settings.ranked:
            return None
        if frame.sparse is not None:
            self._projected = None
            self._sparse = gather_sparse(frame.sparse, size, self._sparse)
            return self._sparse
        points = frame.points
        if points is None:
            return None
        if camera is None:
            self._points_error = 'points need the calibration of the thermal camera'
            return None
        if points.beam > NARROW:
            return None
        known = self._projected
        if known is not None and known[1:] == (camera, clutter) and points.same(known[0]):
            return self._sparse  # a camera is faster than a LiDAR
        self._projected = None
        try:
            self._sparse = sparse_depth(
                points.points,
                points.extrinsics,
                camera,
                size,
                clutter=self._clutter if clutter else None,
                out=self._sparse,
            )
        except CalibrationError as err:
            self._points_error = str(err)
            return None
        if clutter:
            self.counted = (self._clutter.points, self._clutter.removed)
        self._projected = (points, camera, clutter)
        return self._sparse

    def update(
        self,
        frame: ThermalFrame,
        bundle: Bundle,
        image_camera: Intrinsics | None,
        network_camera: Intrinsics | None,
        depth: NDArray[np.floating],
        sparse: NDArray[np.float32] | None,
    ) -> FusedScale:
        """
        Scale of a frame from everything that is known.

        :param frame: its points and the estimates of other sources.
        :param bundle: of the network that made the depth.
        :param image_camera: camera of the thermal image, or None.
        :param network_camera: the same at the size of the network.
        :param depth: (h, w) the network's own depth.
        :param sparse: what :meth:`sparse` gave for this frame.
        """
        width = bundle.input_size[0]
        base = model_scale(bundle.focal_length, image_camera, width, frame.stamp_ns)
        if bundle.revision != self._revision:
            # what was fitted belongs to the depth of another network
            self.arbiter.forget_sensors()
            self._revision = bundle.revision
        ranging = 'range' in self.arbiter.settings.ranked
        if self._points_error is not None:
            self.arbiter.tell(silent('range', self._points_error, frame.stamp_ns))
        elif ranging and self._is_new(frame):
            self.arbiter.tell(self._fit(frame, depth, sparse, network_camera))
        for given in frame.scales:
            if given.source == 'focal':
                calibrated = image_camera is not None
                self.arbiter.tell(
                    focal_source(given, bundle.focal_length, width, calibrated=calibrated)
                )
            elif given.source == 'language':
                self.arbiter.tell(language_source(given))
            elif not given.speaks:
                self.arbiter.tell(given)
        return self.arbiter.fuse(base, usual_depth(depth), frame.stamp_ns)

    def _is_new(self, frame: ThermalFrame) -> bool:
        """Whether a frame has points that were not fitted with an earlier one."""
        if frame.points is None and frame.sparse is None:
            return False
        stamp = frame.stamp_ns
        if frame.points is not None and frame.points.stamp_ns:
            stamp = frame.points.stamp_ns
        if stamp == self._fitted:
            return False
        self._fitted = stamp
        return True

    def _fit(
        self,
        frame: ThermalFrame,
        depth: NDArray[np.floating],
        sparse: NDArray[np.float32] | None,
        camera: Intrinsics | None,
    ) -> ScaleEstimate:
        """Estimate of the source 'range' from the points of a frame."""
        points, stamp = frame.points, frame.stamp_ns
        if points is not None and points.beam > 0:
            if camera is None:  # sparse() has told why
                return silent('range', 'the thermal camera is not calibrated', stamp)
            found: NDArray[Any] = np.asarray(points.points).reshape(-1, 3)
            if not len(found):
                return silent('range', 'the beam has no finite range', stamp)
            return fit_beam(depth, found[0], points.extrinsics, points.beam, camera, stamp)
        if sparse is None:
            return silent('range', 'no point is within view', stamp)
        return fit_range(depth, sparse, stamp)


def usual_depth(depth: NDArray[np.floating]) -> float:
    """
    Median of a depth image, of every fourth row and column; 1 where nothing is known.

    :param depth: (h, w) metres.
    """
    few = depth[::4, ::4]
    known = few[np.isfinite(few) & (few > 0)]
    return float(np.median(known)) if len(known) else 1.0
