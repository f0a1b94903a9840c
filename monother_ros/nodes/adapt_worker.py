# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that learns: takes pairs, takes optimiser steps, and does what services ask."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from monother_ros.core.errors import AdaptationError, CalibrationError, MonotherError
from monother_ros.core.stats import Counters, RateMeter
from monother_ros.learning.adaptation import DISABLED, Adaptation
from monother_ros.learning.intake import ENOUGH, NO_CALIBRATION
from monother_ros.nodes.adapt_limits import (
    CpuBudget,
    MemoryCeiling,
    lower_priority,
    threads_of_libraries,
)
from monother_ros.nodes.adapt_outputs import AdaptOutputs
from monother_ros.nodes.adapt_rig import Rig, RigInput
from monother_ros.nodes.adapt_settings import make_adaptation
from monother_ros.nodes.pair_queue import PairOfMessages, PairQueue
from monother_ros.ros.adapt_parameters import AdaptNodeParameters
from monother_ros.ros.diagnostics import Throttle
from monother_ros.ros.messages import rgb_array, stamp_ns, thermal_array

LOG_PERIOD = 10.0
"""Seconds between two logs of the same reason."""

IDLE = 0.5
"""Seconds after which the thread looks around when nothing wakes it."""

LOOK_PERIOD = 0.25
"""Seconds between two looks at memory and status."""

HOLD, LONGEST_HOLD = 5.0, 300.0
"""Seconds for which learning pauses after an error of its own; doubled with each in a row."""

UNUSABLE = 'unusable image'
MEMORY = 'memory limit'
HELD = 'learning has stopped'
"""Reasons of the node, beside those of Adaptation, for which a pair is not learned from."""


