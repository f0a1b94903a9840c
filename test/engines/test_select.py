# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from bundles import make_bundle

from monother_ros.core.errors import EngineError
from monother_ros.engines import select
from monother_ros.engines.select import engine_names, load_engine

pytest.importorskip('onnx')


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp('models') / 'tiny', 24, 32)


def test_auto_says_why(bundle):
    with load_engine(bundle) as engine:
        assert engine.name == 'onnxruntime'
        assert engine.reason.startswith('auto took onnxruntime')


def test_name_is_obeyed(bundle):
    with load_engine(bundle, 'onnxruntime') as engine:
        assert engine.reason == 'onnxruntime was asked for'


def test_auto_passes_over_what_is_not_here(bundle, monkeypatch):
    entries = {
        'absent': ('nowhere', 'Nothing', 'a_module_that_does_not_exist'),
        **select.ENGINES,
    }
    monkeypatch.setattr(select, 'ENGINES', entries)
    with load_engine(bundle) as engine:
        assert engine.name == 'onnxruntime'
        assert 'absent: a_module_that_does_not_exist is not installed' in engine.reason


def test_unknown_name(bundle):
    assert engine_names()[0] == 'auto'
    with pytest.raises(EngineError, match="'magic' is not known; use one of auto, onnxruntime"):
        load_engine(bundle, 'magic')


def test_every_cause_is_named_when_nothing_works(bundle):
    broken = dataclasses.replace(bundle, outputs={'depth': 'gone'})
    with pytest.raises(EngineError, match=r"no engine can run tiny.*onnxruntime.*'gone'"):
        load_engine(broken)


def test_run_time_never_imports_torch(bundle):
    code = (
        'import sys; import monother_ros.core.pipeline, monother_ros.engines.select as s;'
        'import monother_ros.ros.messages; from monother_ros.core.bundle import load_bundle;'
        f's.load_engine(load_bundle({str(bundle.path)!r}));'
        'sys.exit("torch" in sys.modules or "rclpy" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0
