# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other materials, sensor responses, mounts and the farm; the usual worlds stay as they were."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from monother_ros.core.errors import SimulationError
from monother_ros.learning.rendered import DatasetPlan, world_of
from monother_ros.sim.material_sets import CLIMATES, materials_of, table_of, weather_of
from monother_ros.sim.materials import MATERIAL_INDEX, MATERIALS, table
from monother_ros.sim.new_worlds import FIRST_SEED, NEW_WORLDS, new_world
from monother_ros.sim.response import RESPONSES, respond
from monother_ros.sim.rig import MOUNTS, make_rig
from monother_ros.sim.simulator import SimConfig, Simulator
from monother_ros.sim.weather import make_weather

SMALL = {'width': 80, 'height': 64, 'rgb_width': 96, 'rgb_height': 72, 'lidar_columns': 90}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_temperate_changes_nothing():
    assert materials_of('temperate') == MATERIALS
    for field in ('emissivity', 'day', 'color', 'sun'):
        np.testing.assert_array_equal(table_of(field, 'temperate'), table(field))
    weather = make_weather('day', 'clear', rng())
    assert weather_of(weather, 'temperate', indoor=False) is weather


@pytest.mark.parametrize('name', CLIMATES)
def test_sets_name_known_materials_and_stay_within_physics(name):
    assert set(CLIMATES[name].changes) <= set(MATERIAL_INDEX)
    for m in materials_of(name):
        assert 0.2 < m.emissivity < 1
        assert 0 <= m.gloss <= 1
        assert 0 <= m.hold < 1
        assert all(0 <= c <= 1 for c in m.color)


def test_tables_are_copies():
    table_of('day', 'desert')[:] = 1e6
    assert table_of('day', 'desert').max() < 100


def test_climates_are_far_apart():
    weather = make_weather('day', 'clear', rng(1))
    desert, winter = (weather_of(weather, n, indoor=False) for n in ('desert', 'winter'))
    assert desert.air - winter.air > 25
    assert weather_of(weather, 'winter', indoor=True).air == weather.air
    seen = {}
    for name in ('temperate', 'desert', 'winter'):
        config = SimConfig('street', seed=11, materials=name, movers=False, **SMALL)
        seen[name] = Simulator(config).frame(1.0, {'thermal', 'rgb'})
    same = {f.thermal_depth.tobytes() for f in seen.values()}
    assert len(same) == 1  # the place is the same
    ground = {n: f.rgb[-15:].reshape(-1, 3).mean(0) for n, f in seen.items()}
    assert ground['winter'][2] >= ground['winter'][0]  # snow is bluish
    assert ground['desert'][0] > ground['desert'][2] * 1.1  # sand is not
    levels = [float(np.median(f.thermal)) for f in seen.values()]
    assert np.ptp(levels) > 500


def test_black_hot_reverses_and_linear_is_the_signal():
    signal = np.linspace(3000, 5000, 80 * 64, dtype=np.float32).reshape(64, 80)
    assert respond(signal, 'linear', 16383) is signal
    reversed_ = respond(signal, 'black_hot', 16383)
    np.testing.assert_allclose(reversed_ + signal, 16383, atol=1e-2)


@pytest.mark.parametrize('name', ['equalised', 'compressed'])
def test_pictures_for_people_fill_the_range_whatever_the_level(name):
    signal = rng(2).normal(4000, 60, (64, 80)).astype(np.float32)
    signal[:20] -= 900
    one, other = respond(signal, name, 16383), respond(signal * 2 + 1000, name, 16383)
    assert np.percentile(one, 99) - np.percentile(one, 1) > 0.3 * 16383
    assert one.min() >= 0
    assert one.max() <= 16383
    np.testing.assert_allclose(one, other, atol=16383 * 0.02)


