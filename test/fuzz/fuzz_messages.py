# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Malformed messages, with any value that their types can carry on the wire."""

from __future__ import annotations

import array
from types import SimpleNamespace as Message
from typing import Any

import cv2
import numpy as np
from fuzz_harness import Attempt, CountedError, Entry
from fuzz_values import TEXTS, damaged, number, unsigned

from monother_ros.core.camera import Intrinsics
from monother_ros.core.range_points import sparse_depth
from monother_ros.core.scale import fit_intrinsics
from monother_ros.core.thermal import percentile_bounds
from monother_ros.ros.cloud import cloud_xyz
from monother_ros.ros.messages import intrinsics_from_camera_info, rgb_array, thermal_array
from monother_ros.ros.ranges import range_points, scan_points
from monother_ros.ros.scale import scale_from_message
from monother_ros.ros.static_tf import StaticTransforms

ENCODINGS = (
    *('mono8', 'mono16', 'rgb8', 'bgr8', 'rgba8', 'bgra8', 'rgb16', 'bgr16', 'rgba16', 'bgra16'),
    *('8UC1', '8UC2', '8UC3', '8UC4', '8SC1', '16UC1', '16UC2', '16UC3', '16SC1', '32SC1'),
    *('32FC1', '32FC2', '64FC1', '8UC99', '16UC0', '8UC', 'bayer_rggb8', 'bayer_bggr8'),
    *('bayer_gbrg8', 'bayer_grbg16', 'bayer_xxxx8', 'uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'),
    *('nv21', 'nv24', 'MONO16', 'mono16 ', 'mono12', 'thermal', 'jpeg', 'h264'),
)
"""Encodings that exist, nearly exist, and do not."""

FORMATS = (
    *('png', 'jpeg', 'mono16; png compressed mono16', 'rgb8; jpeg compressed bgr8', 'tiff'),
    *('32FC1; compressedDepth png', '16UC1; compressedDepth png', '32FC1; compressedDepth rvl'),
    *('16UC1; compressedDepth', 'h264', ''),
)

CAMERA = Intrinsics(32, 24, 28.0, 28.0, 15.5, 11.5)


def header(rng: np.random.Generator) -> Message:
    """std_msgs/Header."""
    stamp = Message(sec=int(rng.integers(-(2**31), 2**31)), nanosec=int(rng.integers(0, 2**32)))
    return Message(stamp=stamp, frame_id=TEXTS[rng.integers(len(TEXTS))])


def image(rng: np.random.Generator, encodings: tuple[str, ...] = ENCODINGS) -> Message:
    """sensor_msgs/Image with one or more fields that do not go with the others."""
    height, width = (int(v) for v in rng.integers(1, 40, 2))
    encoding = encodings[rng.integers(len(encodings))]
    step = width * int(rng.choice([1, 2, 3, 4, 6, 8]))
    size = height * step
    for _ in range(int(rng.integers(1, 4))):
        field = rng.integers(6)
        if field == 0:
            height = unsigned(rng, height)
        elif field == 1:
            width = unsigned(rng, width)
        elif field == 2:
            step = unsigned(rng, step)
        elif field == 3:
            size = min(unsigned(rng, size), 1 << 16)
        elif field == 4:
            encoding = (*encodings, *TEXTS)[rng.integers(len(encodings) + len(TEXTS))]
        else:
            height, width = width, height
    data = rng.integers(0, 256, size, np.uint8)
    return Message(
        header=header(rng),
        height=height,
        width=width,
        step=step,
        encoding=encoding,
        is_bigendian=int(rng.integers(0, 3)),
        data=array.array('B', data.tobytes()) if rng.random() < 0.5 else data,
    )


def _thermal_checked(msg: Any, expected: int | None) -> None:
    """Thermal pixels of a message, as the pipeline wants them."""
    pixels = thermal_array(msg, expected)
    assert pixels.ndim == 2 and pixels.dtype in (np.uint8, np.uint16) and pixels.size
    low, high = percentile_bounds(pixels, 2.0, 98.0)
    assert 0 <= low <= high <= 65535
    if hasattr(msg, 'encoding'):
        assert pixels.shape[1] == msg.width and pixels.nbytes <= 2 * len(msg.data)


def thermal_image(_folder: Any) -> Attempt:
    """Image on the thermal topic."""

    def attempt(rng: np.random.Generator) -> None:
        _thermal_checked(image(rng), None if rng.random() < 0.5 else max(1, unsigned(rng, 20)))

    return attempt


def colour_image(_folder: Any) -> Attempt:
    """Image on the RGB topic."""

    def attempt(rng: np.random.Generator) -> None:
        pixels = rgb_array(image(rng))
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8

    return attempt


