# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames with ground truth come from: one interface for bags, data sets, folders, worlds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError
from monother_ros.core.frames import ThermalFrame

IMAGES = ('.png', '.tiff', '.tif', '.pgm')
"""Endings of thermal images in a folder."""

T = TypeVar('T', int, float)


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """
    One thermal frame and what is known about it.

    :param index: number in the recording, from 0, rising.
    :param frame: what the pipeline takes; with points where they were asked for.
    :param truth: (H, W) metres along the optical axis; 0 and NaN unknown, +inf for sky. Of the
        size of the image or of another one with the same field of view. None where there is none.
    :param condition: name for tables.
    :param apart: it does not follow the frame before: another drive, another place.
    """

    index: int
    frame: ThermalFrame
    truth: NDArray[Any] | None = None
    condition: str = ''
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
    :param truth_scale: counts per metre of whole numbers in files: 256 (KITTI, MS2), 1000 (mm).
    :param slop: greatest difference of the stamps of image and ground truth, seconds.
    :param points: read the points of the range sensor as an input.
    :param labels: of MS2: filtered or refined. :param trim: the border rule of ViViD.
    :param rate: frames per second of images without stamps.
    :param cache: folder for worlds that are rendered; None for ~/.cache/monother_ros/worlds.
    :param workers: processes that render worlds; 0 for one per core.
    """

    truth: str = 'auto'
    topics: dict[str, str] = field(default_factory=dict)
    calibration: Path | None = None
    extrinsics: Path | None = None
    truth_scale: float = 256.0
    slop: float = 0.05
    points: bool = False
    labels: str = 'filtered'
    trim: bool = True
    rate: float = 10.0
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
    chosen = options or SourceOptions()
    kind, _, rest = text.partition(':')
    if kind == 'sim':
        from monother_ros.evaluation.evaluate.sim_source import open_world

        return open_world(rest, chosen)
    if kind in ('ms2', 'vivid'):
        from monother_ros.evaluation.evaluate.tree_source import open_tree

        return open_tree(kind, rest, chosen)
    path = Path(text).expanduser()
    if path.is_dir() and any(f.suffix in IMAGES for f in path.iterdir()):
        from monother_ros.evaluation.evaluate.folder_source import FolderSource

        return FolderSource(path, chosen)
    from monother_ros.evaluation.evaluate.bag_source import BagSource

    return BagSource(path, chosen)


def parse_words(text: str) -> tuple[list[str], dict[str, str]]:
    """
    Words and settings of a source, such as ``street,night,seed=7``.

    :param text: separated by commas.
    :returns: the words without =, and the value of each name.
    """
    words: list[str] = []
    named: dict[str, str] = {}
    for item in text.split(','):
        name, equals, value = item.strip().partition('=')
        if equals:
            named[name] = value
        elif name:
            words.append(name)
    return words, named


def number(kind: type[T], named: dict[str, str], name: str, usual: T) -> T:
    """
    Setting that is a number; it is taken out.

    :param kind: int or float. :param named: settings. :param name: of this one.
    :param usual: value where it is not given.
    :raises SettingsError: it is no number.
    """
    value = named.pop(name, None)
    if value is None:
        return usual
    try:
        return kind(value)  # type: ignore[call-arg]
    except ValueError as err:
        msg = f'{name}={value} is no number'
        raise SettingsError(msg) from err


def refuse_rest(named: dict[str, str], known: str) -> None:
    """
    Refuse settings that nobody has taken.

    :param named: what is left. :param known: names, for the message.
    :raises SettingsError: something is left.
    """
    if named:
        msg = f'{", ".join(named)}: not known here; use {known}'
        raise SettingsError(msg)
