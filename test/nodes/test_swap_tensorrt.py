# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions enter a running depth node on TensorRT (its double) by refit, between frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('onnxruntime')
from depth_rig import next_depth
from scaled_revisions import scaled_store
from std_msgs.msg import String

from monother_ros.ros.qos import latched_profile

SCALES = (0.7, 1.3, 1.8)
PATIENCE = 60.0
LOST = 'an illegal memory access was encountered'


@pytest.fixture
def worlds():
    """Machines of the test; when its nodes are gone, nothing may be left on their GPU."""
    made = []
    yield made
    for world in made:
        assert not world.misuse
        assert world.lost or not world.blocks, 'an engine holds memory of the GPU'


@pytest.fixture
def make_running(worlds, make_rig, tiny_bundle, tmp_path, monkeypatch):
    """Makes a rig whose node runs on the double of a version, with three revisions to come."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / 'engines'))
    from trt_double import install

    store, names = scaled_store(tmp_path / 'revisions', tiny_bundle, SCALES)

    def make(version, **parameters):
        double = install(monkeypatch, version)
        worlds.append(double.world)
        rig = make_rig(
            engine='tensorrt',
            device='auto',
            precision='fp16',
            engine_cache=str(tmp_path / 'plans'),
            revisions=str(store.folder),
            **parameters,
        )
        rig.newest = rig.camera.create_publisher(String, 'revision', latched_profile())
        rig.listen('depth/image_raw')
        rig.active().matched()
        rig.base_median = median(rig)
        return rig, double, names

    return make


def median(rig):
    """Median depth of an image that is published from now on."""
    return float(np.nanmedian(next_depth(rig)))


@pytest.mark.parametrize('version', ['10.3.0', '11.4.0.106'])
def test_revisions_are_refitted_and_taken_over(make_running, version):
    rig, double, names = make_running(version)
    assert rig.node.engine.name == 'tensorrt'
    builds = double.builds
    for k, (name, factor) in enumerate(zip(names, SCALES, strict=True), 1):
        rig.newest.publish(String(data=name))
        rig.until(lambda k=k: rig.node.swap.swaps == k, PATIENCE, tick=rig.shoot, what=name)
        assert median(rig) / rig.base_median == pytest.approx(factor, rel=0.05)
    assert (double.builds, double.refits) == (builds, 3)
    assert rig.node.swap.refusals == 0
    rig.until(lambda: len(double.world.blocks) == 3, PATIENCE, what='the old engine to go')


def test_lost_gpu_falls_back_and_is_reported(make_running):
    rig, double, names = make_running('10.13.3.9', engine_fallback=True)
    double.world.lost = LOST
    assert median(rig) == pytest.approx(rig.base_median, rel=0.05)
    rig.until(lambda: rig.level('engine') == 1, PATIENCE, what='a warning')
    assert 'fell back to onnxruntime: CUDA could not run' in rig.message('engine')
    # revisions come in on the CPU from now on
    rig.newest.publish(String(data=names[1]))
    rig.until(lambda: rig.node.swap.swaps == 1, PATIENCE, tick=rig.shoot, what='swap')
    assert median(rig) / rig.base_median == pytest.approx(SCALES[1], rel=0.05)
