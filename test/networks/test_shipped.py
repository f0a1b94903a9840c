# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bundle in models/lite: complete, small, and as accurate as its manifest says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monother_ros.core.bundle import load_bundle
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import predict, summarise

FOLDER = Path(__file__).resolve().parents[2] / 'models' / 'lite'


@pytest.fixture(scope='module')
def bundle():
    return load_bundle(FOLDER)


@pytest.fixture(scope='module')
def engine(bundle):
    engine = load_engine(bundle)
    yield engine
    engine.close()


def test_bundle_is_whole_and_small(bundle):
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) <= 10_000_000
    assert {'model.onnx', 'weights.safetensors'} <= set(bundle.files)
    assert set(bundle.outputs) == {'depth', 'confidence'}
    assert bundle.focal_length == pytest.approx(260 * bundle.input_size[0] / 320)
    assert bundle.training['world_seeds'][1] < 1_000_000


def test_outputs_are_in_range_whatever_comes(bundle, engine):
    shape = bundle.inputs[0].shape
    rng = np.random.default_rng(0)
    for image in (np.full(shape, -2), np.full(shape, 2), rng.normal(0, 3, shape)):
        outputs = engine.infer({bundle.inputs[0].name: image.astype(np.float32)})
        for name, low, high in (('depth', 0.49, 121), ('confidence', 0, 1)):
            value = outputs[name]
            assert value.shape == shape
            assert np.isfinite(value).all()
            assert low <= value.min() <= value.max() <= high


def test_weights_are_those_of_the_model(bundle, engine):
    torch = pytest.importorskip('torch', reason='torch is not installed')
    from monother_ros.networks.export import WEIGHTS, load_weights

    network = load_weights(FOLDER / WEIGHTS)
    image = np.random.default_rng(1).normal(0, 1, bundle.inputs[0].shape).astype(np.float32)
    outputs = engine.infer({bundle.inputs[0].name: image})
    with torch.inference_mode():
        expected = network(torch.from_numpy(image))
    np.testing.assert_allclose(outputs['depth'], expected.depth.numpy(), rtol=1e-3)
    np.testing.assert_allclose(outputs['confidence'], expected.confidence.numpy(), atol=1e-3)


def test_accuracy_on_worlds_never_trained_on(engine, tmp_path):
    """A loose bound on 24 frames; bench/accuracy.py measures on hundreds."""
    pytest.importorskip('embreex', reason='the simulator is not installed')
    pytest.importorskip('trimesh', reason='the simulator is not installed')
    from monother_ros.learning.rendered import TEST_SEED, DatasetPlan, Frames, render_dataset

    plan = DatasetPlan(24, TEST_SEED + 5000, frames_per_world=2, worlds_per_shard=12)
    render_dataset(plan, tmp_path, workers=1)
    frames = Frames(tmp_path)
    summary = summarise(predict(engine, frames, range(len(frames))))
    assert summary['overall']['images'] == 24
    assert summary['overall']['abs_rel'] < 0.25
    assert summary['overall']['d1'] > 0.65
    assert summary['pooled']['ause_ratio'] < 0.6
