# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the launch files."""

from __future__ import annotations

import pytest


@pytest.fixture(scope='session')
def tiny_bundle(tmp_path_factory):
    """A bundle with a small real network, 128x160."""
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from bundles import make_bundle

    path = tmp_path_factory.mktemp('bundles') / 'tiny'
    make_bundle(path, 128, 160)
    return path
