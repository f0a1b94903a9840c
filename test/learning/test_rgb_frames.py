# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RGB frames, samples of them, and the lite network with three channels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

pytest.importorskip('trimesh', reason='the simulator is not installed')
pytest.importorskip('embreex', reason='the simulator is not installed')
pytest.importorskip('tqdm', reason='tqdm is not installed')

from monother_ros.core.bundle import load_bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import BundleError, SettingsError
from monother_ros.learning.augment import CANONICAL_FOCAL, PLAIN, AugmentSettings
from monother_ros.learning.rectify import Rectifier
from monother_ros.learning.rendered import VALIDATION_SEED
from monother_ros.learning.rgb_augment import make_rgb_sample
from monother_ros.learning.rgb_frames import (
    RGB_TRAINING_SEED,
    RgbFrames,
    RgbPlan,
    pinhole_of,
    render_rgb_dataset,
    render_rgb_shard,
    rgb_world_of,
)
from monother_ros.learning.tasks.lite import LiteTask
from monother_ros.learning.tasks.lite_batches import LiteSettings
from monother_ros.learning.tasks.lite_export import export_lite
from monother_ros.learning.teachers.bundle import load_rgb_bundle
from monother_ros.learning.teachers.results import TeacherOptions
from monother_ros.learning.trainer import Trainer
from monother_ros.networks.export import load_weights, save_weights
from monother_ros.networks.lite import LiteConfig, LiteNetwork, with_channels

SMALL = RgbPlan(4, 40, frames_per_world=2, width=128, height=64, worlds_per_shard=1)


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rgb')
    render_rgb_dataset(SMALL, folder, workers=1)
    return folder


def test_frames_and_their_conditions(rendered):
    frames = RgbFrames(rendered)
    assert len(frames) == 4
    assert [w['scene'] for w in frames.worlds] == ['street', 'street', 'farm', 'farm']
    for i in frames:
        assert frames.rgb(i).shape == (64, 128, 3)
        assert frames.rgb(i).dtype == np.uint8
        assert frames.rgb(i).std() > 5
        assert frames.depth(i).shape == (64, 128)
        assert (frames.depth(i) > 0).all()
        # 0.72 of 480 px, at a width of 320
        assert 225 < frames.focal[i] < 236
    assert len(pickle.loads(pickle.dumps(RgbFrames(rendered, 3)))) == 3


def test_same_plan_same_bytes(rendered, tmp_path):
    again = render_rgb_shard(SMALL, 1, tmp_path)
    for name in ('rgb.npy', 'depth.npy', 'focal.npy', 'worlds.json'):
        assert (again / name).read_bytes() == (rendered / 'shard-0001' / name).read_bytes()
    with pytest.raises(SettingsError, match='another plan'):
        render_rgb_dataset(RgbPlan(4, 41, frames_per_world=2), rendered)


def test_plans_keep_to_their_seeds():
    plan = RgbPlan(8000)
    worlds = [rgb_world_of(plan, i) for i in range(plan.worlds)]
    assert min(w.seed for w in worlds) == RGB_TRAINING_SEED
    assert max(w.seed for w in worlds) < VALIDATION_SEED
    assert {w.scene for w in worlds} == {'street', 'farm', 'corridor', 'woods', 'yard'}
    assert {w.mount for w in worlds} == {'mast', 'low', 'high'}
    assert np.mean([w.time_of_day == 'day' for w in worlds]) > 0.5
    with pytest.raises(SettingsError, match='reach the seed'):
        RgbPlan(800, VALIDATION_SEED - 10)


def test_pinhole_is_the_one_of_rectification():
    camera = Intrinsics(480, 360, 346.0, 345.0, 241.0, 178.0, distortion=(-0.1, 0.02, 0, 0, 0))
    assert pinhole_of(camera, 320, 256) == Rectifier(camera, (320, 256)).camera


def picture(seed=0):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 255, (64, 128, 3), np.uint8)
    depth = rng.uniform(1, 60, (64, 128)).astype(np.float16)
    depth[:5] = np.inf
    return rgb, depth


