# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Independent jobs on several processes, with a progress bar."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

from tqdm import tqdm

Job = TypeVar('Job')


def run_jobs(
    function: Callable[[Job], object],
    jobs: Sequence[Job],
    *,
    workers: int,
    unit: str,
    total: int | None = None,
) -> None:
    """
    Run every job; the order among processes is free.

    :param function: of a module, so that a fresh process finds it.
    :param jobs: what it is called with; can be pickled.
    :param workers: processes; below two everything runs in this one.
    :param unit: what one job makes, for the progress bar.
    :param total: jobs including those done before; default the number of jobs.
    :raises Exception: what the first failing job raised; the others are ended.
    """
    total = len(jobs) if total is None else total
    with tqdm(total=total, initial=total - len(jobs), desc='render', unit=unit) as progress:
        if min(workers, len(jobs)) < 2:
            for job in jobs:
                function(job)
                progress.update()
            return
        with multiprocessing.get_context('spawn').Pool(min(workers, len(jobs))) as pool:
            for _ in pool.imap_unordered(function, jobs):
                progress.update()
