# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of an evaluation of several recordings in one process and on one, two … worker processes.

    python bench/evaluate_workers.py --out workers.json

Drives are rendered into a temporary folder first. Each way is taken --repeats times, in turns,
from nothing: start and imports of the workers, engines, recordings, merge. Without --threads
the engine has the cores of the machine divided by the number of workers. 'equal' says whether the
merged results are the same, byte by byte, as those of one process. On a machine with other work
to do the processor time tells more than the clock.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from monother_ros.core.files import atomic_write
from monother_ros.evaluation.distributed import Workers, cores, engine_threads, run_tasks
from monother_ros.evaluation.evaluate.merge import merge
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.task import Task, run_task
from monother_ros.sim.bag import Drive, write_drive
from monother_ros.sim.simulator import SimConfig

ONE_PROCESS = 0
"""In the place of a number of workers: no worker, but this process."""


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Evaluation on several worker processes')
    parser.add_argument('--bags', type=int, default=4, help='recordings')
    parser.add_argument('--frames', type=int, default=150, help='frames of each')
    parser.add_argument(
        '--workers', type=int, nargs='+', default=[1, 2], help='numbers of workers'
    )
    parser.add_argument('--model', default='lite', help='model bundle: name or folder')
    parser.add_argument(
        '--threads', type=int, default=0, help='of each engine; 0 shares the cores'
    )
    parser.add_argument('--repeats', type=int, default=3, help='times each way is taken')
    parser.add_argument('--out', type=Path, help='JSON file')
    return parser.parse_args()


def render(folder: Path, bags: int, frames: int) -> list[Path]:
    """Drives with ground truth, each in its own world."""
    found = []
    for k in range(bags):
        config = SimConfig(scene='street', seed=1_000_900 + k, rate=10.0)
        drive = Drive(config, frames / config.rate, lidar=False, rgb=False)
        found.append(write_drive(folder / f'drive_{k}', drive))
    return found


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def evaluate(tasks: list[Task], workers: int) -> tuple[float, float, str]:
    """
    One way, once.

    :returns: seconds, processor seconds, and the text of the results.
    """
    start, used = time.perf_counter(), processor_seconds()
    if workers == ONE_PROCESS:
        units = [run_task(task) for task in tasks]
    else:
        units = []
        for outcome in run_tasks(tasks, Workers(workers)):
            if outcome.value is None:
                raise SystemExit(outcome.error)
            units.append(outcome.value)
    text = merge(units, EvaluationSettings()).json()
    return time.perf_counter() - start, processor_seconds() - used, text


def main() -> None:
    """Render, evaluate, and print."""
    arguments = parse()
    frames = arguments.bags * arguments.frames
    with tempfile.TemporaryDirectory(prefix='monother-workers-') as name:
        bags = render(Path(name), arguments.bags, arguments.frames)
        ways = [ONE_PROCESS, *arguments.workers]
        seconds: dict[int, list[float]] = {way: [] for way in ways}
        processor: dict[int, list[float]] = {way: [] for way in ways}
        texts: dict[int, set[str]] = {way: set() for way in ways}
        for _ in range(arguments.repeats):
            for way in ways:
                # one process has the threads that one worker would have
                threads = arguments.threads or engine_threads(max(way, 1))
                tasks = [Task(str(bag), arguments.model, threads=threads) for bag in bags]
                took, used, text = evaluate(tasks, way)
                seconds[way].append(took)
                processor[way].append(used)
                texts[way].add(text)
    base = statistics.median(seconds[ONE_PROCESS])
    rows: dict[str, Any] = {}
    for way in ways:
        median = statistics.median(seconds[way])
        rows['one process' if way == ONE_PROCESS else f'{way} workers'] = {
            'seconds': round(median, 2),
            'all': [round(s, 2) for s in seconds[way]],
            'processor_seconds': round(statistics.median(processor[way]), 2),
            'frames_per_second': round(frames / median, 1),
            'speed_up': round(base / median, 2),
            'threads': arguments.threads or engine_threads(max(way, 1)),
            'equal': texts[way] == texts[ONE_PROCESS],
        }
    report = {'cores': cores(), 'bags': arguments.bags, 'frames': frames, 'ways': rows}
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        atomic_write(arguments.out, text + '\n')


if __name__ == '__main__':
    main()
