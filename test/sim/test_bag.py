# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated drives written as bags and read back."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('embreex', reason='the simulator is not installed')

from monother_ros.core.errors import BagError, SimulationError
from monother_ros.ros.bags import BagReader
from monother_ros.sim import bag as simbag
from monother_ros.sim import messages
from monother_ros.sim.bag import OFFSETS, Drive, FrameMaker, write_drive
from monother_ros.sim.simulator import EPOCH_NS, SimConfig, Simulator

SMALL = SimConfig(
    scene='corridor',
    seed=5,
    width=64,
    height=48,
    rgb_width=80,
    rgb_height=60,
    lidar_rings=4,
    lidar_columns=90,
)


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def contents(folder):
    by_topic = {}
    with BagReader(folder) as bag:
        topics = {t.name: t for t in bag.topics}
        for topic, message, when in bag.read():
            by_topic.setdefault(topic, []).append((message, when))
    return topics, by_topic


@pytest.fixture(scope='module')
def drive():
    return Drive(SMALL, 0.4, (('day', 'clear'), ('night', 'smoke')))


@pytest.fixture(scope='module')
def folder(drive, tmp_path_factory):
    return write_drive(tmp_path_factory.mktemp('drive') / 'bag', drive, workers=1)


def test_topics_types_frames_and_counts(folder, drive):
    topics, heard = contents(folder)
    assert {name: t.type for name, t in topics.items()} == drive.topics
    assert {name: t.count for name, t in topics.items()} == {
        name: {'/tf_static': 1, '/ground_truth/conditions': 2}.get(name, 4)
        for name in drive.topics
    }
    assert topics['/tf_static'].latched
    assert not topics['/thermal/image_raw'].latched
    frames = {
        topic: {m.header.frame_id for m, _ in items}
        for topic, items in heard.items()
        if topic not in ('/tf_static', '/ground_truth/conditions')
    }
    for topic, names in frames.items():
        sensor = next(s for s in ('thermal', 'rgb', 'lidar') if s in topic)
        assert names == {'lidar_frame' if sensor == 'lidar' else f'{sensor}_optical_frame'}
    assert [m.data for m, _ in heard['/ground_truth/conditions']] == ['day/clear', 'night/smoke']


def test_values_are_those_of_the_simulator(folder, drive):
    _, heard = contents(folder)
    simulator = Simulator(drive.configs[1])
    time = 4 / SMALL.rate
    thermal = simulator.frame(time, {'thermal'})
    rgb = simulator.frame(time + OFFSETS['rgb'], {'rgb'})
    lidar = simulator.frame(time + OFFSETS['lidar'], {'lidar'})

    picture, _ = heard['/thermal/image_raw'][3]
    assert (picture.encoding, picture.height, picture.width, picture.step) == (
        'mono16', 48, 64, 128,
    )  # fmt: skip
    counts = np.frombuffer(picture.data, '<u2').reshape(48, 64)
    np.testing.assert_array_equal(counts, thermal.thermal)

    truth, _ = heard['/ground_truth/thermal/depth'][3]
    assert truth.encoding == '32FC1'
    depth = np.frombuffer(truth.data, '<f4').reshape(48, 64)
    np.testing.assert_array_equal(depth, thermal.thermal_depth)

    color, _ = heard['/rgb/image_raw'][3]
    np.testing.assert_array_equal(color.data.reshape(60, 80, 3), rgb.rgb)
    truth, _ = heard['/ground_truth/rgb/depth'][3]
    np.testing.assert_array_equal(np.frombuffer(truth.data, '<f4').reshape(60, 80), rgb.rgb_depth)

    cloud, _ = heard['/lidar/points'][3]
    assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'intensity']
    assert [f.offset for f in cloud.fields] == [0, 4, 8, 12]
    assert (cloud.point_step, cloud.width) == (16, len(lidar.points))
    np.testing.assert_array_equal(np.frombuffer(cloud.data, '<f4').reshape(-1, 4), lidar.points)


