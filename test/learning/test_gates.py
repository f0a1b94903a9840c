# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gates let ordinary pairs through, and name what is wrong with others."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import SettingsError
from monother_ros.core.shutter import ShutterState
from monother_ros.learning.gate_picture import measure, shrink
from monother_ros.learning.gates import REASONS, Gates, GateSettings
from monother_ros.sim.defects import (
    Drops,
    defocus,
    glare,
    low_light,
    motion_blur,
    underexposed,
)

SECOND = 10**9
SCENES = ('street', 'corridor', 'woods', 'yard')


@pytest.fixture(scope='module')
def drives():
    """RGB and thermal pictures along a drive of each scene, a second or more apart."""
    pytest.importorskip('embreex')
    from monother_ros.sim.simulator import SimConfig, Simulator

    found = {}
    for scene, time in [*itertools.product(SCENES, ['day']), ('woods', 'night')]:
        size = {'rgb_width': 320, 'rgb_height': 240, 'width': 160, 'height': 128}
        simulator = Simulator(SimConfig(scene=scene, seed=71, time_of_day=time, **size))
        step = max(1.0, round(simulator.duration / 12, 1))
        count = 12 if time == 'day' else 3
        frames = [simulator.frame(k * step, ('thermal', 'rgb')) for k in range(count)]
        found[scene, time] = [(f.rgb, f.thermal) for f in frames]
    return found


def run(pictures, change=None, gates=None):
    """Reasons of pictures that come one a second, each accepted where it may be."""
    gates = gates or Gates()
    rng = np.random.default_rng(0)
    reasons = []
    for k, (rgb, thermal) in enumerate(pictures):
        seen = rgb if change is None else change(rgb, rng)
        stamp = k * SECOND
        reason = gates.look(seen, thermal, stamp, stamp, ShutterState.OPEN)
        assert reason is None or reason in REASONS
        if reason is None:
            gates.accepted()
        reasons.append(reason)
    return reasons


def share(drives, change, reason, first=0):
    """Part of the day's pictures of all scenes that are refused for a reason."""
    reasons = [r for s in SCENES for r in run(drives[s, 'day'], change)[first:]]
    return sum(r == reason for r in reasons) / len(reasons)


def test_clear_days_are_learned_from(drives):
    assert share(drives, None, None) >= 0.95


@pytest.mark.parametrize('light', [1.0, 1 / 16])
def test_light_that_gain_makes_up_for_is_enough(drives, light):
    assert share(drives, lambda p, r: low_light(p, r, light=light), None) >= 0.95


@pytest.mark.parametrize('light', [1 / 100, 1 / 1000])
def test_too_little_light_is_night(drives, light):
    assert share(drives, lambda p, r: low_light(p, r, light=light), 'night') >= 0.98


def test_simulated_night_in_the_woods_is_night(drives):
    assert set(run(drives['woods', 'night'])) == {'night'}


def test_a_black_picture_is_night():
    black = np.zeros((240, 320, 3), np.uint8)
    thermal = np.random.default_rng(0).integers(0, 999, (128, 160)).astype(np.uint16)
    assert run([(black, thermal)]) == ['night']


@pytest.mark.parametrize('factor', [0.25, 0.15])
def test_a_dark_scene_that_is_well_exposed_is_no_night(drives, factor):
    assert share(drives, lambda p, _: underexposed(p, factor), None) >= 0.95


def test_night_does_not_flicker_at_dusk(drives):
    """Light falls slowly through the limit while clouds let it tremble."""
    rng = np.random.default_rng(3)
    rgb, thermal = drives['street', 'day'][4]
    gates = Gates()
    night = []
    for k, exponent in enumerate(np.linspace(3.0, 8.0, 60)):
        light = 2.0 ** -(exponent + 0.15 * rng.standard_normal())
        seen = low_light(rgb, rng, light=light)
        reason = gates.look(seen, thermal, k * SECOND, k * SECOND, ShutterState.OPEN)
        night.append(reason == 'night')
    assert not night[0] and night[-1]
    assert sum(a != b for a, b in itertools.pairwise(night)) == 1


@pytest.mark.parametrize('radius', [0.14, 0.2])
def test_glare(drives, radius):
    assert share(drives, lambda p, r: glare(p, r, radius=radius), 'glare') >= 0.95


def test_motion_blur_and_defocus(drives):
    def turned(picture, rng):
        return motion_blur(picture, rng, length=7, angle=float(rng.choice([0, math.pi / 2])))

    assert share(drives, turned, 'blurred') >= 0.9
    assert share(drives, lambda p, r: defocus(p, r, sigma=2.0), 'blurred') >= 0.98


