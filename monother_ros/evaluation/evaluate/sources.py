# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames with ground truth come from: one interface for bags, data sets, folders, worlds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.core.frames import RgbFrame, ThermalFrame


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """
    One thermal frame and what is known about it.

    :param index: number in the recording, from 0, rising.
    :param frame: what the pipeline takes; with points where they were asked for.
    :param truth: (H, W) metres along the optical axis; 0 and NaN unknown, +inf for sky. Of the
        size of the image or of another one with the same field of view. None where there is none.
    :param condition: name for tables.
    :param rgb: of about the same time, for pictures; or None.
    :param apart: it does not follow the frame before: another drive, another place.
    """

    index: int
    frame: ThermalFrame
    truth: NDArray[Any] | None = None
    condition: str = ''
    rgb: RgbFrame | None = None
    apart: bool = False


class FrameSource(Protocol):
    """Frames of one recording in the order of time; may be iterated several times."""

    name: str
    """Unique among the recordings of an evaluation."""
    kind: str
    """bag, ms2, vivid, folder or sim."""
    truth: str
    """What the ground truth is, for people."""
    curated: bool
    """People have chosen the images, so each of them counts."""
    notes: list[str]
    """For people: what was left out, and why; filled while frames are read."""

    def count(self) -> int:
        """Number of thermal frames."""
        ...

    def identity(self) -> str:
        """Digest of everything that decides which frames come: files, topics, options."""
        ...

    def frames(self, start: int = 0) -> Iterator[SourceFrame]:
        """
        Read frames.

        :param start: number of the first one.
        :raises MonotherError: the recording is damaged.
        """
        ...


@dataclass(frozen=True)
class SourceOptions:
    """
    How recordings are read; what a source has no use for is ignored.

    :param truth: 'auto', 'topic', 'lidar', a topic (begins with /), or a folder of files.
    :param topics: role → topic, where a bag names it unusually: thermal, thermal_info, truth,
        lidar, static, condition.
    :param calibration: camera_info file of the thermal camera, instead of the bag's.
    :param extrinsics: file with 4x4 numbers, X_thermal = T X_lidar, instead of /tf_static.
    :param slop: greatest difference of the stamps of image and ground truth, seconds.
    :param points: read the points of the range sensor as an input.
    :param labels: of MS2: filtered or refined. :param trim: the border rule of ViViD.
    :param cache: folder for worlds that are rendered; None beside the working folder.
    :param workers: processes that render worlds; 0 for one per core.
    """

    truth: str = 'auto'
    topics: dict[str, str] = field(default_factory=dict)
    calibration: Path | None = None
    extrinsics: Path | None = None
    slop: float = 0.05
    points: bool = False
    labels: str = 'filtered'
    trim: bool = True
    cache: Path | None = None
    workers: int = 0


def open_source(text: str, options: SourceOptions | None = None) -> FrameSource:
    """
    Open what a person names.

    :param text: a bag; ``ms2:ROOT,split=test_day``; ``vivid:ROOT,split=test``; a folder of thermal
        images with ``--truth``; ``sim:street,night,fog,seed=7,seconds=10``.
    :param options: how it is read.
    :raises SettingsError: it is none of these.
    :raises MonotherError: it cannot be read.
    """
    msg = f'{text}: no kind of source takes it ({options})'
    raise SettingsError(msg)
