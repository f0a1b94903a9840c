# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limits of the adapt node: CPU time, memory, priority."""

from __future__ import annotations

import mmap
import subprocess
import sys
import threading
import time

import pytest

from monother_ros.nodes.adapt_limits import (
    BURST,
    FREE_PERIOD,
    CpuBudget,
    MemoryCeiling,
    resident_bytes,
)


class Machine:
    """A clock and a CPU meter that a test moves."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def work(self, seconds, cores=1.0):
        self.wall += seconds
        self.cpu += cores * seconds


@pytest.mark.parametrize(('share', 'cores'), [(0.25, 1.0), (0.5, 2.0), (1.0, 1.7)])
def test_budget_keeps_the_share_whatever_a_step_takes(share, cores):
    machine = Machine()
    budget = CpuBudget(share, lambda: machine.wall, lambda: machine.cpu)
    for step in range(400):
        machine.work(0.01 + 0.3 * (step % 7 == 0), cores)
        machine.wall += budget.pause()
    assert machine.cpu / machine.wall == pytest.approx(share, rel=0.02)
    assert budget.used() == pytest.approx(share, rel=0.1)


def test_budget_does_not_sleep_below_its_share_and_saves_up_little():
    machine = Machine()
    budget = CpuBudget(0.5, lambda: machine.wall, lambda: machine.cpu)
    machine.wall += 1000.0
    assert budget.pause() == 0.0
    # at full use the savings of the long rest are gone after BURST seconds
    machine.work(BURST)
    assert budget.pause() == pytest.approx(0.0, abs=1e-9)
    machine.work(0.1)
    assert budget.pause() == pytest.approx(0.1)
    budget.restart()
    assert budget.pause() == 0.0


def test_real_thread_stays_within_its_share():
    budget = CpuBudget(0.3, cpu=time.thread_time)
    begin = (time.monotonic(), time.thread_time())
    while time.monotonic() - begin[0] < 1.5:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        time.sleep(budget.pause())
    elapsed = time.monotonic() - begin[0]
    share = (time.thread_time() - begin[1]) / elapsed
    assert share <= 0.3 + 0.3 * BURST / elapsed + 0.05


def test_ceiling_stops_above_and_goes_on_well_below():
    held, freed, now = [0], [], [0.0]
    ceiling = MemoryCeiling(1000, lambda: held[0], lambda: freed.append(1), lambda: now[0])
    for amount, exceeded in ((900, False), (1100, True), (990, True), (940, False), (960, False)):
        held[0] = amount
        now[0] += FREE_PERIOD
        ceiling.look()
        assert ceiling.exceeded is exceeded, amount
    assert ceiling.times == 1 and len(freed) == 1
    # what freeing brings down is not exceeded
    ceiling = MemoryCeiling(1000, lambda: held[0], lambda: held.__setitem__(0, 500))
    held[0] = 1500
    assert ceiling.look() == 500 and not ceiling.exceeded
    ceiling.limit, held[0] = 0, 10**15
    ceiling.look()
    assert not ceiling.exceeded


def test_resident_memory_grows_with_what_is_held():
    # a mapping of its own: malloc may hand out pages that the process holds already
    with mmap.mmap(-1, 64 << 20) as block:
        before = resident_bytes()
        block[:] = b'x' * len(block)
        assert 50e6 < resident_bytes() - before < 200e6
    assert resident_bytes() - before < 100e6


CHILD = """
import os, threading
from monother_ros.nodes.adapt_limits import free_caches, lower_priority, tune_malloc
print(tune_malloc())
got = []
def work():
    got.append(lower_priority(7))
    inner = threading.Thread(target=lambda: got.append(
        os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    inner.start(); inner.join()
    got.append(lower_priority(3))
thread = threading.Thread(target=work)
thread.start(); thread.join()
got.append(os.getpriority(os.PRIO_PROCESS, 0))
free_caches()
print(*got)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='niceness is of a process there')
def test_niceness_is_of_the_thread_and_of_those_it_starts():
    here = threading.get_native_id()
    import os

    base = os.getpriority(os.PRIO_PROCESS, here)
    done = subprocess.run(
        [sys.executable, '-c', CHILD], capture_output=True, text=True, check=True, timeout=60
    )
    first, second = done.stdout.split('\n')[:2]
    assert first == 'True'
    worker, child, again, main = (int(v) for v in second.split())
    assert worker == child == again == max(7, base)
    assert main == base
