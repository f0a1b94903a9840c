# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences and uncalibrated cameras over real DDS, into the language node and the depth node."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('torch', reason='torch is not installed')
pytest.importorskip('transformers', reason='transformers is not installed')

import torch
from depth_rig import SECOND, Rig, image_message, info_message, picture
from geometry_msgs.msg import Vector3Stamped
from language_rig import RELIABLE, LanguageRig
from sensor_msgs.msg import CameraInfo
from tiny_clip import make_clip, make_head


@pytest.fixture(scope='module', name='models')
def _models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('language')
    clip = make_clip(folder / 'clip')
    _, head = make_head(folder / 'head', encoder=clip)
    return folder, head


@pytest.fixture(name='make')
def _make(ros_domain):
    rigs = []

    def make(**parameters):
        rigs.append(LanguageRig(**parameters))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def test_a_sentence_becomes_a_scale_and_every_sentence_is_taken(make, models):
    folder, head = models
    rig = make(head=str(folder / 'head')).active()
    before = time.time_ns()
    found = rig.tell('a street with two cars')
    features = rig.node.sentences._tower.encode(['a street with two cars']).features
    with torch.inference_mode():
        alpha, beta = (float(v[0]) for v in head(features))
    assert (found.source, found.space) == ('language', 'inverse')
    assert found.scale == pytest.approx(alpha, rel=1e-6)
    assert found.shift == pytest.approx(beta, rel=1e-6)
    assert found.sigma == pytest.approx(0.4)
    assert abs(found.stamp_ns - before) < 60 * SECOND
    other = rig.tell('коридор с тремя дверями')
    assert other.speaks and other.scale != found.scale
    rig.until_message('language', '1/D =')

    long = rig.tell('a car beside a tree ' * 500)
    assert long.speaks
    status = rig.until_message('language', 'too long: only its first 77 tokens')
    assert status.level == b'\x01'
    shown = {v.key: v.value for v in status.values}
    assert len(shown['sentence']) < 100 and shown['trained for'] == 'lite'

    silent = rig.tell('   ')
    assert not silent.speaks
    rig.until_message('language', 'was empty')
    assert rig.tell('a yard').speaks, 'the node goes on after that'


def test_a_scale_that_cannot_be_is_told_and_the_node_goes_on(make, models, tmp_path):
    folder, _ = models
    path, head = make_head(tmp_path / 'wild', encoder=folder / 'clip')
    with torch.no_grad():
        list(head.scale_net.parameters())[-1].fill_(500.0)  # exp overflows
    from monother_ros.networks.language_file import write_language

    write_language(
        head, path, sigma=0.4, text_encoder=str(folder / 'clip'), depth_model='', training={},
        metrics={},
    )  # fmt: skip
    rig = make(head=str(path)).active()
    assert not rig.tell('a street').speaks
    assert rig.until_message('language', 'cannot be used').level == b'\x02'


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({}, "set the parameter 'head'"),
        ({'head': '/nowhere'}, r'is no language head'),
        ({'head': 'HEAD', 'text_encoder': '/nowhere/at/all'}, 'does not exist'),
        ({'head': 'OTHER'}, 'takes 16 features, the text encoder clip gives 24'),
    ],
)
def test_what_is_missing_is_told(make, models, tmp_path, parameters, words):
    folder, _ = models
    make_head(tmp_path / 'other', features=16, encoder=folder / 'clip')
    names = {'HEAD': str(folder / 'head'), 'OTHER': str(tmp_path / 'other')}
    rig = make(**{k: names.get(v, v) for k, v in parameters.items()})
    status = rig.until_message('node', words)
    assert status.level == b'\x02'
    assert rig.node.stage == 'unconfigured'


