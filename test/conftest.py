# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that every test folder shares."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
_domains = itertools.count(os.getpid() % 97 + 1)


def shared(relative: str) -> Path:
    """Path of a real input beside the checkout; the test is skipped where it is absent."""
    path = REPOSITORY.parent / 'shared' / relative
    if not path.exists():
        pytest.skip(f'real input ../shared/{relative} is not here')
    return path


@pytest.fixture(scope='session', name='shared')
def _shared():
    return shared


@pytest.fixture
def ros_domain(monkeypatch):
    """ROS domain of its own, on this host only; child processes inherit it."""
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    domain = next(_domains) % 101 + 1
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    return domain


@pytest.fixture(scope='session')
def tiny_bundle(tmp_path_factory):
    """A bundle with a small real network, 128x160."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from bundles import make_bundle

    path = tmp_path_factory.mktemp('bundles') / 'tiny'
    make_bundle(path, 128, 160)
    return path
