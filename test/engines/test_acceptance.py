# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from bundles import make_bundle

from monother_ros.core.errors import EngineError
from monother_ros.engines.acceptance import (
    LADDER,
    Limits,
    Reference,
    accept,
    judge,
    orders,
    reference_of,
)
from monother_ros.engines.check import CHECK, CheckFrame, Tolerance, write_check
from monother_ros.engines.probe_frames import GAINS, probe_inputs

pytest.importorskip('onnx')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 48, 64)


@pytest.fixture(scope='module')
def reference(bundle):
    return reference_of(bundle, threads=1)


class Known:
    """An engine that says what the reference says, changed by a function of run and frame."""

    def __init__(self, bundle, reference, change=lambda depth, run, frame: depth):
        self.bundle, self.reference, self.change = bundle, reference, change
        self.runs, self.closed = 0, False

    def infer(self, inputs):
        for k, frame in enumerate(self.reference.frames):
            if np.array_equal(frame.inputs, inputs['thermal']):
                self.runs += 1
                depth = self.change(frame.depth.copy(), self.runs, k)
                return {'depth': depth, 'confidence': frame.confidence.copy()}
        raise AssertionError('a frame that the reference does not know')

    def close(self):
        self.closed = True


def verdict(bundle, reference, change, **limits):
    return judge(Known(bundle, reference, change), reference, Limits(**limits))


def test_frames_are_those_of_the_input(bundle, reference):
    assert len(reference.frames) == len(GAINS)
    assert 'onnxruntime' in reference.name
    for frame, again in zip(reference.frames, probe_inputs(bundle), strict=True):
        assert frame.inputs.shape == (1, 1, 48, 64)
        assert frame.inputs.dtype == np.float32
        assert 0 <= frame.inputs.min() < frame.inputs.max() <= 1
        assert np.array_equal(frame.inputs, again)
    deviations = [float(frame.inputs.std()) for frame in reference.frames]
    assert deviations == sorted(deviations, reverse=True)


def test_frames_are_normalised_as_images_are(tmp_path):
    from monother_ros.core.bundle import Normalisation, write_bundle

    plain = make_bundle(tmp_path / 'a', 16, 24, channels=3)
    other = write_bundle(
        tmp_path / 'b',
        model=plain.model_path.read_bytes(),
        name='other',
        revision='1',
        inputs=plain.inputs,
        normalisation=Normalisation('percentile', 2, 98, 0.5, 0.25, channels=3),
        depth_range=(1, 50),
    )
    for a, b in zip(probe_inputs(plain), probe_inputs(other), strict=True):
        np.testing.assert_allclose(b, (a - 0.5) / 0.25, atol=1e-5)


def test_stored_frames_of_a_revision_are_used(tmp_path, bundle):
    rng = np.random.default_rng(1)
    frames = [
        CheckFrame(rng.uniform(0, 1, (1, 1, 48, 64)).astype(np.float32), np.ones((1, 1, 48, 64)))
        for _ in range(3)
    ]
    stored = make_bundle(
        tmp_path / 'm', 48, 64, extra_files={CHECK: lambda path: write_check(path, frames)}
    )
    found = reference_of(stored, threads=1).frames
    assert len(found) == 3 + len(GAINS)
    assert np.array_equal(found[0].inputs, frames[0].inputs)
    assert found[0].depth.mean() > 2, 'the reference says it again; what is stored is not taken'


def test_every_frame_comes_often_and_in_several_orders():
    order = orders(5)
    assert all(order.count(k) >= 5 for k in range(5))
    pairs = set(itertools.pairwise(order))
    assert {(k, k) for k in range(5)} <= pairs
    assert {(k, k + 1) for k in range(4)} | {(k + 1, k) for k in range(4)} <= pairs


def test_equal_engine_is_accepted(bundle, reference):
    found = verdict(bundle, reference, lambda depth, run, frame: depth)
    assert found.accepted
    assert (found.mean, found.tail, found.repeat, found.confidence) == (0, 0, 0, 0)
    assert found.runs == 5 * len(GAINS)
    assert found.milliseconds > 0


