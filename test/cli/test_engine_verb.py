# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs engine and quantize, on real plans where TensorRT for RTX is here."""

from __future__ import annotations

import importlib.util
import json
import os
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx', reason='onnx is not installed')

from monother_ros.cli.main import main
from monother_ros.core.bundle import load_bundle
from monother_ros.engines.trt_cache import ENTRY, PLAN, CacheKey, EngineCache, Gpu

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec('tensorrt_rtx_bindings') is None,
    reason='TensorRT for RTX is not installed',
)


def call(*words):
    return main(['engine', *(str(word) for word in words)])


@pytest.fixture
def filled(tmp_path):
    """A cache with two plans, the first one used long ago."""
    cache = EngineCache(tmp_path / 'engines')
    gpu = Gpu('Orin', '8.7', '12.6', '36.4.3')
    keys = [
        CacheKey(name, 'tensorrt 10.3.0', gpu, {'precision': precision})
        for name, precision in (('a', 'fp16'), ('b', 'fp32'))
    ]
    old = cache.store(keys[0], bytes(2_000_000), {'name': 'lite', 'revision': 'r1'})
    os.utime(old.path / ENTRY, (1e9, 1e9))
    new = cache.store(keys[1], bytes(1_000_000), {'name': 'lite', 'revision': 'r2'})
    cache.accept(new, {'verdicts': [{'precision': 'fp32', 'accepted': True}]})
    return cache, old, new


