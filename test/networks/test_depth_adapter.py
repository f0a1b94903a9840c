# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sparse depth adapter: fusion as published, one way only, and what points do to the depth."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.networks.depth_adapter import Fusion, SparseConfig, SparseLite  # noqa: E402
from monother_ros.networks.depth_adapter_vit import DinoDepthAdapter  # noqa: E402
from monother_ros.networks.depth_encoding import outdoor  # noqa: E402
from monother_ros.networks.dinov2 import DinoV2  # noqa: E402
from monother_ros.networks.lite import LiteNetwork  # noqa: E402

SIZE = (128, 160)


@pytest.mark.parametrize('width', [32, 384])
def test_fusion_gives_the_golden_tokens(shared, width):
    folder = shared('golden/vanishing_depth')
    case = json.loads((folder / 'expected.json').read_text())['fusion'][f'c{width}']
    fusion = Fusion(width)
    fusion.load_state_dict(
        {
            key: torch.tensor(
                np.random.default_rng(zlib.crc32(key.encode())).standard_normal(
                    tuple(shape), dtype=np.float32
                )
                * np.float32(case['weight_scale'])
            )
            for key, shape in case['state_dict_shapes'].items()
        }
    )
    with np.load(folder / 'fusion.npz') as z, torch.no_grad():
        depth, image = (
            torch.tensor(z[f'c{width}__{name}_tokens']).T[None, ..., None]
            for name in ('depth', 'image')
        )
        fused = fusion(depth, image)[0, ..., 0].T.numpy()
        assert np.abs(fused - z[f'c{width}__fused']).max() < 1e-4
        share = float(fusion.image_share(depth, image))
        assert share == pytest.approx(float(z[f'c{width}__image_share']), abs=1e-4)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    found = SparseLite(LiteNetwork(), SparseConfig(outdoor(), 100.0, 16)).eval()
    with torch.no_grad():
        for name, value in found.named_parameters():
            if name.startswith(('free', 'sharpen', 'sure', 'trust', 'mix')):
                value.normal_(0.0, 0.05)
    return found


@pytest.fixture
def picture():
    return torch.randn(1, 1, *SIZE, generator=torch.Generator().manual_seed(1))