def _encoded(rng: np.random.Generator) -> bytes:
    """A small picture as a camera would compress it."""
    shape = (int(rng.integers(1, 32)), int(rng.integers(1, 32)))
    kind = rng.integers(4)
    if kind == 0:
        pixels = rng.integers(0, 2**16, shape, np.uint16)
    else:
        pixels = rng.integers(0, 256, (*shape, 3) if kind == 1 else shape, np.uint8)
    ending = '.png' if kind == 0 or rng.random() < 0.5 else '.jpg'
    return bytes(cv2.imencode(ending, pixels)[1])


def compressed_image(_folder: Any) -> Attempt:
    """CompressedImage on the thermal or the RGB topic."""

    def attempt(rng: np.random.Generator) -> None:
        form = FORMATS[rng.integers(len(FORMATS))]
        data = _encoded(rng)
        if 'compressedDepth' in form:
            data = rng.normal(0, 1, 3).astype(np.float32).tobytes() + data
        data = damaged(data, rng)
        msg = Message(header=header(rng), format=form, data=array.array('B', data))
        if rng.random() < 0.7:
            _thermal_checked(msg, None)
        else:
            pixels = rgb_array(msg)
            assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8

    return attempt


def _field(rng: np.random.Generator, name: str, offset: int) -> Message:
    return Message(name=name, offset=offset, datatype=7, count=1)


def cloud(rng: np.random.Generator) -> Message:
    """sensor_msgs/PointCloud2 with one or more fields that do not go with the others."""
    height, width = int(rng.choice([1, 1, 4])), int(rng.integers(0, 40))
    fields = [_field(rng, name, 4 * i) for i, name in enumerate('xyz')]
    step = int(rng.choice([12, 16, 22]))
    row, size = step * width, step * width * height
    for _ in range(int(rng.integers(1, 4))):
        which = rng.integers(8)
        item = fields[rng.integers(len(fields))] if fields else None
        if which == 0:
            height = unsigned(rng, height)
        elif which == 1:
            width = unsigned(rng, width)
        elif which == 2:
            step = unsigned(rng, step)
        elif which == 3:
            row = unsigned(rng, row)
        elif which == 4:
            size = min(unsigned(rng, size), 1 << 16)
        elif item is None:
            fields = [_field(rng, TEXTS[rng.integers(len(TEXTS))], 0)]
        elif which == 5:
            item.offset = unsigned(rng, item.offset)
        elif which == 6:
            item.datatype = unsigned(rng, 7, 8)
        else:
            fields.remove(item)
    data = rng.integers(0, 256, size, np.uint8)
    return Message(
        header=header(rng),
        height=height,
        width=width,
        fields=fields,
        is_bigendian=bool(rng.integers(2)),
        point_step=step,
        row_step=row,
        data=array.array('B', data.tobytes()) if rng.random() < 0.5 else data,
        is_dense=bool(rng.integers(2)),
    )


def point_cloud(_folder: Any) -> Attempt:
    """PointCloud2 on the LiDAR topic, projected into the thermal camera."""

    def attempt(rng: np.random.Generator) -> None:
        msg = cloud(rng)
        points = cloud_xyz(msg)
        assert points.ndim == 2 and points.shape[1] == 3 and np.isfinite(points).all()
        assert len(points) <= msg.height * msg.width
        # 4 bytes hold a number at most; a cloud cannot hold more points than bytes
        assert len(points) <= len(msg.data)
        seen = sparse_depth(points, None, CAMERA)
        assert np.isfinite(seen).all() and (seen >= 0).all()

    return attempt


