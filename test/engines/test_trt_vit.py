# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The vision transformer, from a checkpoint in the authors' layout to real plans."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('onnx', reason='onnx is not installed')

from checkpoints import make_checkpoint

from monother_ros.core.bundle import load_bundle
from monother_ros.engines.onnx_precision import typed_onnx
from monother_ros.engines.trt_api import find_trt
from monother_ros.engines.trt_build import BuildSettings, build_plan

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('tensorrt_rtx_bindings') is None,
    reason='TensorRT for RTX is not installed',
)

BYTES = {'fp16': 2, 'fp32': 4}


@pytest.fixture(scope='module')
def vits(tmp_path_factory):
    """The small official encoder with random weights, at the size that robots run it at."""
    from monother_ros.networks.monother import MonoTherConfig

    folder = tmp_path_factory.mktemp('vits')
    checkpoint = make_checkpoint(folder / 'authors.pt', MonoTherConfig.preset('vits'))
    command = [sys.executable, '-m', 'monother_ros.cli.main', 'convert', str(checkpoint)]
    command += ['--to', str(folder / 'vits'), '--size', '252x322']
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    checkpoint.unlink()
    return load_bundle(folder / 'vits')


@pytest.mark.parametrize('precision', BYTES)
def test_vits_compiles_for_every_gpu(vits, monkeypatch, precision):
    # an operator that TensorRT lacks is an error of its parser, see test_trt_build
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    api = find_trt()
    model = typed_onnx(vits, precision)
    weights = 25e6 * BYTES[precision]
    plans = {
        target: build_plan(api, model, BuildSettings(precision=precision, targets=(target,)))
        for target in ('8.6', '8.9', '12.0')
    }
    assert len(set(plans.values())) == 3
    for target, plan in plans.items():
        assert 0.9 * weights < len(plan) < 1.3 * weights, target
