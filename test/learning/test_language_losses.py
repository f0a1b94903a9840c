# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RSA's loss, alignment, learning rate and prompts against golden numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from monother_ros.core.errors import SettingsError
from monother_ros.evaluation.metrics import clip_prediction, depth_metrics
from monother_ros.learning import prompts
from monother_ros.learning.language_losses import balanced, depth_loss, polynomial_rate
from monother_ros.networks.language_scale import TRAINING_EPSILON, metric_depth


@pytest.fixture(name='golden')
def _golden(shared):
    folder = shared('golden/rsa')
    return folder, json.loads((folder / 'expected.json').read_text())


def test_loss_and_gradient_of_every_case(golden):
    folder, expected = golden
    images = np.load(folder / 'loss.npz')
    target = torch.from_numpy(images['target'])
    assert len(expected['loss']) == 9
    for name, case in expected['loss'].items():
        pred = torch.from_numpy(images['pred']).requires_grad_()
        loss = depth_loss(
            pred, target, case['min_depth'], case['max_depth'], case['loss_type'].lower()
        )
        assert loss.item() == pytest.approx(case['loss'], rel=1e-5), name
        (slope,) = torch.autograd.grad(loss, pred)
        np.testing.assert_allclose(slope, images[f'{name}__grad'], atol=1e-6, err_msg=name)


def test_metric_depth_and_its_clamps(golden):
    folder, expected = golden
    images = np.load(folder / 'align.npz')
    inverse, alpha, beta = (
        torch.from_numpy(images[key]) for key in ('relative_inverse_depth', 'scale', 'shift')
    )
    trained = metric_depth(inverse, alpha, beta, TRAINING_EPSILON)
    np.testing.assert_allclose(trained, images['metric_train_eps'], rtol=1e-5)
    depth = metric_depth(inverse, alpha, beta)
    np.testing.assert_allclose(depth, images['metric_eval'], rtol=1e-5)
    for name, (near, far) in expected['eval_ranges'].items():
        clipped = clip_prediction(depth.numpy(), near, far)
        np.testing.assert_allclose(clipped, images[f'clamped_{name}'], rtol=1e-5)


def test_error_figures_are_those_of_the_published_evaluation(golden):
    folder, expected = golden
    images = np.load(folder / 'eval_errors.npz')
    names = {'delta1': 'd1', 'delta2': 'd2', 'delta3': 'd3'}
    for case, wanted in expected['eval_errors'].items():
        found = depth_metrics(images[f'pred_{case}'], images['target'], near=1e-6, far=1e6)
        for key, value in wanted.items():
            if np.isfinite(value):
                assert found[names.get(key, key)] == pytest.approx(value, rel=1e-6, abs=1e-9), case


def test_learning_rate(golden):
    rows = golden[1]['learning_rate']
    for row in rows:
        assert polynomial_rate(row['step'], row['total']) == pytest.approx(row['lr'], rel=1e-9)
    assert polynomial_rate(0, 10) == pytest.approx(3e-5)


def test_sentences(golden):
    for row in golden[1]['prompt_sentences']:
        assert prompts.sentence(row['objects']) == row['sentence']


@pytest.mark.parametrize(
    ('noun', 'many'),
    [('city', 'cities'), ('toy', 'toys'), ('bench', 'benches'), ('hay bale', 'hay bales'),
     ('deer', 'deer'), ('policeman', 'policemen'), ('traffic light', 'traffic lights'),
     ('wolf', 'wolves'), ('sheep', 'sheep'), ('grass', 'grasses')],
)  # fmt: skip
def test_plurals(noun, many):
    assert prompts.plural(noun) == many


@pytest.mark.parametrize(
    ('number', 'word'),
    [(0, 'zero'), (13, 'thirteen'), (40, 'forty'), (99, 'ninety-nine'), (100, 'one hundred'),
     (345, 'three hundred and forty-five'), (1000, '1000')],
)  # fmt: skip
def test_number_words(number, word):
    assert prompts.number_word(number) == word


def test_objects_of_a_simulated_picture():
    from monother_ros.sim.materials import MATERIAL_INDEX, SKY

    material = np.full((100, 100), MATERIAL_INDEX['asphalt'], np.uint8)
    instance = np.zeros((100, 100), np.uint16)
    material[:30] = SKY
    for number, (name, column) in enumerate(
        [('car_paint', 0), ('car_glass', 5), ('car_paint', 40), ('skin', 80)], start=1
    ):
        material[50:60, column : column + 5] = MATERIAL_INDEX[name]
        instance[50:60, column : column + 5] = 1 if number < 3 else number
    material[90, 90] = MATERIAL_INDEX['rock']  # too small to be noticed
    found = prompts.objects_in_view(material, instance, least=0.003)
    assert found[:2] == ['road', 'sky']
    assert sorted(found[2:]) == ['car', 'car', 'person']
    made = prompts.sentences_of(found, 8, np.random.default_rng(0), missed=0.3)
    assert 'two cars' in made[0] and 'a person' in made[0]
    assert len(set(made)) > 3


def test_simulated_classes_are_of_known_materials():
    from monother_ros.sim.materials import MATERIAL_INDEX

    assert set(prompts.CLASSES) <= set(MATERIAL_INDEX)
    assert set(prompts.CLASSES.values()) >= prompts.COUNTED


def test_a_balanced_loss_is_one_and_keeps_its_direction():
    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    loss = (weight**2).sum()
    (plain,) = torch.autograd.grad(loss, weight, retain_graph=True)
    (shared_out,) = torch.autograd.grad(balanced(loss), weight)
    np.testing.assert_allclose(shared_out * 13.0, plain)
    nothing = balanced((weight * 0.0).sum())
    assert nothing.item() == 0.0


def test_labels_that_are_none_do_not_reach_the_gradient():
    pred = torch.tensor([[[1.0, np.inf], [3.0, np.nan]]], requires_grad=True)
    target = torch.tensor([[[2.0, 0.0], [np.nan, np.inf]]])
    loss = depth_loss(pred, target, 0.001, 80.0, 'l1')
    (slope,) = torch.autograd.grad(loss, pred)
    assert loss.item() == pytest.approx(0.25)
    assert torch.isfinite(slope).all()


def test_an_unknown_loss_is_refused():
    with pytest.raises(SettingsError, match='huber'):
        depth_loss(torch.ones(1, 2, 2), torch.ones(1, 2, 2), 0.1, 10, 'l3')
