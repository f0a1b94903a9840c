# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Positional depth encoding: published numbers, and what ours adds."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from monother_ros.core.errors import SettingsError  # noqa: E402
from monother_ros.networks.depth_encoding import (  # noqa: E402
    DepthEncoding,
    digit_vector,
    encode,
    encode_local,
    measured,
    outdoor,
)

CASES = (
    'c32_T0.0003_max15',
    'c16_T0.01_max80',
    'c12_T0.003_max5',
    'c32_T0.0003_max15_noeps',
    'c32_T14000_no_normalisation',
)


@pytest.fixture(scope='module')
def golden(shared):
    folder = shared('golden/vanishing_depth')
    return json.loads((folder / 'expected.json').read_text())['pde'], np.load(folder / 'pde.npz')


@pytest.mark.parametrize('name', CASES)
def test_encoding_gives_the_golden_numbers(golden, name):
    facts, arrays = golden
    case = facts[name]
    settings = DepthEncoding(
        case['channels'], case['temperature'], case['max_depth'], case['zero_eps']
    )
    assert settings.periods == pytest.approx(case['period_m_per_pair'])
    depth = arrays['depths_m']
    found = encode(torch.tensor(depth).view(1, 1, -1), settings)[0].numpy()
    apart = np.abs(found - arrays[f'{name}__f64'])
    assert apart[:, depth <= case['max_depth']].max() < 1e-3
    assert apart.max() < 1e-2


def test_images_and_the_local_mode_give_the_golden_numbers(golden):
    _, arrays = golden
    image = torch.tensor(arrays['image_m'])[None, None]
    found = encode(image, DepthEncoding())[0].numpy()
    assert np.abs(found - arrays['image__c32_T0.0003_max15']).max() < 1e-3
    local, largest = encode_local(image, DepthEncoding())
    assert np.abs(local[0].numpy() - arrays['image_local__encoding']).max() < 1e-3
    assert float(largest[0]) == arrays['image_m'].max()
    told = digit_vector(float(largest[0]), 384)
    assert np.allclose(told, arrays['image_local__digit_vector'])
    for value in (0.73, 4.0, 123.456):
        told = digit_vector(float(np.float32(value)), 384)
        assert np.allclose(told, arrays[f'digit_vector_for_max_{value}'])


def test_the_local_mode_takes_an_image_without_depth():
    encoded, largest = encode_local(torch.zeros(1, 1, 4, 4), DepthEncoding())
    assert float(largest) == 0
    assert bool(torch.isfinite(encoded).all())


def test_outdoor_wavelengths_run_from_the_range_to_the_chosen_one():
    settings = outdoor(120.0, 0.4, 16)
    assert settings.periods[0] == pytest.approx(120.0)
    assert settings.periods[-1] == pytest.approx(0.4)
    assert len(settings.periods) == 8


def test_the_validity_channel_is_one_exactly_where_there_is_a_measurement():
    depth = torch.tensor([[0.0, 3.0], [80.0, 0.0]]).view(1, 1, 2, 2)
    encoded = encode(depth, outdoor())
    assert encoded.shape[1] == outdoor().width == 17
    assert encoded[0, -1].tolist() == [[0.0, 1.0], [1.0, 0.0]]
    without = encode(depth, outdoor(validity=False))
    assert torch.equal(encoded[:, :-1], without)


def test_what_is_no_measurement_becomes_a_hole():
    nan, inf = float('nan'), float('inf')
    values = torch.tensor([nan, inf, -inf, -1.0, 0.0, 0.01, 0.05, 99.0, 101.0])
    assert measured(values, 100.0).tolist() == pytest.approx([0, 0, 0, 0, 0, 0, 0.05, 99.0, 0])


@pytest.mark.parametrize(
    'make',
    [
        lambda: DepthEncoding(7),
        lambda: DepthEncoding(temperature=0.0),
        lambda: DepthEncoding(maximum=-1.0),
        lambda: outdoor(channels=2),
        lambda: outdoor(10.0, 20.0),
        lambda: digit_vector(-1.0, 384),
        lambda: digit_vector(float('nan'), 384),
        lambda: digit_vector(1.0, 6),
    ],
)
def test_settings_that_cannot_be_are_refused(make):
    with pytest.raises(SettingsError):
        make()
