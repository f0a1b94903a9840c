# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of the depth branch beside a frozen DINOv2: what learns, where the encoder is from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from checkpoints import make_checkpoint, tiny_config  # noqa: E402

from monother_ros.core.errors import BundleError, SettingsError  # noqa: E402
from monother_ros.learning.augment import PLAIN  # noqa: E402
from monother_ros.learning.distributed import Group  # noqa: E402
from monother_ros.learning.tasks import opening  # noqa: E402
from monother_ros.learning.tasks.opening import open_task  # noqa: E402
from monother_ros.learning.tasks.recipes import VitAdapterRecipe, load_recipe  # noqa: E402
from monother_ros.learning.tasks.vit_adapter import (  # noqa: E402
    VitAdapterSettings,
    VitAdapterTask,
    thermal_picture,
)
from monother_ros.learning.trainer import RunSettings, Trainer  # noqa: E402
from monother_ros.networks.checkpoint import load_branch, read_checkpoint  # noqa: E402
from monother_ros.networks.dinov2 import DinoV2  # noqa: E402
from monother_ros.networks.encoder_file import load_encoder  # noqa: E402
from monother_ros.networks.monother import THERMAL_MEAN, THERMAL_STD  # noqa: E402

SETTINGS = VitAdapterSettings(
    steps=30, batch=2, draws=2, width=112, height=56, rate=3e-3, widths=(16, 8, 8, 8),
    average=0.5,
)  # fmt: skip
pytestmark = pytest.mark.usefixtures('one_thread')
QUIET = RunSettings(device='cpu', tensorboard=False, log_every=1)


def _task(frames, settings=SETTINGS, **how):
    torch.manual_seed(1)
    return VitAdapterTask(frames, settings, DinoV2(32, 4, 2).eval(), augment=PLAIN, **how)


def test_the_loss_falls_and_only_branch_and_decoder_learn(frames, tmp_path):
    trainer = Trainer(tmp_path, _task(frames, validation=frames, watch_every=0), QUIET)
    network = trainer.network
    frozen = {k: v.clone() for k, v in network.adapter.image.state_dict().items()}
    fresh = {k: v.clone() for k, v in trainer.task.state(network).items()}
    before = trainer.measure()
    trainer.train(progress=False)
    losses = trainer.training['total']
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    after = network.adapter.image.state_dict()
    assert all(torch.equal(frozen[k], after[k]) for k in frozen)
    saved = trainer.task.state(network)
    assert not any(k.startswith('adapter.image.') for k in saved)
    for part in ('adapter.depth.blocks.', 'adapter.depth.patch_embed.', 'adapter.fusion.', 'dec'):
        assert any(k.startswith(part) and not torch.equal(fresh[k], saved[k]) for k in saved), part
    figures = trainer.measure()
    assert set(figures) == {'abs_rel', *(f'abs_rel_{n}' for n in (0, 50, 500, 5000))}
    assert figures['abs_rel'] < before['abs_rel']


def test_a_run_that_was_stopped_gives_the_same_weights(frames, tmp_path):
    short = replace(SETTINGS, steps=5)
    whole = Trainer(tmp_path / 'whole', _task(frames, short), QUIET)
    whole.train(progress=False)
    Trainer(tmp_path / 'parts', _task(frames, short), QUIET).train(2, progress=False)
    again = Trainer(tmp_path / 'parts', _task(frames, short), QUIET)
    assert again.step == 2
    again.train(progress=False)
    ours, theirs = (t.network.state_dict() for t in (whole, again))
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    torch.manual_seed(2)
    other = VitAdapterTask(frames, short, DinoV2(32, 4, 2).eval(), augment=PLAIN)
    with pytest.raises(SettingsError, match='encoder'):
        Trainer(tmp_path / 'parts', other, QUIET)


def test_the_loss_tells_removed_from_kept_and_sky_from_nothing(frames):
    task = _task(frames)
    batch = task.batches.batch(0)
    assert batch.sparse.shape == (4, 1, 56, 112) and batch.image.shape == (2, 1, 56, 112)
    seen = task.module(batch)
    plain = _task(frames, replace(SETTINGS, sky=False))
    unseen = plain.module(batch)
    # the same weights at the start; the far sky only makes the loss larger
    assert seen['total'].item() > 1.2 * unseen['total'].item() > 0
    assert float(seen['abs_rel']) == pytest.approx(float(unseen['abs_rel']), rel=1e-4)
    nothing = batch._replace(target=torch.full_like(batch.target, -20.0))
    assert plain.module(nothing)['total'].item() == 0


