# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One unit of work, small enough to be sent to another process: a recording and a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.sources import SourceOptions
from monother_ros.evaluation.evaluate.unit import UnitResult


@dataclass(frozen=True)
class Task:
    """
    A recording and a model.

    :param source: see :func:`.sources.open_source`.
    :param model: name or folder of the bundle.
    :param name: of the recording, unique in the evaluation; '' takes the source's own.
    :param settings: what is measured.
    :param options: how the recording is read.
    :param engine: kind of engine, see :func:`monother_ros.engines.select.load_engine`.
    :param threads: CPU threads of the engine; 0 for its own choice.
    """

    source: str
    model: str
    name: str = ''
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    options: SourceOptions = field(default_factory=SourceOptions)
    engine: str = 'onnxruntime'
    threads: int = 0


def run_task(
    task: Task,
    journal: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> UnitResult:
    """
    Evaluate one recording with one model, from the start or from where a journal ends.

    The engine is kept for the next task of this process with the same model, engine and threads.

    :param task: what to do.
    :param journal: folder in which finished frames are noted; None notes nothing.
    :param progress: called with the number of frames that are done and of all of them.
    :raises MonotherError: the recording, the model or the engine cannot be used.
    """
    raise NotImplementedError
