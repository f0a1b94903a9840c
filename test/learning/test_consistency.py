# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='torch is not installed')

from plane_scene import SIZE, plane_scene  # noqa: E402

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.learning import consistency as c  # noqa: E402
from monother_ros.learning import warp  # noqa: E402
from monother_ros.networks import named_weights  # noqa: E402
from monother_ros.networks.confidence import ConfidenceNetwork  # noqa: E402


@pytest.fixture
def golden(shared):
    stored = np.load(shared('golden/monother/losses.npz'))
    return {
        key[len('lcon/') :]: torch.from_numpy(stored[key])
        for key in stored.files
        if key.startswith('lcon/')
    }


@pytest.fixture(scope='module')
def network():
    network = ConfidenceNetwork()
    named_weights.fill(network, 'confidence.')
    return network


def run_golden(golden, network, settings=c.REFERENCE):
    depth = golden['in/depth_thermal'].clone().requires_grad_()
    others = {k: golden[f'in/{k}'].clone().requires_grad_() for k in LEARNT}
    result = c.consistency(
        (depth, others['feat_thermal']),
        (others['depth_rgb'], others['feat_rgb']),
        golden['in/rgb_image'],
        golden['in/K_thermal'],
        golden['in/K_rgb'],
        golden['in/T_thermal_to_rgb'],
        network,
        settings,
    )
    network.zero_grad()
    result.loss.backward()
    assert all(x.grad is None for x in others.values())
    assert all(p.grad is None for p in network.parameters())
    return result, depth.grad


LEARNT = ('depth_rgb', 'feat_thermal', 'feat_rgb')


@pytest.mark.parametrize('mode', ['', 'train_'])
def test_reference_golden(golden, network, mode):
    """Loss, mask, confidence and gradient of the whole block; nothing else gets a gradient."""
    network.train(mode == 'train_')
    result, gradient = run_golden(golden, network)
    assert torch.equal(result.mask, golden[f'{mode}mask'])
    assert result.loss.item() == pytest.approx(golden[f'{mode}loss'].item(), rel=1e-5)
    torch.testing.assert_close(
        result.confidence, golden[f'{mode}conf'], rtol=0, atol=3e-3 if mode else 1e-3
    )
    wanted = golden[f'{mode}grad_depth_thermal']
    assert (gradient - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    torch.testing.assert_close(result.inputs, golden['conf_net_input'], rtol=0, atol=0.04)


def test_reference_intermediates_golden(golden):
    size = (98, 154)
    matrices = [
        warp.scale_intrinsics(golden[f'in/{k}'], (100, 150), size, corner_aligned=False)
        for k in ('K_thermal', 'K_rgb')
    ]
    torch.testing.assert_close(matrices[0], golden['K_thermal_scaled'])
    torch.testing.assert_close(matrices[1], golden['K_rgb_scaled'])
    depth, rgb_depth = golden['in/depth_thermal'], golden['in/depth_rgb']
    pose = golden['in/T_thermal_to_rgb']
    got = c.compare_depths(depth, rgb_depth, *matrices, pose, c.REFERENCE)

    def near(value, name, atol):
        torch.testing.assert_close(value, golden[name], rtol=1e-5, atol=atol)

    near(got.grid, 'rgb_pixels_in_thermal_normalised', 1e-5)
    near(got.back_grid, 'thermal_pixels_in_rgb_normalised', 1e-5)
    near(got.fetched, 'thermal_depth_sampled_at_rgb_pixels', 5e-3)
    near(got.expressed, 'thermal_depth_expressed_in_rgb_cam_raw', 5e-3)
    near(got.difference, 'abs_diff_raw', 5e-3)
    near(warp.sample(rgb_depth, got.back_grid), 'rgb_depth_sampled_at_thermal_pixels', 5e-3)
    _, z = warp.forward_warp(depth, *matrices, pose)
    near(z.permute(0, 3, 1, 2), 'thermal_depth_in_rgb_cam', 1e-5)
    _, z = warp.forward_warp(rgb_depth, *reversed(matrices), torch.linalg.inv(pose))
    near(z.permute(0, 3, 1, 2), 'rgb_depth_in_thermal_cam', 1e-4)
    on_rgb, on_thermal, _ = c.compare_features(
        golden['in/feat_thermal'], golden['in/feat_rgb'], got
    )
    near(on_rgb, 'cos_on_rgb_grid', 1e-3)
    near(on_thermal, 'cos_on_thermal_grid', 1e-3)
    keep = c.keep_smallest(got.difference, 0.2)
    assert torch.equal(keep, golden['keep_not_top20_diff'])
    assert torch.equal(c.keep_smallest(on_rgb, 0.8), golden['cos_at_or_below_20pct'])


def test_default_on_the_golden_case_masks_what_is_out_of_view(golden, network):
    """The published mask holds pixels that the thermal camera does not see; the default's none."""
    network.eval()
    outside = ~warp.inside_picture(golden['rgb_pixels_in_thermal_normalised'], 98, 154)
    assert (golden['mask'] & outside).sum() == 129
    only = replace(c.REFERENCE, inside_only=True)
    result, gradient = run_golden(golden, network, only)
    assert not (result.mask & outside).any()
    assert not (result.valid & outside).any()
    assert (result.mask == golden['mask'])[~outside].float().mean() > 0.95
    assert gradient.isfinite().all()


class Constant(torch.nn.Module):
    """Confidence network that trusts everything alike."""

    def __init__(self, value=0.5):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self, inputs):
        return self.value.expand_as(inputs[:, :1])


