# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Feeds malformed inputs to one entry point of the package, and counts what came of them.

Every input follows from (seed, entry, number) alone, so that one can be made again. What counts as
right: a MonotherError with a sentence in it, or a result that passes the entry's own checks. All
else is a failure: another exception, a hang, a result that contradicts itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monother_ros.core.errors import MonotherError

Attempt = Callable[[np.random.Generator], object]
"""Makes one malformed input and feeds it in; returns None where nothing malformed came of it, else
what was made of the input, which the attempt has checked."""


class Hang(BaseException):
    """An input took too long; no Exception, so that nothing on the way takes it for an error."""


class CountedError(Exception):
    """What a node counts as a drop instead of raising; carries the reason."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """
    An entry point.

    :param name: of the entry.
    :param open: prepares good files in a folder of its own and returns the attempt.
    :param count: inputs of a run in CI.
    :param needs: modules without which it is left out.
    :param limit: seconds that one input may take.
    """

    name: str
    open: Callable[[Path], Attempt]
    count: int
    needs: tuple[str, ...] = ()
    limit: float = 10.0


def generator(seed: int, entry: str, index: int) -> np.random.Generator:
    """Source of randomness of one input."""
    return np.random.default_rng((seed, zlib.crc32(entry.encode()), index))


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise Hang in the main thread where the block takes longer; nested in nothing."""

    def ring(_number: int, _frame: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def resident_kb() -> int:
    """Resident memory of this process in kB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') // 1024


def open_handles() -> int:
    """File descriptors of this process, without the one that counts them."""
    return len(os.listdir('/proc/self/fd')) - 1  # noqa: PTH208


def run_entry(
    entry: Entry,
    folder: Path,
    count: int,
    seed: int = 0,
    first: int = 0,
    progress: Callable[[int], None] = lambda _index: None,
) -> dict[str, Any]:
    """
    Feed inputs to an entry point.

    :param folder: empty, for its files.
    :param count: number of inputs.
    :param first: number of the first input.
    :param progress: called with the number of each input before it is fed in.
    :returns: counts, failures (ten at most), seconds, growth of memory and handles after the
        first quarter.
    """
    attempt = entry.open(folder)
    refused: Counter[str] = Counter()
    taken, vague, failures, slowest = 0, [], [], 0.0
    numbers: dict[str, int] = {}
    failed = 0
    quarter, before = max(1, count // 4), (0, 0)
    begin = time.monotonic()
    for done in range(count):
        index = first + done
        if done == quarter:
            gc.collect()
            before = (resident_kb(), open_handles())
        progress(index)
        rng = generator(seed, entry.name, index)
        start = time.monotonic()
        try:
            with deadline(entry.limit):
                attempt(rng)
            taken += 1
        except CountedError as drop:
            refused[f'counted: {drop}'] += 1
        except MonotherError as err:
            refused[type(err).__name__] += 1
            if len(str(err).split()) < 4:
                vague.append(f'{index}: {err!r}')
        except (Exception, Hang) as err:
            failed += 1
            kind = f'{type(err).__name__} {_place(err)}'
            numbers[kind] = numbers.get(kind, 0) + 1
            if numbers[kind] <= 2:
                failures.append({'input': index, 'kind': kind, 'text': _last(err)})
        slowest = max(slowest, time.monotonic() - start)
    gc.collect()
    if not before[1]:
        before = (resident_kb(), open_handles())
    return {
        'entry': entry.name,
        'seed': seed,
        'inputs': count,
        'refused': sum(refused.values()),
        'taken': taken,
        'failed': failed,
        'refused by': dict(refused.most_common()),
        'failures': failures[:10],
        'failures by place': numbers,
        'vague': vague[:10],
        'seconds': round(time.monotonic() - begin, 3),
        'slowest [ms]': round(1e3 * slowest, 1),
        'growth of memory [MB]': round((resident_kb() - before[0]) / 1024, 2),
        'growth of handles': open_handles() - before[1],
    }


def _place(err: BaseException) -> str:
    """Innermost line of ours that an exception went through."""
    for frame in reversed(traceback.extract_tb(err.__traceback__)):
        if 'monother_ros' in Path(frame.filename).parts and 'test' not in frame.filename:
            return f'{Path(frame.filename).name}:{frame.lineno}'
    return 'outside'


def _last(err: BaseException) -> str:
    """End of the traceback."""
    text = ''.join(traceback.format_exception(type(err), err, err.__traceback__))
    return text[-1500:]