def test_calibration_is_that_of_the_rig(folder, drive):
    _, heard = contents(folder)
    rig = Simulator(drive.configs[0]).rig
    for sensor, camera in (('thermal', rig.thermal), ('rgb', rig.rgb)):
        info, _ = heard[f'/{sensor}/camera_info'][0]
        np.testing.assert_array_equal(info.k.reshape(3, 3), camera.matrix)
        np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], camera.matrix)
        assert (info.width, info.height) == (camera.width, camera.height)
        assert info.distortion_model == 'plumb_bob'
        np.testing.assert_array_equal(info.d, camera.distortion)
        np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    (static, _), *_ = heard['/tf_static']
    expected = {
        'thermal_optical_frame': rig.base_from_thermal,
        'rgb_optical_frame': rig.base_from_rgb,
        'lidar_frame': rig.base_from_lidar,
    }
    assert [t.child_frame_id for t in static.transforms] == list(expected)
    for transform in static.transforms:
        matrix = expected[transform.child_frame_id]
        assert transform.header.frame_id == 'base_link'
        q, p = transform.transform.rotation, transform.transform.translation
        axis = np.array([q.x, q.y, q.z])
        assert np.hypot(np.linalg.norm(axis), q.w) == pytest.approx(1)
        # Rodrigues' formula as an independent reference
        angle = 2 * np.arctan2(np.linalg.norm(axis), q.w)
        turn, _ = cv2.Rodrigues(axis / np.linalg.norm(axis) * angle)
        np.testing.assert_allclose(turn, matrix[:3, :3], atol=1e-9)
        np.testing.assert_allclose([p.x, p.y, p.z], matrix[:3, 3])


def test_optical_frames_look_forward(folder):
    # REP-103: z of an optical frame is x of the robot, up to the tilt of the mounting
    rig = Simulator(SMALL).rig
    for matrix in (rig.base_from_thermal, rig.base_from_rgb):
        assert matrix[0, 2] > 0.99
        assert matrix[2, 1] < -0.99


def test_stamps_of_one_camera_agree_and_cameras_differ(folder):
    _, heard = contents(folder)
    times = {}
    for sensor in ('thermal', 'rgb'):
        images = [stamp(m) for m, _ in heard[f'/{sensor}/image_raw']]
        assert images == [stamp(m) for m, _ in heard[f'/{sensor}/camera_info']]
        assert images == [stamp(m) for m, _ in heard[f'/ground_truth/{sensor}/depth']]
        assert images == [when for _, when in heard[f'/{sensor}/image_raw']]
        times[sensor] = np.array(images)
    assert set(times['rgb'] - times['thermal']) == {round(OFFSETS['rgb'] * 1e9)}
    assert set(np.diff(times['thermal'])) == {100_000_000}
    assert times['thermal'][0] > EPOCH_NS


def test_one_drive_goes_on_through_its_segments(drive):
    both = FrameMaker(drive)
    day = FrameMaker(replace(drive, conditions=(('day', 'clear'),)))

    def depth(maker):
        records = {r.topic: r.data for r in maker(3)}
        return records['/ground_truth/thermal/depth'], records['/thermal/image_raw']

    # the same place at the same time: the depth is equal, the picture is not
    assert depth(both)[0] == depth(day)[0]
    assert depth(both)[1] != depth(day)[1]


def test_same_bytes_from_any_number_of_processes(folder, drive, tmp_path):
    other = write_drive(tmp_path / 'bag', drive, workers=2)
    digest = [hashlib.sha256((f / 'bag.mcap').read_bytes()).hexdigest() for f in (folder, other)]
    assert digest[0] == digest[1]
    changed = replace(drive, config=replace(SMALL, seed=6))
    write_drive(other, changed, workers=1, overwrite=True)
    assert hashlib.sha256((other / 'bag.mcap').read_bytes()).hexdigest() != digest[0]


def test_jpeg_instead_of_raw_pictures(tmp_path):
    compressed = Drive(SMALL, 0.1, compressed=True)
    topics, heard = contents(write_drive(tmp_path / 'bag', compressed, workers=1))
    assert '/rgb/image_raw' not in topics
    ((message, _),) = heard['/rgb/image_raw/compressed']
    assert message.format == 'rgb8; jpeg compressed bgr8'
    coded = cv2.imdecode(message.data, cv2.IMREAD_COLOR)[..., ::-1]
    rgb = Simulator(SMALL).frame(0.1 + OFFSETS['rgb'], {'rgb'}).rgb
    assert np.abs(coded.astype(int) - rgb).mean() < 6


def test_quaternions_of_half_turns():
    for axis in range(3):
        turn = -np.eye(3)
        turn[axis, axis] = 1
        expected = np.zeros(4)
        expected[axis] = 1
        np.testing.assert_allclose(np.abs(messages.quaternion(turn)), expected, atol=1e-9)
    assert messages.quaternion(np.eye(3)) == pytest.approx((0, 0, 0, 1))


def test_refusals_leave_nothing(drive, tmp_path, monkeypatch):
    with pytest.raises(SimulationError, match='more seconds'):
        Drive(SMALL, 0.1, (('day', 'clear'), ('night', 'clear')))
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'file').touch()
    with pytest.raises(BagError, match='not a bag'):
        write_drive(tmp_path / 'mine', drive, workers=1)

    def fail(*_args):
        raise SimulationError('broken')

    monkeypatch.setattr(simbag.FrameMaker, '__call__', fail)
    with pytest.raises(SimulationError, match='broken'):
        write_drive(tmp_path / 'out', drive, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ['mine']