def run(scene, settings, thermal_depth=None, network=None):
    return c.consistency(
        (scene.thermal_depth if thermal_depth is None else thermal_depth, scene.features),
        (scene.rgb_depth, scene.features),
        scene.image,
        scene.thermal_intrinsics,
        scene.rgb_intrinsics,
        scene.extrinsics,
        network or Constant(),
        settings,
    )


def test_perfect_depths_agree_in_default_and_not_in_reference():
    """Plane of known geometry: the default's difference is what bilinear reading costs."""
    scene = plane_scene(normal=(0.5, 0.4, 1.0), turn=0.3, size=(112, 168))
    got = run(scene, c.DEFAULT)
    assert torch.equal(got.valid, scene.hits)
    assert 0.5 < got.valid.float().mean() < 0.98
    assert got.difference[got.valid].max() < 1e-3
    assert (got.difference[~got.valid] == -1).all()
    assert (got.expressed[~got.valid] == 0).all()
    assert (got.inputs[:, :2][~got.valid.expand(-1, 2, -1, -1)] == 0).all()
    assert not got.mask.any()
    published = run(scene, c.REFERENCE)
    assert published.valid[scene.away].all()
    assert published.difference[scene.hits].max() > 0.02
    assert published.difference[scene.away].min() > 1.0


@pytest.mark.parametrize('size', [(28, 42), (112, 168)])
def test_corner_aligned_intrinsics_take_the_bias_away(size):
    """The same scene, exact depths; only the scaling of the intrinsics differs."""
    scene = plane_scene(normal=(0.5, 0.4, 1.0), turn=0.3, size=size)
    worst = {}
    for aligned in (True, False):
        got = run(scene, replace(c.DEFAULT, corner_aligned_intrinsics=aligned))
        worst[aligned] = got.difference[got.valid & scene.hits].max().item()
    assert worst[True] < 0.002
    assert worst[False] > 0.02


def test_border_padding_reads_full_depth_at_the_border():
    """A projection one hundredth of a pixel outside: zero padding takes 1 % of the depth."""
    scene = plane_scene(translation=(0.0, 0.0, 0.0), turn=0.0, normal=(0, 0, 1.0))
    grid_shift = 0.01 * 6.0 / 80 * 89 / 83  # metres that move the picture by 0.01 pixels
    same = replace(scene, rgb_intrinsics=scene.thermal_intrinsics, rgb_depth=scene.thermal_depth)
    pose = scene.extrinsics.clone()
    pose[0, 0, 3] = grid_shift
    same = replace(same, extrinsics=pose)
    dim = replace(c.DEFAULT, inside_only=False, border_padding=False)
    full = replace(dim, border_padding=True)
    dimmed, whole = (run(same, s).expressed[0, 0, 10, 0].item() for s in (dim, full))
    assert dimmed == pytest.approx(6 * 0.99, rel=1e-3)
    assert whole == pytest.approx(6, rel=1e-5)


def test_the_dimmed_border_enters_the_published_mask():
    """With much out of view the published mask keeps pixels that fade to zero at the border."""
    scene = plane_scene(translation=(1.5, 0.0, 0.05), turn=0.0, normal=(0, 0, 1.0))
    depth = scene.thermal_depth * 1.05
    fading = ~scene.hits & ~scene.away
    assert run(scene, c.REFERENCE, depth).mask[fading].any()
    got = run(scene, c.DEFAULT, depth)
    assert not (got.mask & ~scene.hits).any()
    assert got.mask[scene.hits].float().mean() > 0.5


