# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb doctor: what is installed, what would be chosen, what is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from monother_ros import __version__
from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import MonotherError, SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.doctor.choice import engine_choice
from monother_ros.doctor.findings import FAIL, INFO, Finding, Section, as_json, as_text, worst
from monother_ros.doctor.installed import installed
from monother_ros.doctor.limits import transport_limits
from monother_ros.doctor.selftest import self_test
from monother_ros.doctor.selftest_kernels import try_kernels
from monother_ros.engines.base import PRECISIONS, EngineOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the arguments of the verb.

    :param parser: parser of the verb.
    """
    add = parser.add_argument
    add('--self-test', action='store_true', help='build engines, check and measure them')
    add('--model', default='lite', help='model bundle to choose an engine for (default: lite)')
    add('--device', default='auto', help='as the parameter device of the depth node')
    add('--precision', default='auto', choices=PRECISIONS, help='as its parameter precision')
    add('--threads', type=int, default=0, help='as its parameter threads')
    add('--no-topics', action='store_true', help='do not listen to camera topics')
    add('--seconds', type=float, default=3.0, help='how long to listen to topics (default: 3)')
    add('--json', action='store_true', help='print JSON instead of text')
    add(
        '-o',
        '--out',
        type=Path,
        metavar='FOLDER',
        help='write doctor.json and a page here (default with --self-test: monother_doctor)',
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Look, print, and write where asked to.

    :param arguments: of add_arguments.
    :returns: 0, or 1 where something is wrong that must be mended.
    :raises MonotherError: the model cannot be read, or the folder cannot be written.
    """
    bundle = load_bundle(find_bundle(arguments.model))
    options = EngineOptions(arguments.threads, arguments.device, arguments.precision, log=_say)
    sections = [*installed(), transport_limits(), engine_choice(bundle, options)]
    if not arguments.no_topics:
        sections.append(_topics(arguments.seconds))
    if arguments.self_test:
        sections.append(self_test(bundle, arguments.threads, _say))
        sections.append(Section('Around the network', (try_kernels(bundle),)))
    figures = {
        'title': 'monother doctor',
        'version': __version__,
        'made': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'self_test': arguments.self_test,
        **as_json(sections),
    }
    print(json.dumps(figures, indent=2) if arguments.json else as_text(sections))
    out = arguments.out or (Path('monother_doctor') if arguments.self_test else None)
    if out is not None:
        for path in write(out, figures, sections):
            print(path, file=sys.stderr if arguments.json else sys.stdout)
    return int(worst(section.state for section in sections) == FAIL)


def write(folder: Path, figures: dict[str, Any], sections: list[Section]) -> list[Path]:
    """
    Write doctor.json and a page, or a text where Jinja2 is not installed.

    :param folder: made where it is missing.
    :param figures: content of doctor.json.
    :param sections: the same, for the text.
    :returns: the files.
    :raises SettingsError: the folder cannot be written.
    """
    try:
        paths = [atomic_write(folder / 'doctor.json', json.dumps(figures, indent=2) + '\n')]
        try:
            from monother_ros.evaluation.page import render
        except ImportError:
            paths.append(atomic_write(folder / 'doctor.txt', as_text(sections) + '\n'))
        else:
            page = render('doctor.html.j2', figures)
            paths.append(atomic_write(folder / 'doctor.html', page))
    except OSError as err:
        msg = f'{folder} cannot be written: {err}'
        raise SettingsError(msg) from err
    return [path.resolve() for path in paths]


def _topics(seconds: float) -> Section:
    """Camera topics, where ROS is here."""
    from monother_ros.cli.rosrun import ros_context

    try:
        with ros_context():
            import rclpy
            from rclpy.executors import SingleThreadedExecutor

            from monother_ros.doctor.topics import camera_topics

            node = rclpy.create_node('monother_doctor')
            executor = SingleThreadedExecutor()
            executor.add_node(node)
            try:
                return camera_topics(node, executor, seconds)
            finally:
                executor.shutdown()
                node.destroy_node()
    except MonotherError as err:
        return Section('Camera topics', (Finding('topics', INFO, f'not looked at: {err}'),))


def _say(text: str) -> None:
    """Progress, beside the result."""
    print(text, file=sys.stderr, flush=True)