def test_pictures_are_those_of_the_dual_network():
    scaled = torch.rand(1, 1, 4, 4)
    wanted = (scaled - THERMAL_MEAN) / THERMAL_STD
    found = thermal_picture((scaled - 0.5) / 0.25)
    assert found.shape == (1, 3, 4, 4)
    assert torch.allclose(found, wanted.expand(-1, 3, -1, -1), atol=1e-6)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp('dual') / 'authors.pt')


def test_the_encoder_of_every_layout_is_the_same(checkpoint, tmp_path):
    wanted = load_branch(read_checkpoint(checkpoint), 'thermal')[0].encoder.state_dict()
    for start, words in (('', 'DINOv2'), ('pretrained.', 'Depth Anything')):
        path = tmp_path / f'{words[:4]}.pt'
        state = {f'{start}{k}': v for k, v in wanted.items()}
        torch.save({**state, 'depth_head.x': torch.zeros(1)} if start else state, path)
        encoder, what = load_encoder(path)
        assert words in what
        found = encoder.state_dict()
        assert all(torch.equal(found[k], wanted[k]) for k in wanted)
    encoder, what = load_encoder(checkpoint)
    assert 'thermal' in what and not encoder.training
    assert all(torch.equal(encoder.state_dict()[k], wanted[k]) for k in wanted)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda s: s.pop('cls_token'), 'no DINOv2 encoder'),
        (lambda s: s.pop('norm.weight'), 'norm.weight'),
        (lambda s: s.pop('blocks.3.mlp.fc2.bias'), 'blocks.3.mlp.fc2.bias'),
        (lambda s: s.update(register_tokens=torch.zeros(1, 4, 64)), 'register tokens'),
        (lambda s: s['norm.bias'].fill_(torch.nan), 'not finite'),
        (lambda s: s.update(mask_token=torch.zeros(1, 5)), 'another shape'),
    ],
)
def test_a_file_without_a_whole_encoder_is_refused(tmp_path, change, words):
    state = {k: v.clone() for k, v in DinoV2(64, 4, 1).state_dict().items()}
    change(state)
    torch.save(state, tmp_path / 'file.pt')
    with pytest.raises(BundleError, match=words):
        load_encoder(tmp_path / 'file.pt')


def _recipe(*changes, start=None):
    recipe = load_recipe('vit_sparse', ['data.kind=thermal', *changes], start=start)
    assert isinstance(recipe, VitAdapterRecipe)
    return recipe


@pytest.mark.parametrize(
    ('changes', 'start', 'words'),
    [
        ((), None, '--start with a checkpoint'),
        (('random_encoder={embed: 32}',), 'x', 'both set'),
        (('random_encoder={embed: 31}',), None, 'random_encoder cannot be'),
        (('training.width=281',), 'x', 'training.width is 281'),
        (('data.kind=rgb',), 'x', 'thermal frames'),
    ],
)
def test_recipes_that_cannot_be_are_refused_before_anything_is_rendered(
    changes, start, words, monkeypatch
):
    recipe = _recipe(*changes, start=start)
    rendered = []
    monkeypatch.setattr(opening, 'render_dataset', lambda *given, **how: rendered.append(given))
    with pytest.raises(SettingsError, match=words):
        open_task(recipe, Group(torch.device('cpu')))
    assert not rendered


def test_a_start_that_holds_no_encoder_is_refused(tmp_path):
    with pytest.raises(BundleError, match='holds none of'):
        open_task(_recipe(start=str(tmp_path)), Group(torch.device('cpu')))


def test_a_recipe_stands_beside_the_thermal_branch_of_a_checkpoint(
    checkpoint, frames, tmp_path, small_dataset, capsys
):
    for name in ('training', 'validation'):
        (tmp_path / name).symlink_to(small_dataset)
    recipe = _recipe(
        f'data.folder={tmp_path}', 'data.frames=12', 'data.validation=12',
        'training.widths=[8,8,8,8]', 'training.width=56', 'training.height=42',
        start=str(checkpoint),
    )  # fmt: skip
    task = open_task(recipe, Group(torch.device('cpu')), render=False)
    assert isinstance(task, VitAdapterTask)
    assert task.network.adapter.image.embed == tiny_config().embed
    assert 'thermal branch' in capsys.readouterr().out
    assert not any(p.requires_grad for p in task.network.adapter.image.parameters())
