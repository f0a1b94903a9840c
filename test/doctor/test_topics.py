# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.doctor.findings import FAIL, INFO, OK, WARN
from monother_ros.doctor.topic_checks import Seen, judge_calibration, judge_topic

CAMERA = ('reliable', 'volatile', '/camera')


def seen(count=60, rate=30.0, late=0.02, **fields):
    """Images that come as they should."""
    stamps = 100 + np.arange(count) / rate
    values = {
        'topic': '/thermal/image_raw',
        'kind': 'Image',
        'publishers': [CAMERA],
        'stamps': list(stamps),
        'arrivals': list(stamps + late),
        'encodings': ['mono16'],
        'sizes': [(640, 512)],
        'frames': ['thermal'],
        'largest': 655360,
        **fields,
    }
    return Seen(**values)


def info(**fields):
    values = {'width': 640, 'height': 512, 'fx': 500.0, 'fy': 500.0, 'cx': 320.0, 'cy': 256.0}
    camera = Intrinsics(**{**values, **fields})
    return Seen('/thermal/camera_info', 'CameraInfo', frames=['thermal'], calibration=camera)


def test_good_topic():
    finding = judge_topic(seen(), 2)
    assert finding.state == OK
    assert finding.found == 'Image, mono16, 640x512, 30.0 Hz, by /camera'
    assert finding.values['rate'] == pytest.approx(30)
    assert finding.values['delay'] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ('fields', 'state', 'found', 'advice'),
    [
        ({'encodings': ['rgb8']}, FAIL, 'rgb8 is no thermal encoding', 'raw 16 bit counts'),
        ({'encodings': ['mono8']}, WARN, '8 bit', '16 bit counts'),
        ({'encodings': ['mono16', 'mono8']}, WARN, 'the encoding changes', 'two drivers'),
        ({'sizes': [(640, 512), (320, 256)]}, WARN, 'the size changes', 'two drivers'),
        ({'stamps': [0.0] * 60}, FAIL, 'all stamps are 0', 'must stamp'),
        ({'late': 5.0}, WARN, 'stamps are 5.0 s old', 'use_sim_time'),
        ({'late': -0.5}, WARN, 'stamps are 0.50 s ahead of the clock', 'chrony'),
        ({'stamps': [100.0, 99.0] * 30}, WARN, 'stamps go back 30 times', 'looped bag'),
        ({'stamps': [100.0, 100.0, 100.1] * 20}, WARN, 'stamps repeat', 'twice'),
        ({'stamps': [*(k / 30 for k in range(59)), 9.0]}, WARN, 'a gap of 7.07 s', 'lost'),
        ({'stamps': [], 'arrivals': []}, FAIL, 'matched, but nothing came', 'Fast DDS profile'),
        ({'stamps': [], 'arrivals': [], 'publishers': []}, WARN, 'nobody publishes', 'start'),
    ],
)
def test_what_is_wrong_with_a_topic(fields, state, found, advice):
    finding = judge_topic(seen(**fields), 2)
    assert finding.state == state, finding
    assert found in finding.found
    assert advice in finding.advice


def test_good_calibration():
    finding = judge_calibration(seen(), info())
    assert finding.state == OK
    assert finding.found == '640x512, 65 degrees wide'


@pytest.mark.parametrize(
    ('given', 'state', 'found'),
    [
        (None, WARN, 'no camera_info beside it'),
        (Seen('/thermal/camera_info', 'CameraInfo', problem='fx is 0'), WARN, 'fx is 0'),
        (info(width=320, height=320, cx=160, cy=160), FAIL, '320x320'),
        (info(cx=500.0), WARN, 'principal point is 28% of the image from its middle'),
        (info(fx=900.0), WARN, 'fx and fy differ much'),
        (info(fx=20000.0, fy=20000.0), WARN, 'such a lens is rare'),
        (info(width=320, height=256, cx=160, cy=128), WARN, 'so it is scaled'),
    ],
)
def test_what_is_wrong_with_a_calibration(given, state, found):
    finding = judge_calibration(seen(), given)
    assert finding.state == state, finding
    assert found in finding.found


def test_listens_to_real_topics(ros_domain):
    rclpy = pytest.importorskip('rclpy')
    from depth_rig import image_message, info_message, picture
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CameraInfo, Image

    from monother_ros.doctor.topics import camera_topics

    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    camera = rclpy.create_node('camera', context=context)
    doctor = rclpy.create_node('doctor', context=context)
    best = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    images = camera.create_publisher(Image, '/thermal/image_raw', best)
    infos = camera.create_publisher(CameraInfo, '/thermal/camera_info', best)
    camera.create_publisher(Image, '/rgb/image_raw', best)
    camera.create_subscription(Image, '/thermal/image_raw', lambda msg: None, 5)
    pixels = picture(1)

    def publish():
        stamp = camera.get_clock().now().nanoseconds
        images.publish(image_message(pixels, stamp))
        infos.publish(info_message(160, 128, stamp=stamp))

    camera.create_timer(0.05, publish)
    for node in (camera, doctor):
        executor.add_node(node)
    try:
        section = camera_topics(doctor, executor, 1.0)
    finally:
        executor.shutdown()
        camera.destroy_node()
        doctor.destroy_node()
        rclpy.shutdown(context=context)
    found = {finding.name: finding for finding in section.findings}
    thermal = found['/thermal/image_raw']
    assert thermal.found.startswith('Image, mono16, 160x128, ')
    assert 'by /camera' in thermal.found and 'best effort' in thermal.found
    assert thermal.values['messages'] > 5
    assert found['calibration of /thermal/image_raw'].state == OK
    assert found['/rgb/image_raw'].state == FAIL
    assert 'nothing came' in found['/rgb/image_raw'].found
    mismatch = found['qos of /thermal/image_raw']
    assert mismatch.state == WARN
    assert mismatch.found.startswith('/camera wants reliable')


def test_nothing_to_listen_to(ros_domain):
    rclpy = pytest.importorskip('rclpy')
    from rclpy.executors import SingleThreadedExecutor

    from monother_ros.doctor.topics import camera_topics

    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    doctor = rclpy.create_node('doctor', context=context)
    executor.add_node(doctor)
    try:
        section = camera_topics(doctor, executor, 0.1)
    finally:
        executor.shutdown()
        doctor.destroy_node()
        rclpy.shutdown(context=context)
    assert [finding.state for finding in section.findings] == [INFO]
