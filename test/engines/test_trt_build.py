# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans built by the double of each version, and real ones by TensorRT for RTX on the CPU."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
import time

import pytest

onnx = pytest.importorskip('onnx', reason='onnx is not installed')

from bundles import make_onnx  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402
from trt_double import MAGIC, install  # noqa: E402

from monother_ros.core.bundle import find_bundle, load_bundle  # noqa: E402
from monother_ros.core.errors import EngineError  # noqa: E402
from monother_ros.engines import trt_build  # noqa: E402
from monother_ros.engines.onnx_precision import typed_onnx  # noqa: E402
from monother_ros.engines.trt_api import find_trt  # noqa: E402
from monother_ros.engines.trt_build import (  # noqa: E402
    BuildCancelled,
    BuildSettings,
    build_plan,
)
from monother_ros.engines.trt_cache import EngineCache, Gpu, make_key  # noqa: E402
from monother_ros.engines.trt_progress import BuildProgress  # noqa: E402

VERSIONS = ('8.6.1', '10.3.0', '10.13.3.9', '11.4.0.106')
TARGETS = ('8.6', '8.9', '12.0')

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec('tensorrt_rtx_bindings') is None,
    reason='TensorRT for RTX is not installed',
)


@pytest.fixture(params=VERSIONS)
def double(request, monkeypatch):
    return install(monkeypatch, request.param)