def info(rng: np.random.Generator) -> Message:
    """sensor_msgs/CameraInfo with one or more impossible values."""
    models = ('plumb_bob', 'rational_polynomial', 'equidistant', '', 'radtan', 'fisheye')
    sizes = {'rational_polynomial': 8, 'equidistant': 4, 'fisheye': 4}
    model = models[rng.integers(len(models))]
    count = sizes.get(model, 5)
    msg = Message(
        header=header(rng),
        width=640,
        height=512,
        distortion_model=model,
        d=[float(v) for v in rng.normal(0, 0.1, count)],
        k=[500.0, 0.0, 319.5, 0.0, 500.0, 255.5, 0.0, 0.0, 1.0],
        roi=Message(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
        binning_x=0,
        binning_y=0,
    )
    for _ in range(int(rng.integers(1, 4))):
        which = rng.integers(9)
        if which == 0:
            msg.width = unsigned(rng, msg.width)
        elif which == 1:
            msg.height = unsigned(rng, msg.height)
        elif which == 2:
            msg.k[rng.integers(9)] = float(number(rng))
        elif which == 3 and msg.d:
            msg.d[rng.integers(len(msg.d))] = float(number(rng))
        elif which == 4:
            msg.d = [float(number(rng)) for _ in range(int(rng.integers(0, 20)))]
        elif which == 5:
            pool = (*models, *TEXTS)
            msg.distortion_model = pool[rng.integers(len(pool))]
        elif which == 6:
            msg.binning_x, msg.binning_y = unsigned(rng, 2), unsigned(rng, 2)
        elif which == 7:
            for name in ('x_offset', 'y_offset', 'height', 'width'):
                setattr(msg.roi, name, unsigned(rng, 300))
        else:
            scale = float(number(rng))
            msg.k = [scale * v for v in msg.k]
    return msg


def camera_info(_folder: Any) -> Attempt:
    """CameraInfo, used for an image as the pipeline does."""
    points = np.array([[0.1, -0.2, 5.0], [-2.0, 1.0, 9.0], [4.0, 3.0, 2.0]], np.float32)

    def attempt(rng: np.random.Generator) -> None:
        camera = intrinsics_from_camera_info(info(rng))
        assert camera.width > 0 and camera.fx > 0 and camera.fy > 0
        small = fit_intrinsics(camera, 40, 32)
        rays = small.rays()
        assert rays.shape == (32, 40, 2) and rays.dtype == np.float32
        seen = sparse_depth(points, None, small)
        assert seen.shape == (32, 40) and np.isfinite(seen).all()

    return attempt


def laser_scan(_folder: Any) -> Attempt:
    """LaserScan; beams that cannot be are left out, a scan without angles is refused."""

    def attempt(rng: np.random.Generator) -> None:
        size = int(rng.integers(0, 60))
        ranges = np.array([number(rng) for _ in range(size)], np.float64).astype(np.float32)
        names = ('angle_min', 'angle_max', 'angle_increment', 'time_increment', 'scan_time')
        msg = Message(
            header=header(rng),
            **{name: float(np.float32(number(rng))) for name in names},
            range_min=float(np.float32(number(rng))),
            range_max=float(np.float32(number(rng))),
            ranges=array.array('f', ranges.tobytes()),
            intensities=array.array('f'),
        )
        found = scan_points(msg).points
        assert found.shape[1] == 3 and np.isfinite(found).all() and len(found) <= size
        if len(found) < size:
            raise CountedError('beams left out')

    return attempt


def single_range(_folder: Any) -> Attempt:
    """Range of one beam; what cannot be gives no point."""

    def attempt(rng: np.random.Generator) -> None:
        names = ('field_of_view', 'min_range', 'max_range', 'range')
        msg = Message(
            header=header(rng),
            radiation_type=unsigned(rng, 1, 8),
            **{name: float(np.float32(number(rng))) for name in names},
        )
        found = range_points(msg)
        assert found.points.shape[1] == 3 and np.isfinite(found.points).all()
        assert np.isfinite(found.beam) and found.beam > 0
        seen = sparse_depth(found.points, None, CAMERA)
        assert np.isfinite(seen).all()
        if not len(found.points):
            raise CountedError('no point')

    return attempt


def scale_estimate(_folder: Any) -> Attempt:
    """Vector3Stamped on scale/language or scale/focal."""

    def attempt(rng: np.random.Generator) -> None:
        vector = Message(**{axis: float(number(rng)) for axis in 'xyz'})
        estimate = scale_from_message(Message(header=header(rng), vector=vector), 'language')
        if not estimate.speaks:
            raise CountedError('silent')
        assert np.isfinite(estimate.scale) and estimate.scale > 0 and estimate.sigma > 0

    return attempt


def static_transforms(_folder: Any) -> Attempt:
    """TFMessage on /tf_static: chains, loops, and transforms that are none."""
    names = ('base', 'thermal', 'rgb', 'lidar', '/base', '', 'a' * 300)

    def attempt(rng: np.random.Generator) -> None:
        tree, bad = StaticTransforms(), 0
        for _ in range(int(rng.integers(1, 4))):
            items = [
                Message(
                    header=Message(frame_id=names[rng.integers(len(names))]),
                    child_frame_id=names[rng.integers(len(names))],
                    transform=Message(
                        translation=Message(**{a: float(number(rng)) for a in 'xyz'}),
                        rotation=Message(**{a: float(number(rng)) for a in 'xyzw'}),
                    ),
                )
                for _ in range(int(rng.integers(0, 5)))
            ]
            bad += tree.add(Message(transforms=items))
        found = tree.lookup('thermal', 'lidar')
        assert found is None or (found.shape == (4, 4) and np.isfinite(found).all())
        if bad:
            raise CountedError('transform left out')

    return attempt


ENTRIES = (
    Entry('image on the thermal topic', thermal_image, 2000),
    Entry('image on the RGB topic', colour_image, 1000),
    Entry('compressed image', compressed_image, 1200),
    Entry('point cloud', point_cloud, 1500),
    Entry('camera_info', camera_info, 1500),
    Entry('laser scan', laser_scan, 500),
    Entry('single range', single_range, 500),
    Entry('scale estimate', scale_estimate, 500),
    Entry('static transforms', static_transforms, 500),
)
