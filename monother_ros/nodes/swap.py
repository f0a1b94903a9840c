# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New model revisions, taken over by the depth node between two frames."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from monother_ros.core.bundle import Bundle
from monother_ros.core.errors import BundleError, MonotherError
from monother_ros.core.frames import FrameResult
from monother_ros.core.pipeline import Pipeline
from monother_ros.engines.base import Engine
from monother_ros.nodes.revision_source import RevisionSource, check_speed, gently, try_out
from monother_ros.ros.diagnostics import OK, WARN, Health

RETRY = 2.0
"""Seconds for which a revision that was refused is not tried again unless its digest changes:
topic and store name the same revision within moments."""


REMEMBERED = 64
"""Refused revisions that are remembered."""

LONGEST = 129
"""Characters of a name that are looked at; one more than a name may have."""


class RevisionSwap:
    """
    Loads revisions beside the running engine and hands them to the thread of the frames.

    One background thread reads, builds and tries out; of requests that come meanwhile only the
    newest is kept. The thread of the frames takes the new engine before a frame
    (:meth:`before_frame`) and lets the old one go after the first frame that the new one made
    (:meth:`after_frame`). What is wrong with a revision is counted, logged and in :meth:`health`;
    the running engine stays.

    :param base: bundle of the `model` parameter.
    :param folder: of the store of revisions; it may not exist yet.
    :param logger: rclpy logger.
    :param usual: tells the seconds that the running engine takes for a frame, where known.
    """

    def __init__(
        self,
        base: Bundle,
        folder: Path,
        logger: Any,
        usual: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._source = RevisionSource(folder, base)
        self._logger = logger
        self._usual = usual
        self._pipeline: Pipeline | None = None
        self._condition = threading.Condition()
        self._stopped = False
        self._wanted: tuple[str, str] | None = None
        self._loading: str | None = None
        self._ready: Engine | None = None
        self._trial: Engine | None = None
        self._done_with: list[Engine] = []
        self._refused: dict[str, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._run, name='revisions', daemon=True)
        self._busy = False
        self.problem: str | None = None
        self.last_refusal = 'none'
        self.swaps = 0
        self.refusals = 0
        self.seconds: float | None = None
        self.difference: float | None = None

    # at configuring

    def first_engine(self, build: Callable[[Bundle], Engine]) -> Engine:
        """
        Engine to start with: the store's revision in use, else the one before, else the base.

        :param build: makes an engine.
        :raises MonotherError: not even the base can be run.
        """
        base = self._source.base
        names, problem = self._source.candidates()
        if problem:
            self._refuse('the record of the revision in use', '', problem)
        for name, digest in names:
            engine = None
            try:
                bundle = self._source.load(name, digest)
                if bundle.digest == base.digest:
                    break
                engine = build(bundle)
                self.difference = try_out(engine)
            except (MonotherError, OSError) as err:
                if engine is not None:
                    engine.close()
                self._refuse(name, '', str(err))
                continue
            self._logger.info(f'starting with revision {name} of {self._source.folder}')
            return engine
        if names or problem:
            self._logger.warning(f'starting with {base.name} {base.revision} itself')
        return build(base)

    def start(self, pipeline: Pipeline) -> None:
        """
        Serve requests from now on.

        :param pipeline: whose engine is replaced; of :meth:`first_engine` at first.
        """
        self._pipeline = pipeline
        self._thread.start()

    def stop(self) -> None:
        """End the thread and free every engine but the pipeline's; waits for a build."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        spare = None if self._pipeline is None else self._pipeline.settle()
        for engine in (*self._done_with, self._ready, cast('Engine | None', spare)):
            if engine is not None:
                engine.close()
        self._done_with, self._ready, self._trial = [], None, None

    # requests, from the executor's thread

    def request(self, name: str, digest: str = '') -> None:
        """
        Ask for a revision; returns at once.

        :param name: of the revision in the store.
        :param digest: that its manifest must have; empty for any.
        """
        with self._condition:
            self._wanted = (name[:LONGEST], digest)
            self._condition.notify()

    def announced(self, name: str, published_ns: int) -> None:
        """
        Ask for a revision that was named on the topic, unless that name is out of date.

        :param name: of the revision.
        :param published_ns: when it was published, nanoseconds since 1970; 0 for not known.
        """
        other = self._source.overtaken(name, published_ns)
        if other is not None:
            self._logger.info(f'{name} on the topic is older than the use of {other}: not taken')
            return
        self.request(name)

    def look(self) -> None:
        """Ask for the revision in use where the store's record of it has changed."""
        try:
            record = self._source.changed()
        except BundleError as err:
            self._refuse('the record of the revision in use', '', str(err))
            return
        if record is not None:
            self.request(record.revision, record.digest)

    # the thread of the frames

    def before_frame(self) -> None:
        """Take over an engine that is ready; costs nothing where none is."""
        if self._ready is None:
            return
        with self._condition:
            engine, self._ready = self._ready, None
        if engine is None or self._pipeline is None:
            return
        try:
            dropped = self._pipeline.swap_engine(engine, trial=True)
        except BundleError as err:
            self._refuse(engine.bundle.revision, engine.bundle.digest, str(err))
            self._free(engine)
            return
        self._trial = engine
        if dropped is not None:
            self._free(cast('Engine', dropped))

    def after_frame(self, result: FrameResult) -> bool:
        """
        Let the old engine go once the new one has made a frame, or the new one where it failed.

        :param result: of the frame that was just published.
        :returns: whether a revision was loaded or taken over since the frame before.
        """
        near, self._busy = self._busy or self._trial is not None, self._loading is not None
        trial = self._trial
        if trial is None or self._pipeline is None:
            return near
        self._trial = None
        bundle = trial.bundle
        if self._pipeline.engine is not trial:
            cause = result.engine_error or 'see the log'
            reason = f'its first frame failed, the revision before goes on: {cause}'
            self._refuse(bundle.revision, bundle.digest, reason)
            self._free(trial)
            return near
        spare = self._pipeline.settle()
        self.swaps += 1
        self.problem = None
        before = 'the one before' if spare is None else spare.bundle.revision
        self._logger.info(f'revision {bundle.revision} makes depth from now on, after {before}')
        if spare is not None:
            self._free(cast('Engine', spare))
        return near

    def _free(self, engine: Engine) -> None:
        """Close an engine in the background."""
        with self._condition:
            self._done_with.append(engine)
            self._condition.notify()

    # the background thread

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: self._stopped or self._wanted is not None or self._done_with
                )
                if self._stopped:
                    return
                wanted, self._wanted = self._wanted, None
                freed, self._done_with = self._done_with, []
            for engine in freed:
                engine.close()
            if wanted is None:
                continue
            try:
                self._serve(*wanted)
            except Exception as err:  # nothing about a revision may end the thread
                text = ''.join(traceback.format_exception(type(err), err, err.__traceback__))
                self._refuse(wanted[0], '', f'internal error: {text}')
            finally:
                self._loading = None

    def _serve(self, name: str, digest: str) -> None:
        """Load a revision that was asked for, unless it runs or is ready already."""
        assert self._pipeline is not None
        found = self._source.manifest_digest(name)
        refused = self._refused.get(name)
        just_now = refused is not None and time.monotonic() - refused[1] < RETRY
        if refused is not None and refused[0] == found and just_now:
            return
        with self._condition:
            newest = self._ready or cast('Engine', self._pipeline.engine)
            if found and newest.bundle.digest == found:
                self.problem = None
                return
        self._busy, self._loading = True, name
        engine, start = None, time.monotonic()
        try:
            bundle = gently(lambda: self._source.load(name, digest))
            engine = cast('Engine', self._pipeline.engine).prepare(bundle)
            made = engine
            if bundle.digest != self._source.base.digest:
                self.difference = gently(lambda: try_out(made))
            check_speed(made, self._usual())
        except (MonotherError, OSError) as err:
            if engine is not None:
                engine.close()
            self._refuse(name, found, str(err))
            return
        self.seconds = time.monotonic() - start
        self._refused.pop(name, None)
        with self._condition:
            replaced, self._ready = self._ready, engine
        if replaced is not None:
            replaced.close()

    def _refuse(self, name: str, digest: str, reason: str) -> None:
        """Count, log and remember why a revision is not taken."""
        if not digest and reason:
            digest = self._source.manifest_digest(name)
        self.refusals += 1
        if len(self._refused) >= REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._refused[name] = (digest, time.monotonic())
        self.last_refusal = f'{name}: {reason}'
        self.problem = f'revision {name} is refused: {reason}'
        self._logger.error(self.problem)

    # diagnostics

    def health(self, running: Bundle) -> Health:
        """
        Judge the revisions.

        :param running: bundle that makes depth now.
        """
        ready, loading = self._ready, self._loading
        if loading is not None:
            state = f'loading {loading}'
        elif ready is not None:
            state = f'{ready.bundle.revision} is ready and waits for an image'
        else:
            state = 'up to date' if self._source.folder.is_dir() else 'no folder yet'
        values = {
            'folder': str(self._source.folder),
            'state': state,
            'swaps': str(self.swaps),
            'refused': str(self.refusals),
            'last refusal': self.last_refusal,
        }
        if self.seconds is not None:
            values['last load [s]'] = f'{self.seconds:.3f}'
        if self.difference is not None:
            values['difference from its stored frames [%]'] = f'{100 * self.difference:.4f}'
        if self.problem is not None:
            return Health(WARN, self.problem, values)
        return Health(OK, f'{running.name} {running.revision}; {state}', values)


def revision_folder(parameter: str) -> Path | None:
    """
    Folder of the parameter `revisions`.

    :returns: None where it is empty, so that the model stays as it is.
    """
    return Path(parameter).expanduser() if parameter.strip() else None
