# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What revisions cost: writing one, its size on disk, building an engine of it, putting it in use.

    python bench/revisions.py --model lite --output revisions.json

Each revision changes every weight of the model by a small random factor, and is checked on three
stored frames, as learning on the vehicle does. The ways to build an engine take turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.initialisers import current_values
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.check import CheckFrame, check_engine, read_check
from monother_ros.engines.onnxruntime import OnnxRuntimeEngine
from monother_ros.learning.revisions import RevisionStore


def parse(arguments=None):
    """Options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', default='lite', help='name or folder of a bundle')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--folder', type=Path, help='for the store; default temporary')
    parser.add_argument('--output', type=Path, help='JSON file; standard output without it')
    return parser.parse_args(arguments)


class Watch:
    """Wall and processor time of what is done in its with blocks."""

    def __init__(self):
        self.wall, self.cpu = [], []

    def __enter__(self):
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(self, *_):
        wall, cpu = self._begun
        self.wall.append(1e3 * (time.perf_counter() - wall))
        self.cpu.append(1e3 * (time.process_time() - cpu))

    def summary(self):
        """Milliseconds; processor time says what it costs on a machine that is busy."""
        return {
            'median': round(float(np.median(self.wall)), 2),
            'min': round(min(self.wall), 2),
            'max': round(max(self.wall), 2),
            'processor, median': round(float(np.median(self.cpu)), 2),
            'calls': len(self.wall),
        }


def changed(base, rng):
    """Every float weight of the network that is not a constant of it, changed by 0.1 %."""
    return {
        name: (value * (1 + 1e-3 * rng.standard_normal(value.shape))).astype(value.dtype)
        for name, value in current_values(base).items()
        if name.endswith(('weight', 'bias'))
    }


def said(parent, values, inputs, options):
    """What the network with new weights says: the export of them, run without the store."""
    from monother_ros.networks.external_data import embed

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'model.onnx'
        path.write_bytes(embed(parent.model_path, parent.path / 'model.data', values))
        bundle = dataclasses.replace(parent, path=Path(folder), external=None)
        with OnnxRuntimeEngine(bundle, options) as engine:
            outputs = [engine.infer({parent.inputs[0].name: item}) for item in inputs]
    return [
        CheckFrame(item, out['depth'], out.get('confidence'))
        for item, out in zip(inputs, outputs, strict=True)
    ]


def measure(options):
    """All figures."""
    model = load_bundle(find_bundle(options.model))
    rng = np.random.default_rng(0)
    engine_options = EngineOptions(threads=options.threads)
    shape = model.inputs[0].shape
    inputs = [rng.normal(0, 1, shape).astype('f2').astype('f4') for _ in range(3)]
    folder = Path(tempfile.mkdtemp(prefix='revisions.', dir=options.folder))
    weights = model.path / 'weights.safetensors'
    content = weights.read_bytes() if weights.is_file() else None
    figures = {}
    try:
        with RevisionStore(folder / 'store', threads=options.threads) as store:
            writing_base, writing, using = Watch(), Watch(), Watch()
            with writing_base:
                base = store.write_base(model, inputs)
            figures['write the base [ms]'] = writing_base.summary()
            parent = base
            for _ in range(options.rounds):
                values = changed(base, rng)
                frames = said(base, values, inputs, engine_options)
                with writing:
                    parent = store.write(
                        parent, values, weights=content, metrics={}, training={}, check=frames
                    )
                with using:
                    store.use(parent.revision)
            figures['write a revision [ms]'] = writing.summary()
            figures['put it in use [ms]'] = using.summary()
            infos = store.revisions()
            figures['revisions kept'] = len(infos)
            figures['files of a revision [MB]'] = {
                item.name: round(item.stat().st_size / 1e6, 3)
                for item in sorted(parent.path.iterdir())
            }
            figures['a revision as listed [MB]'] = round(infos[-1].bytes / 1e6, 2)
            figures['a revision alone, shared files not counted [MB]'] = round(
                infos[-1].own_bytes / 1e6, 2
            )
            figures['store [MB]'] = round(store.bytes() / 1e6, 2)
            figures['store without links [MB]'] = round(sum(i.bytes for i in infos) / 1e6, 2)
            figures |= engines(model, parent, engine_options, store, options.rounds)
    finally:
        shutil.rmtree(folder)
    return figures


def engines(model, revision, engine_options, store, rounds):
    """Building engines beside a running one, in turns."""
    plain, handed, patched, checks, reads = (Watch() for _ in range(5))
    frames = read_check(revision)
    with OnnxRuntimeEngine(model, engine_options) as engine, engine.prepare(revision) as new:
        for _ in range(rounds):
            with plain:
                built = engine.prepare(model)
            built.close()
            with handed:
                built = engine.prepare(revision)
            built.close()
            with patched:
                by_patching(model, revision, engine_options)
            with checks:
                difference = check_engine(new, frames)
            with reads:
                store.load(revision.revision)
    return {
        'Engine.prepare of the model, weights inside [ms]': plain.summary(),
        'Engine.prepare of a revision, weights handed over [ms]': handed.summary(),
        'the same by patching the model and building anew [ms]': patched.summary(),
        'read and verify a revision [ms]': reads.summary(),
        'run its three stored frames [ms]': checks.summary(),
        'relative difference from its stored frames': difference,
    }


def by_patching(model, revision, engine_options):
    """The way that needs the package onnx: write the values into the model."""
    import onnx
    import onnxruntime

    proto = onnx.load(model.model_path)
    values = current_values(revision)
    for item in proto.graph.initializer:
        if item.name in values:
            item.CopyFrom(onnx.numpy_helper.from_array(values[item.name], item.name))
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = engine_options.threads
    settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), settings, providers=['CPUExecutionProvider']
    )
    session.run(None, {spec.name: np.zeros(spec.shape, spec.dtype) for spec in model.inputs})


def main():
    """Measure and write."""
    options = parse()
    result = {
        'command': ' '.join(['python', *sys.argv]),
        'machine': f'{platform.machine()} {platform.system()}, Python {platform.python_version()}',
        'model': options.model,
        'threads': options.threads,
        **measure(options),
    }
    text = json.dumps(result, indent=2) + '\n'
    if options.output:
        atomic_write(options.output, text)
    else:
        print(text, end='')


if __name__ == '__main__':
    main()
