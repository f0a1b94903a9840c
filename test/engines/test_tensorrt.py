# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT engine on the double of four versions of TensorRT and of CUDA."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from typing import ClassVar

import numpy as np
import pytest
from contract import EngineContract, apart
from cuda_double import LogicError
from trt_rig import Maker, X

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.engines.base import EngineOptions, PlanOptions
from monother_ros.engines.cuda import open_cuda
from monother_ros.engines.select import load_engine
from monother_ros.engines.trt_build import BuildCancelled
from monother_ros.engines.trt_cache import PLAN, EngineCache
from monother_ros.engines.trt_plans import graph_digest, l4t_release

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


class _Contract(EngineContract):
    version = '10.3.0'
    options: ClassVar[dict] = {}

    @pytest.fixture(autouse=True)
    def _machine(self, machine, tmp_path):
        self.double = machine(self.version)
        self.make = Maker(tmp_path / 'cache')

    def build(self, bundle, **options):
        return self.make(bundle, **{'precision': 'fp32', **self.options, **options})


class TestContractOf10Refit(_Contract):
    options: ClassVar[dict] = {'plan': {'refit': True}}

    def test_that_weights_were_refitted(self, bundle, tmp_path):
        pytest.importorskip('torch')
        first, second = apart(bundle, tmp_path / 'a', {}, 'a'), apart(bundle, tmp_path / 'b', {})
        with self.build(first) as engine, engine.prepare(second):
            assert (self.double.builds, self.double.refits) == (1, 1)


class TestContractOf11Half(_Contract):
    version = '11.4.0.106'
    options: ClassVar[dict] = {'precision': 'fp16'}
    rtol = 0.002


# plans and their acceptance


def test_builds_with_the_context_of_its_gpu(gpu, make, tiny):
    """TensorRT builds in a thread of its own, for the GPU whose context is current there."""
    make(tiny).close()
    assert gpu.depths == [1]


def test_builds_once_then_takes_the_plan_from_the_cache(gpu, make, tiny):
    with make(tiny) as engine:
        assert engine.precision == 'fp16'
        assert engine.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(17, rel=2e-3)
        assert engine.description.startswith(f'tensorrt {gpu.version} on Double (sm_87), fp16')
    assert gpu.builds == 1
    with make(tiny) as engine:
        assert engine.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(17, rel=2e-3)
    assert gpu.builds == 1
    (entry,) = make.entries
    assert entry.acceptance['precision'] == 'fp16'
    assert entry.acceptance['verdicts'][-1]['accepted']
    assert entry.acceptance['verdicts'][-1]['mean'] < 0.002
    assert entry.key['gpu']['name'] == 'Double'
    assert json.dumps(entry.acceptance)


def test_lite_network(machine, make):
    machine('10.13.3.9')
    lite = load_bundle(find_bundle('lite'))
    inputs = np.random.default_rng(1).normal(0, 1, lite.inputs[0].shape).astype(np.float32)
    with make(lite, precision='fp32') as engine, load_engine(lite, 'onnxruntime') as reference:
        found, wanted = engine.infer({'thermal': inputs}), reference.infer({'thermal': inputs})
    np.testing.assert_allclose(found['depth'], wanted['depth'], rtol=1e-3)


def only_single(header, outputs):
    """Half precision is metres off, as reports of some versions say."""
    return {**outputs, 'depth': outputs['depth'] * np.float32(1.1 if header['half'] else 1)}


def test_wrong_half_precision_is_refused_with_its_numbers(gpu, make, tiny):
    gpu.spoil = only_single
    with make(tiny) as engine:
        assert engine.precision == 'fp32'
    assert 'fp16 is refused: depth is off by' in make.text
    assert 'fp16-safe is refused: depth is off by' in make.text
    assert gpu.builds == 3
    make.said.clear()
    with make(tiny) as engine:
        assert engine.precision == 'fp32'
    assert gpu.builds == 3, 'what was refused once is not built again'
    assert 'fp16 was refused before: depth is off by' in make.text


def test_scale_that_varies_from_frame_to_frame_is_refused(machine, make, tiny):
    gpu, count = machine('10.3.0'), itertools.count()

    def spoil(header, outputs):
        scale = 1 + 0.05 * (next(count) % 3) * header['half']
        return {**outputs, 'depth': outputs['depth'] * np.float32(scale)}

    gpu.spoil = spoil
    with make(tiny) as engine:
        assert engine.precision == 'fp32'
    assert 'fp16 is refused: the same frame gives depth that differs' in make.text


def test_no_precision_passes(machine, make, tiny):
    gpu = machine()
    gpu.spoil = lambda header, outputs: {k: v * 2 for k, v in outputs.items()}
    with pytest.raises(EngineError, match='no precision passes the acceptance test'):
        make(tiny)
    with pytest.raises(EngineError, match='no precision'):
        make(tiny)
    assert gpu.builds == 3
    engine = load_engine(
        tiny,
        'tensorrt',
        EngineOptions(device='auto', fallback=True, plan=PlanOptions(cache=make.folder)),
    )
    with engine:
        assert engine.name == 'onnxruntime'
        assert 'no precision' in engine.reason


