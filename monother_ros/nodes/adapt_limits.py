# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What learning may take of the computer: CPU time, priority, memory.

Memory is bounded by looking at what the process holds, not by RLIMIT_AS: that one counts address
space, of which shared memory of the middleware, thread stacks and arenas reserve gigabytes that
are never used, and going beyond it fails whichever allocation comes next, also in the middle of
the middleware. Above the ceiling learning stops and says so; where the operating system shall end
the process instead, a cgroup does it (systemd: MemoryMax).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

BURST = 0.5
"""Seconds of its share that an idle worker may save up and take at once."""

SHARE_WINDOW = 10.0
"""Seconds over which the CPU share is told."""

RELEASED = 0.95
"""Part of the ceiling below which learning goes on again."""

FREE_PERIOD = 5.0
"""Seconds between two attempts at freeing caches, which take a tenth of one."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt, as in malloc.h."""

ARENAS = 2
TRIM_BYTES = 16 << 20


class CpuBudget:
    """
    Keeps the CPU time of the process below a share, by saying how long to sleep.

    CPU time of all threads counts: of the optimiser's, the teacher's and the middleware's.

    :param share: CPU seconds per second; 1 is one whole core.
    :param clock: seconds of a steady clock.
    :param cpu: CPU seconds of the process.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self.share = share
        self._clock, self._cpu = clock, cpu
        self.restart()

    def restart(self) -> None:
        """Owe nothing from now on."""
        self._debt = 0.0
        self._last = (self._clock(), self._cpu())
        self._past: deque[tuple[float, float]] = deque([self._last])

    def pause(self) -> float:
        """Seconds to sleep now so that the share is kept; 0 where work may go on."""
        now = (self._clock(), self._cpu())
        self._debt += now[1] - self._last[1] - self.share * (now[0] - self._last[0])
        self._debt = max(self._debt, -self.share * BURST)
        self._last = now
        self._past.append(now)
        while len(self._past) > 2 and self._past[1][0] <= now[0] - SHARE_WINDOW:
            self._past.popleft()
        return max(0.0, self._debt / self.share)

    def used(self) -> float:
        """CPU seconds per second lately."""
        wall, cpu = self._past[0]
        elapsed = self._clock() - wall
        return (self._cpu() - cpu) / elapsed if elapsed > 0 else 0.0


class MemoryCeiling:
    """
    Whether the process holds more memory than it may.

    :param limit: bytes; 0 for no limit.
    :param held: tells the bytes that the process holds.
    :param free: frees what can be freed.
    :param clock: seconds of a steady clock.
    """

    def __init__(
        self,
        limit: int,
        held: Callable[[], int] | None = None,
        free: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.exceeded = False
        self.times = 0
        self._held = held or resident_bytes
        self._free = free or free_caches
        self._clock = clock
        self._freed = float('-inf')

    def look(self) -> int:
        """
        Measure; above the limit caches are freed and, where that does not help, it is exceeded.

        :returns: bytes held.
        """
        held = self._held()
        if not self.limit:
            self.exceeded = False
        elif held > self.limit:
            if self._clock() - self._freed >= FREE_PERIOD:
                self._freed = self._clock()
                self._free()
                held = self._held()
            if held > self.limit and not self.exceeded:
                self.exceeded = True
                self.times += 1
        elif held < RELEASED * self.limit:
            self.exceeded = False
        return held


def resident_bytes() -> int:
    """Physical memory that the process holds, in bytes; its peak where /proc is not there."""
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE')
    except (OSError, ValueError, IndexError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == 'darwin' else 1024 * peak


def free_caches() -> None:
    """Give memory that nobody uses back to the operating system."""
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def tune_malloc() -> bool:
    """
    Few arenas and early return of memory; to be called before threads are started.

    By default glibc makes up to eight arenas per core and gives their memory back late: a process
    that makes and drops tensors in several threads then grows far beyond what it uses.

    :returns: whether there was a malloc that takes the settings.
    """
    libc = _glibc()
    if libc is None:
        return False
    done = [
        # unless the user has chosen by the environment
        'MALLOC_ARENA_MAX' in os.environ or libc.mallopt(M_ARENA_MAX, ARENAS) == 1,
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES) == 1,
        libc.mallopt(M_MMAP_THRESHOLD, TRIM_BYTES // 4) == 1,
    ]
    return all(done)


def _glibc() -> ctypes.CDLL | None:
    """C library of the process where it has mallopt and malloc_trim."""
    if not sys.platform.startswith('linux'):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, 'malloc_trim') and hasattr(libc, 'mallopt') else None


def lower_priority(nice: int) -> int:
    """
    Make the calling thread nicer, and with it every thread that it starts from now on.

    On Linux niceness belongs to a thread: the executor's stays as it is, so that services answer
    while the computer is busy.

    :param nice: 0 to 19, the niceness asked for; one that is higher already stays.
    :returns: the niceness that holds.
    """
    thread = threading.get_native_id() if sys.platform.startswith('linux') else 0
    with contextlib.suppress(PermissionError):  # below the present one only root may go
        if nice > os.getpriority(os.PRIO_PROCESS, thread):
            os.setpriority(os.PRIO_PROCESS, thread, nice)
    return os.getpriority(os.PRIO_PROCESS, thread)


@contextlib.contextmanager
def threads_of_libraries(count: int) -> Iterator[None]:
    """
    Bound the threads of torch and OpenCV while the block runs.

    :param count: threads of the calling thread's pool; 0 leaves everything as it is.
    """
    import cv2
    import torch

    before = (torch.get_num_threads(), cv2.getNumThreads())
    if count:
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
    try:
        yield
    finally:
        if count:
            torch.set_num_threads(before[0])
            cv2.setNumThreads(before[1])
