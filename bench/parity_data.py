# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets with the files of preprocess.npz, for bench/parity.py."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.learning.datasets import PairSample, label_mask
from monother_ros.learning.ms2 import MS2
from monother_ros.learning.vivid import Vivid, label_window
from monother_ros.networks.monother import network_size

Pair = tuple[str, str, NDArray[Any], NDArray[Any], float]
"""Part, quantity, what we have, what the public code has, limit."""

FIELDS = (
    ('image', 'thermal', 2e-6),
    ('rgb_image', 'rgb', 1e-5),
    ('depth', 'thermal_depth', 2e-6),
    ('rgb_depth', 'rgb_depth', 2e-6),
    ('intrinsics', 'thermal_intrinsics', 1e-4),
    ('rgb_intrinsics', 'rgb_intrinsics', 1e-4),
    ('pose_t2rgb', 'extrinsics', 2e-6),
)


def data_pairs(golden: Path) -> Iterator[Pair]:
    """
    Everything of preprocess.npz beside what we make of the same files.

    :param golden: folder of the fixtures.
    """
    with np.load(golden / 'preprocess.npz') as stored:
        g = {key: stored[key] for key in stored.files}
    sizes = g['resize/img_h_img_w_in_h_in_w_out_h_out_w']
    got = np.array([network_size(int(row[0]), int(row[1])) for row in sizes])
    yield 'preprocess/resize', 'network sizes', got, sizes[:, 4:], 0
    name = 'top_bottom_left_right'
    got = np.array(label_window(g['vivid/border_sparse_in'][..., 0]))
    yield 'preprocess/vivid', 'border, sparse', got, g[f'vivid/border_sparse_{name}'], 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write_ms2(root / 'ms2', g)
        _write_vivid(root / 'vivid', g)
        for split in ('val', 'train'):
            sample = MS2(root / 'ms2', split, reference=True)[0]
            yield from _fields(f'ms2/{split}', sample, g)
        yield from _fields('vivid/test', Vivid(root / 'vivid', 'test', reference=True)[0], g)


def _fields(case: str, sample: PairSample, g: Mapping[str, NDArray[Any]]) -> Iterator[Pair]:
    """Fields of one sample, and its label masks."""
    for published, own, limit in FIELDS:
        if f'{case}/{published}' in g:
            got = getattr(sample, own)
            want = g[f'{case}/{published}']
            got = np.broadcast_to(got, want.shape)  # one thermal channel stands for three
            yield f'preprocess/{case}', own, got, want, limit
    for published, depth in (('mask', sample.thermal_depth), ('rgb_mask', sample.rgb_depth)):
        assert depth is not None
        want = g[f'{case}/{published}']
        yield f'preprocess/{case}', f'{published}, pixels', label_mask(depth), want, 0


def _png(path: Path, image: NDArray[Any]) -> None:
    """Write an image, colours in the order red, green, blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def _write_ms2(root: Path, g: Mapping[str, NDArray[Any]]) -> None:
    """Tree of MS2 with one frame that is in two splits."""
    sequence = '_2021-08-13-16-08-46'
    sync, projected = (root / k / sequence for k in ('sync_data', 'proj_depth'))
    for camera, image in (('thr', 'thermal_png16'), ('rgb', 'rgb_png8')):
        _png(sync / camera / 'img_left' / '000000.png', g[f'ms2/in/{image}'])
        for folder in ('depth_filtered', 'depth_filtered_myrefine'):
            labels = g[f'ms2/in/{camera}_{folder}_png16']
            _png(projected / camera / folder / '000000.png', labels)
    start = 'ms2/in/calib_'
    calibration = {k.removeprefix(start): v for k, v in g.items() if k.startswith(start)}
    np.save(sync / 'calib.npy', np.array(calibration, dtype=object), allow_pickle=True)
    for split in ('val', 'train'):
        (root / f'{split}_list.txt').write_text(f'{sequence}\n')


def _write_vivid(root: Path, g: Mapping[str, NDArray[Any]]) -> None:
    """Tree of ViViD with one frame."""
    drive = root / 'outdoor_robust_night1'
    _png(drive / 'Thermal' / '000000.png', g['vivid/in/thermal_png16'])
    _png(drive / 'RGB' / '000000.png', g['vivid/in/rgb_png8'])
    for name in ('depth_T', 'depth_RGB'):
        path = drive / name.replace('depth', 'Depth') / '000000.npy'
        path.parent.mkdir()
        np.save(path, g[f'vivid/in/{name}_npy'])
    for name in ('cam_T', 'cam_RGB', 'Tr_T2RGB'):
        np.savetxt(drive / f'{name}.txt', g[f'vivid/in/{name}'])
    (root / 'test_outdoor.txt').write_text('outdoor_robust_night1\n')
