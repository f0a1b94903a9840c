# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import time

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.ros.messages import (
    CloudBuffer,
    ImageBuffer,
    OutputBuffers,
    camera_info_from_intrinsics,
    cloud_xyz,
    image_view,
    intrinsics_from_camera_info,
)

# what follows needs ROS messages


@pytest.fixture(name='msgs')
def _msgs():
    return pytest.importorskip('sensor_msgs.msg')


def test_image_buffer_is_the_message(msgs):
    buffer = ImageBuffer()
    view = buffer.view((4, 6), np.float32)
    message = buffer.message
    view[:] = np.arange(24).reshape(4, 6)
    assert (message.encoding, message.step, message.height, message.width) == ('32FC1', 24, 4, 6)
    assert len(message.data) == 96
    np.testing.assert_array_equal(image_view(message), view)
    assert buffer.view((4, 6), np.float32) is view
    assert buffer.message is message
    other = buffer.view((2, 3, 3), np.uint8)
    assert buffer.message is not message
    assert buffer.message.encoding == 'bgr8'
    other[:] = 5
    assert bytes(buffer.message.data) == b'\5' * 18
    assert ImageBuffer().view((2, 2), np.uint16).dtype == np.uint16


@pytest.mark.parametrize('fields', [5, 6])
def test_cloud_buffer_is_the_message(msgs, fields):
    buffer = CloudBuffer()
    view = buffer.view((3, 4, fields))
    view[:] = np.arange(view.size).reshape(view.shape)
    view[1, 1, :3] = np.nan
    message = buffer.message
    assert (message.height, message.width) == (3, 4)
    assert (message.point_step, message.row_step) == (4 * fields, 16 * fields)
    assert [f.name for f in message.fields][-1] == ('rgb' if fields == 6 else 'intensity')
    assert not message.is_dense
    np.testing.assert_array_equal(
        cloud_xyz(message), np.delete(view.reshape(-1, fields), 5, 0)[:, :3]
    )
    assert buffer.view((3, 4, fields)) is view


def test_output_buffers_keep_header_and_memory(msgs):
    from std_msgs.msg import Header

    buffers = OutputBuffers()
    header = Header(frame_id='thermal')
    depth = buffers.allocate('depth', (4, 6), np.float32)
    depth[:] = 3
    cloud = buffers.allocate('cloud', (4, 6, 5), np.float32)
    cloud[:] = 7
    message = buffers.message('depth', header)
    assert message.header.frame_id == 'thermal'
    assert image_view(message)[3, 5] == 3
    assert cloud_xyz(buffers.message('cloud', header))[0, 0] == 7
    assert buffers.allocate('depth', (4, 6), np.float32) is depth


def test_camera_info_goes_there_and_back(msgs):
    for camera in (
        Intrinsics(640, 512, 500.0, 505.0, 320.0, 256.0, 'plumb_bob', (-0.25, 0.1, 0.0, 0.001)),
        Intrinsics(640, 512, 500.0, 505.0, 320.0, 256.0, 'equidistant', (0.1, 0.0, 0.0, 0.0)),
        Intrinsics(640, 512, 500.0, 505.0, 320.0, 256.0),
    ):
        message = camera_info_from_intrinsics(camera)
        assert intrinsics_from_camera_info(message) == camera
        assert list(message.p[:4]) == [500, 0, 320, 0]
        assert list(message.r) == [1, 0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize('check', ['0', '1'])
def test_reused_message_is_published_anew(ros_domain, monkeypatch, check):
    """Over real DDS: each publish sends what is in the buffer at that moment."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image, PointCloud2

    monkeypatch.setenv('ROS_PYTHON_CHECK_FIELDS', check)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('reuse', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        images, clouds = [], []
        node.create_subscription(
            Image, 'depth', lambda m: images.append((m.header.frame_id, image_view(m).copy())), 10
        )
        node.create_subscription(PointCloud2, 'points', lambda m: clouds.append(cloud_xyz(m)), 10)
        publishers = {
            'depth': node.create_publisher(Image, 'depth', 10),
            'cloud': node.create_publisher(PointCloud2, 'points', 10),
        }
        deadline = time.monotonic() + 10
        while any(p.get_subscription_count() == 0 for p in publishers.values()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        buffers = OutputBuffers()
        from std_msgs.msg import Header

        for i in range(5):
            buffers.allocate('depth', (64, 80), np.float32)[:] = i
            buffers.allocate('cloud', (8, 8, 5), np.float32)[:] = 10 + i
            header = Header(frame_id=f'frame{i}')
            for kind, publisher in publishers.items():
                publisher.publish(buffers.message(kind, header))
        while len(images) < 5 or len(clouds) < 5:
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.1)
        assert [frame for frame, _ in images] == [f'frame{i}' for i in range(5)]
        assert [float(m[0, 0]) for _, m in images] == [0, 1, 2, 3, 4]
        assert all((m == m[0, 0]).all() for _, m in images)
        assert [float(c[0, 0]) for c in clouds] == [10, 11, 12, 13, 14]
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
