# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages as plain objects, for tests that need no ROS."""

from __future__ import annotations

import array
from types import SimpleNamespace as Fields

import numpy as np


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
