# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small bags for tests, written with rosbags alone."""

from __future__ import annotations

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from monother_ros.ros.newbag import new_bag, offered_qos

STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE.register(get_types_from_msg('int32 reading\n', 'nobody_has_msgs/msg/Strange'))

START = 1_700_000_000_000_000_000
PERIOD = 20_000_000
IMAGE = 'sensor_msgs/msg/Image'
INFO = 'sensor_msgs/msg/CameraInfo'
TEXT = 'std_msgs/msg/String'
STRANGE = 'nobody_has_msgs/msg/Strange'


def header(stamp, frame='thermal_optical_frame'):
    time = STORE.types['builtin_interfaces/msg/Time'](*divmod(stamp, 10**9))
    return STORE.types['std_msgs/msg/Header'](time, frame)


def image(index, size=(24, 32)):
    pixels = (np.arange(size[0] * size[1]) * 7 + index).astype('<u2').reshape(size)
    return STORE.types[IMAGE](
        header(START + index * PERIOD),
        *size,
        'mono16',
        0,
        size[1] * 2,
        pixels.view(np.uint8).ravel(),
    )


def write_small_bag(path, frames=10, strange=True, images=True):
    """Images at 50 Hz on /cam, one latched text, and a type that nobody has installed."""
    with new_bag(path) as writer:
        if images:
            cam = writer.add_connection(
                '/cam', IMAGE, typestore=STORE, offered_qos_profiles=[offered_qos(depth=50)]
            )
            note = writer.add_connection(
                '/note', TEXT, typestore=STORE, offered_qos_profiles=[offered_qos(latched=True)]
            )
            text = STORE.types[TEXT]('once')
            writer.write(note, START, STORE.serialize_cdr(text, TEXT))
            for index in range(frames):
                data = STORE.serialize_cdr(image(index), IMAGE)
                writer.write(cam, START + index * PERIOD, data)
        if strange:
            odd = writer.add_connection('/odd', STRANGE, typestore=STORE)
            writer.write(odd, START, STORE.serialize_cdr(STORE.types[STRANGE](7), STRANGE))
    return path
