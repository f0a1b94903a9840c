# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range sensors beside the thermal camera: the points that belong to a thermal image."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import LaserScan, PointCloud2, Range

from monother_ros.core.errors import MonotherError
from monother_ros.core.range_points import RangePoints
from monother_ros.core.scale_sources import ScaleEstimate, silent
from monother_ros.core.stats import Counters
from monother_ros.nodes.inputs import WatchedSubscription
from monother_ros.nodes.static_poses import StaticPoses
from monother_ros.ros.cloud import cloud_xyz
from monother_ros.ros.diagnostics import WARN, Health, Throttle, assess_input
from monother_ros.ros.messages import stamp_ns
from monother_ros.ros.parameters import DepthNodeParameters
from monother_ros.ros.ranges import range_points, scan_points

LOG_PERIOD = 30.0
"""Seconds between two logs of the same reason for a frame without points."""

KEPT = 8
"""Messages of each topic that are kept to find the nearest in time."""

INPUTS: dict[str, tuple[Any, Callable[[Any], RangePoints]]] = {
    'lidar/points': (PointCloud2, lambda msg: RangePoints(cloud_xyz(msg))),
    'lidar/scan': (LaserScan, scan_points),
    'lidar/range': (Range, range_points),
}
"""Relative topic → message type and what reads it; the first that has something is used."""


class RangeInput:
    """
    Finds the points that belong to a thermal image; never waits for them.

    The executor's thread feeds it, the worker's asks it.

    :param node: rclpy node that owns the subscriptions.
    :param parameters: reliability, pose and allowed difference of stamps.
    """

    def __init__(self, node: Any, parameters: DepthNodeParameters) -> None:
        self._node = node
        self._parameters = parameters
        self._extrinsics = parameters.lidar_pose()
        self.poses = StaticPoses(node)
        self._lock = threading.Lock()
        self._kept: dict[str, deque[Any]] = {topic: deque(maxlen=KEPT) for topic in INPUTS}
        self._throttle = Throttle(LOG_PERIOD)
        self._missing = Counters()
        self._used = 0
        self._echoes, self._echo_part = 0, 0.0
        self._problem: str | None = None
        self._read: tuple[Any, RangePoints] | None = None
        self._subscriptions: dict[str, WatchedSubscription] = {}

    def start(self) -> None:
        """Subscribe."""
        for topic, (kind, _) in INPUTS.items():
            self._subscriptions[topic] = WatchedSubscription(
                self._node,
                kind,
                topic,
                self._parameters.lidar_reliability,
                self._keeper(topic),
            )
        self._follow_transforms()

    def _keeper(self, topic: str) -> Callable[[Any], None]:
        def keep(msg: Any) -> None:
            with self._lock:
                self._kept[topic].append(msg)

        return keep

    def _follow_transforms(self) -> None:
        """Listen to /tf_static where the pose is not a parameter."""
        if self._extrinsics is None:
            self.poses.follow()

    def apply(self, parameters: DepthNodeParameters) -> None:
        """Take new values of the live parameters."""
        self._parameters = parameters
        self._extrinsics = parameters.lidar_pose()
        if self._subscriptions:
            self._follow_transforms()

    def reset(self) -> None:
        """Forget points, as after a jump of time."""
        with self._lock:
            for kept in self._kept.values():
                kept.clear()

    def match(self, stamp: int, frame_id: str) -> RangePoints | ScaleEstimate | None:
        """
        Points for a thermal image; called from the worker's thread.

        :param stamp: of the thermal image, nanoseconds.
        :param frame_id: optical frame of the thermal image.
        :returns: points with their pose; a silent estimate where those that came in cannot be
            used, with the reason; None where none have come in at all.
        """
        with self._lock:
            kept = {topic: list(messages) for topic, messages in self._kept.items() if messages}
        reason: tuple[str, str] | None = None
        for topic, messages in kept.items():
            near = min(messages, key=lambda msg: abs(stamp_ns(msg) - stamp))
            found = self._use(topic, near, stamp, frame_id)
            if isinstance(found, RangePoints):
                self._used += 1
                self._problem = None
                return found
            reason = reason or found
        if reason is None:
            return None
        short, full = reason
        self._missing.add(short)
        self._problem = full
        if self._throttle(short):
            self._node.get_logger().warning(f'no points for the scale: {full}')
        return silent('range', full, stamp)

    def _use(
        self, topic: str, msg: Any, stamp: int, frame_id: str
    ) -> RangePoints | tuple[str, str]:
        """Points of a message, or why not: in a few words, and with figures."""
        taken = stamp_ns(msg)
        late = (stamp - taken) * 1e-9
        if abs(late) > self._parameters.lidar_slop:
            side = 'older' if late > 0 else 'newer'
            return (
                f'{topic}: no message near in time',
                f'the nearest message on {topic} is {abs(late):.2f} s {side} than the image: '
                'check the clocks of the sensors, or set lidar_slop',
            )
        pose = self._extrinsics
        if pose is None:
            pose = self.poses.transforms.lookup(frame_id, msg.header.frame_id)
        if pose is None:
            return (
                f'{topic}: pose unknown',
                f'the pose of {msg.header.frame_id!r} in {frame_id!r} is not known: set '
                'lidar_extrinsics, or publish it on /tf_static',
            )
        if self._read is None or self._read[0] is not msg:
            try:
                read = INPUTS[topic][1](msg)
            except MonotherError as err:
                return f'{topic}: cannot be read', f'{topic}: {err}'
            self._read = (msg, read)
        read = self._read[1]
        if not len(read.points):
            return f'{topic}: no valid points', f'{topic} has no point with a finite position'
        return RangePoints(read.points, pose, taken or stamp, read.beam)

    def count(self, points: int, echoes: int) -> None:
        """
        Count what was left out of a cloud; called from the worker's thread.

        :param points: in view; :param echoes: of the air among them.
        """
        if points:
            self._echoes += echoes
            self._echo_part = echoes / points

    def health(self, silence_timeout: float) -> Health | None:
        """Judge the range sensors; None while none publishes."""
        judged: list[Health] = []
        heard = any(s.received for s in self._subscriptions.values())
        for topic, subscription in self._subscriptions.items():
            facts = subscription.facts(
                'lidar_reliability',
                tuple(p for p in (self._problem,) if p and topic in p),
            )
            # one sensor is enough: what has never said anything is judged where none has
            if not subscription.received and (heard or not facts.publishers):
                continue
            judged.append(assess_input(facts, silence_timeout))
        if not judged:
            return None
        worst = max(judged, key=lambda health: health.level)
        values = {f'{h.values["topic"]} [Hz]': h.values['rate [Hz]'] for h in judged}
        values |= worst.values
        values['images with points'] = str(self._used)
        if self._parameters.lidar_clutter_filter:
            values['points left out as fog, rain or dust'] = str(self._echoes)
            values['the same, last cloud [%]'] = f'{100 * self._echo_part:.1f}'
        values |= {f'not used: {k}': str(n) for k, n in self._missing.snapshot().items()}
        if self._problem and worst.level == 0:
            return Health(WARN, self._problem, values)
        message = worst.message.replace('no image on', 'nothing on')
        message = message.replace('the camera has stopped', 'the sensor has stopped')
        # depth goes on without points, so nothing here is an error of the node
        return Health(min(worst.level, WARN), message, values)

    def destroy(self) -> None:
        """Remove the subscriptions from the node and forget points."""
        for subscription in self._subscriptions.values():
            subscription.destroy()
        self._subscriptions = {}
        self.poses.leave()
        self._read = None
        self.reset()
