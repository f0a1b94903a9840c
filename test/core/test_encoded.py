# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded pictures that are refused before a decoder allocates for them."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from monother_ros.core.encoded import encoded_problem

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def encoded(ending):
    return bytes(cv2.imencode(ending, PIXELS)[1])


@pytest.mark.parametrize('ending', ['.png', '.jpg', '.bmp', '.tiff'])
def test_whole_pictures_have_no_problem(ending):
    assert encoded_problem(encoded(ending)) == ''


@pytest.mark.parametrize('ending', ['.png', '.jpg'])
@pytest.mark.parametrize('part', [0.2, 0.5, 0.95])
def test_the_end_is_missed(ending, part):
    data = encoded(ending)
    assert encoded_problem(data[: int(len(data) * part)]) == 'its end is missing'


def test_a_chunk_longer_than_the_file_is_found():
    data = bytearray(encoded('.png'))
    data[33:37] = struct.pack('>I', 0x7FFFFFFF)
    assert encoded_problem(bytes(data)) == 'its end is missing'


def test_a_size_that_no_camera_has_is_found():
    png = bytearray(encoded('.png'))
    png[16:24] = struct.pack('>II', 32000, 31000)
    assert '32000x31000 pixels' in encoded_problem(bytes(png))
    jpeg = bytearray(encoded('.jpg'))
    place = jpeg.index(b'\xff\xc0') + 5
    jpeg[place : place + 4] = struct.pack('>HH', 31000, 32000)
    assert '32000x31000 pixels' in encoded_problem(bytes(jpeg))


@pytest.mark.parametrize('data', [b'', b'\xff\xd8\xff\xd9', b'\xff\xd8\xff\xff\xff\xff\xd9', b'x'])
def test_what_has_no_header_is_left_to_the_decoder(data):
    assert encoded_problem(data) == ''
