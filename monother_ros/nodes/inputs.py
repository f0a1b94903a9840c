# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that know whether anything arrives, and why not."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.qos import QoSCompatibility, qos_check_compatible
from sensor_msgs.msg import CompressedImage, Image

from monother_ros.core.stats import RateMeter
from monother_ros.ros.diagnostics import InputFacts, Throttle
from monother_ros.ros.qos import INPUT_DEPTH, overridable, sensor_profile


def never_raise(node: Any, callback: Callable[..., object]) -> Callable[..., None]:
    """
    Wrap a callback so that what it raises is logged: an executor would end the process.

    :param node: for its logger; a reason is logged once in five seconds.
    """
    throttle = Throttle(5.0)

    def guarded(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as err:
            if throttle(type(err).__name__):
                text = ''.join(traceback.format_exception(type(err), err, err.__traceback__))
                node.get_logger().error(f'in a callback: {text}')

    return guarded


@dataclass(frozen=True)
class Publishers:
    """
    Who publishes on a topic that is subscribed to.

    :param count: publishers known to the middleware.
    :param incompatible: reason for which one or more cannot be matched; empty if none.
    :param unmatched: number of those.
    """

    count: int
    incompatible: str
    unmatched: int

    @property
    def matched(self) -> int:
        """Publishers whose QoS fits the subscription."""
        return self.count - self.unmatched


class WatchedSubscription:
    """
    A subscription with the figures that an operator asks for when nothing comes out.

    :param node: rclpy node.
    :param message_type: ROS message class.
    :param topic: relative or absolute name.
    :param reliability: 'best_effort' or 'reliable'.
    :param callback: called with each message in the executor's thread; what it raises is logged,
        as no message may end a node.
    :param depth: messages that the middleware keeps while the executor is busy.
    """

    def __init__(
        self,
        node: Any,
        message_type: Any,
        topic: str,
        reliability: str,
        callback: Callable[[Any], None],
        depth: int = INPUT_DEPTH,
    ) -> None:
        self._node = node
        self._callback = never_raise(node, callback)
        self._profile = sensor_profile(reliability, depth)
        self.received = 0
        self.lost = 0
        self._seen = (0, 0)
        self.last: float | None = None
        self.since = time.monotonic()
        self._rate = RateMeter()
        self._subscription = self._subscribe(message_type, topic)
        self.topic: str = self._subscription.topic_name

    def _subscribe(self, message_type: Any, topic: str) -> Any:
        """Subscribe, and count what the middleware reports as lost where it does."""
        arguments = (message_type, topic, self._arrived, self._profile)
        options = {'qos_overriding_options': overridable()}
        try:
            events = SubscriptionEventCallbacks(message_lost=self._message_lost)
            return self._node.create_subscription(*arguments, event_callbacks=events, **options)
        except UnsupportedEventTypeError:
            return self._node.create_subscription(*arguments, **options)

    def _message_lost(self, event: Any) -> None:
        self.lost = event.total_count

    def lost_share(self) -> float:
        """Share of the messages since the last call of this method that were lost."""
        now = (self.received, self.lost)
        received, lost = (b - a for a, b in zip(self._seen, now, strict=True))
        self._seen = now
        return lost / (received + lost) if received + lost > 0 else 0.0

    def _arrived(self, msg: Any) -> None:
        self.last = time.monotonic()
        self.received += 1
        self._rate.tick()
        self._callback(msg)

    def current_rate(self) -> float:
        """Messages per second lately."""
        return self._rate.rate()

    def silence(self) -> float:
        """Seconds since the last message, or since the subscription where none came."""
        return time.monotonic() - (self.since if self.last is None else self.last)

    def publishers(self) -> Publishers:
        """Ask the middleware who publishes here, and whether QoS lets them match."""
        reasons = []
        infos = self._node.get_publishers_info_by_topic(self.topic)
        for info in infos:
            compatibility, reason = qos_check_compatible(info.qos_profile, self._profile)
            if compatibility == QoSCompatibility.ERROR:
                reasons.append(reason.strip())
        return Publishers(len(infos), reasons[0] if reasons else '', len(reasons))

    def facts(
        self,
        parameter: str,
        problems: tuple[str, ...] = (),
        values: Mapping[str, str] | None = None,
    ) -> InputFacts:
        """
        State of this input, to be judged; the share of lost messages begins anew.

        :param parameter: node parameter that chooses its reliability.
        :param problems: what else is wrong, each a sentence.
        :param values: further values to show.
        """
        publishers = self.publishers()
        return InputFacts(
            topic=self.topic,
            parameter=parameter,
            received=self.received,
            rate=self.current_rate(),
            silence=self.silence(),
            publishers=publishers.count,
            unmatched=publishers.unmatched,
            incompatible=publishers.incompatible,
            lost=self.lost,
            lost_share=self.lost_share(),
            problems=problems,
            values=values or {},
        )

    def destroy(self) -> None:
        """Remove the subscription from the node."""
        self._node.destroy_subscription(self._subscription)


def subscribe_image(
    node: Any, topic: str, transport: str, reliability: str, callback: Callable[[Any], None]
) -> WatchedSubscription:
    """
    Subscribe to an image topic by transport, named as image_transport names them.

    A remapping of the base topic moves the compressed topic with it.

    :param topic: base topic, for instance 'thermal/image_raw'.
    :param transport: 'raw' or 'compressed'.
    """
    if transport == 'compressed':
        base = node.resolve_topic_name(topic)
        return WatchedSubscription(
            node, CompressedImage, f'{base}/compressed', reliability, callback
        )
    return WatchedSubscription(node, Image, topic, reliability, callback)
