# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bayer, YUV and compressed images: through cv_bridge where it is installed, else OpenCV."""

from __future__ import annotations

import functools
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.encoded import encoded_problem
from monother_ros.core.errors import MessageError

# OpenCV names a pattern by its second row, ROS by its first
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_YUV = {
    'uyvy': cv2.COLOR_YUV2RGB_UYVY,
    'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'yuyv': cv2.COLOR_YUV2RGB_YUY2,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUY2,
    'nv21': cv2.COLOR_YUV2RGB_NV21,
}
_DEPTH_HEADER = struct.Struct('<iff')


def is_unusual(encoding: str) -> bool:
    """Whether an Image of this encoding needs :func:`unusual_to_rgb`."""
    return encoding.startswith('bayer_') or encoding in _YUV or encoding == 'nv24'


@functools.cache
def _bridge() -> Any:
    """Return a CvBridge, or None where cv_bridge is not installed or does not fit this NumPy."""
    try:
        from cv_bridge import CvBridge
    except Exception:  # a cv_bridge built for another NumPy raises more than ImportError
        return None
    return CvBridge()


def unusual_to_rgb(msg: Any) -> NDArray[Any]:
    """
    Colour picture of a sensor_msgs/Image in a Bayer or YUV encoding.

    :returns: (H, W, 3) uint8 or uint16 RGB.
    :raises MessageError: the data is shorter than the header says or the encoding is not known.
    """
    encoding, height, width = str(msg.encoding), int(msg.height), int(msg.width)
    wide = encoding.endswith('16')
    planar = encoding in ('nv21', 'nv24')
    rows = height * 3 // 2 if encoding == 'nv21' else height
    pixel = 1 if planar else 2 if wide or encoding in _YUV else 1
    step = int(msg.step)
    if height <= 0 or width <= 0 or step < width * pixel:
        text = f'{width}x{height} {encoding} with step {step} cannot be; check the camera driver'
        raise MessageError(text)
    data = np.frombuffer(msg.data, np.uint8)
    if data.size < (rows - 1) * step + width * pixel:
        text = f'image is truncated: {data.size} bytes for {width}x{height} {encoding}; drop it'
        raise MessageError(text)
    bridge = _bridge()
    if bridge is not None:
        try:
            image: NDArray[Any] = bridge.imgmsg_to_cv2(msg, 'rgb16' if wide else 'rgb8')
        except Exception:  # not known to this version: OpenCV below may know it
            bridge = None
        else:
            return image
    big = bool(getattr(msg, 'is_bigendian', False))
    order = '>u2' if wide and big else '<u2' if wide else 'u1'
    channels = 2 if encoding in _YUV and not planar else 1
    item = np.dtype(order).itemsize
    plane: NDArray[Any] = np.ndarray(
        (rows, width, channels), order, data.data, 0, (step, item * channels, item)
    ).astype(np.uint16 if wide else np.uint8)
    plane = np.ascontiguousarray(plane if channels > 1 else plane[..., 0])
    pattern = encoding[6:10]
    try:
        if encoding.startswith('bayer_') and pattern in _BAYER:
            return cv2.cvtColor(plane, _BAYER[pattern])
        if encoding in _YUV:
            return cv2.cvtColor(plane, _YUV[encoding])
    except cv2.error as err:
        text = f'{width}x{height} {encoding} cannot be converted: {err.err}'
        raise MessageError(text) from err
    text = f'encoding {encoding!r} needs cv_bridge, which is not installed; publish rgb8 or mono8'
    raise MessageError(text)


def compressed_to_array(msg: Any) -> NDArray[Any]:
    """
    Picture of a sensor_msgs/CompressedImage: PNG, JPEG, or compressedDepth of PNG.

    A 16-bit PNG stays 16 bit. A 16-bit picture that was sent as JPEG has lost its low bits before
    it came here, and arrives as uint8.

    :returns: (H, W) uint8 or uint16; (H, W, 3) RGB; or (H, W) float32 metres with NaN where
        unknown, for compressedDepth of a 32FC1 image.
    :raises MessageError: the data is empty, damaged or of another kind.
    """
    form = str(msg.format)
    data = np.frombuffer(msg.data, np.uint8)
    if data.size == 0:
        text = f'compressed image ({form}) is empty; check the camera driver'
        raise MessageError(text)
    depth = 'compressedDepth' in form
    header = (0, 0.0, 0.0)
    if depth:
        if 'rvl' in form.lower() or data.size <= _DEPTH_HEADER.size:
            text = f'{form!r} cannot be read; set the compressedDepth transport to png'
            raise MessageError(text)
        header = _DEPTH_HEADER.unpack(data[: _DEPTH_HEADER.size].tobytes())
        data = data[_DEPTH_HEADER.size :]
    problem = encoded_problem(data.tobytes())
    if problem:
        text = f'compressed image ({form}) is damaged: {problem}; drop it, and check the transport'
        raise MessageError(text)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as err:
        text = f'compressed image ({form}) cannot be decoded: {err.err}'
        raise MessageError(text) from err
    if image is None:
        text = (
            f'compressed image ({form}, {data.size} bytes) is damaged or neither PNG nor JPEG; '
            'drop it, and check the transport'
        )
        raise MessageError(text)
    if depth and form.startswith('32FC1'):
        quantum, offset = header[1:]
        with np.errstate(divide='ignore', invalid='ignore'):
            metres = np.float32(quantum) / (image.astype(np.float32) - np.float32(offset))
        return np.where(image > 0, metres, np.float32(np.nan))
    if image.ndim == 3:
        code = cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
        return cv2.cvtColor(image, code)
    return image
