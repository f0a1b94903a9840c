# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines changed between two frames of the pipeline."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from stub_engine import StubEngine, frame

from monother_ros.core.bundle import Normalisation
from monother_ros.core.errors import BundleError, EngineError
from monother_ros.core.pipeline import (
    Pipeline,
)
from monother_ros.core.shutter import ShutterState


def test_swap_takes_the_other_network(tmp_path):
    old = StubEngine(tmp_path)
    new = StubEngine(
        tmp_path,
        np.full((30, 40), 20, np.float32),
        size=(40, 30),
        revision='r2',
        normalisation=Normalisation('fixed', 0, 65535),
    )
    pipeline = Pipeline(old)
    pipeline.process(frame(0))
    assert pipeline.swap_engine(new) is old
    result = pipeline.process(frame(1))
    assert result.revision == 'r2'
    assert (result.depth == 20).all()
    assert new.inputs[0]['thermal'].shape == (1, 1, 30, 40)
    assert new.inputs[0]['thermal'].max() < 0.4


def test_swap_waits_for_the_frame_in_progress(tmp_path):
    started, go = threading.Event(), threading.Event()

    class Slow(StubEngine):
        def infer(self, inputs):
            started.set()
            assert go.wait(5)
            return super().infer(inputs)

    pipeline, results = Pipeline(Slow(tmp_path)), []
    worker = threading.Thread(target=lambda: results.append(pipeline.process(frame())))
    worker.start()
    assert started.wait(5)
    swapper = threading.Thread(
        target=lambda: pipeline.swap_engine(StubEngine(tmp_path, revision='r2'))
    )
    swapper.start()
    time.sleep(0.05)
    assert swapper.is_alive()
    go.set()
    worker.join(5)
    swapper.join(5)
    assert results[0].revision == 'r1'
    assert pipeline.process(frame(1)).revision == 'r2'


def test_swap_refuses_and_keeps_the_old_one(tmp_path):
    old = StubEngine(tmp_path)
    pipeline = Pipeline(old)
    with pytest.raises(BundleError, match='takes models of one thermal input'):
        pipeline.swap_engine(StubEngine(tmp_path, modality='rgb'))
    assert pipeline.engine is old
    assert pipeline.process(frame()).depth is not None


class Failing(StubEngine):
    """Fails every frame."""

    def infer(self, inputs):
        raise EngineError('no memory')


def test_engine_on_trial_is_settled_after_a_frame(tmp_path):
    old = StubEngine(tmp_path)
    new = StubEngine(tmp_path, np.full((24, 32), 20, np.float32), revision='r2')
    pipeline = Pipeline(old)
    assert pipeline.settle() is None
    assert pipeline.swap_engine(new, trial=True) is None
    result = pipeline.process(frame())
    assert (result.revision, result.engine_error) == ('r2', None)
    assert pipeline.settle() is old and pipeline.settle() is None


def test_engine_before_the_one_on_trial_makes_the_frame_that_fails(tmp_path):
    old = StubEngine(tmp_path)
    pipeline = Pipeline(old)
    pipeline.swap_engine(Failing(tmp_path, revision='r2'), trial=True)
    result = pipeline.process(frame())
    assert result.revision == 'r1' and 'no memory' in result.engine_error
    assert result.shutter is ShutterState.OPEN and (result.depth == 10).all()
    assert pipeline.engine is old and pipeline.settle() is None
    assert pipeline.process(frame(1)).engine_error is None


def test_after_the_trial_a_failure_is_one(tmp_path):
    new = StubEngine(tmp_path, revision='r2')
    pipeline = Pipeline(StubEngine(tmp_path))
    pipeline.swap_engine(new, trial=True)
    pipeline.process(frame())
    pipeline.settle()
    new.infer = Failing(tmp_path).infer
    with pytest.raises(EngineError, match='no memory'):
        pipeline.process(frame(1))


def test_of_two_engines_on_trial_the_proven_one_is_kept(tmp_path):
    old, second = StubEngine(tmp_path), StubEngine(tmp_path, revision='r2')
    pipeline = Pipeline(old)
    assert pipeline.swap_engine(second, trial=True) is None
    assert pipeline.swap_engine(Failing(tmp_path, revision='r3'), trial=True) is second
    assert pipeline.process(frame()).revision == 'r1'
    assert pipeline.engine is old


def test_engine_with_another_input_is_not_tried(tmp_path):
    old = StubEngine(tmp_path)
    pipeline = Pipeline(old)
    other = StubEngine(tmp_path, normalisation=Normalisation('fixed', 0, 65535), revision='r2')
    with pytest.raises(BundleError, match='takes other inputs'):
        pipeline.swap_engine(other, trial=True)
    assert pipeline.engine is old and pipeline.settle() is None
