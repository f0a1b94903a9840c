# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays a recorded bag on real topics, at the pace of its recording."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from monother_ros.core.errors import BagError, SettingsError
from monother_ros.ros.bags import BagReader, BagTopic
from monother_ros.ros.wire import (
    cdr_converter,
    is_stamped,
    message_class,
    restamped,
    stamp_of,
)

CLOCK_PERIOD = 0.01
"""Longest time between two messages on /clock in seconds."""

PREFETCH_BYTES = 64 << 20
"""How much the reading thread may be ahead of the publishing one."""

CLOCK_TOPIC = '/clock'


@dataclass(frozen=True)
class PlayerSettings:
    """
    How a bag is played.

    :param rate: speed against the recording, > 0.
    :param loop: begin again after the last message.
    :param clock: publish /clock (in the bag's time, or in the host's where stamps are renewed).
    :param topics: only these recorded topics; None takes all.
    :param remap: recorded topic → topic to publish on.
    :param stamp_now: renew the header stamps: a message's stamp becomes the moment at which its
        own stamp falls due in this playback. Stamps that were equal stay equal.
    :raises SettingsError: the rate is not positive.
    """

    rate: float = 1.0
    loop: bool = False
    clock: bool = False
    topics: tuple[str, ...] | None = None
    remap: Mapping[str, str] = field(default_factory=dict)
    stamp_now: bool = False

    def __post_init__(self) -> None:
        """Refuse a speed that leads nowhere."""
        if not 0 < self.rate < float('inf'):
            msg = f'rate {self.rate} is not a positive number; 1 plays as recorded'
            raise SettingsError(msg)


@dataclass
class PlayReport:
    """
    What a playback did.

    :param published: messages per published topic.
    :param rounds: passes through the bag that were begun.
    :param seconds: wall time.
    :param worst_late: largest time by which a message was published after it was due, seconds.
    """

    published: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    seconds: float = 0.0
    worst_late: float = 0.0

    @property
    def total(self) -> int:
        """Messages on all topics together."""
        return sum(self.published.values())


class _Item(NamedTuple):
    """One message on its way from the reading thread to the publishing one."""

    topic: str
    offset_ns: int  # from the first message of the bag, in the bag's time
    data: bytes


class _Channel(NamedTuple):
    """Publisher of one recorded topic."""

    publisher: Publisher
    convert: Callable[[bytes], bytes]
    stamped: bool


def publisher_qos(topic: BagTopic) -> QoSProfile:
    """Quality of service to publish a recorded topic with."""
    latched = topic.latched or topic.name == '/tf_static'
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=topic.depth,
        reliability=(
            ReliabilityPolicy.RELIABLE if topic.reliable else ReliabilityPolicy.BEST_EFFORT
        ),
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


