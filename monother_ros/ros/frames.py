# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A folder of image files as a recorded drive: PNG or TIFF frames become a rosbag2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from monother_ros.core.encoded import encoded_problem
from monother_ros.core.errors import BagError
from monother_ros.ros.newbag import new_bag, offered_qos

ENDINGS = ('.png', '.tif', '.tiff', '.pgm')
"""Image files that hold 16 bits without loss."""

START_NS = 1_700_000_000_000_000_000
"""Stamp of the first frame; files carry no time of their own."""

_IMAGE = 'sensor_msgs/msg/Image'


def frame_files(folder: str | Path) -> list[Path]:
    """
    Image files of a folder in the order of the numbers in their names.

    :raises BagError: the folder holds none.
    """
    files = [f for f in Path(folder).iterdir() if f.suffix.lower() in ENDINGS]
    if not files:
        msg = f'{folder} holds no image file ({", ".join(ENDINGS)})'
        raise BagError(msg)
    return sorted(files, key=lambda f: ([int(n) for n in re.findall(r'\d+', f.stem)], f.name))


def drive_files(folder: str | Path) -> tuple[list[Path], list[Path] | None]:
    """
    Thermal frames of a folder, and the RGB frames of the same instants where it has pairs.

    Pairs are named NAME_thr.png and NAME_rgb.png; any other folder is taken as thermal frames.

    :returns: thermal files, and as many RGB files or None.
    :raises BagError: the folder holds no image, or an RGB frame is missing.
    """
    files = frame_files(folder)
    thermal = [f for f in files if f.stem.endswith('_thr')]
    if not thermal:
        return files, None
    rgb = [f.with_name(f'{f.stem.removesuffix("_thr")}_rgb{f.suffix}') for f in thermal]
    if missing := [f.name for f in rgb if f not in files]:
        msg = f'{folder}: RGB frames {", ".join(missing)} are missing beside their thermal frames'
        raise BagError(msg)
    return thermal, rgb


def load_thermal(file: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """
    Read one thermal frame.

    :returns: (H, W) uint16 counts or uint8 grey values, as stored.
    :raises BagError: the file is no image with one channel of 8 or 16 bits.
    """
    try:
        data = file.read_bytes()
    except OSError as err:
        msg = f'{file} cannot be read: {err}'
        raise BagError(msg) from err
    problem = encoded_problem(data) or ('' if data else 'it is empty')
    image = None if problem else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        msg = f'{file} cannot be read as an image: {problem or "it is damaged"}'
        raise BagError(msg)
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = np.ascontiguousarray(image[..., 0])
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        msg = (
            f'{file} is {image.dtype} {image.shape}; a thermal frame has one channel, 8 or 16 bit'
        )
        raise BagError(msg)
    return image  # type: ignore[return-value]


def frames_to_bag(
    files: list[Path],
    bag: str | Path,
    *,
    rate: float = 30.0,
    rgb: list[Path] | None = None,
    frame_id: str = 'thermal_optical_frame',
) -> int:
    """
    Wrap thermal frames (and RGB frames of the same instants) as messages of a new bag.

    :param files: thermal frames in their order; written to /thermal/image_raw as mono16 or mono8.
    :param bag: folder of the new rosbag2; replaced where it is a bag already.
    :param rate: frames per second, > 0.
    :param rgb: colour images, one for each thermal frame; written to /rgb/image_raw as rgb8.
    :param frame_id: frame of the thermal images.
    :returns: number of thermal frames.
    :raises BagError: a file is no usable image, or the bag cannot be written.
    """
    if rate <= 0:
        msg = f'rate {rate} is not positive'
        raise BagError(msg)
    if rgb is not None and len(rgb) != len(files):
        msg = f'{len(rgb)} RGB frames do not pair with {len(files)} thermal frames'
        raise BagError(msg)
    store = get_typestore(Stores.ROS2_HUMBLE)

    def message(image: NDArray[Any], encoding: str, stamp: int, frame: str) -> bytes:
        """Serialise one image."""
        types = store.types
        seconds, rest = divmod(stamp, 1_000_000_000)
        header = types['std_msgs/msg/Header'](
            stamp=types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=rest), frame_id=frame
        )
        filled = types[_IMAGE](
            header=header,
            height=image.shape[0],
            width=image.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=image.strides[0],
            data=image.reshape(-1).view(np.uint8),
        )
        return bytes(store.serialize_cdr(filled, _IMAGE))

    qos = [offered_qos(reliable=True)]
    with new_bag(bag, overwrite=True) as writer:
        topic = {
            name: writer.add_connection(name, _IMAGE, typestore=store, offered_qos_profiles=qos)
            for name in ('/thermal/image_raw', *(['/rgb/image_raw'] if rgb else []))
        }
        for number, file in enumerate(files):
            stamp = START_NS + round(number * 1e9 / rate)
            image = load_thermal(file)
            encoding = 'mono16' if image.dtype == np.uint16 else 'mono8'
            data = message(image, encoding, stamp, frame_id)
            writer.write(topic['/thermal/image_raw'], stamp, data)
            if rgb is not None:
                colour = cv2.imread(str(rgb[number]), cv2.IMREAD_COLOR)
                if colour is None:
                    msg = f'{rgb[number]} cannot be read as an image'
                    raise BagError(msg)
                data = message(
                    np.ascontiguousarray(colour[..., ::-1]), 'rgb8', stamp, 'rgb_optical_frame'
                )
                writer.write(topic['/rgb/image_raw'], stamp, data)
    return len(files)
