# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds every engine that works here and measures it: accuracy, new weights, latency, memory."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.bundle import write_bundle
from monother_ros.core.errors import EngineError, MonotherError
from monother_ros.core.initialisers import DATA, INITIALISERS, External
from monother_ros.core.tensor_file import read_tensors, write_tensors
from monother_ros.doctor.findings import FAIL, INFO, OK, WARN, Finding, Section
from monother_ros.engines.acceptance import judge, reference_of
from monother_ros.engines.base import EngineOptions, PlanOptions
from monother_ros.engines.select import ENGINES, build_engine
from monother_ros.engines.tested import limits_of

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.base import Engine

TRIALS = (
    ('tensorrt', 'cuda', 'auto'),
    ('tensorrt', 'cuda', 'fp32'),
    ('onnxruntime', 'cuda', 'fp32'),
    ('openvino', 'cpu', 'auto'),
    ('onnxruntime', 'cpu', 'fp32'),
)
"""Kind of engine, device and precision of each trial."""

RUNS = 100
"""Timed runs at most."""

SECONDS = 5.0
"""Time for them at most."""

CHANGE = 0.02
"""Share by which the weights of the made-up revision differ."""


def self_test(
    bundle: Bundle, threads: int = 0, log: Callable[[str], None] | None = None
) -> Section:
    """
    Try every kind of engine with a bundle.

    Plans are built anew, in a folder that goes away afterwards.

    :param bundle: what is run; a small one is enough.
    :param threads: of engines on the CPU; 0 for the default.
    :param log: gets a line about what takes long.
    """
    findings = []
    with tempfile.TemporaryDirectory(prefix='monother_doctor_') as name:
        folder = Path(name)
        pair, why = _revisions(bundle, folder)
        plan = PlanOptions(folder / 'plans', refit=True)
        for kind, device, precision in TRIALS:
            label = f'{kind} {device} {precision}'
            missing = ENGINES[kind].missing
            if missing:
                findings.append(Finding(label, INFO, missing))
                continue
            options = EngineOptions(threads, device, precision, plan=plan, log=log)
            if log is not None:
                log(f'self-test of {label}')
            try:
                figures = _trial(kind, options, *(pair or (bundle, None)))
            except EngineError as err:
                findings.append(Finding(label, INFO, f'does not work here: {err}'))
                continue
            if pair is None:
                figures['revision'] = {'problem': why}
            findings.append(_told(label, figures))
    if not any(finding.values for finding in findings):
        findings.append(Finding('engines', FAIL, 'none works', 'pip install onnxruntime'))
    return Section(f'Self-test with {bundle.name} {bundle.revision}', tuple(findings))


def _trial(
    kind: str, options: EngineOptions, base: Bundle, following: Bundle | None
) -> dict[str, Any]:
    """
    Figures of one kind of engine.

    :raises EngineError: it cannot be built.
    """
    before, gpu_before = _resident(), _gpu_free(options)
    reference = reference_of(base, options.threads)
    start = time.perf_counter()
    engine = build_engine(base, kind, options)
    figures: dict[str, Any] = {'build_s': time.perf_counter() - start}
    with engine:
        gpu_after = _gpu_free(options)
        figures['engine'] = engine.description
        precision = str(getattr(engine, 'precision', options.precision))
        verdict = judge(engine, reference, limits_of(options), precision)
        figures['accuracy'] = {
            'accepted': verdict.accepted,
            'mean': verdict.mean,
            'tail': verdict.tail,
            'repeat': verdict.repeat,
            'scale': list(verdict.scale),
            'text': verdict.text,
        }
        figures['latency_ms'] = latency(engine, RUNS)
        figures['memory_mib'] = {
            'process': (_resident() - before) / 2**20,
            'gpu': (gpu_before - gpu_after) / 2**20 if gpu_before and gpu_after else None,
        }
        if following is not None:
            figures['revision'] = _revision(engine, following, options)
    if kind == 'tensorrt':
        start = time.perf_counter()
        with build_engine(base, kind, options) as again:
            figures['cached_s'] = time.perf_counter() - start
            del again
        with build_engine(base, kind, replace(options, cuda_graph=False)) as plain:
            figures['latency_without_graph_ms'] = latency(plain, RUNS)
    return figures


def _revision(engine: Engine, following: Bundle, options: EngineOptions) -> dict[str, Any]:
    """How long new weights take to enter beside the running engine, and whether they are right."""
    try:
        reference = reference_of(following, options.threads)
        start = time.perf_counter()
        with engine.prepare(following) as swapped:
            seconds = time.perf_counter() - start
            verdict = judge(swapped, reference, limits_of(options))
            # the other way round it must not pass, or the weights were never taken
            still_old = judge(engine, reference, limits_of(options)).accepted
    except MonotherError as err:
        return {'problem': str(err)}
    problem = '' if verdict.accepted else verdict.text
    return {
        'seconds': seconds,
        'mean': verdict.mean,
        'problem': problem,
        'refitted': bool(getattr(engine, 'refittable', False)),
        'separate': not still_old,
    }