def test_the_depth_node_takes_the_sentence(make, models, ros_domain, tiny_bundle):
    folder, _ = models
    depth = Rig(tiny_bundle, scale_force='language', scale_rate=100.0)
    rig = LanguageRig(depth.context, depth.executor, head=str(folder / 'head'))
    told = []
    rig.operator.create_subscription(Vector3Stamped, 'scale', told.append, RELIABLE)
    try:
        rig.active()
        rig.until(lambda: depth.node.stage == 'active', what='depth node')
        found = rig.tell('a street with two cars and a person')
        state = {'index': 0}

        def shoot():
            state['index'] += 1
            stamp = time.time_ns()
            depth.info.publish(info_message(160, 128, stamp=stamp))
            depth.image.publish(image_message(picture(state['index']), stamp))

        def agrees():
            return bool(told) and told[-1].vector.x == pytest.approx(1 / found.scale, rel=0.02)

        rig.until(agrees, tick=shoot, what='scale of the sentence')
        assert told[-1].vector.y == pytest.approx(found.shift, rel=0.05)
        # an operator takes it back: depth goes on with its own scale
        count = len(told)
        assert not rig.tell('').speaks
        rig.until(lambda: len(told) > count + 3, tick=shoot, what='depth after that')
    finally:
        rig.close()
        depth.close()


# the field of view


def _disc_scene(focal, size, centre_x=0.0):
    """Depth image of discs before a wall, seen from a camera at x = centre_x."""
    width, height = size
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    x, y = (u - (width - 1) / 2) / focal, (v - (height - 1) / 2) / focal
    depth = np.full((height, width), 30.0)
    rng = np.random.default_rng(2)
    for _ in range(30):
        z = rng.uniform(4, 20)
        cx, cy, r = rng.uniform(-0.7, 0.7) * z, rng.uniform(-0.5, 0.5) * z, rng.uniform(0.3, 0.9)
        inside = (x * z + centre_x - cx) ** 2 + (y * z - cy) ** 2 < r * r
        depth[inside & (z < depth)] = z
    return depth


class DiscTeacher:
    """Says the true depth of the disc scene, in the scale of its estimate of the focal length."""

    name, relative = 'discs', False

    def __init__(self, focal, error=1.0, knows=True):
        self.focal, self.error, self.knows = focal, error, knows

    def depth(self, rgb, intrinsics=None):
        from monother_ros.learning.teachers.results import TeacherDepth

        true = _disc_scene(self.focal, (rgb.shape[1], rgb.shape[0]))
        focal = self.focal * self.error if intrinsics is None else intrinsics.fx
        depth = (true * focal / self.focal).astype(np.float32)
        return TeacherDepth(depth, focal_length=focal if self.knows else None)


@pytest.fixture(name='discs')
def _discs(monkeypatch):
    """Replaces the loading of the teacher, whose real weights take gigabytes."""
    from monother_ros.nodes import focal_worker

    teacher = DiscTeacher(260.0)
    monkeypatch.setattr(focal_worker, 'load_teacher', lambda spec, options: teacher)
    return teacher


