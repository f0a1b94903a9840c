# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the shipped anchors come from, and that they are what the student learned from."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.engines.select import load_engine
from monother_ros.learning.anchor_frames import anchor_worlds
from monother_ros.learning.anchors import FIRST, STRIDE, Anchors
from monother_ros.learning.rendered import VALIDATION_SEED


def test_worlds_are_those_of_training_and_of_every_kind():
    worlds = list(anchor_worlds())
    assert len(worlds) == 72
    assert max(w.seed for w in worlds) < 1200 < VALIDATION_SEED
    assert len({w.seed for w in worlds}) == 72
    assert Counter(w.scene for w in worlds) == dict.fromkeys(
        ('street', 'corridor', 'woods', 'yard'), 18
    )
    assert Counter(w.time_of_day for w in worlds) == dict.fromkeys(('day', 'dusk', 'night'), 24)


def test_shipped_anchors_are_known_to_the_shipped_student():
    bundle = load_bundle(find_bundle('lite'))
    path = bundle.path.parent / 'lite-anchors' / 'anchors.npz'
    assert path.stat().st_size < 2_000_000
    anchors = Anchors.load(path)
    assert len(anchors) == 72
    assert anchors.size == bundle.input_size
    assert anchors.focal_length == bundle.focal_length
    engine = load_engine(bundle)
    errors = []
    for index in range(0, 72, 6):
        batch = anchors.batch([index])
        said = engine.infer({bundle.inputs[0].name: batch.inputs})['depth']
        depth, truth = said[0, 0, FIRST::STRIDE, FIRST::STRIDE], batch.depth[0, 0]
        counts = (truth > 0.5) & (truth < 80)
        errors.append(np.mean(np.abs(depth[counts].clip(0.5, 80) / truth[counts] - 1)))
    assert np.mean(errors) == pytest.approx(0.14, abs=0.05)
