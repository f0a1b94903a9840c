# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network with a second input in the depth node: points over real DDS change depth by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('onnxruntime')
from depth_rig import depth_of, next_depth
from test_depth_node_scale import POSE, ScaleRig

MODEL = Path(__file__).resolve().parents[2] / 'models' / 'lite-sparse'


@pytest.fixture
def rig(ros_domain):
    # the one factor of the arbiter is left out: what changes, the network has changed
    made = ScaleRig(MODEL, scale_sources='model', lidar_extrinsics=POSE).active()
    made.listen('depth/image_raw')
    made.matched()
    yield made.learn_network()
    made.close()


def test_points_bend_depth_where_they_are_and_their_end_gives_the_network_back(rig):
    halves = np.s_[:, 10:70], np.s_[:, 90:150]
    rig.factor = np.where(np.arange(160)[None, ::4] < 80, 0.7, 1.3).astype(np.float32)
    points = rig.measured()

    def ratios():
        depth = depth_of(rig.received['depth/image_raw'][-1])
        return [float(np.nanmedian(depth[half] / rig.network[half])) for half in halves]

    def bent():
        left, right = ratios()
        return abs(left - 0.7) < 0.07 and abs(right - 1.3) < 0.13

    assert ratios() == pytest.approx([1, 1], abs=0.05)
    rig.until(bent, 60, lambda: rig.shoot_with(points), what='depth that follows the points')
    left, right = ratios()
    assert left < 0.8 < 1.1 < right

    def straight():
        return all(abs(value - 1) < 0.05 for value in ratios())

    rig.until(straight, 60, rig.shoot, what='depth of the network alone')
    assert ratios() == pytest.approx([1, 1], abs=0.05)


@pytest.fixture(scope='module')
def transformers(tmp_path_factory):
    """Bundle of two tiny transformers; it says no confidence."""
    pytest.importorskip('torch')
    pytest.importorskip('onnx')
    from sparse_vit_bundle import make_sparse_vit, make_sparse_vit_bundle

    folder = tmp_path_factory.mktemp('models') / 'vit'
    return make_sparse_vit_bundle(make_sparse_vit(), folder, (56, 84)).path


def test_points_steer_a_network_of_transformers_and_their_end_gives_it_back(
    transformers, ros_domain
):
    rig = ScaleRig(transformers, factor=0.2, scale_sources='model').active()
    try:
        rig.listen('depth/image_raw')
        rig.matched()
        rig.learn_network()
        points = rig.measured()

        def ratio():
            depth = depth_of(rig.received['depth/image_raw'][-1])
            return float(np.nanmedian(depth / rig.network))

        assert ratio() == pytest.approx(1, abs=0.02)
        rig.until(lambda: ratio() < 0.8, 60, lambda: rig.shoot_with(points), what='nearer depth')
        assert 0.2 < ratio() < 0.8
        rig.until(lambda: abs(ratio() - 1) < 0.02, 60, rig.shoot, what='depth as it was')
        assert np.isfinite(depth_of(rig.received['depth/image_raw'][-1])).all()
    finally:
        rig.close()


def test_points_that_are_no_numbers_leave_the_network_alone(rig):
    bad = np.full((400, 3), np.nan, np.float32)
    for _ in range(3):
        rig.shoot_with(bad)
        depth = next_depth(rig)
    assert np.nanmedian(np.abs(depth / rig.network - 1)) < 0.05