POSE = [0.12, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
THERMAL_FOCAL = 190.0


def _cameras(rig, *, calibrated=False, rgb_info=False):
    """A function that publishes one pair of the disc scene."""
    # RGB stands at x = 0, thermal at x = 0.12 to its right: X_rgb = X_thermal + 0.12
    thermal = _disc_scene(THERMAL_FOCAL, (160, 128), 0.12)
    rgb = _disc_scene(260.0, (240, 180))
    state = {'index': 0, 'stamp': 100 * SECOND}

    def shoot():
        state['index'] += 1
        state['stamp'] += SECOND // 10
        rng = np.random.default_rng(state['index'])
        counts = 6000 + 60 * thermal + rng.normal(0, 3, thermal.shape)
        grey = np.clip(230 - 6 * rgb + rng.normal(0, 2, rgb.shape), 0, 255)
        colour = np.repeat(grey[..., None], 3, 2).astype(np.uint8)
        blank = CameraInfo()
        blank.width, blank.height = 160, 128
        info = info_message(160, 128, THERMAL_FOCAL) if calibrated else blank
        rig.publishers['thermal/camera_info'].publish(info)
        if rgb_info:
            rig.publishers['rgb/camera_info'].publish(info_message(240, 180, 260.0))
        rig.publishers['thermal/image_raw'].publish(
            image_message(counts.astype(np.uint16), state['stamp'])
        )
        rig.publishers['rgb/image_raw'].publish(
            image_message(colour, state['stamp'], 'rgb8', 'rgb_optical_frame')
        )

    return shoot


def test_the_field_of_view_of_an_uncalibrated_camera_is_estimated_and_marked(make, discs):
    discs.error = 1.1
    rig = make(focal_teacher='depth pro', focal_pairs=2, extrinsics=POSE).active()
    shoot = _cameras(rig)
    rig.until(lambda: rig.infos and rig.scales['focal'], tick=shoot, what='estimate')
    info, focal = rig.infos[-1], rig.scales['focal'][-1]
    # the teacher is wrong by 10 %, and so is what is carried over; no more
    assert info.k[0] == pytest.approx(1.1 * THERMAL_FOCAL, rel=0.06)
    assert (info.width, info.height, info.k[2]) == (160, 128, 79.5)
    assert info.header.frame_id == 'thermal_optical_frame'
    assert focal.vector.x == pytest.approx(info.k[0] / 160)
    assert focal.vector.y == 0.0 and focal.vector.z > 0.25
    assert rig.until_message('focal', 'a guess, no calibration').level == b'\x01'


def test_a_calibrated_rgb_camera_needs_no_estimate_of_its_own(make, discs):
    discs.knows = False
    rig = make(focal_teacher='any', focal_pairs=2, extrinsics=POSE).active()
    shoot = _cameras(rig, rgb_info=True)
    rig.until(
        lambda: rig.node.focal._cameras['rgb'].fit(240, 180) is not None or rig.infos,
        tick=lambda: rig.publishers['rgb/camera_info'].publish(info_message(240, 180, 260.0)),
        what='RGB calibration',
    )
    rig.until(lambda: rig.infos, tick=shoot, what='estimate')
    assert rig.infos[-1].k[0] == pytest.approx(THERMAL_FOCAL, rel=0.06)
    rig.until(lambda: rig.scales['focal'], tick=shoot)
    assert rig.scales['focal'][-1].vector.z < 0.25, 'nothing was guessed but the match'


def test_a_calibrated_thermal_camera_needs_nothing(make, discs):
    rig = make(focal_teacher='depth pro', focal_pairs=1, extrinsics=POSE).active()
    shoot = _cameras(rig, calibrated=True)
    rig.until(
        lambda: rig.node.focal._cameras['thermal'].fit(160, 128) is not None,
        tick=lambda: rig.publishers['thermal/camera_info'].publish(
            info_message(160, 128, THERMAL_FOCAL)
        ),
    )
    assert rig.until_message('focal', 'not needed', tick=shoot).level == b'\x00'
    rig.until(lambda: rig.scales['focal'], tick=shoot)
    assert math.isnan(rig.scales['focal'][-1].vector.x)
    assert not rig.infos


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'extrinsics': [0.0]}, 'pose of the thermal camera in the RGB camera is not known'),
        ({'unknown': True}, 'estimates no field of view'),
    ],
)
def test_what_is_in_the_way_is_told(make, discs, changes, words):
    discs.knows = not changes.pop('unknown', False)
    rig = make(**{'focal_teacher': 'any', 'focal_pairs': 1, 'extrinsics': POSE, **changes})
    rig.active()
    rig.until_message('focal', words, tick=_cameras(rig))
    assert not rig.infos


def test_a_teacher_that_cannot_be_loaded_ends_the_search_but_not_the_node(make, models):
    folder, _ = models
    rig = make(
        head=str(folder / 'head'), focal_teacher='transformers:/nowhere', extrinsics=POSE
    ).active()
    status = rig.until_message('focal', 'no field of view: ', tick=_cameras(rig))
    assert status.level == b'\x02' and 'does not exist' in status.message
    assert rig.tell('a street').speaks
