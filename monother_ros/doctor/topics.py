# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Listens to every camera topic for some seconds."""

from __future__ import annotations

import time
from typing import Any

from monother_ros.core.errors import CalibrationError
from monother_ros.doctor.findings import FAIL, INFO, OK, WARN, Finding, Section
from monother_ros.doctor.topic_checks import Seen, judge_calibration, judge_topic
from monother_ros.ros.messages import intrinsics_from_camera_info, stamp_ns

KINDS = {
    'sensor_msgs/msg/Image': 'Image',
    'sensor_msgs/msg/CompressedImage': 'CompressedImage',
    'sensor_msgs/msg/CameraInfo': 'CameraInfo',
}

DISCOVERY = 1.5
"""Seconds that finding the other processes may take."""

OWN = ('/depth/', '/depth_node')
"""Parts of the names of topics that the depth node itself publishes."""


def camera_topics(node: Any, executor: Any, seconds: float = 3.0) -> Section:
    """
    Look at every topic of images and calibrations.

    :param node: rclpy node, spun by the executor alone.
    :param executor: that spins it.
    :param seconds: to listen, after the topics were found.
    """
    listener = _Listener(node)
    _spin(executor, DISCOVERY, listener.look)
    _spin(executor, seconds, listener.look)
    listener.close()
    if not listener.seen:
        advice = 'start the camera driver; is ROS_DOMAIN_ID the same there?'
        return Section('Camera topics', (Finding('topics', INFO, 'none found', advice),))
    seen = [listener.seen[topic] for topic in sorted(listener.seen)]
    findings = [judge_topic(item, seconds) for item in seen]
    findings += [
        judge_calibration(item, _info_of(item, seen))
        for item in seen
        if item.sizes and item.kind == 'Image' and not any(part in item.topic for part in OWN)
    ]
    findings += _mismatches(node, seen)
    return Section('Camera topics', tuple(findings))


class _Listener:
    """Subscribes to what appears, best effort, so that any publisher matches."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self.seen: dict[str, Seen] = {}
        self._subscriptions: list[Any] = []

    def look(self) -> None:
        """Subscribe to topics that are new, and note who publishes."""
        import sensor_msgs.msg

        from monother_ros.ros.qos import sensor_profile

        for topic, types in self.node.get_topic_names_and_types():
            kind = next((KINDS[name] for name in types if name in KINDS), None)
            if kind is None:
                continue
            if topic not in self.seen:
                self.seen[topic] = Seen(topic, kind)
                self._subscriptions.append(
                    self.node.create_subscription(
                        getattr(sensor_msgs.msg, kind),
                        topic,
                        lambda msg, seen=self.seen[topic]: self._take(seen, msg),
                        sensor_profile('best_effort'),
                    )
                )
            self.seen[topic].publishers = [
                (
                    info.qos_profile.reliability.name.lower(),
                    info.qos_profile.durability.name.lower(),
                    f'{info.node_namespace.rstrip("/")}/{info.node_name}',
                )
                for info in self.node.get_publishers_info_by_topic(topic)
            ]

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self.node.destroy_subscription(subscription)

    def _take(self, seen: Seen, msg: Any) -> None:
        seen.stamps.append(stamp_ns(msg) * 1e-9)
        seen.arrivals.append(self.node.get_clock().now().nanoseconds * 1e-9)
        seen.note(seen.frames, msg.header.frame_id)
        if seen.kind == 'CameraInfo':
            seen.note(seen.sizes, (msg.width, msg.height))
            try:
                seen.calibration, seen.problem = intrinsics_from_camera_info(msg), ''
            except CalibrationError as err:
                seen.calibration, seen.problem = None, str(err)
            return
        seen.largest = max(seen.largest, len(msg.data))
        if seen.kind == 'Image':
            seen.note(seen.encodings, msg.encoding)
            seen.note(seen.sizes, (msg.width, msg.height))
        else:
            seen.note(seen.encodings, msg.format)


def _spin(executor: Any, seconds: float, look: Any) -> None:
    """Spin, and look for new topics twice a second."""
    end, due = time.monotonic() + seconds, 0.0
    while (now := time.monotonic()) < end:
        if now >= due:
            look()
            due = now + 0.5
        executor.spin_once(timeout_sec=min(0.1, end - now))


def _info_of(image: Seen, seen: list[Seen]) -> Seen | None:
    """CameraInfo in the namespace of an image topic, as image_transport has it."""
    wanted = f'{image.topic.rpartition("/")[0]}/camera_info'
    return next((s for s in seen if s.kind == 'CameraInfo' and s.topic == wanted), None)


def _mismatches(node: Any, seen: list[Seen]) -> list[Finding]:
    """Subscribers whose quality of service no publisher of the topic meets."""
    findings = []
    for item in seen:
        for info in node.get_subscriptions_info_by_topic(item.topic):
            name = f'{info.node_namespace.rstrip("/")}/{info.node_name}'
            if name == node.get_fully_qualified_name() or not item.publishers:
                continue
            qos = info.qos_profile
            unmet = [
                what
                for what, wanted, offered in (
                    ('reliable', qos.reliability.name, [p[0] for p in item.publishers]),
                    ('transient_local', qos.durability.name, [p[1] for p in item.publishers]),
                )
                if wanted.lower() == what and what not in offered
            ]
            if unmet:
                wants = ' and '.join(unmet)
                findings.append(
                    Finding(
                        f'qos of {item.topic}',
                        FAIL if 'depth' in name else WARN,
                        f'{name} wants {wants}, no publisher offers it: it gets nothing',
                        'use best_effort for sensor data (thermal_reliability of the depth node), '
                        'or a reliable publisher',
                    )
                )
    return findings or [Finding('qos', OK, 'every subscriber is offered what it asks for')]
