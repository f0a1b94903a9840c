# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import DatasetError
from monother_ros.learning.datasets import PairSample
from monother_ros.learning.pair_augment import (
    augment_ms2,
    augment_vivid,
    augmentation,
    mirrored,
)

HEIGHT, WIDTH = 40, 56


def plane_depth(matrix, normal, distance, size=(HEIGHT, WIDTH)):
    """Z of the plane n X = d for every pixel: d / (n K^-1 (u, v, 1))."""
    v, u = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float64)
    rays = np.linalg.solve(matrix, np.stack([u, v, np.ones_like(u)]).reshape(3, -1))
    return (distance / (normal @ rays)).reshape(size).astype(np.float32)


def plane_pair():
    """Both cameras look at one slanted plane from different places."""
    thermal = np.array([[60.0, 0, 25], [0, 61, 18], [0, 0, 1]])
    rgb = np.array([[70.0, 0, 31], [0, 69, 22], [0, 0, 1]])
    turn, _ = cv2.Rodrigues(np.array([0.02, -0.07, 0.03]))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, [-0.3, 0.05, 0.1]
    normal, distance = np.array([0.3, 0.2, 1.0]), 6.0
    # n X = d with X = R^T (Y - t)
    moved = turn @ normal
    rng = np.random.default_rng(8)
    return PairSample(
        thermal=rng.random((1, HEIGHT, WIDTH), np.float32),
        rgb=rng.random((3, HEIGHT, WIDTH), np.float32),
        thermal_depth=plane_depth(thermal, normal, distance)[None],
        rgb_depth=plane_depth(rgb, moved, distance + moved @ pose[:3, 3])[None],
        thermal_intrinsics=thermal.astype(np.float32),
        rgb_intrinsics=rgb.astype(np.float32),
        extrinsics=pose.astype(np.float32),
        name='plane',
    )


def warp_error(sample):
    """Largest difference, m, of the thermal label moved to RGB and the RGB label found there."""
    torch = pytest.importorskip('torch', reason='torch is not installed')
    from monother_ros.learning.warp import forward_warp

    def tensor(array):
        return torch.from_numpy(array.astype(np.float64))[None]

    pixels, depth = forward_warp(
        tensor(sample.thermal_depth),
        tensor(sample.thermal_intrinsics),
        tensor(sample.rgb_intrinsics),
        tensor(sample.extrinsics),
    )
    u, v = pixels[0].numpy().astype(np.float32).transpose(2, 0, 1)
    # 1 / z of a plane is linear in pixels, so bilinear sampling is exact
    inverse = cv2.remap(1.0 / sample.rgb_depth[0], u, v, cv2.INTER_LINEAR)
    inside = (u > 0) & (u < WIDTH - 1) & (v > 0) & (v < HEIGHT - 1)
    assert inside.mean() > 0.5
    # cv2.remap knows 1/32 of a pixel
    return np.abs(1.0 / inverse[inside] - depth[0, ..., 0].numpy()[inside]).max()


def test_mirroring_keeps_geometry():
    sample = plane_pair()
    assert warp_error(sample) < 0.01
    assert warp_error(mirrored(sample)) < 0.01
    assert warp_error(mirrored(sample, geometry=False)) > 0.3


def test_mirroring_twice_gives_the_sample_back():
    sample = plane_pair()
    twice = mirrored(mirrored(sample))
    for field in fields(PairSample):
        if field.name != 'name':
            np.testing.assert_array_equal(
                getattr(twice, field.name), getattr(sample, field.name), field.name
            )
    np.testing.assert_array_equal(mirrored(sample).rgb, sample.rgb[..., ::-1])
    unlabelled = replace(sample, thermal_depth=None, rgb_depth=None)
    assert mirrored(unlabelled).rgb_depth is None


def test_vivid_mirrors_half_of_the_samples():
    sample = plane_pair()
    geometric = published = bright = 0
    for seed in range(400):
        changed = augment_vivid(sample, np.random.default_rng(seed))
        kept = augment_vivid(sample, np.random.default_rng(seed), flip_geometry=False)
        flipped = not np.array_equal(changed.thermal_depth, sample.thermal_depth)
        moved = changed.thermal_intrinsics[0, 2] != sample.thermal_intrinsics[0, 2]
        assert flipped == moved
        assert np.array_equal(kept.thermal_depth, changed.thermal_depth)
        np.testing.assert_array_equal(kept.extrinsics, sample.extrinsics)
        np.testing.assert_array_equal(kept.rgb, changed.rgb)
        geometric += moved
        published += flipped
        bright += not np.isin(changed.thermal, sample.thermal).all()
        assert changed.rgb.min() >= 0 and changed.rgb.max() <= 1
    assert 160 < geometric < 240
    assert 160 < bright < 240


