# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import array
import struct
import time
from types import SimpleNamespace as Fields

import cv2
import numpy as np
import pytest

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError, MessageError
from monother_ros.ros import unusual
from monother_ros.ros.messages import (
    CloudBuffer,
    ImageBuffer,
    OutputBuffers,
    camera_info_from_intrinsics,
    cloud_fields,
    cloud_xyz,
    compressed_to_array,
    image_view,
    intrinsics_from_camera_info,
    message_to_array,
    rgb_array,
    set_stamp,
    stamp_ns,
    strip_telemetry,
    thermal_array,
)


def image(pixels, encoding, pad=0, big=False, kind=bytes):
    """Message of an array, its rows padded by some bytes, its data of any type."""
    pixels = np.ascontiguousarray(pixels)
    if big:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    height, width = pixels.shape[:2]
    rows = np.frombuffer(pixels.tobytes(), np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, pad)), constant_values=0xAB)
    return Fields(
        height=height,
        width=width,
        encoding=encoding,
        step=data.shape[1],
        is_bigendian=int(big),
        data=kind(data.tobytes()),
    )


def as_array(data):
    return array.array('B', data)


def as_numpy(data):
    return np.frombuffer(data, np.uint8)


RNG = np.random.default_rng(0)
THERMAL = RNG.integers(0, 65536, (6, 8), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize('kind', [bytes, bytearray, as_array, as_numpy])
@pytest.mark.parametrize('pad', [0, 3, 4])
@pytest.mark.parametrize(
    ('encoding', 'dtype', 'channels'),
    [
        ('mono8', 'u1', 1),
        ('8UC1', 'u1', 1),
        ('mono16', 'u2', 1),
        ('16UC1', 'u2', 1),
        ('16SC1', 'i2', 1),
        ('32FC1', 'f4', 1),
        ('64FC1', 'f8', 1),
        ('rgb8', 'u1', 3),
        ('bgra8', 'u1', 4),
        ('16UC3', 'u2', 3),
        ('32FC2', 'f4', 2),
    ],
)
def test_every_usual_encoding(encoding, dtype, channels, pad, kind):
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    pixels = RNG.integers(0, 100, shape).astype(dtype)
    view = image_view(image(pixels, encoding, pad, kind=kind))
    assert view.dtype == pixels.dtype
    np.testing.assert_array_equal(view, pixels)


@pytest.mark.parametrize('pad', [0, 6])
def test_usual_images_are_views_and_read_only(pad):
    msg = image(THERMAL, 'mono16', pad, kind=as_array)
    view = image_view(msg)
    assert not view.flags.writeable
    msg.data[0] ^= 0xFF
    assert view[0, 0] == THERMAL[0, 0] ^ 0xFF


def test_counts_above_32767():
    assert image_view(image(np.array([[65535, 32768]], np.uint16), '16UC1')).max() == 65535


@pytest.mark.parametrize('pad', [0, 2, 3])
def test_big_endian(pad):
    view = image_view(image(THERMAL, 'mono16', pad, big=True))
    assert view.dtype.isnative
    np.testing.assert_array_equal(view, THERMAL)


def test_data_behind_the_picture_is_ignored():
    msg = image(THERMAL, '16UC1')
    msg.data += b'driver buffer'
    np.testing.assert_array_equal(image_view(msg), THERMAL)


def test_last_row_may_lack_its_padding():
    msg = image(THERMAL, '16UC1', pad=8)
    msg.data = msg.data[:-8]
    np.testing.assert_array_equal(image_view(msg), THERMAL)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'data': b''}, 'truncated: 0 bytes for 8x6 mono16'),
        ({'height': 7}, 'truncated: 96 bytes for 8x7'),
        ({'width': 0}, 'image is empty: 0x6 pixels'),
        ({'height': 0}, 'image is empty'),
        ({'step': 8}, 'step 8 is too small for 8 pixels of mono16, which take 16'),
        ({'step': 0}, 'step 0 is too small'),
        ({'step': 18}, 'truncated: 96 bytes'),
        ({'encoding': 'rgb8'}, 'step 16 is too small'),
        ({'encoding': ''}, "encoding '' is not known; let the driver publish mono16"),
        ({'encoding': 'Y14'}, "encoding 'Y14' is not known"),
        ({'encoding': '16UC0'}, 'is not known'),
    ],
)
def test_every_defect_says_what_to_do(change, sentence):
    msg = image(THERMAL, 'mono16')
    vars(msg).update(change)
    with pytest.raises(MessageError, match=sentence):
        image_view(msg)
    with pytest.raises(MessageError):
        thermal_array(msg)


