# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions of the tiny network that scale its depth, so that each frame tells who made it."""

from __future__ import annotations

import numpy as np
from bundles import NEAR, SPAN

from monother_ros.core.bundle import load_bundle
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import CheckFrame
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revisions import RevisionStore


def check_frame(bundle, scale=1.0):
    """A stored frame of the tiny network, whose depth is what the base says, times a factor."""
    shape = bundle.inputs[0].shape
    rng = np.random.default_rng(3)
    inputs = rng.random(shape, np.float32)
    with OnnxRuntimeEngine(bundle, EngineOptions(threads=1)) as engine:
        out = engine.infer({bundle.inputs[0].name: inputs})
    return CheckFrame(inputs, scale * out['depth'], out.get('confidence'))


def write_scaled(store, base, scale):
    """Write the revision whose depth is that of the base times a factor; returns its bundle."""
    values = {
        'minus_span': np.asarray(-SPAN * scale, np.float32),
        'farthest': np.asarray((NEAR + SPAN) * scale, np.float32),
    }
    return store.write(
        base,
        values,
        weights=None,
        metrics={'scale': scale},
        training={'method': 'scaled for tests'},
        check=check_frame(base, scale),
    )


def scaled_store(folder, base_path, scales):
    """A store with one revision per factor; returns the store and the names."""
    store = RevisionStore(folder, limit=max(3, len(scales) + 1))
    base = load_bundle(base_path)
    # the tiny network says depth for inputs in [0, 1] only
    store.write_base(base, [check_frame(base).inputs])
    names = [write_scaled(store, base, scale).revision for scale in scales]
    return store, names
