# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights and pictures for tests of revisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle

from monother_ros.core.bundle import Bundle, load_bundle
from monother_ros.core.errors import AdaptationError
from monother_ros.core.initialisers import replaced_values
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import CheckFrame
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revisions import RevisionStore

ONE_THREAD = EngineOptions(threads=1, warmup=False)


def onnx_weights(model: bytes) -> dict[str, np.ndarray]:
    """Floating point initialisers of an ONNX file."""
    import onnx

    found = onnx.load_from_string(model).graph.initializer
    return {
        item.name: onnx.numpy_helper.to_array(item) for item in found if item.data_type in (1, 10)
    }


def patched(model: bytes, values: dict[str, np.ndarray]) -> bytes:
    """The same ONNX file with other values in it: what every way to hand over must equal."""
    import onnx

    proto = onnx.load_from_string(model)
    for item in proto.graph.initializer:
        if item.name in values:
            item.CopyFrom(onnx.numpy_helper.from_array(values[item.name], item.name))
    return proto.SerializeToString()


def run_onnx(model: bytes | Path, inputs: np.ndarray, options=None, **fields) -> dict:
    """Outputs of an ONNX file in ONNX Runtime as it is, without our engine."""
    import onnxruntime

    settings = options or onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    for key, value in fields.items():
        setattr(settings, key, value)
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        settings,
        providers=['CPUExecutionProvider'],
    )
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(None, {'thermal': inputs}), strict=True))


def picture(bundle: Bundle, seed: int = 0) -> np.ndarray:
    """Random network input in [0, 1] that float16 holds exactly."""
    rng = np.random.default_rng(seed)
    shape = bundle.inputs[0].shape
    return rng.uniform(0.2, 0.8, shape).astype(np.float16).astype(np.float32)


def tiny(path: Path, revision: str = 'r1') -> Bundle:
    """Small model with weights.safetensors."""
    return make_bundle(
        path, 24, 32, revision=revision, extra_files={'weights.safetensors': b'to train on from'}
    )


def brighter(factor: float) -> dict[str, np.ndarray]:
    """New weights of the tiny model: depth = 32 - 30 factor mean."""
    return {'kernel': np.full((1, 1, 5, 5), factor / 25, np.float32)}


def expected(bundle: Bundle, values: dict[str, np.ndarray], seed: int = 0) -> CheckFrame:
    """What a model with other weights says, from a patched copy of its ONNX file."""
    inputs = picture(bundle, seed)
    outputs = run_onnx(patched(bundle.model_path.read_bytes(), values), inputs)
    return CheckFrame(inputs, outputs['depth'], outputs.get('confidence'))


def infer(bundle: Bundle, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of a bundle in our engine."""
    with OnnxRuntimeEngine(bundle, ONE_THREAD) as engine:
        return engine.infer({'thermal': inputs})


def write(store: RevisionStore, parent: Bundle, values, model: Bundle, **fields) -> Bundle:
    """A revision of the tiny model; the expectation is from a patched copy of its own file."""
    known = {} if parent.external is None else replaced_values(parent)
    frame = expected(model, {**known, **values})
    options = {'weights': b'w', 'metrics': {}, 'training': {}, 'check': frame} | fields
    return store.write(parent, values, **options)


def visible(folder: Path) -> list[str]:
    """What a reader of a store may find."""
    return sorted(item.name for item in folder.iterdir() if not item.name.startswith('.'))


def hidden(folder: Path) -> list[str]:
    """Temporary files and folders of a store."""
    known = ('.writer.lock', '.change.lock')
    return [i.name for i in folder.iterdir() if i.name.startswith('.') and i.name not in known]


def refused(store: RevisionStore, sentence: str, action) -> None:
    """An action that fails leaves the store as it was."""
    before = {item.name: load_bundle(item.path).digest for item in store.revisions()}
    with pytest.raises(AdaptationError, match=sentence):
        action()
    assert {item.name: load_bundle(item.path).digest for item in store.revisions()} == before
    assert hidden(store.folder) == []
    assert store.good().reason == ''
