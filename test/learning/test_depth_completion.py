# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks, noise shift, depth distributions and losses of depth completion."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.learning.completion_losses import (  # noqa: E402
    BalancedLoss,
    balanced_loss,
)
from monother_ros.learning.depth_distributions import (  # noqa: E402
    OUTDOORS,
    Distributions,
    change_depth,
)
from monother_ros.learning.depth_masks import (  # noqa: E402
    NoiseShift,
    coarse_mask,
    largest_removed,
    perlin,
    perlin_mask,
)
from monother_ros.learning.sparse_patterns import (  # noqa: E402
    KINDS,
    Patterns,
    ring_pixels,
    sparse_from,
)
from monother_ros.networks.completion_decoder import decode_metres  # noqa: E402

OPTIONS = {
    'l': 'leniency',
    'loss_with_not_mask': 'kept',
    'lw': 'level_weights',
    'normalize': 'normalised',
    'pow': 'power',
}
LOSSES = (
    'default',
    'default_without_reconstruction_half',
    'everything_removed',
    'lambda_0_5',
    'level_weights',
    'max_normalised_variant',
    'negative_and_tiny_predictions_ignored',
    'nothing_removed',
    'perfect',
    'power_0_5_variant',
    'power_0_9_variant',
    'pure_scale_error_x2',
)


@pytest.fixture(scope='module')
def folder(shared):
    return shared('golden/vanishing_depth')


@pytest.fixture(scope='module')
def facts(folder):
    return json.loads((folder / 'expected.json').read_text())


def _loss(folder, name, options):
    known = {OPTIONS[k]: v for k, v in options.items() if k in OPTIONS}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
    with np.load(folder / 'loss.npz') as z:
        levels = [
            (
                torch.tensor(z[f'{name}__pred_level{k}'], requires_grad=True),
                torch.tensor(z[f'{name}__target_level{k}']),
                torch.tensor(z[f'{name}__removed_level{k}']),
            )
            for k in range(4)
        ]
    parts = list(zip(*levels, strict=True))
    return balanced_loss(*parts, BalancedLoss(**known)), parts[0]


@pytest.mark.parametrize('name', LOSSES)
def test_balanced_loss_gives_the_golden_numbers(folder, facts, name):
    case = facts['loss'][name]
    loss, predictions = _loss(folder, name, case['options'])
    tolerance = 5e-3 if name == 'max_normalised_variant' else 2e-4
    assert float(loss.detach()) == pytest.approx(case['loss'], rel=tolerance)
    loss.backward()
    with np.load(folder / 'loss.npz') as z:
        for k, prediction in enumerate(predictions):
            wanted = z[f'{name}__grad_level{k}']
            # a root of nothing has no gradient: not a number in both
            unknown = np.isnan(wanted)
            assert np.array_equal(np.isnan(prediction.grad.numpy()), unknown)
            assert unknown.any() == (name == 'perfect')
            scale = np.nanmax(np.abs(wanted), initial=0.0)
            apart = np.abs(prediction.grad.numpy() - wanted)[~unknown]
            assert apart.max(initial=0.0) <= tolerance * scale + 1e-7


def test_every_golden_case_of_the_loss_is_tested(facts):
    assert {*LOSSES, 'no_ground_truth_skips_batch'} == set(facts['loss'])


def test_halves_of_a_batch_in_two_processes_give_the_loss_of_the_whole():
    torch.manual_seed(0)
    target = torch.rand(4, 8, 8) * 20 + 1
    depth, removed = target[:, None] * torch.exp(torch.randn(4, 1, 8, 8)), target > 11
    removed[:2] = True  # one process has no pixel that was kept
    whole = balanced_loss([depth], [target], [removed])
    told = []

    def first(values):
        told.append(values)
        return values

    balanced_loss([depth[:2]], [target[:2]], [removed[:2]], total=first)
    found = balanced_loss(
        [depth[2:]], [target[2:]], [removed[2:]], total=lambda values: values + told.pop(0)
    )
    assert not told and float(found) == pytest.approx(float(whole), rel=1e-5)


def test_a_batch_without_truth_is_left_out(folder, facts):
    name = 'no_ground_truth_skips_batch'
    assert facts['loss'][name]['loss'] is None
    assert _loss(folder, name, facts['loss'][name]['options'])[0] is None


def test_the_gradient_is_finite_where_nothing_is_wrong_with_our_epsilon():
    depth = torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    target, removed = torch.full((1, 4, 4), 3.0), torch.zeros(1, 4, 4, dtype=torch.bool)
    for epsilon, finite in ((1e-6, True), (0.0, False)):
        depth.grad = None
        balanced_loss([depth], [target], [removed], BalancedLoss(epsilon=epsilon)).backward()
        assert bool(torch.isfinite(depth.grad).all()) is finite


def test_head_channels_decode_to_the_golden_metres(folder):
    with np.load(folder / 'decode.npz') as z:
        found = decode_metres(torch.tensor(z['head_output']))
        assert np.abs(found.numpy() - z['metres']).max() < 1e-5


@pytest.mark.parametrize('number', range(4))
def test_perlin_noise_and_its_masks_are_the_golden_ones(folder, facts, number):
    with np.load(folder / 'perlin.npz') as z:
        noise = z[f'noise{number}__noise']
        found = perlin(z[f'noise{number}__angles'].astype(np.float64), noise.shape)
        assert np.abs(found - noise).max() < 1e-5
        for part, achieved in facts['perlin'][f'noise{number}']['achieved'].items():
            mask = largest_removed(noise, float(part))
            assert mask.mean() == pytest.approx(achieved, abs=1e-6)
            key = f'noise{number}__removed_t{part}'
            if key in z.files:
                assert np.array_equal(mask, z[key])