@needs_rtx
def test_build_list_info_and_clean_with_real_plans(tmp_path, tiny_bundle, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    folder = ('--folder', tmp_path / 'engines')
    assert call('build', tiny_bundle, '--targets', '8.6', '12.0', *folder) == 0
    said = capsys.readouterr().out
    assert said.count('built') >= 2
    assert 'fp16 for 8.6 by TensorRT for RTX' in said
    assert call('build', tiny_bundle, '--targets', '8.6', '--json', *folder) == 0
    (again,) = json.loads(capsys.readouterr().out)
    assert again['cache_hit']
    assert again['key']['gpu']['capability'] == '8.6'
    assert again['notes']['name'] == 'tiny'
    assert call('list', *folder) == 0
    said = capsys.readouterr().out
    assert said.count('tiny 1') == 2
    assert call('info', again['plan'][:8], *folder) == 0
    assert json.loads(capsys.readouterr().out)['sha256'] == again['sha256']
    assert call('clean', '--all', *folder) == 0
    assert 'removed 2' in capsys.readouterr().out
    assert call('list', '--json', *folder) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_list_says_what_is_there(filled, capsys):
    cache, old, new = filled
    assert call('list', '--folder', cache.folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(new.path.name[:12])
    assert lines[2].startswith(old.path.name[:12])
    assert 'yes' in lines[1].split()
    for word in ('lite r1', 'fp16', 'Orin 8.7', 'tensorrt 10.3.0', '2.0', '2001-09-09'):
        assert word in lines[2], word
    assert '3.0 MB, at most 4000 MB' in lines[3]


def test_clean_removes_what_it_is_told_to(filled, capsys):
    cache, _, new = filled
    assert call('clean', '--folder', cache.folder) == 0
    assert len(cache.entries()) == 2
    assert call('clean', '--limit', '0.0011', '--folder', cache.folder) == 0
    assert [entry.path for entry in cache.entries()] == [new.path]
    content = (new.path / PLAN).read_bytes()
    (new.path / PLAN).write_bytes(content[:-1] + b'x')
    capsys.readouterr()
    assert call('clean', '--json', '--folder', cache.folder) == 0
    assert json.loads(capsys.readouterr().out) == [new.path.name]
    assert cache.entries() == []


def test_clean_by_name_and_age(filled):
    cache, old, new = filled
    assert call('clean', new.path.name[:10], '--folder', cache.folder) == 0
    assert [entry.path for entry in cache.entries()] == [old.path]
    assert call('clean', '--days', '30', '--folder', cache.folder) == 0
    assert cache.entries() == []


def test_what_cannot_be_done_is_said(tmp_path, tiny_bundle, capsys, monkeypatch):
    folder = ('--folder', tmp_path / 'engines')
    assert call('info', 'abc', *folder) == 1
    assert 'no plan' in capsys.readouterr().err
    for name in ('tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings'):
        monkeypatch.setitem(sys.modules, name, None)
    assert call('build', tiny_bundle, '--targets', '8.6', *folder) == 1
    assert 'TensorRT is not installed' in capsys.readouterr().err
    assert call('build', tiny_bundle, *folder) == 1
    assert 'monother engine:' in capsys.readouterr().err


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    """A short drive with a truth that is made up."""
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    from small_bag import IMAGE, PERIOD, START, STORE, header

    from monother_ros.ros.newbag import new_bag, offered_qos

    def image(stamp, pixels, encoding):
        height, width = pixels.shape
        content = pixels.view(np.uint8).ravel()
        step = width * pixels.itemsize
        return STORE.types[IMAGE](header(stamp), height, width, encoding, 0, step, content)

    path = tmp_path_factory.mktemp('bags') / 'drive'
    rng = np.random.default_rng(0)
    with new_bag(path) as writer:
        thermal, truth = (
            writer.add_connection(
                name, IMAGE, typestore=STORE, offered_qos_profiles=[offered_qos(depth=5)]
            )
            for name in ('/thermal/image_raw', '/ground_truth/thermal/depth')
        )
        for k in range(9):
            stamp = START + k * PERIOD
            small = rng.uniform(0, 1, (8, 10)).astype(np.float32)
            counts = (7000 + 900 * cv2.resize(small, (160, 128))).astype('<u2')
            depth = np.full((128, 160), 8.0, '<f4')
            for channel, item in (
                (thermal, image(stamp, counts, 'mono16')),
                (truth, image(stamp, depth, '32FC1')),
            ):
                writer.write(channel, stamp, STORE.serialize_cdr(item, IMAGE))
    return path


def test_quantize_makes_a_bundle_and_says_what_it_costs(drive, tmp_path, capsys):
    target = tmp_path / 'int8'
    words = ('--bag', drive, '--to', target, '--frames', '4', '--json')
    assert main(['quantize', 'lite', *(str(word) for word in words)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures['frames'] == {'calibrated on': 4, 'compared on': 4}
    assert 0 < figures['int8 against fp32']['mean'] < 0.05
    before, after = (figures[f'{k} against truth']['abs_rel'] for k in ('fp32', 'int8'))
    assert 0 < abs(after - before) < 0.1
    bundle = load_bundle(target)
    assert bundle.parent is not None
    assert '-int8-' in bundle.revision
    check_explicit(bundle)
    if importlib.util.find_spec('tensorrt_rtx_bindings') is not None:
        words = ('--targets', '8.6', '--precision', 'fp16', '--folder', tmp_path / 'engines')
        assert call('build', target, *words) == 0
    assert main(['quantize', str(target), '--bag', str(drive), '--to', str(tmp_path / 'b')]) == 1
    assert 'quantised already' in capsys.readouterr().err


def check_explicit(bundle):
    """Q/DQ as TensorRT takes it: symmetric, signed, per channel of weights, no bias."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(bundle.model_path))
    onnx.checker.check_model(model, full_check=True)
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    writers = {name: node for node in model.graph.node for name in node.output}
    pairs = [node for node in model.graph.node if node.op_type == 'QuantizeLinear']
    assert len(pairs) > 60
    for node in pairs:
        scale, zero = (constants[name] for name in node.input[1:])
        assert zero.dtype == 'int8'
        assert not zero.any()
        assert (scale > 0).all()
        weight = constants.get(node.input[0])
        assert scale.ndim == (0 if weight is None else 1)
        assert weight is None or weight.ndim > 1, 'a bias is quantised'
        assert weight is None or scale.shape == weight.shape[:1]
    for node in model.graph.node:
        if node.op_type == 'Conv' and node.input[0] in writers and len(node.input) == 3:
            assert node.input[2] in constants


def test_a_limit_keeps_a_poor_bundle_from_being_written(drive, tmp_path, capsys):
    target = tmp_path / 'int8'
    words = ('--bag', drive, '--to', target, '--frames', '1', '--limit', '0.000001')
    assert main(['quantize', 'lite', *(str(word) for word in words)]) == 1
    assert 'not written' in capsys.readouterr().out
    assert not target.exists()
