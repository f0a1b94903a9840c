# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import cv2
import numpy as np
import pytest

from monother_ros.core.errors import ThermalError
from monother_ros.core.shutter import ShutterDetector, ShutterState

FRAME = 33_000_000
OPEN, FROZEN, FLAT, JUMP = ShutterState


class Camera:
    """A 16-bit camera that pans over a scene with edges, or stands still, with noise."""

    def __init__(self, seed=0, noise=6.0, dtype=np.uint16):
        self.rng = np.random.default_rng(seed)
        coarse = cv2.resize(self.rng.uniform(0, 1, (16, 64)), (1280, 240), interpolation=0)
        self.scene = 20000 + 1500 * cv2.GaussianBlur(coarse, (0, 0), 1.5)
        self.noise, self.dtype = noise, dtype

    def frame(self, position=0, offset=0.0):
        view = self.scene[:, position : position + 320] + offset
        view = view + self.rng.normal(0, self.noise, view.shape)
        if self.dtype == np.uint8:
            view = (view - 20000) / 6
        return np.clip(view, 0, np.iinfo(self.dtype).max).astype(self.dtype)


def run(detector, frames, start=0):
    return [detector.update(f, (start + i) * FRAME) for i, f in enumerate(frames)]


def test_no_false_alarm_on_a_real_drive(shared):
    paths = sorted(shared('data/thermal_sequence').glob('*.png'))
    frames = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in paths]
    assert run(ShutterDetector(), frames) == [OPEN] * 20


def test_real_frames_alone(shared):
    folder = shared('data/flir_raw')
    states = {
        path.name.split('_')[0]: ShutterDetector().update(
            cv2.imread(str(path), cv2.IMREAD_UNCHANGED), 1
        )
        for path in folder.glob('*_thermal16.png')
    }
    assert states.pop('duopror') is FLAT
    assert set(states.values()) == {OPEN}


def test_flat_real_frame_within_a_real_drive(shared):
    paths = sorted(shared('data/thermal_sequence').glob('*.png'))
    frames = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in paths]
    flat = cv2.imread(
        str(shared('data/flir_raw/duopror_512x640_thermal16.png')), cv2.IMREAD_UNCHANGED
    )
    states = run(ShutterDetector(), [*frames[:10], flat, flat + 1, *frames[10:]])
    assert states == [OPEN] * 10 + [FLAT] * 2 + [OPEN] * 10


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_static_scene_with_noise_is_open(dtype):
    camera = Camera(dtype=dtype)
    assert set(run(ShutterDetector(), [camera.frame() for _ in range(40)])) == {OPEN}


@pytest.mark.parametrize('speed', [1, 8, 24])
def test_moving_camera_is_open(speed):
    camera = Camera()
    frames = [camera.frame(speed * i) for i in range(40)]
    assert set(run(ShutterDetector(), frames)) == {OPEN}


@pytest.mark.parametrize(
    ('speed', 'shift'), [(0, -400), (0, 160), (0, 3000), (3, -400), (3, 600), (3, 3000)]
)
def test_freeze_then_jump(speed, shift):
    camera, detector = Camera(), ShutterDetector()
    frames = [camera.frame(speed * i) for i in range(10)]
    assert set(run(detector, frames)) == {OPEN}
    assert set(run(detector, [frames[-1]] * 15, 10)) == {FROZEN}
    after = [camera.frame(speed * (25 + i), shift) for i in range(5)]
    assert run(detector, after, 25) == [JUMP] + [OPEN] * 4


def test_freeze_without_jump_ends_open():
    camera, detector = Camera(), ShutterDetector()
    first = camera.frame()
    assert run(detector, [first, first, first, camera.frame()]) == [OPEN, FROZEN, FROZEN, OPEN]


def test_one_pixel_is_enough_to_be_fresh():
    camera, detector = Camera(), ShutterDetector()
    first = camera.frame()
    other = first.copy()
    other[101, 203] += 1
    assert run(detector, [first, other]) == [OPEN, OPEN]


def test_same_stamp_is_the_same_frame():
    camera, detector = Camera(), ShutterDetector()
    first = camera.frame()
    assert [detector.update(first, 5) for _ in range(3)] == [OPEN] * 3


