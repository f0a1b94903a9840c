# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Error of the depth that was published while the node learned, beside that of the model as it came.

Both go through the one pipeline of the robot: the node's output as it was recorded, and the same
thermal frames through the model as it came. Frames that were never played are taken one by one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.frames import PipelineSettings, ThermalFrame
from monother_ros.core.pipeline import Pipeline
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import FAR, NEAR, OPEN_LIMITS
from monother_ros.evaluation.depth_images import fit, metres
from monother_ros.evaluation.metrics import depth_metrics, valid_mask
from monother_ros.evaluation.recording import INPUT_ROLES, Cursor, Recording
from monother_ros.ros.messages import (
    intrinsics_from_camera_info,
    message_to_array,
    rgb_array,
    thermal_array,
)

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.core.camera import Intrinsics
    from monother_ros.evaluation.learning_status import RevisionRun
    from monother_ros.ros.bags import BagMessage

WIDE = PipelineSettings(range_min=0.01, range_max=1000.0)
"""Limits of the depth node in the demo: nothing is called unknown, so that a model cannot win by
calling hard pixels unknown. Truth counts from NEAR to FAR all the same."""

METRICS = ('abs_rel', 'rmse', 'd1')
"""What is told of frames that were never played."""


@dataclass(frozen=True)
class LiveFrame:
    """
    One published depth image.

    :param stamp: ns.
    :param time: s since the first thermal frame.
    :param revision: that made it; '' where that was not recorded.
    :param live: AbsRel of what was published, NEAR to FAR.
    :param before: AbsRel of the same frame through the model as it came; NaN where it has none.
    :param same: largest difference of both depths in metres.
    """

    stamp: int
    time: float
    revision: str
    live: float
    before: float
    same: float


@dataclass(frozen=True)
class UnseenFrame:
    """
    One frame that was never played.

    :param time: s since the first frame of its bag.
    :param before: METRICS of the model as it came; :param after: of the last revision, or empty.
    :param thermal: (H, W) counts; :param rgb: (h, w, 3) or None; these and the rest are kept of
        frames that are shown only.
    :param truth: (H, W) m, NaN where it does not count.
    :param depth_before: (H, W) m; :param depth_after: (H, W) m, or None.
    """

    time: float
    before: dict[str, float]
    after: dict[str, float] = field(default_factory=dict)
    thermal: NDArray[Any] | None = None
    rgb: NDArray[np.uint8] | None = None
    truth: NDArray[np.float32] | None = None
    depth_before: NDArray[np.float32] | None = None
    depth_after: NDArray[np.float32] | None = None


def compare_live(
    recorded: Recording,
    given: Recording,
    base: Bundle,
    runs: Sequence[RevisionRun],
    progress: Callable[[float], None] | None = None,
) -> list[LiveFrame]:
    """
    Error over the drive, as published and as it would have been without learning.

    :param recorded: what the depth node published, with the limits WIDE.
    :param given: the bag that was played, with truth.
    :param base: the model as it came.
    :param runs: which revision made which frames.
    :param progress: called with the share that is done.
    :returns: one entry for each depth image that has a truth, in order.
    """
    starts = [run.first for run in runs]
    total = max(len(given.entries.get('thermal', ())), 1)
    published = Cursor(recorded, ['depth'])
    found: list[LiveFrame] = []
    with load_engine(base, options=EngineOptions(threads=1)) as engine:
        # only what the node has processed: its normalisation remembers the frames before
        pipeline = Pipeline(engine, replace(WIDE, process_shutter_frames=True))
        origin = None
        for k, (stamp, image, camera, group) in enumerate(_frames(given)):
            origin = stamp if origin is None else origin
            message = published.get(stamp).get('depth')
            if message is None:
                continue
            result = pipeline.process(ThermalFrame(image, stamp, '', camera))
            if 'truth' not in group:
                continue
            depth = metres(message_to_array(recorded.decode(message)))
            truth = fit(metres(message_to_array(given.decode(group['truth']))), depth.shape)
            before, same = math.nan, math.nan
            if result.depth is not None and result.depth.shape == depth.shape:
                before = abs_rel(result.depth, truth)
                gap = np.abs(result.depth - depth)
                same = float(np.nanmax(gap)) if np.isfinite(gap).any() else math.nan
            place = bisect_right(starts, stamp) - 1
            revision = runs[place].revision if place >= 0 else ''
            time = (stamp - origin) / 1e9
            found.append(LiveFrame(stamp, time, revision, abs_rel(depth, truth), before, same))
            if progress is not None:
                progress((k + 1) / total)
    return found


