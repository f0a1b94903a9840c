# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into the pipeline and what comes out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SettingsError, ThermalError
from monother_ros.core.range_points import RangePoints
from monother_ros.core.scale_arbiter import FusedScale, ScaleSettings
from monother_ros.core.scale_sources import ScaleEstimate
from monother_ros.core.shutter import ShutterState

OUTPUT_SIZES = ('image', 'network')


@dataclass(frozen=True)
class ThermalFrame:
    """
    One thermal picture.

    :param image: (H, W) uint8 or uint16 raw counts.
    :param stamp_ns: its time in nanoseconds.
    :param frame_id: optical frame of the camera.
    :param intrinsics: of the camera; of another size with the same aspect, they are scaled. None
        where not known: there is depth then, but no cloud and no correction of the focal length.
    :param points: of a range sensor at about the same time; they give the metric scale, and go
        into a network that takes sparse depth. They need `intrinsics`.
    :param sparse: (h, w) metres along the optical axis, 0 or NaN where there is none: the same as
        `points` and instead of them, already projected; of the network's size, or of another
        one with the same field of view.
    :param scales: what other sources say about the scale (language, focal).
    """

    image: NDArray[Any]
    stamp_ns: int
    frame_id: str = ''
    intrinsics: Intrinsics | None = None
    points: RangePoints | None = None
    sparse: NDArray[Any] | None = None
    scales: tuple[ScaleEstimate, ...] = ()


@dataclass(frozen=True)
class RgbFrame:
    """
    One colour picture that goes with a thermal one.

    :param image: (h, w, 3) uint8 RGB.
    :param stamp_ns: its time in nanoseconds.
    :param frame_id: optical frame of the camera.
    :param intrinsics: of the camera; None where not known: the cloud has no colour then.
    :param extrinsics: (4, 4) T_rgb_thermal; None where not known.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    frame_id: str = ''
    intrinsics: Intrinsics | None = None
    extrinsics: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Wanted:
    """Outputs to compute; what is not wanted costs nothing."""

    depth: bool = True
    confidence: bool = True
    cloud: bool = False
    color: bool = False

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return self.depth or self.confidence or self.cloud or self.color


@dataclass(frozen=True)
class PipelineSettings:
    """
    What can change between two frames.

    :param range_min: nearest depth in metres that is told; nearer is unknown. Also the reddest
        colour of the picture for people. > 0.
    :param range_max: farthest depth in metres that is told; also the bluest colour.
    :param confidence_min: least confidence, 0..1; depth below it is unknown.
    :param process_shutter_frames: compute depth of frozen, flat and jumping frames, too. A
        jumping frame carries a picture, but its level may still be settling.
    :param output_size: 'image' (depth at the size of the thermal image) or 'network'.
    :param scale: which sources of metric scale count, and how fast it may change.
    :param clutter_filter: leave out points that are echoes of fog, smoke, rain, snow or dust.
    :raises SettingsError: a value is not allowed.
    """

    range_min: float = 0.5
    range_max: float = 80.0
    confidence_min: float = 0.0
    process_shutter_frames: bool = False
    output_size: str = 'image'
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    clutter_filter: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not (0 < self.range_min < self.range_max and math.isfinite(self.range_max)):
            msg = (
                f'range_min {self.range_min} and range_max {self.range_max} must be '
                '0 < range_min < range_max, in metres'
            )
            raise SettingsError(msg)
        if not 0 <= self.confidence_min <= 1:
            msg = f'confidence_min {self.confidence_min} must be within 0..1'
            raise SettingsError(msg)
        if self.output_size not in OUTPUT_SIZES:
            msg = f'output_size {self.output_size!r} must be one of {", ".join(OUTPUT_SIZES)}'
            raise SettingsError(msg)


@dataclass
class FrameResult:
    """
    What the pipeline made of one frame.

    :ivar depth: (H, W) float32 metres, Z along the optical axis, NaN where unknown.
    :ivar confidence: (H, W) float32 in [0, 1]; None also where the network says none.
    :ivar cloud: (H, W, 5 or 6) float32, see CloudBuilder; None also without intrinsics.
    :ivar color: (H, W, 3) uint8 BGR picture of depth.
    :ivar shutter: state of the frame.
    :ivar skipped: why nothing was computed, or None.
    :ivar timings: seconds of each stage that ran: shutter, normalise, points, engine, scale,
        resize, limits, cloud, color.
    :ivar intrinsics: camera of the outputs, None where not known.
    :ivar revision: model revision that made the depth; one and the same for all of the frame.
    :ivar engine_error: why the engine on trial did not make this frame and was left for the one
        before it, or None.
    :ivar scale: factor that was applied to the network's depth, focal length and all sources of
        scale included; published depth D is 1 / (1 / (scale · d) + scale_shift).
    :ivar scale_shift: 1/m, see there; 0 except where points have told one.
    :ivar metric: the same with its uncertainty, its sources and why others are silent; None
        where no depth was asked for.
    :ivar points: points of the range sensor in view that were looked through for echoes of the air
        with this frame; 0 where there were none, or all with an earlier frame.
    :ivar echoes: how many of them were left out as such echoes.
    :ivar calibration_error: why the intrinsics of the frame were not used, or None.
    """

    depth: NDArray[np.float32] | None = None
    confidence: NDArray[np.float32] | None = None
    cloud: NDArray[np.float32] | None = None
    color: NDArray[np.uint8] | None = None
    shutter: ShutterState = ShutterState.OPEN
    skipped: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    intrinsics: Intrinsics | None = None
    revision: str = ''
    engine_error: str | None = None
    scale: float = 1.0
    scale_shift: float = 0.0
    metric: FusedScale | None = None
    points: int = 0
    echoes: int = 0
    calibration_error: str | None = None


@dataclass(frozen=True, eq=False)
class PreparedFrame:
    """
    A thermal picture that is ready for the engine, see :meth:`.Pipeline.prepare`.

    :param frame: the picture.
    :param result: what is known so far: shutter, why it is skipped, timings.
    :param tensor: (1, C, h, w) float32, the first input of the network; None where it is skipped.
    :param error: why the picture cannot be taken.
    :param forget_scale: what is known about the scale belongs to another place.
    """

    frame: ThermalFrame
    result: FrameResult
    tensor: NDArray[np.float32] | None = None
    error: ThermalError | None = None
    forget_scale: bool = False