def _points(depth, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    there = torch.zeros(depth.numel(), dtype=torch.bool)
    there[torch.randperm(depth.numel(), generator=generator)[:count]] = True
    return torch.where(there.view_as(depth), depth, 0.0)


@torch.no_grad()
def test_without_points_depth_and_confidence_are_those_of_the_frozen_network(network, picture):
    depth, confidence = network(picture, torch.zeros(1, 1, *SIZE))
    alone = network.thermal(picture)
    assert torch.allclose(depth, alone.depth, rtol=1e-5)
    assert torch.allclose(confidence, alone.confidence, atol=1e-5)


@torch.no_grad()
def test_points_that_are_no_measurements_change_nothing(network, picture):
    alone, _ = network(picture, torch.zeros(1, 1, *SIZE))
    for value in (float('nan'), float('inf'), -3.0, 0.01, 400.0):
        depth, confidence = network(picture, torch.full((1, 1, *SIZE), value))
        assert torch.allclose(depth, alone, rtol=1e-5), value
        assert bool(torch.isfinite(confidence).all())


@torch.no_grad()
def test_a_wrong_scale_is_put_right_by_points_before_any_training(picture):
    torch.manual_seed(0)
    fresh = SparseLite(LiteNetwork()).eval()
    alone, _ = fresh(picture, torch.zeros(1, 1, *SIZE))
    truth = alone * 1.3
    off = []
    for count in (0, 5, 50, 2000):
        depth, _ = fresh(picture, _points(truth, count))
        off.append(abs(float(torch.log(depth.median() / truth.median()))))
    assert off[0] == pytest.approx(np.log(1.3), abs=1e-3)
    assert off[1] < 0.2
    assert off[2] < 0.1
    assert off[3] < 0.02


@torch.no_grad()
def test_points_beyond_the_range_of_the_encoding_do_not_count(network, picture):
    far = torch.zeros(1, 1, *SIZE)
    far[..., ::9, ::9] = 101.0
    alone, _ = network(picture, torch.zeros(1, 1, *SIZE))
    assert torch.allclose(network(picture, far)[0], alone, rtol=1e-5)


def test_nothing_flows_back_and_only_the_branch_learns(network, picture):
    trained = network.train()
    try:
        assert not trained.thermal.training
        frozen = trained.freeze(picture)
        output = trained.complete(frozen, _points(torch.exp(frozen.fine), 300))
        output.log_depth.mean().backward()
        assert all(p.grad is None for p in trained.thermal.parameters())
        touched = [n for n, p in trained.named_parameters() if p.grad is not None]
        assert any(n.startswith('branch.stem') for n in touched)
    finally:
        trained.zero_grad()
        trained.eval()


@torch.no_grad()
def test_training_and_inference_say_the_same_depth(network, picture):
    frozen = network.freeze(picture)
    points = _points(torch.exp(frozen.fine) * 1.2, 300)
    expected = network.complete(frozen, points)
    for module in (network,):  # the flag alone: batch norms keep their statistics
        module.training = True
    try:
        found = network.complete(frozen, points)
    finally:
        network.training = False
    assert torch.allclose(found.log_depth, expected.log_depth, atol=1e-4)
    assert torch.allclose(found.confidence, expected.confidence, atol=1e-4)


@torch.no_grad()
def test_a_window_shows_a_part_of_every_map(network, picture):
    frozen = network.freeze(picture)
    part = frozen.window(32, 64, 64, 96)
    assert torch.equal(part.fine, frozen.fine[..., 32:96, 64:160])
    assert torch.equal(part.features[3], frozen.features[3][..., 1:3, 2:5])
    assert part.repeated(3).coarse.shape[0] == 3


def _dino(**changes):
    torch.manual_seed(0)
    return DinoDepthAdapter(DinoV2(32, 4, 2), outdoor(), (1, 3), **changes)


@pytest.mark.parametrize('joined', [False, True])
def test_dinov2_adapter_gives_token_maps_for_the_same_decoders(joined):
    adapter = _dino(joined=joined).eval()
    image, depth = torch.randn(2, 3, 28, 42), torch.rand(2, 1, 28, 42) * 50
    with torch.no_grad():
        taps = adapter(image, depth)
        wanted = adapter.image(image)
    assert [tuple(t.shape) for t in taps] == [(2, 6, 64 if joined else 32)] * 4
    if joined:
        # the right half is what the frozen encoder says, whatever the depth
        for tap, frozen in zip(taps, wanted, strict=True):
            assert torch.allclose(tap[..., 32:], frozen, atol=1e-5)


def test_dinov2_adapter_begins_with_the_frozen_weights_and_trains_the_depth_side_only():
    adapter = _dino()
    theirs, ours = adapter.image.state_dict(), adapter.depth.state_dict()
    assert all(torch.equal(theirs[k], ours[k]) for k in theirs if k != 'patch_embed.proj.weight')
    assert ours['patch_embed.proj.weight'].shape[1] == outdoor().width
    adapter.train()
    assert not adapter.image.training
    loss = sum(
        t.square().mean() for t in adapter(torch.randn(1, 3, 28, 28), torch.rand(1, 1, 28, 28))
    )
    loss.backward()
    assert all(p.grad is None for p in adapter.image.parameters())
    assert adapter.depth.patch_embed.proj.weight.grad.abs().sum() > 0
    assert adapter.fusion[0].se_depth.fc[0].weight.grad is not None


def test_dinov2_class_token_is_fused_only_where_asked_for():
    image, depth = torch.randn(1, 3, 28, 28), torch.rand(1, 1, 28, 28) * 20
    said = []
    for fuse in (True, False):
        adapter = _dino(fuse_class=fuse).eval()
        with torch.no_grad():
            said.append(adapter(image, depth)[-1])
    # patches differ because they attend to the class token
    assert not torch.allclose(said[0], said[1])


def test_dinov2_adapter_refuses_blocks_that_are_not_there():
    with pytest.raises(SettingsError, match='0 to 3'):
        DinoDepthAdapter(DinoV2(32, 4, 2), after=(2, 5))
