# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth of two cameras and their end, as launch_testing sees it.

Run by ``launch_test test/launch/depth_with_launch_testing.py``, and by test_launch_testing.py. The
environment variable MONOTHER_TEST_MODEL names the model bundle; 'lite' by default.
"""

import os
import unittest
from pathlib import Path

import launch_testing.actions
import launch_testing.asserts
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'depth.launch.py'


def generate_test_description():
    """Two cameras from one launch file."""
    arguments = {
        'model': os.environ.get('MONOTHER_TEST_MODEL', 'lite'),
        'engine': 'onnxruntime',
        'cameras': 'front,rear',
    }
    depth = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(FILE)), launch_arguments=arguments.items()
    )
    return LaunchDescription([depth, launch_testing.actions.ReadyToTest()])


class TestRunning(unittest.TestCase):
    """While the nodes run."""

    def test_both_nodes_become_active(self, proc_output):
        """Each node says so itself."""
        for camera in ('front', 'rear'):
            active = f'{camera}.depth_node]: active'
            proc_output.assertWaitFor(active, timeout=60, stream='stderr')
            assert any(active in line.text.decode(errors='replace') for line in proc_output)


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    """When everything has been shut down."""

    def test_nodes_end_cleanly(self, proc_info):
        """Exit code 0 of each process."""
        launch_testing.asserts.assertExitCodes(proc_info)
        assert len(proc_info.process_names()) == 2
