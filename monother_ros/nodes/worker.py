# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that turns the newest thermal image into what is subscribed to."""

from __future__ import annotations

import functools
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import EngineError, MessageError, MonotherError, ThermalError
from monother_ros.core.latest import LatestSlot
from monother_ros.core.pipeline import Pipeline, ThermalFrame, Wanted
from monother_ros.core.range_points import RangePoints
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.outputs import Outputs
from monother_ros.nodes.range_input import RangeInput
from monother_ros.nodes.rgb import RgbInput
from monother_ros.nodes.scale_topics import ScaleTopics
from monother_ros.nodes.statistics import FrameStatistics
from monother_ros.nodes.swap import RevisionSwap
from monother_ros.ros.diagnostics import Throttle
from monother_ros.ros.messages import stamp_ns, thermal_array

LOG_PERIOD = 5.0
"""Seconds between two logs of the same reason."""

GAP = 2.0
"""Seconds without an image after which what the pipeline remembers is forgotten."""

LATE = (0.5, 3)
"""Seconds by which an image may be older than the one before it, and how many such in a row, that
have come in the wrong order. What is older, or goes on, is time that has jumped back."""

LATE_REASON = 'late: a newer image came before it'
"""Reason by which an image in the wrong order is counted."""

_CAUSES = ('truncated', 'step', 'empty', 'damaged', 'thermal picture', 'encoding')


@dataclass(frozen=True)
class Arrival:
    """
    A received thermal image.

    :param message: sensor_msgs/Image or CompressedImage.
    :param received: time.monotonic() of its arrival.
    """

    message: Any
    received: float


