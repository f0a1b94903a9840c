# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb evaluate: accuracy of model bundles on recordings with ground truth."""

from __future__ import annotations

import argparse
import contextlib
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monother_ros import __version__
from monother_ros.cli.evaluate_plan import add_arguments, plan
from monother_ros.core.errors import BagError, MonotherError, SettingsError
from monother_ros.core.files import atomic_write
from monother_ros.evaluation.distributed import Workers, cores, run_tasks
from monother_ros.evaluation.evaluate.merge import merge
from monother_ros.evaluation.evaluate.schema import Evaluation
from monother_ros.evaluation.evaluate.sources import open_source
from monother_ros.evaluation.evaluate.tables import frames_csv, summary_csv, text_table
from monother_ros.evaluation.evaluate.task import Task, run_task
from monother_ros.evaluation.evaluate.unit import UnitResult

__all__ = ['add_arguments', 'run']

JOURNAL = 'journal'
"""Folder of the journals in the output folder."""

PACKAGES = ('numpy', 'opencv-python-headless', 'onnxruntime', 'openvino', 'tensorrt')
"""Packages whose version may matter for a figure."""


def run(arguments: argparse.Namespace) -> int:
    """
    Evaluate, print a table, write the files; the last line is the path of the page.

    :param arguments: of add_arguments.
    :returns: 0; 1 where a recording of several could not be evaluated.
    :raises MonotherError: nothing could be evaluated; says why.
    """
    began = time.monotonic()
    tasks = plan(arguments)
    journal = None if arguments.out is None else arguments.out / JOURNAL
    if arguments.fresh and journal is not None:
        for file in (*journal.glob('*.jsonl'), *journal.glob('*.frames/*.npz')):
            file.unlink()
    for source in dict.fromkeys(task.source for task in tasks):
        if source.startswith('sim:'):
            open_source(source, tasks[0].options)  # rendered once, before workers want it
    try:
        if arguments.cluster or _processes(arguments, len(tasks)) > 1:
            units, errors = _many(tasks, arguments, journal)
        else:
            units, errors = _here(tasks, journal)
    except KeyboardInterrupt:
        if journal is not None:
            print('\ninterrupted; the same command goes on from here', file=sys.stderr)
        raise
    if not units:
        raise SettingsError('; '.join(errors))
    evaluation = merge(units, tasks[0].settings)
    seconds = time.monotonic() - began
    evaluation = replace(
        evaluation,
        notes=[*evaluation.notes, *(f'Left out: {error}' for error in errors)],
        environment=environment(arguments.words, sum(unit.frames for unit in units), seconds),
    )
    print('\n'.join(text_table(evaluation)))
    if arguments.out is not None:
        _write(evaluation, units, arguments)
    for error in errors:
        print(f'monother evaluate: {error}', file=sys.stderr)
    return 1 if errors else 0


def _processes(arguments: argparse.Namespace, tasks: int) -> int:
    """Number of worker processes; many bags use the cores, a few recordings stay here."""
    if arguments.workers is None and not arguments.bags:
        return 1
    return Workers(arguments.workers or 0).processes(tasks)


def _here(tasks: Sequence[Task], journal: Path | None) -> tuple[list[UnitResult], list[str]]:
    """All tasks in this process, with a bar of the frames."""
    units: list[UnitResult] = []
    errors: dict[str, str] = {}
    counts: dict[str, int] = {}
    for task in tasks:
        if task.source in counts:
            continue
        counts[task.source] = 0
        with _noted(errors, task, alone=len({t.source for t in tasks}) == 1):
            counts[task.source] = open_source(task.source, task.options).count()
    total = sum(counts[task.source] for task in tasks)
    with tqdm(total=total, unit='frame', desc='evaluate', file=sys.stderr, disable=None) as bar:
        before = 0
        for task in tasks:
            if task.name in errors:
                continue
            bar.set_postfix_str(f'{task.name}, {Path(task.model).name}')
            with _noted(errors, task, alone=len(counts) == 1):
                units.append(run_task(task, journal, _teller(bar, before)))
            before += counts[task.source]
            bar.update(before - bar.n)
    return [unit for unit in units if unit.recording not in errors], list(errors.values())


@contextlib.contextmanager
def _noted(errors: dict[str, str], task: Task, *, alone: bool) -> Iterator[None]:
    """Note the error of one recording of several, so that the others go on."""
    try:
        yield
    except MonotherError as err:
        if alone:
            raise
        errors.setdefault(task.name, f'{task.name}: {err}')


def _teller(bar: Any, before: int) -> Callable[[int, int], None]:
    """What moves a bar by the frames of one task."""

    def tell(done: int, total: int) -> None:
        """Move it."""
        del total
        bar.update(before + done - bar.n)

    return tell


def _many(
    tasks: Sequence[Task], arguments: argparse.Namespace, journal: Path | None
) -> tuple[list[UnitResult], list[str]]:
    """All tasks on worker processes."""
    workers = Workers(arguments.workers or 0, arguments.cluster)
    place = None if arguments.cluster else journal
    with tqdm(unit='frame', desc='evaluate', file=sys.stderr, disable=None) as bar:

        def tell(done: int, frames: int, known: int) -> None:
            """Move the bar."""
            bar.total = known
            bar.set_postfix_str(f'{done} of {len(tasks)} done')
            bar.update(frames - bar.n)

        outcomes = run_tasks(tasks, workers, place, tell)
    errors: dict[str, str] = {}
    for task, outcome in zip(tasks, outcomes, strict=True):
        if outcome.value is None:
            errors.setdefault(task.name, f'{task.name}: {outcome.error}')
    units = [o.value for o in outcomes if o.value is not None and o.value.recording not in errors]
    return units, list(errors.values())


def environment(words: Sequence[str], frames: int, seconds: float) -> dict[str, Any]:
    """
    What made the figures.

    :param words: of the command line. :param frames: that went through a pipeline.
    :param seconds: that it took.
    """
    installed = {d.metadata['Name']: d.version for d in distributions()}
    versions = {name: installed[name] for name in PACKAGES if name in installed}
    return {
        'command': shlex.join(['monother', *words]),
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'machine': f'{platform.system()} {platform.machine()}, {cores()} cores',
        'monother_ros': __version__,
        'python': platform.python_version(),
        'packages': versions,
        'seconds': round(seconds, 1),
        'frames_per_second': round(frames / max(seconds, 1e-9), 1),
    }


def _write(
    evaluation: Evaluation, units: Sequence[UnitResult], arguments: argparse.Namespace
) -> None:
    """Write the files; prints their places."""
    out: Path = arguments.out
    try:
        print(f'\n{evaluation.save(out)}')
        for name, text in (
            ('summary.csv', summary_csv(evaluation)),
            ('frames.csv', frames_csv(units)),
        ):
            print(atomic_write(out / name, text))
        if not arguments.no_page:
            from monother_ros.evaluation.evaluation_page import report_page

            print(report_page(evaluation, out, title=arguments.title).page.resolve())
    except OSError as err:
        msg = f'{out} cannot be written: {err}'
        raise BagError(msg) from err
