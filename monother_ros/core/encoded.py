# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A look at an encoded picture before a decoder gets it.

Decoders allocate and fill what a header declares before they find out that nothing follows: some
damaged bytes cost seconds and gigabytes. Older ones fill the rest of a cut off JPEG with grey and
say nothing.
"""

from __future__ import annotations

import struct

MOST_PIXELS = 1 << 26
"""Pixels that a picture may declare; no camera here comes near it."""

_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8'


def encoded_problem(data: bytes) -> str:
    """
    Find what is wrong with the outside of a PNG or JPEG; other formats are not looked at.

    :param data: the whole file.
    :returns: what is wrong, in a few words; '' for nothing.
    """
    lost = data.startswith(_JPEG) and b'\xff\xd9' not in data
    if lost or (data.startswith(_PNG) and not _has_all_chunks(data)):
        return 'its end is missing'
    width, height = _declared_size(data)
    if width * height > MOST_PIXELS:
        return f'it declares {width}x{height} pixels in {len(data)} bytes'
    return ''


def _has_all_chunks(data: bytes) -> bool:
    """Whether the chunks of a PNG follow each other up to the last one."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, place)
        place += 12 + length
        if kind == b'IEND':
            return True
    return False


def _declared_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a PNG or JPEG; 0 where they are not found."""
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack_from('>II', data, 16)
        return int(width), int(height)
    place = len(_JPEG)
    while data.startswith(_JPEG) and place + 9 <= len(data):
        lead, kind, length = struct.unpack_from('>BBH', data, place)
        if lead != 0xFF:
            break
        # start of frame: C0 to CF but for tables (C4, CC) and an extension (C8)
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from('>HH', data, place + 5)
            return int(width), int(height)
        place += 1 if kind == 0xFF else 2 + length
    return 0, 0