def latency(engine: Engine, runs: int = RUNS, seconds: float = SECONDS) -> dict[str, float]:
    """
    Milliseconds of a run.

    :param engine: warm.
    :param runs: at most.
    :param seconds: at most.
    :returns: median, 95th percentile and largest, and how many runs.
    """
    inputs = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in engine.bundle.inputs}
    for _ in range(3):
        engine.infer(inputs)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < runs and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        engine.infer(inputs)
        times.append(1e3 * (time.perf_counter() - start))
    return {
        'median': float(np.median(times)),
        'p95': float(np.percentile(times, 95)),
        'max': max(times),
        'runs': len(times),
    }


def _told(label: str, figures: dict[str, Any]) -> Finding:
    """One line of figures."""
    accuracy, times = figures['accuracy'], figures['latency_ms']
    told = [
        figures['engine'],
        f'{times["median"]:.2f} ms (p95 {times["p95"]:.2f}), {1e3 / times["median"]:.0f} Hz',
        f'off by {accuracy["mean"]:.3%}',
        f'built in {figures["build_s"]:.2f} s',
    ]
    if 'cached_s' in figures:
        told.append(f'from the cache in {figures["cached_s"]:.2f} s')
        told.append(f'without CUDA graph {figures["latency_without_graph_ms"]["median"]:.2f} ms')
    gpu = figures['memory_mib']['gpu']
    told.append(
        f'{figures["memory_mib"]["process"]:.0f} MiB' + (f', GPU {gpu:.0f} MiB' if gpu else '')
    )
    revision = figures['revision']
    advice, state = '', OK
    if not accuracy['accepted']:
        state, advice = FAIL, 'do not use this engine; attach this page to an issue'
        told.append(accuracy['text'])
    if revision['problem']:
        state = WARN if state == OK else state
        told.append(f'new weights: {revision["problem"]}')
    else:
        how = 'refit' if revision['refitted'] else 'built anew'
        told.append(f'new weights in {revision["seconds"]:.2f} s ({how})')
        if not revision['separate']:
            state, advice = FAIL, 'revisions mix; attach this page to an issue'
            told.append('the running engine took the weights of the next revision')
    return Finding(label, state, '; '.join(told), advice, figures)


def _revisions(bundle: Bundle, folder: Path) -> tuple[tuple[Bundle, Bundle] | None, str]:
    """The bundle with its weights beside the graph, and a made-up revision of it; or why not."""
    if bundle.external is not None:
        return None, 'not tried, as the bundle is a revision itself'
    try:
        from monother_ros.networks.external_data import externalise

        base = _apart(bundle, folder / 'base', externalise, {})
        rng = np.random.default_rng(5)
        values = {
            name: (value * (1 + CHANGE * rng.standard_normal(value.shape))).astype(value.dtype)
            for name, value in read_tensors(base.path / DATA).items()
            if value.ndim == 4
        }
        return (base, _apart(bundle, folder / 'next', externalise, values)), ''
    except ImportError as err:
        return None, f'not tried: {err.name} is not installed'
    except MonotherError as err:
        return None, f'not tried: {err}'


def _apart(bundle: Bundle, target: Path, externalise: Any, values: dict[str, Any]) -> Bundle:
    """A bundle with its weights beside the graph, some of them replaced."""
    return write_bundle(
        target,
        model=lambda path: externalise(bundle.model_path, path, path.parent / DATA),
        name=bundle.name,
        revision=target.name,
        inputs=bundle.inputs,
        outputs=bundle.outputs,
        normalisation=bundle.normalisation,
        depth_range=bundle.depth_range,
        focal_length=bundle.focal_length,
        modality=bundle.modality,
        extra_files={
            DATA: lambda path: None,
            INITIALISERS: lambda path: write_tensors(path, values),
        },
        external=External(DATA, INITIALISERS),
    )


def _resident() -> int:
    """Bytes of memory that this process holds."""
    try:
        text = Path('/proc/self/statm').read_text()
        return int(text.split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        unit = 1 if sys.platform == 'darwin' else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _gpu_free(options: EngineOptions) -> int | None:
    """Bytes free on the GPU; None where there is none."""
    if options.gpu is None:
        return None
    try:
        from monother_ros.engines.cuda import open_cuda

        return open_cuda(options.gpu).memory()[0]
    except (ImportError, EngineError):
        return None