def test_vivid_changes_within_its_limits():
    grey = np.full((3, 4, 4), 0.5, np.float32)
    sample = replace(plane_pair(), rgb=grey, thermal=grey[:1])
    values = []
    for seed in range(300):
        changed = augment_vivid(sample, np.random.default_rng(seed))
        values.append(np.append(changed.rgb[:, 0, 0], changed.thermal[0, 0, 0]))
    values = np.array(values)
    low, high = 0.5**1.1 * 0.9 * 0.9, 0.5**0.9 * 1.1 * 1.1
    assert values.min() >= low - 1e-6 and values.max() <= high + 1e-6
    assert values.max() > 0.6 and values.min() < 0.41  # the limits are nearly reached
    changed = values[:, 3] != 0.5
    # channels have gains of their own, and thermal has draws of its own
    assert np.ptp(values[changed, :3], axis=1).min() > 0
    assert (values[changed, 3] != values[changed, 0]).all()


def test_ms2_changes_light_only():
    sample = plane_pair()
    for seed in range(30):
        changed = augment_ms2(sample, np.random.default_rng(seed))
        for name in ('thermal_depth', 'rgb_depth', 'extrinsics', 'rgb_intrinsics'):
            np.testing.assert_array_equal(getattr(changed, name), getattr(sample, name))
        assert changed.thermal.shape == sample.thermal.shape
        assert changed.thermal.dtype == changed.rgb.dtype == np.float32
        assert changed.rgb.min() >= 0 and changed.rgb.max() <= 1
        assert not np.array_equal(changed.rgb, sample.rgb)
        # thermal: gain, mix with the mean and gamma keep the order of unclipped pixels
        order = np.argsort(sample.thermal[0].ravel())
        assert (np.diff(changed.thermal[0].ravel()[order]) > -1e-6).all()


def test_ms2_turns_the_hue_by_a_tenth_at_most():
    red = np.zeros((3, 4, 4), np.float32)
    red[0] = 0.6
    sample = replace(plane_pair(), rgb=red)
    hues = []
    for seed in range(200):
        rgb = augment_ms2(sample, np.random.default_rng(seed)).rgb[:, :1, :1]
        hues.append(cv2.cvtColor(rgb.transpose(1, 2, 0), cv2.COLOR_RGB2HSV)[0, 0, 0])
    hues = (np.array(hues) + 180) % 360 - 180
    assert np.abs(hues).max() < 36.5
    assert hues.min() < -25 and hues.max() > 25


def test_ms2_brightness_stays_in_its_limits():
    grey = np.full((3, 4, 4), 0.5, np.float32)
    sample = replace(plane_pair(), rgb=grey, thermal=grey[:1])
    values = []
    for seed in range(300):
        changed = augment_ms2(sample, np.random.default_rng(seed))
        # contrast, saturation and hue do not act on an even grey
        assert np.ptp(changed.rgb) < 1e-6
        values.append((changed.thermal[0, 0, 0], changed.rgb[0, 0, 0]))
    low, high = 0.5**1.1 * 0.8, 0.5**0.9 * 1.2
    assert np.min(values) >= low - 1e-6 and np.max(values) <= high + 1e-6
    assert np.min(values) < 0.405 and np.max(values) > 0.6
    assert abs(np.corrcoef(np.transpose(values))[0, 1]) < 0.2  # drawn independently


def test_skewed_cameras_are_mirrored():
    sample = plane_pair()
    skewed = sample.thermal_intrinsics.copy()
    skewed[0, 1] = 3.0
    camera = mirrored(replace(sample, thermal_intrinsics=skewed)).thermal_intrinsics
    point = np.array([0.4, -0.3, 1.0])
    u = (skewed @ point)[:2]
    found = (camera @ (point * [-1, 1, 1]))[:2]
    np.testing.assert_allclose(found, [WIDTH - 1 - u[0], u[1]], rtol=1e-5)


def test_same_seed_same_sample_and_arguments_stay():
    sample = plane_pair()
    before = sample.rgb.copy()
    for name in ('ms2', 'vivid', 'none'):
        change = augmentation(name)
        a, b = (change(sample, np.random.default_rng(5)) for _ in range(2))
        np.testing.assert_array_equal(a.rgb, b.rgb)
        np.testing.assert_array_equal(a.thermal, b.thermal)
        np.testing.assert_array_equal(sample.rgb, before)
    assert augmentation('none')(sample, np.random.default_rng(0)) is sample
    with pytest.raises(DatasetError, match="'strong' is not known"):
        augmentation('strong')