def test_plain_sample_is_the_frame_at_the_canonical_focal_length():
    rgb, depth = picture()
    image, target = make_rgb_sample(
        rgb, depth, 130.0, (128, 64), 120.0, np.random.default_rng(0), PLAIN
    )
    assert image.shape == (3, 64, 128)
    np.testing.assert_allclose(image, (rgb.transpose(2, 0, 1) / 255 - 0.5) / 0.25, atol=1e-5)
    expected = np.minimum(depth.astype(np.float32) * CANONICAL_FOCAL / 130.0, 120.0)
    np.testing.assert_allclose(np.exp(target), expected, rtol=1e-3)


def test_changed_samples_stay_in_range_and_repeat():
    rgb, depth = picture(1)
    always = AugmentSettings(1, 1, 1, 1.3, 1, 1, 1, 1, 1, 1, 1)
    for seed in range(4):
        pair = [
            make_rgb_sample(
                rgb, depth, 230.0, (64, 32), 120.0, np.random.default_rng(seed), always
            )
            for _ in range(2)
        ]
        np.testing.assert_array_equal(pair[0][0], pair[1][0])
        assert pair[0][0].shape == (3, 32, 64)
        assert np.abs(pair[0][0]).max() <= 2.0 + 1e-6
        assert pair[0][1].max() <= np.log(120.0) + 1e-6


def test_mirrored_picture_has_the_mirrored_depth():
    rgb, depth = picture(2)
    mirror = AugmentSettings(1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    rng = np.random.default_rng
    plain = make_rgb_sample(rgb, depth, 230.0, (128, 64), 120.0, rng(0), PLAIN)
    turned = make_rgb_sample(rgb, depth, 230.0, (128, 64), 120.0, rng(0), mirror)
    np.testing.assert_array_equal(turned[0], plain[0][..., ::-1])
    np.testing.assert_array_equal(turned[1], plain[1][..., ::-1])


def test_three_equal_channels_give_what_one_gave():
    torch.manual_seed(0)
    network = LiteNetwork().eval()
    wider = with_channels(network, 3)
    assert wider.config.channels == 3
    assert not wider.training
    x = torch.randn(1, 1, 64, 96)
    with torch.inference_mode():
        one, three = network(x), wider(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(three.depth, one.depth, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match='3 channels'):
        with_channels(wider, 3)


def test_weights_of_older_versions_have_one_channel(tmp_path):
    import safetensors.torch

    network = LiteNetwork()
    metadata = {k: repr(v) for k, v in network.config.as_dict().items() if k != 'channels'}
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(safetensors.torch.save(dict(network.state_dict()), metadata))
    assert load_weights(path).config == LiteConfig()
    path.write_bytes(save_weights(with_channels(network, 3)))
    assert load_weights(path).config.channels == 3
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BundleError):
        load_weights(path)


def test_training_makes_a_teacher(rendered, tmp_path):
    settings = LiteSettings(
        steps=2, full_steps=1, batch=2, full_batch=2, width=128, height=64, warmup=1
    )
    start = with_channels(LiteNetwork(), 3)
    frames = RgbFrames(rendered)
    task = LiteTask(frames, settings, validation=frames, start=start, watch_every=0)
    trainer = Trainer(tmp_path / 'run', task)
    trainer.train(progress=False)
    figures = trainer.latest()
    assert 0 < figures['abs_rel'] < 50
    bundle = export_lite(
        trainer, task, tmp_path / 'teacher', SMALL, figures, 'none', with_weights=False
    )
    assert load_bundle(bundle.path).modality == 'rgb'
    assert bundle.name == 'lite-rgb'
    assert 'weights.safetensors' not in bundle.files
    teacher = load_rgb_bundle(str(bundle.path), TeacherOptions(device='cpu'))
    camera = Intrinsics(128, 64, 92.0, 92.0, 63.5, 31.5)
    told = teacher.depth(frames.rgb(0), camera)
    assert told.depth.shape == (64, 128)
    assert told.kind == 'metric'
    assert np.isfinite(told.depth).all()
    # twice the focal length, twice the depth
    longer = Intrinsics(128, 64, 184.0, 184.0, 63.5, 31.5)
    twice = teacher.depth(frames.rgb(0), longer).depth
    np.testing.assert_allclose(twice, 2 * told.depth, rtol=1e-4)