@pytest.fixture
def rtx(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', None)
    return find_trt()


@pytest.fixture(scope='module')
def lite():
    return load_bundle(find_bundle('lite'))


def open_axes():
    """A network whose height and width are not said."""
    info = helper.make_tensor_value_info
    shape = [1, 1, 'h', 'w']
    graph = helper.make_graph(
        [helper.make_node('Relu', ['x'], ['y'], 'relu')],
        'open',
        [info('x', TensorProto.FLOAT, shape)],
        [info('y', TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    return model.SerializeToString()


def test_every_version_builds_from_what_the_settings_say(double, lite, tmp_path):
    timing = tmp_path / 'timings' / 'gpu.cache'
    settings = BuildSettings(refit=True, version_compatible=True, hardware_compatible=True)
    plan = build_plan(find_trt(), typed_onnx(lite, 'fp16'), settings, timing)
    assert plan.startswith(MAGIC)
    assert double.builds == 1
    assert timing.is_file()
    again = build_plan(find_trt(), typed_onnx(lite, 'fp16'), settings, timing)
    assert again == plan


def test_a_network_that_the_parser_refuses_is_told(double):
    with pytest.raises(EngineError, match=r'TensorRT [\d.]+ does not take the network: .*parsed'):
        build_plan(find_trt(), b'no onnx')


def test_open_axes_need_a_profile(double):
    with pytest.raises(EngineError, match='input x has open axes'):
        build_plan(find_trt(), open_axes())
    shapes = ((1, 1, 8, 8), (1, 1, 16, 16), (1, 1, 32, 32))
    plan = build_plan(find_trt(), open_axes(), BuildSettings(profile={'x': shapes}))
    assert b'"profiles": [{"x"' in plan


def test_a_build_that_is_cancelled_gives_no_plan(double, monkeypatch):
    with pytest.raises(BuildCancelled):
        build_plan(find_trt(), make_onnx(32, 32), cancelled=lambda: True)
    assert double.builds == 0
    begun, ended = threading.Event(), threading.Event()

    def build(builder, network, config):
        begun.set()
        monitor = config._impl.progress_monitor
        while monitor is not None and monitor.step_complete('Building engine', 0):
            time.sleep(0.01)
        ended.wait(0 if monitor is not None else 10)
        return

    monkeypatch.setattr(double.kinds['Builder'], 'build_serialized_network', build)
    with pytest.raises(BuildCancelled):
        build_plan(find_trt(), make_onnx(32, 32), cancelled=begun.is_set)
    # 8.6 cannot be stopped: its thread is left to itself, and what it makes is thrown away
    ended.set()


def test_a_builder_that_fails_is_quoted(double, monkeypatch):
    def build(builder, network, config):
        double.error(builder.logger, 'out of memory in node_conv')
        return

    monkeypatch.setattr(double.kinds['Builder'], 'build_serialized_network', build)
    with pytest.raises(EngineError, match=r'could not build the engine; .*out of memory'):
        build_plan(find_trt(), make_onnx(32, 32))


def test_a_long_build_is_told_all_the_time_and_can_be_interrupted(monkeypatch):
    double = install(monkeypatch, '10.13.3.9')
    begun, steps = threading.Event(), []

    def build(builder, network, config):
        monitor = config._impl.progress_monitor
        monitor.phase_start('Building engine', None, 1000)
        for k in range(1000):
            begun.set()
            steps.append(k)
            if not monitor.step_complete('Building engine', k):
                return None
            time.sleep(0.01)
        return b''

    monkeypatch.setattr(double.kinds['Builder'], 'build_serialized_network', build)
    monkeypatch.setattr(trt_build, 'LOG_EVERY', 0.2)
    lines = []

    def progress(stage, share):
        lines.append((stage, share))
        if len(lines) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(find_trt(), make_onnx(32, 32), progress=progress)
    assert begun.is_set()
    assert len(steps) < 999, 'the builder went on'
    count = len(steps)
    assert lines[-1][0] == 'Building engine'
    assert 0 < lines[0][1] < lines[-1][1] < 1
    assert not any(t.name == 'trt-build' for t in threading.enumerate())
    assert len(steps) == count


def test_lines_come_often_enough():
    assert trt_build.LOG_EVERY + trt_build._POLL < 5


def test_progress_of_nested_phases_never_goes_back():
    progress, shares = BuildProgress(), []
    calls = [
        ('Build', None, 0, 2),
        ('Parse', 'Build', 0, 4),
        ('Parse', 'Build', 2, 4),
        ('Parse', 'Build', 4, 4),
        ('Build', None, 1, 2),
        ('Time', 'Build', 0, 10),
        ('Layer', 'Time', 0, 2),
        ('Layer', 'Time', 1, 2),
        ('Time', 'Build', 5, 10),
        ('Build', None, 2, 2),
    ]
    for call in calls:
        progress.update(*call)
        shares.append(progress.state()[1])
    assert shares == sorted(shares)
    assert shares[2] == pytest.approx(0.25)
    assert shares[7] == pytest.approx(0.525)
    assert shares[-1] == 1
    assert progress.state()[0] == 'Build'


@needs_rtx
@pytest.mark.parametrize('target', TARGETS)
@pytest.mark.parametrize('precision', ['fp16', 'fp32'])
def test_lite_compiles_to_a_real_plan(rtx, lite, target, precision):
    said = []
    settings = BuildSettings(precision=precision, targets=(target,))
    plan = build_plan(
        rtx, typed_onnx(lite, precision), settings, None, lambda *args: said.append(args)
    )
    size = lite.model_path.stat().st_size
    assert 0.4 * size < len(plan) < 2 * size


@needs_rtx
def test_a_real_plan_is_built_once(rtx, lite, tmp_path):
    cache = EngineCache(tmp_path)
    settings = BuildSettings(targets=('8.9',))
    key = make_key(lite, rtx, Gpu(), settings)
    built = []

    def build():
        built.append(build_plan(rtx, typed_onnx(lite, settings.precision), settings))
        return built[-1]

    entry, plan, hit = cache.obtain(key, build, {'name': 'lite'})
    assert not hit
    assert entry.notes['build_seconds'] > 0
    begin = time.perf_counter()
    _, again, hit = cache.obtain(key, build)
    assert hit
    assert again == plan == built[0]
    assert time.perf_counter() - begin < 2
    assert len(built) == 1
    other = make_key(lite, rtx, Gpu(), BuildSettings(precision='fp32', targets=('8.9',)))
    assert cache.load(other) is None


@needs_rtx
def test_operators_that_the_real_parser_does_not_know_are_named(rtx):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node('Relu', ['x'], ['r'], 'first'),
            helper.make_node('MatMulInteger', ['r8', 'w8'], ['y'], 'the culprit'),
            helper.make_node('Cast', ['r'], ['r8'], 'down', to=TensorProto.INT8),
        ],
        'bad',
        [info('x', TensorProto.FLOAT, [4, 4])],
        [info('y', TensorProto.INT32, [4, 4])],
        [helper.make_tensor('w8', TensorProto.INT8, [4, 4], [1] * 16)],
    )
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([nodes[0], nodes[2], nodes[1]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    with pytest.raises(EngineError, match=r'the culprit \(MatMulInteger\)'):
        build_plan(rtx, model.SerializeToString(), BuildSettings(targets=('8.6',)))


_KILLED = """
import signal, sys, time
# jobs in the background of a shell are started with this signal ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.modules['tensorrt'] = None
from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.engines.onnx_precision import typed_onnx
from monother_ros.engines.trt_api import find_trt
from monother_ros.engines.trt_build import BuildSettings, build_plan
from monother_ros.engines.trt_cache import EngineCache, Gpu, make_key
api, lite = find_trt(), load_bundle(find_bundle('lite'))
settings = BuildSettings(targets=('8.6',))
def build():
    print('building', flush=True)
    model = typed_onnx(lite, 'fp16')
    while True:
        build_plan(api, model, settings)
EngineCache(sys.argv[1]).obtain(make_key(lite, api, Gpu(), settings), build)
"""


@needs_rtx
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT])
def test_a_real_build_that_is_killed_leaves_nothing(rtx, lite, tmp_path, number):
    process = subprocess.Popen(
        [sys.executable, '-c', _KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout.readline().strip() == 'building'
        process.send_signal(number)
        assert process.wait(120) != 0
    finally:
        process.kill()
        process.stdout.close()
    cache = EngineCache(tmp_path)
    settings = BuildSettings(targets=('8.6',))
    key = make_key(lite, rtx, Gpu(), settings)
    assert cache.load(key) is None
    assert [p.name for p in tmp_path.iterdir()] == ['locks']
    assert cache.obtain(key, lambda: b'free')[1] == b'free'
