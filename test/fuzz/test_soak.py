# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One minute of the soak, with loose limits: what a long one finds is in docs/robustness.md."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def bench():
    """bench/soak.py as a module."""
    sys.path.insert(0, str(ROOT / 'bench'))
    try:
        spec = importlib.util.spec_from_file_location('soak', ROOT / 'bench' / 'soak.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / 'bench'))
    return module


@pytest.mark.slow
def test_a_minute_leaves_memory_handles_and_threads_as_they_were(tmp_path, tiny_bundle):
    pytest.importorskip('rclpy')
    pytest.importorskip('matplotlib')
    out, plot = tmp_path / 'soak.json', tmp_path / 'soak.png'
    command = [sys.executable, str(ROOT / 'bench' / 'soak.py'), '--model', str(tiny_bundle)]
    command += ['--minutes', '1', '--every', '2', '--rate', '10', '--size', '160x128']
    command += ['--engine', 'onnxruntime', '--memory', '300', '--latency', '1e6', '--busy', '50']
    command += ['--out', str(out), '--plot', str(plot)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(out.read_text())
    assert report['problems'] == [] and report['inputs'] == ['LiDAR', 'RGB']
    assert report['sent'] == 600 and report['depth/image_raw'] > 300 and report['points'] > 300
    assert report['samples'] >= 15
    assert plot.read_bytes().startswith(b'\x89PNG') and plot.stat().st_size > 10_000


def test_slopes_are_robust_and_their_intervals_hold_the_truth(bench):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 80)
    held = 0
    for _ in range(100):
        y = 3 * x + rng.normal(0, 0.5, len(x))
        y[rng.integers(0, 80, 4)] += 50
        slope, low, high = bench.theil_sen(x, y)
        held += low <= 3 <= high
        assert low <= slope <= high and abs(slope - 3) < 1.5
    assert held >= 88
    assert bench.theil_sen(x, np.full(80, 28.0)) == (0.0, 0.0, 0.0)


def test_a_leak_a_drift_and_drops_are_told(bench):
    options, _ = bench.parse([])

    def sample(t, memory, handles, latency, drops):
        return {
            't': t, 'memory': memory, 'handles': handles, 'threads': 5, 'tasks': 20,
            'objects': 1000, 'processed': 10, 'drops': drops, 'latencies': [latency] * 10,
        }  # fmt: skip

    counts = {'sent': 3000, 'depth/image_raw': 3000, 'points': 3000}
    times = np.arange(5.0, 1800, 5)
    steady = [sample(t, 300 + 0.01 * (t % 7), 28, 20 + t % 3, {}) for t in times]
    report = bench.figures(options, steady, counts)
    assert bench.problems(report, options) == []
    leaking = [
        sample(t, 300 + t / 100, 28 + t // 300, 20 + t / 100, {'internal error': 3}) for t in times
    ]
    report = bench.figures(options, leaking, {**counts, 'depth/image_raw': 2000})
    told = ' '.join(bench.problems(report, options))
    assert report['memory']['slope'] == pytest.approx(36, rel=0.01)
    for words in ('memory grows', 'handles', 'latency p50', 'internal error', 'gave no depth'):
        assert words in told