def compare_unseen(
    path: Path, before: Bundle, after: Bundle | None, show: int = 3
) -> list[UnseenFrame]:
    """
    Error on frames that were never played, each as the first one that a camera sends.

    :param path: bag with truth.
    :param before: the model as it came.
    :param after: the last revision; None where there is none.
    :param show: number of frames, spread evenly, of which the pictures are kept.
    """
    with Recording(path, INPUT_ROLES) as given:
        count = len(given.entries.get('thermal', ()))
        shown = {int((k + 0.5) * count / show) for k in range(show)} if show else set()
        frames: list[UnseenFrame] = []
        origin = None
        options = EngineOptions(threads=1)
        bundles = [before] if after is None else [before, after]
        engines = [load_engine(bundle, options=options) for bundle in bundles]
        try:
            pipelines = [Pipeline(engine, OPEN_LIMITS) for engine in engines]
            for k, (stamp, image, camera, group) in enumerate(_frames(given)):
                origin = stamp if origin is None else origin
                if 'truth' not in group:
                    continue
                depths = [_alone(p, ThermalFrame(image, stamp, '', camera)) for p in pipelines]
                truth = metres(message_to_array(given.decode(group['truth'])))
                scores = [_scores(depth, truth) for depth in depths]
                pictures: dict[str, Any] = {}
                if k in shown:
                    colour = given.at('rgb', stamp, 50_000_000)
                    pictures = {
                        'thermal': image,
                        'rgb': None if colour is None else rgb_array(colour),
                        'truth': np.where(valid_mask(truth, NEAR, FAR), truth, np.nan),
                        'depth_before': depths[0],
                        'depth_after': depths[1] if after is not None else None,
                    }
                time = (stamp - origin) / 1e9
                after_scores = scores[1] if after is not None else {}
                frames.append(UnseenFrame(time, scores[0], after_scores, **pictures))
        finally:
            for engine in engines:
                engine.close()
    return frames


def abs_rel(depth: NDArray[Any], truth: NDArray[Any]) -> float:
    """AbsRel as the benchmarks tell it: truth from NEAR to FAR, no scale alignment."""
    return depth_metrics(depth, truth, near=NEAR, far=FAR)['abs_rel']


def _scores(depth: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """METRICS of one frame."""
    found = depth_metrics(depth, truth, near=NEAR, far=FAR)
    return {name: found[name] for name in METRICS}


def _alone(pipeline: Pipeline, frame: ThermalFrame) -> NDArray[np.float32]:
    """Depth of a frame that has nothing to do with the one before."""
    pipeline.reset()
    result = pipeline.process(frame)
    assert result.depth is not None  # shutter frames are processed, and depth is wanted
    return result.depth.copy()


def _frames(
    given: Recording,
) -> Iterator[tuple[int, NDArray[Any], Intrinsics | None, dict[str, BagMessage]]]:
    """Stamp, picture and calibration of every thermal frame, with what has the same stamp."""
    camera = None
    for entry, group in given.groups(['thermal', 'thermal_info', 'truth']):
        if 'thermal_info' in group and camera is None:
            camera = intrinsics_from_camera_info(given.decode(group['thermal_info']))
        if 'thermal' in group:
            yield entry.stamp, thermal_array(given.decode(group['thermal'])), camera, group
