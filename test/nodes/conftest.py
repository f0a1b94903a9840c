# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the nodes."""

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


@pytest.fixture(scope='session')
def adapt_models(tmp_path_factory):
    """Folder with a tiny student that can be trained and its tiny RGB teacher."""
    for module in ('torch', 'onnx', 'onnxscript', 'safetensors'):
        pytest.importorskip(module)
    from adapt_rig import make_models

    return make_models(tmp_path_factory.mktemp('adapt_models'))


@pytest.fixture
def make_adapt_rig(ros_domain, adapt_models, tmp_path):
    """Makes rigs with an adapt node that are taken down after the test."""
    from adapt_rig import AdaptRig

    rigs = []

    def make(**parameters):
        rigs.append(AdaptRig(adapt_models, tmp_path, **parameters))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
