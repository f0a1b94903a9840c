# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores pairs of depth and ground truth in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import CalibrationError, MonotherError
from monother_ros.core.range_points import sparse_depth
from monother_ros.core.stats import Counters
from monother_ros.evaluation.depth_images import fit, metres
from monother_ros.evaluation.running import RunningMetrics
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.metrics_inputs import Frame
from monother_ros.ros.cloud import cloud_xyz
from monother_ros.ros.messages import message_to_array

WAITING = 16
"""Pairs that may wait for the worker; newer ones are dropped and counted."""

SLOW = 'not scored: the computer is too slow'


class MetricsWorker:
    """
    Decodes and scores pairs in the order in which they are put.

    :param metrics: what the values go to; read it under :attr:`lock`.
    :param calibration: of the depth image, to project points.
    :param pose: T_thermal_lidar of a cloud's frame in a depth image's frame, or None: not known.
    :param scored: called with the running values after each frame, in the worker's thread.
    """

    def __init__(
        self,
        metrics: RunningMetrics,
        calibration: Calibration,
        pose: Callable[[str, str], NDArray[np.float64] | None],
        scored: Callable[[dict[str, float]], None],
    ) -> None:
        self.metrics = metrics
        self.lock = threading.Lock()
        self.counters = Counters()
        self.problem: str | None = None
        """Why the last pair was not scored, or None."""
        self.seconds = 0.0
        """Time that the last frame took."""
        self._calibration = calibration
        self._pose = pose
        self._scored = scored
        self._queue: queue.Queue[tuple[Frame, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name='metrics', daemon=True)
        self._thread.start()

    def put(self, frame: Frame, truth: Any) -> None:
        """
        Take a pair; returns at once.

        :param frame: depth image, perhaps with confidence.
        :param truth: sensor_msgs/Image in metres (32FC1) or millimetres (16UC1), or PointCloud2.
        """
        if self._queue.qsize() >= WAITING:
            self.counters.add(SLOW)
            return
        self._queue.put((frame, truth))

    def stop(self) -> None:
        """Score what waits and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            begin = time.monotonic()
            try:
                values = self._score(*item)
            except Exception as err:  # no message may end the thread
                reason = str(err) if isinstance(err, MonotherError) else repr(err)
                self.counters.add(f'not scored: {type(err).__name__}')
                self.problem = reason
                continue
            self.seconds = time.monotonic() - begin
            if values is None:
                self.counters.add('not scored: no pixel has both depth and ground truth')
                continue
            self.problem = None
            with self.lock:
                running = self.metrics.running()
            self._scored(running)

    def _score(self, frame: Frame, truth: Any) -> dict[str, float] | None:
        depth = metres(message_to_array(frame.depth))
        sure = None if frame.confidence is None else message_to_array(frame.confidence)
        if hasattr(truth, 'fields'):
            label = self._projected(frame, truth)
        else:
            label = fit(metres(message_to_array(truth)), depth.shape)
        with self.lock:
            return self.metrics.add(depth, label, sure, frame.condition, frame.stamp)

    def _projected(self, frame: Frame, cloud: Any) -> NDArray[np.float32]:
        """Depth image of a cloud."""
        header = frame.depth.header
        pose = self._pose(header.frame_id, cloud.header.frame_id)
        if pose is None:
            msg = (
                f'the pose of {cloud.header.frame_id!r} in {header.frame_id!r} is not known: set '
                'lidar_extrinsics, or publish it on /tf_static'
            )
            raise CalibrationError(msg)
        camera = self._calibration.fit(frame.depth.width, frame.depth.height)
        if camera is None:
            raise CalibrationError(str(self._calibration.problem))
        return sparse_depth(cloud_xyz(cloud), pose, camera)
