# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the depth node."""

from __future__ import annotations

import pytest


@pytest.fixture
def make_rig(ros_domain, tiny_bundle):
    """Makes rigs that are taken down after the test."""
    from depth_rig import Rig

    rigs = []

    def make(model=tiny_bundle, **parameters):
        rigs.append(Rig(model, **parameters))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
