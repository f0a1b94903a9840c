# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``monother demo --adapt``: depth that gets better while it drives, and a report of how."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monother_ros.cli.nodes import Drive, play_through, rgb_pose
from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.errors import BagError, SettingsError
from monother_ros.core.models import find_model

if TYPE_CHECKING:
    from monother_ros.sim.new_worlds import NewWorld

OUTPUTS = (
    '/depth/image_raw',
    '/depth/camera_info',
    '/diagnostics',
    '/loss',
    '/revision',
    '/teacher/depth',
    '/teacher/confidence',
    '/mask',
)
"""What both nodes publish and the demo records."""

INPUTS = (
    '/thermal/image_raw',
    '/thermal/camera_info',
    '/rgb/image_raw',
    '/rgb/camera_info',
)
"""What is played to the nodes; the truth stays in the bag."""

WORLD = 'farm in winter'
SECONDS, RATE = 210.0, 5.0
"""Length of the drive in s and frames per second, where nothing else is asked for."""

DRIVEN, UNSEEN = (0.0, 0.7), (0.75, 1.0)
"""Parts of the path of the world: the drive, and what it never reaches."""

UNSEEN_FRAMES = 20
"""Frames of each time of day that are judged and never played."""

READY, STOP = 180.0, 60.0
"""Seconds that the nodes may take to come up (torch, teacher) and to save and end."""

MARKER = 'made-by-monother-demo'
"""File in the folder of what is learned: only such a folder is emptied for a new run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of learning."""
    group = parser.add_argument_group(
        'learning', 'with --adapt; --scene, --seed, --drive and --also are of the plain demo'
    )
    add = group.add_argument
    add('--adapt', action='store_true', help='learn while driving: depth node and adapt node')
    add('--world', default=WORLD, metavar='NAME', help=f'new world to drive in (default: {WORLD})')
    add('--teacher', default='bundle:lite-rgb', help='RGB depth model (default bundle:lite-rgb)')
    add('--confidence', default='lite-confidence', help='network that judges the teacher')
    add('--anchors', default='lite-anchors', help='frames of where the model comes from')
    add(
        '--set',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='another parameter of the adapt node (may be repeated)',
    )


@dataclass(frozen=True)
class Prepared:
    """
    What is played, and what is kept from the learner.

    :param drive: bag and topic names.
    :param unseen: condition → bag of frames to judge by.
    :param title: of the page; :param about: facts for it.
    """

    drive: Drive
    unseen: dict[str, Path]
    title: str
    about: dict[str, str]


def run_adapt(arguments: argparse.Namespace, source: Drive | None, out: Path) -> int:
    """
    Run the demo of learning.

    :param arguments: of ``monother demo``.
    :param source: a bag that the user named; None simulates one.
    :param out: folder for all that is made.
    :returns: 0; the last line printed is the path of the report.
    :raises MonotherError: a step failed; its message says which and why.
    """
    began = time.monotonic()
    base = _check(arguments)
    out.mkdir(parents=True, exist_ok=True)
    learned = _fresh(out / 'learned')
    prepared = _simulate(arguments, out) if source is None else _given(source)
    nodes = _nodes(arguments, prepared.drive, learned)
    print(
        f'{time.monotonic() - began:.0f} s so far; playing {prepared.drive.bag.name} through the '
        'depth node and the adapt node',
        flush=True,
    )
    recorded = play_through(
        prepared.drive,
        out,
        nodes,
        OUTPUTS,
        wait_for=('/thermal/image_raw', '/rgb/image_raw'),
        topics=_played(prepared.drive),
        ready=READY,
        stop=STOP,
    )
    print(f'{time.monotonic() - began:.0f} s so far; writing the report', flush=True)
    _report(prepared, recorded, base, learned / 'revisions', out / 'report')
    return 0


def _check(arguments: argparse.Namespace) -> Bundle:
    """
    Tell now what would fail minutes later.

    :returns: the model as it came.
    :raises MonotherError: torch or a model is missing, or a setting is none.
    """
    if importlib.util.find_spec('torch') is None:
        msg = "learning needs torch; pip install 'monother_ros[train]'"
        raise SettingsError(msg)
    kind, _, name = arguments.teacher.partition(':')
    if kind == 'bundle':
        find_bundle(name)
    if arguments.confidence:
        find_model(arguments.confidence, 'confidence.safetensors', 'confidence network')
    if arguments.anchors:
        find_model(arguments.anchors, 'anchors.npz', 'folder of anchors')
    for item in arguments.set:
        if ':=' not in item:
            msg = f'--set {item!r} is not of the form NAME:=VALUE'
            raise SettingsError(msg)
    return load_bundle(find_bundle(arguments.model))


def _fresh(folder: Path) -> Path:
    """
    Empty folder for what is learned: every run of the demo begins with the model as it came.

    :raises SettingsError: there is one that the demo did not make.
    """
    if folder.exists():
        if not (folder / MARKER).exists():
            msg = f'{folder} was not made by this demo; move it away or give another --output'
            raise SettingsError(msg)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    return folder


