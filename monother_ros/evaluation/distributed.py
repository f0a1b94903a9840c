# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Many recordings at once: units of work on worker processes, of this machine or of a cluster.

The scheduler is Dask's. It gives a unit whose worker was lost to another one, starts local workers
that died again, and is pure Python, so that it runs wherever the rest of the package does.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from monother_ros import __version__
from monother_ros.core.errors import ClusterError, MonotherError
from monother_ros.evaluation.evaluate.task import run_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monother_ros.evaluation.evaluate.task import Task
    from monother_ros.evaluation.evaluate.unit import UnitResult

    Say = Callable[[int, int], None]
    """Takes how many frames of a unit are done, and how many it has."""

U = TypeVar('U')
R = TypeVar('R')

TOPIC = 'monother-frames'
"""Where workers tell how far they are."""

TELL_EVERY = 0.5
"""Seconds between two words of a worker about how far it is."""

LOOK_EVERY = 2.0
"""Seconds after which the workers are looked at where nothing was finished."""

PATIENCE = 120.0
"""Seconds to wait where no worker is left; on a busy machine a new one takes its time."""

AGAIN = 'start it and give the same command again'

CONNECT_TIMEOUT = '15s'
"""How long to wait for the scheduler of a cluster."""


@dataclass(frozen=True)
class Workers:
    """
    Who does the work.

    :param count: processes on this machine; 0 for one per two cores, 1 at least.
    :param cluster: address of a Dask scheduler that runs, such as 'tcp://host:8786'; its workers
        do the work then, and the count says nothing. They need this package, and the recordings
        and bundles under the same paths.
    """

    count: int = 0
    cluster: str = ''

    def __post_init__(self) -> None:
        """
        Check the number.

        :raises ClusterError: it is negative.
        """
        if self.count < 0:
            msg = f'{self.count} workers cannot work; ask for 1 or more, or 0 to choose by cores'
            raise ClusterError(msg)

    def processes(self, units: int) -> int:
        """
        Number of local worker processes.

        :param units: how many units of work there are; no more processes are started.
        """
        return max(1, min(self.count or max(cores() // 2, 1), units))


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """
    What became of a unit.

    :param value: what the function returned; None where it failed.
    :param error: why it failed, in one sentence; empty where it did not.
    """

    value: R | None
    error: str = ''


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def engine_threads(workers: int) -> int:
    """
    Threads of the engine in each worker process, so that all together fill the machine.

    :param workers: processes on one machine.
    """
    return max(1, cores() // max(workers, 1))


def run_tasks(
    tasks: Sequence[Task],
    workers: Workers,
    journal: Path | None = None,
    progress: Callable[[int, int, int], None] | None = None,
) -> list[Outcome[UnitResult]]:
    """
    Evaluate recordings on worker processes.

    Merged in this order, the results are those of one process, bit by bit, where the engine has
    as many threads there.

    :param tasks: a recording and a model each; one that names no number of threads gets the share
        of its worker.
    :param workers: who does it.
    :param journal: folder in which finished frames are noted; a task whose worker was lost goes on
        from there. None notes nothing, as where the workers of a cluster share no folder.
    :param progress: called with the tasks done, and the frames done and known of so far.
    :returns: outcomes in the order of the tasks.
    :raises ClusterError: see :func:`run_units`.
    """
    return run_units(functools.partial(_run, journal=journal), tasks, workers, progress)


def _run(task: Task, threads: int, say: Say, journal: Path | None) -> UnitResult:
    """Evaluate one recording in a worker process."""
    chosen = task if task.threads else replace(task, threads=threads)
    return run_task(chosen, journal, say)


def run_units(
    function: Callable[[U, int, Say], R],
    units: Sequence[U],
    workers: Workers,
    progress: Callable[[int, int, int], None] | None = None,
) -> list[Outcome[R]]:
    """
    Do units of work on worker processes.

    A unit whose worker is lost (killed, out of memory, network gone) is done again by another, up
    to three times. A unit that fails with an error of this package does not stop the others.

    :param function: of a module, so that workers can import it; takes a unit, the number of
        threads that its engine may use, and what to call with frames done and frames in all. It
        may be called twice for one unit.
    :param units: what to do; small objects that can be pickled.
    :param workers: who does it.
    :param progress: called with the units done, and the frames done and known of so far.
    :returns: outcomes in the order of the units, whoever did them and whenever.
    :raises ClusterError: Dask is not installed; or the cluster cannot be reached, has no workers
        that can be used, or is lost.
    """
    if not units:
        return []
    distributed = _dask()
    say = progress or (lambda done, frames, total: None)
    with _client(distributed, workers, len(units)) as (client, hosts):
        told: dict[int, tuple[int, int]] = {}
        finished = 0

        def listen(event: Any) -> None:
            key, frames, total = event[1]
            told[key] = (frames, total)
            say(finished, *_sums(told))

        client.subscribe_topic(TOPIC, listen)
        futures = client.map(
            functools.partial(_work, function, hosts),
            range(len(units)),
            units,
            pure=False,
        )
        places = {future: k for k, future in enumerate(futures)}
        outcomes: list[Outcome[R]] = [Outcome(None, 'not done')] * len(units)
        for future in _completed(distributed, client, set(futures)):
            outcomes[places[future]] = _outcome(distributed, future)
            # what has come back is forgotten, or a worker lost later would have it done again
            future.release()
            finished += 1
            say(finished, *_sums(told))
    return outcomes


def _sums(told: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Frames done and known of, over the units that were heard of."""
    pairs = list(told.values())
    return sum(p[0] for p in pairs), sum(p[1] for p in pairs)


def _work(
    function: Callable[[U, int, Say], R], hosts: dict[str, int], key: int, unit: U
) -> Outcome[R]:
    """Do one unit in a worker process."""
    from distributed import get_worker

    worker, last = get_worker(), 0.0
    threads = engine_threads(hosts.get(_host(worker.address), 1))

    def say(frames: int, total: int) -> None:
        nonlocal last
        if frames == total or time.monotonic() - last > TELL_EVERY:
            last = time.monotonic()
            worker.log_event(TOPIC, (key, frames, total))

    try:
        return Outcome(function(unit, threads, say))
    except MonotherError as err:
        return Outcome(None, str(err))


def _completed(distributed: Any, client: Any, pending: set[Any]) -> Iterator[Any]:
    """
    Units as they are over.

    :raises ClusterError: the scheduler is gone, or no worker has been left for some time.
    """
    alone = 0.0
    while pending:
        done, workers = _look(distributed, client, pending)
        alone = 0.0 if done or workers else alone + LOOK_EVERY
        if alone >= PATIENCE:
            msg = f'there has been no worker for {alone:.0f} s; {AGAIN}'
            raise ClusterError(msg)
        pending -= done
        yield from done


def _look(distributed: Any, client: Any, pending: set[Any]) -> tuple[set[Any], int]:
    """
    Units that are over now, and the number of workers; waits a moment for a unit.

    :raises ClusterError: the scheduler is gone.
    """
    try:
        with contextlib.suppress(distributed.TimeoutError):
            return distributed.wait(pending, LOOK_EVERY, 'FIRST_COMPLETED').done, 1
        return set(), len(client.nthreads())
    except (CancelledError, OSError) as err:
        msg = f'the connection to the scheduler was lost; {AGAIN}'
        raise ClusterError(msg) from err


def _outcome(distributed: Any, future: Any) -> Any:
    """Outcome of a unit that is over."""
    try:
        return future.result()
    except distributed.KilledWorker as err:
        msg = (
            f'worker processes died {err.allowed_failures + 1} times over this recording; is '
            f'there enough memory, or does a library crash?'
        )
        return Outcome(None, msg)


def _dask() -> Any:
    """
    The module distributed.

    :raises ClusterError: it is not installed.
    """
    try:
        import distributed
    except ModuleNotFoundError as err:
        msg = f"{err.name} is not installed; pip install 'monother_ros[cluster]'"
        raise ClusterError(msg) from err
    return distributed


@contextlib.contextmanager
def _client(
    distributed: Any, workers: Workers, units: int
) -> Iterator[tuple[Any, dict[str, int]]]:
    """Client of the workers, and how many there are on each host."""
    with contextlib.ExitStack() as stack:
        # what Dask has to say about lost connections is said in our errors
        for name in ('distributed', 'distributed.client'):
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        if workers.cluster:
            try:
                client = distributed.Client(workers.cluster, timeout=CONNECT_TIMEOUT)
            except (OSError, ValueError, TimeoutError) as err:
                msg = f'no Dask scheduler answers at {workers.cluster}: {err}'
                raise ClusterError(msg) from err
            stack.enter_context(client)
            yield client, _by_host(client, workers.cluster)
            return
        import dask

        # by default malloc gives memory back at once: a page fault for every page of every image
        count = workers.processes(units)
        stack.enter_context(dask.config.set({'distributed.nanny.pre-spawn-environ': {}}))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='monother-dask-'))
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host='127.0.0.1',
                dashboard_address='127.0.0.1:0',
                memory_limit=0,
                local_directory=folder,
                silence_logs=logging.CRITICAL,
            )
        )
        client = stack.enter_context(distributed.Client(cluster))
        yield client, _by_host(client, 'this machine')


def _by_host(client: Any, place: str) -> dict[str, int]:
    """
    Number of workers on each host.

    :raises ClusterError: there is none, or one that would do two units at a time in one process,
        or one that has another version of this package or none.
    """
    start = f'`dask worker {place} --nworkers auto --nthreads 1`'
    threads: dict[str, int] = client.nthreads()
    if not threads:
        msg = f'the Dask scheduler at {place} has no workers; start some with {start}'
        raise ClusterError(msg)
    if max(threads.values()) > 1:
        msg = f'workers at {place} do several units at a time; start them as {start}'
        raise ClusterError(msg)
    try:
        found = set(client.run(_version).values())
    except ModuleNotFoundError as err:
        msg = f'workers at {place} lack {err.name}; install monother_ros there as well'
        raise ClusterError(msg) from err
    if found != {__version__}:
        msg = (
            f'workers at {place} have monother_ros {", ".join(sorted(found))} and this is '
            f'{__version__}; install the same version'
        )
        raise ClusterError(msg)
    return dict(Counter(_host(address) for address in threads))


def _version() -> str:
    """Version of this package where this is run."""
    return __version__


def _host(address: str) -> str:
    """Host of an address such as tcp://host:port."""
    return address.rpartition('://')[2].rpartition(':')[0]
