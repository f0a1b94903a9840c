# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Multi-Spectral Stereo data set (MS2) as MonoTher-Depth reads it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError
from monother_ros.learning.datasets import PairSample, checked_index
from monother_ros.learning.numpy_pickle import load_dict
from monother_ros.learning.pair_files import (
    existing_folder,
    keep_complete,
    listed,
    read_image,
    read_pair,
    thermal_files,
)

_TIMES = {
    'train': (
        '08-06-10-59-33',
        '08-06-11-37-46',
        '08-06-17-21-04',
        '08-06-17-44-55',
        '08-13-16-50-57',
        '08-13-17-06-04',
        '08-13-21-36-10',
        '08-13-22-36-41',
    ),
    'val': ('08-13-16-08-46', '08-13-16-14-48', '08-13-21-58-13'),
    'test_day': ('08-06-11-23-45', '08-13-15-46-56', '08-13-16-31-10'),
    'test_night': ('08-13-21-18-04', '08-13-22-03-03', '08-13-22-16-02'),
    'test_rainy': ('08-06-16-19-00', '08-06-16-45-28', '08-06-16-59-13'),
}
SPLITS = {split: tuple(f'_2021-{t}' for t in times) for split, times in _TIMES.items()}
"""Sequences of each published split, for a root without list files."""

LABELS = {'filtered': 'depth_filtered', 'refined': 'depth_filtered_myrefine'}
"""Folders of the labels."""

LABEL_SCALE = 256.0
"""Label counts per metre."""


class Ms2Calibration(NamedTuple):
    """
    Cameras of one sequence.

    :ivar thermal: (3, 3) float64 of the 256x640 images.
    :ivar rgb: (3, 3) float64 of the 384x1224 images.
    :ivar extrinsics: (4, 4) float64, X_rgb = T X_thermal, metres.
    """

    thermal: NDArray[np.float64]
    rgb: NDArray[np.float64]
    extrinsics: NDArray[np.float64]


def read_calibration(path: str | Path) -> Ms2Calibration:
    """
    Left thermal and left RGB camera from calib.npy.

    The file has the poses from the near-infrared camera in millimetres, so that
    T = E_rgb E_thr^-1 with E = [R_nir2x | T_nir2x / 1000].

    :param path: of calib.npy, a pickled dictionary; see :func:`.numpy_pickle.load_dict`.
    :raises DatasetError: the file cannot be read, an entry is missing or not of its size.
    """
    content = load_dict(path)

    def entry(name: str, size: int) -> NDArray[np.float64]:
        """One array of the file, flat."""
        value = content.get(name)
        if value is None:
            msg = f'{path} has no {name}; it has {", ".join(map(str, sorted(content)))}'
            raise DatasetError(msg)
        flat = np.asarray(value, np.float64).reshape(-1)
        if flat.size != size or not np.isfinite(flat).all():
            msg = f'{name} in {path} must hold {size} finite numbers, but is {value!r}'
            raise DatasetError(msg)
        return flat

    poses = {}
    for camera in ('thr', 'rgb'):
        pose = np.eye(4)
        pose[:3, :3] = entry(f'R_nir2{camera}', 9).reshape(3, 3)
        pose[:3, 3] = entry(f'T_nir2{camera}', 3) / 1000.0
        poses[camera] = pose
    return Ms2Calibration(
        entry('K_thrL', 9).reshape(3, 3),
        entry('K_rgbL', 9).reshape(3, 3),
        poses['rgb'] @ np.linalg.inv(poses['thr']),
    )


