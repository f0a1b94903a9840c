# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the engine, and what diagnostics say about it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip('rclpy')

from depth_rig import Rig
from diagnostic_msgs.msg import DiagnosticStatus

from monother_ros.core.errors import EngineError
from monother_ros.engines import select
from monother_ros.engines.base import Engine


class Broken(Engine):
    """An engine that cannot be built here, and says how it was asked for."""

    asked: ClassVar[list] = []

    def __init__(self, bundle, options=None):
        super().__init__(bundle, options)
        self.asked.append(self.options)
        raise EngineError('no GPU was found')

    description = property(lambda self: '')
    infer = close = None


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setitem(select.ENGINES, 'tensorrt', select.Kind(__name__, 'Broken', ('json',)))
    Broken.asked.clear()
    return Broken


def message(rig):
    """What diagnostics say about the engine; empty before they came."""
    status = rig.health.get('engine')
    return '' if status is None else status.message


def test_falls_back_if_told_so(ros_domain, tiny_bundle, broken):
    rig = Rig(
        tiny_bundle,
        engine='tensorrt',
        device='cuda:1',
        precision='fp16',
        engine_fallback=True,
        engine_cache='~/plans',
    )
    try:
        rig.active()
        asked = broken.asked[0]
        assert (asked.device, asked.precision, asked.fallback) == ('cuda:1', 'fp16', True)
        assert asked.plan.cache == Path('~/plans').expanduser()
        assert not asked.plan.refit
        assert not asked.cancelled()
        words = 'fell back to onnxruntime: no GPU was found'
        rig.until(lambda: words in message(rig), what='diagnostics')
        assert rig.health['engine'].level == DiagnosticStatus.WARN
        rig.listen('depth/image_raw')
        assert rig.first('depth/image_raw').encoding == '32FC1'
    finally:
        rig.close()


def test_stops_without(ros_domain, tiny_bundle, broken):
    rig = Rig(tiny_bundle, engine='tensorrt', device='cuda', diagnostics_period=0.1)
    try:
        rig.until(lambda: broken.asked, what='an engine')
        rig.spin(0.3)
        assert rig.node.stage != 'active'
    finally:
        rig.close()


def test_auto_goes_on_and_says_why(ros_domain, tiny_bundle, broken):
    rig = Rig(tiny_bundle, device='auto')
    try:
        rig.active()
        assert 'tensorrt on a GPU: no GPU was found' in rig.node.engine.reason
        assert not rig.node.engine.fell_back
        rig.until(lambda: message(rig).endswith(f' on {rig.node.engine.name}'), what='diagnostics')
        assert rig.health['engine'].level == DiagnosticStatus.OK
    finally:
        rig.close()


def test_revisions_ask_for_plans_that_take_weights(ros_domain, tiny_bundle, broken, tmp_path):
    rig = Rig(tiny_bundle, device='auto', revisions=str(tmp_path))
    try:
        rig.active()
        assert broken.asked[0].plan.refit
    finally:
        rig.close()
