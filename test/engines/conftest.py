# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Machines with the double of TensorRT; see trt_rig.py and trt_double.py."""

from __future__ import annotations

import pytest
from bundles import make_bundle
from trt_double import install
from trt_rig import VERSIONS, Maker


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


@pytest.fixture
def machine(monkeypatch):
    """Makes the double; in the end nothing may be left on its GPU or have been misused."""
    made = []

    def make(version='10.3.0', **fields):
        made.append(install(monkeypatch, version, **fields))
        return made[-1]

    yield make
    for double in made:
        world = double.world
        assert not world.misuse
        assert world.depth == 0
        if not world.lost:
            assert not world.blocks, 'memory of the GPU was not freed'
            assert not getattr(world, 'bindings', type('', (), {'alive': 0})).alive


@pytest.fixture(params=VERSIONS)
def gpu(request, machine):
    return machine(request.param)


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path / 'cache')
