# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother demo``: a drive through the real nodes, and a report of what came out."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from monother_ros.cli import demo_adapt, demo_lidar
from monother_ros.cli.children import ChildError
from monother_ros.cli.nodes import MAIN, Drive, play_through, rgb_pose
from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import BagError
from monother_ros.ros.bags import BagReader
from monother_ros.ros.frames import drive_files, frames_to_bag

OUTPUTS = (
    '/depth/image_raw',
    '/depth/camera_info',
    '/confidence',
    '/points',
    '/depth/color',
    '/diagnostics',
)
"""What the depth node publishes and the demo records."""

SECONDS, RATE = 45.0, 10.0
"""Length of the simulated drive in s and frames per second, where nothing else is asked for."""

CLOUD = 'sensor_msgs/msg/PointCloud2'
IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of the verb."""
    add = parser.add_argument
    add('source', nargs='?', metavar='BAG', help='a bag, or a folder of 16-bit frames')
    add(
        '-o',
        '--output',
        metavar='OUT',
        help='folder (default out/demo, out/demo-adapt, out/demo-lidar)',
    )
    add('--thermal', metavar='TOPIC', help='thermal image topic of BAG (default: found by itself)')
    add('--model', default='lite', help='model bundle: a name or a folder (default lite)')
    add('--scene', default='street', help='simulated scene (default street)')
    # lite was trained on seeds below 1,200 and measured on those from 1,000,000 on
    add('--seed', type=int, default=2_000_007, help='seed of the simulated world')
    add('--seconds', type=float, help='length of the simulated drive (default 45, to learn 150)')
    add('--rate', type=float, help='frames per second of its cameras (default 10, to learn 5)')
    add('--frame-rate', type=float, default=30.0, help='frames per second of folders of frames')
    add(
        '--also',
        action='append',
        default=[],
        metavar='BAG',
        help='another bag or folder of frames, with a report of its own (may be repeated)',
    )
    add(
        '--drive',
        default='day/clear,night/clear,day/fog',
        metavar='TIME/WEATHER,…',
        help='conditions that the simulated drive goes through',
    )
    demo_adapt.add_arguments(parser)
    demo_lidar.add_arguments(parser)


def _camera_info_of(image_topic: str) -> str:
    """Topic of the calibration that travels with an image topic, by ROS convention."""
    base = image_topic.removesuffix('/compressed')
    return f'{base.rsplit("/", 1)[0]}/camera_info'


def choose_topics(bag: Path, thermal: str | None = None) -> Drive:
    """
    Find the thermal camera, the RGB camera and the LiDAR in a bag.

    :param bag: path of a bag.
    :param thermal: name of the thermal topic; None looks for /thermal/image_raw, then for a name
        that speaks of thermal, then for the first 16-bit image, then for the first grey one.
    :returns: the bag with the names that differ from the depth node's own.
    :raises BagError: there is no image that could be thermal.
    """
    encodings: dict[str, str] = {}
    with BagReader(bag) as reader:
        images = [t.name for t in reader.topics if t.type in IMAGES and t.count]
        names = {t.name for t in reader.topics}
        clouds = [t.name for t in reader.topics if t.type == CLOUD and t.count]
        if images:
            for topic, message, _ in reader.read(images):
                encodings.setdefault(topic, getattr(message, 'encoding', 'compressed'))
                if len(encodings) == len(images):
                    break
    grey = [t for t in images if encodings.get(t) in ('mono16', '16UC1', 'mono8', '8UC1')]
    candidates = (
        [thermal] if thermal else [],
        [t for t in images if t == '/thermal/image_raw'],
        [t for t in grey if any(w in t for w in ('thermal', 'ir', 'boson', 'lepton', 'flir'))],
        [t for t in grey if encodings[t] in ('mono16', '16UC1') and 'depth' not in t],
        [t for t in grey if 'depth' not in t],
    )
    chosen = next((group[0] for group in candidates if group), None)
    if chosen is None or chosen not in images:
        listed = ', '.join(f'{t} ({encodings.get(t, "empty")})' for t in images) or 'none'
        msg = f'{bag}: no thermal image topic; name one with --thermal. Image topics: {listed}'
        raise BagError(msg)
    remap = {chosen: '/thermal/image_raw', _camera_info_of(chosen): '/thermal/camera_info'}
    if clouds and '/lidar/points' not in clouds:
        remap[clouds[0]] = '/lidar/points'
    colour = next((t for t in images if encodings.get(t) in ('rgb8', 'bgr8')), None)
    if colour is not None:
        remap |= {colour: '/rgb/image_raw', _camera_info_of(colour): '/rgb/camera_info'}
    return Drive(bag, {old: new for old, new in remap.items() if old != new and old in names})


def _simulate(arguments: argparse.Namespace, out: Path) -> Path:
    """Render the drive in a process of its own, with its progress on this terminal."""
    bag = out / 'input'
    words = [sys.executable, '-m', MAIN, 'sim', '--scene', arguments.scene, '--overwrite']
    words += ['--seed', str(arguments.seed), '--seconds', str(arguments.seconds)]
    words += ['--rate', str(arguments.rate), '--drive', arguments.drive, str(bag)]
    code = os.spawnv(os.P_WAIT, sys.executable, words)
    if code:
        msg = f'monother sim ended with code {code}'
        raise ChildError(msg)
    return bag


def run_nodes(drive: Drive, out: Path, model: str) -> Path:
    """
    Play a bag through the depth node and record what it publishes.

    Player, depth node and recorder are three processes that talk over real DDS.

    :param drive: bag and topic names.
    :param out: folder for the recording and the logs.
    :param model: name or folder of the model bundle.
    :returns: the recorded bag.
    :raises ChildError: one of the processes failed; its last lines are in the message.
    """
    node = ['monother_ros.nodes.depth_node', '--ros-args', '-p', f'model:={model}']
    node += ['-p', 'use_sim_time:=true']
    pose = rgb_pose(drive)
    if pose is not None:
        node += ['-p', f'rgb_extrinsics:={pose}']
    return play_through(drive, out, {'depth_node': node}, OUTPUTS)


def _report(
    recorded: Path, drive: Drive, out: Path, title: str, scale: Path | None = None
) -> None:
    """Write the page; its table and path go to this terminal."""
    words = [sys.executable, '-m', MAIN, 'report', str(recorded), '--input', str(drive.bag)]
    words += ['-o', str(out / 'report'), '--title', title]
    if scale is not None:
        words += ['--scale', str(scale)]
    if drive.remap:
        words += ['--remap', *(f'{old}:={new}' for old, new in drive.remap.items())]
    code = os.spawnv(os.P_WAIT, sys.executable, words)
    if code:
        msg = f'monother report ended with code {code}'
        raise ChildError(msg)


def _drive(source: str, out: Path, arguments: argparse.Namespace) -> Drive:
    """Bag of a source that the user names; a folder of frames is wrapped into one."""
    path = Path(source)
    if path.is_dir() and not any(path.glob('*.mcap')) and not any(path.glob('*.db3')):
        thermal, rgb = drive_files(path)
        frames_to_bag(thermal, out / 'input', rate=arguments.frame_rate, rgb=rgb)
        return Drive(out / 'input')
    return choose_topics(path, arguments.thermal)


def _run_adapt(arguments: argparse.Namespace) -> int:
    """Run the demo of learning, on a simulated drive or on the bag that the user names."""
    arguments.seconds = arguments.seconds or demo_adapt.SECONDS
    arguments.rate = arguments.rate or demo_adapt.RATE
    out = Path(arguments.output or 'out/demo-adapt').absolute()
    source = None if arguments.source is None else _drive(arguments.source, out, arguments)
    return demo_adapt.run_adapt(arguments, source, out)


def run(arguments: argparse.Namespace) -> int:
    """
    Run the demo.

    :returns: 0; the last line printed is the path of the report.
    :raises MonotherError: a step failed; its message says which and why.
    """
    if arguments.adapt:
        return _run_adapt(arguments)
    arguments.seconds = arguments.seconds or SECONDS
    arguments.rate = arguments.rate or RATE
    began = time.monotonic()
    load_bundle(find_bundle(arguments.model))  # a bad model is told now, not minutes later
    out = Path(arguments.output or f'out/demo{"-lidar" if arguments.lidar else ""}').absolute()
    out.mkdir(parents=True, exist_ok=True)
    if arguments.source is None:
        print(f'simulating {arguments.seconds:g} s of {arguments.scene}: {arguments.drive}')
        title = f'Simulated drive: {arguments.scene}, seed {arguments.seed}'
        main = Drive(_simulate(arguments, out))
    else:
        title = f'Replay of {Path(arguments.source).name}'
        main = _drive(arguments.source, out, arguments)
    for source in arguments.also:
        name = Path(source).stem
        print(f'\nplaying {name} through the depth node', flush=True)
        folder = out / name
        drive = _drive(source, folder, arguments)
        _report(run_nodes(drive, folder, arguments.model), drive, folder, f'Replay of {name}')
    print(f'\nplaying {main.bag.name} through the depth node', flush=True)
    if arguments.lidar:
        simulated = arguments.source is None
        recorded = demo_lidar.run_lidar(arguments, main, out, OUTPUTS, simulated=simulated)
        scale = out / demo_lidar.FIGURES if simulated else None
    else:
        recorded, scale = run_nodes(main, out, arguments.model), None
    print(f'{time.monotonic() - began:.0f} s so far; writing the report', flush=True)
    _report(recorded, main, out, title, scale)
    return 0
