# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import pickle

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import DatasetError
from monother_ros.learning.datasets import label_mask
from monother_ros.learning.ms2 import MS2, SPLITS, read_calibration
from monother_ros.learning.numpy_pickle import load_dict

SEQUENCE = '_2021-08-13-16-08-46'


@pytest.fixture(name='golden')
def _golden(shared):
    return np.load(shared('golden/monother/preprocess.npz'))


def write_calibration(folder, values=None):
    """Calibration of a sequence; millimetres."""
    content = {
        'K_thrL': np.diag([100.0, 101.0, 1.0]),
        'K_rgbL': np.array([[190.0, 0, 150], [0, 191, 47], [0, 0, 1]]),
        'R_nir2thr': np.eye(3),
        'T_nir2thr': np.array([[100.0], [0], [0]]),
        'R_nir2rgb': np.eye(3),
        'T_nir2rgb': np.array([[-200.0], [30], [0]]),
    }
    content.update(values or {})
    np.save(folder / 'calib.npy', content)


def write_tree(root, arrays, split='val', names=('000001', '000002'), labels='depth_filtered'):
    """A data set with one sequence; arrays: thermal, rgb, thermal and RGB label."""
    (root / f'{split}_list.txt').write_bytes(f'{SEQUENCE}\r\n'.encode())
    parts = (
        ('sync_data', 'thr/img_left'),
        ('sync_data', 'rgb/img_left'),
        ('proj_depth', f'thr/{labels}'),
        ('proj_depth', f'rgb/{labels}'),
    )
    for (top, part), array in zip(parts, arrays, strict=True):
        folder = root / top / SEQUENCE / part
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            stored = array[..., ::-1] if array.ndim == 3 else array
            assert cv2.imwrite(str(folder / f'{name}.png'), stored)
    write_calibration(root / 'sync_data' / SEQUENCE)
    return root


def small_arrays():
    rng = np.random.default_rng(3)
    return (
        rng.integers(20000, 30000, (16, 40)).astype(np.uint16),
        rng.integers(0, 256, (24, 60, 3)).astype(np.uint8),
        rng.integers(0, 9000, (16, 40)).astype(np.uint16),
        rng.integers(0, 9000, (24, 60)).astype(np.uint16),
    )


def golden_arrays(golden, labels):
    names = ('thermal_png16', 'rgb_png8', f'thr_{labels}_png16', f'rgb_{labels}_png16')
    return tuple(golden[f'ms2/in/{name}'] for name in names)


def golden_tree(golden, root, split, labels):
    write_tree(root, golden_arrays(golden, labels), split, labels=labels)
    prefix = 'ms2/in/calib_'
    write_calibration(
        root / 'sync_data' / SEQUENCE,
        {k[len(prefix) :]: golden[k] for k in golden.files if k.startswith(prefix)},
    )
    return root