def _run_length(mask):
    """Mean horizontal run of removed pixels."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(int), axis=1)
    return mask.sum() / max(1, (edges == 1).sum())


@pytest.mark.parametrize(
    ('kind', 'draw'), [('perlin', perlin_mask), ('coarse_uniform', coarse_mask)]
)
def test_drawn_masks_have_the_published_statistics(facts, kind, draw):
    rng = np.random.default_rng(0)
    for part in ('0.3', '0.5'):
        wanted = facts['mask_statistics_224'][part][kind]
        masks = [draw(rng, (224, 224), float(part)) for _ in range(60)]
        density = np.array([m.mean() for m in masks])
        assert density.mean() == pytest.approx(wanted['density']['mean'], abs=0.006)
        runs = np.array([_run_length(m) for m in masks])
        spread = wanted['mean_run_length_px']['std'] / np.sqrt(60)
        assert abs(runs.mean() - wanted['mean_run_length_px']['mean']) < 4 * spread


def test_the_noise_shift_follows_the_published_schedule(facts):
    shift = NoiseShift()
    for row in facts['noise_shift']['intended']:
        mean, deviation = shift.at(row['epoch'])
        assert mean == pytest.approx(row['first']['mean'], abs=2e-3)
        assert deviation == pytest.approx(row['first']['std'], abs=2e-3)
    rng = np.random.default_rng(1)
    parts = [shift.draw(rng, 30.0) for _ in range(400)]
    assert min(parts) >= 0.10
    assert max(parts) <= 0.99
    assert np.mean(parts) == pytest.approx(0.52, abs=0.06)


def test_changed_depth_keeps_its_order_holes_and_limits():
    rng = np.random.default_rng(2)
    depth = rng.uniform(1, 14, (40, 40)).astype(np.float32)
    depth[:5] = 0
    changed = 0
    for _ in range(60):
        out = change_depth(depth, rng, Distributions())
        assert not out[:5].any()
        kept = out > 0
        assert out.max() <= 15.0
        assert out[kept].min() >= 0.05 - 1e-6
        order = np.argsort(depth[kept])
        assert (np.diff(out[kept][order]) >= -1e-4).all()
        changed += not np.array_equal(out, depth)
    assert 25 < changed < 60
    empty = np.zeros((3, 3), np.float32)
    assert not change_depth(empty, rng, Distributions(ranges=OUTDOORS)).any()


@pytest.fixture
def ground():
    """Depth of a plane 1.2 m below the camera, sky above the horizon."""
    rows = np.arange(256) - 127.5
    plane = np.where(rows > 1, 260 * 1.2 / np.maximum(rows, 1), np.inf)
    return np.repeat(plane[:, None], 320, 1).astype(np.float32)


def test_rings_meet_the_ground_at_the_elevations_of_the_lidar(ground):
    class Fixed:
        def uniform(self, low, high):
            return 0.5 * (low + high)

        def random(self):
            return 0.5

    hit = ring_pixels(ground, 260.0, Fixed(), rings=16, columns=720)
    assert not hit[:120].any()
    column = 150 + int(np.argmax(hit[:, 150:170].sum(0)))
    middle = np.flatnonzero(hit[:, column])
    # the LiDAR is 0.25 m above the camera and 0.1 m behind it; rings are 2 degrees apart
    distance = ground[middle, 0] + 0.1
    below = np.degrees(np.arctan2(1.2 + 0.25, distance))
    steps = np.diff(below)
    assert len(middle) >= 5
    assert np.abs(steps - 2.0).max() < 0.5


@pytest.mark.parametrize('kind', KINDS)
def test_each_kind_of_sparse_depth_tells_true_distances(ground, kind):
    rng = np.random.default_rng(3)
    quiet = Patterns(misplaced=0.0, outliers=0.0, noise=0.0, cluttered=0.0)
    for _ in range(8):
        sparse = sparse_from(ground, 260.0, 80.0, rng, quiet, kind=kind)
        there = sparse > 0
        assert there.any() == (kind != 'none')
        assert np.array_equal(sparse[there], ground[there])
        assert sparse.max() < 80.0


@pytest.mark.parametrize('kind', ['rings', 'points'])
def test_in_fog_echoes_come_from_before_the_surfaces_and_from_the_sky(ground, kind):
    rng = np.random.default_rng(5)
    foggy = Patterns(misplaced=0.0, outliers=0.0, noise=0.0, cluttered=1.0, most_echoes=0.5)
    parts, sky = [], 0
    for _ in range(12):
        sparse = sparse_from(ground, 260.0, 80.0, rng, foggy, kind=kind)
        there = sparse > 0
        echo = there & (sparse != ground)
        assert (sparse[echo] < ground[echo]).all()
        assert sparse[there].min() >= 0.5
        sky += int((echo & np.isinf(ground)).sum())
        parts.append(echo.sum() / there.sum())
    assert sky > 0
    assert 0.05 < np.mean(parts) < 0.9


def test_the_number_of_single_points_is_what_is_asked_for(ground):
    rng = np.random.default_rng(4)
    full = np.full_like(ground, 10.0)
    fixed = Patterns(least_points=500, most_points=500, misplaced=0.0)
    counts = [
        (sparse_from(full, 260.0, 80.0, rng, fixed, kind='points') > 0).sum() for _ in range(9)
    ]
    assert 480 < np.median(counts) <= 500
