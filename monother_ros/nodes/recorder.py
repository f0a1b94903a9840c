# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records topics of any installed type into a rosbag2 without deserialising the messages."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from monother_ros.core.errors import BagError
from monother_ros.ros.newbag import offered_qos
from monother_ros.ros.wire import definition, message_class

if TYPE_CHECKING:
    from rosbags.interfaces import Connection
    from rosbags.rosbag2 import Writer

DEPTH = 50
"""Messages that the middleware keeps per subscription while Python is busy."""

DISCOVERY_PERIOD = 0.2
"""Seconds between two looks at the topics that exist."""

QUEUE_BYTES = 512 << 20
"""Messages that may wait for the disk; newer ones are dropped and counted."""

UNRECORDED = ('/rosout', '/parameter_events')
"""Topics of ROS itself, left out unless they are named."""


@dataclass
class RecordReport:
    """
    What a recording holds.

    :param counts: messages per topic.
    :param skipped: topics that are not recorded → their type, which this ROS lacks.
    :param dropped: messages lost because the disk could not follow.
    :param seconds: wall time of the recording.
    """

    counts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    dropped: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """Messages on all topics together."""
        return sum(self.counts.values())


class _Received(NamedTuple):
    """One message on its way to the disk."""

    topic: str
    stamp_ns: int
    data: bytes


class DiskWriter:
    """
    Writes into an open bag from a thread of its own, so that the disk never delays receiving.

    :param writer: open writer; only this thread touches it until :meth:`close`.
    :param limit: bytes of messages that may wait.
    """

    def __init__(self, writer: Writer, limit: int = QUEUE_BYTES) -> None:
        self._writer = writer
        self._limit = limit
        self._waiting = 0
        self._lock = threading.Lock()
        self._connections: dict[str, Connection] = {}
        self._queue: queue.SimpleQueue[_Received | Callable[[], None] | None]
        self._queue = queue.SimpleQueue()
        self._error: BaseException | None = None
        self.counts: dict[str, int] = {}
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name='bag writer', daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether writing has failed; :meth:`close` raises the reason."""
        return self._error is not None

    def add_topic(self, topic: str, msgtype: str, *, reliable: bool, latched: bool) -> None:
        """Announce a topic before its first message."""
        text, digest = definition(msgtype)
        qos = offered_qos(reliable=reliable, latched=latched)
        self.counts[topic] = 0

        def add() -> None:
            """Run in the writing thread."""
            self._connections[topic] = self._writer.add_connection(
                topic, msgtype, msgdef=text, rihs01=digest, offered_qos_profiles=[qos]
            )

        self._queue.put(add)

    def put(self, topic: str, stamp_ns: int, data: bytes) -> None:
        """Take one message; it is dropped where too much waits for the disk already."""
        with self._lock:
            if self._waiting + len(data) > self._limit:
                self.dropped += 1
                return
            self._waiting += len(data)
        self._queue.put(_Received(topic, stamp_ns, data))

    def _run(self) -> None:
        """Write until told to end; after an error only drain the queue."""
        while (item := self._queue.get()) is not None:
            try:
                if self._error is not None:
                    continue
                if isinstance(item, _Received):
                    connection = self._connections[item.topic]
                    self._writer.write(connection, item.stamp_ns, item.data)
                    self.counts[item.topic] += 1
                else:
                    item()
            except BaseException as err:  # raised again by close()
                self._error = err
            finally:
                if isinstance(item, _Received):
                    with self._lock:
                        self._waiting -= len(item.data)

    def close(self) -> None:
        """
        Wait until everything is written.

        :raises BagError: writing failed at some point.
        """
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            msg = f'cannot write the recording: {self._error}'
            raise BagError(msg) from self._error


class Recorder(Node):
    """
    Node that writes what it hears into a bag; spin it with an executor.

    :param writer: open writer of a new bag.
    :param topics: names to record, resolved like any topic name; None records every topic.
    """

    def __init__(self, writer: Writer, topics: tuple[str, ...] | None = None) -> None:
        super().__init__('monother_recorder')
        self._disk = DiskWriter(writer)
        self._wanted = (
            None if topics is None else {self.resolve_topic_name(name) for name in topics}
        )
        self._subscribed: set[str] = set()
        self._skipped: dict[str, str] = {}
        self._began = time.monotonic()
        self._discover()
        self.create_timer(DISCOVERY_PERIOD, self._discover)

    @property
    def failed(self) -> bool:
        """Whether the disk refused; :meth:`finish` raises the reason."""
        return self._disk.failed

    @property
    def missing(self) -> set[str]:
        """Topics asked for by name that nobody has published so far."""
        return (self._wanted or set()) - self._subscribed - set(self._skipped)

    def _discover(self) -> None:
        """Subscribe to what has appeared since the last look."""
        for topic, types in self.get_topic_names_and_types():
            if topic in self._subscribed or topic in self._skipped:
                continue
            chosen = topic not in UNRECORDED if self._wanted is None else topic in self._wanted
            if chosen and self.count_publishers(topic):
                self._subscribe(topic, types[0])

    def _subscribe(self, topic: str, msgtype: str) -> None:
        """Record a topic with a quality of service that matches all of its publishers."""
        cls = message_class(msgtype)
        if cls is None:
            self._skipped[topic] = msgtype
            self.get_logger().warning(f'{topic} is not recorded: type {msgtype} not installed')
            return
        offers = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        reliable = all(q.reliability == ReliabilityPolicy.RELIABLE for q in offers)
        latched = bool(offers) and all(
            q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offers
        )
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=(
                DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
            ),
        )
        self._subscribed.add(topic)
        self._disk.add_topic(topic, msgtype, reliable=reliable, latched=latched)

        def received(data: Any, info: Any) -> None:
            """Hand the bytes over with the time at which the middleware got them."""
            stamp = info.get('received_timestamp') or time.time_ns()
            self._disk.put(topic, stamp, bytes(data))

        def received_plain(data: Any) -> None:
            """Humble's rclpy does not tell when the middleware got a message."""
            received(data, {})

        callback = received if hasattr(Subscription, 'CallbackType') else received_plain
        self.create_subscription(cls, topic, callback, profile, raw=True)
        self.get_logger().info(f'recording {topic}')

    def finish(self) -> RecordReport:
        """
        Write what is still waiting; call it after the last spin.

        :raises BagError: the disk refused.
        """
        self._disk.close()
        return RecordReport(
            counts=dict(self._disk.counts),
            skipped=dict(self._skipped),
            dropped=self._disk.dropped,
            seconds=time.monotonic() - self._began,
        )