def test_drops_are_found_after_some_views_and_forgotten_when_wiped(drives):
    drops = Drops((240, 320), 14, np.random.default_rng(5))
    assert 0.08 < drops.covered < 0.3
    # the first views cannot tell drops from smooth walls
    assert share(drives, drops, 'rain on the lens', first=6) >= 0.9
    assert share(drives, drops, 'rain on the lens') <= 0.7
    street = drives['street', 'day']
    gates = Gates()
    assert run(street, drops, gates)[-1] == 'rain on the lens'
    # the same gates go on with a clean lens
    later = [(k + 12) * SECOND for k in range(24)]
    reasons = [
        gates.look(rgb, thermal, stamp, stamp, ShutterState.OPEN)
        for stamp, (rgb, thermal) in zip(later, street * 2, strict=True)
    ]
    assert reasons[0] == 'rain on the lens' and reasons[-1] is None


def test_drops_are_not_looked_for_while_nothing_moves(drives):
    rgb, thermal = drives['corridor', 'day'][0]
    gates = Gates()
    run([(rgb, thermal)] * 20, None, gates)
    assert gates.covered == 0.0


def test_standing_still_whatever_noise_and_light_do(drives):
    rng = np.random.default_rng(1)
    for scene in SCENES:
        rgb, thermal = drives[scene, 'day'][2]
        pictures = [(rgb, thermal)]
        for gamma, gain in ((0.7, 1.0), (1.3, 0.9), (1.0, 0.75)):
            light = 255.0 * (rgb / 255.0) ** gamma * gain + rng.normal(0, 2.5, rgb.shape)
            counts = thermal + rng.normal(0, 2, thermal.shape) + 40
            pictures.append((np.clip(light, 0, 255).astype(np.uint8), counts.astype(np.uint16)))
        assert run(pictures) == [None, *['standing still'] * 3]


def test_something_that_moves_through_a_view_makes_no_new_one(drives):
    rgb, thermal = drives['corridor', 'day'][3]
    passing, warm = rgb.copy(), thermal.copy()
    passing[60:, 100:170] = (200, 30, 30)
    warm[30:, 50:85] = warm.max()
    assert run([(rgb, thermal), (passing, warm)]) == [None, 'standing still']


def test_a_view_is_compared_with_the_last_accepted_one(drives):
    gates = Gates()
    (a, ta), (b, tb) = drives['yard', 'day'][:2]
    look = ShutterState.OPEN
    assert gates.look(a, ta, 0, 0, look) is None
    # not accepted: the same view is still new
    assert gates.look(a, ta, 1, 1, look) is None
    gates.accepted()
    assert gates.look(a, ta, 2, 2, look) == 'standing still'
    assert gates.look(b, tb, 3, 3, look) is None
    assert gates.look(a, ta, 4, 4, look) == 'standing still'
    gates.reset()
    assert gates.look(a, ta, 5, 5, look) is None


def test_stamps_and_shutter(drives):
    rgb, thermal = drives['yard', 'day'][0]
    gates = Gates(GateSettings(stamps=0.02, shutter=0.5))
    ms = 10**6
    assert gates.look(rgb, thermal, 0, 21 * ms, ShutterState.OPEN) == 'stamps apart'
    assert gates.look(rgb, thermal, 30 * ms, 11 * ms, ShutterState.OPEN) is None
    for state in (ShutterState.FROZEN, ShutterState.FLAT, ShutterState.JUMP):
        assert gates.look(rgb, thermal, 100 * ms, 100 * ms, state) == 'shutter'
    assert gates.look(rgb, thermal, 590 * ms, 590 * ms, ShutterState.OPEN) == 'shutter'
    assert gates.look(rgb, thermal, 610 * ms, 610 * ms, ShutterState.OPEN) is None
    # a shutter event counts even where the stamps are apart, and time that jumps back forgets it
    assert gates.look(rgb, thermal, 700 * ms, 0, ShutterState.FLAT) == 'stamps apart'
    assert gates.look(rgb, thermal, 800 * ms, 800 * ms, ShutterState.OPEN) == 'shutter'
    assert gates.look(rgb, thermal, 10 * ms, 10 * ms, ShutterState.OPEN) is None


def test_real_dark_street_is_let_through(shared):
    folder = shared('data/thermal_rgb_pair')
    rgb = cv2.cvtColor(cv2.imread(str(folder / 'left_rgb.png')), cv2.COLOR_BGR2RGB)
    thermal = cv2.imread(str(folder / 'left_thr.png'), cv2.IMREAD_UNCHANGED)
    # a third of this picture is below 20 of 255, but there is little noise
    small = shrink(rgb)
    picture = measure(rgb, small, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    assert picture.level < 40 and picture.dark > 0.25 and picture.visible > 5
    assert run([(rgb, thermal)]) == [None]
    rng = np.random.default_rng(0)
    assert run([(low_light(rgb, rng, light=1 / 200), thermal)]) == ['night']
    assert run([(motion_blur(rgb, rng, length=25), thermal)]) == ['blurred']


@pytest.mark.parametrize('wrong', [{'night': -1}, {'night': 2.0, 'day': 1.0}, {'white': math.nan}])
def test_settings_are_checked(wrong):
    with pytest.raises(SettingsError):
        GateSettings(**wrong)
