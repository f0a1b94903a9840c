# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ViViD++ outdoor drives, in the layout that ThermalSfMLearner-MS prepares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError
from monother_ros.core.parsing import read_array
from monother_ros.learning.datasets import PairSample, checked_index
from monother_ros.learning.pair_files import (
    existing_folder,
    keep_complete,
    listed,
    read_image,
    read_pair,
    thermal_files,
)

SPLITS = {
    'train': ('outdoor_robust_day1', 'outdoor_robust_day2'),
    'val': ('outdoor_robust_night1', 'outdoor_robust_night2'),
    'test': ('outdoor_robust_night1', 'outdoor_robust_night2'),
}
"""Drives of each published split; val and test are the same (Q9)."""

BORDER_FIRST = 40
"""Pixels at each side of a thermal label that are never used."""
BORDER_LAST = 100
"""The border ends one pixel after this one at the latest."""
BORDER_EMPTY = 0.4
"""Part of a row or column without label above which it belongs to the border."""
EMPTY = 0.01
"""Metres below which a label is none, for the border."""


def label_window(depth: NDArray[Any]) -> tuple[int, int, int, int]:
    """
    Part of a thermal label that is kept: rows top to bottom, columns left to right.

    From each side, begin 40 pixels in and go on while more than 40 % of the row or column carry no
    label; end at 101 at the latest. Sparse labels lose 101 pixels at every side.

    :param depth: (H, W) metres, 0 where unknown.
    :returns: top, bottom, left, right; the last row and column are exclusive.
    """
    empty = np.abs(depth) < EMPTY

    def border(parts: NDArray[np.floating], first: int) -> int:
        """Pixels to cut; parts of empty pixels of each line in order from the side."""
        cut = BORDER_FIRST
        while cut <= BORDER_LAST and cut < len(parts) and parts[cut - first] > BORDER_EMPTY:
            cut += 1
        return cut

    height, width = depth.shape
    rows, columns = empty.mean(1), empty.mean(0)
    # at the far sides the line at the exclusive end is looked at, so one line more is lost
    return (
        border(rows, 0),
        height - border(rows[::-1], 1),
        border(columns, 0),
        width - border(columns[::-1], 1),
    )


