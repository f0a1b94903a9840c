# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs, samples and training of the confidence network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip('trimesh', reason='the simulator is not installed')
pytest.importorskip('embreex', reason='the simulator is not installed')
pytest.importorskip('tqdm', reason='tqdm is not installed')

from monother_ros.core.bundle import Normalisation, find_bundle, load_bundle
from monother_ros.core.errors import SettingsError
from monother_ros.learning.rendered import VALIDATION_SEED
from monother_ros.learning.rgb_faults import blurred, clouds, dark, drops, glare, spoil
from monother_ros.learning.tasks.recipes import TrustRecipe, load_recipe
from monother_ros.learning.tasks.trust import TrustSettings, TrustTask, trust_figures
from monother_ros.learning.trainer import Trainer
from monother_ros.learning.trust_pairs import (
    TRUST_TRAINING_SEED,
    TRUST_VALIDATION_SEED,
    TrustPlan,
    render_trust_pairs,
    true_pairs,
    trust_world_of,
)
from monother_ros.learning.trust_samples import (
    LOOKS,
    TrustSamples,
    TrustSources,
    disturbed,
    make_samples,
    sample_folder,
    teacher_error,
)
from monother_ros.networks.export import export_bundle
from monother_ros.networks.lite import LiteConfig, LiteNetwork

PLAN = TrustPlan(1, 40, 2)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Pairs of one world and the samples of an untrained teacher."""
    folder = tmp_path_factory.mktemp('trust')
    torch.manual_seed(0)
    teacher = export_bundle(
        LiteNetwork(LiteConfig(channels=3)).eval(),
        folder / 'teacher',
        revision='none',
        normalisation=Normalisation('fixed', 0.0, 255.0, 0.5, 0.25, channels=3),
        depth_range=(0.5, 80.0),
        focal_length=260.0,
        training={},
        metrics={},
        with_weights=False,
    )
    sources = TrustSources('lite', str(teacher.path))
    render_trust_pairs(PLAN, folder / 'pairs', workers=1)
    make_samples(PLAN, folder / 'pairs', sources, workers=1)
    return folder / 'pairs', sources


def test_worlds_are_of_all_kinds_and_of_their_own_seeds():
    plan = TrustPlan(160)
    worlds = [trust_world_of(plan, i) for i in range(plan.worlds)]
    assert {w.time_of_day for w in worlds} == {'day', 'dusk', 'night'}
    assert len({w.response for w in worlds}) == 5
    assert worlds[0].seed == TRUST_TRAINING_SEED
    assert max(w.seed for w in worlds) < VALIDATION_SEED < TRUST_VALIDATION_SEED
    with pytest.raises(SettingsError, match='reach'):
        TrustPlan(100, VALIDATION_SEED - 5)


def test_pairs_hold_the_truth_on_the_grid_of_comparisons(made):
    folder, _ = made
    pairs = list(true_pairs(folder, 0, load_bundle(find_bundle('lite'))))
    assert len(pairs) == 2
    for pair, truth, focal, world in pairs:
        assert world.scene == 'street'
        assert pair.thermal.shape == (1, 256, 320)
        assert pair.rgb.shape == (3, 256, 320)
        assert truth.shape == (128, 160)
        assert focal == pytest.approx(230.4, rel=0.03)
        assert np.isfinite(truth).mean() > 0.3
        assert (truth[-1] < 8).all()


def test_samples_hold_inputs_and_errors(made):
    folder, sources = made
    samples = TrustSamples(sample_folder(folder, sources), 1)
    assert len(samples) == 2 * LOOKS == len(samples.worlds)
    for sample in (samples[i] for i in range(len(samples))):
        assert sample.inputs.shape == (8, 128, 160)
        seen = sample.inputs.astype(np.float32)
        assert np.isfinite(seen).all()
        assert np.abs(seen[:2]).max() <= 1.001
        assert ((seen[5:] >= 0) & (seen[5:] <= 1)).all()
        counts = np.isfinite(sample.error)
        assert counts.mean() > 0.2
        assert (sample.error[counts] >= 0).all()
        # what can be compared differs by what it says
        comparable = (seen[2] >= 0) & (seen[3] > 0) & (seen[3] < 60) & (seen[4] < 60)
        gap = np.abs(np.abs(seen[3] - seen[4]) - seen[2])[comparable]
        assert np.quantile(gap, 0.99) < 0.2
    # the first look is the plain pair, the second another one
    assert (samples[0].inputs[3] != samples[1].inputs[3]).any()


def test_error_of_the_teacher():
    truth = np.array([[10.0, np.inf, 0.0, 5.0, np.inf]], np.float32)
    taught = np.array([[12.0, 30.0, 3.0, 0.0, 90.0]], np.float32)
    found = teacher_error(taught, truth)
    np.testing.assert_array_equal(found, np.float16([[2.0, 50.0, np.nan, np.nan, np.nan]]))


def test_disturbed_depth_stays_positive_and_differs():
    depth = np.full((1, 1, 64, 80), 8.0, np.float32)
    found = [disturbed(depth, np.random.default_rng(k)) for k in range(20)]
    assert min(d.min() for d in found) > 0
    means = np.array([d.mean() for d in found])
    assert means.std() > 0.8
    assert means.mean() == pytest.approx(8.0, rel=0.25)


@pytest.mark.parametrize('fault', [glare, drops, clouds, dark, blurred, spoil])
def test_faults_change_a_copy(fault):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (64, 80, 3), np.uint8)
    before = rgb.copy()
    found = fault(rgb, np.random.default_rng(1))
    np.testing.assert_array_equal(rgb, before)
    assert found.shape == rgb.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - rgb).mean() > 1
    np.testing.assert_array_equal(found, fault(rgb, np.random.default_rng(1)))


class _Made(TrustSamples):
    """Samples whose error is told by the colour red: dark is 0.05 m, bright is 5 m."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(3)
        self._kept = []
        self.worlds = [{'time_of_day': 'day', 'weather': 'clear'}] * count
        for _ in range(count):
            seen = rng.uniform(0, 1, (8, 32, 32)).astype(np.float16)
            seen[4] = 10.0
            seen[5] = np.repeat(np.repeat(rng.integers(0, 2, (4, 4)), 8, 0), 8, 1)
            error = np.where(seen[5] > 0.5, 5.0, 0.05).astype(np.float16)
            error[0] = np.nan
            self._kept.append((seen, error))

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index):
        from monother_ros.learning.trust_samples import TrustSample

        return TrustSample(*self._kept[index])


def test_network_learns_where_the_teacher_is_wrong(tmp_path):
    samples = _Made(8)
    settings = TrustSettings(width=4, steps=120, batch=4, warmup=5, rate=1e-2, average=0.9)
    task = TrustTask(samples, settings, validation=samples, watch_every=0)
    before = np.mean([trust_figures(task.network.eval(), samples, i)['nll'] for i in range(8)])
    trainer = Trainer(tmp_path, task)
    network = trainer.train(progress=False)
    rows = [trust_figures(network, samples, i) for i in range(8)]
    assert np.mean([row['nll'] for row in rows]) < before - 0.003
    assert np.mean([row['ause_ratio'] for row in rows]) < 0.3
    assert rows[0]['trusted'] < 0.3 * rows[0]['error']


def test_shipped_recipe_is_read():
    recipe = load_recipe('lite_confidence')
    assert isinstance(recipe, TrustRecipe)
    assert recipe.data.teacher == 'lite-rgb'
    assert load_recipe('lite_rgb').data.kind == 'rgb'
