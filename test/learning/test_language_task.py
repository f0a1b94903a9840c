# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The language head is trained: samples of simulated scenes, a tiny text encoder, the verb."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('transformers', reason='transformers is not installed')

from tiny_clip import FEATURES, make_clip, make_head  # noqa: E402

from monother_ros.cli.main import main  # noqa: E402
from monother_ros.core.errors import BundleError, SettingsError  # noqa: E402
from monother_ros.learning import trainer as trainer_module  # noqa: E402
from monother_ros.learning.language_samples import LanguageSamples, sample_folder  # noqa: E402
from monother_ros.learning.shards import shard_folder  # noqa: E402
from monother_ros.learning.tasks.language import (  # noqa: E402
    LanguageSettings,
    LanguageTask,
    new_head,
    scale_figures,
)
from monother_ros.learning.tasks.recipes import LanguageRecipe, load_recipe  # noqa: E402
from monother_ros.learning.trainer import RunSettings, Trainer  # noqa: E402
from monother_ros.networks.language_file import load_language  # noqa: E402
from monother_ros.networks.text_tower import Encoded, load_text_tower  # noqa: E402

QUIET = RunSettings(tensorboard=False, log_every=1, threads=1)
WORDS = {'street': 'an image with two cars, and a road.', 'corridor': 'an image with a wall.'}
FACTOR = {'street': 2.0, 'corridor': 0.5}
"""Truth over what the depth model says."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One thread and no curves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(trainer_module, 'write_curves', lambda *_args: None)
    yield
    torch.set_num_threads(before)


def write_samples(root, worlds=4, seed=0):
    """Scenes whose depth model is wrong by a factor that the sentence tells."""
    rng = np.random.default_rng(seed)
    for index in range(worlds):
        scene = ('street', 'corridor')[index % 2]
        said = rng.uniform(2, 20, (6, 12, 16))
        truth = FACTOR[scene] * said
        truth[:, :2] = np.inf
        folder = shard_folder(root, index)
        folder.mkdir(parents=True)
        np.save(folder / 'inverse.npy', (1 / said).astype(np.float16))
        np.save(folder / 'depth.npy', truth.astype(np.float16))
        facts = [{'scene': scene, 'sentences': [WORDS[scene]] * 2}] * 6
        (folder / 'sentences.json').write_text(json.dumps(facts))
    return root


@pytest.fixture(scope='module', name='tower')
def _tower(tmp_path_factory):
    return load_text_tower(str(make_clip(tmp_path_factory.mktemp('clip') / 'tiny')))


@pytest.fixture(name='samples')
def _samples(tmp_path):
    return LanguageSamples(write_samples(tmp_path / 'samples'), 4)


class PlainTower:
    """Stands for a trained text encoder: sentences of other words have other features."""

    name, features = 'plain', FEATURES

    def encode(self, sentences):
        rows = [np.random.default_rng(len(s)).standard_normal(FEATURES) for s in sentences]
        return Encoded(torch.from_numpy(3.0 * np.stack(rows)).float(), [False] * len(rows))


def test_the_head_learns_what_the_sentence_tells(samples, tmp_path):
    settings = LanguageSettings(steps=120, batch=4, rate=1e-3, last_rate=1e-4)
    task = LanguageTask(samples, settings, PlainTower(), validation=samples, watch_every=20)
    before = task.measure(task.network, 0, 0, 1)
    assert np.mean([row['scale'] for row in before]) > 0.4
    assert [row['own_scale'] for row in before] == pytest.approx([math.log(2)] * 24, rel=0.02)
    trainer = Trainer(tmp_path / 'run', task, QUIET)
    trainer.train(progress=False)
    assert trainer.skipped == 0
    assert trainer.lowest is not None and trainer.lowest < 0.2


def test_a_batch_is_what_was_published(samples, tower):
    task = LanguageTask(samples, LanguageSettings(batch=8), tower)
    batch = task.batches.batch(0)
    assert batch.features.shape == (8, FEATURES) and batch.inverse.shape == (8, 12, 16)
    losses = task.module(batch)
    # every scene of the batch gives 1
    assert losses['total'].item() == pytest.approx(len(batch.scene.unique()), rel=1e-6)
    raw = LanguageTask(samples, LanguageSettings(batch=8, balanced=False), tower)
    plain = raw.module(batch)
    assert plain['total'].item() == pytest.approx(losses['depth'].item(), rel=1e-5)
    parts = [task.batches.batch(3, rank, 2).inverse for rank in range(2)]
    torch.testing.assert_close(torch.cat(parts), task.batches.batch(3).inverse)
    hyper = [task.hyper(step)[0].rate for step in (0, 4000)]
    assert hyper == pytest.approx([3e-5, 1e-5])
    assert task.decay(3) is None


def test_a_new_head_begins_near_the_identity(tower):
    torch.manual_seed(0)
    with torch.no_grad():
        alpha, beta = new_head(FEATURES, 0.01)(torch.randn(50, FEATURES))
    assert float(alpha.min()) > 0.7 and float(alpha.max()) < 1.4
    assert float(beta.min()) > 0.007 and float(beta.max()) < 0.014


def test_figures_of_one_frame(samples):
    found = scale_figures(samples, 0, 0.5, 0.0, LanguageSettings())
    assert found['scale'] < 5e-3 and found['d1'] == 1.0
    assert found['own_scale'] == pytest.approx(math.log(2), abs=5e-3)
    assert found['error'] == pytest.approx(0.0, abs=5e-3)


def test_a_head_of_another_text_encoder_is_refused(samples, tower, tmp_path):
    _, head = make_head(tmp_path / 'other', features=16)
    with pytest.raises(SettingsError, match='takes 16 features'):
        LanguageTask(samples, LanguageSettings(), tower, start=head)


def test_samples_that_are_not_there_are_told(tmp_path):
    with pytest.raises(SettingsError, match='lacks 2 of 2 worlds'):
        LanguageSamples(tmp_path, 2)


def test_the_shipped_recipe():
    recipe = load_recipe('language_scale')
    assert isinstance(recipe, LanguageRecipe)
    assert recipe.training == LanguageSettings()
    with pytest.raises(SettingsError, match='near 90'):
        load_recipe('language_scale', ['training.near=90'])


def test_without_a_text_encoder_it_is_told_before_anything_is_rendered(tmp_path, capsys):
    code = main(['train', 'language_scale', '--out', str(tmp_path / 'run')])
    assert code != 0 and 'names no text encoder' in capsys.readouterr().err
    assert not (tmp_path / 'run' / 'latest').exists()


def test_the_verb_renders_trains_resumes_and_exports(tmp_path, tiny_bundle, monkeypatch, capsys):
    pytest.importorskip('embreex', reason='Embree is not installed')
    monkeypatch.chdir(tmp_path)
    clip = make_clip(tmp_path / 'clip')
    command = [
        'train', 'language_scale', '--out', 'run', '--data', 'data', '--set',
        f'data.text_encoder={clip}', f'data.depth_model={tiny_bundle}', 'data.worlds=2',
        'data.frames=2', 'data.watch=1', 'data.workers=1', 'training.batch=2', 'training.steps=4',
        'run.tensorboard=false', 'run.threads=1', 'watch_every=2',
    ]  # fmt: skip
    assert main([*command, '--until', '2']) == 0
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert 'now at step 2' in shown
    found = load_language('run/head')
    assert found.text_encoder == str(clip)
    manifest = found.manifest
    assert manifest['training']['steps'] == 4 and manifest['metrics']['samples'] >= 1
    assert found.sigma >= 0.05
    assert found.sigma >= 0.99 * abs(manifest['metrics']['error'])
    # the sentences are about what was rendered
    facts = LanguageSamples(sample_folder('data/training', str(tiny_bundle)), 2)
    assert len(facts) == 4 and all(s[0].startswith('An image with ') for s in facts.sentences)
    assert set(facts.scenes) == {'street', 'farm'}
    with pytest.raises(BundleError):
        load_language('run')
