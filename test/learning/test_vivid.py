# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import DatasetError
from monother_ros.learning.datasets import label_mask
from monother_ros.learning.vivid import SPLITS, Vivid, label_window, without_border

DRIVE = 'outdoor_robust_night1'


@pytest.fixture(name='golden')
def _golden(shared):
    return np.load(shared('golden/monother/preprocess.npz'))


def write_tree(root, arrays, split='test', names=('000001', '000002')):
    """A data set with one drive; its list has no line end, as hand-made ones have."""
    (root / f'{split}_outdoor.txt').write_text(DRIVE)
    folder = root / DRIVE
    for part in ('Thermal', 'RGB', 'Depth_T', 'Depth_RGB'):
        (folder / part).mkdir(parents=True)
    for name in names:
        assert cv2.imwrite(str(folder / 'Thermal' / f'{name}.png'), arrays['thermal_png16'])
        assert cv2.imwrite(str(folder / 'RGB' / f'{name}.png'), arrays['rgb_png8'][..., ::-1])
        np.save(folder / 'Depth_T' / f'{name}.npy', arrays['depth_T_npy'])
        np.save(folder / 'Depth_RGB' / f'{name}.npy', arrays['depth_RGB_npy'])
    for name in ('cam_T', 'cam_RGB', 'Tr_T2RGB'):
        np.savetxt(folder / f'{name}.txt', arrays[name])
    return root


def small_arrays(rgb_shape=(24, 32)):
    rng = np.random.default_rng(4)
    return {
        'thermal_png16': rng.integers(2000, 3000, (24, 32)).astype(np.uint16),
        'rgb_png8': rng.integers(0, 256, (*rgb_shape, 3)).astype(np.uint8),
        'depth_T_npy': rng.uniform(1, 9, (120, 130)),
        'depth_RGB_npy': rng.uniform(1, 9, (120, 130)),
        'cam_T': np.array([[30.0, 0, 15], [0, 30, 11], [0, 0, 1]]),
        'cam_RGB': np.array([[60.0, 0, 31], [0, 60, 23], [0, 0, 1]]),
        'Tr_T2RGB': np.eye(4),
    }


@pytest.mark.parametrize('split', ['test', 'train'])
def test_sample_is_the_published_one(golden, tmp_path, split):
    arrays = {k[len('vivid/in/') :]: golden[k] for k in golden.files if k.startswith('vivid/in/')}
    data = Vivid(write_tree(tmp_path, arrays, split), split, reference=True)
    assert len(data) == 2
    sample = data[1]

    def wanted(name):
        return golden[f'vivid/test/{name}']

    np.testing.assert_allclose(np.repeat(sample.thermal, 3, 0), wanted('image'), rtol=0, atol=2e-6)
    np.testing.assert_allclose(sample.rgb, wanted('rgb_image'), rtol=0, atol=2e-6)
    np.testing.assert_allclose(sample.thermal_depth, wanted('depth'), rtol=0, atol=2e-6)
    np.testing.assert_allclose(sample.rgb_depth, wanted('rgb_depth'), rtol=0, atol=2e-6)
    np.testing.assert_array_equal(label_mask(sample.thermal_depth), wanted('mask'))
    np.testing.assert_array_equal(label_mask(sample.rgb_depth), wanted('rgb_mask'))
    np.testing.assert_allclose(sample.thermal_intrinsics, wanted('intrinsics'), rtol=1e-7)
    np.testing.assert_allclose(sample.rgb_intrinsics, wanted('rgb_intrinsics'), rtol=1e-7)
    np.testing.assert_allclose(sample.extrinsics, wanted('pose_t2rgb'), rtol=0, atol=2e-6)


def test_border_rule(golden):
    dense = golden['vivid/in/depth_T_npy']
    sparse = golden['vivid/border_sparse_in'][..., 0]
    assert label_window(dense) == tuple(golden['vivid/border_dense_top_bottom_left_right'])
    assert label_window(sparse) == tuple(golden['vivid/border_sparse_top_bottom_left_right'])