class Prefetcher:
    """
    Reads ahead in a thread, so that a slow disk does not delay publishing.

    :param source: iterator to draw from; an error in it is raised again by :meth:`__iter__`.
    :param limit: bytes of message data to hold at most.
    """

    def __init__(self, source: Iterator[_Item], limit: int = PREFETCH_BYTES) -> None:
        self._source = source
        self._limit = limit
        self._held = 0
        self._queue: queue.SimpleQueue[_Item | BaseException | None] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='bag reader', daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """Fill the queue until the source ends, fails or nobody wants more."""
        try:
            for item in self._source:
                with self._room:
                    self._room.wait_for(lambda: self._held < self._limit or self._stopped)
                    if self._stopped:
                        break
                    self._held += len(item.data)
                self._queue.put(item)
            self._queue.put(None)
        except BaseException as err:  # handed to the thread that publishes
            self._queue.put(err)

    def __iter__(self) -> Iterator[_Item]:
        """Yield the items in order; raises what the source raised."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            with self._room:
                self._held -= len(item.data)
                self._room.notify()
            yield item

    def stop(self) -> None:
        """End the thread and wait for it."""
        with self._room:
            self._stopped = True
            self._room.notify()
        self._thread.join()


class Player(Node):
    """
    Node that publishes the messages of a bag.

    Publishers exist from construction on, so that subscribers can be matched before the start.
    No executor is needed.

    :param bag: open bag; the caller closes it.
    :param settings: how to play.
    :raises BagError: a topic asked for is not in the bag, or nothing is left to play.
    """

    def __init__(self, bag: BagReader, settings: PlayerSettings) -> None:
        super().__init__('monother_player')
        self._bag = bag
        self._settings = settings
        self._stop = threading.Event()
        self._channels: dict[str, _Channel] = {}
        self.skipped: dict[str, str] = {}
        """Topics that are not played, with their types, because this ROS lacks the type."""
        if settings.topics is not None:
            bag.check_topics(settings.topics)
        for topic in bag.topics:
            if settings.topics is None or topic.name in settings.topics:
                self._add(topic)
        if self.skipped:
            lacking = ', '.join(f'{name} ({kind})' for name, kind in self.skipped.items())
            self.get_logger().warning(f'types not installed, topics not played: {lacking}')
        if not self._channels:
            self.destroy_node()
            msg = f'bag {bag.path} has nothing to play with these settings'
            raise BagError(msg)
        self._ticker = self.create_publisher(Clock, CLOCK_TOPIC, 10) if settings.clock else None

    def _add(self, topic: BagTopic) -> None:
        """Make the publisher of one topic where its type is installed."""
        if topic.name == CLOCK_TOPIC and self._settings.clock:
            return
        cls = message_class(topic.type)
        if cls is None or topic.name in self._channels:
            self.skipped[topic.name] = topic.type
            return
        name = self._settings.remap.get(topic.name, topic.name)
        self._channels[topic.name] = _Channel(
            self.create_publisher(cls, name, publisher_qos(topic)),
            cdr_converter(self._bag, topic.type),
            is_stamped(topic.type),
        )

    def stop(self) -> None:
        """End the playback soon; may be called from a signal handler or another thread."""
        self._stop.set()

    def wait_for_subscribers(self, topics: tuple[str, ...] = (), timeout: float = 60.0) -> bool:
        """
        Wait until somebody listens.

        :param topics: every one of these recorded topics must have a subscriber; empty means that
            one subscriber on any topic is enough.
        :param timeout: longest wait in seconds.
        :returns: whether the subscribers are there.
        :raises BagError: one of the topics is not played.
        """
        if missing := [t for t in topics if t not in self._channels]:
            msg = f'cannot wait for subscribers of {", ".join(missing)}: not played'
            raise BagError(msg)
        end = time.monotonic() + timeout
        needed = [self._channels[t].publisher for t in topics]
        every = [c.publisher for c in self._channels.values()]
        while not self._stop.is_set() and time.monotonic() < end:
            if needed:
                ready = all(p.get_subscription_count() for p in needed)
            else:
                ready = any(p.get_subscription_count() for p in every)
            if ready:
                # the other side may need a moment longer to have matched, too
                self._stop.wait(0.2)
                return True
            self._stop.wait(0.05)
        return False

    def _read(self) -> Iterator[_Item]:
        """Messages of the played topics as CDR, in order (runs in the reading thread)."""
        channels, start = self._channels, self._bag.start_ns
        types = {t.name: t.type for t in self._bag.topics if t.name in channels}
        for message in self._bag.messages(set(channels)):
            if message.type != types[message.topic]:
                continue
            data = channels[message.topic].convert(message.data)
            yield _Item(message.topic, message.stamp_ns - start, data)

    def play(self) -> PlayReport:
        """
        Publish the whole bag; returns at its end, or soon after :meth:`stop`.

        :returns: what was published.
        :raises BagError: the bag is damaged; what came before the damage has been published.
        """
        report = PlayReport({c.publisher.topic_name: 0 for c in self._channels.values()})
        began = time.monotonic()
        while not self._stop.is_set():
            report.rounds += 1
            self._play_once(report)
            if not self._settings.loop:
                break
        self._finish()
        report.seconds = time.monotonic() - began
        return report

    def _play_once(self, report: PlayReport) -> None:
        """Publish the bag once from its beginning to its end."""
        rate, bag_start = self._settings.rate, self._bag.start_ns
        reader = Prefetcher(self._read())
        try:
            items = iter(reader)
            item = next(items, None)  # the first chunk is read before the time begins to run
            begin, wall_begin = time.monotonic(), time.time_ns()
            while item is not None and not self._stop.is_set():
                due = begin + item.offset_ns / 1e9 / rate
                self._sleep_until(due, begin, wall_begin)
                if self._stop.is_set():
                    return
                channel, data = self._channels[item.topic], item.data
                if self._settings.stamp_now and channel.stamped:
                    own = stamp_of(data)
                    data = restamped(data, wall_begin + round((own - bag_start) / rate))
                channel.publisher.publish(data)
                report.worst_late = max(report.worst_late, time.monotonic() - due)
                report.published[channel.publisher.topic_name] += 1
                item = next(items, None)
        finally:
            reader.stop()

    def _sleep_until(self, due: float, begin: float, wall_begin: int) -> None:
        """Wait for a moment of the monotonic clock, keeping /clock ticking."""
        while not self._stop.is_set():
            now = time.monotonic()
            if self._ticker is not None:
                self._publish_clock(min(now, due) - begin, wall_begin)
            left = due - now
            if left <= 0:
                return
            self._stop.wait(left if self._ticker is None else min(left, CLOCK_PERIOD))

    def _publish_clock(self, elapsed: float, wall_begin: int) -> None:
        """Publish the time of the playback, ``elapsed`` wall seconds after its beginning."""
        assert self._ticker is not None
        rate, start = self._settings.rate, self._bag.start_ns
        now = wall_begin + round(elapsed * 1e9)
        if not self._settings.stamp_now:
            now = start + round(elapsed * 1e9 * rate)
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(now, 1_000_000_000)
        self._ticker.publish(message)

    def _finish(self) -> None:
        """Let reliable subscribers have the last messages before the publishers go."""
        end = time.monotonic() + (0.2 if self._stop.is_set() else 2.0)
        for channel in self._channels.values():
            left = end - time.monotonic()
            if left <= 0:
                return
            if channel.publisher.get_subscription_count():
                channel.publisher.wait_for_all_acked(Duration(seconds=left))
