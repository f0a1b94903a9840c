# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder on real DDS."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from monother_ros.core.errors import BagError
from monother_ros.nodes.recorder import DiskWriter, Recorder
from monother_ros.ros.bags import BagReader
from monother_ros.ros.newbag import new_bag


@pytest.fixture
def talker(ros_domain):
    rclpy.init()
    node = rclpy.create_node('talker')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def spin(executor, until, timeout=5.0):
    end = time.monotonic() + timeout
    while not until() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.02)
    return until()


def test_records_old_and_new_topics_with_matching_quality(talker, tmp_path):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    note = talker.create_publisher(String, '/note', latched)
    note.publish(String(data='said before anybody listened'))
    with new_bag(tmp_path / 'bag') as writer:
        recorder = Recorder(writer, ('/note', 'cam', '/never'))
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)
        best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
        cam = talker.create_publisher(Image, '/cam', best_effort)
        other = talker.create_publisher(String, '/other', 5)
        assert spin(executor, lambda: cam.get_subscription_count() == 1)
        assert spin(executor, lambda: recorder._disk.counts.get('/note') == 1)
        before = time.time_ns()
        for index in range(3):
            cam.publish(Image(height=1, width=2, step=2, encoding='mono8', data=[index, 5]))
        other.publish(String(data='not asked for'))
        assert spin(executor, lambda: recorder._disk.counts.get('/cam') == 3)
        assert recorder.missing == {'/never'}
        executor.shutdown()
        recorder.destroy_node()
        report = recorder.finish()
    assert report.counts == {'/note': 1, '/cam': 3}
    with BagReader(tmp_path / 'bag') as bag:
        topics = {t.name: t for t in bag.topics}
        assert (topics['/note'].latched, topics['/note'].reliable) == (True, True)
        assert (topics['/cam'].latched, topics['/cam'].reliable) == (False, False)
        read = list(bag.read())
    assert read[0][1].data == 'said before anybody listened'
    assert [bytes(m.data) for _, m, _ in read[1:]] == [bytes([i, 5]) for i in range(3)]
    assert all(before <= when <= time.time_ns() for _, _, when in read[1:])


def test_all_topics_but_those_of_ros_itself(talker, tmp_path):
    one = talker.create_publisher(String, '/one', 5)
    with new_bag(tmp_path / 'bag') as writer:
        recorder = Recorder(writer)
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)
        assert spin(executor, lambda: one.get_subscription_count() == 1)
        one.publish(String(data='x'))
        assert spin(executor, lambda: recorder._disk.counts.get('/one') == 1)
        executor.shutdown()
        recorder.destroy_node()
        report = recorder.finish()
    assert report.counts == {'/one': 1}


def test_full_disk_is_told_and_leaves_nothing(tmp_path):
    class FullDisk:
        def add_connection(self, *_args, **_kwargs):
            raise OSError(28, 'No space left on device')

    with pytest.raises(BagError, match='No space left'), new_bag(tmp_path / 'bag'):
        disk = DiskWriter(FullDisk())
        disk.add_topic('/a', 'std_msgs/msg/String', reliable=True, latched=False)
        disk.put('/a', 1, b'data')
        disk.close()
    assert list(tmp_path.iterdir()) == []


def test_what_the_disk_cannot_follow_is_counted():
    class Slow:
        written = 0

        def add_connection(self, *_args, **_kwargs):
            time.sleep(0.2)

        def write(self, *_args):
            self.written += 1

    slow = Slow()
    disk = DiskWriter(slow, limit=100)
    disk.add_topic('/a', 'std_msgs/msg/String', reliable=True, latched=False)
    for _ in range(5):
        disk.put('/a', 1, b'x' * 40)
    disk.close()
    assert (disk.dropped, slow.written, disk.counts) == (3, 2, {'/a': 2})
