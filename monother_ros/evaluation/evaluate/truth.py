# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth in files, and the digest of files that a result depends on."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError
from monother_ros.core.parsing import read_array
from monother_ros.core.rigid import rigid_transform

ENDINGS = ('.npy', '.png', '.tiff', '.tif')
"""Files that may hold depth: float metres, or whole numbers in steps of :attr:`scale`."""


def read_depth(path: Path, scale: float) -> NDArray[np.float32]:
    """
    Depth image of a file.

    :param path: .npy with (H, W) or (H, W, 1) metres; an image of whole numbers, 0 for unknown,
        or of single precision metres (TIFF).
    :param scale: counts per metre of whole numbers.
    :returns: (H, W) metres; 0 or NaN unknown.
    :raises DatasetError: it cannot be read or is no depth.
    """
    image: NDArray[Any] | None
    try:
        if path.suffix == '.npy':
            image = read_array(path)
        else:
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError) as err:
        msg = f'ground truth {path} cannot be read: {err}'
        raise DatasetError(msg) from err
    if image is None:
        msg = f'ground truth {path} cannot be decoded as an image'
        raise DatasetError(msg)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim != 2 or image.dtype.kind not in 'uf' or image.dtype == np.uint8:
        msg = (
            f'ground truth {path} is {image.dtype} {image.shape}; depth is (H, W) metres, or '
            'whole numbers of 16 bit'
        )
        raise DatasetError(msg)
    if image.dtype.kind == 'u':
        return np.asarray(image, np.float32) / np.float32(scale)
    return np.asarray(image, np.float32)


class TruthFolder:
    """
    Depth images in a folder, found by the name of a frame or by its stamp.

    :param folder: of the files; for stamps their names are nanoseconds.
    :param scale: counts per metre of files with whole numbers.
    :raises DatasetError: there is no folder, or no depth in it.
    """

    def __init__(self, folder: Path, scale: float) -> None:
        """See the class."""
        self.folder, self.scale = folder, scale
        if not folder.is_dir():
            msg = f'ground truth {folder} is not a folder'
            raise DatasetError(msg)
        found = [f for f in sorted(folder.iterdir()) if f.suffix in ENDINGS and f.name[0] != '.']
        if not found:
            msg = f'ground truth {folder} holds no {", ".join(ENDINGS)}'
            raise DatasetError(msg)
        self._by_name = {f.stem: f for f in found}
        stamped = [(int(f.stem), f) for f in found if f.stem.isdecimal()]
        self._stamps = sorted(stamped)

    def named(self, stem: str) -> NDArray[np.float32] | None:
        """
        Depth of the frame of a name, None where there is none.

        :param stem: name of the frame's file without its ending.
        :raises DatasetError: the file cannot be read.
        """
        file = self._by_name.get(stem)
        return None if file is None else read_depth(file, self.scale)

    def near(self, stamp: int, slop: int) -> NDArray[np.float32] | None:
        """
        Depth that is nearest in time, None where none is near enough.

        :param stamp: ns. :param slop: greatest difference, ns.
        :raises DatasetError: the file cannot be read.
        """
        place = bisect.bisect_left(self._stamps, stamp, key=lambda item: item[0])
        around = self._stamps[max(place - 1, 0) : place + 1]
        if not around:
            return None
        best, file = min(around, key=lambda item: abs(item[0] - stamp))
        return read_depth(file, self.scale) if abs(best - stamp) <= slop else None


def read_pose(path: Path) -> NDArray[np.float64]:
    """
    Rigid transform of a text file: 16 numbers row by row, or x y z and a quaternion x y z w.

    :param path: of the file; commas, brackets and lines starting with # do not matter.
    :raises DatasetError: it cannot be read.
    :raises CalibrationError: it is no rigid transform.
    """
    try:
        lines = [line.partition('#')[0] for line in path.read_text(encoding='utf-8').splitlines()]
        words = ' '.join(lines).translate(str.maketrans(',[];', '    ')).split()
        numbers = [float(word) for word in words]
    except (OSError, ValueError) as err:
        msg = f'pose {path} cannot be read: {err}; give the 16 numbers of a 4x4 matrix'
        raise DatasetError(msg) from err
    return rigid_transform(numbers, f'pose {path}')


def digest(parts: Iterable[object]) -> str:
    """
    Digest of what decides which frames come.

    :param parts: texts, numbers, paths. A file counts by name, size and time of change, a folder
        by the files in it.
    :returns: 32 hexadecimal digits.
    """
    told: list[object] = []
    for part in parts:
        if isinstance(part, Path) and part.exists():
            files = sorted(part.rglob('*')) if part.is_dir() else [part]
            told += [
                (f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()
            ]
        else:
            told.append(str(part))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]
