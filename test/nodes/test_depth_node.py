# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node's outputs: what is published, when, and under which header."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
from depth_rig import (
    FRAME,
    SECOND,
    TYPES,
    CompressedImage,
    depth_of,
    image_message,
    info_message,
    picture,
    stamps,
)
from sensor_msgs.msg import CameraInfo, Image

from monother_ros.ros.messages import cloud_xyz, set_stamp, stamp_ns


def test_depth_has_the_thermal_images_stamp_frame_and_size(make_rig):
    rig = make_rig()
    rig.listen('depth/image_raw', 'depth/camera_info', 'confidence')
    rig.active().matched()
    msg = rig.first('depth/image_raw', width=320, height=256)
    rig.until(lambda: rig.received['confidence'] and rig.received['depth/camera_info'])
    assert (msg.width, msg.height, msg.encoding, msg.step) == (320, 256, '32FC1', 1280)
    assert msg.header.frame_id == FRAME
    sent = {100 * SECOND + i * (SECOND // 30) for i in range(1, rig.index + 1)}
    for topic in ('depth/image_raw', 'confidence', 'depth/camera_info'):
        assert set(stamps(rig.received[topic])) <= sent
    depth = depth_of(msg)
    known = depth[np.isfinite(depth)]
    # the network of the test bundle says 2 m for the warmest and 32 m for the coldest
    assert known.size == depth.size and 1.9 < known.min() < known.max() < 32.1
    index = (stamp_ns(msg) - 100 * SECOND) // (SECOND // 30)
    warm = picture(index, 320, 256).astype(float)
    assert np.corrcoef(cv2.blur(warm, (9, 9)).ravel(), depth.ravel())[0, 1] < -0.95
    info = rig.received['depth/camera_info'][-1]
    assert (info.width, info.height) == (320, 256)
    assert info.k[0] == pytest.approx(288.0) and info.header.frame_id == FRAME
    confidence = depth_of(rig.received['confidence'][-1])
    assert confidence.min() >= 0 and confidence.max() <= 1


def test_only_what_is_subscribed_to_is_computed(make_rig):
    rig = make_rig()
    rig.active()
    rig.until(lambda: rig.message('depth').startswith('idle'), tick=rig.shoot, what='idle')
    assert rig.node.statistics.processed == 0
    assert 'engine p50/p95/p99 [ms]' not in rig.node.statistics.values()
    rig.listen('depth/image_raw')
    rig.matched()
    rig.first('depth/image_raw')
    rig.until(lambda: 'engine p50/p95/p99 [ms]' in rig.node.statistics.values())
    timings = rig.node.statistics.values()
    assert not any(key.startswith(('cloud ', 'color ')) for key in timings)
    assert rig.node.outputs.published['cloud'] == rig.node.outputs.published['color'] == 0
    rig.listen('points', 'depth/color')
    rig.matched()
    rig.first('points')
    rig.first('depth/color')
    rig.ignore('points')
    rig.matched()
    rig.first('depth/image_raw')
    before = rig.node.outputs.published['cloud']
    rig.first('depth/image_raw')
    rig.first('depth/image_raw')
    assert rig.node.outputs.published['cloud'] == before


def test_camera_info_alone_does_not_run_the_engine(make_rig):
    rig = make_rig(output_size='network')
    rig.listen('depth/camera_info')
    rig.active().matched()
    info = rig.first('depth/camera_info', width=320, height=256)
    assert (info.width, info.height) == (160, 128)
    assert rig.node.statistics.processed == 0


def test_cloud_is_organised_and_agrees_with_depth(make_rig):
    rig = make_rig()
    rig.listen('depth/image_raw', 'points', 'depth/color')
    rig.active().matched()
    cloud = rig.first('points')
    rig.until(lambda: stamp_ns(cloud) in stamps(rig.received['depth/image_raw']))
    depth = depth_of(
        next(m for m in rig.received['depth/image_raw'] if stamp_ns(m) == stamp_ns(cloud))
    )
    assert (cloud.width, cloud.height, cloud.is_dense) == (160, 128, False)
    assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'confidence', 'intensity']
    assert cloud.header.frame_id == FRAME
    points = cloud_xyz(cloud).reshape(128, 160, 3)
    assert np.array_equal(points[..., 2], depth)
    # a pinhole of focal length 144 px with its centre in the middle
    u = np.arange(160) - 79.5
    assert np.allclose(points[40, :, 0], u / 144 * depth[40], atol=1e-4)
    color = rig.first('depth/color')
    assert (color.encoding, color.width, color.step) == ('bgr8', 160, 480)
    assert np.frombuffer(color.data, np.uint8).std() > 10


def test_compressed_input_keeps_sixteen_bits(make_rig):
    rig = make_rig(thermal_transport='compressed')
    publisher = rig.camera.create_publisher(CompressedImage, 'thermal/image_raw/compressed', 5)
    rig.listen('depth/image_raw')
    rig.until(lambda: publisher.get_subscription_count() > 0)
    rig.matched()

    def shoot():
        msg = CompressedImage(format='mono16; png compressed ')
        set_stamp(msg.header, rig.next_stamp())
        msg.data = cv2.imencode('.png', picture(rig.index))[1].tobytes()
        publisher.publish(msg)

    rig.until(lambda: rig.received['depth/image_raw'], tick=shoot, what='depth')
    depth = depth_of(rig.received['depth/image_raw'][-1])
    assert len(np.unique(depth)) > 1000


def test_eight_bit_big_endian_and_padded_images_give_the_same_depth(make_rig):
    rig = make_rig(process_shutter_frames=True)
    rig.listen('depth/image_raw')
    rig.active().matched()
    pixels = picture(1)
    padded = np.zeros((128, 200), np.uint16)
    padded[:, :160] = pixels
    views = {
        'plain': image_message(pixels, 0),
        'padded': image_message(padded, 0),
        'big': image_message(pixels.astype('>u2'), 0, '16UC1'),
    }
    views['padded'].width = 160
    views['big'].is_bigendian = 1
    depths = {}
    for name, msg in views.items():
        set_stamp(msg.header, rig.next_stamp())
        rig.image.publish(msg)
        rig.until(lambda m=msg: stamp_ns(m) in stamps(rig.received['depth/image_raw']), what=name)
        depths[name] = depth_of(rig.received['depth/image_raw'][-1])
    assert np.array_equal(depths['plain'], depths['padded'])
    assert np.array_equal(depths['plain'], depths['big'])


def test_telemetry_rows_are_cut_when_the_calibration_tells_the_height(make_rig):
    rig = make_rig()
    rig.listen('depth/image_raw')
    rig.active().matched()

    def shoot():
        stamp = rig.next_stamp()
        rig.info.publish(info_message(160, 128))
        rows = np.full((2, 160), 65535, np.uint16)
        rig.image.publish(image_message(np.vstack([rows, picture(rig.index)]), stamp))

    rig.until(lambda: any(m.height == 128 for m in rig.received['depth/image_raw']), tick=shoot)
    depth = depth_of(rig.received['depth/image_raw'][-1])
    assert np.isfinite(depth).all()


@pytest.mark.parametrize(
    'pose', ['parameter', 'none', pytest.param('approximate', marks=pytest.mark.ros_distro)]
)
def test_cloud_takes_colour_from_the_nearest_rgb_image(make_rig, pose):
    extrinsics = np.eye(4)
    extrinsics[0, 3] = 0.05
    values = {'rgb_extrinsics': extrinsics.ravel().tolist()} if pose != 'none' else {}
    if pose == 'approximate':
        pytest.importorskip('message_filters')
        values['sync_policy'] = pose
    rig = make_rig(**values)
    rgb = rig.camera.create_publisher(Image, 'rgb/image_raw', 5)
    rgb_info = rig.camera.create_publisher(CameraInfo, 'rgb/camera_info', 5)
    rig.listen('points')
    rig.active().matched()
    rig.until(lambda: rgb.get_subscription_count() and rgb_info.get_subscription_count())
    orange = np.zeros((150, 200, 3), np.uint8)
    orange[:] = (250, 120, 10)

    def shoot():
        rgb_info.publish(info_message(200, 150))
        rgb.publish(image_message(orange, rig.stamp + SECOND // 30, 'rgb8', 'rgb'))
        rig.shoot()

    rig.until(lambda: len(rig.received['points']) > 6, tick=shoot, what='points')
    cloud = rig.received['points'][-1]
    names = [f.name for f in cloud.fields]
    if pose == 'none':
        # depth and cloud go on without RGB, and the reason is told
        assert 'rgb' not in names
        rig.until(lambda: 'rgb input' in rig.health)
        text = ' '.join(v.key for v in rig.health['rgb input'].values)
        assert 'rgb_extrinsics' in text
        return
    assert names[-1] == 'rgb'
    packed = np.frombuffer(cloud.data, np.uint32).reshape(-1, 6)[:, 5]
    seen = packed[128 * 80]
    assert (seen >> 16 & 255, seen >> 8 & 255, seen & 255) == (250, 120, 10)
    rig.ignore('points')
    rig.until(lambda: rgb.get_subscription_count() == 0, what='unsubscribing from RGB')


def test_an_rgb_image_that_arrives_while_the_engine_works_colours_the_cloud(make_rig, monkeypatch):
    rig = make_rig(rgb_extrinsics=np.eye(4).ravel().tolist(), sync_slop=0.01)
    rgb = rig.camera.create_publisher(Image, 'rgb/image_raw', 5)
    rgb_info = rig.camera.create_publisher(CameraInfo, 'rgb/camera_info', 5)
    rig.listen('points')
    rig.active().matched()
    rig.until(lambda: rgb.get_subscription_count() and rgb_info.get_subscription_count())
    works = rig.node.engine.infer
    monkeypatch.setattr(
        rig.node.engine, 'infer', lambda inputs: (time.sleep(0.08), works(inputs))[1]
    )
    white = np.full((128, 160, 3), 255, np.uint8)

    def shoot():
        # thermal first, and no other RGB image within the slop
        rig.stamp += SECOND // 10
        stamp = rig.shoot()
        rgb_info.publish(info_message(160, 128))
        rgb.publish(image_message(white, stamp, 'rgb8', 'rgb'))

    rig.until(
        lambda: any(f.name == 'rgb' for m in rig.received['points'] for f in m.fields),
        tick=shoot,
        what='colour',
    )
    packed = np.frombuffer(rig.received['points'][-1].data, np.uint32).reshape(-1, 6)[:, 5]
    assert (packed[packed != 0] & 0xFFFFFF == 0xFFFFFF).any()


def test_all_outputs_of_one_image_carry_one_stamp(make_rig):
    rig = make_rig()
    rig.listen(*TYPES)
    rig.active().matched()
    rig.first('points')
    rig.until(lambda: all(rig.received.values()))
    stamp = stamp_ns(rig.received['points'][0])
    for topic in TYPES:
        assert stamp in stamps(rig.received[topic]), topic
