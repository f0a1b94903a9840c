# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked of TensorRT exists in each of its versions; the real builder where it is here."""

from __future__ import annotations

import gc
import importlib.util
import logging
import sys
import types

import pytest
from trt_double import install

from monother_ros.core.errors import EngineError
from monother_ros.engines.trt_api import RTX, TrtApi, find_trt

VERSIONS = ('8.6.1', '10.3.0', '10.13.3.9', '11.4.0.106')

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec('tensorrt_rtx_bindings') is None,
    reason='TensorRT for RTX is not installed',
)


@pytest.fixture(params=VERSIONS)
def api(request, monkeypatch):
    """TensorRT with the members of one version and no others."""
    install(monkeypatch, request.param)
    return find_trt()


def made(api):
    """Builder, network and configuration."""
    builder = api.module.Builder(api.logger())
    return builder, api.create_network(builder), builder.create_builder_config()


def names(config):
    """Flags that were set, without the one that is set from the beginning."""
    return set(config._impl.flags_set) - {'TF32'}


def test_without_tensorrt_it_says_what_to_install(monkeypatch):
    for name in ('tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=r'JetPack.*pip install'):
        find_trt()


def test_a_library_that_does_not_fit_is_named(monkeypatch, tmp_path):
    (tmp_path / 'tensorrt.py').write_text("raise OSError('libnvinfer.so.10: no such file')\n")
    for name in ('tensorrt_rtx', 'tensorrt_rtx_bindings'):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, 'tensorrt', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r'libnvinfer.so.10'):
        find_trt()


def test_tensorrt_comes_before_tensorrt_for_rtx(monkeypatch):
    for name in ('tensorrt', 'tensorrt_rtx'):
        module = types.ModuleType(name)
        module.__version__ = '10.3.0'
        monkeypatch.setitem(sys.modules, name, module)
    assert find_trt().flavour == 'tensorrt'
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    assert find_trt().flavour == RTX


def test_major_version_and_label():
    module = types.SimpleNamespace(__version__='10.13.3.9')
    assert TrtApi(module).major == 10
    assert TrtApi(module).numbers == (10, 13, 3, 9)
    assert TrtApi(module).label == 'TensorRT 10.13.3.9'
    assert TrtApi(module, RTX).major == 11


def test_networks_are_strongly_typed_from_10_on(api):
    _, network, _ = made(api)
    assert network._impl.typed is (api.major >= 10)


def test_half_precision_needs_a_flag_in_8_alone(api):
    _, _, config = made(api)
    api.set_precision(config, half=True, int8=True)
    wanted = {'FP16', 'INT8', 'OBEY_PRECISION_CONSTRAINTS'} if api.major < 10 else set()
    assert names(config) == wanted
    assert 'TF32' not in config._impl.flags_set


def test_refit_of_some_weights_where_there_is_such_a_thing(api):
    _, network, config = made(api)
    api.set_refit(config, network)
    assert names(config) == {'REFIT'}
    _, network, config = made(api)
    api.set_refit(config, network, [])
    assert names(config) == ({'REFIT'} if api.major < 10 else {'REFIT_INDIVIDUAL'})


def test_the_version_that_drops_biases_does_not_refit():
    api = TrtApi(types.SimpleNamespace(__version__='11.3.0.5'))
    assert not api.can_refit
    with pytest.raises(EngineError, match='biases'):
        api.set_refit(None, None)


def test_compatible_plans(api):
    _, _, config = made(api)
    api.set_compatibility(config, version=True, hardware=True)
    assert names(config) == {'VERSION_COMPATIBLE'}
    assert config.hardware_compatibility_level.name == 'AMPERE_PLUS'


def test_other_gpus_are_no_targets_of_tensorrt(api):
    _, _, config = made(api)
    api.set_targets(config, [])
    assert api.targets() == ()
    with pytest.raises(EngineError, match='the GPU that it runs on alone'):
        api.set_targets(config, ['8.6'])


def test_progress_monitor_from_10_on(api):
    seen = []
    monitor = api.progress_monitor(lambda *args: seen.append(args), lambda: len(seen) > 2)
    if api.major < 10:
        assert monitor is None
        return
    monitor.phase_start('Building', None, 3)
    assert monitor.step_complete('Building', 0)
    assert not monitor.step_complete('Building', 1)
    monitor.phase_finish('Building')
    assert seen == [
        ('Building', None, 0, 3),
        ('Building', None, 1, 3),
        ('Building', None, 2, 3),
        ('Building', None, 3, 3),
    ]


def test_what_tensorrt_says_comes_with_a_level(api):
    said = []
    logger = api.logger(lambda level, text: said.append((level, text)))
    severity = api.module.ILogger.Severity
    for name in ('INTERNAL_ERROR', 'WARNING', 'VERBOSE'):
        logger.log(getattr(severity, name), name)
    assert said == [
        (logging.CRITICAL, 'INTERNAL_ERROR'),
        (logging.WARNING, 'WARNING'),
        (logging.DEBUG, 'VERBOSE'),
    ]


def test_one_logger_tells_everybody_who_is_still_there(api):
    class Ears:
        def __init__(self):
            self.heard = []

        def hear(self, level, text):
            self.heard.append(text)

    first, second = Ears(), Ears()
    logger = api.logger(first.hear)
    assert api.logger(second.hear) is logger is TrtApi(api.module).logger()
    error = api.module.ILogger.Severity.ERROR
    logger.log(error, 'one')
    heard = second.heard
    del second
    gc.collect()
    logger.log(error, 'two')
    assert (first.heard, heard) == (['one', 'two'], ['one'])

    def broken(level, text):
        raise ValueError(text)

    api.logger(broken)
    logger.log(error, 'three')
    assert first.heard[-1] == 'three'


def test_version_compatible_plans_may_bring_code(api):
    assert not api.create_runtime(api.logger()).engine_host_code_allowed
    assert api.create_runtime(api.logger(), version_compatible=True).engine_host_code_allowed


@needs_rtx
def test_real_builder_takes_targets_by_compute_capability(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    api = find_trt()
    assert api.flavour == RTX
    assert {'8.6', '8.9', '12.0'} <= set(api.targets())
    _, _, config = made(api)
    api.set_targets(config, ['8.6', '12.0'])
    assert config.num_compute_capabilities == 2
    assert config.get_compute_capability(1) == api.module.ComputeCapability.SM120
    with pytest.raises(EngineError, match=r'cannot build for 8\.7; it knows .*8\.6'):
        api.set_targets(config, ['8.7'])
    with pytest.raises(EngineError, match='compute capabilities'):
        api.set_compatibility(config, version=True, hardware=False)
    api.set_precision(config, half=True)
    assert not config.get_flag(api.module.BuilderFlag.TF32)


@needs_rtx
def test_no_gpu_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    api = find_trt()
    logger = api.logger(lambda *_: None)
    try:
        runtime = api.create_runtime(logger)
    except EngineError as err:
        assert 'GPU' in str(err)
    else:
        # some versions make a runtime that loads nothing
        assert runtime is not None
