# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Learning on the vehicle: from pairs of pictures to revisions of the student that are proven better.

One object does it for the node and for the experiments alike. All methods are to be called from
one thread. Depth does not depend on it: what it hands over are bundle folders.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from monother_ros.core.errors import AdaptationError
from monother_ros.core.stats import Counters
from monother_ros.learning.adaptation_settings import AdaptationSettings
from monother_ros.learning.adaptation_state import read_state, write_state
from monother_ros.learning.candidate import Candidate
from monother_ros.learning.distiller import Distiller, Judgement, StepResult
from monother_ros.learning.guard import Decision, Guard, time_blocks
from monother_ros.learning.guard_rate import ExplosionWatch, RateFall
from monother_ros.learning.intake import MISALIGNED, Intake, Offer
from monother_ros.learning.online_pair import OnlinePair
from monother_ros.learning.replay import ReplayBuffer
from monother_ros.learning.student import Student, load_student

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.core.camera import Intrinsics
    from monother_ros.learning.anchors import Anchors
    from monother_ros.learning.revisions import RevisionStore
    from monother_ros.learning.teacher import Teacher

__all__ = ['Adaptation', 'AdaptationSettings', 'Offer']

DISABLED = 'disabled'
TAKEN = 'taken'

SUSPECT = 12
"""Newest pairs of each memory that are forgotten when the calibration is found to have slipped:
the monitor tells it within so many."""

RESET_STEPS = 3
"""Steps in a row without a finite gradient after which the weights go back."""


