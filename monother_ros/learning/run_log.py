# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scalars of a run as TensorBoard event files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm


class RunLog:
    """
    Event file of a run, or of a part of it.

    :param folder: of the event files; opened when there is something to write.
    :param step: at which this part begins; what older files say beyond it is not shown.
    :param on: whether to write at all.
    """

    def __init__(self, folder: str | Path, step: int, on: bool = True) -> None:
        self._folder = Path(folder)
        self._step = step
        self._on = on
        self._writer: Any = None

    def add(self, section: str, values: Mapping[str, float], step: int) -> None:
        """
        Write scalars as ``section/name``; values that are no numbers are left out.

        :param section: such as train or validation.
        :param values: by name.
        :param step: optimiser steps so far.
        """
        if not self._on:
            return
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                tqdm.write('no TensorBoard logs: tensorboard is not installed')
                self._on = False
                return
            purge = self._step + 1 if self._step else None
            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        for name, value in values.items():
            if math.isfinite(value):
                self._writer.add_scalar(f'{section}/{name}', value, step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
