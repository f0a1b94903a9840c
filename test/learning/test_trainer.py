# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.learning.augment import PLAIN  # noqa: E402
from monother_ros.learning.batches import TrainSettings  # noqa: E402
from monother_ros.learning.rendered import Frames  # noqa: E402
from monother_ros.learning.trainer import (  # noqa: E402
    CHECKPOINT,
    CURVES,
    Trainer,
    evaluate_network,
    load_checkpoint,
)

TINY = TrainSettings(steps=8, full_steps=4, batch=4, full_batch=3, width=128, height=64, warmup=2)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_resumed_run_equals_uninterrupted(small_dataset, tmp_path):
    frames = Frames(small_dataset)
    # sizes change at step 4, so the run is cut once in each part
    whole = Trainer(tmp_path / 'whole', frames, TINY)
    whole.train(progress=False)
    for until in (3, 6, None):
        part = Trainer(tmp_path / 'cut', frames, TINY)
        part.train(until, progress=False)
    assert whole.step == part.step == 8
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, part.network.state_dict()[name]), name
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, part.average.state_dict()[name]), name
    assert (tmp_path / 'cut' / CURVES).read_bytes()[:4] == b'\x89PNG'


def test_other_settings_are_refused(small_dataset, tmp_path):
    frames = Frames(small_dataset)
    Trainer(tmp_path, frames, TINY).train(1, progress=False)
    other = TrainSettings(**{**TINY.__dict__, 'seed': 1})
    with pytest.raises(SettingsError, match='other settings'):
        Trainer(tmp_path, frames, other)
    with pytest.raises(SettingsError, match='other frames'):
        Trainer(tmp_path, Frames(small_dataset, 7), TINY)


def test_end_may_be_moved_before_the_last_phase_only(small_dataset, tmp_path):
    frames = Frames(small_dataset)
    Trainer(tmp_path, frames, TINY).train(2, progress=False)
    longer = TrainSettings(**{**TINY.__dict__, 'steps': 9, 'full_steps': 3})
    trainer = Trainer(tmp_path, frames, longer)
    assert trainer.step == 2
    trainer.train(7, progress=False)
    with pytest.raises(SettingsError, match='other settings'):
        Trainer(tmp_path, frames, TINY)


def test_learning_rate():
    rates = [TINY.learning_rate(step) for step in range(8)]
    assert rates[0] == pytest.approx(TINY.rate / 2)
    assert rates[1] == rates[2] == rates[3] == TINY.rate
    assert rates[4] == pytest.approx(TINY.rate * (3 / 4) ** 0.5)
    assert all(a > b for a, b in itertools.pairwise(rates[3:]))


def test_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b'no checkpoint')
    with pytest.raises(SettingsError, match='cannot be read'):
        load_checkpoint(tmp_path / CHECKPOINT)


def test_overfits_a_few_frames(small_dataset, tmp_path):
    frames = Frames(small_dataset, 4)
    settings = TrainSettings(
        steps=60,
        full_steps=60,
        full_batch=4,
        width=128,
        height=64,
        rate=6e-3,
        average=0.9,
        warmup=5,
    )
    trainer = Trainer(tmp_path, frames, settings, augment=PLAIN)
    before = evaluate_network(trainer.average, frames, (128, 64))
    trainer.train(log_every=1, watch_every=0, progress=False)
    after = evaluate_network(trainer.average, frames, (128, 64))
    losses = trainer.training['total']
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert after['abs_rel'] < 0.15 < before['abs_rel']
    assert after['d1'] > 0.8


def test_order_visits_every_frame_once_an_epoch(small_dataset, tmp_path):
    trainer = Trainer(tmp_path, Frames(small_dataset), TINY)
    seen = [int(i) for step in range(3) for i in trainer.batches.indices(step)]
    assert sorted(seen) == list(range(12))
    assert seen != sorted(seen)
    assert trainer.batches.batch(0)[0].shape == (4, 1, 32, 64)
    assert trainer.batches.batch(4)[0].shape == (3, 1, 64, 128)


def test_failing_batch_stops_the_run(small_dataset, tmp_path, monkeypatch):
    trainer = Trainer(tmp_path, Frames(small_dataset), TINY)

    def fail(_step):
        msg = 'disk is gone'
        raise OSError(msg)

    monkeypatch.setattr(trainer.batches, 'batch', fail)
    with pytest.raises(OSError, match='disk is gone'):
        trainer.train(progress=False)


def test_a_run_may_begin_with_the_weights_of_another(small_dataset, tmp_path):
    frames = Frames(small_dataset)
    first = Trainer(tmp_path / 'first', frames, TINY)
    first.train(5, progress=False)
    second = Trainer(tmp_path / 'second', frames, TINY, start=first.average)
    for name, value in first.average.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name
    second.train(1, progress=False)
    assert Trainer(tmp_path / 'second', frames, TINY, start=first.average).step == 1
    with pytest.raises(SettingsError, match='other start'):
        Trainer(tmp_path / 'second', frames, TINY)