class AdaptWorker:
    """
    Owns the :class:`Adaptation`: it is made, used and let go in this one thread.

    Nothing that an image or a file does can end the thread.

    :param node: for logger and clock.
    :param parameters: of the node.
    :param rig: calibration.
    :param outputs: publishers.
    :param make: loads what learns; called in the thread.
    """

    def __init__(
        self,
        node: Any,
        parameters: AdaptNodeParameters,
        rig: RigInput,
        outputs: AdaptOutputs,
        make: Callable[[AdaptNodeParameters], Adaptation] = make_adaptation,
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._rig = rig
        self._outputs = outputs
        self._make = make
        self._condition = threading.Condition()
        self._commands: deque[tuple[Callable[[Adaptation], str], Future[str]]] = deque()
        self._active = self._stopped = self._jumped = self._sleeping = False
        self._made: Future[None] = Future()
        self._throttle = Throttle(LOG_PERIOD)
        self._last_rig: Rig | None = None
        self._last_stamp: int | None = None
        self._last_look = self._last_step = float('-inf')
        self._held_until = float('-inf')
        self._holds = 0
        self._published_revision = ''
        self.budget = CpuBudget(parameters.cpu_share)
        self.memory = MemoryCeiling(parameters.memory_limit * 1_000_000)
        self.counters = Counters()
        self._pairs = PairQueue(self.counters)
        self.step_rate = RateMeter(10.0)
        self.pair_rate = RateMeter(10.0)
        self.nice = 0
        self.memory_held = 0
        self.failure: str | None = None
        self.last_reason: str | None = None
        self.last_service = 'none'
        self.status: dict[str, Any] = {}
        self.reasons: dict[str, int] = {}
        self.learning = self.enabled = False
        self.slipped = False
        self._thread = threading.Thread(target=self._run, name='adapt', daemon=True)

    # for the executor's thread

    def start(self) -> None:
        """
        Start the thread and wait until everything is loaded.

        :raises MonotherError: something cannot be loaded; the thread has ended.
        """
        self._thread.start()
        self._made.result()

    def put(self, pair: PairOfMessages) -> None:
        """Hand over a pair; it waits for its turn, and goes when too many newer ones come."""
        with self._condition:
            if self._pairs.put(pair, self._parameters.pair_rate):
                self._condition.notify()

    def submit(self, command: Callable[[Adaptation], str]) -> Future[str]:
        """
        Have something done in the thread, before the next pair or step.

        :param command: gets the adaptation; returns a sentence, or raises MonotherError.
        """
        future: Future[str] = Future()
        with self._condition:
            if self._stopped:
                future.set_exception(AdaptationError('the node is being taken down'))
                return future
            self._commands.append((command, future))
            self._condition.notify()
        return future

    def resume(self) -> None:
        """Take pairs and learn from now on."""
        with self._condition:
            self.budget.restart()
            self._active = True
            self._published_revision = ''
            self._condition.notify()

    def pause(self) -> None:
        """Leave everything as it is until :meth:`resume`; a step that runs is ended."""
        with self._condition:
            self._active = False
            self._pairs.clear()

    def time_jumped(self) -> None:
        """Forget earlier stamps before the next pair."""
        with self._condition:
            self._jumped = True
            self._pairs.clear()

    def apply(self, parameters: AdaptNodeParameters) -> None:
        """Take new values of the live parameters."""
        self._parameters = parameters
        self.budget.share = parameters.cpu_share
        self.memory.limit = parameters.memory_limit * 1_000_000

        def change(adaptation: Adaptation) -> str:
            adaptation.set_rates(parameters.rate, parameters.pair_rate)
            if adaptation.enabled != parameters.enabled:
                self._enable(adaptation, parameters.enabled)
            return ''

        self.submit(change)

    def stop(self) -> None:
        """End the thread after what it works on; the state of learning is saved."""
        with self._condition:
            self._stopped = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()

    # the thread

    def _run(self) -> None:
        try:
            self.nice = lower_priority(self._parameters.nice)
            with threads_of_libraries(self._parameters.threads):
                adaptation = self._make(self._parameters)
                adaptation.enable(self._parameters.enabled)
                self._look(adaptation)
                self._made.set_result(None)
                try:
                    self._loop(adaptation)
                finally:
                    self._end(adaptation)
        except BaseException as err:
            if self._made.done():
                self._node.get_logger().error(f'learning has ended: {_text(err)}')
                self.failure = f'learning has ended: {err}'
            else:
                self._made.set_exception(err)

    def _loop(self, adaptation: Adaptation) -> None:
        wait = 0.0
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: (
                        self._stopped
                        or self._commands
                        or (self._pairs and self._active and not self._sleeping)
                    ),
                    wait,
                )
                if self._stopped:
                    return
                commands = list(self._commands)
                self._commands.clear()
            for command, future in commands:
                self._obey(adaptation, command, future)
            try:
                wait = self._turn(adaptation)
            except Exception as err:
                self._failed(err)
                wait = 0.0

    def _turn(self, adaptation: Adaptation) -> float:
        """Pairs that wait and one step, where due; seconds until the next turn."""
        now = time.monotonic()
        if now - self._last_look >= LOOK_PERIOD:
            self._look(adaptation)
        if not self._active:
            return IDLE
        pause = self.budget.pause()
        self._sleeping = pause > 0
        if self._sleeping:
            return min(pause, LOOK_PERIOD)
        with self._condition:
            pairs = self._pairs.take()
            jumped, self._jumped = self._jumped, False
        if jumped:
            self._forget_times(adaptation, 'the clock has jumped')
        blocked = self._blocked(now)
        # all pairs before a step: they are what it learns from
        for pair in pairs:
            self._show(adaptation, pair, blocked)
        if blocked is not None:
            return LOOK_PERIOD
        if adaptation.due():
            step = adaptation.work()
            if step is not None:
                self._last_step = time.monotonic()
                self.step_rate.tick()
                self._outputs.loss(step.loss)
                if step.finite:
                    self._recovered()
        if not adaptation.learning:
            return LOOK_PERIOD
        due = self._last_step + 1.0 / adaptation.settings.step_rate
        return min(LOOK_PERIOD, max(0.001, due - time.monotonic()))

    def _blocked(self, now: float) -> str | None:
        """Reason of the node for which nothing is learned now."""
        if self.memory.exceeded:
            return MEMORY
        return HELD if now < self._held_until else None

    # pairs

    def _show(self, adaptation: Adaptation, pair: PairOfMessages, blocked: str | None) -> None:
        """Show a pair to the adaptation, unless something of the node speaks against it."""
        stamp = stamp_ns(pair.thermal)
        if self._last_stamp is not None and stamp < self._last_stamp:
            self._forget_times(adaptation, 'stamps went back')
        self._last_stamp = stamp
        if not adaptation.enabled:
            blocked = DISABLED
        if blocked is not None:
            self._refused(blocked)
            return
        try:
            thermal = thermal_array(pair.thermal, self._rig.thermal_height)
            rgb = rgb_array(pair.rgb)
        except MonotherError as err:
            self._refused(UNUSABLE, str(err))
            return
        try:
            frames = (pair.thermal.header.frame_id, pair.rgb.header.frame_id)
            rig = self._rig.rig(thermal.shape[1::-1], rgb.shape[1::-1], frames)
            self._take_rig(adaptation, rig)
        except (AdaptationError, CalibrationError) as err:
            self._refused(NO_CALIBRATION, str(err))
            return
        try:
            offer = adaptation.offer(thermal, stamp, rgb, stamp_ns(pair.rgb))
        except AdaptationError:
            raise
        except MonotherError as err:
            self._refused(UNUSABLE, str(err))
            return
        if offer.reason != ENOUGH:
            self.last_reason = offer.reason
        if offer.pair is not None:
            self.pair_rate.tick()
            self._outputs.pictures(
                offer.pair, pair.rgb.header, adaptation.judge, self._parameters.publish_rate
            )

    def _refused(self, reason: str, sentence: str = '') -> None:
        self.counters.add(reason)
        self.last_reason = reason
        if sentence and self._throttle(reason):
            self._node.get_logger().warning(f'a pair is not learned from ({reason}): {sentence}')

    def _take_rig(self, adaptation: Adaptation, rig: Rig) -> None:
        """Hand a calibration over where it is another one; what was seen with the old one goes."""
        if rig.same(self._last_rig):
            return
        known = self._last_rig is not None
        changed = adaptation.set_rig(*rig)
        self._last_rig = rig
        if known and changed:
            adaptation.replay.clear()
            adaptation.held_out.clear()
            adaptation.time_jumped()
            self.counters.add('calibration changed')
            self._node.get_logger().warning(
                'the calibration has changed while running: pairs seen with the old one are '
                'forgotten'
            )

    def _forget_times(self, adaptation: Adaptation, why: str) -> None:
        adaptation.time_jumped()
        self._last_stamp = None
        self.counters.add('time jumps')
        self._node.get_logger().info(f'{why}: starting afresh with stamps')

    # errors

    def _failed(self, err: Exception) -> None:
        """Pause after an error of learning itself; each one in a row pauses longer."""
        own = isinstance(err, (MonotherError, OSError, MemoryError))
        sentence = str(err) if own else f'{type(err).__name__}: {err}'
        seconds = min(HOLD * 2.0**self._holds, LONGEST_HOLD)
        self._holds += 1
        self._held_until = time.monotonic() + seconds
        self.failure = f'learning has stopped: {sentence}'
        self.counters.add('errors of learning')
        if self._throttle(sentence):
            details = sentence if own else _text(err)
            self._node.get_logger().error(
                f'learning has stopped and tries again in {seconds:.0f} s: {details}'
            )

    def _recovered(self) -> None:
        if self.failure is not None:
            self._node.get_logger().info('learning goes on')
        self.failure, self._holds = None, 0

    # services and status

    def _obey(
        self, adaptation: Adaptation, command: Callable[[Adaptation], str], future: Future[str]
    ) -> None:
        """Do what a service or a parameter asks; its errors are its answer."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            sentence = command(adaptation)
            self._look(adaptation)
        except Exception as err:
            self.last_service = f'failed: {err}'
            if not isinstance(err, MonotherError):
                self._node.get_logger().error(f'in a service: {_text(err)}')
            future.set_exception(err)
            return
        if sentence:
            self.last_service = sentence
            self._node.get_logger().info(sentence)
        future.set_result(sentence)

    def enable(self, on: bool) -> Future[str]:
        """Switch learning on or off."""
        return self.submit(lambda adaptation: self._enable(adaptation, on))

    def _enable(self, adaptation: Adaptation, on: bool) -> str:
        adaptation.enable(on)
        if on:
            self._held_until, self._holds, self.failure = float('-inf'), 0, None
        return 'learning is switched on' if on else 'learning is switched off'

    def _tell_revision(self, adaptation: Adaptation) -> None:
        """Publish the newest good revision where it is another one."""
        name = adaptation.current.revision
        if name != self._published_revision and self._outputs.revision(name):
            self._published_revision = name
            self._node.get_logger().info(f'revision {name} is the newest good one')

    def _look(self, adaptation: Adaptation) -> None:
        """Measure memory and take a copy of the status for the executor's thread."""
        self._last_look = time.monotonic()
        self._tell_revision(adaptation)
        before = self.memory.exceeded
        self.memory_held = self.memory.look()
        if self.memory.exceeded and not before:
            self._node.get_logger().error(
                f'{self.memory_held / 1e6:.0f} MB are held and memory_limit is '
                f'{self.memory.limit / 1e6:.0f}: learning stops until they are free again'
            )
        reasons = self.counters.snapshot()
        for name, count in adaptation.counters.snapshot().items():
            reasons[name] = reasons.get(name, 0) + count
        self.reasons = reasons
        alignment = adaptation.intake.alignment
        self.slipped = alignment is not None and alignment.slipped
        self.learning, self.enabled = adaptation.learning, adaptation.enabled
        self.status = {
            **adaptation.status(),
            'gain': None if adaptation.decision is None else adaptation.decision.gain,
            'p': None if adaptation.decision is None else adaptation.decision.p,
            'offset': None if alignment is None else alignment.offset,
            'teacher': adaptation.teacher.name,
            'needed': adaptation.settings.least_pairs,
            'part': adaptation.settings.distiller.part,
        }

    def _end(self, adaptation: Adaptation) -> None:
        """Save what is learned so far and release the folders."""
        with self._condition:
            waiting = list(self._commands)
            self._commands.clear()
        for _, future in waiting:
            future.set_exception(AdaptationError('the node is being taken down'))
        try:
            adaptation.save_state()
        except (AdaptationError, OSError) as err:
            self._node.get_logger().error(f'the state of learning is not saved: {err}')
        finally:
            adaptation.close()


def _text(err: BaseException) -> str:
    return ''.join(traceback.format_exception(type(err), err, err.__traceback__)).strip()