def without_border(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Copy of a thermal label with everything outside of :func:`label_window` set to 0.

    :param depth: (H, W) metres.
    """
    top, bottom, left, right = label_window(depth)
    kept = np.zeros_like(depth)
    window = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    kept[window] = depth[window]
    return kept


def _read_matrix(path: Path, size: int) -> NDArray[np.float64]:
    """Square matrix of a text file."""
    try:
        matrix = np.loadtxt(path, dtype=np.float64)
    except (OSError, ValueError) as err:
        msg = f'calibration {path} cannot be read: {err}'
        raise DatasetError(msg) from err
    if matrix.shape != (size, size) or not np.isfinite(matrix).all():
        msg = f'calibration {path} must hold {size}x{size} finite numbers, but is {matrix.shape}'
        raise DatasetError(msg)
    return matrix


def _read_depth(path: Path) -> NDArray[np.float32]:
    """Label of a .npy file, (H, W) metres; a trailing axis of one is taken off."""
    try:
        depth = read_array(path)
    except (OSError, ValueError) as err:
        msg = f'label {path} cannot be read: {err}'
        raise DatasetError(msg) from err
    if depth.ndim == 3 and depth.shape[2] == 1:
        depth = depth[..., 0]
    if depth.ndim != 2 or depth.dtype.kind != 'f':
        msg = f'label {path} is {depth.dtype} {depth.shape}; it must hold (H, W) metres'
        raise DatasetError(msg)
    return np.nan_to_num(depth.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


class Vivid:
    """
    Pairs of ViViD++ outdoor with LiDAR labels.

    :param root: folder with one folder per drive and the lists {split}_outdoor.txt (the published
        drives are taken where a list is not there).
    :param split: train, val, test, or any other that has a list.
    :param labels: whether to read labels.
    :param trim: cut the border of thermal labels as published; False keeps all of them (Q20).
    :param reference: scale the RGB principal point as published (Q8) where the sizes differ.
    :param skip_missing: leave samples without all of their files out instead of raising.
    :param thermal_only: do without RGB images and their labels; :meth:`thermal_frame` reads then.
    :raises DatasetError: nothing is there, files are missing, or a calibration cannot be read.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        labels: bool = True,
        trim: bool = True,
        reference: bool = False,
        skip_missing: bool = False,
        thermal_only: bool = False,
    ) -> None:
        self.root = existing_folder(Path(root).expanduser(), 'ViViD root')
        self.split = split
        self.labels = labels
        self.trim = trim
        self.reference = reference
        self._thermal_only = thermal_only
        samples = []
        for drive in listed(self.root, f'{split}_outdoor.txt', SPLITS, split):
            what = f'ViViD {split}: thermal images of {drive}'
            files = thermal_files(self.root / drive / 'Thermal', what)
            samples += [(drive, Path(file).stem) for file in files]
        what = f'ViViD {split} at {self.root}'
        described = [(f'{d}/{name}', tuple(self._files(d, name).items())) for d, name in samples]
        complete, missing = keep_complete(described, skip=skip_missing, what=what)
        self._samples = [samples[i] for i in complete]
        used = sorted({drive for drive, _ in self._samples})
        self._cameras = {
            drive: (
                _read_matrix(self.root / drive / 'cam_T.txt', 3),
                _read_matrix(self.root / drive / 'cam_RGB.txt', 3),
                _read_matrix(self.root / drive / 'Tr_T2RGB.txt', 4),
            )
            for drive in used
        }
        left = f'; {len(samples) - len(complete)} left out, {missing} files missing'
        self.summary = f'{what}: {len(self)} pairs of {len(used)} drives{left if missing else ""}'

    def _files(self, drive: str, name: str) -> dict[str, Path]:
        """What belongs to one sample."""
        folder = self.root / drive
        files = {
            'thermal image': folder / 'Thermal' / f'{name}.png',
            'RGB image': folder / 'RGB' / f'{name}.png',
        }
        if self.labels:
            files['thermal label'] = folder / 'Depth_T' / f'{name}.npy'
            files['RGB label'] = folder / 'Depth_RGB' / f'{name}.npy'
        if self._thermal_only:
            files = {what: path for what, path in files.items() if what.startswith('thermal')}
        return files

    def drive(self, index: int) -> str:
        """Name of the drive of a sample."""
        return self._samples[index][0]

    def thermal_frame(
        self, index: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.float32] | None, NDArray[np.float64]]:
        """
        Thermal image as the camera delivered it.

        :returns: (H, W) counts; label, metres, 0 where unknown, of its own size, or None; (3, 3)
            camera matrix in pixels of the image.
        :raises DatasetError: a file cannot be read.
        """
        drive, name = self._samples[checked_index(index, len(self))]
        files = self._files(drive, name)
        label = self._label(files['thermal label']) if self.labels else None
        raw = read_image(files['thermal image'], np.uint16, 1)
        return raw, label, self._cameras[drive][0]

    def _label(self, path: Path) -> NDArray[np.float32]:
        """Thermal label, with its border cut as asked for."""
        depth = _read_depth(path)
        return without_border(depth) if self.trim else depth

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> PairSample:
        """
        Read one pair.

        :raises IndexError: beyond the end.
        :raises DatasetError: a file cannot be read.
        """
        drive, name = self._samples[checked_index(index, len(self))]
        files = self._files(drive, name)
        thermal_depth = rgb_depth = None
        if self.labels:
            thermal_depth = self._label(files['thermal label'])
            rgb_depth = _read_depth(files['RGB label'])
        return read_pair(
            files,
            self._cameras[drive],
            (thermal_depth, rgb_depth),
            half_pixel=not self.reference,
            name=f'{drive}/{name}',
        )