def test_validation_sample_is_the_published_one(golden, tmp_path):
    data = MS2(golden_tree(golden, tmp_path, 'val', 'depth_filtered'), 'val', reference=True)
    assert len(data) == 2
    sample = data[0]

    def wanted(name):
        return golden[f'ms2/val/{name}']

    np.testing.assert_allclose(np.repeat(sample.thermal, 3, 0), wanted('image'), rtol=0, atol=2e-6)
    np.testing.assert_allclose(sample.rgb, wanted('rgb_image'), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(sample.thermal_depth, wanted('depth'))
    np.testing.assert_array_equal(sample.rgb_depth, wanted('rgb_depth'))
    np.testing.assert_array_equal(label_mask(sample.thermal_depth), wanted('mask'))
    np.testing.assert_array_equal(label_mask(sample.rgb_depth), wanted('rgb_mask'))
    np.testing.assert_allclose(sample.thermal_intrinsics, wanted('intrinsics'), atol=2e-6)
    np.testing.assert_allclose(sample.rgb_intrinsics, wanted('rgb_intrinsics'), rtol=1e-7)
    np.testing.assert_allclose(sample.extrinsics, wanted('pose_t2rgb'), rtol=0, atol=2e-6)
    for name in ('thermal', 'rgb', 'thermal_depth', 'rgb_depth', 'extrinsics'):
        assert getattr(sample, name).dtype == np.float32, name


def test_training_takes_refined_labels(golden, tmp_path):
    labels = 'depth_filtered_myrefine'
    sample = MS2(golden_tree(golden, tmp_path, 'train', labels), 'train')[1]
    np.testing.assert_array_equal(sample.thermal_depth, golden['ms2/train/depth'])
    np.testing.assert_array_equal(sample.rgb_depth, golden['ms2/train/rgb_depth'])
    np.testing.assert_array_equal(label_mask(sample.thermal_depth), golden['ms2/train/mask'])
    np.testing.assert_array_equal(label_mask(sample.rgb_depth), golden['ms2/train/rgb_mask'])


def test_principal_point_follows_half_pixel_centres_by_default(tmp_path):
    root = write_tree(tmp_path, small_arrays())
    plain, reference = MS2(root, 'val')[0], MS2(root, 'val', reference=True)[0]
    assert reference.rgb_intrinsics[0, 2] == pytest.approx(150 * 40 / 60)
    assert plain.rgb_intrinsics[0, 2] == pytest.approx(150.5 * 40 / 60 - 0.5)
    assert plain.rgb_intrinsics[0, 0] == reference.rgb_intrinsics[0, 0]
    data = MS2(root, 'val')
    np.testing.assert_array_equal(data[0].rgb_intrinsics, data[0].rgb_intrinsics)


def test_same_index_same_bytes(tmp_path):
    root = write_tree(tmp_path, small_arrays())
    data = MS2(root, 'val')
    first, again = data[1], pickle.loads(pickle.dumps(data))[1]
    first.rgb_intrinsics[:] = 0  # what a caller does to a sample stays with the sample
    first.thermal_intrinsics[:] = 0
    for field in ('thermal_intrinsics', 'rgb_intrinsics', 'extrinsics', 'thermal', 'rgb_depth'):
        np.testing.assert_array_equal(getattr(data[1], field), getattr(again, field), field)
    assert again.rgb_intrinsics[2, 2] == 1


def test_labels_may_be_chosen(tmp_path):
    thermal, rgb, *filtered = small_arrays()
    refined = [label // 2 for label in filtered]
    write_tree(tmp_path, (thermal, rgb, *filtered), 'train', labels='depth_filtered')
    write_tree(tmp_path, (thermal, rgb, *refined), 'val', labels='depth_filtered_myrefine')
    for split in ('train', 'val'):
        for labels, wanted in (
            ('auto', refined if split == 'train' else filtered),
            (True, refined if split == 'train' else filtered),
            ('refined', refined),
            ('filtered', filtered),
        ):
            sample = MS2(tmp_path, split, labels)[0]
            np.testing.assert_array_equal(sample.thermal_depth[0], wanted[0] / np.float32(256))
            np.testing.assert_array_equal(sample.rgb_depth[0], wanted[1] / np.float32(256))
        assert MS2(tmp_path, split, labels=False)[0].rgb_depth is None


def test_pose_of_calibration(tmp_path):
    write_calibration(tmp_path)
    # both cameras look the same way; rgb = nir + (-0.2, 0.03, 0), thermal = nir + (0.1, 0, 0)
    pose = read_calibration(tmp_path / 'calib.npy').extrinsics
    np.testing.assert_allclose(pose[:3, 3], [-0.3, 0.03, 0], atol=1e-12)
    write_calibration(tmp_path, {'T_nir2rgb': None})
    with pytest.raises(DatasetError, match='has no T_nir2rgb'):
        read_calibration(tmp_path / 'calib.npy')
    write_calibration(tmp_path, {'K_thrL': np.eye(2)})
    with pytest.raises(DatasetError, match=r'K_thrL .* must hold 9'):
        read_calibration(tmp_path / 'calib.npy')


def test_missing_files_are_named_and_counted(tmp_path):
    names = tuple(f'{i:06d}' for i in range(12))
    root = write_tree(tmp_path, small_arrays(), names=names)
    (root / 'sync_data' / SEQUENCE / 'rgb/img_left/000003.png').unlink()
    with pytest.raises(DatasetError, match='1 files of 1 of 12 samples') as caught:
        MS2(root, 'val')
    assert f'RGB image of {SEQUENCE}/000003' in str(caught.value)
    for name in names[5:]:
        (root / 'proj_depth' / SEQUENCE / f'thr/depth_filtered/{name}.png').unlink()
    with pytest.raises(DatasetError, match='8 files of 8 of 12 samples') as caught:
        MS2(root, 'val')
    assert 'thermal label of' in str(caught.value)
    assert 'and 3 more' in str(caught.value)
    data = MS2(root, 'val', skip_missing=True)
    assert len(data) == 4
    assert '8 left out, 8 files missing' in data.summary
    assert len(MS2(root, 'val', 'none', skip_missing=True)) == 11
    assert MS2(root, 'val', 'none', skip_missing=True)[0].thermal_depth is None


def test_wrong_roots_and_splits(tmp_path):
    with pytest.raises(DatasetError, match='is not a folder'):
        MS2(tmp_path / 'nowhere', 'val')
    root = write_tree(tmp_path, small_arrays())
    with pytest.raises(DatasetError, match='no list'):
        MS2(root, 'validation')
    with pytest.raises(DatasetError, match='thermal images of _2021-08-13-21-18-04'):
        MS2(root, 'test_night')  # the published names stand in for the missing list
    with pytest.raises(DatasetError, match="labels 'raw'"):
        MS2(root, 'val', 'raw')
    assert [len(SPLITS[s]) for s in ('train', 'val', 'test_day')] == [8, 3, 3]


def test_damaged_files_are_named(tmp_path):
    root = write_tree(tmp_path, small_arrays())
    data = MS2(root, 'val')
    image = root / 'sync_data' / SEQUENCE / 'thr/img_left/000002.png'
    image.write_bytes(image.read_bytes()[:40])
    with pytest.raises(DatasetError, match=r'000002\.png cannot be decoded'):
        data[1]
    assert cv2.imwrite(str(image), np.zeros((16, 40), np.uint8))
    with pytest.raises(DatasetError, match='holds 1 channels of uint8'):
        data[-1]
    with pytest.raises(IndexError):
        data[2]


class _Evil:
    def __reduce__(self):
        return os.system, ('echo ran > evil',)


def test_calibration_never_runs_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / 'calib.npy', {'K_thrL': _Evil()})
    with pytest.raises(DatasetError, match=r'asks for (posix|nt)\.system'):
        load_dict(tmp_path / 'calib.npy')
    assert not (tmp_path / 'evil').exists()
    # an array of another class than numpy's own
    np.save(tmp_path / 'calib.npy', {'K': np.ma.masked_array([1.0])})
    with pytest.raises(DatasetError, match='neither an array nor a plain container'):
        load_dict(tmp_path / 'calib.npy')


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_calibration_of_any_pickle_protocol(tmp_path, protocol):
    content = {
        'K': np.arange(9.0).reshape(3, 3),
        'transposed': np.arange(6.0).reshape(2, 3).T,
        'number': np.float64(3.5),
        'list': [1, 'two', (3, None)],
    }
    box = np.empty((), object)
    box[()] = content
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        data, {'descr': '|O', 'fortran_order': False, 'shape': ()}
    )
    pickled = pickle.dumps(box, protocol)
    (tmp_path / 'new.npy').write_bytes(data.getvalue() + pickled)
    both = {'new.npy': pickled}
    if protocol < 4:  # module names are plain text without lengths there
        names = (b'numpy._core.multiarray', b'numpy.core.multiarray')
        old = pickled.replace(names[0], names[1])
        new = old.replace(names[1], names[0])
        both = {'old.npy': old, 'new.npy': new}
    for name, part in both.items():
        (tmp_path / name).write_bytes(data.getvalue() + part)
        found = load_dict(tmp_path / name)
        np.testing.assert_array_equal(found['K'], content['K'])
        np.testing.assert_array_equal(found['transposed'], content['transposed'])
        assert found['number'] == 3.5
        assert found['list'] == content['list']


def test_files_that_are_no_dictionary(tmp_path):
    np.save(tmp_path / 'a.npy', np.eye(3))
    with pytest.raises(DatasetError, match='holds an array of float64'):
        load_dict(tmp_path / 'a.npy')
    np.save(tmp_path / 'b.npy', np.array([1, 'x'], object))
    with pytest.raises(DatasetError, match='holds an array of object'):
        load_dict(tmp_path / 'b.npy')
    (tmp_path / 'c.npy').write_bytes(b'\x93NUMPY\x01\x00')
    with pytest.raises(DatasetError, match=r'cannot be read as a \.npy'):
        load_dict(tmp_path / 'c.npy')
    with pytest.raises(DatasetError, match='is missing'):
        load_dict(tmp_path / 'd.npy')
