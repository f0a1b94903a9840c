# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('safetensors', reason='safetensors is not installed')

from monother_ros.core.errors import SettingsError, TrainingError  # noqa: E402
from monother_ros.learning import trainer as trainer_module  # noqa: E402
from monother_ros.learning.augment import PLAIN  # noqa: E402
from monother_ros.learning.curves import write_curves  # noqa: E402
from monother_ros.learning.rendered import Frames  # noqa: E402
from monother_ros.learning.tasks.lite import LiteTask, evaluate_network  # noqa: E402
from monother_ros.learning.tasks.lite_batches import LiteSettings  # noqa: E402
from monother_ros.learning.trainer import CURVES, RunSettings, Trainer  # noqa: E402
from monother_ros.learning.training_state import (  # noqa: E402
    AVERAGE,
    BEST,
    LATEST,
    NETWORK,
    OPTIMISER,
    STATE,
    read_tensors,
)

TINY = LiteSettings(steps=8, full_steps=4, batch=4, full_batch=3, width=128, height=64, warmup=2)
QUIET = RunSettings(tensorboard=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One thread, and curves are drawn in one test only: that takes longer than tiny steps do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(trainer_module, 'write_curves', lambda *_args: None)
    yield
    torch.set_num_threads(before)


def run(folder, frames, settings=TINY, how=QUIET, **options):
    return Trainer(folder, LiteTask(frames, settings, **options), how)


def assert_same_weights(a, b):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def test_resumed_run_equals_uninterrupted(frames, tmp_path, monkeypatch):
    # sizes change at step 4, so the run is cut once in each part
    whole = run(tmp_path / 'whole', frames)
    whole.train(progress=False)
    for until in (3, 6, None):
        part = run(tmp_path / 'cut', frames)
        if until is None:
            monkeypatch.setattr(trainer_module, 'write_curves', write_curves)
        part.train(until, progress=False)
    assert whole.step == part.step == 8
    assert_same_weights(whole.network, part.network)
    assert_same_weights(whole.average, part.average)
    for name in (NETWORK, AVERAGE, OPTIMISER):
        a, b = (read_tensors(tmp_path / k / LATEST / name) for k in ('whole', 'cut'))
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a), name
    assert (tmp_path / 'cut' / CURVES).read_bytes()[:4] == b'\x89PNG'


def test_other_settings_are_refused(frames, small_dataset, tmp_path):
    run(tmp_path, frames).train(1, progress=False)
    with pytest.raises(SettingsError, match='other settings'):
        run(tmp_path, frames, replace(TINY, seed=1))
    with pytest.raises(SettingsError, match='other frames'):
        run(tmp_path, Frames(small_dataset, 7))
    with pytest.raises(SettingsError, match='other run'):
        run(tmp_path, frames, how=replace(QUIET, precision='bf16'))


def test_end_may_be_moved_before_the_last_phase_only(frames, tmp_path):
    run(tmp_path, frames).train(2, progress=False)
    trainer = run(tmp_path, frames, replace(TINY, steps=9, full_steps=3))
    assert trainer.step == 2
    trainer.train(7, progress=False)
    with pytest.raises(SettingsError, match='other settings'):
        run(tmp_path, frames)


def test_learning_rate():
    rates = [TINY.learning_rate(step) for step in range(8)]
    assert rates[0] == pytest.approx(TINY.rate / 2)
    assert rates[1] == rates[2] == rates[3] == TINY.rate
    assert rates[4] == pytest.approx(TINY.rate * (3 / 4) ** 0.5)
    assert all(a > b for a, b in itertools.pairwise(rates[3:]))


@pytest.mark.parametrize('name', [STATE, NETWORK, OPTIMISER])
def test_damaged_checkpoint_is_refused(frames, tmp_path, name):
    run(tmp_path, frames).train(1, progress=False)
    whole = (tmp_path / LATEST / name).read_bytes()
    (tmp_path / LATEST / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SettingsError, match=f'{name} cannot be read'):
        run(tmp_path, frames)


def test_checkpoint_of_another_format_is_refused(frames, tmp_path):
    run(tmp_path, frames).train(1, progress=False)
    path = tmp_path / LATEST / STATE
    path.write_text(json.dumps({**json.loads(path.read_text()), 'format': 99}))
    with pytest.raises(SettingsError, match='no checkpoint of format'):
        run(tmp_path, frames)


