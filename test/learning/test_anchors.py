# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors: what is written is what is read, and pixels and depth belong together."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from monother_ros.core.bundle import Normalisation
from monother_ros.core.errors import AdaptationError
from monother_ros.learning.anchors import LITE, Anchors, shrink_depth

SIZE = (80, 64)


def smooth(seed, count=5):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (count, 8, 10)).astype(np.uint8)
    return np.stack([cv2.resize(p, SIZE, interpolation=cv2.INTER_CUBIC) for p in small])


def ramp(count=5):
    v, u = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    depth = np.stack([1.0 + 0.25 * u + 0.5 * v + k for k in range(count)])
    depth[:, 0:4, 0:4] = np.inf
    depth[:, 0:4, 4:8] = np.nan
    return depth


@pytest.fixture
def anchors():
    return Anchors(smooth(0), shrink_depth(ramp()))


def test_a_file_gives_back_what_was_written(tmp_path, anchors):
    path = anchors.write(tmp_path / 'anchors.npz')
    read = Anchors.load(path)
    assert np.array_equal(read.depth, anchors.depth, equal_nan=True)
    assert read.focal_length == 260.0 and read.size == SIZE
    assert np.abs(read.images.astype(int) - anchors.images).mean() < 1.5
    assert np.isinf(read.depth[0, 0, 0]) and read.depth[0, 0, 1] == 0


def test_same_anchors_give_same_bytes(tmp_path, anchors):
    one = anchors.write(tmp_path / 'a.npz').read_bytes()
    assert anchors.write(tmp_path / 'b.npz').read_bytes() == one


def test_batch_holds_input_and_depth_of_the_same_pixels(anchors):
    batch = anchors.batch([3, 1])
    assert batch.inputs.shape == (2, 1, 64, 80) and batch.inputs.dtype == np.float32
    assert batch.depth.shape == (2, 1, 16, 20)
    assert batch.indices.tolist() == [3, 1]
    expected = (anchors.images[3] / 255.0 - 0.5) / 0.25
    assert np.allclose(batch.inputs[0, 0], expected, atol=1e-5)
    full = ramp()[3]
    assert np.allclose(batch.depth[0, 0, 2:], full[2::4, 2::4][2:], rtol=1e-3)


def test_channels_are_repeated(anchors):
    spec = Normalisation('percentile', 1, 99, mean=0.4, std=0.5, channels=3)
    inputs = anchors.network_inputs(spec, [0])
    assert inputs.shape == (1, 3, 64, 80)
    assert np.array_equal(inputs[:, 0], inputs[:, 2])
    assert np.allclose(inputs[0, 1], (anchors.images[0] / 255.0 - 0.4) / 0.5, atol=1e-5)


def test_sample_is_seeded_and_without_repetition(anchors):
    drawn = [anchors.sample(4, np.random.default_rng(7)).indices.tolist() for _ in range(2)]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 4
    assert len(anchors.sample(99, np.random.default_rng(0)).indices) == 5
    seen = {i for k in range(30) for i in anchors.sample(2, np.random.default_rng(k)).indices}
    assert seen == set(range(5))


def test_resized_depth_belongs_to_resized_pixels():
    anchors = Anchors(smooth(1), shrink_depth(ramp()))
    other = anchors.resized((160, 128), None)
    v, u = np.mgrid[2:128:4, 2:160:4]
    expected = 1.0 + 0.25 * ((u + 0.5) / 2 - 0.5) + 0.5 * ((v + 0.5) / 2 - 0.5)
    inner = np.s_[4:-1, 4:-1]
    # nearest of every fourth pixel: at most two pixels away in each direction
    error = np.abs(other.depth[0].astype(float) - expected)[inner]
    assert error.max() <= 2 * 0.25 + 2 * 0.5 + 0.03
    assert abs(float(np.mean(other.depth[0].astype(float)[inner] - expected[inner]))) < 0.3
    assert other.focal_length == 520.0


def test_another_canonical_camera_scales_depth(anchors):
    longer = anchors.resized(SIZE, 520.0)
    assert np.allclose(longer.depth[1, 2:], 2.0 * anchors.depth[1, 2:].astype(float), rtol=1e-3)
    assert anchors.resized(SIZE, 260.0) is anchors
    # the same lens at another width says the same metres
    assert np.allclose(anchors.resized((40, 32), 130.0).depth[1, 4, 4], ramp()[1, 36, 36], atol=3)


def test_for_bundle_takes_size_and_normalisation(anchors):
    class Student:
        input_size = (40, 32)
        focal_length = 130.0
        normalisation = replace(LITE, mean=0.0, std=1.0, channels=3)

    batch = anchors.for_bundle(Student()).batch([0])
    assert batch.inputs.shape == (1, 3, 32, 40)
    assert batch.inputs.min() >= 0 and batch.inputs.max() <= 1


@pytest.mark.parametrize('damage', ['missing', 'cut', 'text', 'pickle', 'other'])
def test_damaged_files_are_refused(tmp_path, anchors, damage):
    path = anchors.write(tmp_path / 'anchors.npz')
    data = path.read_bytes()
    if damage == 'missing':
        path.unlink()
    elif damage == 'cut':
        path.write_bytes(data[: len(data) // 2])
    elif damage == 'text':
        path.write_text('no anchors')
    elif damage == 'pickle':
        np.savez(path, jpeg=np.array([{}], object), offsets=1, depth=1, size=1, focal_length=1)
    else:
        with np.load(path) as arrays:
            content = dict(arrays)
        content['offsets'] = content['offsets'] + 3
        np.savez(path, **content)
    with pytest.raises(AdaptationError, match='anchors'):
        Anchors.load(path)


def test_a_damaged_picture_is_named(tmp_path, anchors):
    path = anchors.write(tmp_path / 'anchors.npz')
    with np.load(path) as arrays:
        content = dict(arrays)
    start = content['offsets'][2]
    content['jpeg'][start : start + 40] = 0
    np.savez(path, **content)
    with pytest.raises(AdaptationError, match='picture 2'):
        Anchors.load(path)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(AdaptationError, match='multiples of 4'):
        Anchors(np.zeros((2, 63, 80), np.uint8), np.zeros((2, 15, 20), np.float16))
    with pytest.raises(AdaptationError, match='uint8'):
        Anchors(np.zeros((2, 64, 80), np.float32), np.zeros((2, 16, 20), np.float16))