def test_border_of_full_and_of_small_labels():
    full = np.ones((200, 240), np.float32)
    assert label_window(full) == (40, 160, 40, 200)
    kept = without_border(full)
    assert kept.sum() == 120 * 160
    assert full.all()  # the argument stays
    assert not without_border(np.ones((60, 70), np.float32)).any()  # nothing is left of it
    assert not without_border(np.zeros((60, 70), np.float32)).any()


def test_border_of_each_side():
    depth = np.zeros((300, 310), np.float32)
    depth[45:-55, 50:-60] = 2.0
    # the published rule cuts one line more below and at the right
    assert label_window(depth) == (45, 300 - 56, 50, 310 - 61)
    part = np.ones((200, 200), np.float32)
    part[:, :80] = 0  # 40 % of every row are not more than 40 %
    assert label_window(part) == (40, 160, 80, 160)
    part[:, 80] = 0
    assert label_window(part)[:2] == (101, 200 - 101)


def test_border_can_be_kept(tmp_path):
    root = write_tree(tmp_path, small_arrays())
    trimmed, whole = Vivid(root, 'test')[0], Vivid(root, 'test', trim=False)[0]
    assert (whole.thermal_depth > 0).all()
    assert (trimmed.thermal_depth > 0).sum() == 40 * 50
    np.testing.assert_array_equal(trimmed.rgb_depth, whole.rgb_depth)
    assert Vivid(root, 'test', labels=False)[0].rgb_depth is None


def test_rgb_of_another_size_is_scaled_once(tmp_path):
    root = write_tree(tmp_path, small_arrays((48, 64)))
    data, reference = Vivid(root, 'test'), Vivid(root, 'test', reference=True)
    for _ in range(2):  # a second access must not scale again (Q14)
        sample = data[0]
        assert sample.rgb.shape == (3, 24, 32)
        np.testing.assert_allclose(sample.rgb_intrinsics[0], [30, 0, 31.5 / 2 - 0.5])
    np.testing.assert_allclose(reference[0].rgb_intrinsics[0], [30, 0, 15.5])


def test_drive_without_images_is_named(tmp_path):
    root = write_tree(tmp_path, small_arrays())
    (root / 'test_outdoor.txt').write_bytes(f'{DRIVE}\r\nempty'.encode())
    with pytest.raises(DatasetError, match=r'thermal images of empty .* is not a folder'):
        Vivid(root, 'test')
    (root / 'empty' / 'Thermal').mkdir(parents=True)
    with pytest.raises(DatasetError, match=r'thermal images of empty .* holds no \.png'):
        Vivid(root, 'test')


def test_missing_and_damaged_files(tmp_path):
    root = write_tree(tmp_path, small_arrays())
    (root / DRIVE / 'Depth_RGB' / '000002.npy').unlink()
    with pytest.raises(DatasetError, match=f'RGB label of {DRIVE}/000002'):
        Vivid(root, 'test')
    data = Vivid(root, 'test', skip_missing=True)
    assert len(data) == 1
    (root / DRIVE / 'Depth_T' / '000001.npy').write_bytes(b'no array')
    with pytest.raises(DatasetError, match=r'000001\.npy cannot be read'):
        data[0]
    (root / DRIVE / 'cam_T.txt').write_text('1 2\n')
    with pytest.raises(DatasetError, match=r'cam_T\.txt must hold 3x3'):
        Vivid(root, 'test', labels=False)
    (root / DRIVE / 'cam_T.txt').unlink()
    with pytest.raises(DatasetError, match=r'cam_T\.txt cannot be read'):
        Vivid(root, 'test', labels=False)


def test_published_drives_stand_in_for_a_missing_list(tmp_path):
    write_tree(tmp_path, small_arrays())
    with pytest.raises(DatasetError, match='outdoor_robust_day1'):
        Vivid(tmp_path, 'train')
    assert SPLITS['val'] == SPLITS['test']
    (tmp_path / 'test_outdoor.txt').write_text('\n\n')
    with pytest.raises(DatasetError, match='names nothing'):
        Vivid(tmp_path, 'test')
