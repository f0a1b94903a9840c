# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Units of work on worker processes: order, failures, lost workers, clusters."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from monother_ros.core.errors import BagError, ClusterError
from monother_ros.evaluation.distributed import (
    Outcome,
    Workers,
    cores,
    engine_threads,
    run_units,
)

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec('distributed') is None,
    reason='dask[distributed] is not installed',
)


def square(unit, threads, say):
    """A unit of work that counts, fails with a clear error, or dies once."""
    number, marker = unit
    say(1, 2)
    if number == 13:
        msg = 'bag 13 holds no thermal image'
        raise BagError(msg)
    if marker and not Path(marker).exists():
        Path(marker).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    say(2, 2)
    return number * number, threads, os.getpid(), os.environ.get('MALLOC_TRIM_THRESHOLD_')


def slow(unit, threads, say):
    """A unit that outlives the worker or the scheduler."""
    time.sleep(60)


def always_dies(unit, threads, say):
    """A unit that no worker survives."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_threads_share_the_cores():
    assert engine_threads(1) == cores()
    assert engine_threads(10_000) == 1
    assert Workers(3).processes(units=2) == 2
    assert Workers().processes(units=1000) == max(cores() // 2, 1)
    with pytest.raises(ClusterError, match='-1 workers'):
        Workers(-1)


def test_no_units_start_no_workers():
    assert run_units(square, [], Workers(2)) == []


@needs_dask
def test_order_failures_and_a_killed_worker(tmp_path):
    marker = tmp_path / 'killed'
    units = [(k, str(marker) if k == 2 else '') for k in (5, 13, 2, 7, 1)]
    told = []
    outcomes = run_units(square, units, Workers(2), lambda *words: told.append(words))
    assert [o.value and o.value[0] for o in outcomes] == [25, None, 4, 49, 1]
    assert outcomes[1] == Outcome(None, 'bag 13 holds no thermal image')
    assert {o.value[1] for o in outcomes if o.value} == {engine_threads(2)}
    # the unit that killed its worker was done again by another process
    assert int(marker.read_text()) not in {o.value[2] for o in outcomes if o.value}
    # memory of images is not given back after each of them, as Dask would have it
    assert {o.value[3] for o in outcomes if o.value} == {os.environ.get('MALLOC_TRIM_THRESHOLD_')}
    assert os.getpid() not in {o.value[2] for o in outcomes if o.value}
    assert [done for done, _, _ in told if done][-1] == 5
    assert max(frames for _, frames, _ in told) <= 10


@needs_dask
def test_a_unit_that_kills_every_worker_is_named(tmp_path):
    (outcome,) = run_units(always_dies, [1], Workers(1))
    assert outcome.value is None
    assert 'died 4 times' in outcome.error


@needs_dask
def test_existing_cluster_is_used_and_what_is_lost_is_named(tmp_path, monkeypatch):
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)}
    environment['DASK_DISTRIBUTED__DASHBOARD__LINK'] = ''
    monkeypatch.setattr('monother_ros.evaluation.distributed.CONNECT_TIMEOUT', '1s')
    with pytest.raises(ClusterError, match='no Dask scheduler answers at'):
        run_units(square, [(1, '')], Workers(cluster='tcp://127.0.0.1:9'))
    distributed = 'monother_ros.evaluation.distributed'
    monkeypatch.setattr(f'{distributed}.LOOK_EVERY', 0.2)
    monkeypatch.setattr(f'{distributed}.PATIENCE', 0.4)
    file = tmp_path / 'scheduler.json'
    started = []

    def start(program, *words):
        command = [sys.executable, '-m', f'distributed.cli.{program}', *words, '--no-dashboard']
        started.append(
            subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    def worker(address):
        process = start('dask_worker', address, '--nthreads', '1', '--no-nanny')
        wait_for_workers(address, 1)
        return process

    try:
        scheduler = start(
            'dask_scheduler', '--host', '127.0.0.1', '--port', '0', '--scheduler-file', str(file)
        )
        address = wait_for(file)
        cluster = Workers(cluster=address)
        with pytest.raises(ClusterError, match='has no workers'):
            run_units(square, [(1, '')], cluster)
        first = worker(address)
        outcomes = run_units(square, [(3, ''), (4, '')], cluster)
        assert [o.value[0] for o in outcomes] == [9, 16]
        assert outcomes[0].value[1] == engine_threads(1)
        threading.Timer(1.0, first.kill).start()
        with pytest.raises(ClusterError, match='there has been no worker'):
            run_units(slow, [1], cluster)
        worker(address)
        threading.Timer(1.0, scheduler.kill).start()
        with pytest.raises(ClusterError, match='connection to the scheduler was lost'):
            run_units(slow, [1], cluster)
    finally:
        for process in started:
            process.kill()
            process.wait(20)


def wait_for(file):
    """Address in the file that a scheduler writes when it listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if file.exists() and file.stat().st_size:
            return json.loads(file.read_text())['address']
        time.sleep(0.05)
    pytest.fail('the scheduler has not started within 30 s')


def wait_for_workers(address, count):
    """Wait until a scheduler has its workers."""
    from distributed import Client

    with Client(address) as client:
        client.wait_for_workers(count, timeout=30)
