# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of learning on the vehicle, and what is judged on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from students import HEIGHT, WIDTH, lite_bundle, make_anchors, make_pairs

torch = pytest.importorskip('torch')

from monother_ros.core.errors import AdaptationError, SettingsError  # noqa: E402
from monother_ros.learning.anchors import FIRST, STRIDE  # noqa: E402
from monother_ros.learning.distil_losses import kept_losses, teacher_points  # noqa: E402
from monother_ros.learning.distiller import Distiller, DistillerSettings  # noqa: E402
from monother_ros.learning.online_augment import augment  # noqa: E402
from monother_ros.learning.pair_view import PairViews, compare  # noqa: E402
from monother_ros.learning.student import StudentOutput, load_student  # noqa: E402
from monother_ros.networks.confidence import ConfidenceNetwork  # noqa: E402


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    return lite_bundle(tmp_path_factory.mktemp('distiller') / 'small')


@pytest.fixture(scope='module')
def pairs(bundle):
    return make_pairs(bundle)


def _distiller(bundle, network=None, **settings):
    return Distiller(load_student(bundle), network, DistillerSettings(**settings))


def _network():
    torch.manual_seed(1)
    return ConfidenceNetwork(4)


def _state(student):
    return {k: v.clone() for k, v in student.module.state_dict().items()}


def test_points_are_where_the_plane_is(bundle):
    """A wall at 6 m seen by both cameras: 6 m in the thermal camera at every place in view."""
    flat = [
        replace(p, teacher_depth=np.full((HEIGHT, WIDTH), 6.0, np.float16))
        for p in make_pairs(bundle, 2, distorted=False, offset=(0.3, 0.0, 0.0))
    ]
    view = PairViews(bundle.normalisation).of(flat)
    points = teacher_points(view, 0.5, 80.0)
    said = torch.exp(points.log_depth) * view.geometry.scale
    inside = points.weight > 0
    assert 0.5 < float(inside.float().mean()) < 1.0
    torch.testing.assert_close(said[inside], torch.full_like(said[inside], 6.0))
    # X_rgb = X_thermal + 0.3 m: what RGB sees at u, thermal sees 0.3 f / 6 pixels to the right
    rig = flat[0].rig
    rgb, thermal = rig.rgb_intrinsics, rig.thermal_intrinsics
    row, column = 16, 25
    u = column * (WIDTH - 1) / (WIDTH // 2 - 1)
    expected = thermal[0, 0] * ((u - rgb[0, 2]) / rgb[0, 0] - 0.3 / 6.0) + thermal[0, 2]
    place = float(points.places[0, row, column, 0] + 1) / 2 * (WIDTH - 1)
    assert place == pytest.approx(expected, abs=0.02)


def test_no_error_where_the_teacher_says_what_the_student_says(bundle):
    """The truth of a wall in the distorted picture: both losses and errors vanish."""
    flat = [
        replace(p, teacher_depth=np.full((HEIGHT, WIDTH), 6.0, np.float16))
        for p in make_pairs(bundle, 2)
    ]
    view = PairViews(bundle.normalisation).of(flat)
    depth = torch.full((2, 1, HEIGHT, WIDTH), 6.0 / flat[0].rig.focal_scale)
    result = compare(view, depth, None)
    assert float(result.difference[result.valid].abs().max()) < 1e-2
    assert float(result.valid.float().mean()) > 0.5
    far = compare(view, depth * 1.5, None)
    assert float(far.difference[far.valid].mean()) == pytest.approx(3.0, rel=1e-2)


def test_steps_bring_the_student_to_its_teacher(bundle, pairs):
    distiller = _distiller(bundle, _network(), rate=1e-3, augment=0.0, pull=0.0)
    before = distiller.errors(pairs)
    results = [distiller.step(pairs) for _ in range(25)]
    assert distiller.errors(pairs).mean() < 0.5 * before.mean()
    assert results[-1].loss < results[0].loss
    assert all(0 < r.confidence < 1 and 0 <= r.mask_share <= 1 for r in results)


@pytest.mark.parametrize('weights', [{'depth_weight': 0.0, 'bins_weight': 0.0}, {}])
def test_metric_loss_has_a_gradient(bundle, pairs, weights):
    distiller = _distiller(bundle, metric_weight=1.0, edge_weight=0.0, augment=0.0, **weights)
    before = _state(distiller.student)
    result = distiller.step(pairs)
    assert result.finite and result.consistency > 0
    after = distiller.student.module.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)


def test_a_step_without_a_finite_loss_changes_nothing(bundle, pairs):
    distiller = _distiller(bundle)
    distiller.step(pairs)
    weights, state = _state(distiller.student), distiller.state()
    bad = np.array(pairs[0].thermal)
    bad[:] = np.nan
    result = distiller.step([replace(pairs[0], thermal=bad), *pairs[1:]])
    assert not result.finite
    after = distiller.student.module.state_dict()
    assert all(torch.equal(weights[k], after[k]) for k in weights)
    later = distiller.state()
    same = [k for k in state if k.endswith(('.exp_avg', '.exp_avg_sq', '.step'))]
    assert same and all(torch.equal(state[k], later[k]) for k in same)
    assert distiller.step(pairs).finite


