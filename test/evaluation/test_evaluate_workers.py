# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many recordings with two models: worker processes, and one that is killed, change nothing."""

from __future__ import annotations

import os
import signal

import pytest

pytest.importorskip('psutil')
pytest.importorskip('distributed', reason='dask[distributed] is not installed')
pytest.importorskip('rosbags')
pytest.importorskip('onnx')
import psutil
from bundles import make_bundle
from recorded_run import Drive, write_input

from monother_ros.evaluation.distributed import Workers, run_tasks
from monother_ros.evaluation.evaluate.merge import merge
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.task import Task, run_task

SETTINGS = EvaluationSettings(bootstrap=100, block=0.5)


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """Tasks, and what one process makes of them: JSON and pictures."""
    folder = tmp_path_factory.mktemp('drives')
    for name, changes in (('a', {}), ('b', {'channels': 3})):
        make_bundle(folder / name, 48, 64, name=name, **changes)
    for k in range(2):
        write_input(folder / f'drive_{k}', Drive(frames=60 + 10 * k))
    tasks = [
        Task(str(folder / f'drive_{k}'), str(folder / name), settings=SETTINGS)
        for k in range(2)
        for name in ('a', 'b')
    ]
    return tasks, content([run_task(task) for task in tasks])


def content(units):
    """All that a merged evaluation holds, as it is written."""
    evaluation = merge(units, SETTINGS)
    return evaluation.json(), evaluation.pictures


def test_two_workers_give_what_one_process_gives(work):
    tasks, alone = work
    told = []
    outcomes = run_tasks(tasks, Workers(2), None, lambda *words: told.append(words))
    assert not [o.error for o in outcomes if o.error]
    assert content([o.value for o in outcomes]) == alone
    assert len(alone[1]) >= 6
    assert told[-1][0] == len(tasks)
    assert told[-1][1] == told[-1][2] >= 250


def test_bags_of_a_killed_worker_are_done_again_and_nothing_differs(work, tmp_path):
    tasks, alone = work
    killed = []

    def kill(done, frames, total):
        """Kill a worker process in the middle of its first bag."""
        if killed or not 0 < frames < total:
            return
        for child in psutil.Process().children(recursive=True):
            if 'spawn_main' in ' '.join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
                killed.append((child.pid, frames, total))
                return

    outcomes = run_tasks(tasks, Workers(1), tmp_path / 'journal', kill)
    assert len(killed) == 1
    assert killed[0][1] < killed[0][2]
    assert content([o.value for o in outcomes]) == alone


def test_a_bag_that_cannot_be_read_does_not_stop_the_others(work, tmp_path):
    tasks, _ = work
    bad = tmp_path / 'bad'
    bad.mkdir()
    outcomes = run_tasks([Task(str(bad), tasks[0].model), tasks[0]], Workers(1))
    assert str(bad) in outcomes[0].error
    assert outcomes[0].value is None
    assert len(outcomes[1].value.rows) > 50
