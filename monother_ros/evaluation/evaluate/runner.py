# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Frames of a source through the pipeline of the robot, and their numbers.

Three threads work at once, so that the engine hardly waits: one reads frames ahead and prepares
them, one (the caller's) runs the engine, one computes metrics and writes the journal. The queues
between them are short: memory does not depend on the length of the recording but for 4 kB per
scored frame.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import ThermalError
from monother_ros.core.pipeline import (
    FrameResult,
    Pipeline,
    PipelineSettings,
    PreparedFrame,
    Wanted,
)
from monother_ros.evaluation.evaluate.frame_metrics import FrameScorer
from monother_ros.evaluation.evaluate.journal import Journal, Progress
from monother_ros.evaluation.evaluate.pictures import KeptFrame, pack
from monother_ros.evaluation.evaluate.settings import EvaluationSettings

if TYPE_CHECKING:
    from monother_ros.engines.base import Engine
    from monother_ros.evaluation.evaluate.sources import FrameSource, SourceFrame

AHEAD = 8
"""Frames that are read, or wait for their metrics, at most."""

GAP = 2_000_000_000
"""Nanoseconds without a frame after which the node starts its smoothing afresh."""

RUN_IN = 60_000_000_000
"""Nanoseconds of recording that run through the pipeline before an interrupted evaluation goes on,
so that what is smoothed over time is as it was."""

OPEN = PipelineSettings(range_min=1e-3, range_max=1e6)
"""Nothing is masked: every pixel is scored."""

NO_TRUTH = 'no ground truth'
NO_PIXEL = 'no pixel with ground truth in range'
BETWEEN = 'between scored frames'


def keep_freed_memory() -> None:
    """
    Let the C library keep the memory of large arrays for the next ones.

    glibc gives it back to the system at once, and each array is then made of new pages, which
    takes longer than to compute what is in it. It keeps what is smaller than the largest block
    that was ever freed, 32 MiB at most (mallopt(3), M_MMAP_THRESHOLD). Elsewhere nothing happens.
    """
    np.empty(31 << 20, np.uint8)


class CancelledError(Exception):
    """Another thread has ended."""


@dataclass(frozen=True, eq=False)
class _Ready:
    """A frame that the engine can run."""

    source: SourceFrame
    prepared: PreparedFrame


@dataclass(frozen=True, eq=False)
class _Done:
    """A frame that has been through the pipeline."""

    source: SourceFrame
    result: FrameResult | None
    reason: str | None


class _Pipe:
    """A short queue between two threads; whoever fails stops the other."""

    def __init__(self, stop: threading.Event) -> None:
        # a bounded queue of two simple ones, which are in C where queue.Queue is not
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(AHEAD):
            self._places.put(None)
        self._stop = stop

    def put(self, item: Any) -> None:
        """Hand over an item; waits while there is no place."""
        self._wait(self._places)
        self._items.put(item)

    def get(self) -> Any:
        """Take the next item; waits for it."""
        item = self._wait(self._items)
        self._places.put(None)
        return item

    def _wait(self, source: queue.SimpleQueue[Any]) -> Any:
        """Next of a queue."""
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                return source.get(timeout=0.2)
        raise CancelledError


class _Worker(threading.Thread):
    """A thread whose error is kept for the one who joins it, and stops the others if fatal."""

    def __init__(
        self, name: str, work: Callable[[], None], stop: threading.Event, *, fatal: bool
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work, self._stop_all, self._fatal = work, stop, fatal
        self.error: BaseException | None = None

    def run(self) -> None:
        """Work until the end or an error."""
        try:
            # cancelled: whoever has stopped all of them tells why
            with contextlib.suppress(CancelledError):
                self._work()
        except BaseException as err:
            self.error = err
            if self._fatal:
                self._stop_all.set()


def evaluate_frames(
    source: FrameSource,
    engine: Engine,
    settings: EvaluationSettings,
    journal: Journal,
    progress: Callable[[int, int], None] | None = None,
) -> Progress:
    """
    Evaluate the frames of a source that a journal does not have yet.

    :param source: of the frames. :param engine: of the model.
    :param settings: what is measured. :param journal: what is done, and where to note more.
    :param progress: called with the number of frames done, and of all.
    :returns: all rows, those of the journal included.
    :raises MonotherError: the source, or the engine, fails. What is done is in the journal.
    """
    state = journal.load()
    if state.done:
        return state
    keep_freed_memory()
    try:
        _Run(source, engine, settings, journal, state).run(progress or (lambda done, total: None))
        state.notes = list(source.notes)
        journal.done(state.notes)
    finally:
        journal.close()
    state.done = True
    return state


class _Run:
    """One run over a source; see :func:`evaluate_frames`."""

    def __init__(
        self,
        source: FrameSource,
        engine: Engine,
        settings: EvaluationSettings,
        journal: Journal,
        state: Progress,
    ) -> None:
        self._source, self._settings = source, settings
        self._journal, self._state = journal, state
        keep = source.curated if settings.shutter == 'auto' else settings.shutter == 'keep'
        self._open = replace(OPEN, process_shutter_frames=keep)
        self._pipeline = Pipeline(engine, self._open)
        self._aligned = engine.bundle.normalisation.resize == 'aligned'
        self._scorer = FrameScorer(settings)
        self._abs_rel = self._scorer.columns.index('abs_rel')
        self._stop = threading.Event()
        self._from = state.next_index
        self._last_stamp: int | None = None

    def run(self, progress: Callable[[int, int], None]) -> None:
        """Work off all frames."""
        read, done = _Pipe(self._stop), _Pipe(self._stop)
        reader = _Worker('read ahead', lambda: self._read(read), self._stop, fatal=False)
        scorer = _Worker('metrics', lambda: self._score(done), self._stop, fatal=True)
        total = self._source.count()
        cancelled: CancelledError | None = None
        reader.start()
        scorer.start()
        try:
            for item in iter(read.get, None):
                if self._full:
                    break
                done.put(self._process(item))
                if item.source.index >= self._from:
                    progress(item.source.index + 1, total)
            done.put(None)
            scorer.join()
        except CancelledError as err:
            cancelled = err
        finally:
            self._stop.set()
            reader.join()
            scorer.join()
        for worker in (reader, scorer):
            if worker.error is not None:
                raise worker.error
        if cancelled is not None:  # never taken for the end where no thread has told why
            raise cancelled
        progress(total, total)

    @property
    def _full(self) -> bool:
        """Whether as many frames are scored as were asked for."""
        return 0 < self._settings.limit <= len(self._state.rows)

    def _read(self, out: _Pipe) -> None:
        """Thread: read frames ahead; where that fails, what has been read is worked off."""
        try:
            for item in self._frames():
                out.put(self._prepare(item))
        finally:
            out.put(None)

    def _frames(self) -> Iterator[SourceFrame]:
        """Frames from where the journal ends, with a run-in before."""
        if not self._from:
            yield from self._source.frames()
            return
        rows = np.array(self._state.rows.stamp, np.int64)
        early = rows[rows >= self._state.last - RUN_IN]
        start = self._state.rows.index[len(rows) - len(early)] if len(early) else self._from
        yield from self._source.frames(start)

    def _prepare(self, item: SourceFrame) -> _Ready:
        """Prepare a frame, after a silence or in another place as the node would."""
        frame = item.frame
        before, self._last_stamp = self._last_stamp, frame.stamp_ns
        anew = item.apart or (before is not None and frame.stamp_ns < before)
        silence = before is not None and frame.stamp_ns - before > GAP
        prepared = self._pipeline.prepare(frame, reset=anew or silence, keep_scale=not anew)
        return _Ready(item, prepared)

    def _process(self, ready: _Ready) -> _Done:
        """Run a frame through the pipeline."""
        item, frame = ready.source, ready.source.frame
        same = item.truth is None or item.truth.shape == frame.image.shape
        size = 'image' if same else 'network'
        if self._pipeline.settings.output_size != size:
            self._pipeline.settings = replace(self._open, output_size=size)
        try:
            result = self._pipeline.process(ready.prepared, Wanted(depth=True, confidence=True))
        except ThermalError as err:
            return _Done(item, None, str(err))
        return _Done(item, result, result.skipped)

    def _score(self, done: _Pipe) -> None:
        """Thread: metrics, pictures, journal."""
        for item in iter(done.get, None):
            if not self._full:  # what is too many is taken off, or the other thread would wait
                self._take(item)

    def _take(self, item: _Done) -> None:
        """Numbers of one frame."""
        source, state, journal = item.source, self._state, self._journal
        index, stamp = source.index, source.frame.stamp_ns
        fresh = index >= self._from
        reason = item.reason
        if reason is None and source.truth is None:
            reason = NO_TRUTH
        if reason is None and index % self._settings.every:
            reason = BETWEEN
        row = None
        # before the frames that are new, the last one is scored again: flicker looks back at it
        if reason is None and index >= self._from - 1:
            row = self._row(item)
            reason = NO_PIXEL if row is None else None
        if not fresh:
            return
        if row is None:
            state.left_out(index, stamp, reason or NO_PIXEL)
            journal.left_out(index, stamp, reason or NO_PIXEL)
            return
        self._keep_picture(item, row[self._abs_rel])
        state.scored(index, stamp, source.condition, row)
        journal.scored(index, stamp, source.condition, row)

    def _row(self, item: _Done) -> list[float] | None:
        """Numbers of a frame that has everything."""
        result, source = item.result, item.source
        assert result is not None and result.depth is not None and source.truth is not None
        return self._scorer.score(
            result.depth,
            result.confidence,
            source.truth,
            source.index,
            source.frame.stamp_ns,
            aligned=self._aligned,
            apart=source.apart,
        )

    def _keep_picture(self, item: _Done, abs_rel: float) -> None:
        """Keep a picture of a frame that is worth it."""
        source, keeper = item.source, self._state.keeper
        if not keeper.wants(source.index, source.condition, abs_rel):
            return
        result = item.result
        assert result is not None and result.depth is not None and source.truth is not None
        frame = source.frame
        camera = result.intrinsics
        if camera is not None:
            camera = camera.scaled(frame.image.shape[1], frame.image.shape[0])
        data = pack(frame.image, result.depth, source.truth, result.confidence, camera)
        kept = KeptFrame(source.index, frame.stamp_ns, source.condition, abs_rel, data)
        self._journal.picture(keeper, kept)