@pytest.mark.parametrize('rows', [1, 2, 4])
def test_telemetry_rows_on_top(rows):
    full = np.vstack([np.full((rows, 8), 9, np.uint16), THERMAL])
    np.testing.assert_array_equal(image_view(image(full, '16UC1'), 6), THERMAL)
    np.testing.assert_array_equal(thermal_array(image(full, '16UC1'), 6), THERMAL)


def test_what_is_no_telemetry_stays():
    assert strip_telemetry(THERMAL, None) is THERMAL
    assert strip_telemetry(THERMAL, 6) is THERMAL
    assert strip_telemetry(THERMAL, 7) is THERMAL
    assert strip_telemetry(THERMAL, 1) is THERMAL
    np.testing.assert_array_equal(strip_telemetry(THERMAL, 4, at_bottom=True), THERMAL[:-2])


def test_thermal_of_colour_and_temperatures():
    grey = np.repeat(THERMAL.astype(np.uint8)[..., None], 3, -1)
    for encoding in ('rgb8', 'bgr8'):
        np.testing.assert_array_equal(thermal_array(image(grey, encoding)), grey[..., 0])
    celsius = np.array([[20.0, 30.0, -10.0], [15.0, np.nan, 1e9]], np.float32)
    counts = [[29315, 30315, 26315], [28815, 27315, 65535]]
    np.testing.assert_allclose(thermal_array(image(celsius, '32FC1')), counts, atol=1)
    kelvin = np.array([[293.15, 303.15]], np.float32)
    np.testing.assert_allclose(thermal_array(image(kelvin, '32FC1')), [[29315, 30315]], atol=1)
    signed = np.array([[-32768, 0, 32767]], np.int16)
    assert thermal_array(image(signed, '16SC1')).tolist() == [[0, 32768, 65535]]
    with pytest.raises(MessageError, match='is no thermal picture'):
        thermal_array(image(np.zeros((2, 2, 2), np.float32), '32FC2'))


def test_colour_in_rgb_order():
    np.testing.assert_array_equal(rgb_array(image(COLOUR, 'rgb8')), COLOUR)
    np.testing.assert_array_equal(rgb_array(image(COLOUR[..., ::-1], 'bgr8')), COLOUR)
    with_alpha = np.dstack([COLOUR, np.full((6, 8), 7, np.uint8)])
    np.testing.assert_array_equal(rgb_array(image(with_alpha, 'rgba8')), COLOUR)
    np.testing.assert_array_equal(rgb_array(image(with_alpha[..., [2, 1, 0, 3]], 'bgra8')), COLOUR)
    wide = COLOUR[..., ::-1].astype(np.uint16) * 256 + 99
    np.testing.assert_array_equal(rgb_array(image(wide, 'bgr16')), COLOUR)
    grey = rgb_array(image(COLOUR[..., 0], 'mono8'))
    np.testing.assert_array_equal(grey, np.repeat(COLOUR[..., :1], 3, -1))
    with pytest.raises(MessageError, match='is no colour picture'):
        rgb_array(image(np.zeros((2, 2), np.float32), '32FC1'))


PATTERNS = {'rggb': 'RGGB', 'bggr': 'BGGR', 'gbrg': 'GBRG', 'grbg': 'GRBG'}


@pytest.mark.parametrize('wide', [False, True])
@pytest.mark.parametrize('pattern', PATTERNS)
def test_bayer(pattern, wide):
    scale = 256 if wide else 1
    value = {'R': 200 * scale, 'G': 100 * scale, 'B': 50 * scale}
    tile = np.array([value[c] for c in PATTERNS[pattern]]).reshape(2, 2)
    mosaic = np.tile(tile, (8, 8)).astype(np.uint16 if wide else np.uint8)
    rgb = message_to_array(image(mosaic, f'bayer_{pattern}{16 if wide else 8}', pad=2))
    assert rgb.dtype == mosaic.dtype
    assert (rgb[4:-4, 4:-4] == [value['R'], value['G'], value['B']]).all()
    big = message_to_array(image(mosaic, f'bayer_{pattern}{16 if wide else 8}', big=wide))
    np.testing.assert_array_equal(rgb, big)


