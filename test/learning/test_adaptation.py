# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Learning on the vehicle as a whole: a tiny student, a tiny teacher, real revisions on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adapt_rig import HEIGHT, POSE, WIDTH, make_models, view

from monother_ros.core.bundle import load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import AdaptationError, SettingsError
from monother_ros.learning.adaptation import Adaptation, AdaptationSettings
from monother_ros.learning.adaptation_state import read_state, write_state
from monother_ros.learning.alignment import Alignment
from monother_ros.learning.anchors import Anchors
from monother_ros.learning.candidate import BLENDS
from monother_ros.learning.distiller import DistillerSettings
from monother_ros.learning.gates import GateSettings
from monother_ros.learning.guard import Decision, GuardSettings
from monother_ros.learning.revisions import RevisionStore
from monother_ros.learning.teacher import load_teacher

SECOND = 1_000_000_000
CAMERA = Intrinsics(WIDTH, HEIGHT, 80.0, 80.0, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
SETTINGS = AdaptationSettings(
    distiller=DistillerSettings(rate=2e-3, confidence=False, augment=0.0),
    gates=GateSettings(night=0.0, day=0.0, black=1.0, shutter=0.0),
    guard=GuardSettings(confidence=0.6, least_pairs=8),
    batch=2,
    step_rate=10.0,
    pair_rate=10.0,
    least_pairs=4,
    consider_steps=12,
    held_out_every=3,
    block_seconds=0.5,
    gap_seconds=0.1,
    average=0.0,
)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    return make_models(tmp_path_factory.mktemp('models'))


@pytest.fixture
def learner(models, tmp_path):
    """Makes learners that share one store and one memory, one after the other."""
    made = []

    def make(**changes):
        if made:
            made[-1].close()
        bundle = load_bundle(models / 'student')
        learning = Adaptation(
            bundle,
            load_teacher(f'bundle:{models / "teacher"}'),
            None,
            store=RevisionStore(tmp_path / 'revisions'),
            memory=tmp_path / 'memory',
            clock=Clock(),
            **{'settings': SETTINGS, **changes},
        )
        learning.set_rig(CAMERA, CAMERA, np.array(POSE).reshape(4, 4))
        made.append(learning)
        return learning

    yield make
    made[-1].close()


def drive(learning, count, first=0):
    """Show pairs at 10 Hz, with a step after each that is due."""
    offers = []
    for index in range(first, first + count):
        learning._clock.now = index * 0.1
        thermal, rgb = view(index)
        stamp = SECOND + index * SECOND // 10
        offers.append(learning.offer(thermal, stamp, rgb, stamp))
        learning.work()
    return offers


def test_it_learns_and_writes_a_revision_that_is_better(learner):
    learning = learner()
    drive(learning, 70)
    assert learning.offers >= 1
    assert learning.current.parent is not None
    revision = learning.store.current()
    assert revision.revision == learning.current.revision
    assert revision.metrics['gain'] > 0
    pairs = learning.held_out.pairs()
    fresh = Adaptation(
        load_bundle(learning.base.path), learning.teacher, None, settings=SETTINGS
    ).distiller.errors(pairs)
    assert np.nanmean(learning.distiller.errors(pairs)) < np.nanmean(fresh)


def test_the_mixture_that_is_judged_is_the_one_that_is_offered(learner, models, monkeypatch):
    width, height = load_bundle(models / 'student').input_size
    pictures = np.zeros((4, height, width), np.uint8)
    depth = np.full((4, height // 4, width // 4), 5, np.float16)
    learning = learner(anchors=Anchors(pictures, depth))
    candidate = learning.candidate
    shares = []
    real = candidate.errors

    def anchor_errors(anchors, enough):
        candidate._blend = 2
        return np.ones(4), np.ones(4)

    def errors(pairs):
        shares.append(candidate.blend)
        return real(pairs)

    monkeypatch.setattr(candidate, 'anchor_errors', anchor_errors)
    monkeypatch.setattr(candidate, 'errors', errors)
    drive(learning, 60)
    learning.consider()
    assert shares and set(shares) == {BLENDS[2]}


def test_what_is_held_out_is_never_trained_on_and_keeps_its_distance(learner):
    learning = learner()
    drive(learning, 60)
    trained = sorted(pair.stamp_ns for pair in learning.replay.pairs())
    judged = sorted(pair.stamp_ns for pair in learning.held_out.pairs())
    assert trained
    assert judged
    assert all(pair.weight is not None for pair in learning.held_out.pairs())
    gap = min(abs(a - b) for a in trained for b in judged)
    assert gap > 0.1 * SECOND


def test_a_restart_goes_on_where_it_was_saved(learner):
    first = learner()
    drive(first, 50)
    first.save_state()
    steps, weights = first.steps, first.student.snapshot()
    second = learner()
    assert second.steps == steps
    assert second.current.revision == first.current.revision
    for name, value in second.student.snapshot().items():
        assert torch.equal(value, weights[name])
    assert len(second.replay) == len(first.replay)
    drive(second, 10, first=50)
    assert second.steps > steps


def test_the_state_of_other_weights_is_not_taken(learner):
    first = learner()
    drive(first, 50)
    first.save_state()
    first.store.use(first.base.revision)
    second = learner()
    assert second.current.revision == second.base.revision
    assert second.counters['saved state is of other weights'] == 1
    assert second.steps == 0


def test_a_state_of_another_version_does_not_keep_it_from_starting(learner):
    first = learner()
    drive(first, 50)
    first.save_state()
    folder = first.memory / 'state'
    found = read_state(folder)
    optimiser = {k: v for k, v in found.optimiser.items() if k != 'levels'}
    write_state(folder, found.weights, optimiser, found.values)
    second = learner()
    assert second.counters['saved state does not fit'] == 1
    assert 'left aside' in second.problem
    assert second.current.revision == first.current.revision
    good = Adaptation(load_bundle(second.current.path), second.teacher, None, settings=SETTINGS)
    for name, value in second.student.snapshot().items():
        assert torch.equal(value, good.student.snapshot()[name])
    drive(second, 10, first=50)
    assert second.steps > 0


def test_weights_that_break_go_back_to_the_good_ones(learner):
    learning = learner()
    drive(learning, 20)
    rate = learning.distiller.rate
    good = load_bundle(learning.current.path)
    with torch.no_grad():
        next(iter(learning.student.module.parameters())).fill_(float('nan'))
    drive(learning, 12, first=20)
    assert learning.rollbacks == 1
    assert learning.counters['step without a finite gradient'] >= 1
    assert learning.distiller.rate < rate
    assert learning.current.revision == good.revision
    assert all(torch.isfinite(v).all() for v in learning.student.snapshot().values())


def test_what_the_guard_refuses_falls_back(learner, monkeypatch):
    learning = learner()
    drive(learning, 8)
    before = {k: v.clone() for k, v in learning.candidate._good.items()}
    monkeypatch.setattr(
        learning._guard, 'judge', lambda *_: Decision('roll back', 'worse', -0.1, 1.0, 0.0)
    )
    drive(learning, 30, first=8)
    assert learning.rollbacks >= 1
    assert learning.rates.factor < 1.0
    learning.candidate.go_back()
    for name, value in learning.student.snapshot().items():
        assert torch.equal(value, before[name])


def test_a_revision_that_cannot_be_written_is_told_and_learning_goes_on(learner, monkeypatch):
    learning = learner()

    def full(*_arguments, **_named):
        msg = 'no space left on device'
        raise AdaptationError(msg)

    monkeypatch.setattr(learning.store, 'write', full)
    with pytest.raises(AdaptationError, match='no space left'):
        drive(learning, 80)
    steps = learning.steps
    monkeypatch.undo()
    drive(learning, 40, first=80)
    assert learning.steps > steps
    assert learning.offers >= 1


def test_rollback_goes_to_the_revision_before_and_reset_to_the_model_as_it_came(learner):
    learning = learner()
    drive(learning, 90)
    newest, parent = learning.current.revision, learning.current.parent
    back = learning.rollback()
    assert back.revision == parent != newest
    assert learning.store.current().revision == parent
    learning.reset()
    assert learning.current.revision == learning.base.revision
    assert learning.store.current().revision == learning.base.revision
    assert len(learning.replay) == len(learning.held_out) == learning.steps == 0


def test_reasons_are_counted(models):
    learning = Adaptation(
        load_bundle(models / 'student'),
        load_teacher(f'bundle:{models / "teacher"}'),
        None,
        settings=SETTINGS,
        clock=Clock(),
    )
    thermal, rgb = view(0)
    assert learning.offer(thermal, SECOND, rgb, SECOND).reason == 'no calibration'
    learning.set_rig(CAMERA, CAMERA, np.array(POSE).reshape(4, 4))
    learning.enable(False)
    assert learning.offer(thermal, SECOND, rgb, SECOND).reason == 'disabled'
    learning.enable(True)
    late = SECOND + SECOND // 2
    assert learning.offer(thermal, SECOND, rgb, late).reason == 'stamps apart'
    # whether the shutter is closed is not known before the second frame
    assert learning.offer(thermal, SECOND, rgb, SECOND).reason == 'shutter'
    thermal, rgb = view(9)
    assert learning.offer(thermal, 2 * SECOND, rgb, 2 * SECOND).reason is None
    assert learning.counters.snapshot() == {
        'disabled': 1,
        'no calibration': 1,
        'shutter': 1,
        'stamps apart': 1,
        'taken': 1,
    }
    with pytest.raises(AdaptationError, match='no store'):
        learning.rollback()


def test_time_that_jumps_starts_the_blocks_anew(learner):
    learning = learner()
    drive(learning, 12)
    learning.time_jumped()
    learning._clock.now = 100.0
    offers = []
    for index in (40, 41):
        thermal, rgb = view(index)
        stamp = SECOND // 2 + (index - 40) * SECOND // 10
        offers.append(learning.offer(thermal, stamp, rgb, stamp))
    assert [offer.reason for offer in offers] == ['shutter', None]
    assert not offers[-1].held_out


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SettingsError, match='batch'):
        AdaptationSettings(batch=0)
    with pytest.raises(SettingsError, match='step_rate'):
        AdaptationSettings(step_rate=0.0)
    with pytest.raises(SettingsError, match='gap_seconds'):
        AdaptationSettings(gap_seconds=9.0, block_seconds=4.0)


def test_status_is_plain_values(learner):
    learning = learner()
    drive(learning, 30)
    status = learning.status()
    assert status['steps'] == learning.steps > 0
    assert isinstance(status['loss'], float)
    assert all(isinstance(v, str | int | float | None) for v in status.values())


def test_a_slip_is_not_learned_from_and_the_pairs_before_it_is_told_are_forgotten(learner):
    learning = learner()
    drive(learning, 30)
    before = len(learning.replay) + len(learning.held_out)
    assert before > 0
    slipped = Alignment((9.0, 0.0), 1.0, slipped=True, text='off by 9 px')
    learning.intake._monitor.update = lambda _pair: slipped
    offers = drive(learning, 3, first=40)
    assert {offer.reason for offer in offers} == {'misaligned'}
    assert learning.counters['forgotten: misaligned'] == before - len(learning.replay) - len(
        learning.held_out
    )
    assert learning.counters['misaligned'] == 3
    assert learning.intake.alignment is slipped
