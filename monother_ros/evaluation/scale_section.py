# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric scale of several runs of one drive, as a part of the page of one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monother_ros.core.errors import SettingsError
from monother_ros.evaluation import plots
from monother_ros.evaluation.figures import COLOURS
from monother_ros.evaluation.page import Picture

LINES = ('#8a93a5', COLOURS[0], *COLOURS[1:])
"""Colours of the runs; the first one is what the others are compared with."""


def read_scale(path: str | Path, origin: int) -> dict[str, Any]:
    """
    Figures that ``monother demo --lidar`` wrote, for report.json.

    :param path: lidar.json.
    :param origin: stamp of time zero of the page in ns.
    :returns: `factor` that the model was made wrong by, and `runs`: name, `conditions` with their
        figures, and `series` of pairs (time in s, depth too far by this part of the truth).
    :raises SettingsError: the file cannot be read or is another one.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        runs = {
            str(name): {
                'conditions': {
                    str(when): {
                        'frames': int(row['frames']),
                        'scale_error': float(row['scale error']),
                        'abs_rel': float(row['abs_rel']),
                    }
                    for when, row in run['conditions'].items()
                },
                'series': [
                    [(int(stamp) - origin) / 1e9, float(ratio) - 1]
                    for stamp, ratio in run['series']
                ],
            }
            for name, run in content['runs'].items()
        }
        factor = float(content['factor'])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        msg = f'{path} holds no figures of the metric scale as monother demo --lidar writes: {err}'
        raise SettingsError(msg) from err
    return {'factor': factor, 'runs': runs}


def scale_chart(section: dict[str, Any], spans: Sequence[tuple[float, float, str]]) -> Picture:
    """
    Plot of how much too far each run says things are, over the time of the drive.

    :param section: of :func:`read_scale`.
    :param spans: start and end in s and the condition.
    """
    lines = [
        plots.Series(
            name, [p[0] for p in run['series']], [100 * p[1] for p in run['series']], colour
        )
        for (name, run), colour in zip(section['runs'].items(), LINES, strict=False)
    ]
    times = [time for line in lines for time in line.x]
    if times:
        ends = [min(times), max(times)]
        lines.append(plots.Series('the truth', ends, [0.0, 0.0], '#1d2433'))
    data = plots.time_plot(lines, 'median depth too far by [%]', spans, zero=False)
    alt = 'Plot of how many percent too far the median depth of each run is, over time'
    return Picture('scale.png', 'Scale over the drive', alt, data)