def test_jump_without_a_freeze():
    camera, detector = Camera(), ShutterDetector()
    run(detector, [camera.frame() for _ in range(5)])
    assert detector.update(camera.frame(offset=900), 5 * FRAME) is JUMP
    assert detector.update(camera.frame(offset=900), 6 * FRAME) is OPEN


def test_automatic_gain_never_jumps():
    camera, detector = Camera(dtype=np.uint8), ShutterDetector()
    run(detector, [camera.frame() for _ in range(5)])
    assert detector.update(camera.frame(offset=400), 5 * FRAME) is OPEN


def test_shutter_shown_instead_of_a_freeze():
    camera, detector = Camera(), ShutterDetector()
    run(detector, [camera.frame() for _ in range(5)])
    shade = np.linspace(0, 25, 320)[None] * np.ones((240, 1))
    shutter = [
        (21000 + shade + camera.rng.normal(0, 6, (240, 320))).astype(np.uint16) for _ in range(8)
    ]
    assert set(run(detector, shutter, 5)) == {FLAT}
    assert run(detector, [camera.frame(offset=200), camera.frame(offset=200)], 13) == [JUMP, OPEN]


def test_constant_frame_is_flat():
    assert ShutterDetector().update(np.full((24, 32), 300, np.uint16), 1) is FLAT
    assert ShutterDetector().update(np.full((24, 32), 0, np.uint8), 1) is FLAT


def test_scene_that_stays_dull_is_accepted_again():
    camera, detector = Camera(noise=1.0), ShutterDetector()
    run(detector, [camera.frame() for _ in range(10)])
    dull = [
        (20000 + (camera.frame(2 * i).astype(float) - 20000) * 0.06).astype(np.uint16)
        for i in range(200)
    ]
    states = [detector.update(f, (10 + 4 * i) * FRAME) for i, f in enumerate(dull)]
    assert states[0] is FLAT
    assert states[-1] is OPEN


def test_camera_that_repeats_every_frame_by_habit():
    """9 Hz camera, 27 Hz driver: three messages of each picture."""
    camera, detector = Camera(dtype=np.uint8), ShutterDetector()
    frames = [f for i in range(30) for f in [camera.frame(4 * i)] * 3]
    states = run(detector, frames)
    assert set(states[30:]) == {OPEN}
    frozen = run(detector, [frames[-1]] * 20, len(frames))
    assert set(frozen[3:]) == {FROZEN}


def test_driver_that_hangs_stays_frozen():
    camera, detector = Camera(), ShutterDetector()
    frames = [camera.frame(i) for i in range(10)]
    states = run(detector, frames + [frames[-1]] * 300)
    assert set(states[10:]) == {FROZEN}


def test_time_jump_and_reset_start_anew():
    camera, detector = Camera(), ShutterDetector()
    first = camera.frame()
    assert detector.update(first, 100 * FRAME) is OPEN
    assert detector.update(first, 10 * FRAME) is OPEN
    assert detector.update(first, 11 * FRAME) is FROZEN
    detector.reset()
    assert detector.update(first, 12 * FRAME) is OPEN


def test_another_size_starts_anew():
    camera, detector = Camera(), ShutterDetector()
    assert detector.update(camera.frame(), 1) is OPEN
    assert detector.update(camera.frame(offset=2000)[:, :300], 2) is OPEN


def test_colour_is_refused():
    with pytest.raises(ThermalError):
        ShutterDetector().update(np.zeros((4, 4, 3), np.uint8), 1)


def test_dense_fog_is_open():
    """Contrast fades away over two seconds until noise is all that is sharp."""
    camera, detector = Camera(noise=6.0), ShutterDetector()
    contrast = np.r_[np.geomspace(1, 0.06, 60), np.full(60, 0.06)]
    states = []
    for i, part in enumerate(contrast):
        scene = cv2.GaussianBlur(camera.scene[:, 2 * i : 2 * i + 320], (0, 0), 8)
        noisy = 20000 + part * (scene - 20000) + camera.rng.normal(0, 6, scene.shape)
        states.append(detector.update(noisy.astype(np.uint16), i * FRAME))
    assert set(states) == {OPEN}
