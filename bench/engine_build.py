# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What compiling a bundle costs: time and plan size per precision and GPU, and a hit of the cache.

Plans are built for GPUs that need not be here, with TensorRT for RTX on the CPU. Wall time is that
of this machine as it is; processor time counts what the build itself needed. ONNX Runtime on the
CPU runs the same bundle as a baseline.

    python bench/engine_build.py lite --output build.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.engines.base import EngineOptions, all_inputs
from monother_ros.engines.onnx_precision import PRECISIONS, typed_onnx
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.engines.trt_api import find_trt
from monother_ros.engines.trt_build import BuildSettings, build_plan
from monother_ros.engines.trt_cache import EngineCache, Gpu, make_key


def parse(arguments=None):
    """Options."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('bundles', nargs='+', help='names of models or folders of bundles')
    parser.add_argument('--precisions', nargs='+', default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument('--targets', nargs='+', default=['8.6', '8.9', '12.0'], metavar='CC')
    parser.add_argument('--hits', type=int, default=5, help='loads of each plan from the cache')
    parser.add_argument('--runs', type=int, default=0, help='of ONNX Runtime as a baseline')
    parser.add_argument('--threads', type=int, default=2, help='of ONNX Runtime')
    parser.add_argument('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


def timed(work):
    """Result, seconds on the clock, seconds of the processor."""
    wall, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - busy


def one_build(api, bundle, typed, precision, target, folder, hits):
    """Figures of one plan."""
    cache = EngineCache(folder)
    settings = BuildSettings(precision=precision, targets=(target,))
    key = make_key(bundle, api, Gpu(), settings)
    plan, wall, busy = timed(lambda: build_plan(api, typed, settings))
    cache.store(key, plan)
    loads = [timed(lambda: cache.load(key))[1] for _ in range(hits)]
    return {
        'precision': precision,
        'target': target,
        'build [s]': round(wall, 3),
        'build, processor [s]': round(busy, 3),
        'plan [MB]': round(len(plan) / 1e6, 3),
        'cache hit [s]': round(statistics.median(loads), 4),
    }


def baseline(bundle, runs, threads):
    """Latency of ONNX Runtime on the CPU."""
    rng = np.random.default_rng(0)
    spec = bundle.inputs[0]
    inputs = all_inputs(bundle, rng.normal(0, 1, spec.shape))
    with OnnxRuntimeEngine(bundle, EngineOptions(threads=threads)) as engine:
        seconds = sorted(timed(lambda: engine.infer(inputs))[1] for _ in range(runs))
        median = statistics.median(seconds)
        return {
            'engine': engine.description,
            'median [ms]': round(1e3 * median, 2),
            'fastest [ms]': round(1e3 * seconds[0], 2),
            'frames per second': round(1 / median, 2),
        }


def main(arguments=None):
    """Measure and write."""
    options = parse(arguments)
    api = find_trt()
    results = {
        'trt': api.label,
        'machine': f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores',
        'load at the start': os.getloadavg()[0],
        'bundles': {},
    }
    for name in options.bundles:
        bundle = load_bundle(find_bundle(name))
        builds, typing = [], {}
        with tempfile.TemporaryDirectory(prefix='engine-build.') as folder:
            for precision in options.precisions:
                typed, wall, busy = timed(lambda b=bundle, p=precision: typed_onnx(b, p))
                typing[precision] = {
                    'seconds': round(wall, 3),
                    'processor [s]': round(busy, 3),
                    'ONNX [MB]': round(len(typed.content) / 1e6, 3),
                    'nodes in fp32': len(typed.float32_nodes),
                }
                for target in options.targets:
                    row = one_build(api, bundle, typed, precision, target, folder, options.hits)
                    builds.append(row)
                    print(bundle.name, row, file=sys.stderr, flush=True)
        found = {'revision': bundle.revision, 'typing': typing, 'builds': builds}
        if options.runs:
            found['onnxruntime'] = baseline(bundle, options.runs, options.threads)
        results['bundles'][bundle.name] = found
    results['load at the end'] = os.getloadavg()[0]
    text = json.dumps(results, indent=2) + '\n'
    if options.output is None:
        print(text, end='')
    else:
        atomic_write(options.output, text)


if __name__ == '__main__':
    main()