def test_a_step_without_a_finite_gradient_changes_nothing(bundle, pairs):
    distiller = _distiller(bundle)
    weights = _state(distiller.student)
    first = next(p for p in distiller.student.module.parameters() if p.requires_grad)
    handle = first.register_hook(lambda g: torch.full_like(g, torch.inf))
    assert not distiller.step(pairs).finite
    handle.remove()
    after = distiller.student.module.state_dict()
    assert all(torch.equal(weights[k], after[k]) for k in weights)


def test_a_pair_without_any_teacher_changes_no_depth_by_itself(bundle, pairs):
    unknown = [replace(p, teacher_depth=np.zeros_like(p.teacher_depth)) for p in pairs]
    distiller = _distiller(bundle)
    result = distiller.step(unknown)
    assert result.finite and result.mask_share == 0.0
    assert np.isnan(distiller.errors(unknown)).all()


def test_the_same_seed_gives_the_same_weights(bundle, pairs):
    anchors = make_anchors(bundle)
    states = []
    for seed in (1, 1, 2):
        distiller = _distiller(bundle, seed=seed)
        for _ in range(2):
            distiller.step(pairs, anchors)
        states.append(_state(distiller.student))
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert any(not torch.equal(states[0][k], states[2][k]) for k in states[0])


def test_goes_on_from_a_saved_state_as_if_never_stopped(bundle, pairs):
    whole = _distiller(bundle)
    for _ in range(4):
        whole.step(pairs)
    first = _distiller(bundle)
    for _ in range(2):
        first.step(pairs)
    second = _distiller(bundle)
    second.student.restore(first.student.snapshot())
    second.load_state(first.state())
    for _ in range(2):
        second.step(pairs)
    expected = _state(whole.student)
    found = _state(second.student)
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    with pytest.raises(AdaptationError, match='does not fit'):
        _distiller(bundle, part='head').load_state(first.state())


def test_anchors_are_judged_at_their_pixels(bundle):
    anchors = make_anchors(bundle)
    distiller = _distiller(bundle)
    before = distiller.anchor_errors(anchors)
    with torch.no_grad():
        said = distiller.student.predict(torch.from_numpy(anchors.inputs)).depth.numpy()
    said = said[:, 0, FIRST::STRIDE, FIRST::STRIDE]
    truth = anchors.depth[:, 0]
    known = np.isfinite(truth) & (truth > 0)
    expected = [
        np.mean(np.abs(s[k] / t[k] - 1)) for s, t, k in zip(said, truth, known, strict=True)
    ]
    np.testing.assert_allclose(before, expected, rtol=1e-4)


def test_what_was_said_of_anchors_is_kept(bundle, pairs):
    """Learning from pairs moves the outputs for anchors; rehearsal holds most of that back."""
    anchors = make_anchors(bundle)
    inputs = torch.from_numpy(anchors.inputs)
    moved = {}
    for weight in (0.0, 20.0):
        distiller = _distiller(bundle, rate=1e-3, augment=0.0, pull=0.0, anchor_weight=weight)
        with torch.no_grad():
            before = distiller.student.predict(inputs).depth.log()
        results = [distiller.step(pairs, anchors) for _ in range(12)]
        with torch.no_grad():
            after = distiller.student.predict(inputs).depth.log()
        moved[weight] = float((after - before).abs().mean())
        assert results[0].anchor == pytest.approx(0.0, abs=1e-6)
        assert (results[-1].anchor > 1e-4) == (weight > 0)
    assert moved[20.0] < 0.5 * moved[0.0]


def test_the_original_may_be_another_student(bundle, pairs):
    """After a restart from a revision it is still the model as it came that is kept."""
    anchors = make_anchors(bundle)
    original, student = load_student(bundle), load_student(bundle)
    with torch.no_grad():
        for parameter in student.module.parameters():
            parameter.mul_(1.05)
    distiller = Distiller(student, None, DistillerSettings(confidence=False), original)
    assert distiller.step(pairs, anchors).anchor > 0
    same = {n: p.clone() for n, p in original.module.named_parameters()}
    distiller.step(pairs, anchors)
    assert all(torch.equal(p, same[n]) for n, p in original.module.named_parameters())


def test_kept_losses_vanish_where_nothing_has_moved():
    logits = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    output = StudentOutput(torch.full((2, 1, 16, 16), 3.0), logits)
    same = kept_losses(output, output)
    assert float(same.depth) == 0.0
    assert abs(float(same.bins)) < 1e-6
    farther = StudentOutput(output.depth * 2.0, logits + torch.arange(8.0).view(1, 8, 1, 1))
    moved = kept_losses(farther, output)
    assert float(moved.depth) == pytest.approx(np.log(2.0), rel=1e-5)
    assert float(moved.bins) > 0.5