@pytest.mark.parametrize('encoding', ['uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'])
def test_yuv(encoding):
    luma, u, v = 120, 90, 200
    order = [u, luma, v, luma] if encoding in ('uyvy', 'yuv422') else [luma, u, luma, v]
    pixels = np.tile(np.array(order, np.uint8).reshape(1, 2, 2), (6, 4, 1))
    rgb = message_to_array(image(pixels, encoding, pad=4))
    expected = cv2.cvtColor(np.full((1, 1, 3), (luma, v, u), np.uint8), cv2.COLOR_YCrCb2RGB)[0, 0]
    assert rgb.shape == (6, 8, 3)
    assert np.abs(rgb.astype(int) - expected).max() < 25
    assert rgb[0, 0, 0] > rgb[0, 0, 2]


def test_nv21():
    data = np.full((9, 8), 128, np.uint8)
    msg = image(data, 'nv21')
    msg.height = 6
    rgb = message_to_array(msg)
    assert rgb.shape == (6, 8, 3)
    assert rgb.std() == 0


@pytest.mark.parametrize(
    ('encoding', 'change', 'sentence'),
    [
        ('bayer_rggb8', {'height': 9}, 'truncated'),
        ('bayer_rggb8', {'step': 3}, 'step 3 cannot be'),
        ('bayer_rggb8', {'width': 0}, 'cannot be'),
        ('yuyv', {}, 'step 8 cannot be'),
        ('nv21', {}, 'truncated'),
        ('bayer_xxxx8', {}, 'needs cv_bridge'),
        ('nv24', {}, 'needs cv_bridge'),
    ],
)
def test_defects_of_unusual_images(encoding, change, sentence, monkeypatch):
    monkeypatch.setattr(unusual, '_bridge', lambda: None)
    msg = image(np.zeros((6, 8), np.uint8), encoding)
    vars(msg).update(change)
    with pytest.raises(MessageError, match=sentence):
        message_to_array(msg)


@pytest.mark.ros_distro
def test_cv_bridge_agrees_with_opencv(monkeypatch):
    pytest.importorskip('cv_bridge')
    sensor_msgs = pytest.importorskip('sensor_msgs.msg')
    mosaic = cv2.GaussianBlur(RNG.uniform(0, 255, (16, 16)), (0, 0), 3).astype(np.uint8)
    msg = sensor_msgs.Image(height=16, width=16, encoding='bayer_rggb8', step=16)
    msg.data = array.array('B', mosaic.tobytes())
    if unusual._bridge() is None:
        pytest.skip('cv_bridge does not fit this NumPy')
    with_bridge = unusual.unusual_to_rgb(msg)
    monkeypatch.setattr(unusual, '_bridge', lambda: None)
    np.testing.assert_array_equal(with_bridge, unusual.unusual_to_rgb(msg))


def compressed(form, pixels, extension='.png', header=b''):
    return Fields(format=form, data=header + cv2.imencode(extension, pixels)[1].tobytes())


def test_png_keeps_16_bit():
    np.testing.assert_array_equal(
        thermal_array(compressed('mono16; png compressed', THERMAL)), THERMAL
    )
    telemetry = np.vstack([THERMAL[:2], THERMAL])
    np.testing.assert_array_equal(
        thermal_array(compressed('16UC1; png compressed', telemetry), 6), THERMAL
    )


def test_compressed_colour_is_rgb():
    msg = compressed('rgb8; png compressed bgr8', COLOUR[..., ::-1])
    np.testing.assert_array_equal(compressed_to_array(msg), COLOUR)
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    jpeg = compressed('jpeg', flat[..., ::-1], '.jpg')
    assert np.abs(rgb_array(jpeg).astype(int) - flat).max() < 4


