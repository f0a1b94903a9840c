# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames on the TensorRT engine: graphs, memory, errors, a lost context; on the double."""

from __future__ import annotations

import itertools

import pytest
from contract import given
from cuda_double import LOST, LaunchError, LogicError
from trt_rig import X

from monother_ros.core.errors import EngineError
from monother_ros.engines.cuda import CudaLost

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

# running


def test_graph_is_recorded_and_launched(gpu, make, tiny):
    with make(tiny) as engine:
        assert engine.description.endswith('fp16, CUDA graph')
        gpu.world.calls.clear()
        engine.infer(X)
        assert gpu.world.calls == ['cuGraphLaunch', 'cuStreamSynchronize']
        for value in (0.1, 0.9, 0.4):
            depth = engine.infer(given(tiny, value))['depth'][0, 0, 9, 9]
            assert depth == pytest.approx(32 - 30 * value, rel=2e-3)


def test_without_a_graph(gpu, make, tiny):
    with make(tiny, cuda_graph=False) as engine:
        gpu.world.calls.clear()
        engine.infer(X)
        assert gpu.world.calls == [
            'memcpy_htod_async',
            'IExecutionContext.execute_async_v3',
            'memcpy_dtoh_async',
            'memcpy_dtoh_async',
            'cuStreamSynchronize',
        ]


@pytest.mark.parametrize(
    'failure',
    ['cuStreamBeginCapture', 'cuStreamEndCapture', 'cuGraphInstantiate', 'cuGraphLaunch'],
)
def test_graph_that_cannot_be_recorded_is_left_out(machine, make, tiny, failure):
    gpu = machine()
    gpu.world.fail(failure, *[901] * 4)
    with make(tiny) as engine:
        assert f'CUDA graph off: {failure} failed' in engine.description
        assert engine.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(17, rel=2e-3)


def test_graph_with_other_numbers_is_left_out(machine, make, tiny):
    gpu = machine()
    wrong = itertools.count(1)
    gpu.spoil = lambda _, outputs: (
        {k: v * 0 for k, v in outputs.items()} if next(wrong) == 2 else outputs
    )
    with make(tiny) as engine:
        assert 'CUDA graph off: the recorded work gives other numbers' in engine.description


def test_without_bindings_for_graphs(machine, make, tiny):
    machine(graphs=False)
    with make(tiny) as engine:
        assert "CUDA graph off: no CUDA graphs without NVIDIA's bindings" in engine.description
        assert engine.infer(X)['depth'].size


def test_old_bindings_for_graphs(machine, make, tiny):
    machine(old=True)
    with make(tiny) as engine:
        assert engine.description.endswith('CUDA graph')


def test_shared_memory_is_not_copied(gpu, make, tiny):
    gpu.world.integrated = True
    with make(tiny, cuda_graph=False) as engine:
        gpu.world.calls.clear()
        for value in (0.1, 0.9):
            depth = engine.infer(given(tiny, value))['depth'][0, 0, 9, 9]
            assert depth == pytest.approx(32 - 30 * value, rel=2e-3)
        assert gpu.world.calls.count('memcpy_htod_async') == 0
    with make(tiny, cuda_graph=False, zero_copy=False) as engine:
        gpu.world.calls.clear()
        engine.infer(X)
        assert gpu.world.calls.count('memcpy_htod_async') == 1


def test_outputs_outlive_the_engine(machine, make, tiny):
    machine()
    with make(tiny) as engine:
        first = engine.infer(given(tiny, 0.1))['depth']
        engine.infer(given(tiny, 0.9))
    assert first[0, 0, 9, 9] == pytest.approx(29, rel=2e-3)


def test_run_that_fails_names_what_tensorrt_says(gpu, make, tiny):
    with make(tiny, cuda_graph=False) as engine:
        gpu.world.fail('IExecutionContext.execute_async_v3', False)
        with pytest.raises(EngineError, match='TensorRT failed to run tiny') as caught:
            engine.infer(X)
        assert not isinstance(caught.value, CudaLost)
        assert engine.infer(X)['depth'].size


def test_error_of_cuda_is_clear(gpu, make, tiny):
    with make(tiny, cuda_graph=False) as engine:
        gpu.world.fail(
            'memcpy_htod_async', LogicError('cuMemcpyHtoDAsync failed: invalid argument')
        )
        with pytest.raises(
            EngineError, match=r'CUDA could not run tiny on Double \(sm_87\): cuMem'
        ):
            engine.infer(X)
        assert engine.infer(X)['depth'].size


def test_no_memory_for_a_context(gpu, make, tiny):
    gpu.world.fail('ICudaEngine.create_execution_context', None, None, None)
    with pytest.raises(EngineError, match=r'no execution context .* MiB of the GPU are free'):
        make(tiny)


def test_short_of_memory(machine, make, tiny):
    from cuda_double import MemoryError as OutOfMemory

    gpu = machine()
    gpu.world.fail('mem_alloc', *[OutOfMemory('cuMemAlloc failed: out of memory')] * 3)
    with pytest.raises(EngineError, match=r'out of memory; close other programs'):
        make(tiny)


# a lost context


@pytest.mark.parametrize('graph', [True, False])
def test_lost_context_is_reported(gpu, make, tiny, graph):
    engine = make(tiny, cuda_graph=graph)
    gpu.world.lost = LOST
    for _ in range(2):
        with pytest.raises(CudaLost, match='this process cannot use the GPU any more'):
            engine.infer(X)
    engine.close()
    engine.close()


@pytest.mark.parametrize('graph', [True, False])
def test_lost_context_falls_back_where_told_so(gpu, make, tiny, graph):
    engine = make(tiny, cuda_graph=graph, fallback=True)
    assert engine.infer(X)['depth'].size
    gpu.world.lost = LOST
    for _ in range(2):
        assert engine.infer(X)['depth'][0, 0, 9, 9] == pytest.approx(17, rel=1e-5)
    assert engine.reason.startswith('fell back to onnxruntime: CUDA could not run tiny')
    assert 'illegal memory access' in make.said[-1]
    assert 'tensorrt lost its GPU' in engine.description
    assert engine.precision == 'fp32'
    with engine.prepare(tiny) as following:
        assert following.infer(X)['depth'].size
        assert following.reason == engine.reason
        assert 'tensorrt lost its GPU' in following.description
    engine.close()
    with pytest.raises(EngineError, match='has been closed'):
        engine.infer(X)


def test_context_lost_while_a_plan_is_tried_out(machine, make, tiny):
    gpu = machine()

    def spoil(header, outputs):
        gpu.world.lost = LOST
        msg = f'cuStreamSynchronize failed: {LOST}'
        raise LaunchError(msg)

    gpu.spoil = spoil
    with pytest.raises(CudaLost):
        make(tiny)
    assert gpu.builds == 1, 'no other precision can help'
