# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The test for launch_testing, run by it in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')
pytest.importorskip('launch_testing', reason='launch_testing comes with a ROS distribution')


@pytest.mark.ros_distro
def test_launch_testing_finds_both_nodes(launch, tmp_path, tiny_bundle):
    file = Path(__file__).with_name('depth_with_launch_testing.py')
    report = tmp_path / 'report.xml'
    code = (
        'import sys; from launch_testing.launch_test import main; '
        f'sys.argv = ["launch_test", {str(file)!r}, "--junit-xml", {str(report)!r}]; '
        'sys.exit(main())'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**launch.environment, 'MONOTHER_TEST_MODEL': str(tiny_bundle)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    xml = report.read_text()
    for name in ('test_both_nodes_become_active', 'test_nodes_end_cleanly'):
        assert name in xml
    assert 'failures="0"' in xml and 'errors="0"' in xml