def test_small_differences_are_accepted(bundle, reference):
    found = verdict(bundle, reference, lambda depth, run, frame: depth.astype(np.float16))
    assert found.accepted
    assert 0 < found.mean < 1e-3


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda d, run, k: d * 1.03, 'depth is off by 3.00% on average (at most 1.00%)'),
        (
            lambda d, run, k: d * (1 + 0.01 * (-1) ** k),
            'the scale of depth varies by 2.02% from frame to frame (at most 1.00%)',
        ),
        (
            lambda d, run, k: d * (1 + 0.004 * (-1) ** run),
            'the same frame gives depth that differs by 0.80% from run to run (at most 0.20%)',
        ),
        (lambda d, run, k: np.full_like(d, np.nan), 'depth is not finite in 100.0% of pixels'),
        (lambda d, run, k: np.zeros_like(d), 'depth is 0 to 0 m'),
        (lambda d, run, k: d[..., :-1], 'depth is (1, 1, 48, 63), not (1, 1, 48, 64)'),
        (
            lambda d, run, k: np.where(np.arange(64) < 2, d * 1.2, d),
            'depth is off by 20.00% at the 99th percentile (at most 5.00%)',
        ),
    ],
)
def test_refused_with_the_numbers(bundle, reference, change, sentence):
    found = verdict(bundle, reference, lambda d, run, k: change(d, run, k).astype(np.float32))
    assert not found.accepted
    assert sentence in found.text


def test_fault_of_one_order_only_is_found(bundle, reference):
    """What a frame says depends on the one before: as with a buffer that is read too early."""
    last = []

    def change(depth, run, frame):
        last.append(frame)
        return depth * np.float32(1.1 if last[-2:] == [2, 1] else 1.0)

    assert 'from run to run' in verdict(bundle, reference, change).problem


def test_failing_engine_is_refused(bundle, reference):
    def change(depth, run, frame):
        if run == 7:
            raise EngineError('execute_async_v3 returned False')
        return depth

    found = verdict(bundle, reference, change)
    assert not found.accepted
    assert found.problem == 'execute_async_v3 returned False'
    assert found.runs == 6


def test_confidence_counts(bundle, reference):
    other = Reference(
        'other',
        tuple(
            CheckFrame(f.inputs, f.depth, np.clip(f.confidence - 0.1, 0, 1))
            for f in reference.frames
        ),
    )
    found = judge(Known(bundle, reference), other)
    assert 'confidence is off by' in found.problem


def test_ladder_goes_down_to_what_passes(bundle, reference):
    made, said = [], []

    def build(precision):
        if precision == 'fp16-safe':
            raise EngineError('the builder found no tactic')
        off = {'fp16': 1.2, 'fp32': 1.0}[precision]
        made.append(Known(bundle, reference, lambda d, run, k: d * np.float32(off)))
        return made[-1]

    engine, acceptance = accept(build, LADDER, reference, log=said.append)
    assert engine is made[1]
    assert [item.closed for item in made] == [True, False]
    assert acceptance.precision == 'fp32'
    record = json.loads(json.dumps(acceptance.record))
    assert [v['precision'] for v in record['verdicts']] == ['fp16', 'fp16-safe', 'fp32']
    assert [v['accepted'] for v in record['verdicts']] == [False, False, True]
    assert record['verdicts'][0]['mean'] == pytest.approx(0.2, rel=1e-3)
    assert record['limits']['frame']['mean'] == Tolerance().mean
    assert said[0].startswith('fp16 is refused: ')
    assert 'no tactic' in said[1]


def test_nothing_passes(bundle, reference):
    made = []

    def build(precision):
        made.append(Known(bundle, reference, lambda d, run, k: d * np.float32(1.5)))
        return made[-1]

    with pytest.raises(EngineError, match=r'no precision passes .*fp16: .*; fp32: .*50\.00'):
        accept(build, ('fp16', 'fp32'), reference)
    assert all(item.closed for item in made)


def test_engine_is_closed_when_the_test_is_interrupted(bundle, reference):
    def interrupt(depth, run, frame):
        raise KeyboardInterrupt

    made = Known(bundle, reference, interrupt)
    with pytest.raises(KeyboardInterrupt):
        accept(lambda precision: made, LADDER, reference)
    assert made.closed
