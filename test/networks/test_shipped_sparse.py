# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bundle in models/lite-sparse: small, beside the shipped lite, and what points do to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monother_ros.core.bundle import load_bundle
from monother_ros.engines.base import all_inputs
from monother_ros.engines.select import load_engine

MODELS = Path(__file__).resolve().parents[2] / 'models'


@pytest.fixture(scope='module')
def engines():
    bundles = [load_bundle(MODELS / name) for name in ('lite', 'lite-sparse')]
    found = [load_engine(bundle, 'onnxruntime') for bundle in bundles]
    yield found
    for engine in found:
        engine.close()


@pytest.fixture(scope='module')
def picture():
    """Something like a road between walls, normalised."""
    v, u = np.mgrid[-1:1:256j, -1:1:320j]
    scene = np.where(v > 0.05, 0.4 + 0.3 * v, np.where(np.abs(u) > 0.4 - 0.4 * v, 0.6, 0.1))
    noise = np.random.default_rng(0).normal(0, 0.02, scene.shape)
    return ((scene + noise - 0.5) / 0.25).astype(np.float32)[None, None]


def test_bundle_is_small_and_made_of_the_shipped_lite(engines):
    lite, sparse = (engine.bundle for engine in engines)
    size = sum(f.stat().st_size for f in (MODELS / 'lite-sparse').iterdir())
    assert size <= 3_500_000
    assert sparse.parent == lite.revision
    assert sparse.normalisation == lite.normalisation
    assert sparse.focal_length == lite.focal_length
    assert [spec.name for spec in sparse.inputs] == ['thermal', 'sparse_depth']
    limits = sparse.metrics['held_out']['abs_rel']
    assert limits['points 0']['adapter'] <= 1.05 * limits['points 0']['monocular']
    for points in ('points 500', 'points 5000'):
        row = limits[points]
        assert row['adapter'] < min(row['monocular'], row['range_fit'])


def test_without_points_it_says_what_lite_says(engines, picture):
    alone, both = (engine.infer(all_inputs(engine.bundle, picture)) for engine in engines)
    apart = np.abs(both['depth'] / alone['depth'] - 1)
    # its weights are stored in half precision
    assert np.median(apart) < 0.003
    assert np.percentile(apart, 99) < 0.05
    assert np.abs(both['confidence'] - alone['confidence']).mean() < 0.01


@pytest.mark.parametrize(('count', 'limit'), [(20, 0.12), (500, 0.05), (5000, 0.03)])
def test_points_put_a_wrong_scale_right(engines, picture, count, limit):
    alone, both = engines
    network = alone.infer(all_inputs(alone.bundle, picture))['depth']
    truth = 1.3 * network
    seen = np.flatnonzero((truth < 80).ravel())
    chosen = np.random.default_rng(1).choice(seen, count, replace=False)
    inputs = all_inputs(both.bundle, picture)
    inputs['sparse_depth'].ravel()[chosen] = truth.ravel()[chosen]
    depth = both.infer(inputs)['depth'].ravel()[seen]
    assert np.median(np.abs(np.log(depth / truth.ravel()[seen]))) < limit


def test_outputs_are_in_range_whatever_comes(engines):
    engine = engines[1]
    shape = engine.bundle.inputs[0].shape
    rng = np.random.default_rng(2)
    planes = {
        'NaN': np.full(shape, np.nan),
        'infinite': np.full(shape, np.inf),
        'negative': np.full(shape, -5.0),
        'huge': np.full(shape, 1e30),
        'tiny': np.full(shape, 1e-30),
        'noise': rng.lognormal(1, 3, shape),
    }
    for name, plane in planes.items():
        inputs = all_inputs(engine.bundle, rng.normal(0, 3, shape))
        inputs['sparse_depth'] = plane.astype(np.float32)
        outputs = engine.infer(inputs)
        for key, low, high in (('depth', 0.49, 121), ('confidence', 0, 1)):
            assert np.isfinite(outputs[key]).all(), name
            assert low <= outputs[key].min() <= outputs[key].max() <= high, name