def test_checkpoint_is_written_whole_or_not_at_all(frames, tmp_path, monkeypatch):
    trainer = run(tmp_path, frames)
    trainer.train(1, progress=False)
    before = {p.name: p.read_bytes() for p in (tmp_path / LATEST).iterdir()}
    real, calls = trainer_module.write_state.__globals__['safetensors'].torch.save_file, []

    def full(tensors, path, metadata=None):
        calls.append(path)
        if len(calls) == 2:
            msg = 'no space left on device'
            raise OSError(msg)
        real(tensors, path, metadata)

    monkeypatch.setattr('safetensors.torch.save_file', full)
    with pytest.raises(OSError, match='no space'):
        trainer.train(2, progress=False)
    assert {p.name: p.read_bytes() for p in (tmp_path / LATEST).iterdir()} == before
    assert not list(tmp_path.glob('.latest*'))


def test_checkpoint_moved_aside_in_a_crash_is_found_again(frames, tmp_path):
    run(tmp_path, frames).train(2, progress=False)
    aside = tmp_path / f'.{LATEST}.old.x'
    aside.mkdir()
    (tmp_path / LATEST).rename(aside / LATEST)
    assert run(tmp_path, frames).step == 2
    assert (tmp_path / LATEST / STATE).exists()
    assert not aside.exists()


def test_overfits_a_few_frames(small_dataset, tmp_path):
    frames = Frames(small_dataset, 4)
    settings = LiteSettings(
        steps=60,
        full_steps=60,
        full_batch=4,
        width=128,
        height=64,
        rate=6e-3,
        average=0.9,
        warmup=5,
    )
    how = replace(QUIET, log_every=1)
    trainer = run(tmp_path, frames, settings, how, augment=PLAIN)
    before = evaluate_network(trainer.average, frames, (128, 64))
    trainer.train(progress=False)
    after = evaluate_network(trainer.average, frames, (128, 64))
    losses = trainer.training['total']
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert after['abs_rel'] < 0.15 < before['abs_rel']
    assert after['d1'] > 0.8


def test_order_visits_every_frame_once_an_epoch(frames):
    batches = LiteTask(frames, TINY).batches
    seen = [int(i) for step in range(3) for i in batches.indices(step)]
    assert sorted(seen) == list(range(12))
    assert seen != sorted(seen)
    assert batches.batch(0).image.shape == (4, 1, 32, 64)
    assert batches.batch(4).image.shape == (3, 1, 64, 128)


def test_parts_of_processes_are_the_whole_batch(frames):
    batches = LiteTask(frames, TINY).batches
    whole = batches.batch(1)
    parts = [batches.batch(1, rank, 2) for rank in range(2)]
    for k in range(2):
        assert torch.equal(torch.cat([part[k] for part in parts]), whole[k])
    with pytest.raises(SettingsError, match='3 cannot be divided evenly into 2'):
        batches.batch(4, 0, 2)


def test_failing_batch_stops_the_run(frames, tmp_path, monkeypatch):
    trainer = run(tmp_path, frames)

    def fail(*_args):
        msg = 'disk is gone'
        raise OSError(msg)

    monkeypatch.setattr(type(trainer.task.batches), 'batch', fail)
    with pytest.raises(OSError, match='disk is gone'):
        trainer.train(progress=False)


def test_a_run_may_begin_with_the_weights_of_another(frames, tmp_path):
    first = run(tmp_path / 'first', frames)
    first.train(5, progress=False)
    second = run(tmp_path / 'second', frames, start=first.average)
    assert_same_weights(first.average, second.network)
    second.train(1, progress=False)
    assert run(tmp_path / 'second', frames, start=first.average).step == 1
    with pytest.raises(SettingsError, match='other start'):
        run(tmp_path / 'second', frames)


def test_best_and_latest_weights_are_kept(frames, tmp_path, monkeypatch):
    figures = iter([0.5, 0.3, 0.4])

    def measure(*_args):
        abs_rel = next(figures)
        return [{'abs_rel': abs_rel, 'd1': 0.5, 'confidence': 0.5, 'ause_ratio': 0.5}, {}]

    trainer = run(tmp_path, frames, validation=frames, watch_every=2)
    monkeypatch.setattr(trainer.task, 'measure', measure)
    trainer.train(6, progress=False)
    assert trainer.watched['abs_rel'] == [0.5, 0.3, 0.4]
    assert trainer.lowest == 0.3
    about = {k: json.loads((tmp_path / k / STATE).read_text()) for k in (BEST, LATEST)}
    assert (about[BEST]['step'], about[LATEST]['step']) == (4, 6)
    assert {p.name for p in (tmp_path / BEST).iterdir()} == {NETWORK, AVERAGE, STATE}
    kept = read_tensors(tmp_path / BEST / AVERAGE)
    monkeypatch.undo()
    again = run(tmp_path / 'again', frames, validation=frames, watch_every=0)
    again.train(4, progress=False)
    for name, value in again.average.state_dict().items():
        assert torch.equal(value, kept[name]), name
    assert run(tmp_path, frames, validation=frames, watch_every=2).lowest == 0.3


