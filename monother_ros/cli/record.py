# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother record``."""

from __future__ import annotations

import argparse
import math
import time

from monother_ros.cli.rosrun import ros_context, stop_on_signals
from monother_ros.ros.newbag import new_bag


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of the verb."""
    add = parser.add_argument
    add('-o', '--output', required=True, metavar='OUT', help='folder of the new bag')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--topics', nargs='+', metavar='TOPIC', help='topics to record')
    what.add_argument('--all', action='store_true', help='record every topic (the default)')
    add('--seconds', type=float, default=math.inf, help='stop by itself after this time')
    add('--overwrite', action='store_true', help='replace the bag that is there')


def run(arguments: argparse.Namespace) -> int:
    """
    Record until SIGINT, SIGTERM or the given time.

    :returns: 0; a bag without messages is written, too.
    :raises BagError: the target exists or the disk refuses.
    :raises SettingsError: rclpy is not installed.
    """
    with ros_context():
        from rclpy.executors import SingleThreadedExecutor

        from monother_ros.nodes.recorder import Recorder

        topics = tuple(arguments.topics) if arguments.topics else None
        # signals are held off until the bag is complete: a launch file sends them repeatedly
        with (
            stop_on_signals(lambda: None) as stopped,
            new_bag(arguments.output, overwrite=arguments.overwrite) as writer,
        ):
            recorder = Recorder(writer, topics)
            executor = SingleThreadedExecutor()
            executor.add_node(recorder)
            try:
                print(f'recording into {arguments.output}', flush=True)
                end = time.monotonic() + arguments.seconds
                while not stopped.is_set() and not recorder.failed:
                    left = end - time.monotonic()
                    if left <= 0:
                        break
                    executor.spin_once(timeout_sec=min(left, 0.1))
                missing = recorder.missing
            finally:
                executor.shutdown()
                recorder.destroy_node()
            report = recorder.finish()
    for topic, count in sorted(report.counts.items()):
        print(f'{count:8d}  {topic}')
    if missing:
        print(f'never published: {", ".join(sorted(missing))}')
    if report.dropped:
        print(f'dropped because the disk was too slow: {report.dropped}')
    print(f'recorded {report.total} messages in {report.seconds:.1f} s into {arguments.output}')
    return 0