def test_compressed_depth():
    header = struct.pack('<iff', 0, 0, 0)
    msg = compressed('16UC1; compressedDepth png', THERMAL, header=header)
    np.testing.assert_array_equal(compressed_to_array(msg), THERMAL)
    a, b = 2000.0, -30.0
    depth = RNG.uniform(0.5, 20, (6, 8)).astype(np.float32)
    coded = np.rint(a / depth + b).astype(np.uint16)
    coded[0, 0] = 0
    msg = compressed('32FC1; compressedDepth', coded, header=struct.pack('<iff', 1, a, b))
    decoded = compressed_to_array(msg)
    assert np.isnan(decoded[0, 0])
    np.testing.assert_allclose(decoded.ravel()[1:], depth.ravel()[1:], rtol=0.15)
    np.testing.assert_allclose(decoded.ravel()[1:], a / (coded.ravel()[1:] - b), rtol=1e-5)


@pytest.mark.parametrize(
    ('msg', 'sentence'),
    [
        (Fields(format='png', data=b''), 'is empty'),
        (Fields(format='png', data=b'\x89PNG\r\n\x1a\n' + b'\0' * 50), 'is damaged|cannot be'),
        (Fields(format='jpeg', data=b'not an image'), 'neither PNG nor JPEG'),
        (Fields(format='16UC1; compressedDepth rvl', data=b'\0' * 50), 'transport to png'),
        (Fields(format='16UC1; compressedDepth png', data=b'\0' * 12), 'cannot be read'),
    ],
)
def test_defects_of_compressed_images(msg, sentence):
    with pytest.raises(MessageError, match=sentence):
        compressed_to_array(msg)


def info(**change):
    fields = {
        'width': 640,
        'height': 512,
        'distortion_model': 'plumb_bob',
        'd': [-0.25, 0.1, 0.0, 0.0, 0.0],
        'k': [500.0, 0, 320.0, 0, 505.0, 256.0, 0, 0, 1],
        'r': [1.0] * 9,
        'binning_x': 0,
        'binning_y': 0,
        'roi': Fields(x_offset=0, y_offset=0, width=0, height=0),
    }
    return Fields(**(fields | change))


def test_camera_info():
    camera = intrinsics_from_camera_info(info())
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 505, 320, 256)
    assert camera.distortion == (-0.25, 0.1, 0, 0, 0)


def test_planck_constants_in_r_are_no_rotation():
    with_planck = info(r=[1428.0, 1.0, -88.5, 380747.0, 0, 0, 0, 0, 0])
    assert intrinsics_from_camera_info(with_planck) == intrinsics_from_camera_info(info())


def test_camera_info_of_ros_1_and_of_real_files():
    ros1 = info()
    ros1.K, ros1.D = ros1.__dict__.pop('k'), ros1.__dict__.pop('d')
    assert intrinsics_from_camera_info(ros1) == intrinsics_from_camera_info(info())
    four = intrinsics_from_camera_info(info(d=[-0.25, 0.1, 0.0, 0.0]))
    assert len(four.distortion) == 4
    assert intrinsics_from_camera_info(info(d=[0.0] * 5)).distortion == ()
    assert intrinsics_from_camera_info(info(distortion_model='radtan')).distortion_model


