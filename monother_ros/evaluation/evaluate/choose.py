# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the kept frames are shown: best, usual and worst of each condition."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from monother_ros.evaluation.evaluate.pictures import KeptFrame
from monother_ros.evaluation.evaluate.schema import ChosenFrame
from monother_ros.evaluation.evaluate.unit import UnitResult

KINDS = ('best', 'median', 'worst')


def choose(
    units: Sequence[tuple[str, UnitResult]],
) -> tuple[list[ChosenFrame], dict[str, bytes]]:
    """
    Choose frames by the AbsRel of the first model among those that every model has kept.

    With one model the extremes are those of the whole recording; with several they are those of
    the frames that were drawn, which all of them share.

    :param units: with the label of their model, in the order of the command line.
    :returns: the frames, and their pictures by key.
    """
    kept: dict[tuple[str, int], dict[str, KeptFrame]] = {}
    labels = list(dict.fromkeys(label for label, _ in units))
    first = {unit.recording: unit.first for _, unit in units}
    scores: dict[str, list[float]] = {}
    for label, unit in units:
        for picture in unit.pictures:
            kept.setdefault((unit.recording, picture.index), {})[label] = picture
        if label == labels[0]:
            column = unit.rows.matrix()[:, unit.rows.columns.index('abs_rel')]
            for value, place in zip(column.tolist(), unit.rows.condition, strict=True):
                scores.setdefault(unit.rows.conditions[place], []).append(value)
    chosen, pictures = [], {}
    for condition, values in scores.items():
        usual = float(np.nanmedian(values))
        shared = [
            (place, found)
            for place, found in kept.items()
            if len(found) == len(labels) and found[labels[0]].condition == condition
        ]
        if not shared:
            continue
        by_error = sorted(shared, key=lambda item: item[1][labels[0]].abs_rel)
        median = min(shared, key=lambda item: abs(item[1][labels[0]].abs_rel - usual))
        picked = dict(zip(KINDS, (by_error[0], median, by_error[-1]), strict=True))
        shown: set[tuple[str, int]] = set()
        for kind, ((recording, index), found) in picked.items():
            if (recording, index) in shown:
                continue
            shown.add((recording, index))
            number = list(first).index(recording)
            keys = {label: _key(number, recording, index, k) for k, label in enumerate(labels)}
            pictures.update({keys[label]: found[label].data for label in labels})
            stamp = found[labels[0]].stamp
            chosen.append(
                ChosenFrame(
                    kind=kind,
                    condition=condition,
                    recording=recording,
                    index=index,
                    time=(stamp - first[recording]) / 1e9,
                    abs_rel={label: found[label].abs_rel for label in labels},
                    pictures=keys,
                )
            )
    return chosen, pictures


def _key(number: int, recording: str, index: int, model: int) -> str:
    """Name of a picture that may be a file name."""
    plain = re.sub(r'[^A-Za-z0-9._-]+', '_', recording).strip('._')
    return f'{number:02d}-{plain}-{index:06d}-{model}'
