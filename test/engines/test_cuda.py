# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Context, memory and graphs on the double of CUDA."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from cuda_double import LOST, LogicError, World, install_cuda

from monother_ros.core.errors import EngineError
from monother_ros.engines.cuda import CudaLost, open_cuda
from monother_ros.engines.cuda_graph import Graph, GraphError, find_driver


@pytest.fixture
def world(monkeypatch):
    world = World()
    install_cuda(monkeypatch, world)
    yield world
    assert not world.misuse
    assert world.depth == 0


def test_one_context_for_everybody(world):
    cuda = open_cuda()
    assert open_cuda(0) is cuda
    assert cuda.description == 'Double (sm_87)'
    assert cuda.driver_version == '12.6'
    assert not cuda.integrated
    free, total = cuda.memory()
    assert free == total == world.total


def test_context_is_current_inside_of_a_block_alone_in_every_thread(world):
    cuda, seen = open_cuda(), []
    with cuda.active('try'), cuda.active('nest'):
        assert world.depth == 2

        def work():
            seen.append(world.depth)
            with cuda.active('elsewhere'):
                seen.append(world.depth)
            seen.append(world.depth)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [0, 1, 0]
    with pytest.raises(ValueError, match='mine'), cuda.active('fail'):
        raise ValueError('mine')
    assert world.depth == 0


def test_errors_become_clear(world):
    cuda = open_cuda()
    with pytest.raises(EngineError) as caught, cuda.active('copy a frame'):
        raise LogicError('cuMemcpyHtoDAsync failed: invalid argument')
    assert str(caught.value) == (
        'CUDA could not copy a frame on Double (sm_87): cuMemcpyHtoDAsync failed: invalid argument'
    )
    assert not isinstance(caught.value, CudaLost)
    cuda.check('look')


@pytest.mark.parametrize(
    'text',
    [
        'an illegal memory access was encountered',
        'unspecified launch failure',
        'the launch timed out and was terminated',
        'device-side assert triggered',
        'uncorrectable ECC error encountered',
        'unknown error',
    ],
)
def test_a_lost_context_is_known_by_its_words(world, text):
    cuda = open_cuda()
    world.lost = text
    with pytest.raises(CudaLost, match='start it again'):
        cuda.check('look')
    with pytest.raises(CudaLost):
        cuda.memory()


@pytest.mark.parametrize('mapped', [True, False])
def test_buffer_goes_there_and_back(world, mapped):
    cuda = open_cuda()
    with cuda.active('copy'):
        stream = cuda.stream()
        buffer = cuda.buffer((2, 3), np.float32, mapped=mapped)
        buffer.array[...] = 5
        buffer.upload(stream)
        stream.synchronize()
        there = world.view(buffer.address, 24).view(np.float32)
        assert (there == 5).all()
        there[:] = 6
        buffer.download(stream)
        stream.synchronize()
        assert (buffer.array == 6).all()
        buffer.free()
        buffer.free()
        assert buffer.array.size == 0
    assert not world.blocks


def test_memory_that_is_short_leaves_nothing(world):
    from cuda_double import MemoryError as OutOfMemory

    cuda = open_cuda()
    world.fail('mem_alloc', OutOfMemory('cuMemAlloc failed: out of memory'))
    with pytest.raises(EngineError, match='close other programs'), cuda.active('make room'):
        cuda.buffer((4,), np.float32)
    assert not world.blocks


def test_shared_memory_where_the_gpu_is_integrated(monkeypatch):
    world = World(integrated=True)
    install_cuda(monkeypatch, world)
    cuda = open_cuda()
    with cuda.active('try'):
        buffer = cuda.buffer((4,), np.float32)
        assert buffer.mapped
        buffer.free()


@pytest.mark.parametrize('old', [False, True])
def test_graph_repeats_its_work(monkeypatch, old):
    world = World()
    install_cuda(monkeypatch, world, old=old)
    cuda, done = open_cuda(), []
    with cuda.active('record'):
        stream = cuda.stream()
        graph = Graph(find_driver(), stream.handle, lambda: stream._put(lambda: done.append(1)))
        stream.synchronize()
        assert not done, 'recording runs nothing'
        for _ in range(3):
            graph.launch()
        stream.synchronize()
        assert len(done) == 3
        graph.close()
        graph.close()
    assert not world.bindings.alive


def test_work_that_cannot_be_recorded(world):
    cuda = open_cuda()
    with cuda.active('record'):
        stream = cuda.stream()
        with pytest.raises(EngineError, match='operation not permitted when stream is capturing'):
            Graph(find_driver(), stream.handle, lambda: cuda.check('wait'))
        world.fail('cuStreamEndCapture', 901)
        with pytest.raises(GraphError, match=r'cuStreamEndCapture failed: CUDA_ERROR_STREAM'):
            Graph(find_driver(), stream.handle, lambda: None)
        stream.synchronize()
    assert not world.bindings.alive


def test_without_pycuda_or_bindings(monkeypatch):
    import sys

    from monother_ros.engines import cuda

    world = World()
    install_cuda(monkeypatch, world, graphs=False)
    with pytest.raises(GraphError, match='pip install cuda-bindings'):
        find_driver()
    monkeypatch.setitem(sys.modules, 'pycuda.driver', None)
    monkeypatch.setattr(cuda, '_opened', {})
    with pytest.raises(EngineError, match='PyCUDA cannot be imported'):
        open_cuda()


def test_a_broken_context_cannot_be_pushed_quietly(world):
    cuda = open_cuda()
    world.lost = LOST
    with pytest.raises(CudaLost), cuda.active('copy'):
        cuda.buffer((4,), np.float32)
    assert world.depth == 0