class FrameWorker:
    """
    Takes the newest image, runs the pipeline for what is subscribed to, and publishes.

    Nothing that an image does can end the thread: errors are counted by reason, logged now and
    then, and reported in diagnostics.

    :param node: for clock and logger.
    :param swap: brings new model revisions between two frames; None where there are none.
    """

    def __init__(
        self,
        node: Any,
        pipeline: Pipeline,
        outputs: Outputs,
        calibration: Calibration,
        rgb: RgbInput,
        ranges: RangeInput,
        scale: ScaleTopics,
        statistics: FrameStatistics,
        swap: RevisionSwap | None = None,
    ) -> None:
        self._node = node
        self._pipeline = pipeline
        self._outputs = outputs
        self._calibration = calibration
        self._rgb = rgb
        self._ranges = ranges
        self._scale = scale
        self._statistics = statistics
        self._swap = swap
        self._slot: LatestSlot[Arrival] = LatestSlot()
        self._stop = threading.Event()
        self._reset = threading.Event()
        self._throttle = Throttle(LOG_PERIOD)
        self._last_stamp: int | None = None
        self._last_received: float | None = None
        self._late = 0
        self._thread = threading.Thread(target=self._run, name='depth', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, arrival: Arrival) -> bool:
        """
        Hand over an image.

        :returns: whether an older one that was still waiting is dropped for it.
        """
        return self._slot.put(arrival) is not None

    def request_reset(self) -> None:
        """Forget before the next image what was remembered of earlier ones."""
        self._reset.set()

    def stop(self) -> None:
        """End the thread after the image that it works on."""
        self._stop.set()
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            arrival = self._slot.take(timeout=0.5)
            if arrival is None:
                continue
            try:
                self.process(arrival)
            except MonotherError as err:
                self._failed(_reason(err), str(err))
            except Exception as err:
                if self._stop.is_set():
                    return
                text = ''.join(traceback.format_exception(type(err), err, err.__traceback__))
                self._failed('internal error', f'{type(err).__name__}: {err}', text)

    def _failed(self, reason: str, sentence: str, details: str | None = None) -> None:
        self._statistics.count(reason)
        self._statistics.failure = sentence
        if self._throttle(reason):
            self._node.get_logger().error(f'no depth ({reason}): {details or sentence}')

    def process(self, arrival: Arrival) -> None:
        """
        Turn one image into what is subscribed to now, and publish it.

        :raises MonotherError: the image cannot be used, or the engine failed.
        """
        started = time.monotonic()
        msg, statistics = arrival.message, self._statistics
        stamp = stamp_ns(msg)
        if self._out_of_order(stamp):
            statistics.count(LATE_REASON)
            return
        self._follow_time(stamp, arrival.received)
        statistics.frame_id = msg.header.frame_id
        wanted = self._outputs.wanted()
        if not wanted.anything and self._scale.wanted():
            wanted = Wanted(depth=True, confidence=False)
        statistics.idle = not wanted.anything and not self._outputs.info_wanted()
        if statistics.idle:
            statistics.failure = None
            statistics.revisions.paused()
            return
        image = thermal_array(msg, self._calibration.height)
        height, width = image.shape
        statistics.image = f'{width}x{height} {getattr(msg, "encoding", None) or msg.format}'
        intrinsics = self._calibration.fit(width, height)
        decoded = time.monotonic()
        if not wanted.anything:
            self._outputs.publish_info(self._output_camera(intrinsics), msg.header)
            return
        if self._swap is not None:
            self._swap.before_frame()
        # asked for when the cloud is built: an RGB image has until then to arrive
        rgb = functools.partial(self._rgb.match, msg)
        frame = self._frame(msg, image, stamp, intrinsics)
        result = self._pipeline.process(
            frame, wanted, rgb, allocate=self._outputs.buffers.allocate
        )
        self._ranges.count(result.points, result.echoes)
        statistics.shutter = result.shutter.value
        statistics.failure, statistics.skipped = None, result.skipped
        if result.skipped is not None:
            statistics.count(result.skipped)
            statistics.revisions.paused()
            return
        computed = time.monotonic()
        self._outputs.publish(result, msg.header)
        self._scale.publish(result.metric, msg.header)
        published = time.monotonic()
        now = self._node.get_clock().now().nanoseconds
        near_swap = self._swap is not None and self._swap.after_frame(result)
        statistics.revisions.published(result.revision, stamp, published, near_swap)
        statistics.processed_frame(
            {
                'wait': started - arrival.received,
                'decode': decoded - started,
                **result.timings,
                'publish': published - computed,
                'receive to publish': published - arrival.received,
                'stamp to publish': (now - stamp) * 1e-9,
            }
        )

    def _frame(
        self, msg: Any, image: Any, stamp: int, intrinsics: Intrinsics | None
    ) -> ThermalFrame:
        """The image with what is known about its scale."""
        found = self._ranges.match(stamp, msg.header.frame_id)
        points, scales = None, self._scale.estimates()
        if isinstance(found, RangePoints):
            points = found
        elif found is not None:
            scales = (*scales, found)
        return ThermalFrame(
            image, stamp, msg.header.frame_id, intrinsics, points=points, scales=scales
        )

    def _output_camera(self, intrinsics: Intrinsics | None) -> Intrinsics | None:
        """Camera of the outputs where only that is asked for."""
        if intrinsics is None or self._pipeline.settings.output_size == 'image':
            return intrinsics
        return intrinsics.scaled(*self._pipeline.engine.bundle.input_size)

    def _out_of_order(self, stamp: int) -> bool:
        """Whether an image is a little older than the one before: its depth would be no news."""
        before = 0 if self._last_stamp is None else self._last_stamp - stamp
        self._late = self._late + 1 if 0 < before <= LATE[0] * 1e9 else 0
        return 0 < self._late <= LATE[1]

    def _follow_time(self, stamp: int, received: float) -> None:
        """Start afresh after a jump backwards (a bag that loops) or a long silence."""
        backwards = self._last_stamp is not None and stamp < self._last_stamp
        gap = self._last_received is not None and received - self._last_received > GAP
        jumped = backwards or self._reset.is_set()
        if jumped or gap:
            self._reset.clear()
            self._pipeline.reset(keep_scale=not jumped)
            self._statistics.revisions.paused()
            self._statistics.clear_latency()
            self._statistics.resets += 1
            if backwards:
                self._rgb.reset()
                self._ranges.reset()
                self._node.get_logger().info('stamps went back: starting afresh')
        self._last_stamp, self._last_received = stamp, received


def _reason(err: MonotherError) -> str:
    """Short name of an error to count by."""
    if isinstance(err, EngineError):
        return 'engine failed'
    if isinstance(err, (MessageError, ThermalError)):
        cause = next((word for word in _CAUSES if word in str(err)), 'content')
        return f'unusable image ({cause})'
    return 'unusable input'