class Adaptation:
    """
    The student, its teacher, its memory and its guard.

    :param bundle: the student as it came; it carries weights to train from.
    :param teacher: says depth for RGB pictures.
    :param confidence: network that judges the teacher; None trusts it everywhere (see
        DistillerSettings.confidence).
    :param store: where revisions go; None keeps them in memory only.
    :param memory: folder of pairs and of the state of learning; None keeps them in memory only.
    :param anchors: frames of where the student comes from.
    :param settings: see :class:`AdaptationSettings`.
    :param clock: seconds of a steady clock.
    :param device: torch name of where the student learns.
    :raises AdaptationError: the bundle cannot be trained, or the memory cannot be used.
    """

    def __init__(
        self,
        bundle: Bundle,
        teacher: Teacher,
        confidence: torch.nn.Module | None,
        *,
        store: RevisionStore | None = None,
        memory: Path | None = None,
        anchors: Anchors | None = None,
        settings: AdaptationSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        device: str = 'cpu',
    ) -> None:
        self.settings = settings or AdaptationSettings()
        self.base = bundle
        self.teacher = teacher
        self.store = store
        self.memory = memory
        self.counters = Counters()
        self.rates = RateFall()
        self.decision: Decision | None = None
        self.last_step: StepResult | None = None
        self.problem = ''
        self.enabled = True
        self.steps = 0
        self.offers = 0
        self.rollbacks = 0
        self.stopped = ''
        self._slipped = False
        self._bad = self._since = 0
        self.current: Bundle
        self.student: Student
        self.distiller: Distiller
        self.candidate: Candidate
        self._clock = clock
        self._confidence = confidence
        self._device = device
        self._rng = np.random.default_rng([self.settings.seed, 4])
        self._watch = ExplosionWatch()
        self._guard = Guard(self.settings.guard)
        self._anchors = None if anchors is None else anchors.for_bundle(bundle)
        root = memory
        self.replay = ReplayBuffer(
            None if root is None else root / 'replay',
            self.settings.replay_bytes,
            self.settings.seed,
        )
        self.held_out = ReplayBuffer(
            None if root is None else root / 'held_out',
            self.settings.held_out_bytes,
            self.settings.seed + 1,
        )
        self._last_work: float | None = None
        self._last_save = clock()
        if store is not None:
            self.base = store.write_base(bundle)
        self._begin(self._in_use())
        self.intake = Intake(
            bundle, teacher, self.settings, lambda pair: self.distiller.express(pair)
        )
        self._resume()

    # cameras and pictures

    def set_rig(
        self, thermal: Intrinsics, rgb: Intrinsics, extrinsics: NDArray[np.floating]
    ) -> bool:
        """Calibration of the rig; see :meth:`monother_ros.learning.intake.Intake.set_rig`."""
        return self.intake.set_rig(thermal, rgb, extrinsics)

    def offer(
        self,
        thermal: NDArray[Any],
        thermal_stamp_ns: int,
        rgb: NDArray[np.uint8],
        rgb_stamp_ns: int,
    ) -> Offer:
        """
        Show a pair of pictures; it is taken to learn from or refused with a reason.

        :param thermal: (H, W) uint8 or uint16 counts.
        :param thermal_stamp_ns: nanoseconds.
        :param rgb: (H, W, 3) uint8, red first.
        :param rgb_stamp_ns: nanoseconds.
        :raises ThermalError: the thermal picture cannot be taken.
        :raises CalibrationError: a picture does not fit its calibration.
        :raises AdaptationError: the memory cannot be written.
        """
        offer = Offer(DISABLED)
        if self.enabled:
            offer = self.intake.look(thermal, thermal_stamp_ns, rgb, rgb_stamp_ns)
        if offer.reason is None and offer.pair is not None:
            if offer.held_out:
                weight = self.distiller.weigh(offer.pair)
                self.held_out.add(replace(offer.pair, weight=weight))
            else:
                self.replay.add(offer.pair)
        slipped = offer.reason == MISALIGNED
        if slipped and not self._slipped:
            # a slip is told some pairs after it happened
            dropped = self.replay.discard_newest(SUSPECT) + self.held_out.discard_newest(SUSPECT)
            self.counters.add('forgotten: misaligned', dropped)
        self._slipped = slipped
        self.counters.add(TAKEN if offer.reason is None else offer.reason)
        return offer

    def judge(self, pair: OnlinePair) -> Judgement:
        """
        Confidence, mask and difference of a pair, for people; nothing is learned.

        :param pair: with the teacher's depth.
        """
        return self.distiller.judge(pair)

    # learning

    @property
    def learning(self) -> bool:
        """Whether there is enough to take steps on, and nothing stops them."""
        return self.enabled and not self.stopped and len(self.replay) >= self.settings.least_pairs

    def due(self) -> bool:
        """Whether :meth:`work` would take a step now."""
        wait = 1.0 / self.settings.step_rate
        return self.learning and (
            self._last_work is None or self._clock() - self._last_work >= wait
        )

    def work(self) -> StepResult | None:
        """
        One step of the optimiser, and what follows from it, where one is due.

        :returns: the step; None where none was due.
        :raises AdaptationError: a revision or the state cannot be written; learning goes on.
        """
        if not self.due():
            return None
        self._last_work = self._clock()
        pairs = self.replay.sample(self.settings.batch)
        if not pairs:
            return None
        anchors = None
        if self._anchors is not None and self.settings.anchor_batch:
            anchors = self._anchors.sample(self.settings.anchor_batch, self._rng)
        step = self.distiller.step(pairs, anchors)
        self.last_step = step
        self.steps += 1
        self._bad = 0 if step.finite else self._bad + 1
        if not step.finite:
            self.counters.add('step without a finite gradient')
        if self._watch.update(step.loss) or self._bad >= RESET_STEPS:
            self._go_back('the loss has exploded')
            return step
        self.candidate.follow(self.settings.average)
        self._since += 1
        enough = len(self.held_out) >= self.settings.guard.least_pairs
        if self._since >= self.settings.consider_steps and enough:
            self.consider()
        now = self._clock()
        if self.memory is not None and now - self._last_save >= self.settings.save_seconds:
            self.save_state()
        return step

    def consider(self) -> Decision | None:
        """
        Let the guard judge the weights now; offers a revision, waits or goes back.

        :returns: the decision; None where there is nothing held out yet.
        :raises AdaptationError: the revision cannot be written; learning goes on.
        """
        self._since = 0
        pairs = sorted(self.held_out.pairs(), key=lambda pair: pair.stamp_ns)
        if not pairs:
            return None
        anchors_before = anchors_after = None
        if self._anchors is not None:
            limit = self.settings.guard.tolerance
            # first, as it decides how much of the original is mixed into what is judged
            anchors_before, anchors_after = self.candidate.anchor_errors(
                self._anchors,
                lambda before, after: self._guard.worst_anchors(before, after) <= limit,
            )
        before, after = self.candidate.errors(pairs)
        blocks = time_blocks([pair.stamp_ns for pair in pairs], self.settings.block_seconds)
        decision = self._guard.judge(before, after, anchors_before, anchors_after, blocks)
        self.decision = decision
        self.counters.add(f'guard: {decision.action}')
        if decision.action == 'offer':
            self._accept(decision, after, anchors_after)
        elif decision.action == 'roll back':
            self._go_back(decision.reason)
        return decision

    def _accept(
        self,
        decision: Decision,
        errors: NDArray[np.float64],
        anchors: NDArray[np.float64] | None,
    ) -> None:
        """Make the judged weights the good ones, and a revision of them."""
        if self.store is not None:
            metrics: dict[str, Any] = {
                'held_out_error': float(np.nanmean(errors)),
                'gain': decision.gain,
                'p': decision.p,
                'blend': self.candidate.blend,
            }
            if anchors is not None:
                metrics['anchor_abs_rel'] = float(np.nanmean(anchors))
                metrics['anchor_change'] = decision.anchor_change
            written = self.candidate.write(
                self.store,
                self.current,
                metrics,
                {
                    'method': 'distillation on the vehicle',
                    'teacher': self.teacher.name,
                    'steps': self.steps,
                    'pairs': self.counters[TAKEN],
                    'part': self.settings.distiller.part,
                },
                self.held_out.pairs(),
            )
            self.current = self.store.use(written.revision)
        self.candidate.accept()
        self.offers += 1
        self.distiller.rate = self.settings.distiller.rate * self.rates.offered()

    def _go_back(self, reason: str) -> None:
        """Back to the weights that were good, more slowly from there."""
        self.problem = f'went back to the last good weights: {reason}'
        self.candidate.go_back()
        self.rollbacks += 1
        self.counters.add('roll back')
        self.distiller.rate = self.settings.distiller.rate * self.rates.rolled_back()
        self._watch.reset()
        self._bad = self._since = 0

    # what people and the node ask for

    def enable(self, on: bool) -> None:
        """
        Learn, or leave everything as it is.

        :param on: whether to learn.
        """
        self.enabled = on
        if on:
            self.stopped = ''

    def set_rates(self, step_rate: float, pair_rate: float) -> None:
        """
        Change how fast it goes, from the next step and pair on.

        :param step_rate: steps per second at most, > 0.
        :param pair_rate: pairs per second that are taken at most, > 0.
        :raises SettingsError: one is not positive.
        """
        self.settings = replace(self.settings, step_rate=step_rate, pair_rate=pair_rate)
        self.intake.settings = self.settings

    def stop(self, reason: str) -> None:
        """
        Stop learning until it is enabled again: memory, disk.

        :param reason: for people.
        """
        self.stopped = self.problem = reason

    def save(self) -> Decision | None:
        """
        Judge the weights now, and keep the state of learning.

        :raises AdaptationError: it cannot be written.
        """
        decision = self.consider()
        self.save_state()
        return decision

    def rollback(self) -> Bundle:
        """
        Go back to the revision before the one in use, and make it the one in use.

        :returns: that revision, or the bundle as it came.
        :raises AdaptationError: there is none before.
        """
        if self.store is None:
            msg = 'there is no store of revisions, so there is none to go back to'
            raise AdaptationError(msg)
        before = self.store.rollback('asked for')
        self._begin(before)
        self.rollbacks += 1
        self.distiller.rate = self.settings.distiller.rate * self.rates.rolled_back()
        return before

    def reset(self) -> None:
        """
        Back to the bundle as it came; pairs and the state of learning are forgotten.

        :raises AdaptationError: the memory cannot be written.
        """
        self.replay.clear()
        self.held_out.clear()
        self.rates.reset()
        self._use(self.base)
        self.time_jumped()
        self.steps = 0
        self.counters.clear()
        self.save_state()

    def time_jumped(self) -> None:
        """Stamps start anew: a bag loops, or the clock was set."""
        self._last_work = None
        self._last_save = self._clock()
        self.intake.reset()

    def status(self) -> dict[str, Any]:
        """Numbers for diagnostics, plain values."""
        step, decision = self.last_step, self.decision
        return {
            'steps': self.steps,
            'loss': None if step is None else step.loss,
            'confidence': None if step is None else step.confidence,
            'mask share': None if step is None else step.mask_share,
            'replay pairs': len(self.replay),
            'replay MB': round(self.replay.bytes / 1e6, 1),
            'held out': len(self.held_out),
            'offers': self.offers,
            'roll backs': self.rollbacks,
            'learning rate factor': self.rates.factor,
            'decision': '' if decision is None else f'{decision.action}: {decision.reason}',
            'revision': self.current.revision,
            'parent': self.current.parent or '',
            'alignment': '' if self.intake.alignment is None else self.intake.alignment.text,
            'stopped': self.stopped,
            'problem': self.problem or self.intake.problem,
        }

    # state

    def save_state(self) -> None:
        """
        Write the state of learning whole or not at all; nothing where there is no memory.

        :raises AdaptationError: it cannot be written.
        """
        self._last_save = self._clock()
        if self.memory is None:
            return
        values = {
            'revision': self.current.revision,
            'digest': self.current.digest,
            'part': self.settings.distiller.part,
            'steps': self.steps,
            'rates': self.rates.state(),
            'guard': self._guard.state(),
            'average': self.settings.average,
        }
        write_state(
            self.memory / 'state', self.candidate.tensors(), self.distiller.state(), values
        )

    def close(self) -> None:
        """Release the folders that only one process may write; the state is not saved."""
        self.replay.close()
        self.held_out.close()
        if self.store is not None:
            self.store.close()

    def _resume(self) -> None:
        """Go on where an earlier run was saved, if that was with the same good weights."""
        if self.memory is None:
            return
        found = read_state(self.memory / 'state')
        if found is None:
            return
        values, settings = found.values, self.settings
        expected = (self.current.digest, settings.distiller.part, settings.average)
        if tuple(values.get(k) for k in ('digest', 'part', 'average')) != expected:
            self.counters.add('saved state is of other weights')
            return
        try:
            self.candidate.load(found.weights)
            self.distiller.load_state(found.optimiser)
            self.rates.load_state(values['rates'])
            self._guard.load_state(values['guard'])
            self.steps = int(values['steps'])
        except (AdaptationError, KeyError, TypeError, ValueError) as err:
            # of another version: no reason not to start
            self.counters.add('saved state does not fit')
            self.problem = f'the saved state of learning is left aside: {err}'
            self.rates.reset()
            self._begin(self.current)
        self.distiller.rate = settings.distiller.rate * self.rates.factor

    def _begin(self, bundle: Bundle) -> None:
        """Student, distiller and candidate from a bundle or revision."""
        self.current = bundle
        self.student = load_student(bundle, self._device)
        original = None
        if bundle.digest != self.base.digest:
            original = load_student(self.base, self._device)
        self.distiller = Distiller(
            self.student, self._confidence, self.settings.distiller, original
        )
        self.distiller.rate = self.settings.distiller.rate * self.rates.factor
        self.candidate = Candidate(self.student, self.distiller, original)
        self._watch.reset()
        self._bad = self._since = 0
        self.stopped = ''

    def _use(self, bundle: Bundle) -> None:
        """Make a bundle or revision the one in use, here and for the depth node."""
        if self.store is not None:
            bundle = self.store.use(bundle.revision)
        self._begin(bundle)

    def _in_use(self) -> Bundle:
        """The revision in use that comes from the base; the base where there is none."""
        if self.store is None:
            return self.base
        found = self.store.current()
        if found is not None and self.base.revision in self.store.lineage(found.revision):
            return found
        return self.store.use(self.base.revision)
