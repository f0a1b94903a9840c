# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One unit of work, small enough to be sent to another process: a recording and a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from monother_ros import __version__
from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.errors import SettingsError
from monother_ros.core.pipeline import SPARSE_INPUT
from monother_ros.engines.base import EngineOptions
from monother_ros.evaluation.engine_cache import shared_engine
from monother_ros.evaluation.evaluate.journal import FORMAT, Journal
from monother_ros.evaluation.evaluate.pictures import compressed
from monother_ros.evaluation.evaluate.runner import evaluate_frames
from monother_ros.evaluation.evaluate.schema import Model
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.evaluate.sources import SourceOptions, open_source
from monother_ros.evaluation.evaluate.unit import UnitResult, column_names

ONLY_MERGE = ('bootstrap', 'block', 'level', 'seed')
"""Settings that no row depends on."""


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
    :param device: cpu, cuda, or auto. :param precision: see EngineOptions.
    """

    source: str
    model: str
    name: str = ''
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    options: SourceOptions = field(default_factory=SourceOptions)
    engine: str = 'onnxruntime'
    threads: int = 0
    device: str = 'cpu'
    precision: str = 'fp32'


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
    folder = find_bundle(task.model)
    bundle = load_bundle(folder)
    takes_points = any(spec.name == SPARSE_INPUT for spec in bundle.inputs)
    points = takes_points if task.settings.points == 'auto' else task.settings.points == 'yes'
    source = open_source(task.source, replace(task.options, points=points))
    if points and source.kind not in ('bag', 'sim'):
        msg = (
            f'{bundle.name} takes the points of a range sensor, which {task.source} does not '
            'have; use a bag with LiDAR, or --points no to run without'
        )
        raise SettingsError(msg)
    options = EngineOptions(threads=task.threads, device=task.device, precision=task.precision)
    engine = shared_engine(str(folder), task.engine, options)
    model = Model(bundle.name, bundle.name, bundle.revision, bundle.digest, engine.name, points)
    parts = {
        'format': [FORMAT, __version__],
        'model': [bundle.digest, engine.name, engine.options.device, engine.options.precision],
        'source': source.identity(),
        'settings': {k: v for k, v in task.settings.as_dict().items() if k not in ONLY_MERGE},
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    notes = Journal(journal, key, column_names(task.settings))
    state = evaluate_frames(source, engine, task.settings, notes, progress)
    return UnitResult(
        model=model,
        recording=task.name or source.name,
        source=task.source,
        kind=source.kind,
        truth=source.truth,
        frames=state.frames,
        first=state.first,
        last=state.last,
        skipped=dict(state.skipped),
        rows=state.rows,
        pictures=[replace(f, data=compressed(f.data)) for f in state.keeper.frames],
        notes=state.notes,
    )
