# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that misbehaves: depth stays right for every good image, every bad one is counted."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from monother_ros.sim.camera_faults import DEPTH, LATE, FaultyCamera, panning

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def report(tmp_path_factory, tiny_bundle):
    """Figures of a short run of bench/faults.py with a tiny network."""
    pytest.importorskip('rclpy')
    out = tmp_path_factory.mktemp('faults') / 'faults.json'
    command = [sys.executable, str(ROOT / 'bench' / 'faults.py'), '--model', str(tiny_bundle)]
    command += ['--rounds', '2', '--seed', '3', '--size', '160x128', '--out', str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert out.exists(), run.stdout + run.stderr
    return json.loads(out.read_text())


def test_depth_of_every_good_image_is_that_of_the_pipeline_and_bad_ones_are_counted(report):
    found = report['image by image']
    assert found['problems'] == []
    assert found['right'] == found['good'] > 100
    assert sum(found['counted by reason'].values()) == found['bad'] >= 10
    assert found['largest difference'] <= 1e-5
    assert set(report['faults']) <= set(found['by fault'])


def test_at_its_own_rate_every_image_is_accounted_for(report):
    found = report['at its own rate']
    assert found['problems'] == []
    assert found['depths'] > 0.5 * found['good']


def test_a_script_is_the_same_for_a_seed_and_says_what_comes_of_each_image():
    def made(seed):
        return list(FaultyCamera(panning(32, 24), seed).script(2))

    first, again, other = made(1), made(1), made(2)
    assert [s.fields for s in first] == [s.fields for s in again]
    assert [s.fault for s in first] != [s.fault for s in other]
    late = [s for s in first if s.outcome == LATE]
    assert late and all(s.fault == 'wrong order' for s in late)
    backwards = [b for a, b in itertools.pairwise(first) if b.stamp_ns < a.stamp_ns - 10**9]
    assert backwards and all(s.restarts for s in backwards)
    ordinary = [s for s in first if not s.fault]
    assert all(s.outcome == DEPTH and s.fields['encoding'] == 'mono16' for s in ordinary)
    sizes = {(s.fields['height'], s.fields['width']) for s in first if s.outcome == DEPTH}
    assert {(24, 32), (12, 16), (18, 32), (26, 32)} <= sizes


def test_pictures_of_the_scripted_camera_move_and_are_none_of_a_closed_shutter():
    from monother_ros.core.shutter import ShutterDetector, ShutterState

    picture, detector = panning(160, 128), ShutterDetector()
    states = {detector.update(picture(i), i * 50_000_000) for i in range(40)}
    assert states == {ShutterState.OPEN}
    assert not np.array_equal(picture(1), picture(2))
    assert np.ptp(picture(1)) > 500
