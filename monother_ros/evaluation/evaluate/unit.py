# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Result of one unit of work: one recording with one model, a row of numbers per scored frame.

Units are all that has to travel between processes or machines. What is said in the end is made of
their rows by :func:`.merge.merge`, so it cannot matter where a unit was made.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monother_ros.evaluation.evaluate.metric_names import METRICS
from monother_ros.evaluation.evaluate.pictures import KeptFrame
from monother_ros.evaluation.evaluate.schema import Model
from monother_ros.evaluation.evaluate.settings import EvaluationSettings

BIN_VALUES = ('pixels', 'abs_rel', 'rmse', 'd1', 'bias')
"""What is kept of each range of distance."""

STEPS = 20
"""Points of a risk-coverage curve: 0, 5, … 95 % of the pixels dropped."""

LEVELS = 10
"""Steps of confidence in which its promise is compared with the truth."""


def column_names(settings: EvaluationSettings) -> tuple[str, ...]:
    """
    Names of the numbers in a row.

    :param settings: which groups of metrics are wanted.
    :returns: the metrics; binNN_… of each range; kept_NN and oracle_NN, the curves; cal_n_N,
        cal_said_N (in units of 2^-20) and cal_within_N, whole numbers.
    """
    names = [m.name for m in METRICS.values() if m.group in settings.metrics]
    if 'ranges' in settings.metrics:
        names += [f'bin{k:02d}_{v}' for k in range(settings.bins) for v in BIN_VALUES]
    if 'confidence' in settings.metrics:
        names += [f'{kind}_{k:02d}' for kind in ('kept', 'oracle') for k in range(STEPS)]
        names += [f'cal_{v}_{k}' for v in ('n', 'said', 'within') for k in range(LEVELS)]
    return tuple(names)


@dataclass
class Rows:
    """
    Numbers of the scored frames of a unit, 8 bytes each.

    :ivar columns: their names, see :func:`column_names`.
    :ivar index: number of each frame in its recording, rising.
    :ivar stamp: of each frame, ns.
    :ivar condition: of each frame, index in `conditions`.
    :ivar conditions: names, in the order of their first frame.
    """

    columns: tuple[str, ...]
    index: array[int] = field(default_factory=lambda: array('q'))
    stamp: array[int] = field(default_factory=lambda: array('q'))
    condition: array[int] = field(default_factory=lambda: array('q'))
    conditions: list[str] = field(default_factory=list)
    values: array[float] = field(default_factory=lambda: array('d'))

    def __len__(self) -> int:
        return len(self.index)

    def add(self, index: int, stamp: int, condition: str, values: Sequence[float]) -> None:
        """
        Append a row.

        :param index: of the frame. :param stamp: ns. :param condition: name.
        :param values: one number per column, NaN where there is none.
        :raises ValueError: there are more or fewer numbers than columns.
        """
        if len(values) != len(self.columns):
            msg = f'{len(values)} numbers for {len(self.columns)} columns'
            raise ValueError(msg)
        if condition not in self.conditions:
            self.conditions.append(condition)
        self.index.append(index)
        self.stamp.append(stamp)
        self.condition.append(self.conditions.index(condition))
        self.values.extend(values)

    def matrix(self) -> NDArray[np.float64]:
        """
        All numbers as a view; no row can be added while somebody holds it.

        :returns: (frames, columns) float64, NaN where there is none; not to be written to.
        """
        flat = np.frombuffer(self.values, np.float64) if self.values else np.empty(0)
        flat.flags.writeable = False
        return flat.reshape(len(self), len(self.columns))


@dataclass
class UnitResult:
    """
    One recording with one model.

    :param model: whose label is its name.
    :param recording: name of the recording. :param source: as it was given.
    :param kind: bag, ms2, vivid, folder or sim. :param truth: what it is, for people.
    :param frames: thermal frames that went through the pipeline.
    :param first: stamp of the first frame, ns. :param last: of the last one.
    :param skipped: number of frames that were not scored, by reason.
    :param rows: of the scored frames.
    :param pictures: of frames that may be shown.
    :param notes: for people.
    """

    model: Model
    recording: str
    source: str
    kind: str
    truth: str
    frames: int
    first: int
    last: int
    skipped: dict[str, int]
    rows: Rows
    pictures: list[KeptFrame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