def test_region_of_interest_and_binning():
    roi = Fields(x_offset=100, y_offset=50, width=320, height=256)
    camera = intrinsics_from_camera_info(info(roi=roi, binning_x=2, binning_y=2))
    assert (camera.width, camera.height, camera.fx) == (160, 128, 250)
    assert camera.cx == pytest.approx((220 + 0.5) / 2 - 0.5)
    assert camera.cy == pytest.approx((206 + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'k': [0.0] * 9}, 'not calibrated'),
        ({'k': [1.0] * 8}, '8 numbers instead of 9'),
        ({'width': 0}, 'not positive'),
        ({'distortion_model': 'own'}, 'not known'),
        ({'d': [0.1] * 7}, '7 distortion coefficients'),
    ],
)
def test_camera_infos_that_cannot_be_used(change, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        intrinsics_from_camera_info(info(**change))


def point_cloud(points, pad_point=4, pad_row=8, big=False, **change):
    """Organised (H, W, 4) cloud of x y z intensity, intensity as uint16, with gaps."""
    order = '>' if big else '<'
    dtype = np.dtype(
        {
            'names': ['x', 'y', 'z', 'intensity'],
            'formats': [f'{order}f4', f'{order}f4', f'{order}f8', f'{order}u2'],
            'offsets': [0, 4, 8, 16],
            'itemsize': 18 + pad_point,
        }
    )
    height, width = points.shape[:2]
    packed = np.zeros((height, width), dtype)
    for i, name in enumerate(dtype.names):
        packed[name] = points[..., i]
    rows = np.frombuffer(packed.tobytes(), np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, pad_row)))
    codes = {'x': 7, 'y': 7, 'z': 8, 'intensity': 4}
    fields = {
        'height': height,
        'width': width,
        'point_step': dtype.itemsize,
        'row_step': data.shape[1],
        'is_bigendian': big,
        'fields': [
            Fields(name=n, offset=dtype.fields[n][1], datatype=codes[n], count=1)
            for n in dtype.names
        ],
        'data': data.tobytes(),
    }
    return Fields(**(fields | change))


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('shape', [(3, 5), (1, 7)])
def test_cloud_fields(shape, big):
    points = RNG.uniform(0, 50, (*shape, 4)).round()
    points[0, 1, 0] = np.nan
    msg = point_cloud(points, big=big)
    flat = points.reshape(-1, 4)
    np.testing.assert_array_equal(cloud_fields(msg, ('intensity', 'x')), flat[:, [3, 0]])
    xyz = cloud_xyz(msg)
    assert xyz.dtype == np.float32
    np.testing.assert_array_equal(xyz, flat[np.isfinite(flat[:, 0])][:, :3])


def test_cloud_defects():
    points = np.ones((3, 5, 4))
    with pytest.raises(MessageError, match="no field 'ring', only"):
        cloud_fields(point_cloud(points), ('ring',))
    msg = point_cloud(points)
    msg.data = msg.data[:-20]
    with pytest.raises(MessageError, match='is truncated'):
        cloud_xyz(msg)
    with pytest.raises(MessageError, match='is truncated'):
        cloud_xyz(point_cloud(points, row_step=10))
    msg = point_cloud(points)
    msg.fields[0].datatype = 99
    with pytest.raises(MessageError, match='impossible datatype 99'):
        cloud_xyz(msg)
    msg = point_cloud(points)
    msg.fields[2].offset = 16
    with pytest.raises(MessageError, match='offset 16'):
        cloud_xyz(msg)
    assert cloud_xyz(point_cloud(np.ones((1, 0, 4)))).shape == (0, 3)
    assert cloud_xyz(point_cloud(np.ones((1, 4, 4)), row_step=0)).shape == (4, 3)


def test_stamps():
    header = Fields(stamp=Fields(sec=3, nanosec=7))
    assert stamp_ns(header) == 3_000_000_007
    assert stamp_ns(Fields(header=header)) == 3_000_000_007
    set_stamp(header, 12_000_000_345)
    assert (header.stamp.sec, header.stamp.nanosec) == (12, 345)


def test_real_bags_are_read(shared):
    highlevel = pytest.importorskip('rosbags.highlevel')
    from rosbags.typesys import Stores, get_typestore

    seen = {}
    for path in sorted(shared('data/bags').iterdir()):
        if path.suffix not in ('.bag', '.mcap'):
            continue
        with highlevel.AnyReader(
            [path], default_typestore=get_typestore(Stores.ROS2_JAZZY)
        ) as reader:
            for connection, _, raw in reader.messages():
                kind = connection.msgtype.split('/')[-1]
                if kind not in ('Image', 'CompressedImage', 'CameraInfo', 'PointCloud2'):
                    continue
                msg = reader.deserialize(raw, connection.msgtype)
                if kind == 'PointCloud2':
                    result = len(cloud_xyz(msg))
                elif kind == 'CameraInfo':
                    result = intrinsics_from_camera_info(msg).fx
                else:
                    result = rgb_array(msg).size
                assert result > 0
                seen[kind] = seen.get(kind, 0) + 1
    assert seen.keys() == {'Image', 'CompressedImage', 'CameraInfo', 'PointCloud2'}
    assert seen['CameraInfo'] >= 15


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