def test_steps_with_gradients_that_are_no_numbers_change_nothing(frames, tmp_path, monkeypatch):
    trainer = run(tmp_path, frames)
    real = type(trainer.task.batches).batch

    def poisoned(self, step, rank=0, world=1):
        batch = real(self, step, rank, world)
        return batch._replace(image=batch.image * np.nan) if step == 1 else batch

    monkeypatch.setattr(type(trainer.task.batches), 'batch', poisoned)
    states = []
    for parts in trainer.batches(0, 3):
        trainer.advance(parts)
        states.append({k: v.clone() for k, v in trainer.network.state_dict().items()})
    assert trainer.step == 3
    assert trainer.skipped == 1
    for name, value in states[0].items():
        assert torch.isfinite(states[1][name]).all(), name
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(value, states[1][name]), name
    assert any(not torch.equal(v, states[2][k]) for k, v in states[1].items())


def test_a_run_that_only_skips_ends_with_an_error(frames, tmp_path, monkeypatch):
    trainer = run(tmp_path, frames, how=replace(QUIET, skips=3))
    real = type(trainer.task.batches).batch

    def poisoned(self, *args):
        batch = real(self, *args)
        return batch._replace(image=batch.image * np.nan)

    monkeypatch.setattr(type(trainer.task.batches), 'batch', poisoned)
    with pytest.raises(TrainingError, match='3 steps in a row, up to step 2'):
        trainer.train(progress=False)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_mixed_precision_trains_and_resumes(frames, tmp_path, precision):
    how = replace(QUIET, precision=precision, log_every=1)
    settings = replace(TINY, steps=3, full_steps=0)
    whole = run(tmp_path / 'whole', frames, settings, how)
    whole.train(progress=False)
    for until in (2, None):
        part = run(tmp_path / 'cut', frames, settings, how)
        part.train(until, progress=False)
    assert_same_weights(whole.network, part.network)
    with torch.no_grad():
        exact = float(LiteTask(frames, settings).module(part.task.batches.batch(0))['total'])
    assert part.training['total'][0] == pytest.approx(exact, rel=0.02)
    assert part.training['total'][0] != exact
    assert all(p.dtype == torch.float32 for p in part.network.parameters())
    # the first scales of half precision are too large, such steps are skipped
    assert (part.skipped > 0) == (precision == 'fp16')
    assert part.scaler.get_scale() == whole.scaler.get_scale()


def test_worker_processes_make_the_same_batches(frames, tmp_path):
    settings = replace(TINY, steps=3, full_steps=0)
    here = run(tmp_path / 'here', frames, settings)
    there = run(tmp_path / 'there', frames, settings, replace(QUIET, workers=1))
    for a, b in zip(here.batches(0, 3), there.batches(0, 3), strict=True):
        for x, y in zip(a[0], b[0], strict=True):
            assert torch.equal(x, y)


def test_event_files_can_be_read_back(frames, tmp_path):
    accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason='tensorboard is not installed',
    )
    for until in (3, 6):
        trainer = run(
            tmp_path, frames, how=RunSettings(log_every=1), validation=frames, watch_every=4
        )
        trainer.train(until, progress=False)
    events = accumulator.EventAccumulator(str(tmp_path / 'log')).Reload()
    assert {'train/total', 'train/norm', 'train/rate', 'validation/abs_rel'} <= set(
        events.Tags()['scalars']
    )
    found = [(e.step, e.value) for e in events.Scalars('train/total')]
    assert [step for step, _ in found] == [1, 2, 3, 4, 5, 6]
    assert [v for _, v in found] == pytest.approx(trainer.training['total'], rel=1e-6)
    assert [e.step for e in events.Scalars('validation/abs_rel')] == [4]
    assert events.Scalars('speed/samples_per_second')[-1].value > 0


def test_accumulated_parts_make_one_step(frames, tmp_path):
    settings = replace(TINY, steps=2, full_steps=0)
    trainer = run(tmp_path, frames, settings, replace(QUIET, accumulate=2, log_every=1))
    parts = next(iter(trainer.batches(0, 1)))
    assert [part.image.shape[0] for part in parts] == [2, 2]
    losses = trainer.advance(parts)
    assert trainer.step == 1
    other = LiteTask(frames, settings)
    with torch.no_grad():
        expected = [float(other.module(part)['total']) for part in parts]
    assert float(losses['total']) == pytest.approx(sum(expected) / 2, rel=1e-6)
