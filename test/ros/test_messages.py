# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from types import SimpleNamespace as Fields

import numpy as np
import pytest
from ros_images import COLOUR, RNG, THERMAL, as_array, as_numpy, image

from monother_ros.core.errors import CalibrationError, MessageError
from monother_ros.ros.messages import (
    cloud_fields,
    cloud_xyz,
    image_view,
    intrinsics_from_camera_info,
    rgb_array,
    set_stamp,
    stamp_ns,
    strip_telemetry,
    thermal_array,
)


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