def _simulate(arguments: argparse.Namespace, out: Path) -> Prepared:
    """Render the drive, and the frames that the learner never gets."""
    from monother_ros.sim.bag import Drive as SimulatedDrive
    from monother_ros.sim.new_worlds import new_world
    from monother_ros.sim.simulator import Simulator

    world = new_world(arguments.world)
    print(f'a world that the model never saw: {world.name}. {world.difference}')
    print(f'simulating {arguments.seconds:g} s by day, and what is never played', flush=True)
    config = world.config(rate=arguments.rate)
    bag = _render(
        SimulatedDrive(config, arguments.seconds, part=DRIVEN, lidar=False), out / 'input', 'drive'
    )
    duration = Simulator(config).duration
    seconds = 2 * (UNSEEN[1] - UNSEEN[0]) * duration
    unseen = {}
    for when in ('day', 'night'):
        still = world.config(when, rate=UNSEEN_FRAMES / seconds, shutter=False)
        drive = SimulatedDrive(still, seconds, part=UNSEEN, lidar=False)
        unseen[when] = _render(drive, out / f'unseen_{when}', f'unseen, {when}')
    about = {'World': _described(world), 'Teacher': arguments.teacher}
    return Prepared(Drive(bag), unseen, f'Learning while driving: {world.name}', about)


def _described(world: NewWorld) -> str:
    """What is new about a world, without a full stop."""
    return world.difference.rstrip('.')


def _render(drive: object, path: Path, name: str) -> Path:
    """Render a bag; its progress goes to the terminal, where there is one."""
    from tqdm import tqdm

    from monother_ros.sim.bag import Drive as SimulatedDrive
    from monother_ros.sim.bag import write_drive

    assert isinstance(drive, SimulatedDrive)
    with tqdm(total=drive.frames, unit='frame', file=sys.stderr, desc=name, disable=None) as bar:
        return write_drive(
            path, drive, overwrite=True, progress=lambda done: bar.update(done - bar.n)
        )


def _given(source: Drive) -> Prepared:
    """A bag that the user named; nothing of it is kept back."""
    title = f'Learning while driving: {source.bag.name}'
    return Prepared(source, {}, title, {'Bag': source.bag.name})


def _played(drive: Drive) -> list[str]:
    """Names in the bag of what is played."""
    return [drive.recorded(topic) for topic in INPUTS]


def _nodes(arguments: argparse.Namespace, drive: Drive, learned: Path) -> dict[str, list[str]]:
    """
    Module and arguments of both nodes, as a launch file would start them.

    :raises SettingsError: nobody says where the cameras are.
    """
    from monother_ros.evaluation.adaptation_run import WIDE

    common = ['--ros-args', '-p', 'use_sim_time:=true', '-p', f'model:={arguments.model}']
    common += ['-p', f'revisions:={learned / "revisions"}']
    depth = {'range_min': WIDE.range_min, 'range_max': WIDE.range_max}
    learner: dict[str, object] = {
        'memory': learned / 'memory',
        'teacher': arguments.teacher,
        'confidence': arguments.confidence,
        'anchors': arguments.anchors,
    }
    pose = rgb_pose(drive)
    if pose is not None:
        learner['extrinsics'] = pose
    learner |= dict(item.split(':=', 1) for item in arguments.set)
    if not {'extrinsics', 'calibration'} & set(learner):
        msg = (
            f'{drive.bag} does not say on /tf_static where the thermal camera is in the RGB '
            'camera; give --set calibration:=FILE or --set "extrinsics:=[…]"'
        )
        raise SettingsError(msg)
    return {
        'depth_node': ['monother_ros.nodes.depth_node', *common, *_parameters(depth)],
        'adapt_node': ['monother_ros.nodes.adapt_node', *common, *_parameters(learner)],
    }


def _parameters(values: dict[str, object] | dict[str, float]) -> list[str]:
    """Command line of parameters; an empty text must be quoted to be one."""
    words = []
    for name, value in values.items():
        text = "''" if value == '' else str(value)
        words += ['-p', f'{name}:={text}']
    return words


def _report(prepared: Prepared, recorded: Path, base: Bundle, revisions: Path, out: Path) -> None:
    """Write the page; a short table and its path go to this terminal."""
    from monother_ros.cli.report import progress_line
    from monother_ros.evaluation.adaptation_figures import summary
    from monother_ros.evaluation.adaptation_report import Sources, build_adaptation

    topics = {role: prepared.drive.recorded(topic) for role, topic in _ROLES.items()}
    remapped = {role: topic for role, topic in topics.items() if topic != _ROLES[role]}
    sources = Sources(
        recorded,
        prepared.drive.bag,
        base,
        revisions,
        unseen=prepared.unseen,
        topics=remapped,
        about=prepared.about,
    )
    try:
        report = build_adaptation(sources, out, title=prepared.title, progress=progress_line())
    except OSError as err:
        msg = f'{out} cannot be written: {err}'
        raise BagError(msg) from err
    print('\n'.join(summary(report.figures)))
    print(report.page.resolve())


_ROLES = {
    'thermal': '/thermal/image_raw',
    'thermal_info': '/thermal/camera_info',
    'rgb': '/rgb/image_raw',
}
"""Roles of the report and the topics of the nodes."""
