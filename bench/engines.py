# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Engines of this machine side by side: latency, processor time, distance to the reference.

Engines take turns, so that other load meets all of them alike; the smallest time and the processor
time tell most on a busy machine.

    python bench/engines.py lite --output engines.json
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import EngineError
from monother_ros.core.files import atomic_write
from monother_ros.engines.acceptance import judge, reference_of
from monother_ros.engines.base import EngineOptions, all_inputs
from monother_ros.engines.select import ENGINES, build_engine

WAYS = (
    ('onnxruntime', 'cpu', 'fp32'),
    ('openvino', 'cpu', 'fp32'),
    ('openvino', 'cpu', 'bf16'),
    ('onnxruntime', 'cuda', 'fp32'),
    ('tensorrt', 'cuda', 'fp32'),
    ('tensorrt', 'cuda', 'auto'),
)
PAUSE = 0.03


def main(arguments=None):
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('bundle', help='name of a model or folder of its bundle')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2], help='of CPU engines')
    parser.add_argument('--rounds', type=int, default=12)
    parser.add_argument('--runs', type=int, default=4, help='of each engine in a round')
    parser.add_argument('--output', type=Path, help='JSON')
    options = parser.parse_args(arguments)
    bundle = load_bundle(find_bundle(options.bundle))
    engines, results = built(bundle, options.threads)
    inputs = all_inputs(bundle, np.random.default_rng(0).normal(0, 1, bundle.inputs[0].shape))
    times = {name: [] for name in engines}
    spent = dict.fromkeys(engines, 0.0)
    for _ in range(options.rounds):
        for name, engine in engines.items():
            for _ in range(options.runs):
                cpu, wall = time.process_time(), time.perf_counter()
                engine.infer(inputs)
                times[name].append(1e3 * (time.perf_counter() - wall))
                spent[name] += 1e3 * (time.process_time() - cpu)
            time.sleep(PAUSE)
    for name, values in times.items():
        results[name] |= {
            'median_ms': float(np.median(values)),
            'min_ms': min(values),
            'p95_ms': float(np.percentile(values, 95)),
            'cpu_ms': spent[name] / len(values),
        }
        print(
            f'{name:24} median {results[name]["median_ms"]:7.1f}  min {min(values):6.1f}  '
            f'p95 {results[name]["p95_ms"]:7.1f}  cpu {results[name]["cpu_ms"]:6.1f} ms  '
            f'off by {results[name]["mean"]:.3%}'
        )
    if options.output is not None:
        machine = {'machine': platform.processor() or platform.machine(), 'bundle': bundle.name}
        atomic_write(options.output, json.dumps({**machine, 'engines': results}, indent=2) + '\n')


def built(bundle, threads):
    """Engines that work here, and how far each is from the reference."""
    reference = reference_of(bundle)
    engines, results = {}, {}
    for kind, device, precision in WAYS:
        for count in threads if device == 'cpu' else threads[:1]:
            name = f'{kind} {device} {precision}' + (f' {count}' if device == 'cpu' else '')
            try:
                if ENGINES[kind].missing:
                    raise EngineError(ENGINES[kind].missing)
                engine = build_engine(bundle, kind, EngineOptions(count, device, precision))
            except EngineError as err:
                print(f'{name:24} not here: {err}')
                continue
            verdict = judge(engine, reference)
            engines[name] = engine
            results[name] = {
                'engine': engine.description,
                'mean': verdict.mean,
                'tail': verdict.tail,
            }
    return engines, results


if __name__ == '__main__':
    main()
