# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Revisions are read gently."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from monother_ros.nodes.revision_source import NICE, gently


@pytest.mark.skipif(sys.platform != 'linux', reason='niceness of one thread is of Linux')
def test_files_are_read_in_a_nicer_thread_and_the_own_one_stays_as_it_is():
    def nice():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = nice()
    assert gently(nice) == min(before + NICE, 19)
    assert nice() == before
    with pytest.raises(ZeroDivisionError):
        gently(lambda: 1 / 0)
