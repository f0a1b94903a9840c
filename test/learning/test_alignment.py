# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A slipped calibration is found, and a good one is left alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from online_pairs import make_pair

from monother_ros.core.bundle import load_bundle
from monother_ros.core.errors import SettingsError
from monother_ros.core.models import find_bundle
from monother_ros.learning.alignment import AlignmentMonitor, AlignmentSettings
from monother_ros.learning.online_pair import PairMaker, RigView
from monother_ros.learning.rectify import Rectifier

COUNT = 10
SETTINGS = AlignmentSettings(least_pairs=6)
AXES = {'yaw': (0, 1, 0), 'pitch': (1, 0, 0), 'roll': (0, 0, 1)}


class Drive:
    """Pairs of a simulated drive, with depth as wrong as a teacher's."""

    def __init__(self, scene):
        from monother_ros.sim.simulator import SimConfig, Simulator

        self.bundle = load_bundle(find_bundle('lite'), verify=False)
        size = {'rgb_width': 320, 'rgb_height': 240}
        simulator = Simulator(SimConfig(scene=scene, seed=72, shutter=False, **size))
        self.rig = simulator.rig
        make = PairMaker(self.bundle, self.rig.thermal, self.rig.rgb, self.rig.rgb_from_thermal)
        flat = Rectifier(self.rig.rgb, (make.rig.width, make.rig.height))
        rng = np.random.default_rng(0)
        self.pairs = []
        for k in range(COUNT):
            frame = simulator.frame(round(k * simulator.duration / COUNT, 1), ('thermal', 'rgb'))
            depth = cv2.medianBlur(flat.depth(frame.rgb_depth), 5)
            bend = rng.normal(0, 0.12, (5, 6)).astype(np.float32)
            bend = cv2.resize(
                bend, (depth.shape[1], depth.shape[0]), interpolation=cv2.INTER_CUBIC
            )
            pair = make(frame.thermal, frame.stamp_ns, frame.rgb)
            self.pairs.append(replace(pair, teacher_depth=(depth * np.exp(bend)).astype('f2')))

    def turned(self, axis, degrees):
        """The same pairs with a calibration that is off by a rotation."""
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(np.radians(degrees) * np.array(AXES[axis], float))[0]
        wrong = self.rig.rgb_from_thermal @ pose
        rig = RigView.of(self.bundle, self.rig.thermal, self.rig.rgb, wrong)
        return [replace(p, rig=rig) for p in self.pairs]


@pytest.fixture(scope='module', params=['street', 'corridor'])
def drive(request):
    pytest.importorskip('embreex')
    return Drive(request.param)


def watch(pairs, monitor=None):
    monitor = monitor or AlignmentMonitor(SETTINGS)
    return [monitor.update(p) for p in pairs]


def test_a_good_calibration_is_no_alarm(drive):
    found = watch(drive.pairs)
    assert not any(a.slipped for a in found)
    assert np.hypot(*found[-1].offset) < 1.5 and abs(found[-1].turn) < np.radians(0.7)
    assert found[-1].certainty > 0.5


@pytest.mark.parametrize(
    ('axis', 'degrees'), [('yaw', 1.5), ('yaw', -3.0), ('pitch', 2.0), ('roll', 2.5)]
)
def test_a_slipped_camera_is_found(drive, axis, degrees):
    found = watch(drive.turned(axis, degrees))
    assert not any(a.slipped for a in found[:5])
    assert found[-1].slipped and 'slipped' in found[-1].text
    focal = drive.rig.thermal.fx
    if axis == 'roll':
        assert abs(np.degrees(abs(found[-1].turn)) - degrees) < 0.8
    else:
        shift = abs(focal * np.tan(np.radians(degrees)))
        along, across = found[-1].offset if axis == 'yaw' else found[-1].offset[::-1]
        assert abs(along) == pytest.approx(shift, abs=2.0) and abs(across) < 1.5


def test_half_a_degree_is_told_but_no_alarm(drive):
    found = watch(drive.turned('yaw', 0.4))
    assert not any(a.slipped for a in found)
    assert 0.8 < abs(found[-1].offset[0]) < 3.0


def test_another_calibration_starts_anew(drive):
    monitor = AlignmentMonitor(SETTINGS)
    assert watch(drive.turned('pitch', 2.5), monitor)[-1].slipped
    found = watch(drive.pairs, monitor)
    assert not any(a.slipped for a in found) and found[0].certainty == 0


def test_a_camera_that_was_put_right_is_found(drive):
    monitor = AlignmentMonitor(AlignmentSettings(least_pairs=6, memory=9))
    rig = drive.pairs[0].rig
    # the same name for both, as where the mount moved and the calibration stayed
    slipped = [replace(p, rig=replace(p.rig, key=rig.key)) for p in drive.turned('yaw', 2.5)]
    assert watch(slipped, monitor)[-1].slipped
    assert not watch(drive.pairs * 2, monitor)[-1].slipped


def test_pictures_that_have_nothing_in_common_are_no_alarm():
    rng = np.random.default_rng(0)
    monitor = AlignmentMonitor()
    for k in range(40):
        thermal = make_pair(k, noise=k).thermal + rng.normal(0, 0.5, (1, 64, 80))
        other = make_pair(900 - k, noise=k)
        result = monitor.update(replace(other, thermal=thermal.astype(np.float16)))
        assert not result.slipped


def test_pairs_without_edges_or_depth_say_nothing():
    monitor = AlignmentMonitor()
    pair = make_pair(1)
    blank = replace(pair, rgb=np.full_like(pair.rgb, 90))
    unknown = replace(pair, teacher_depth=np.zeros_like(pair.teacher_depth))
    for empty in [blank, unknown] * 10:
        result = monitor.update(empty)
        assert not result.slipped and result.certainty == 0 and '0 pairs' in result.text


@pytest.mark.parametrize('wrong', [{'settled': 9.0}, {'least_pairs': 1}, {'memory': 4}])
def test_settings_are_checked(wrong):
    with pytest.raises(SettingsError):
        AlignmentSettings(**wrong)
