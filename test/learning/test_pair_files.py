# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import DatasetError
from monother_ros.learning.pair_files import (
    file_names,
    keep_complete,
    listed,
    read_image,
    read_names,
    rgb_planes,
    scaled_matrix,
    stretched_by_percentiles,
    thermal_files,
)


@pytest.mark.parametrize(
    'content',
    [
        b'_a\n_bc\n',
        b'_a\n_bc',
        b'_a\r\n_bc\r\n',
        b'_a\r\n_bc',
        b'\n\n_a  \n\n  _bc\n \n',
        b'\xef\xbb\xbf_a\r\n_bc\r\n',
    ],
)
def test_names_of_a_list_are_whole(tmp_path, content):
    (tmp_path / 'val_list.txt').write_bytes(content)
    assert read_names(tmp_path / 'val_list.txt') == ['_a', '_bc']
    assert listed(tmp_path, 'val_list.txt', {'val': ('_c',)}, 'val') == ['_a', '_bc']
    assert listed(tmp_path, 'test_list.txt', {'test': ('_c',)}, 'test') == ['_c']


def test_lists_that_name_nothing(tmp_path):
    (tmp_path / 'list.txt').write_bytes(b'\r\n \r\n')
    with pytest.raises(DatasetError, match=r'list\.txt names nothing'):
        read_names(tmp_path / 'list.txt')
    (tmp_path / 'list.txt').write_bytes(b'\xff\xfe_\x00')
    with pytest.raises(DatasetError, match=r'list\.txt cannot be read'):
        read_names(tmp_path / 'list.txt')


def test_hidden_files_are_no_samples(tmp_path):
    for name in ('2.png', '1.png', '._1.png', '.png', '1.txt', '3.PNG'):
        (tmp_path / name).touch()
    assert file_names(tmp_path, '.png') == {'1.png', '2.png'}
    assert thermal_files(tmp_path, 'images') == ['1.png', '2.png']
    (tmp_path / 'none').mkdir()
    with pytest.raises(DatasetError, match=r'pictures of x .*none holds no \.png'):
        thermal_files(tmp_path / 'none', 'pictures of x')


def test_five_missing_files_are_named_and_all_are_counted(tmp_path):
    (tmp_path / '7.png').touch()
    samples = [(f's{i}', (('depth', tmp_path / f'{i}.png'),)) for i in range(8)]
    with pytest.raises(DatasetError, match='7 files of 7 of 8 samples') as caught:
        keep_complete(samples, skip=False, what='set')
    text = str(caught.value)
    for i in range(5):
        assert f'depth of s{i} ({tmp_path}/{i}.png)' in text
    assert 'and 2 more' in text
    assert 's5' not in text
    assert keep_complete(samples, skip=True, what='set') == ([7], 7)
    with pytest.raises(DatasetError, match='set holds no complete sample'):
        keep_complete(samples[:7], skip=True, what='set')


def test_images_have_the_stored_type(tmp_path):
    path = tmp_path / 'image.png'
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    alpha = np.full((5, 7, 1), 9, np.uint8)
    for stored in (rgb[..., ::-1], np.concatenate([rgb[..., ::-1], alpha], 2)):
        assert cv2.imwrite(str(path), stored)
        np.testing.assert_array_equal(read_image(path, np.uint8, 3), rgb)
        with pytest.raises(DatasetError, match=r'channels of uint8; .* 1 of uint16'):
            read_image(path, np.uint16, 1)
    grey = rgb[..., 0].astype(np.uint16) * 257
    assert cv2.imwrite(str(path), grey)
    np.testing.assert_array_equal(read_image(path, np.uint16, 1), grey)
    whole = path.read_bytes()
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 0xFF
    for damaged in (b'', whole[:20], whole[:-12], bytes(turned)):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r'image\.png cannot be decoded'):
            read_image(path, np.uint16, 1)
    path.unlink()
    with pytest.raises(DatasetError, match=r'image\.png is missing'):
        read_image(path, np.uint16, 1)


def test_stretch_ignores_a_linear_scale_and_flat_frames():
    raw = np.random.default_rng(2).integers(1000, 4000, (40, 50)).astype(np.uint16)
    image = stretched_by_percentiles(raw)
    assert image.shape == (1, 40, 50)
    low, high = np.percentile(raw, [2, 98])
    np.testing.assert_allclose(image[0], np.clip((raw - low) / (high - low), 0, 1), atol=1e-6)
    np.testing.assert_allclose(stretched_by_percentiles(raw * 3 + 100), image, atol=1e-6)
    assert not stretched_by_percentiles(np.full((4, 5), 7000, np.uint16)).any()


@pytest.mark.parametrize('size', [(64, 160), (128, 160)])
def test_half_pixel_camera_sees_what_the_resized_image_shows(size):
    old = (96, 306)
    matrix = np.array([[197.3, 0, 151.2], [0, 196.8, 47.7], [0, 0, 1]])
    before = matrix.copy()

    def rays(camera, shape):
        """Direction x, y of every pixel."""
        v, u = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
        return np.stack([(u - camera[0, 2]) / camera[0, 0], (v - camera[1, 2]) / camera[1, 1]], 2)

    shown = cv2.resize(rays(matrix, old), size[::-1], interpolation=cv2.INTER_LINEAR)
    inside = (slice(2, -2), slice(2, -2))
    exact = scaled_matrix(matrix, old, size, half_pixel=True)
    assert np.abs(rays(exact, size) - shown)[inside].max() < 1e-6
    published = scaled_matrix(matrix, old, size, half_pixel=False)
    np.testing.assert_allclose(
        published[:2], matrix[:2] * [[size[1] / old[1]], [size[0] / old[0]]], rtol=1e-7
    )
    assert np.abs(rays(published, size) - shown)[inside].max() > 1e-3
    np.testing.assert_array_equal(matrix, before)
    for half_pixel in (False, True):
        same = scaled_matrix(matrix, old, old, half_pixel=half_pixel)
        np.testing.assert_array_equal(same, matrix.astype(np.float32))


def test_colours_stay_in_order_when_resized():
    image = np.zeros((8, 12, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 51
    planes = rgb_planes(image, (4, 5))
    assert planes.shape == (3, 4, 5)
    np.testing.assert_allclose(planes.mean((1, 2)), [1.0, 0.0, 0.2], atol=1e-6)
