# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Throughput of evaluate against the bare engine on the same frames, and memory against bag length.

    python bench/evaluate.py --out evaluate.json

Both ways take turns, so that other load meets them alike. The bare engine gets tensors that are
ready in memory; evaluate reads a bag, runs the pipeline and computes every metric. Memory is the
peak of a process of its own for each length, with the same frames again and again.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.files import atomic_write
from monother_ros.core.pipeline import Pipeline, PipelineSettings, ThermalFrame
from monother_ros.engines.base import Engine, EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.distributed import cores
from monother_ros.evaluation.evaluate.bag_source import BagSource
from monother_ros.evaluation.evaluate.journal import Journal
from monother_ros.evaluation.evaluate.merge import merge
from monother_ros.evaluation.evaluate.runner import evaluate_frames
from monother_ros.evaluation.evaluate.settings import GROUPS, EvaluationSettings
from monother_ros.evaluation.evaluate.task import Task, run_task
from monother_ros.evaluation.evaluate.unit import column_names
from monother_ros.ros.bags import BagReader
from monother_ros.ros.newbag import new_bag
from monother_ros.sim import messages
from monother_ros.sim.bag import Drive, write_drive
from monother_ros.sim.simulator import SimConfig

TARGET = 0.9
"""Part of the throughput of the bare engine that evaluate must reach."""


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Throughput and memory of monother evaluate')
    parser.add_argument('--model', default='lite', help='model bundle: name or folder')
    parser.add_argument('--frames', type=int, default=100, help='frames of one turn')
    parser.add_argument('--rounds', type=int, default=8, help='turns of both ways')
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2], help='of the engine')
    parser.add_argument('--lengths', type=int, nargs='*', default=[200, 800, 3200])
    parser.add_argument('--memory-only', action='store_true', help='no throughput')
    parser.add_argument('--parts', action='store_true', help='also without groups of metrics')
    parser.add_argument('--folder', type=Path, help='for bags; a temporary one by default')
    parser.add_argument('--out', type=Path, help='JSON file')
    parser.add_argument('--child', type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


class Recorder:
    """An engine that keeps what it is given, to be run again without anything around it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.bundle = engine, engine.bundle
        self.inputs: list[dict[str, NDArray[Any]]] = []

    def infer(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run and keep a copy."""
        self.inputs.append({name: np.array(value) for name, value in inputs.items()})
        return self._engine.infer(inputs)


def tensors(bag: Path, engine: Engine) -> list[dict[str, NDArray[Any]]]:
    """Inputs of the engine that the frames of a bag lead to."""
    recorder = Recorder(engine)
    pipeline = Pipeline(recorder, PipelineSettings(process_shutter_frames=True))
    for item in BagSource(bag).frames():
        frame = item.frame
        pipeline.process(ThermalFrame(frame.image, frame.stamp_ns, '', frame.intrinsics))
    return recorder.inputs


def throughput(bag: Path, options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Both ways in turns; frames per second of each and their ratio."""
    bundle = load_bundle(find_bundle(options.model))
    engine = load_engine(bundle, 'onnxruntime', EngineOptions(threads=threads))
    inputs = tensors(bag, engine)
    ways: dict[str, tuple[str, ...] | None] = {'engine': None, 'evaluate': GROUPS}
    if options.parts:
        ways |= {f'without {g}': tuple(x for x in GROUPS if x != g) for g in GROUPS[1:]}
        ways['depth alone'] = ('depth',)
    wall: dict[str, list[float]] = {way: [] for way in ways}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, groups in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            if groups is None:
                for item in inputs:
                    engine.infer(item)
            else:
                settings = EvaluationSettings(metrics=groups)
                journal = Journal(None, 'bench', column_names(settings))
                done = evaluate_frames(BagSource(bag), engine, settings, journal)
                assert len(done.rows) == len(inputs), done.skipped
            wall[way].append(time.perf_counter() - start)
            spent[way].append(time.process_time() - cpu)
    engine.close()
    count = len(inputs)
    result: dict[str, Any] = {'threads': threads, 'frames': count, 'rounds': options.rounds}
    for way in ways:
        ratios = [bare / mine for bare, mine in zip(wall['engine'], wall[way], strict=True)]
        result[way] = {
            'frames_per_second': round(count / float(np.median(wall[way])), 1),
            'fastest_frames_per_second': round(count / min(wall[way]), 1),
            'cpu_ms_per_frame': round(1e3 * float(np.median(spent[way])) / count, 2),
            'ratio_median': round(float(np.median(ratios)), 3),
            'ratio_of_fastest': round(min(wall['engine']) / min(wall[way]), 3),
        }
        print(f'{threads} threads, {way:20} {result[way]}', flush=True)
    return result


def repeated(bag: Path, path: Path, frames: int) -> Path:
    """Bag of a length with the frames of another one again and again, at new times."""
    with BagReader(bag) as reader, new_bag(path, overwrite=True) as writer:
        links = {
            t.name: writer.add_connection(t.name, t.type, typestore=messages.STORE)
            for t in reader.topics
        }
        span, shift, count = reader.end_ns - reader.start_ns + 100_000_000, 0, 0
        while count < frames:
            for message in reader.messages():
                data = bytearray(message.data)
                stamp = message.stamp_ns + shift
                if message.type != 'tf2_msgs/msg/TFMessage' and 'String' not in message.type:
                    struct.pack_into('<iI', data, 4, *divmod(stamp, 1_000_000_000))
                writer.write(links[message.topic], stamp, bytes(data))
                count += message.topic == '/ground_truth/thermal/depth'
                if count == frames:
                    break
            shift += span
    return path


def child(bag: Path, model: str) -> None:
    """Evaluate a bag in this process and print its peak memory."""
    settings = EvaluationSettings()
    start = time.perf_counter()
    unit = run_task(Task(str(bag), model, settings=settings), bag.parent / 'journal')
    text = merge([unit], settings).json()
    # not ru_maxrss, which a child takes over from its parent
    found = re.search(r'VmHWM:\s*(\d+) kB', Path('/proc/self/status').read_text())
    assert found is not None
    peak_mb = int(found[1]) / 1024
    seconds = time.perf_counter() - start
    told = {'frames': unit.frames, 'scored': len(unit.rows), 'peak_mb': round(peak_mb, 1)}
    print(json.dumps({**told, 'seconds': round(seconds, 1), 'json_bytes': len(text)}))


def memory(bag: Path, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of processes for bags of several lengths."""
    found = []
    for length in options.lengths:
        path = repeated(bag, folder / f'long_{length}', length)
        size = sum(f.stat().st_size for f in path.iterdir()) / (1 << 20)
        words = [sys.executable, __file__, '--child', str(path), '--model', options.model]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found.append({'bag_mb': round(size, 1), **json.loads(done.stdout.splitlines()[-1])})
        print(f'memory {found[-1]}', flush=True)
        for file in path.iterdir():
            file.unlink()
    return found


def main() -> int:
    """Render, measure, write; 1 where the target is missed with every number of threads."""
    options = parse()
    if options.child:
        child(options.child, options.model)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        plain = SimConfig(scene='street', seed=1_000_321, rate=10.0, shutter=False)
        drive = Drive(plain, options.frames / plain.rate, lidar=False, rgb=False)
        bag = write_drive(folder / 'drive', drive, overwrite=True)
        result: dict[str, Any] = {
            'model': options.model,
            'machine': f'{platform.machine()}, {cores()} cores',
            'throughput': [
                throughput(bag, options, n) for n in options.threads if not options.memory_only
            ],
        }
        if options.lengths:
            small = SimConfig(
                scene='street', seed=1_000_322, rate=10.0, shutter=False, width=160, height=128
            )
            short = Drive(small, 10.0, lidar=False, rgb=False)
            tiny = write_drive(folder / 'small', short, overwrite=True)
            result['memory'] = memory(tiny, folder, options)
    ratios = [item['evaluate']['ratio_median'] for item in result['throughput']]
    good = not ratios or max(ratios) >= TARGET
    result['limits'] = {f'ratio at least {TARGET}': good} if ratios else {}
    text = json.dumps(result, indent=2) + '\n'
    print(text, end='')
    if options.out:
        atomic_write(options.out, text)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
