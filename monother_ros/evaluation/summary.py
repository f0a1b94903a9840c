# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a recorded run: frames, delays, accuracy and plausibility, per condition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monother_ros.core.errors import BagError, MonotherError
from monother_ros.core.shutter import ShutterDetector, ShutterState
from monother_ros.evaluation.depth_images import fit, metres
from monother_ros.evaluation.metrics import absolute_relative, depth_metrics, valid_mask
from monother_ros.evaluation.recording import (
    Cursor,
    Match,
    Recording,
    Segment,
    match_stamps,
    read_segments,
)
from monother_ros.evaluation.status import NodeStatus, read_status
from monother_ros.ros.messages import message_to_array, thermal_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SAMPLES = 2048
"""Pixels per frame that the sparsification over a whole condition is computed from."""


@dataclass
class FrameFigures:
    """
    Figures of one published depth image.

    :param stamp: input stamp in ns; :param published: stamp of the depth image in ns.
    :param time: s since the first input frame.
    :param segment: index of the condition.
    :param received: receive time in the recorded bag in ns.
    :param finite: share of pixels with a depth.
    :param in_range: share of those within the range limits.
    :param content: spread of log depth, how much there is to see.
    :param change: median |log d - log d of the frame before|, NaN for the first.
    :param confidence: mean, NaN without a confidence image.
    :param metrics: depth metrics over the pixels that have both; empty without truth.
    :param covered: share of the pixels with a truth that have a depth, NaN without truth.
    """

    stamp: int
    published: int
    time: float
    segment: int
    received: int
    finite: float
    in_range: float
    content: float
    change: float = math.nan
    confidence: float = math.nan
    metrics: dict[str, float] = field(default_factory=dict)
    covered: float = math.nan


@dataclass
class Sample:
    """Errors |p - g| / g and confidences of pixels drawn from the frames of one condition."""

    errors: list[NDArray[np.float32]] = field(default_factory=list)
    confidences: list[NDArray[np.float32]] = field(default_factory=list)


@dataclass
class ShutterEvent:
    """
    A run of input frames that are no picture.

    :param start: s since the first input frame; :param frames: how many; :param kinds: states.
    """

    start: float
    end: float
    frames: int
    kinds: list[str]


@dataclass
class Run:
    """Everything that was measured of a run; see report() for its JSON form."""

    segments: list[Segment]
    frames: list[FrameFigures]
    samples: dict[int, Sample]
    status: NodeStatus
    shutter: list[ShutterEvent]
    match: Match
    origin: int
    has_truth: bool
    segment_of: Callable[[int], int]
    notes: list[str]
    delays: list[tuple[float, float]]
    delay_kind: str


def measure(
    recorded: Recording,
    given: Recording,
    limits: tuple[float, float] = (0.5, 80.0),
    progress: Callable[[float], None] | None = None,
) -> Run:
    """
    Go through both bags once and measure every published frame.

    :param recorded: what the depth node published.
    :param given: what it was fed with.
    :param limits: depths in metres that count as in range.
    :param progress: called with the share that is done.
    :returns: the run's figures.
    :raises BagError: there is no depth image, or a bag is damaged.
    """
    if not recorded.has('depth'):
        msg = (
            f'{recorded.path} holds no depth image (topic depth/image_raw); it holds '
            f'{", ".join(recorded.available) or "nothing"}. Was the depth node active, and did '
            'the recorder run while it was?'
        )
        raise BagError(msg)
    if not given.has('thermal'):
        msg = (
            f'{given.path} holds no thermal image (topic thermal/image_raw); it holds '
            f'{", ".join(given.available) or "nothing"}. '
            'Name it with --remap /its/topic:=/thermal/image_raw'
        )
        raise BagError(msg)
    thermal = given.entries['thermal']
    origin = thermal[0].stamp
    segments = read_segments(given)
    segment_of = _segment_finder(given, segments)
    match = match_stamps([e.stamp for e in recorded.entries['depth']], [e.stamp for e in thermal])
    run = Run(
        segments=segments,
        frames=[],
        samples={},
        status=read_status((e.log, m) for e, m in recorded.messages('diagnostics')),
        shutter=[],
        match=match,
        origin=origin,
        has_truth=given.has('truth'),
        segment_of=segment_of,
        notes=[],
        delays=[],
        delay_kind='',
    )
    _measure_frames(run, recorded, given, limits, progress)
    run.frames.sort(key=lambda f: f.received)
    run.shutter = find_shutter(given, origin, run.notes)
    run.delays, run.delay_kind = _delays(recorded, origin, match)
    return run


def _segment_finder(given: Recording, segments: Sequence[Segment]) -> Callable[[int], int]:
    """Function from an input stamp to the index of its condition."""
    logs = {e.stamp: e.log for e in given.entries['thermal']}
    starts = np.array([s.start for s in segments], np.int64)

    def find(stamp: int) -> int:
        place = int(np.searchsorted(starts, logs.get(stamp, stamp), side='right')) - 1
        return max(place, 0)

    return find


