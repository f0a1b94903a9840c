# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags played through the real nodes, each in a process of its own, with a recorder beside."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monother_ros.cli.children import Child, ChildError
from monother_ros.ros.bags import BagReader
from monother_ros.ros.static_tf import StaticTransforms
from monother_ros.ros.transport import use_profile

MAIN = 'monother_ros.cli.main'
"""Module of the monother command."""

SETTLING = 1.5
"""Seconds after the last message: the last frame, and one more report of the diagnostics."""


@dataclass
class Drive:
    """
    A bag and the names under which the nodes are to see its topics.

    :param bag: the bag to play.
    :param remap: recorded topic → topic that the nodes subscribe to.
    """

    bag: Path
    remap: dict[str, str] = field(default_factory=dict)

    def recorded(self, topic: str) -> str:
        """Name in the bag of a topic that a node subscribes to."""
        return next((old for old, new in self.remap.items() if new == topic), topic)


def rgb_pose(drive: Drive) -> list[float] | None:
    """
    Pose of the thermal camera in the RGB camera, from the bag's own /tf_static.

    The pip wheels of ROS have no tf2_msgs, so no node can listen to that topic there.

    :returns: the 16 numbers of T_rgb_thermal, row by row, metres; None where the bag lacks it.
    """
    return sensor_pose(drive, '/rgb/image_raw', '/thermal/image_raw')


def lidar_pose(drive: Drive) -> list[float] | None:
    """
    Pose of the LiDAR in the thermal camera, from the bag's own /tf_static.

    :returns: the 16 numbers of T_thermal_lidar, row by row, metres; None where the bag lacks it.
    """
    return sensor_pose(drive, '/thermal/image_raw', '/lidar/points')


def sensor_pose(drive: Drive, target: str, source: str) -> list[float] | None:
    """
    Pose of one sensor in another, from the bag's own /tf_static.

    :param target: topic of the sensor in whose frame points are wanted.
    :param source: topic of the sensor in whose frame they are.
    :returns: the 16 numbers of T_target_source, row by row, metres; None where the bag lacks it.
    """
    sensors = [drive.recorded(t) for t in (target, source)]
    frames: dict[str, str] = {}
    tree = StaticTransforms()
    with BagReader(drive.bag) as bag:
        there = {t.name for t in bag.topics if t.count}
        if not {'/tf_static', *sensors} <= there:
            return None
        for _, message, _ in bag.read(['/tf_static']):
            tree.add(message)
        for topic, message, _ in bag.read(sensors):
            frames.setdefault(topic, message.header.frame_id)
            if len(frames) == len(sensors):
                break
    pose = tree.lookup(*(frames[sensor] for sensor in sensors))
    return None if pose is None else [float(v) for v in pose.ravel()]


def play_through(
    drive: Drive,
    out: Path,
    nodes: Mapping[str, Sequence[str]],
    outputs: Sequence[str],
    *,
    wait_for: Sequence[str] = ('/thermal/image_raw',),
    topics: Sequence[str] = (),
    ready: float = 60.0,
    stop: float = 20.0,
) -> Path:
    """
    Play a bag through nodes and record what they publish.

    Player, recorder and every node are processes that talk over real DDS.

    :param drive: bag and topic names.
    :param out: folder for the recording and the logs.
    :param nodes: name → module and its arguments; started in this order.
    :param outputs: topics to record; the bag begins when all of them are there.
    :param wait_for: topics that must have a subscriber before the bag begins.
    :param topics: recorded topics to play; empty for all.
    :param ready: seconds that the nodes may take to come up.
    :param stop: seconds that a node may take to end.
    :returns: the recorded bag.
    :raises ChildError: one of the processes failed; its last lines are in the message.
    """
    environment = dict(os.environ)
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # a domain that other robots and other demos on this machine hardly use
    environment.setdefault('ROS_DOMAIN_ID', str(20 + os.getpid() % 80))
    use_profile(environment)
    recorded, logs = out / 'recorded', out / 'logs'
    record: list[str | Path] = [MAIN, 'record', '-o', recorded, '--overwrite', '--topics']
    play: list[str | Path] = [MAIN, 'play', drive.bag, '--clock']
    play += ['--wait-for-subscribers', *(drive.recorded(topic) for topic in wait_for)]
    play += ['--wait-timeout', f'{ready:g}']
    if topics:
        play += ['--topics', *topics]
    if drive.remap:
        play += ['--remap', *(f'{old}:={new}' for old, new in drive.remap.items())]
    with contextlib.ExitStack() as stack:
        recorder = stack.enter_context(Child('recorder', [*record, *outputs], logs, environment))
        running = [
            stack.enter_context(Child(name, words, logs, environment))
            for name, words in nodes.items()
        ]
        _wait(recorder, running, [f'recording {topic}\n' for topic in outputs], ready)
        with Child('player', play, logs, environment) as player:
            while player.process.poll() is None:
                for child in (recorder, *running):
                    child.check()
                time.sleep(0.1)
            player.check()
        time.sleep(SETTLING)
        recorder.stop()
        for child in running:
            child.stop(stop)
    return recorded


def _wait(recorder: Child, nodes: Sequence[Child], texts: Sequence[str], seconds: float) -> None:
    """Wait for all outputs; a node that does not come up is told with its last lines."""
    end = time.monotonic() + seconds
    while True:
        for node in nodes:
            node.check()
        try:
            recorder.wait_for(texts, 0.2)
        except ChildError as err:
            if time.monotonic() < end:
                recorder.check()
                continue
            last = [line for node in nodes for line in node.output().strip().splitlines()[-6:]]
            msg = '\n'.join([f'{err}; the last lines of the nodes:', *last])
            raise ChildError(msg) from err
        return