def test_equalisation_keeps_the_order():
    signal = rng(3).gamma(2.0, 300.0, (64, 80)).astype(np.float32) + 3000
    tones = respond(signal, 'equalised', 16383).reshape(-1)
    order = np.argsort(signal.reshape(-1), kind='stable')
    assert (np.diff(tones[order]) >= -1e-2).all()


def test_worn_camera_has_more_fixed_pattern():
    spread = {}
    for name in ('linear', 'worn'):
        config = SimConfig('corridor', seed=4, response=name, movers=False, **SMALL)
        frame = Simulator(config).frame(0.5, {'thermal'}).thermal.astype(np.float64)
        spread[name] = np.abs(np.diff(frame, 2, axis=1)).mean()
    assert spread['worn'] > 1.5 * spread['linear']


def test_mounts_move_the_cameras_only():
    rigs = {name: make_rig(rng(5), mount=name) for name in MOUNTS}
    heights = {name: rig.base_from_thermal[2, 3] for name, rig in rigs.items()}
    assert heights['low'] < 0.9 < heights['mast'] < 1.4 < heights['high']
    looking = {name: rig.base_from_rgb[2, 2] for name, rig in rigs.items()}
    assert looking['high'] < looking['mast'] < looking['low']  # z of the optical axis
    assert rigs['low'].thermal == rigs['mast'].thermal
    np.testing.assert_allclose(
        rigs['high'].rgb_from_thermal[:3, 3], rigs['mast'].rgb_from_thermal[:3, 3], atol=0.01
    )


@pytest.mark.parametrize('response', RESPONSES)
def test_same_seed_same_bytes(response):
    config = SimConfig(
        'farm', seed=3, response=response, materials='winter', mount='high', **SMALL
    )
    digests = {
        hashlib.sha256(Simulator(config).frame(1.0, {'thermal'}).thermal.tobytes()).hexdigest()
        for _ in range(2)
    }
    assert len(digests) == 1


def test_new_worlds_are_new_and_sound():
    names = [world.name for world in NEW_WORLDS]
    assert len(set(names)) == len(names) >= 6
    assert sum(world.scene == 'farm' for world in NEW_WORLDS) >= 2
    for world in NEW_WORLDS:
        assert world.seed >= FIRST_SEED
        usual = (world.materials, world.response, world.mount) == ('temperate', 'linear', 'mast')
        assert world.scene == 'farm' or not usual
        frame = Simulator(world.config('night', **SMALL)).frame(2.0, {'thermal'})
        assert np.ptp(np.percentile(frame.thermal, [2, 98])) > 20
        assert frame.thermal.max() <= 16383
    assert new_world('steel works').config('dusk', rate=5.0).rate == 5.0
    with pytest.raises(SimulationError, match='steel works'):
        new_world('moon')


def test_recipe_lite_draws_from_its_four_scenes():
    plan = DatasetPlan(240)
    scenes = [world_of(plan, i).scene for i in range(plan.worlds)]
    assert set(scenes) == {'street', 'corridor', 'woods', 'yard'}
    assert scenes[:4] == ['street', 'corridor', 'woods', 'yard']


@pytest.mark.parametrize('field', ['materials', 'response', 'mount'])
def test_unknown_conditions_are_refused(field):
    with pytest.raises(SimulationError, match='moon'):
        SimConfig(**{field: 'moon'})


def test_random_pairs_look_at_the_same_place():
    simulator = Simulator(SimConfig('yard', seed=6, **SMALL))
    frame = simulator.training_pair(rng(7), simulator.rig.rgb)
    assert frame.rgb.shape == (72, 96, 3)
    assert frame.rgb_depth.shape == (72, 96)
    middle = [np.median(d[d.shape[0] // 2 :]) for d in (frame.thermal_depth, frame.rgb_depth)]
    assert middle[0] == pytest.approx(middle[1], rel=0.35)
    again = simulator.training_frame(rng(7))
    np.testing.assert_array_equal(again.thermal, frame.thermal)