def test_auto_takes_tensorrt(machine, make, tiny):
    machine()
    options = EngineOptions(
        device='auto', precision='auto', plan=PlanOptions(cache=make.folder), threads=1
    )
    with load_engine(tiny, 'auto', options) as engine:
        assert engine.name == 'tensorrt'
        assert engine.reason.startswith('auto took tensorrt on a GPU')


def test_other_limits_are_judged_anew_without_a_build(machine, make, tiny):
    from monother_ros.engines.check import Tolerance

    gpu = machine()
    make(tiny).close()
    with make(tiny, tolerance=Tolerance(mean=1e-5)) as engine:
        assert engine.precision != 'fp16'
    assert 'fp16 is refused' in make.text
    assert gpu.builds == 2 + (engine.precision == 'fp32')


def test_damaged_plan_is_built_again(gpu, make, tiny):
    make(tiny).close()
    (entry,) = make.entries
    path = entry.path / PLAN
    path.write_bytes(path.read_bytes()[:-7])
    with make(tiny) as engine:
        assert engine.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(17, rel=2e-3)
    assert gpu.builds == 2


def test_plan_that_tensorrt_does_not_load_is_built_again(gpu, make, tiny):
    make(tiny).close()
    gpu.world.fail('Runtime.deserialize_cuda_engine', None)
    with make(tiny) as engine:
        assert engine.infer(X)['depth'].size
    assert gpu.builds == 2
    assert 'does not load the plan of tiny' in make.text


def test_version_compatible_plan(gpu, make, tiny):
    with make(tiny, plan={'version_compatible': True, 'hardware_compatible': True}) as engine:
        assert engine.infer(X)['depth'].size
    assert make.entries[0].key['settings']['version_compatible']


def test_build_that_is_stopped_tries_no_other_precision(machine, make, tiny):
    gpu = machine('10.13.3.9')
    stopped = threading.Event()
    gpu.world.fail('Builder.build_serialized_network', None)
    stopped.set()
    with pytest.raises(BuildCancelled):
        make(tiny, cancelled=stopped.is_set)
    assert gpu.builds == 0
    assert not make.entries


def test_build_that_fails_goes_on_with_the_next_precision(gpu, make, tiny):
    gpu.world.fail('Builder.build_serialized_network', None)
    with make(tiny) as engine:
        assert engine.precision == 'fp16-safe'
    assert 'fp16 is refused: cannot be built' in make.text


def test_cache_that_cannot_be_written(machine, make, tiny, monkeypatch):
    machine()

    def full(*_, **__):
        msg = 'No space left on device'
        raise EngineError(msg)

    monkeypatch.setattr(EngineCache, 'store', full)
    with make(tiny) as engine, engine.prepare(tiny) as following:
        assert following.infer(X)['depth'].size
    assert 'No space left on device; it will be built again' in make.text


# what is missing


def test_without_pycuda(machine, make, tiny, monkeypatch):
    import sys

    machine()
    monkeypatch.setitem(sys.modules, 'pycuda.driver', None)
    with pytest.raises(EngineError, match=r'PyCUDA cannot be imported .*pip install pycuda'):
        make(tiny)


def test_without_a_driver_or_gpu(machine, make, tiny):
    gpu = machine()
    gpu.world.fail('init', LogicError('cuInit failed: no CUDA-capable device is detected'))
    with pytest.raises(EngineError, match=r'CUDA cannot be used here: .*nvidia-smi'):
        make(tiny)
    with pytest.raises(EngineError, match='there is no GPU 3; CUDA sees 1'):
        make(tiny, device='cuda:3')


@pytest.mark.parametrize(
    ('fields', 'sentence'),
    [({'device': 'cpu'}, "device is 'cpu'"), ({'precision': 'bf16'}, "no precision 'bf16' here")],
)
def test_options_that_tensorrt_has_not(machine, make, tiny, fields, sentence):
    machine()
    with pytest.raises(EngineError, match=sentence):
        make(tiny, **fields)


def test_release_of_a_jetson(tmp_path):
    path = tmp_path / 'nv_tegra_release'
    assert l4t_release(path) == ''
    path.write_text(
        '# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64'
    )
    assert l4t_release(path) == '36.4.3'


def test_warnings_of_tensorrt_are_handed_on(machine, make, tiny):
    from monother_ros.engines.trt_messages import Messages

    said = []
    messages = Messages(said.append)
    messages(logging.ERROR, 'to somebody else')
    with messages.heard():
        messages(logging.INFO, 'much')
        messages(logging.WARNING, 'some')
        other = threading.Thread(target=messages, args=(logging.ERROR, 'to another engine'))
        other.start()
        other.join()
        for k in range(5):
            messages(logging.ERROR, f'bad {k}')
        assert messages.take() == ': bad 2; bad 3; bad 4'
        assert messages.take() == ''
    assert said[0] == 'TensorRT: some'
    assert len(said) == 6


