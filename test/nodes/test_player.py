# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bag player on real DDS, heard by a second node."""

from __future__ import annotations

import threading
import time

import pytest
from small_bag import IMAGE, PERIOD, START, STORE, image, write_small_bag

pytest.importorskip('rclpy', reason='rclpy is not installed')

import itertools

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from monother_ros.core.errors import BagError, SettingsError
from monother_ros.nodes.player import Player, PlayerSettings, Prefetcher, _Item
from monother_ros.ros.bags import BagReader


class Listener:
    """Second node with a thread that collects what it hears."""

    def __init__(self):
        self.node = rclpy.create_node('listener')
        self.heard = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._end.is_set():
            self._executor.spin_once(timeout_sec=0.02)

    def listen(self, topic, kind, latched=False):
        qos = QoSProfile(
            depth=1000,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        messages = self.heard.setdefault(topic, [])
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def wait(self, messages, count, timeout=5.0):
        end = time.monotonic() + timeout
        while len(messages) < count and time.monotonic() < end:
            time.sleep(0.01)
        return len(messages)

    def close(self):
        self._end.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def listener(ros_domain):
    rclpy.init()
    here = Listener()
    yield here
    here.close()
    rclpy.try_shutdown()


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def play(bag, **settings):
    player = Player(bag, PlayerSettings(**settings))
    try:
        assert player.wait_for_subscribers(timeout=5)
        return player.play()
    finally:
        player.destroy_node()


def test_everything_arrives_as_recorded_and_in_its_time(listener, tmp_path):
    images = listener.listen('/cam', Image)
    with BagReader(write_small_bag(tmp_path / 'bag', frames=25)) as bag:
        report = play(bag)
    assert listener.wait(images, 25) == 25
    assert [stamp(m) for m in images] == [START + i * PERIOD for i in range(25)]
    assert bytes(images[7].data) == bytes(image(7).data)
    assert (images[7].encoding, images[7].step) == ('mono16', 64)
    assert report.published == {'/cam': 25, '/note': 1}
    assert report.rounds == 1
    assert report.seconds >= 24 * PERIOD / 1e9


def test_rate_topics_and_remapping(listener, tmp_path):
    images = listener.listen('/front/cam', Image)
    with BagReader(write_small_bag(tmp_path / 'bag', frames=25)) as bag:
        report = play(bag, rate=0.5, topics=('/cam',), remap={'/cam': '/front/cam'})
        assert listener.wait(images, 25) == 25
    assert report.published == {'/front/cam': 25}
    assert report.seconds >= 2 * 24 * PERIOD / 1e9


def test_latched_topic_reaches_a_late_subscriber(listener, tmp_path):
    with BagReader(write_small_bag(tmp_path / 'bag', frames=2)) as bag:
        player = Player(bag, PlayerSettings(rate=10))
        player.play()
        texts = listener.listen('/note', String, latched=True)
        assert listener.wait(texts, 1) == 1
        player.destroy_node()
    assert texts[0].data == 'once'


def test_lacking_types_are_skipped_with_their_names(ros_domain, tmp_path):
    rclpy.init()
    try:
        with BagReader(write_small_bag(tmp_path / 'bag', frames=1)) as bag:
            player = Player(bag, PlayerSettings())
            assert player.skipped == {'/odd': 'nobody_has_msgs/msg/Strange'}
            player.destroy_node()
        only = write_small_bag(tmp_path / 'only', images=False)
        with BagReader(only) as bag, pytest.raises(BagError, match='nothing to play'):
            Player(bag, PlayerSettings())
        with BagReader(only) as bag, pytest.raises(BagError, match='no topic /cam'):
            Player(bag, PlayerSettings(topics=('/cam',)))
    finally:
        rclpy.try_shutdown()


def test_renewed_stamps_are_now_and_keep_their_distances(listener, tmp_path):
    images = listener.listen('/cam', Image)
    with BagReader(write_small_bag(tmp_path / 'bag', frames=6)) as bag:
        before = time.time_ns()
        play(bag, rate=2.0, stamp_now=True)
    assert listener.wait(images, 6) == 6
    stamps = [stamp(m) for m in images]
    assert before < stamps[0] < time.time_ns()
    assert [b - a for a, b in itertools.pairwise(stamps)] == [PERIOD // 2] * 5
    assert images[0].header.frame_id == 'thermal_optical_frame'


def test_loop_jumps_back_and_clock_follows(listener, tmp_path):
    images = listener.listen('/cam', Image)
    ticks = listener.listen('/clock', Clock)
    with BagReader(write_small_bag(tmp_path / 'bag', frames=10)) as bag:
        player = Player(bag, PlayerSettings(loop=True, clock=True))
        assert player.wait_for_subscribers(('/cam',), timeout=5)
        reports = []
        thread = threading.Thread(target=lambda: reports.append(player.play()))
        thread.start()
        assert listener.wait(images, 25) >= 25
        player.stop()
        thread.join(5)
        assert not thread.is_alive()
        player.destroy_node()
    assert reports[0].rounds >= 3
    assert [stamp(m) for m in images[:25]] == [START + i % 10 * PERIOD for i in range(25)]
    clock = [t.clock.sec * 10**9 + t.clock.nanosec for t in ticks]
    back = sum(b < a for a, b in itertools.pairwise(clock))
    assert back == reports[0].rounds - 1
    assert all(START <= c <= START + 9 * PERIOD for c in clock)
    # never a gap longer than the distance of two images
    assert len(set(clock)) >= 18


def test_ros1_bag_is_heard_as_ros2(listener, shared):
    infos = listener.listen('/raspicam_node/camera_info', CameraInfo)
    with BagReader(shared('data/bags/aruco_images.bag')) as bag:
        expected = [bag.decode(m) for m in bag.messages(['/raspicam_node/camera_info'])]
        report = play(bag, rate=4.0)
    assert listener.wait(infos, 15) == 15
    assert report.total == 16
    for got, old in zip(infos, expected, strict=True):
        assert list(got.k) == list(old.K)
        assert stamp(got) == old.header.stamp.sec * 10**9 + old.header.stamp.nanosec


def test_waiting_for_subscribers_ends(ros_domain, tmp_path):
    rclpy.init()
    try:
        with BagReader(write_small_bag(tmp_path / 'bag', frames=1)) as bag:
            player = Player(bag, PlayerSettings())
            assert not player.wait_for_subscribers(timeout=0.1)
            with pytest.raises(BagError, match='/odd: not played'):
                player.wait_for_subscribers(('/odd',))
            player.destroy_node()
    finally:
        rclpy.try_shutdown()


def test_damage_is_reported_after_what_came_before_it(listener, tmp_path):
    folder = write_small_bag(tmp_path / 'bag', frames=3, strange=False)
    images = listener.listen('/cam', Image)
    with BagReader(folder) as bag:
        player = Player(bag, PlayerSettings())
        assert player.wait_for_subscribers(('/cam',), timeout=5)
        good = list(bag.messages(['/cam']))

        def broken(_topics):
            yield from good[:2]
            raise BagError('cut off')

        bag.messages = broken
        with pytest.raises(BagError, match='cut off'):
            player.play()
        assert listener.wait(images, 2) == 2
        player.destroy_node()


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan'), float('inf')])
def test_impossible_rates(rate):
    with pytest.raises(SettingsError, match='rate'):
        PlayerSettings(rate=rate)


def test_prefetching_stays_within_its_limit():
    drawn = []

    def source():
        for index in range(100):
            drawn.append(index)
            yield _Item('/a', index, b'x' * 10)

    reader = Prefetcher(source(), limit=50)
    time.sleep(0.1)
    assert len(drawn) <= 7
    assert [item.offset_ns for item in reader] == list(range(100))
    reader.stop()
    idle = Prefetcher(source(), limit=50)
    idle.stop()
    assert STORE.types[IMAGE]
