# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother play``."""

from __future__ import annotations

import argparse
import sys

from monother_ros.cli.rosrun import ros_context, stop_on_signals
from monother_ros.core.errors import SettingsError
from monother_ros.ros.bags import BagReader

SWITCH_INTERVAL = 0.0005
"""Seconds after which the reading thread gives way to the publishing one (Python's own: 0.005)."""


def _remap(text: str) -> tuple[str, str]:
    """Parse old:=new."""
    old, sep, new = text.partition(':=')
    if not (old and sep and new):
        msg = f'{text!r} is not of the form OLD:=NEW'
        raise argparse.ArgumentTypeError(msg)
    return old, new


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of the verb."""
    add = parser.add_argument
    add('bag', metavar='BAG', help='rosbag2 folder, .mcap, .db3 or ROS 1 .bag file')
    add('--rate', type=float, default=1.0, help='speed against the recording (default 1)')
    add('--loop', action='store_true', help='begin again after the end')
    add('--clock', action='store_true', help='publish /clock for nodes with use_sim_time')
    add('--topics', nargs='+', metavar='TOPIC', help='play only these recorded topics')
    add('--remap', nargs='+', type=_remap, default=[], metavar='OLD:=NEW', help='rename topics')
    add(
        '--stamp',
        choices=('bag', 'now'),
        default='bag',
        help='keep the recorded header stamps, or renew them to the time of playing',
    )
    add(
        '--wait-for-subscribers',
        nargs='*',
        metavar='TOPIC',
        help='begin when every named topic (without names: any topic) has a subscriber',
    )
    add(
        '--wait-only',
        action='store_true',
        help='end when the subscribers are there, for another player that cannot wait for them',
    )
    add(
        '--delay',
        type=float,
        default=0.0,
        metavar='SECONDS',
        help='wait before the first message, for others to find the topics and each other',
    )
    add('--wait-timeout', type=float, default=60.0, help='give up waiting after this many seconds')


def run(arguments: argparse.Namespace) -> int:
    """
    Play the bag.

    :returns: 0 at the end of the bag, after waiting only, or after SIGINT.
    :raises BagError: the bag cannot be read.
    :raises SettingsError: rclpy is not installed, a value is out of range, or no subscriber came.
    """
    if arguments.wait_only and arguments.wait_for_subscribers is None:
        msg = '--wait-only needs --wait-for-subscribers'
        raise SettingsError(msg)
    sys.setswitchinterval(SWITCH_INTERVAL)
    with ros_context():
        from monother_ros.nodes.player import Player, PlayerSettings

        settings = PlayerSettings(
            rate=arguments.rate,
            loop=arguments.loop,
            clock=arguments.clock,
            topics=tuple(arguments.topics) if arguments.topics else None,
            remap=dict(arguments.remap),
            stamp_now=arguments.stamp == 'now',
        )
        with BagReader(arguments.bag) as bag:
            player = Player(bag, settings)
            try:
                with stop_on_signals(player.stop) as stopped:
                    wanted = arguments.wait_for_subscribers
                    if wanted is not None:
                        there = player.wait_for_subscribers(tuple(wanted), arguments.wait_timeout)
                        if not there and not stopped.is_set():
                            msg = f'no subscriber came within {arguments.wait_timeout:g} s'
                            raise SettingsError(msg)
                    if arguments.wait_only:
                        return 0
                    stopped.wait(max(arguments.delay, 0.0))
                    print(f'playing {bag.path}: {bag.duration:.1f} s', flush=True)
                    report = player.play()
            finally:
                player.destroy_node()
    times = f' in {report.rounds} rounds' if report.rounds > 1 else ''
    print(
        f'published {report.total} messages on {len(report.published)} topics{times} within '
        f'{report.seconds:.1f} s, at worst {report.worst_late * 1e3:.1f} ms late'
    )
    return 0
