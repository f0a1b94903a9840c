# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The kernels compute what the pipeline computes.

Their source is compiled by the C++ compiler of the host, with a loop for the grid, and compared
with core/. Where nvcc is installed it is compiled for real as well; it is not run here.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import types
from dataclasses import replace

import cv2
import numpy as np
import pytest
from cuda_double import World, install_cuda

from monother_ros.core.bundle import Normalisation, load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.cloud import CloudBuilder
from monother_ros.core.errors import EngineError
from monother_ros.core.resize import AlignedResizer
from monother_ros.core.thermal import Normaliser
from monother_ros.doctor.findings import FAIL, INFO, OK
from monother_ros.doctor.selftest_kernels import try_kernels
from monother_ros.engines import cuda as cuda_module
from monother_ros.engines.cuda import open_cuda
from monother_ros.engines.cuda_kernels import SOURCE, FrameKernels, compare, normalise_args

HOST = """
#include <cmath>
#include <cstddef>
#define __device__ static inline
#define __global__
struct Place { int x, y, z; };
static Place blockIdx, blockDim{1, 1, 1}, threadIdx{0, 0, 0};
"""

CALL = """
extern "C" void run_%s(int across, int down, %s)
{
  for (blockIdx.y = 0; blockIdx.y < down; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < across; ++blockIdx.x) %s(%s);
}
"""


def loop(name):
    """A function that calls a kernel for every pixel."""
    text = SOURCE[SOURCE.index(f'void {name}(') :]
    parameters = ' '.join(text[text.index('(') + 1 : text.index(')')].split())
    names = [part.split()[-1].lstrip('*') for part in parameters.split(',')]
    return CALL % (name, parameters, name, ', '.join(names))


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    compiler = shutil.which('g++') or shutil.which('c++')
    if compiler is None:
        pytest.skip('no C++ compiler')
    folder = tmp_path_factory.mktemp('kernels')
    source = folder / 'kernels.cpp'
    source.write_text(HOST + SOURCE + loop('normalise') + loop('deproject'))
    flags = ['-O1', '-ffp-contract=off', '-shared', '-fPIC', '-Wall', '-Werror']
    subprocess.run([compiler, *flags, str(source), '-o', str(folder / 'k.so')], check=True)
    return ctypes.CDLL(str(folder / 'k.so'))


def c_value(value):
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    if isinstance(value, np.floating):
        return ctypes.c_float(float(value))
    return ctypes.c_int(int(value))


def run(library, name, size, *args):
    getattr(library, f'run_{name}')(*size, *map(c_value, args))


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.uniform(0, 1, (9, 11)), (width, height))
    return (21000 + 900 * smooth + rng.normal(0, 3, (height, width))).astype(np.uint16)


@pytest.mark.parametrize('resize', ['area', 'aligned'])
@pytest.mark.parametrize('camera', [(160, 120), (80, 64), (97, 61), (40, 30)])
def test_normalise(library, camera, resize):
    how = Normalisation('percentile', 1, 99, 0.4, 0.2, 3, resize=resize)
    network = (80, 64)
    raw = picture(*camera)
    normaliser = Normaliser(how, network)
    wanted = normaliser(raw, 0)
    out = np.zeros_like(wanted)
    args = normalise_args(camera, network, how, *normaliser.bounds)
    run(library, 'normalise', network, raw, *args[:5], out, *args[5:])
    # OpenCV's areas are rounded otherwise where the ratio is no whole number
    np.testing.assert_allclose(out, wanted, atol=2e-4 / how.std)


def test_normalise_a_narrow_window_high_up(library):
    how = Normalisation('fixed', 60000.25, 60003.5)
    raw = np.random.default_rng(2).integers(59990, 60010, (20, 30)).astype(np.uint16)
    wanted = Normaliser(how, (30, 20))(raw, 0)
    out = np.zeros_like(wanted)
    args = normalise_args((30, 20), (30, 20), how, how.low, how.high)
    run(library, 'normalise', (30, 20), raw, *args[:5], out, *args[5:])
    np.testing.assert_allclose(out, wanted, atol=1e-6)


