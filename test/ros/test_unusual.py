# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import array
import struct
from types import SimpleNamespace as Fields

import cv2
import numpy as np
import pytest
from ros_images import COLOUR, RNG, THERMAL, image

from monother_ros.core.errors import MessageError
from monother_ros.ros import unusual
from monother_ros.ros.messages import (
    compressed_to_array,
    message_to_array,
    rgb_array,
    thermal_array,
)

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
