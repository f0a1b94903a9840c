# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The double is as strict as the bindings that were recorded."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import cuda_double
import numpy as np
import pytest
from cuda_double import World, make_bindings, make_driver
from trt_api.reduce import lines_of, reduce, reduce_pycuda
from trt_double import IMPLEMENTED, Double

FOLDER = Path(__file__).parent / 'trt_api'
VERSIONS = ('8.6.1', '10.3.0', '10.13.3.9', '11.4.0.106')


@pytest.fixture(params=VERSIONS)
def double(request):
    return Double(request.param, World())


@pytest.fixture
def logger(double):
    return double.module.Logger()


def test_recorded_files_are_those_of_the_real_bindings(shared):
    folder = shared('specs/trt_api')
    assert (FOLDER / 'signatures.json').read_text() == lines_of(reduce(folder))
    text = lines_of(reduce_pycuda(folder / 'pycuda_2026.1.txt'))
    assert (FOLDER / 'pycuda.json').read_text() == text


@pytest.mark.parametrize(
    ('version', 'member', 'there'),
    [
        ('8.6.1', 'NetworkDefinitionCreationFlag.STRONGLY_TYPED', False),
        ('10.3.0', 'NetworkDefinitionCreationFlag.STRONGLY_TYPED', True),
        ('10.13.3.9', 'NetworkDefinitionCreationFlag.EXPLICIT_BATCH', True),
        ('11.4.0.106', 'NetworkDefinitionCreationFlag.EXPLICIT_BATCH', False),
        ('10.13.3.9', 'BuilderFlag.FP16', True),
        ('11.4.0.106', 'BuilderFlag.FP16', False),
        ('8.6.1', 'BuilderFlag.REFIT_INDIVIDUAL', False),
        ('8.6.1', 'OnnxParserRefitter', False),
        ('10.3.0', 'OnnxParserRefitter.refit_from_bytes', True),
        ('10.3.0', 'OnnxParserRefitter.load_initializer', False),
        ('8.6.1', 'IProgressMonitor', False),
        ('8.6.1', 'IExecutionContext.execute_async_v2', True),
        ('10.3.0', 'IExecutionContext.execute_async_v2', False),
        ('10.3.0', 'IExecutionContext.execute_async_v3', True),
        ('10.3.0', 'ICudaEngine.create_runtime_config', False),
        ('11.4.0.106', 'ICudaEngine.device_memory_size', False),
        ('11.4.0.106', 'ICudaEngine.num_bindings', False),
    ],
)
def test_members_are_those_of_the_version(version, member, there):
    found = Double(version, World()).module
    for name in member.split('.'):
        found = getattr(found, name, None)
    assert (found is not None) == there


def test_calls_must_fit_a_signature(double, logger):
    trt = double.module
    builder = trt.Builder(logger)
    with pytest.raises(TypeError, match='incompatible function arguments'):
        builder.create_network('flags')
    with pytest.raises(TypeError, match='1 arguments'):
        builder.create_builder_config(1)
    with pytest.raises(TypeError, match='argument nothing'):
        builder.create_network(nothing=1)
    with pytest.raises(TypeError, match='logger is missing'):
        trt.Runtime()
    with pytest.raises(TypeError, match='not ILogger'):
        trt.Runtime(print)
    config = builder.create_builder_config()
    with pytest.raises(TypeError, match='not BuilderFlag'):
        config.set_flag(trt.MemoryPoolType.WORKSPACE)
    with pytest.raises(TypeError, match='pool_size is str'):
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, '1 GiB')


def test_members_that_do_not_exist_cannot_be_read_or_set(double, logger):
    config = double.module.Builder(logger).create_builder_config()
    with pytest.raises(AttributeError):
        config.optimisation_level  # noqa: B018
    with pytest.raises(AttributeError):
        config.optimisation_level = 3
    with pytest.raises(TypeError, match='builder_optimization_level takes int'):
        config.builder_optimization_level = 'high'
    with pytest.raises(TypeError, match='No constructor defined'):
        double.module.ICudaEngine()


def test_what_is_not_done_yet_says_so(double, logger):
    builder = double.module.Builder(logger)
    with pytest.raises(NotImplementedError, match=r'has Builder\.num_DLA_cores, but the double'):
        builder.num_DLA_cores  # noqa: B018


def test_implementations_have_no_public_member_beyond_all_versions():
    """What is written for the double exists in some version of the real thing."""
    recorded = json.loads((FOLDER / 'signatures.json').read_text())['classes']
    own = {'model', 'header', 'content', 'inputs', 'outputs', 'busy', 'typed', 'engine', 'double'}
    for name, kind in IMPLEMENTED.items():
        public = {member for member in vars(kind) if not member.startswith('_')} - own
        assert public <= recorded[name]['members'].keys(), name


def test_pycuda_has_no_member_beyond_the_recorded():
    recorded = json.loads((FOLDER / 'pycuda.json').read_text())
    module = make_driver(World())
    for name, entry in recorded['classes'].items():
        kind = getattr(module, name, None)
        if kind is None:
            continue
        public = {member for member in dir(kind) if not member.startswith('_')} - {'alive'}
        public -= set(dir(int)) if entry['int'] else set()
        assert public <= set(entry['members']), name
        if name not in ('host_alloc_flags', 'device_attribute'):
            assert hasattr(kind, '__int__') == entry['int'], name
    for name, text in recorded['functions'].items():
        own = ['dest', 'src', 'stream', 'shape', 'dtype', 'order', 'mem_flags']
        named = [word for word in own if f'){word}' in text]
        found = list(inspect.signature(getattr(module, name)).parameters)
        assert sorted(found) == sorted(named) or 'arg1' in text, name


@pytest.mark.parametrize('name', ['cuStreamBeginCapture', 'cuGraphInstantiate', 'cuGraphLaunch'])
def test_bindings_have_the_recorded_parameters(name):
    recorded = json.loads((FOLDER / 'cuda_bindings.json').read_text())
    text = recorded['functions'][name]
    wanted = [part.split(':')[0].split()[-1] for part in text.split(',')]
    module = make_bindings(World())
    assert list(inspect.signature(getattr(module, name)).parameters) == wanted
    modes = {member.name: member.value for member in module.CUstreamCaptureMode}
    assert modes == recorded['enums']['CUstreamCaptureMode']


def test_work_waits_and_needs_a_context():
    world = World()
    driver = make_driver(world)
    with pytest.raises(driver.LogicError):
        driver.Device(0)
    driver.init()
    context = driver.Device(0).retain_primary_context()
    with pytest.raises(driver.LogicError, match='invalid device context'):
        driver.mem_alloc(4)
    world.misuse.clear()
    context.push()
    stream = driver.Stream(1)
    host = driver.pagelocked_empty((4,), np.float32)
    memory = driver.mem_alloc(host.nbytes)
    host[:] = 1
    driver.memcpy_htod_async(int(memory), host, stream)
    host[:] = 2  # too early, and so what is copied
    stream.synchronize()
    assert (world.view(int(memory), 16).view(np.float32) == 2).all()
    driver.memcpy_dtoh_async(np.zeros(4, np.float32), int(memory), stream)
    assert world.misuse == ['an asynchronous copy of memory that is not page-locked']
    with pytest.raises(driver.LaunchError, match='illegal memory access'):
        world.view(1234, 4)
    with pytest.raises(driver.LaunchError):
        driver.mem_get_info()
    assert cuda_double.LOST in world.lost
    context.pop()
    with pytest.raises(driver.LogicError):
        context.pop()
