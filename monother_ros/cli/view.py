# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb view: a drive as a recording for the Rerun viewer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from monother_ros.core.errors import BagError, SettingsError
from monother_ros.engines.select import engine_names
from monother_ros.evaluation.view import ROLES, ViewSettings, write_view


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of the verb."""
    add = parser.add_argument
    add('bag', type=Path, help='the drive: rosbag2 folder, .mcap, .db3 or ROS 1 .bag file')
    add(
        '--recorded',
        type=Path,
        metavar='BAG',
        help='bag of what the depth node published; without it and without --model, depth is '
        'taken from the drive itself where it is there',
    )
    add('--model', default='', help='show the depth of this bundle, computed now')
    add('--engine', default='auto', choices=engine_names(), help='inference engine for --model')
    add('-o', '--out', type=Path, metavar='FILE', help='the new .rrd file (default: BAG.rrd)')
    add('--every', type=int, default=1, metavar='N', help='take every N-th image (default: 1)')
    add(
        '--points',
        type=int,
        default=20000,
        metavar='N',
        help='most points of a cloud (default: 20000)',
    )
    add(
        '--topic',
        action='append',
        default=[],
        metavar='ROLE=/TOPIC',
        help=f'topic of a role that the bag names unusually; roles: {", ".join(ROLES)}',
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Write the recording and print what is in it, and its path as the last line.

    :returns: 0.
    :raises BagError: a bag cannot be read, or the file cannot be written.
    :raises SettingsError: an argument is impossible.
    """
    if arguments.every < 1 or arguments.points < 1:
        msg = f'--every {arguments.every} and --points {arguments.points} must be at least 1'
        raise SettingsError(msg)
    if arguments.model and arguments.recorded:
        msg = 'give --recorded or --model: depth comes from a recording, or is computed now'
        raise SettingsError(msg)
    bag: Path = arguments.bag
    out: Path = arguments.out or bag.resolve().with_suffix('.rrd')
    settings = ViewSettings(
        arguments.model,
        arguments.engine,
        arguments.every,
        arguments.points,
        _topics(arguments.topic),
    )
    try:
        viewed = write_view(out, bag, arguments.recorded, settings, _progress())
    except OSError as err:
        msg = f'{out} cannot be written: {err}'
        raise BagError(msg) from err
    for what, count in sorted(viewed.counts.items()):
        print(f'{count:8d}  {what}')
    for note in viewed.notes:
        print(f'note: {note}')
    print(f'{out.stat().st_size / 1e6:.1f} MB; open it with: rerun {out}')
    print(out.resolve())
    return 0


def _topics(words: list[str]) -> dict[str, str]:
    """Topic by role of the --topic arguments."""
    topics = {}
    for word in words:
        role, separator, topic = word.partition('=')
        if not separator or role not in ROLES or not topic.startswith('/'):
            msg = f'--topic {word!r} is not ROLE=/topic with a role of {", ".join(ROLES)}'
            raise SettingsError(msg)
        topics[role] = topic
    return topics


def _progress() -> Callable[[int], None] | None:
    """Count of messages on a terminal; nothing where the output is a file or a pipe."""
    if not sys.stderr.isatty():
        return None

    def show(count: int) -> None:
        if count % 50 == 0:
            print(f'\r{count} messages', end='', file=sys.stderr)

    return show
