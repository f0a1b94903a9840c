# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Test images of the published data sets MS2 and ViViD with their LiDAR labels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import SettingsError
from monother_ros.core.frames import ThermalFrame
from monother_ros.evaluation.evaluate.sources import (
    SourceFrame,
    SourceOptions,
    parse_words,
    refuse_rest,
)
from monother_ros.evaluation.evaluate.truth import digest
from monother_ros.learning.ms2 import MS2
from monother_ros.learning.vivid import Vivid

APART = 60_000_000_000
"""Nanoseconds between two drives, so that they share no block of time."""


def open_tree(kind: str, text: str, options: SourceOptions) -> TreeSource:
    """
    Open a data set.

    :param kind: ms2 or vivid.
    :param text: ROOT, then split=NAME (several joined by +) after a comma.
    :param options: labels and trim.
    :raises SettingsError: it is not of this form.
    :raises DatasetError: something is missing; says what.
    """
    words, named = parse_words(text)
    if len(words) != 1:
        msg = f'{kind}:{text} must be {kind}:ROOT,split=NAME'
        raise SettingsError(msg)
    usual = 'test_day+test_night+test_rainy' if kind == 'ms2' else 'test'
    splits = named.pop('split', usual).split('+')
    refuse_rest(named, 'split=NAME')
    return TreeSource(kind, words[0], splits, options)


class TreeSource:
    """
    One or several splits of a data set.

    Each image counts: the shutter detector does not leave any out. Stamps are made up, at the
    rate of the options; drives lie a minute apart.

    :param kind: ms2 or vivid.
    :param root: of the data set.
    :param splits: names.
    :param options: labels of MS2, border rule of ViViD, rate.
    :raises DatasetError: something is missing; says what.
    """

    curated = True

    def __init__(self, kind: str, root: str, splits: list[str], options: SourceOptions) -> None:
        """See the class."""
        self.kind, self.name = kind, f'{kind} {"+".join(splits)}'
        self.notes: list[str] = []
        self._options = options
        self._parts: list[MS2 | Vivid] = []
        for split in splits:
            if kind == 'ms2':
                labels = options.labels
                self._parts.append(MS2(root, split, labels, thermal_only=True))
            else:
                self._parts.append(Vivid(root, split, trim=options.trim, thermal_only=True))
        self._splits = splits
        self._ends = list(accumulate(len(part) for part in self._parts))
        if kind == 'ms2':
            self.truth = f'LiDAR labels, {options.labels}'
        else:
            rule = 'borders cut as published' if options.trim else 'not trimmed'
            self.truth = f'LiDAR labels, {rule}'

    def count(self) -> int:
        """Number of images."""
        return self._ends[-1]

    def identity(self) -> str:
        """Digest of the folders' names, the number of files and the options."""
        chosen = self._options
        told = [part.summary for part in self._parts]
        return digest([self.kind, *told, chosen.labels, chosen.trim, chosen.rate])

    def frames(self, start: int = 0) -> Iterator[SourceFrame]:
        """
        Read the images split by split.

        :param start: number of the first one.
        :raises DatasetError: a file cannot be read.
        """
        index, drives, before = 0, 0, None
        for split, part in zip(self._splits, self._parts, strict=True):
            for k in range(len(part)):
                drive = (split, part.drive(k))
                apart = before is not None and drive != before
                drives += apart
                before = drive
                if index >= start:
                    raw, truth, matrix = part.thermal_frame(k)
                    height, width = raw.shape
                    fx, cx, fy, cy = matrix[[0, 0, 1, 1], [0, 2, 1, 2]].tolist()
                    camera = Intrinsics(width, height, fx, fy, cx, cy)
                    stamp = round(index * 1e9 / self._options.rate) + drives * APART
                    frame = ThermalFrame(raw, stamp, '', camera)
                    label = split.removeprefix('test_')
                    if len(self._splits) == 1:
                        label = part.drive(k)
                    yield SourceFrame(index, frame, truth, label, apart or index == start)
                index += 1
