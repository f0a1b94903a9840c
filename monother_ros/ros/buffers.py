# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages that are filled in place and published again and again.

The data field of a message holds an ``array.array('B')``; its getter returns that very object, and
``numpy.frombuffer`` makes a writable view of it. Results are computed straight into the message,
and ``publish`` serialises them: no copy of ours is left on the way. As publish has serialised the
message when it returns, the same message can carry the next frame.
"""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from monother_ros.core.camera import Intrinsics

CLOUD_FIELDS = ('x', 'y', 'z', 'confidence', 'intensity', 'rgb')
"""Fields of the published cloud, all float32; rgb (packed 0x00RRGGBB) only where colour is."""

_FLOAT32 = 7
_ENCODINGS = {
    ('float32', 1): '32FC1',
    ('uint16', 1): 'mono16',
    ('uint8', 1): 'mono8',
    ('uint8', 3): 'bgr8',
}


def _writable(message: Any, size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Give a message memory of so many bytes and return a writable view of it."""
    message.data = array.array('B', bytes(size))
    # not the array given: a setter without field checks stores a copy of it
    return np.frombuffer(message.data, dtype)


class ImageBuffer:
    """A sensor_msgs/Image whose pixels are a numpy array."""

    def __init__(self) -> None:
        """See the class; the message gets its size with the first :meth:`view`."""
        from sensor_msgs.msg import Image

        self._make = Image
        self.message: Any = Image()
        self._view: NDArray[Any] | None = None

    def view(
        self, shape: tuple[int, ...], dtype: DTypeLike, encoding: str | None = None
    ) -> NDArray[Any]:
        """
        Writable pixels of the message; the same memory until shape or type change.

        :param shape: (H, W) or (H, W, 3).
        :param dtype: float32, uint16 or uint8.
        :param encoding: of the message; by default 32FC1, mono16, mono8 or bgr8 (3 channels).
        """
        kind = np.dtype(dtype)
        if self._view is None or self._view.shape != shape or self._view.dtype != kind:
            channels = shape[2] if len(shape) == 3 else 1
            message = self._make()  # an old one may still be held by somebody
            message.header = self.message.header
            message.height, message.width = shape[:2]
            message.step = shape[1] * channels * kind.itemsize
            message.encoding = encoding or _ENCODINGS[kind.name, channels]
            message.is_bigendian = 0
            size = math.prod(shape) * kind.itemsize
            self._view = _writable(message, size, kind).reshape(shape)
            self.message = message
        if encoding is not None:
            self.message.encoding = encoding
        return self._view


class CloudBuffer:
    """An organised sensor_msgs/PointCloud2 whose points are a numpy array."""

    def __init__(self) -> None:
        """See the class; the message gets its size with the first :meth:`view`."""
        from sensor_msgs.msg import PointCloud2, PointField

        self._make, self._field = PointCloud2, PointField
        self.message: Any = PointCloud2()
        self._view: NDArray[np.float32] | None = None

    def view(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """
        Writable points of the message; the same memory until the shape changes.

        :param shape: (H, W, C): C = 5 for x y z confidence intensity, 6 with rgb.
        """
        if self._view is None or self._view.shape != shape:
            message = self._make()
            message.header = self.message.header
            message.height, message.width = shape[:2]
            message.point_step = 4 * shape[2]
            message.row_step = message.point_step * shape[1]
            message.is_bigendian = False
            message.is_dense = False
            message.fields = [
                self._field(name=name, offset=4 * i, datatype=_FLOAT32, count=1)
                for i, name in enumerate(CLOUD_FIELDS[: shape[2]])
            ]
            size = 4 * math.prod(shape)
            self._view = _writable(message, size, np.dtype(np.float32)).reshape(shape)
            self.message = message
        return self._view


class OutputBuffers:
    """
    The messages of one depth node; :meth:`allocate` is what a Pipeline asks for its outputs.

    :ivar images: ImageBuffer of 'depth', 'confidence' and 'color'.
    :ivar cloud: CloudBuffer of 'cloud'.
    """

    def __init__(self) -> None:
        """See the class."""
        self.images = {kind: ImageBuffer() for kind in ('depth', 'confidence', 'color')}
        self.cloud = CloudBuffer()

    def allocate(self, kind: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Memory of the message of one output; see Pipeline.process."""
        if kind == 'cloud':
            return self.cloud.view(shape)
        return self.images[kind].view(shape, dtype)

    def message(self, kind: str, header: Any) -> Any:
        """
        Message of one output, with a header.

        :param kind: 'depth', 'confidence', 'color' or 'cloud'.
        :param header: std_msgs/Header of the thermal image; it is referred to, not copied.
        """
        message = self.cloud.message if kind == 'cloud' else self.images[kind].message
        message.header = header
        return message


def camera_info_from_intrinsics(intrinsics: Intrinsics, header: Any = None) -> Any:
    """
    sensor_msgs/CameraInfo of an image that is not rectified: R is identity, P is [K|0].

    :param intrinsics: of the image that the message goes with.
    :param header: std_msgs/Header of that image.
    """
    from sensor_msgs.msg import CameraInfo

    info = CameraInfo()
    if header is not None:
        info.header = header
    info.width, info.height = intrinsics.width, intrinsics.height
    info.distortion_model = intrinsics.distortion_model
    info.d = [float(v) for v in intrinsics.distortion] or [0.0] * (
        4 if intrinsics.distortion_model == 'equidistant' else 5
    )
    k = intrinsics.matrix
    info.k = [float(v) for v in k.ravel()]
    info.r = [float(v) for v in np.eye(3).ravel()]
    info.p = [float(v) for v in np.c_[k, np.zeros(3)].ravel()]
    return info