def _measure_frames(
    run: Run,
    recorded: Recording,
    given: Recording,
    limits: tuple[float, float],
    progress: Callable[[float], None] | None,
) -> None:
    """Fill run.frames and run.samples in one pass over both bags."""
    rng = np.random.default_rng(0)
    cursor = Cursor(given, ['truth'])
    received = {(e.stamp, e.repeat): e.log for e in recorded.entries['depth']}
    total = len(received)
    before: NDArray[np.float32] | None = None
    unreadable = 0
    for entry, group in recorded.groups(['depth', 'confidence']):
        if 'depth' not in group:
            continue
        try:
            depth = metres(message_to_array(recorded.decode(group['depth'])))
            confidence = (
                message_to_array(recorded.decode(group['confidence']))
                if 'confidence' in group
                else None
            )
        except MonotherError:
            unreadable += 1
            continue
        stamp = run.match.pairs.get(entry.stamp, entry.stamp - run.match.offset)
        frame = _plausibility(depth, limits)
        frame.stamp, frame.published = stamp, entry.stamp
        frame.time = (stamp - run.origin) / 1e9
        frame.segment = run.segment_of(stamp)
        frame.received = received[entry.stamp, entry.repeat]
        log_depth = np.log(np.where(depth > 0, depth, np.nan))
        if before is not None and before.shape == depth.shape:
            change = np.abs(log_depth - before)
            if np.isfinite(change).any():
                frame.change = float(np.nanmedian(change))
        before = log_depth
        if confidence is not None:
            finite = confidence[np.isfinite(confidence)]
            frame.confidence = float(finite.mean()) if finite.size else math.nan
        raw = cursor.get(stamp).get('truth') if run.has_truth and run.match.certain else None
        if raw is not None:
            truth = fit(metres(message_to_array(given.decode(raw))), depth.shape)
            _compare(frame, depth, truth)
            if confidence is not None and confidence.shape == depth.shape:
                _draw(run, frame.segment, depth, truth, confidence, rng)
        run.frames.append(frame)
        if progress is not None:
            progress(len(run.frames) / total)
    if unreadable:
        run.notes.append(f'{unreadable} depth or confidence images could not be read.')
    if not run.frames:
        msg = f'no depth image of {recorded.path} could be read; is it 32FC1?'
        raise BagError(msg)


def _compare(frame: FrameFigures, depth: NDArray[np.float32], truth: NDArray[np.float32]) -> None:
    """Fill what needs the truth; pixels that the node calls unknown count in covered only."""
    known = ~np.isnan(depth)
    valid = valid_mask(truth)
    if valid.any():
        frame.covered = float(known[valid].mean())
    metrics = depth_metrics(depth, truth, mask=known)
    if not math.isnan(metrics['abs_rel']):
        frame.metrics = metrics


def _plausibility(depth: NDArray[np.float32], limits: tuple[float, float]) -> FrameFigures:
    """Figures of a depth image that need no truth."""
    finite = np.isfinite(depth) & (depth > 0)
    values = depth[finite]
    inside = (values >= limits[0]) & (values <= limits[1])
    return FrameFigures(
        0, 0, 0.0, 0, 0,
        float(finite.mean()) if finite.size else 0.0,
        float(inside.mean()) if values.size else 0.0,
        float(np.log(values).std()) if values.size else 0.0,
    )  # fmt: skip


def _draw(
    run: Run,
    segment: int,
    depth: NDArray[np.float32],
    truth: NDArray[np.float32],
    confidence: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Add pixels of one frame to the condition's sample."""
    index = rng.integers(0, depth.size, SAMPLES)
    p, g, c = depth.ravel()[index], truth.ravel()[index], confidence.ravel()[index]
    good = valid_mask(g) & ~np.isnan(p) & np.isfinite(c)
    sample = run.samples.setdefault(segment, Sample())
    sample.errors.append(absolute_relative(p[good], g[good]).astype(np.float32))
    sample.confidences.append(c[good].astype(np.float32))


def find_shutter(given: Recording, origin: int, notes: list[str]) -> list[ShutterEvent]:
    """
    Shutter events in the input, found by the detector that the node uses.

    :param given: input bag.
    :param origin: stamp of time zero in ns.
    :param notes: gets a line where images could not be read.
    :returns: runs of frames that are no picture.
    """
    detector = ShutterDetector()
    events: list[ShutterEvent] = []
    running = False
    try:
        for entry, message in given.messages('thermal'):
            state = detector.update(thermal_array(message), entry.stamp)
            time = (entry.stamp - origin) / 1e9
            if state == ShutterState.OPEN:
                running = False
                continue
            if not running:
                events.append(ShutterEvent(time, time, 0, []))
            running = True
            event = events[-1]
            event.end, event.frames = time, event.frames + 1
            if state.value not in event.kinds:
                event.kinds.append(state.value)
    except MonotherError as err:
        notes.append(f'Shutter events could not be looked for: {err}')
    return events


def _delays(
    recorded: Recording, origin: int, match: Match
) -> tuple[list[tuple[float, float]], str]:
    """
    Delay of every depth image in ms over the time of the drive in s.

    Where the stamps are of the recorder's clock the delay is receive time - stamp; otherwise only
    its growth over the smallest one is known.
    """
    entries = recorded.entries['depth']
    lag = np.array([e.log - e.stamp for e in entries], np.float64) / 1e6
    times = [(match.pairs.get(e.stamp, e.stamp - match.offset) - origin) / 1e9 for e in entries]
    if 0 <= np.median(lag) < 10_000:
        kind = 'stamp'
    else:
        kind = 'relative'
        lag = lag - lag.min()
    return list(zip(times, lag.tolist(), strict=True)), kind
