# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated measurements as serialised ROS 2 messages (CDR), made without any ROS installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

if TYPE_CHECKING:
    from monother_ros.core.camera import Intrinsics
    from monother_ros.sim.rig import Rig

STORE = get_typestore(Stores.ROS2_HUMBLE)
"""Definitions that did not change from Humble on for the types written here."""

BASE_FRAME = 'base_link'
THERMAL_FRAME = 'thermal_optical_frame'
RGB_FRAME = 'rgb_optical_frame'
LIDAR_FRAME = 'lidar_frame'

JPEG_QUALITY = 92
FLOAT32 = 7
"""sensor_msgs/PointField FLOAT32."""


def _new(msgtype: str, **fields: Any) -> Any:
    return STORE.types[msgtype](**fields)


def _cdr(message: Any, msgtype: str) -> bytes:
    return bytes(STORE.serialize_cdr(message, msgtype))


def _header(stamp_ns: int, frame_id: str) -> Any:
    seconds, rest = divmod(stamp_ns, 1_000_000_000)
    stamp = _new('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)
    return _new('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def image(array: NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> bytes:
    """
    sensor_msgs/Image.

    :param array: (H, W) or (H, W, C) in the byte order of a little-endian machine.
    :param encoding: as sensor_msgs names it: mono16, rgb8, 32FC1.
    :param stamp_ns: header stamp, nanoseconds.
    :param frame_id: optical frame.
    """
    pixels = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
    message = _new(
        'sensor_msgs/msg/Image',
        header=_header(stamp_ns, frame_id),
        height=array.shape[0],
        width=array.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.reshape(-1).view(np.uint8),
    )
    return _cdr(message, 'sensor_msgs/msg/Image')


def jpeg(rgb: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> bytes:
    """
    sensor_msgs/CompressedImage with a JPEG, labelled as compressed_image_transport does.

    :param rgb: (H, W, 3) uint8 red, green, blue.
    :param stamp_ns: header stamp, nanoseconds.
    :param frame_id: optical frame.
    """
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, coded = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    message = _new(
        'sensor_msgs/msg/CompressedImage',
        header=_header(stamp_ns, frame_id),
        format='rgb8; jpeg compressed bgr8',
        data=np.asarray(coded, np.uint8).reshape(-1),
    )
    return _cdr(message, 'sensor_msgs/msg/CompressedImage')


def camera_info(intrinsics: Intrinsics, stamp_ns: int, frame_id: str) -> bytes:
    """
    sensor_msgs/CameraInfo of an unrectified monocular camera (R is the identity, P holds K).

    :param intrinsics: of the image.
    :param stamp_ns: header stamp, nanoseconds.
    :param frame_id: optical frame.
    """
    k = intrinsics.matrix
    roi = _new(
        'sensor_msgs/msg/RegionOfInterest',
        x_offset=0,
        y_offset=0,
        height=0,
        width=0,
        do_rectify=False,
    )
    message = _new(
        'sensor_msgs/msg/CameraInfo',
        header=_header(stamp_ns, frame_id),
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model=intrinsics.distortion_model,
        d=np.asarray(intrinsics.distortion, np.float64),
        k=k.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([k, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )
    return _cdr(message, 'sensor_msgs/msg/CameraInfo')


def cloud(points: NDArray[np.float32], stamp_ns: int, frame_id: str) -> bytes:
    """
    sensor_msgs/PointCloud2 with x, y, z, intensity.

    :param points: (N, 4) float32.
    :param stamp_ns: header stamp, nanoseconds.
    :param frame_id: frame of x, y, z.
    """
    fields = [
        _new('sensor_msgs/msg/PointField', name=name, offset=4 * i, datatype=FLOAT32, count=1)
        for i, name in enumerate(('x', 'y', 'z', 'intensity'))
    ]
    message = _new(
        'sensor_msgs/msg/PointCloud2',
        header=_header(stamp_ns, frame_id),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=np.ascontiguousarray(points, '<f4').reshape(-1).view(np.uint8),
        is_dense=True,
    )
    return _cdr(message, 'sensor_msgs/msg/PointCloud2')


def text(content: str) -> bytes:
    """std_msgs/String."""
    return _cdr(_new('std_msgs/msg/String', data=content), 'std_msgs/msg/String')


def quaternion(turn: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """
    Unit quaternion of a rotation, by the eigenvector of the largest eigenvalue (Bar-Itzhack).

    :param turn: (3, 3) rotation matrix.
    :returns: x, y, z, w with w >= 0.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = turn
    k = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    _, vectors = np.linalg.eigh(k / 3.0, UPLO='L')
    q = vectors[:, -1]
    q = q if q[3] >= 0 else -q
    return float(q[0]), float(q[1]), float(q[2]), float(q[3])


def static_transforms(rig: Rig, stamp_ns: int) -> bytes:
    """
    tf2_msgs/TFMessage with the mounting of every sensor on `base_link`.

    :param rig: sensors.
    :param stamp_ns: header stamp, nanoseconds.
    """
    transforms = []
    for frame, matrix in (
        (THERMAL_FRAME, rig.base_from_thermal),
        (RGB_FRAME, rig.base_from_rgb),
        (LIDAR_FRAME, rig.base_from_lidar),
    ):
        x, y, z = (float(v) for v in matrix[:3, 3])
        qx, qy, qz, qw = quaternion(matrix[:3, :3])
        transforms.append(
            _new(
                'geometry_msgs/msg/TransformStamped',
                header=_header(stamp_ns, BASE_FRAME),
                child_frame_id=frame,
                transform=_new(
                    'geometry_msgs/msg/Transform',
                    translation=_new('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
                    rotation=_new('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw),
                ),
            )
        )
    return _cdr(_new('tf2_msgs/msg/TFMessage', transforms=transforms), 'tf2_msgs/msg/TFMessage')
