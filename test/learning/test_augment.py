# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from monother_ros.core.bundle import Normalisation
from monother_ros.core.thermal import Normaliser
from monother_ros.learning.augment import (
    CANONICAL_FOCAL,
    MEAN,
    PLAIN,
    STD,
    AugmentSettings,
    make_sample,
)
from monother_ros.learning.rendered import PERCENTILES

FAR = 120.0


@pytest.fixture
def frame():
    rng = np.random.default_rng(4)
    thermal = rng.integers(2000, 6000, (64, 96)).astype(np.uint16)
    depth = np.tile(np.linspace(2, 40, 96, dtype=np.float32), (64, 1))
    depth[:10] = np.inf
    return thermal, depth, np.percentile(thermal, PERCENTILES).astype(np.float32)


def test_plain_sample_is_what_the_pipeline_feeds(frame):
    thermal, depth, bounds = frame
    image, target = make_sample(
        thermal, depth, bounds, CANONICAL_FOCAL, (96, 64), FAR, np.random.default_rng(0), PLAIN
    )
    spec = Normalisation('stable_percentile', 2.0, 98.0, MEAN, STD)
    np.testing.assert_allclose(image, Normaliser(spec, (96, 64))(thermal, 0)[0], atol=2e-4)
    np.testing.assert_allclose(np.exp(target[10:]), depth[10:], rtol=1e-5)
    np.testing.assert_allclose(np.exp(target[:10]), FAR, rtol=1e-5)


def test_half_size_agrees_with_the_pipeline(frame):
    thermal, depth, bounds = frame
    image, target = make_sample(
        thermal, depth, bounds, CANONICAL_FOCAL, (48, 32), FAR, np.random.default_rng(0), PLAIN
    )
    spec = Normalisation('stable_percentile', 2.0, 98.0, MEAN, STD)
    np.testing.assert_allclose(image, Normaliser(spec, (48, 32))(thermal, 0)[0], atol=2e-4)
    np.testing.assert_allclose(np.exp(target[5:]), depth[10::2, 1::2], rtol=1e-5)


def test_longer_lens_brings_the_target_nearer(frame):
    thermal, depth, bounds = frame
    target = make_sample(
        thermal, depth, bounds, 2 * CANONICAL_FOCAL, (96, 64), FAR, np.random.default_rng(0), PLAIN
    )[1]
    np.testing.assert_allclose(np.exp(target[10:]), depth[10:] / 2, rtol=1e-5)


def test_zoom_keeps_lateral_size():
    """A wall's width in metres is pixels * depth / focal, with and without zoom."""
    thermal = np.zeros((64, 96), np.uint16)
    thermal[:, 40:56] = 4000
    depth = np.full((64, 96), 10.0, np.float32)
    bounds = np.array([0] * 5 + [4000] * 5, np.float32)
    zooming = AugmentSettings(**{**PLAIN.__dict__, 'zoom': 1.0, 'largest_zoom': 1.3})
    zooms = []
    for seed in range(40):
        image, target = make_sample(
            thermal, depth, bounds, 260.0, (96, 64), FAR, np.random.default_rng(seed), zooming
        )
        pixels = ((image * STD + MEAN) > 0.5)[32].sum()
        zooms.append(pixels / 16)
        assert pixels * np.exp(target).mean() / 10 == pytest.approx(16, abs=1.2)
    assert max(zooms) > 1.15
    assert min(zooms) >= 1.0


def test_flip_moves_both():
    thermal = np.zeros((64, 96), np.uint16)
    thermal[:, 60:] = 4000
    depth = np.where(thermal > 0, 3.0, 30.0).astype(np.float32)
    bounds = np.array([0] * 5 + [4000] * 5, np.float32)
    flipping = AugmentSettings(**{**PLAIN.__dict__, 'flip': 1.0})
    image, target = make_sample(
        thermal, depth, bounds, 260.0, (96, 64), FAR, np.random.default_rng(0), flipping
    )
    assert ((image > 0) == (target < np.log(10))).all()
    assert image[0, 0] > 0 > image[0, -1]


def test_seeded_bounded_and_depth_untouched_by_photometric_changes(frame):
    thermal, depth, bounds = frame
    strong = AugmentSettings(0.0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1)
    samples = [
        make_sample(
            thermal, depth, bounds, 260.0, (96, 64), FAR, np.random.default_rng(seed), strong
        )
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(samples[0][0], samples[1][0])
    assert not np.array_equal(samples[0][0], samples[2][0])
    np.testing.assert_array_equal(samples[0][1], samples[2][1])
    for image, _ in samples:
        assert image.dtype == np.float32
        assert np.abs(image).max() <= MEAN / STD + 1e-5


def test_weakened_keeps_mirroring():
    weak = AugmentSettings().weakened(0.5)
    assert weak.flip == AugmentSettings().flip
    assert weak.largest_zoom == AugmentSettings().largest_zoom
    assert weak.noise == AugmentSettings().noise / 2
    assert AugmentSettings().weakened(0.0).zoom == 0
