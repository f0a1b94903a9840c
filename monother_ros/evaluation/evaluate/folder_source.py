# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Thermal images in a folder, with depth images of the same names in another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.errors import DatasetError, SettingsError
from monother_ros.core.frames import ThermalFrame
from monother_ros.evaluation.evaluate.sources import IMAGES, SourceFrame, SourceOptions
from monother_ros.evaluation.evaluate.truth import TruthFolder, digest

NANOSECONDS = 15
"""Digits of a name from which on it is a stamp in nanoseconds."""


class FolderSource:
    """
    A folder of thermal images, in the order of their names.

    :param folder: of images of one channel, 8 or 16 bit; names of 15 digits and more are stamps
        in nanoseconds.
    :param options: the ground truth must be a folder; calibration, rate.
    :raises SettingsError: there is no ground truth.
    :raises DatasetError: it holds no images.
    """

    kind = 'folder'
    curated = True

    def __init__(self, folder: Path, options: SourceOptions) -> None:
        """See the class."""
        self.folder = folder
        self.name = folder.resolve().name
        self.notes: list[str] = []
        self._options = options
        if options.truth in ('auto', 'topic', 'lidar'):
            msg = f'{folder} is a folder of images; give its ground truth with --truth FOLDER'
            raise SettingsError(msg)
        self._truth = TruthFolder(Path(options.truth).expanduser(), options.truth_scale)
        self.truth = f'depth images in {options.truth}'
        found = sorted(f for f in folder.iterdir() if f.suffix in IMAGES and f.name[0] != '.')
        if not found:
            msg = f'{folder} holds no {", ".join(IMAGES)}'
            raise DatasetError(msg)
        self._files = found
        given = options.calibration
        self._camera = None if given is None else read_camera_info(given)

    def count(self) -> int:
        """Number of images."""
        return len(self._files)

    def identity(self) -> str:
        """Digest of the files and options."""
        chosen = self._options
        return digest(
            [
                self.kind,
                self.folder,
                self._truth.folder,
                chosen.truth_scale,
                chosen.calibration or '',
                chosen.rate,
            ]
        )

    def frames(self, start: int = 0) -> Iterator[SourceFrame]:
        """
        Read the images in the order of their names.

        :param start: number of the first one.
        :raises DatasetError: a file cannot be read.
        """
        stamped = all(f.stem.isdecimal() and len(f.stem) >= NANOSECONDS for f in self._files)
        for index, file in enumerate(self._files[start:], start):
            image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            if image is None or image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
                msg = f'{file} is no thermal image of one channel with 8 or 16 bit'
                raise DatasetError(msg)
            stamp = int(file.stem) if stamped else round(index * 1e9 / self._options.rate)
            frame = ThermalFrame(image, stamp, '', self._camera)
            yield SourceFrame(index, frame, self._truth.named(file.stem), self.name)