@pytest.mark.parametrize('aligned', [False, True])
@pytest.mark.parametrize('sure', [True, False])
def test_deproject(library, aligned, sure):
    (width, height), network = (120, 90), (80, 64)
    camera = Intrinsics(
        width, height, 100.0, 101.0, 60.0, 44.0, 'plumb_bob', (-0.2, 0.05, 0.0, 0.0)
    )
    rng = np.random.default_rng(3)
    depth = cv2.resize(rng.uniform(1, 60, (8, 10)).astype(np.float32), network)
    confidence = cv2.resize(rng.uniform(0, 1, (8, 10)).astype(np.float32), network)
    raw = picture(width, height)

    def grown(plane):
        if aligned:
            return AlignedResizer()(plane, np.empty((height, width), np.float32))
        return cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)

    z, trust = grown(depth) * np.float32(1.5), grown(confidence)
    bad = (z < 2) | (z > 70) | (sure & (trust < 0.3))
    z[bad] = np.nan
    wanted = CloudBuilder(camera).build(z, trust if sure else None, raw)
    rays = camera.rays()
    x, y = (np.ascontiguousarray(rays[..., k]) for k in range(2))
    points = np.zeros((height, width, 5), np.float32)
    sizes = [np.int32(v) for v in (*network, width, height)]
    limits = [np.float32(v) for v in (1.5, 2.0, 70.0, 0.3)]
    run(
        library,
        'deproject',
        (width, height),
        *(depth, confidence if sure else None, *sizes[:2], x, y, raw, *sizes[2:]),
        *(np.int32(not aligned), *limits, points),
    )
    known = np.isfinite(wanted[..., 2]) & np.isfinite(points[..., 2])
    assert np.mean(np.isfinite(wanted[..., 2]) == np.isfinite(points[..., 2])) > 0.999
    np.testing.assert_allclose(points[known], wanted[known], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(points[..., 4], raw)
    assert 0.05 < np.isnan(points[..., 2]).mean() < 0.95


@pytest.fixture
def gpu(monkeypatch, library):
    """The double of CUDA, whose compiler hands out the kernels that run on the host."""
    world = World()
    install_cuda(monkeypatch, world)

    class SourceModule:
        def __init__(self, source, no_extern_c=False):
            assert source == SOURCE and no_extern_c

        def get_function(self, name):
            def launch(*args, block, grid, stream):
                values = list(args)
                size = [int(b) * int(g) for b, g in zip(block, grid, strict=False)]

                def work():
                    here = [
                        (world.blocks[int(v)] if int(v) else None)
                        if isinstance(v, np.uintp)
                        else v
                        for v in values
                    ]
                    run(library, name, size, *here)

                stream._put(work)

            return launch

    compiler = types.ModuleType('pycuda.compiler')
    compiler.SourceModule = SourceModule
    monkeypatch.setitem(sys.modules, 'pycuda.compiler', compiler)
    yield world
    assert not world.misuse
    assert not world.blocks


def test_frame_kernels_hand_over_what_the_kernels_want(gpu):
    how = Normalisation('percentile', 1, 99, 0.4, 0.2, 3)
    camera = Intrinsics(97, 61, 90.0, 90.0, 48.0, 30.0)
    rays = camera.rays()
    raw = picture(97, 61)
    rng = np.random.default_rng(4)
    depth = rng.uniform(3, 60, (48, 64)).astype(np.float32)
    sure = rng.uniform(0, 1, (48, 64)).astype(np.float32)
    cuda = open_cuda()
    normaliser = Normaliser(how, (64, 48))
    wanted = normaliser(raw, 0)
    with cuda.active('try kernels'):
        kernels = FrameKernels(cuda, (97, 61), (64, 48), (rays[..., 0], rays[..., 1]), how)
        found = kernels.normalise(raw, *normaliser.bounds)
        np.testing.assert_allclose(found, wanted, atol=2e-4 / how.std)
        grown = cv2.resize(depth, (97, 61), interpolation=cv2.INTER_LINEAR)
        for confidence in (sure, None):
            points = kernels.deproject(depth, confidence, (1.0, 80.0, 0.0))
            np.testing.assert_allclose(points[..., 2], grown, rtol=1e-3)
            np.testing.assert_allclose(points[..., 0], rays[..., 0] * grown, rtol=1e-3, atol=1e-3)
            np.testing.assert_array_equal(points[..., 4], raw)
            assert np.isnan(points[..., 3]).all() == (confidence is None)
        kernels.free()


@pytest.mark.parametrize('resize', ['area', 'aligned'])
def test_self_test_of_the_kernels(gpu, tiny_bundle, resize):
    bundle = load_bundle(tiny_bundle)
    bundle = replace(bundle, normalisation=replace(bundle.normalisation, resize=resize))
    finding = try_kernels(bundle, (96, 64))
    assert finding.state == OK, finding.found
    for step in ('normalise', 'deproject'):
        values = finding.values[step]
        assert 0 <= values['off'] < 1e-3
        assert values['gpu_ms'] > 0 and values['cpu_ms'] > 0


def test_self_test_finds_a_wrong_kernel(gpu, tiny_bundle, monkeypatch):
    real = FrameKernels.deproject
    monkeypatch.setattr(FrameKernels, 'deproject', lambda *a: real(*a) * np.float32(1.01))
    finding = try_kernels(load_bundle(tiny_bundle), (96, 64))
    assert finding.state == FAIL and 'attach this page' in finding.advice
    assert finding.values['normalise']['off'] < 1e-3 < finding.values['deproject']['off']


def test_self_test_without_a_gpu(monkeypatch, tiny_bundle):
    monkeypatch.setitem(sys.modules, 'pycuda.driver', None)
    monkeypatch.setattr(cuda_module, '_opened', {})
    finding = try_kernels(load_bundle(tiny_bundle))
    assert finding.state == INFO and 'PyCUDA cannot be imported' in finding.found


def test_without_a_compiler(monkeypatch):
    install_cuda(monkeypatch, World())
    monkeypatch.setitem(sys.modules, 'pycuda.compiler', None)
    how = Normalisation('percentile', 1, 99)
    plane = np.zeros((2, 2), np.float32)
    with pytest.raises(EngineError, match=r'cannot be compiled: .*install the CUDA toolkit'):
        FrameKernels(open_cuda(), (2, 2), (2, 2), (plane, plane), how)


@pytest.mark.parametrize('architecture', ['sm_87', 'sm_120'])
def test_nvcc_takes_the_kernels(tmp_path, architecture):
    if shutil.which('nvcc') is None:
        pytest.skip('nvcc is not installed')
    source = tmp_path / 'kernels.cu'
    source.write_text(SOURCE)
    command = ['nvcc', '-cubin', f'-arch={architecture}', str(source), '-o', str(tmp_path / 'k')]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if 'unsupported gpu' in done.stderr.lower():
        pytest.skip(f'this nvcc does not know {architecture}')
    assert done.returncode == 0, done.stderr


def test_compare_takes_turns():
    order = []
    found = compare(lambda: order.append('g'), lambda: order.append('c'), runs=3)
    assert ''.join(order) == 'gcgcgc'
    assert found.keys() == {'gpu_ms', 'cpu_ms'}
