# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Order of samples and batches made ahead, all of it a function of seed and step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from queue import Full, Queue
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from monother_ros.core.errors import SettingsError

T = TypeVar('T')


class Batch(Protocol):
    """Tensors of some samples; their first axis counts the samples."""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Any:
        """The same on a device."""
        ...


class Batches(Protocol):
    """Batches of a run; can be pickled, so that other processes can make them."""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """
        One process's part of the samples of a step, a function of these numbers alone.

        The parts of all processes, in order, are the same samples however many there are.

        :param step: from 0.
        :param rank: number of the part, from 0.
        :param world: number of parts.
        """
        ...


def permuted(places: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """
    Samples at places of an endless order in which every epoch is a permutation of its own.

    :param places: (n,) from 0; place // count is the epoch.
    :param count: samples of an epoch.
    :param seed: of the permutations.
    :returns: (n,) from 0 to count - 1.
    """
    epochs, rows = places // count, places % count
    orders = {
        int(e): np.random.default_rng([seed, 1, int(e)]).permutation(count)
        for e in np.unique(epochs)
    }
    return np.array([orders[int(e)][r] for e, r in zip(epochs, rows, strict=True)], np.int64)


def part_of(count: int, rank: int, world: int) -> range:
    """
    Samples of one of several equal parts of a batch.

    :param count: samples of the batch.
    :param rank: number of the part.
    :param world: number of parts.
    :raises SettingsError: the batch cannot be divided evenly.
    """
    if count % world:
        msg = (
            f'a batch of {count} cannot be divided evenly into {world} parts (processes times '
            'accumulated parts); change the batch or the number of processes'
        )
        raise SettingsError(msg)
    each = count // world
    return range(rank * each, (rank + 1) * each)


class _Steps(Generic[T]):
    """What a data loader's processes index by the step."""

    def __init__(self, make: Callable[[int], T]) -> None:
        self.make = make

    def __getitem__(self, step: int) -> T:
        return self.make(step)


def prefetch(
    make: Callable[[int], T], start: int, stop: int, workers: int = 0, ahead: int = 3
) -> Iterator[T]:
    """
    Results of ``make(start)`` to ``make(stop - 1)`` in order, made ahead of their use.

    :param make: a function of the step; with workers it is pickled.
    :param start: first step.
    :param stop: one beyond the last.
    :param workers: processes of torch's DataLoader; 0 takes one thread.
    :param ahead: how many are made ahead, of each worker.
    :raises Exception: what went wrong while one was made.
    """
    if workers:
        loader: torch.utils.data.DataLoader[T] = torch.utils.data.DataLoader(
            _Steps(make),  # type: ignore[arg-type]
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            prefetch_factor=ahead,
            multiprocessing_context='spawn',
        )
        yield from loader
        return
    queue: Queue[T | BaseException] = Queue(ahead)
    over = threading.Event()

    def put(item: T | BaseException) -> None:
        while not over.is_set():
            with contextlib.suppress(Full):
                queue.put(item, timeout=0.5)
                return

    def work() -> None:
        try:
            for step in range(start, stop):
                if over.is_set():
                    return
                put(make(step))
        except BaseException as err:
            put(err)

    thread = threading.Thread(target=work, name='batches', daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        thread.join()
