# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files in a process of their own, with the package found as after its installation."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LAUNCH_FILES = Path(__file__).resolve().parents[1] / 'launch'

MODULES = {
    'depth_node': 'monother_ros.nodes.depth_node',
    'adapt_node': 'monother_ros.nodes.adapt_node',
    'language_node': 'monother_ros.nodes.language_node',
    'metrics_node': 'monother_ros.nodes.metrics_node',
    'monother': 'monother_ros.cli.main',
}

LAUNCH = """
import json, sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(LaunchDescription([
    IncludeLaunchDescription(source, launch_arguments=arguments.items())
    for arguments in json.loads(sys.argv[2])
]))
sys.exit(service.run())
"""


def installed(folder):
    """
    Environment in which ROS finds the package, as after sourcing an installation.

    :param folder: for the prefix and the logs.
    """
    prefix = folder / 'prefix'
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    (index / 'monother_ros').touch()
    for name, module in MODULES.items():
        executable = prefix / 'lib/monother_ros' / name
        executable.parent.mkdir(parents=True, exist_ok=True)
        executable.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        executable.chmod(0o755)
    variables = dict(os.environ)
    paths = [str(prefix), variables.get('AMENT_PREFIX_PATH', '')]
    variables['AMENT_PREFIX_PATH'] = os.pathsep.join(filter(None, paths))
    variables['ROS_LOG_DIR'] = str(folder / 'log')
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        variables.pop(name, None)
    return variables


class Launched:
    """
    A launch in a process of its own.

    :param folder: for its log.
    :param environment: see :func:`installed`.
    :param file: name of the launch file.
    :param includes: arguments of each time that it is included.
    """

    def __init__(self, folder, environment, file, *includes):
        self._log = folder / f'{file}.log'
        words = [str(LAUNCH_FILES / file), json.dumps(includes)]
        with self._log.open('wb') as handle:
            self.process = subprocess.Popen(
                [sys.executable, '-c', LAUNCH, *words],
                env=environment,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self):
        return self._log.read_text()

    def wait_for(self, *words, timeout=30.0):
        end = time.monotonic() + timeout
        while not all(word in self.text() for word in words):
            assert time.monotonic() < end and self.process.poll() is None, self.text()
            time.sleep(0.05)

    def interrupt(self):
        """Send what Ctrl-C sends: the signal goes to the launch and to its processes."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(15)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
