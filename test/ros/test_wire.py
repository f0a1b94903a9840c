# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of recorded bytes to the installed types, checked by rclpy's own deserialiser."""

from __future__ import annotations

import pytest
from small_bag import STORE, write_small_bag

from monother_ros.ros.bags import BagReader

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rclpy.serialization import deserialize_message, serialize_message

from monother_ros.ros import wire


def test_classes_and_lacking_types():
    from sensor_msgs.msg import Image

    assert wire.message_class('sensor_msgs/msg/Image') is Image
    assert wire.message_class('sensor_msgs/msg/Hologram') is None
    assert wire.message_class('nobody_has_msgs/msg/Strange') is None


@pytest.mark.parametrize(
    'msgtype',
    [
        'sensor_msgs/msg/CameraInfo',
        'sensor_msgs/msg/PointCloud2',
        'diagnostic_msgs/msg/DiagnosticArray',
        'shape_msgs/msg/SolidPrimitive',
        'std_msgs/msg/Empty',
    ],
)
def test_installed_definitions_have_the_hash_of_the_distribution(msgtype):
    from rosbags.typesys import Stores, get_typestore

    published = get_typestore(Stores.ROS2_KILTED)
    installed = wire.installed_typestore(msgtype)
    if not wire.same_layout(published, installed, msgtype):
        pytest.skip('this distribution defines the type differently')
    assert installed.hash_rihs01(msgtype) == published.hash_rihs01(msgtype)
    assert wire.definition(msgtype)[1] == published.hash_rihs01(msgtype)


def test_definition_contains_constants_and_contained_types():
    text, _ = wire.definition('sensor_msgs/msg/PointCloud2')
    assert 'MSG: sensor_msgs/PointField' in text
    assert 'FLOAT32' in text


def test_cdr_of_the_same_definition_passes_untouched(tmp_path):
    with BagReader(write_small_bag(tmp_path / 'bag', frames=1)) as bag:
        (message,) = bag.messages(['/cam'])
        assert wire.cdr_converter(bag, message.type)(message.data) is message.data


def test_ros1_calibration_arrives_in_ros2_fields(shared):
    from sensor_msgs.msg import CameraInfo

    with BagReader(shared('data/bags/aruco_images.bag')) as bag:
        message = next(bag.messages(['/raspicam_node/camera_info']))
        old = bag.decode(message)
        data = wire.cdr_converter(bag, message.type)(message.data)
    new = deserialize_message(data, CameraInfo)
    assert list(new.k) == list(old.K)
    assert list(new.d) == list(old.D)
    assert new.header.frame_id == old.header.frame_id
    assert new.header.stamp.nanosec == old.header.stamp.nanosec


def test_definition_that_changed_is_carried_over_by_field(shared):
    # Range got a field after the distribution that recorded this bag
    from sensor_msgs.msg import Range

    name = 'data/bags/rosbag2_2025_09_10-13_03_56_0.mcap'
    with BagReader(shared(name)) as bag:
        message = next(bag.messages(['/range']))
        old = bag.decode(message)
        new = deserialize_message(wire.cdr_converter(bag, message.type)(message.data), Range)
    assert new.range == pytest.approx(old.range)
    assert new.max_range == pytest.approx(old.max_range)
    assert new.header.frame_id == old.header.frame_id


@pytest.mark.parametrize('little', [True, False])
def test_stamp_is_read_and_replaced_in_place(little):
    from small_bag import IMAGE, START, image

    data = bytes(STORE.serialize_cdr(image(0), IMAGE, little_endian=little))
    assert wire.is_stamped(IMAGE)
    assert wire.stamp_of(data) == START
    changed = wire.restamped(data, 1_234_567_890_987_654_321)
    message = STORE.deserialize_cdr(changed, IMAGE)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_234_567_890, 987_654_321)
    assert changed[12:] == data[12:]


def test_stamps_of_rclpy_messages_too():
    from sensor_msgs.msg import PointCloud2

    message = PointCloud2()
    message.header.stamp.sec, message.header.stamp.nanosec = 17, 5
    message.header.frame_id = 'map'
    data = wire.restamped(serialize_message(message), 3_000_000_001)
    back = deserialize_message(data, PointCloud2)
    assert (back.header.stamp.sec, back.header.stamp.nanosec) == (3, 1)
    assert back.header.frame_id == 'map'
    assert not wire.is_stamped('std_msgs/msg/String')