def test_digest_of_a_graph_knows_structure_and_not_weights(tiny, tmp_path):
    import onnx

    model = onnx.load_model_from_string(tiny.model_path.read_bytes())
    first = graph_digest(model.SerializeToString())
    kernel = onnx.numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(kernel * 2, 'kernel'))
    model.producer_name = 'somebody else'
    assert graph_digest(model.SerializeToString()) == first
    model.graph.node[1].op_type = 'Div'
    assert graph_digest(model.SerializeToString()) != first


def test_shapes_that_are_open_are_set_from_the_bundle(gpu, tiny):
    """A plan with an optimisation profile, as others may build it."""
    import onnx

    from monother_ros.engines.trt_api import find_trt
    from monother_ros.engines.trt_build import BuildSettings, build_plan
    from monother_ros.engines.trt_runtime import RunningPlan

    model = onnx.load_model_from_string(tiny.model_path.read_bytes())
    for item in (*model.graph.input, *model.graph.output):
        for axis in (2, 3):
            item.type.tensor_type.shape.dim[axis].dim_param = f'axis{axis}'
    api = find_trt()
    wide = {'thermal': ((1, 1, 16, 16), (1, 1, 24, 32), (1, 1, 64, 64))}
    plan = build_plan(api, model.SerializeToString(), BuildSettings('fp32', profile=wide))
    running = RunningPlan(api, open_cuda(), plan, tiny)
    assert running.graph == 'on'
    assert running.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(17)
    running.close()
    narrow = {'thermal': ((1, 1, 8, 8), (1, 1, 8, 8), (1, 1, 16, 16))}
    plan = build_plan(api, model.SerializeToString(), BuildSettings('fp32', profile=narrow))
    with pytest.raises(EngineError, match=r'takes thermal as \(1, 1, -1, -1\), its manifest says'):
        RunningPlan(api, open_cuda(), plan, tiny)


# TensorRT for RTX, whose signatures come from its own bindings where they are installed


def test_every_member_that_is_used_exists_in_tensorrt_for_rtx(machine, make, tiny):
    rtx = pytest.importorskip('tensorrt_rtx_bindings.tensorrt_rtx')
    gpu = machine('11.4.0.106')
    with make(tiny, plan={'refit': True}) as engine, engine.prepare(tiny) as following:
        following.infer(X)
    used = gpu.recorded.used - {'ILogger.log', 'ILogger.__init__'}
    assert len(used) > 40
    for where in used:
        name, member = where.split('.')
        assert hasattr(getattr(rtx, name), member), where
    for where in (
        'ICudaEngine.create_runtime_config',
        'IRuntimeConfig.create_runtime_cache',
        'IRuntimeConfig.set_runtime_cache',
        'IRuntimeCache.deserialize',
        'IRuntimeCache.serialize',
        'IExecutionContext.is_stream_capturable',
    ):
        name, member = where.split('.')
        assert hasattr(getattr(rtx, name), member), where


class Kernels:
    """trt.IRuntimeCache."""

    content = b'compiled'
    fits = True

    def __init__(self):
        self.given = None

    def deserialize(self, blob):
        self.given = blob
        return self.fits

    def serialize(self):
        return self.content


def test_kernels_compiled_at_run_time_are_kept(tmp_path):
    from types import SimpleNamespace

    from monother_ros.engines.trt_kernels import KernelCache

    made, path = [], tmp_path / 'kernels' / 'k.bin'

    def config():
        made.append(Kernels())
        return SimpleNamespace(create_runtime_cache=lambda: made[-1], set_runtime_cache=len_of)

    def len_of(cache):
        assert cache is made[-1]
        return True

    api = SimpleNamespace(module=SimpleNamespace(IRuntimeCache=Kernels))
    engine = SimpleNamespace(create_runtime_config=config)
    KernelCache(api, engine, path).save()
    assert path.read_bytes() == b'compiled'
    before = path.stat().st_mtime_ns
    KernelCache(api, engine, path).save()
    assert made[-1].given == b'compiled'
    assert path.stat().st_mtime_ns == before, 'what is known is not written again'
    Kernels.fits = False
    path.write_bytes(b'of another driver')
    KernelCache(api, engine, path).save()
    assert path.read_bytes() == b'compiled'
    none = KernelCache(SimpleNamespace(module=SimpleNamespace()), engine, path)
    assert none.config is None
    none.save()


def test_needs_no_torch(machine, make, tiny, tmp_path, monkeypatch):
    """A robot that makes depth alone has none."""
    import sys

    from monother_ros.networks.external_data import externalise  # noqa: F401 - without torch

    machine()
    revision = apart(tiny, tmp_path / 'r', {'farthest': np.asarray(52.0, np.float32)})
    monkeypatch.setitem(sys.modules, 'torch', None)
    with make(tiny, plan={'refit': True}) as engine, engine.prepare(revision) as following:
        assert following.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(37, rel=2e-3)