def test_confidence_weighs_and_its_ablation_does_not(bundle, pairs):
    network = _network()
    trusting = _distiller(bundle, network, confidence=False)
    judging = _distiller(bundle, network)
    plain, weighed = trusting.weigh(pairs[0]), judging.weigh(pairs[0])
    assert set(np.unique(plain)) == {0.0, 1.0}
    assert ((weighed > 0) == (plain > 0)).all() and weighed.max() <= 1
    # the least trusted part counts less, the rest fully
    assert 0.15 < float((weighed[plain > 0] < 1).mean()) < 0.4
    judgement = judging.judge(pairs[0])
    assert judgement.confidence.shape == judgement.mask.shape == (HEIGHT, WIDTH)
    assert judgement.mask.any() and not judgement.mask[judgement.difference < 0].any()


class _Told(torch.nn.Module):
    """Confidence that falls with the teacher's depth, times a factor."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, inputs):
        return 0.01 * self.factor / inputs[:, 4:5].clamp(min=0.1)


def test_far_depth_is_learned_although_it_is_trusted_less(bundle, pairs):
    """What counts less is found among points of like depth, not among all of them."""
    distiller = _distiller(bundle, _Told())
    view = distiller.views.of([pairs[0]])
    weight = distiller.weigh(pairs[0]).astype(np.float32)
    depth = pairs[0].teacher_depth.astype(np.float32)
    assert float(view.teacher.max() / view.teacher.min()) > 1.5
    counts = weight > 0
    far = counts & (depth > np.quantile(depth[counts], 0.8))
    near = counts & (depth < np.quantile(depth[counts], 0.2))
    assert weight[far].mean() > 0.85 * weight[near].mean()


def test_a_pair_that_is_spoiled_as_a_whole_counts_less(bundle, pairs):
    network = _Told()
    distiller = _distiller(bundle, network)
    usual = float(distiller.weigh(pairs[0]).mean())
    network.factor = 0.1
    spoiled = float(distiller.weigh(pairs[0]).mean())
    assert spoiled < 0.3 * usual
    again = _distiller(bundle, network)
    again.load_state(distiller.state())
    assert float(again.weigh(pairs[0]).mean()) < 0.5 * usual


def test_confidence_network_is_never_trained(bundle, pairs):
    network = _network()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    distiller = _distiller(bundle, network, metric_weight=1.0)
    for _ in range(2):
        distiller.step(pairs)
    assert not network.training
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_fixed_weights_decide_what_counts(bundle, pairs):
    distiller = _distiller(bundle)
    left = np.zeros((HEIGHT, WIDTH), np.float16)
    left[:, : WIDTH // 2] = 1
    depth = np.array(pairs[0].teacher_depth)
    depth[:, WIDTH // 2 :] *= 10
    held = replace(pairs[0], teacher_depth=depth, weight=left)
    same = replace(pairs[0], weight=left)
    np.testing.assert_allclose(distiller.errors([held]), distiller.errors([same]), rtol=0.05)
    none = replace(pairs[0], weight=np.zeros_like(left))
    assert np.isnan(distiller.errors([none])[0])


@pytest.mark.parametrize('known', [True, False])
def test_expresses_its_depth_in_the_rgb_camera(bundle, pairs, known):
    distiller = _distiller(bundle)
    pair = pairs[0]
    if not known:
        pair = replace(pair, teacher_depth=np.zeros_like(pair.teacher_depth))
    found = distiller.express(pair)
    assert found.shape == (HEIGHT, WIDTH) and (found > 0).mean() > 0.4
    with torch.no_grad():
        said = distiller.student.predict(torch.from_numpy(pair.thermal[None].astype(np.float32)))
    median = float(said.depth.median()) * pair.rig.focal_scale
    assert np.median(found[found > 0]) == pytest.approx(median, rel=0.2)


def test_augmentation_keeps_range_and_follows_its_seed(bundle):
    inputs = torch.randn(6, 1, 32, 64, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    assert augment(inputs, 0.5, 0.25, 0.0, torch.Generator()) is inputs
    a, b = (augment(inputs, 0.5, 0.25, 1.0, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b) and not torch.equal(a, inputs)
    assert float(a.min()) >= -2.0 and float(a.max()) <= 2.0
    three = augment(inputs.expand(-1, 3, -1, -1), 0.5, 0.25, 1.0, torch.Generator().manual_seed(3))
    assert torch.equal(three[:, 1:2], a)


@pytest.mark.parametrize(
    'wrong', [{'part': 'tail'}, {'rate': 0.0}, {'clip': -1}, {'augment': -1}, {'rate': np.nan}]
)
def test_refuses_settings_that_cannot_be(wrong):
    with pytest.raises(SettingsError):
        DistillerSettings(**wrong)
    with pytest.raises(SettingsError, match='no loss'):
        DistillerSettings(depth_weight=0.0, bins_weight=0.0)


def test_pull_keeps_the_weights_near_those_it_came_with(bundle, pairs):
    def moved(pull):
        distiller = _distiller(bundle, rate=1e-3, pull=pull)
        before = distiller.student.snapshot()
        for _ in range(4):
            distiller.step(pairs)
        after = distiller.student.snapshot()
        return sum(float((after[k] - before[k]).square().sum()) for k in before)

    free, held = moved(0.0), moved(500.0)
    assert 0 < held < 0.5 * free
    assert moved(1000.0) == 0.0
