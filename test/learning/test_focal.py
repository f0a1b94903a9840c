# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Pro's conversions against golden numbers; a field of view carried to another camera."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from monother_ros.core.errors import CalibrationError
from monother_ros.learning import focal
from monother_ros.learning.focal import FocalMatch, estimated_camera


@pytest.fixture(name='golden')
def _golden(shared):
    folder = shared('golden/depth_pro')
    return folder, json.loads((folder / 'conversions.json').read_text())


def test_closed_forms(golden):
    facts = golden[1]
    for row in facts['fov_to_focal']:
        found = focal.focal_of_field(row['fov_deg'], row['width'])
        assert found == pytest.approx(row['focal_px'], rel=1e-12)
        assert focal.field_of_focal(found, row['width']) == pytest.approx(row['fov_deg'])
    for row in facts['focal_from_35mm_equivalent']:
        found = focal.focal_of_film(row['f35_mm'], row['width'], row['height'])
        assert found == pytest.approx(row['focal_px'], rel=1e-12)
    for row in facts['canonical_conversion']:
        depth = np.full((2, 3), row['depth_m'])
        found = focal.canonical_inverse(depth, row['focal_px'], row['width'])
        np.testing.assert_allclose(found, row['canonical_inverse_depth'], rtol=1e-12)
        back = focal.depth_of_canonical(found, row['focal_px'], (row['width'], 2))
        np.testing.assert_allclose(back, row['depth_back_m'], rtol=1e-6)


def test_depth_of_every_published_inference(golden):
    folder, facts = golden
    with np.load(folder / 'canonical_inverse_depth.npz') as stored:
        canonical = stored['canonical_inverse_depth'][0, 0]
        expected = {name: stored[f'{name}__depth'] for name in facts['apple_infer']}
    for name, case in facts['apple_infer'].items():
        size = (case['width'], case['height'])
        length = case['given_focal_px'] or focal.focal_of_field(case['fov_deg'], size[0])
        assert length == pytest.approx(case['focal_px'], rel=1e-6), name
        found = focal.depth_of_canonical(canonical, length, size)
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, err_msg=name)
    assert tuple(facts['inverse_depth_clamp']) == focal.INVERSE_RANGE


@pytest.mark.parametrize('degrees', [-30.0, 0.0, 400.0])
def test_a_field_of_view_that_cannot_be_is_held(degrees):
    assert 0 < focal.focal_of_field(degrees, 640) < 1e5


def test_the_estimate_for_the_depth_node_is_that_of_depth_pro():
    found = focal.focal_estimate(260.0, 320, 0.3, 5)
    canonical = 0.02
    # D = f / (w C); the depth node takes C for 1 / d
    assert found.metric(1 / canonical) == pytest.approx(260.0 / (320 * canonical))
    assert (found.source, found.sigma, found.stamp_ns) == ('focal', 0.3, 5)


@pytest.fixture(scope='module', name='pairs')
def _pairs():
    """Three pairs of a simulated street, with true depth of the RGB picture."""
    pytest.importorskip('embreex', reason='Embree is not installed')
    from monother_ros.sim.simulator import SimConfig, Simulator

    simulator = Simulator(SimConfig(scene='street', seed=9))
    rng = np.random.default_rng(1)
    return simulator.rig, [simulator.training_pair(rng, simulator.rig.rgb) for _ in range(3)]


def _matched(pairs, factor=1.0, thermal=None):
    rig, frames = pairs
    match = FocalMatch((rig.thermal.width, rig.thermal.height))
    camera = estimated_camera(factor * rig.rgb.fx, rig.rgb.width, rig.rgb.height)
    for frame in frames:
        seen = frame.thermal if thermal is None else thermal(frame.thermal)
        depth = (factor * frame.rgb_depth).astype(np.float32)
        match.add(camera, np.linalg.inv(rig.rgb_from_thermal), depth, frame.rgb, seen)
    return match.result()


@pytest.mark.parametrize('factor', [1.0, 1.2])
def test_the_field_of_view_is_carried_with_its_error(pairs, factor):
    """Simulated lenses are distorted and turned a little, which costs some percent."""
    found = _matched(pairs, factor)
    error = math.log(found.focal / (factor * pairs[0].thermal.fx))
    assert abs(error) < 0.1
    assert abs(error) < 3 * found.sigma < 0.5
    assert found.score > 10


def test_black_hot_pictures_match_as_well(pairs):
    found = _matched(pairs, thermal=lambda counts: counts.max() - counts)
    assert abs(math.log(found.focal / pairs[0].thermal.fx)) < 0.1


def test_pictures_that_have_nothing_in_common_give_no_answer(pairs):
    rng = np.random.default_rng(0)

    def other(counts):
        blobs = rng.random((26, 32)) * 4000
        return np.kron(blobs, np.ones((10, 10)))[: counts.shape[0], : counts.shape[1]]

    with pytest.raises(CalibrationError, match='no field of view brings'):
        _matched(pairs, thermal=other)


def test_what_cannot_be_matched_is_told(pairs):
    rig, frames = pairs
    flat = np.zeros((rig.thermal.height, rig.thermal.width), np.uint16)
    with pytest.raises(CalibrationError, match='thermal picture has hardly an edge'):
        _matched(pairs, thermal=lambda counts: flat)
    match = FocalMatch((320, 256))
    pose, camera = np.eye(4), estimated_camera(300.0, 480, 360)
    unknown = np.full((360, 480), np.nan, np.float32)
    with pytest.raises(CalibrationError, match='RGB picture has hardly an edge'):
        match.add(camera, pose, unknown, frames[0].rgb, frames[0].thermal)
    with pytest.raises(CalibrationError, match='the ones before'):
        match.add(camera, pose, unknown, frames[0].rgb, flat[:100])
