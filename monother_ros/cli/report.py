# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb report: figures, pictures and a page of a recorded run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monother_ros.core.errors import BagError, SettingsError
from monother_ros.evaluation.recording import INPUT_ROLES, OUTPUT_ROLES
from monother_ros.evaluation.report import build


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the arguments of the verb.

    :param parser: parser of the verb.
    """
    parser.add_argument('recorded', type=Path, help='bag of what the depth node published')
    parser.add_argument(
        '--input', type=Path, required=True, help='bag of what the depth node was fed with'
    )
    parser.add_argument(
        '-o', '--out', type=Path, required=True, help='folder for index.html and its pictures'
    )
    parser.add_argument('--title', default='Recorded run', help='heading of the page')
    parser.add_argument(
        '--range',
        type=float,
        nargs=2,
        metavar=('MIN', 'MAX'),
        default=(0.5, 80.0),
        help='depths in metres that count as in range (default: 0.5 80)',
    )
    parser.add_argument(
        '--moments',
        type=int,
        default=6,
        metavar='N',
        help='moments of the drive to show, spread over its conditions (default: 6)',
    )
    parser.add_argument(
        '--scale',
        type=Path,
        metavar='JSON',
        help='lidar.json of monother demo --lidar: show the metric scale of its runs as well',
    )
    parser.add_argument(
        '--remap',
        nargs='+',
        default=[],
        metavar='TOPIC:=NAME',
        help='where a bag names a topic differently, such as /flir/image:=/thermal/image_raw',
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Write the report, print a short table, and the path of the page as the last line.

    :param arguments: of add_arguments.
    :returns: 0.
    :raises BagError: a bag cannot be read or the folder cannot be written.
    :raises SettingsError: an argument is impossible.
    """
    low, high = arguments.range
    if not 0 <= low < high:
        msg = f'--range {low:g} {high:g}: the first must be at least 0 and below the second'
        raise SettingsError(msg)
    if arguments.moments < 1:
        msg = f'--moments {arguments.moments}: show at least one'
        raise SettingsError(msg)
    try:
        report = build(
            arguments.recorded,
            arguments.input,
            arguments.out,
            title=arguments.title,
            topics=_topics(arguments.remap),
            limits=(low, high),
            moments=arguments.moments,
            scale=arguments.scale,
            progress=progress_line(),
        )
    except OSError as err:
        msg = f'{arguments.out} cannot be written: {err}'
        raise BagError(msg) from err
    print('\n'.join(table(report.figures)))
    print(report.page.resolve())
    return 0


def _topics(remaps: list[str]) -> dict[str, str]:
    """Roles and topics of the --remap arguments; names that a report does not read are allowed."""
    topics = {}
    for remap in remaps:
        topic, separator, name = remap.partition(':=')
        if not separator or not topic.startswith('/') or not name.startswith('/'):
            msg = f'--remap {remap!r} is not of the form /topic:=/name'
            raise SettingsError(msg)
        for role, names in {**OUTPUT_ROLES, **INPUT_ROLES}.items():
            if any(name.endswith(known) for known in names):
                topics[role] = topic
    return topics


def progress_line() -> Callable[[float], None] | None:
    """Line of progress on a terminal; nothing where the output is a file or a pipe."""
    if not sys.stderr.isatty():
        return None

    def show(share: float) -> None:
        print(f'\rreport {100 * share:3.0f} %', end='\n' if share >= 1 else '', file=sys.stderr)

    return show


def table(figures: dict[str, Any]) -> list[str]:
    """
    Short table of a report for the terminal.

    :param figures: content of report.json.
    :returns: lines.
    """
    frames, rate = figures['frames'], figures['rate']
    lines = [
        f'frames   {frames["in"]} in, {frames["out"]} out, {frames["lost"]} lost, '
        f'{frames["shutter"]} shutter, {frames["before_first"]} before the first depth',
        f'rate     {_text(rate["out_hz"], 2)} Hz of {_text(rate["in_hz"], 2)} Hz',
    ]
    recorder = figures['latency_ms']['recorder']
    name = 'stamp to recorder' if recorder['kind'] == 'stamp' else 'over the smallest delay'
    stages = {**figures['latency_ms']['node'], name: recorder}
    for stage, values in stages.items():
        shown = '  '.join(f'{p} {_text(values.get(p), 1)}' for p in ('p50', 'p95', 'p99'))
        lines.append(f'latency  {shown} ms  {stage}')
    if figures['drops']:
        drops = ', '.join(f'{reason} {count}' for reason, count in figures['drops'].items())
        lines.append(f'drops    {drops}')
    parts = [(c['condition'], c) for c in figures['conditions']]
    if len(parts) != 1:
        parts.append(('all', figures['overall']))
    width = max(len(label) for label, _ in parts)
    lines += [f'{label:<{width}}  {_part(part)}' for label, part in parts]
    return lines + [f'note: {note}' for note in figures['notes']]


def _part(part: dict[str, Any]) -> str:
    """Figures of one condition in a line."""
    if part['metrics']:
        metrics = part['metrics']
        return (
            f'AbsRel {_text(metrics.get("abs_rel"), 3)}  RMSE {_text(metrics.get("rmse"), 2)} m  '
            f'd1 {_text(metrics.get("d1"), 3)}  AUSE {_text(part["ause"], 3)} '
            f'(random {_text(part["ause_random"], 3)})  {part["compared"]} frames'
        )
    return (
        f'finite {_text(part["finite"], 3)}  in range {_text(part["in_range"], 3)}  '
        f'change {_text(part["change"], 4)}  {part["frames"]} frames'
    )


def _text(value: float | None, digits: int) -> str:
    """Number with fixed digits, or a dash."""
    return '-' if value is None else f'{value:.{digits}f}'
