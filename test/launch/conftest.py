# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the launch files."""

from __future__ import annotations

import pytest


@pytest.fixture
def launch(ros_domain, tmp_path):
    """Launches files; what still runs after the test is killed."""
    pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')
    from launched import Launched, installed

    environment = installed(tmp_path)
    running = []

    def start(file, *includes, **variables):
        running.append(Launched(tmp_path, {**environment, **variables}, file, *includes))
        return running[-1]

    start.environment = environment
    yield start
    for launched in running:
        launched.kill()
