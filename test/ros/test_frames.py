# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of frames as bags."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import BagError
from monother_ros.ros.bags import BagReader
from monother_ros.ros.frames import drive_files, frame_files, frames_to_bag, load_thermal
from monother_ros.ros.messages import image_view


def test_real_sequence_round_trip(shared, tmp_path):
    files = frame_files(shared('data/thermal_sequence'))
    assert [f.stem for f in files] == [f'{n:04d}' for n in range(20)]
    assert frames_to_bag(files, tmp_path / 'bag', rate=30.0) == 20
    stamps = []
    with BagReader(tmp_path / 'bag') as bag:
        for (topic, message, stamp), file in zip(bag.read(), files, strict=True):
            assert topic == '/thermal/image_raw'
            assert message.encoding == 'mono16'
            np.testing.assert_array_equal(image_view(message), load_thermal(file))
            assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
            stamps.append(stamp)
    assert set(np.diff(stamps)) <= {33333333, 33333334}


def test_pair_keeps_colours(tmp_path):
    thermal = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    colour = np.zeros((3, 4, 3), np.uint8)
    colour[..., 2] = 255  # red, as OpenCV orders channels
    cv2.imwrite(str(tmp_path / 't.png'), thermal)
    cv2.imwrite(str(tmp_path / 'c.png'), colour)
    frames_to_bag([tmp_path / 't.png'], tmp_path / 'bag', rgb=[tmp_path / 'c.png'])
    with BagReader(tmp_path / 'bag') as bag:
        got = {topic: image_view(message) for topic, message, _ in bag.read()}
    np.testing.assert_array_equal(got['/thermal/image_raw'], thermal)
    assert got['/rgb/image_raw'][0, 0].tolist() == [255, 0, 0]


def test_real_pairs_are_found(shared, tmp_path):
    thermal, rgb = drive_files(shared('data/thermal_rgb_pair'))
    assert [f.name for f in thermal] == ['left_thr.png', 'right_thr.png']
    assert [f.name for f in rgb] == ['left_rgb.png', 'right_rgb.png']
    assert frames_to_bag(thermal, tmp_path / 'bag', rgb=rgb) == 2
    cv2.imwrite(str(tmp_path / 'a_thr.png'), np.zeros((2, 2), np.uint16))
    with pytest.raises(BagError, match=r'a_rgb\.png'):
        drive_files(tmp_path)


def test_numbers_sort_as_numbers(tmp_path):
    for name in ('f10.png', 'f9.png', 'f1.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((2, 2), np.uint16))
    assert [f.name for f in frame_files(tmp_path)] == ['f1.png', 'f9.png', 'f10.png']


def test_refuses_what_is_no_frame(tmp_path):
    with pytest.raises(BagError, match='no image file'):
        frame_files(tmp_path)
    (tmp_path / 'broken.png').write_bytes(b'no image')
    with pytest.raises(BagError, match='cannot be read'):
        frames_to_bag([tmp_path / 'broken.png'], tmp_path / 'bag')
    assert not (tmp_path / 'bag').exists()
    cv2.imwrite(str(tmp_path / 'colour.png'), np.random.default_rng(0).integers(0, 255, (4, 4, 3)))
    with pytest.raises(BagError, match='one channel'):
        load_thermal(tmp_path / 'colour.png')
    with pytest.raises(BagError, match='do not pair'):
        frames_to_bag([tmp_path / 'a.png'], tmp_path / 'bag', rgb=[])