class MS2:
    """
    Left thermal and left RGB images of MS2 with projected LiDAR labels.

    :param root: folder with sync_data and proj_depth, and the lists {split}_list.txt (the
        published sequences are taken where a list is not there).
    :param split: train, val, test_day, test_night, test_rainy, or any other that has a list.
    :param labels: 'auto' (refined for train, filtered for all others), 'refined', 'filtered', or
        'none' for pairs without labels; true and false are 'auto' and 'none'.
    :param reference: scale the RGB principal point as published (Q8), not for half-pixel centres.
    :param skip_missing: leave samples without all of their files out instead of raising.
    :param thermal_only: do without RGB images and their labels; :meth:`thermal_frame` reads then.
    :raises DatasetError: nothing is there, files are missing, or a calibration cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        labels: str | bool = 'auto',
        *,
        reference: bool = False,
        skip_missing: bool = False,
        thermal_only: bool = False,
    ) -> None:
        self.root = existing_folder(Path(root).expanduser(), 'MS2 root')
        self.split = split
        self.reference = reference
        self._thermal_only = thermal_only
        asked = ('auto' if labels else 'none') if isinstance(labels, bool) else labels
        kind = ('refined' if split == 'train' else 'filtered') if asked == 'auto' else asked
        if kind not in (*LABELS, 'none'):
            msg = f'labels {labels!r} is not known; use auto, {", ".join(LABELS)} or none'
            raise DatasetError(msg)
        self.labels = LABELS.get(kind)
        samples = []
        sequences = listed(self.root, f'{split}_list.txt', SPLITS, split)
        for sequence in sequences:
            folder = self.root / 'sync_data' / sequence / 'thr' / 'img_left'
            files = thermal_files(folder, f'MS2 {split}: thermal images of {sequence}')
            samples += [(sequence, file) for file in files]
        what = f'MS2 {split} at {self.root}'
        described = [(f'{s}/{Path(f).stem}', tuple(self._files(s, f).items())) for s, f in samples]
        complete, missing = keep_complete(described, skip=skip_missing, what=what)
        self._samples = [samples[i] for i in complete]
        used = sorted({sequence for sequence, _ in self._samples})
        self.calibrations = {
            s: read_calibration(self.root / 'sync_data' / s / 'calib.npy') for s in used
        }
        left = f'; {len(samples) - len(complete)} left out, {missing} files missing'
        self.summary = (
            f'{what}: {len(self)} pairs of {len(used)} sequences, labels '
            f'{self.labels or "none"}{left if missing else ""}'
        )

    def _files(self, sequence: str, file: str) -> dict[str, Path]:
        """What belongs to one sample."""
        images = self.root / 'sync_data' / sequence
        files = {
            'thermal image': images / 'thr' / 'img_left' / file,
            'RGB image': images / 'rgb' / 'img_left' / file,
        }
        if self.labels is not None:
            depths = self.root / 'proj_depth' / sequence
            files['thermal label'] = depths / 'thr' / self.labels / file
            files['RGB label'] = depths / 'rgb' / self.labels / file
        if self._thermal_only:
            files = {what: path for what, path in files.items() if what.startswith('thermal')}
        return files

    def drive(self, index: int) -> str:
        """Name of the sequence of a sample."""
        return self._samples[index][0]

    def thermal_frame(
        self, index: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None, NDArray[np.float64]]:
        """
        Thermal image as the camera delivered it.

        :returns: (H, W) counts; label, (H, W) metres, 0 where unknown, or None; (3, 3) camera
            matrix in pixels.
        :raises DatasetError: a file cannot be read.
        """
        sequence, file = self._samples[checked_index(index, len(self))]
        files = self._files(sequence, file)
        label = None
        if self.labels is not None:
            label = self._label(files['thermal label'])
        raw = read_image(files['thermal image'], np.uint16, 1)
        return raw, label, self.calibrations[sequence].thermal

    @staticmethod
    def _label(path: Path) -> NDArray[np.float32]:
        """Metres of a label file."""
        return read_image(path, np.uint16, 1).astype(np.float32) / np.float32(LABEL_SCALE)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> PairSample:
        """
        Read one pair.

        :raises IndexError: beyond the end.
        :raises DatasetError: a file cannot be read.
        """
        sequence, file = self._samples[checked_index(index, len(self))]
        files = self._files(sequence, file)
        depths = [
            self._label(files[f'{kind} label']) if self.labels is not None else None
            for kind in ('thermal', 'RGB')
        ]
        return read_pair(
            files,
            self.calibrations[sequence],
            (depths[0], depths[1]),
            half_pixel=not self.reference,
            name=f'{sequence}/{Path(file).stem}',
        )
