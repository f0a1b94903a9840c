# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
ROS messages read as arrays, without a copy for the usual encodings.

Every function takes rclpy messages and messages that rosbags has deserialised (ROS 1 or 2) alike:
only the field names matter. Nothing here needs a ROS installation but
:func:`camera_info_from_intrinsics` and the buffers of :mod:`monother_ros.ros.buffers`.
"""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError, MessageError
from monother_ros.ros.buffers import (
    CloudBuffer,
    ImageBuffer,
    OutputBuffers,
    camera_info_from_intrinsics,
)
from monother_ros.ros.cloud import cloud_fields, cloud_xyz
from monother_ros.ros.unusual import compressed_to_array, is_unusual, unusual_to_rgb

__all__ = [
    'CloudBuffer',
    'ImageBuffer',
    'OutputBuffers',
    'camera_info_from_intrinsics',
    'cloud_fields',
    'cloud_xyz',
    'compressed_to_array',
    'image_view',
    'intrinsics_from_camera_info',
    'message_to_array',
    'rgb_array',
    'set_stamp',
    'stamp_ns',
    'strip_telemetry',
    'thermal_array',
]

TELEMETRY_ROWS = 4
"""Most rows that a thermal camera puts beside its picture (Boson 2, Lepton up to 4)."""

_FIELDS = ('encoding', 'height', 'width', 'step', 'data')

_NAMED = {
    'mono8': ('u1', 1),
    'mono16': ('u2', 1),
    'rgb8': ('u1', 3),
    'bgr8': ('u1', 3),
    'rgba8': ('u1', 4),
    'bgra8': ('u1', 4),
    'rgb16': ('u2', 3),
    'bgr16': ('u2', 3),
    'rgba16': ('u2', 4),
    'bgra16': ('u2', 4),
}
_GENERIC = re.compile(r'(8U|8S|16U|16S|32S|32F|64F)C([1-9][0-9]?)')
_TYPES = {'8U': 'u1', '8S': 'i1', '16U': 'u2', '16S': 'i2', '32S': 'i4', '32F': 'f4', '64F': 'f8'}


def image_view(msg: Any, expected_height: int | None = None) -> NDArray[Any]:
    """
    Pixels of a sensor_msgs/Image without a copy.

    :param msg: the message; encodings mono8/16, rgb/bgr(a)8/16 and the generic ones (16UC1 …).
    :param expected_height: height of the picture, where the camera may put telemetry rows on top
        of it (see :func:`strip_telemetry`).
    :returns: (H, W) or (H, W, C), native byte order, read-only view into the message's own
        memory. Big-endian data and a step that is no multiple of the element size are copied.
    :raises MessageError: the message contradicts itself (empty, truncated, step too small), or its
        encoding is not one of these; the message says what to do.
    """
    encoding = str(msg.encoding)
    dtype, channels = _element(encoding)
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if height <= 0 or width <= 0:
        text = f'image is empty: {width}x{height} pixels; check the camera driver'
        raise MessageError(text)
    pixel = dtype.itemsize * channels
    if step < width * pixel:
        text = (
            f'step {step} is too small for {width} pixels of {encoding}, which take '
            f'{width * pixel} bytes: the driver has set encoding or step wrongly'
        )
        raise MessageError(text)
    size = len(msg.data) * getattr(msg.data, 'itemsize', 1)
    needed = (height - 1) * step + width * pixel
    if size < needed:
        text = (
            f'image is truncated: {size} bytes for {width}x{height} {encoding} with step {step}, '
            f'which takes {needed}; drop it, and check the driver and the transport'
        )
        raise MessageError(text)
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, pixel)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, dtype.itemsize)
    if getattr(msg, 'is_bigendian', 0) and dtype.itemsize > 1:
        dtype = dtype.newbyteorder('>')
    view: NDArray[Any] = np.ndarray(shape, dtype, memoryview(msg.data).cast('B'), 0, strides)
    if not view.dtype.isnative or not view.flags.aligned:
        view = np.ascontiguousarray(view, view.dtype.newbyteorder('='))
    view.flags.writeable = False
    return strip_telemetry(view, expected_height)


def strip_telemetry(
    image: NDArray[Any], expected_height: int | None, *, at_bottom: bool = False
) -> NDArray[Any]:
    """
    Picture without the telemetry rows of a Boson or Lepton (640x514 for a 640x512 picture).

    :param image: (H, W[, C]).
    :param expected_height: height of the picture from the calibration; None leaves it as it is,
        and so does a difference that cannot be telemetry (less than 1 or more than 4 rows).
    :param at_bottom: the camera is set to put the rows below the picture.
    :returns: a view.
    """
    rows = 0 if expected_height is None else image.shape[0] - expected_height
    if not 1 <= rows <= TELEMETRY_ROWS:
        return image
    return image[:-rows] if at_bottom else image[rows:]


def message_to_array(msg: Any, expected_height: int | None = None) -> NDArray[Any]:
    """
    Pixels of an Image or a CompressedImage in any encoding that is known.

    :returns: (H, W) as :func:`image_view`, or colour in **RGB** order, (H, W, 3); the order of
        a generic encoding such as 8UC3 is left as it is.
    :raises MessageError: see :func:`image_view`.
    """
    if hasattr(msg, 'format') and hasattr(msg, 'data'):
        return strip_telemetry(compressed_to_array(msg), expected_height)
    lost = [name for name in _FIELDS if not hasattr(msg, name)]
    if lost:
        text = f'the image has no field {", ".join(lost)}: its definition in the bag is damaged'
        raise MessageError(text)
    if is_unusual(msg.encoding):
        return strip_telemetry(unusual_to_rgb(msg), expected_height)
    view = image_view(msg, expected_height)
    order = re.sub('[0-9]+$', '', str(msg.encoding))
    conversions = {
        'bgr': cv2.COLOR_BGR2RGB,
        'bgra': cv2.COLOR_BGRA2RGB,
        'rgba': cv2.COLOR_RGBA2RGB,
    }
    return cv2.cvtColor(view, conversions[order]) if order in conversions else view


def rgb_array(msg: Any) -> NDArray[np.uint8]:
    """
    Colour picture of an Image or a CompressedImage.

    :returns: (H, W, 3) uint8 RGB; rgb8 without a copy, grey is repeated, 16 bit is cut to 8.
    :raises MessageError: the message cannot be read, or its pixels are no picture (32FC1).
    """
    image = message_to_array(msg)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        text = f'{_name(msg)} is no colour picture; remap the RGB topic to a camera image'
        raise MessageError(text)
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image[..., :3]


def thermal_array(msg: Any, expected_height: int | None = None) -> NDArray[Any]:
    """
    Thermal picture of an Image or a CompressedImage.

    mono8, mono16, 8UC1 and 16UC1 are views. Colour (a driver's AGC picture) becomes grey.
    Temperatures in 32FC1 become centikelvin, °C and K being told apart by the median; signed
    16 bit is moved up by 32768, which no normalisation minds that follows the frame.

    :param expected_height: height of the picture, to find telemetry rows.
    :returns: (H, W) uint8 or uint16.
    :raises MessageError: the message cannot be read or holds no thermal picture.
    """
    image = message_to_array(msg, expected_height)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim == 3 and image.shape[2] in (3, 4) and image.dtype in (np.uint8, np.uint16):
        return cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    if image.ndim == 2 and image.dtype in (np.uint8, np.uint16):
        return image
    if image.ndim == 2 and image.dtype == np.int16:
        return (image.astype(np.int32) + 32768).astype(np.uint16)
    if image.ndim == 2 and image.dtype in (np.float32, np.float64):
        finite = np.where(np.isfinite(image), image, 0.0)
        kelvin = finite if np.median(finite) > 150.0 else finite + 273.15
        return np.clip(np.rint(kelvin * 100.0), 0, 65535).astype(np.uint16)
    text = (
        f'{_name(msg)} is no thermal picture; use a topic of mono8, mono16, 16UC1 or 32FC1 '
        'temperatures'
    )
    raise MessageError(text)


def intrinsics_from_camera_info(msg: Any) -> Intrinsics:
    """
    Intrinsics of a sensor_msgs/CameraInfo, for the image that its driver sends.

    K and D are used. R and P are not: some thermal drivers keep Planck constants there. Region of
    interest and binning are applied, as K is that of the full sensor.

    :raises CalibrationError: the camera is not calibrated (K = 0), or a value is impossible.
    """
    k = [float(v) for v in _either(msg, 'k')]
    d = tuple(float(v) for v in _either(msg, 'd'))
    if len(k) != 9:
        text = f'K has {len(k)} numbers instead of 9; check the calibration file'
        raise CalibrationError(text)
    width, height, cx, cy = int(msg.width), int(msg.height), k[2], k[5]
    roi = getattr(msg, 'roi', None)
    if roi is not None and roi.width > 0 and roi.height > 0:
        cx, cy = cx - roi.x_offset, cy - roi.y_offset
        width, height = int(roi.width), int(roi.height)
    intrinsics = Intrinsics(
        width,
        height,
        k[0],
        k[4],
        cx,
        cy,
        str(msg.distortion_model).strip(),
        d if any(d) else (),
    )
    bx, by = (max(1, int(getattr(msg, f'binning_{axis}', 1) or 1)) for axis in 'xy')
    if bx > 1 or by > 1:
        intrinsics = intrinsics.scaled(max(1, width // bx), max(1, height // by))
    return intrinsics


def stamp_ns(header: Any) -> int:
    """
    Time of a header in nanoseconds.

    :param header: std_msgs/Header, or a message that has one.
    """
    stamp = getattr(header, 'header', header).stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def set_stamp(header: Any, nanoseconds: int) -> None:
    """Write a time in nanoseconds (0 or later) into a std_msgs/Header."""
    header.stamp.sec, header.stamp.nanosec = divmod(int(nanoseconds), 1_000_000_000)


def _element(encoding: str) -> tuple[np.dtype[Any], int]:
    """Element type and number of channels of an encoding."""
    if encoding in _NAMED:
        code, channels = _NAMED[encoding]
        return np.dtype(code), channels
    match = _GENERIC.fullmatch(encoding)
    if match:
        return np.dtype(_TYPES[match[1]]), int(match[2])
    text = (
        f'encoding {encoding!r} is not known; let the driver publish mono16 or 16UC1 (thermal) or '
        'rgb8 (colour)'
    )
    raise MessageError(text)


def _either(msg: Any, name: str) -> Any:
    """Field of a CameraInfo, whose matrices are upper-case in ROS 1."""
    for written in (name, name.upper()):
        if hasattr(msg, written):
            return getattr(msg, written)
    text = f'camera_info has no field {name}: its definition in the bag is damaged'
    raise CalibrationError(text)


def _name(msg: Any) -> str:
    """What a message says about its own pixels."""
    return f'an image of {getattr(msg, "encoding", None) or getattr(msg, "format", "?")!r}'