def test_quantiles_among_comparable_pixels_drop_the_outliers():
    """A quarter of the view is missed; all that is dropped as published lies there."""
    scene = plane_scene(translation=(1.8, 0.0, 0.05), turn=0.0, normal=(0, 0, 1.0))
    depth = scene.thermal_depth * 1.02
    depth[..., ::7, :] *= 1.5  # outlier rows, one in seven
    only = replace(c.REFERENCE, inside_only=True)
    kept = {
        among: run(scene, replace(only, compare_valid_only=among), depth)
        for among in (True, False)
    }
    outlier = {k: (r.mask & (r.difference > 1.5)).sum().item() for k, r in kept.items()}
    assert outlier[False] > 100
    assert outlier[True] == 0
    assert kept[True].mask.sum() > 1000
    assert kept[True].loss < kept[False].loss


@pytest.mark.parametrize(('name', 'finite'), [('reference', False), ('default', True)])
def test_empty_mask(name, finite):
    """Zero with a graph that reaches the thermal depth; NaN as published."""
    scene = plane_scene()
    depth = scene.thermal_depth.clone().requires_grad_()
    result = run(scene, c.settings_named(name), depth, Constant(0.0))
    assert not result.mask.any()
    assert bool(result.loss.isfinite()) is finite
    if finite:
        assert result.loss.item() == 0
        result.loss.backward()
        assert torch.equal(depth.grad, torch.zeros_like(depth))


@pytest.mark.parametrize('settings', [c.REFERENCE, c.DEFAULT])
def test_everything_out_of_view(settings):
    """Cameras that look away from each other; all points are behind the other one."""
    scene = plane_scene()
    pose = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))[None]
    depth = scene.thermal_depth.clone().requires_grad_()
    result = run(replace(scene, extrinsics=pose), settings, depth)
    assert not result.mask.any()
    assert result.inputs.isfinite().all()
    if settings.guard_empty:
        result.loss.backward()
        assert torch.equal(depth.grad, torch.zeros_like(depth))


def test_arguments_stay_as_they_are_and_a_second_call_gives_the_same():
    scene = plane_scene()
    depth = scene.thermal_depth * 1.05
    given = (depth, scene.rgb_depth, scene.features, scene.image, scene.thermal_intrinsics)
    given = (*given, scene.rgb_intrinsics, scene.extrinsics)
    copies = [x.clone() for x in given]
    for settings in (c.REFERENCE, c.DEFAULT):
        first, second = (run(scene, settings, depth) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))
        assert torch.equal(first.loss, second.loss)
        assert torch.equal(first.mask, second.mask)
        assert first.mask.any()


def test_image_of_the_size_of_the_prediction():
    scene = plane_scene(image=SIZE)
    for settings in (c.REFERENCE, c.DEFAULT):
        assert torch.equal(run(scene, settings).inputs[:, 5:], scene.image)


def test_bfloat16_regions_do_not_touch_the_geometry():
    scene = plane_scene()
    want = run(scene, c.DEFAULT, scene.thermal_depth * 1.05)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = run(scene, c.DEFAULT, scene.thermal_depth * 1.05)
    assert torch.equal(got.difference, want.difference)
    assert torch.equal(got.mask, want.mask)
    assert got.loss.dtype == torch.float32


def test_descent_on_the_loss_brings_the_thermal_depth_to_the_truth():
    scene = plane_scene()
    depth = (scene.thermal_depth * 1.1).requires_grad_()
    before = run(scene, c.DEFAULT, depth.detach()).loss.item()
    optimiser = torch.optim.Adam([depth], lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        run(scene, c.DEFAULT, depth).loss.backward()
        optimiser.step()
    result = run(scene, c.DEFAULT, depth.detach())
    assert result.difference[result.valid].median() < 0.03
    assert result.loss.item() < 0.2 * before


def test_settings_by_name():
    assert c.settings_named('default') is c.DEFAULT
    assert c.settings_named('reference') is c.REFERENCE
    with pytest.raises(SettingsError, match='fixed'):
        c.settings_named('fixed')
    differ = {
        f.name
        for f in fields(c.DEFAULT)
        if getattr(c.DEFAULT, f.name) != getattr(c.REFERENCE, f.name)
    }
    assert len(differ) == 9
    assert {'near', 'far', 'least_difference', 'drop_largest'}.isdisjoint(differ)
