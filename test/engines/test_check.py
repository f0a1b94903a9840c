# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from revision_data import ONE_THREAD, expected, picture, tiny

from monother_ros.core.bundle import load_bundle
from monother_ros.core.errors import BundleError, EngineError
from monother_ros.engines.check import (
    CHECK,
    CheckFrame,
    Tolerance,
    check_engine,
    check_outputs,
    read_check,
    run_frames,
    write_check,
)
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine

pytest.importorskip('onnx')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp('m') / 'tiny')


@pytest.fixture(scope='module')
def frames(bundle):
    return [expected(bundle, {}, seed) for seed in (1, 2)]


@pytest.fixture(scope='module')
def engine(bundle):
    with OnnxRuntimeEngine(bundle, ONE_THREAD) as engine:
        yield engine


class Said:
    """An engine that says what it is told to."""

    def __init__(self, bundle, depth, confidence=None):
        self.bundle = bundle
        self.outputs = {'depth': depth}
        if confidence is not None:
            self.outputs['confidence'] = confidence

    def infer(self, inputs):
        return self.outputs


def with_check(bundle, frames):
    write_check(bundle.path / CHECK, frames)
    return dataclasses.replace(bundle, files={**bundle.files, CHECK: ''})


def test_same_engine_passes_after_a_round_trip(bundle, frames, engine):
    stored = with_check(bundle, frames)
    read = read_check(stored)
    assert len(read) == 2
    np.testing.assert_array_equal(read[1].inputs, frames[1].inputs)
    assert read[0].depth.dtype == np.float32
    assert 0 <= check_engine(engine, read) < 5e-4  # what float16 loses
    assert check_engine(engine, frames) < 1e-6
    assert check_engine(engine, []) == 0.0


def test_inputs_that_float16_does_not_hold_are_kept_whole(bundle, tmp_path):
    inputs = picture(bundle) + np.float32(1e-6)
    frame = CheckFrame(inputs, np.ones_like(inputs), None)
    read = read_check(with_check(dataclasses.replace(bundle, path=tmp_path), [frame]))
    np.testing.assert_array_equal(read[0].inputs, inputs)
    assert read[0].confidence is None


def test_bundle_without_stored_frames(bundle):
    assert read_check(load_bundle(bundle.path)) == []


def test_damaged_file(bundle, frames, tmp_path):
    from monother_ros.core.tensor_file import write_tensors

    stored = with_check(dataclasses.replace(bundle, path=tmp_path), frames)
    write_tensors(tmp_path / CHECK, {'inputs.0': frames[0].inputs})
    with pytest.raises(BundleError, match=r"lacks 'depth\.0'"):
        read_check(stored)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda d: np.where(d > 20, np.nan, d), 'depth is not finite'),
        (lambda d: d * np.inf, 'depth is not finite in 100.0%'),
        (lambda d: d - d.min(), 'depth is 0 to'),
        (lambda d: d * 20, 'within the range of 0.5 to 80 m'),
        (lambda d: d * 0 + 81, '0% of it within the range'),
        (lambda d: d * 1.02, '2.00% on average'),
        (lambda d: d[:, :, 1:], 'depth is .*, expected'),
    ],
)
def test_depth_that_is_refused(bundle, frames, change, sentence):
    frame = frames[0]
    said = Said(bundle, change(frame.depth.astype(np.float32)))
    with pytest.raises(EngineError, match=sentence):
        check_engine(said, [frame])


def test_a_few_pixels_far_off_are_found_by_the_tail(bundle, frames):
    depth = frames[0].depth.copy()
    depth.reshape(-1)[: depth.size // 50] *= 1.2
    with pytest.raises(EngineError, match='99th percentile'):
        check_engine(Said(bundle, depth), [frames[0]])
    loose = Tolerance(tail=0.3)
    assert check_engine(Said(bundle, depth), [frames[0]], loose) == pytest.approx(0.004, rel=0.1)


def test_confidence_that_is_refused(bundle, frames):
    frame = frames[0]
    with pytest.raises(EngineError, match='confidence differs'):
        check_engine(Said(bundle, frame.depth, 1 - frame.confidence), [frame])
    with pytest.raises(EngineError, match='not within 0 to 1'):
        check_engine(Said(bundle, frame.depth, frame.confidence + 1), [frame])


def test_what_the_engine_said_is_returned(bundle, frames, engine):
    near = dataclasses.replace(frames[0], depth=frames[0].depth * 1.001)
    difference, said = run_frames(engine, [near, frames[1]])
    assert difference == pytest.approx(0.001, rel=0.05)
    for found, wanted in zip(said, frames, strict=True):
        np.testing.assert_allclose(found.depth, wanted.depth, rtol=1e-6)
        np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-6)


def test_every_frame_counts(bundle, frames, engine):
    wrong = dataclasses.replace(frames[1], depth=frames[1].depth * 1.5)
    with pytest.raises(EngineError, match='stored frame 1'):
        check_engine(engine, [frames[0], wrong])


def test_sky_beyond_the_range_is_plausible(bundle):
    depth = np.full((1, 1, 24, 32), 120.0, np.float32)
    depth[..., :3] = 20
    check_outputs(bundle, {'depth': depth}, 'here')
