# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: topics of foreign bags, and a drive through the real nodes in their own processes."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('matplotlib')
from bundles import make_bundle
from rosbags.typesys import Stores, get_typestore

from monother_ros.cli.children import Child, ChildError
from monother_ros.cli.demo import choose_topics
from monother_ros.cli.main import main
from monother_ros.cli.nodes import Drive
from monother_ros.core.errors import BagError
from monother_ros.ros.bags import BagReader
from monother_ros.ros.frames import drive_files, frames_to_bag
from monother_ros.ros.newbag import new_bag


@pytest.fixture
def frames(tmp_path):
    """Twelve 16-bit frames of a pattern that moves, with RGB beside them."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    rng = np.random.default_rng(3)
    scene = cv2.GaussianBlur(rng.normal(9000, 3000, (128, 260)), (0, 0), 4)
    scene += np.linspace(0, 1500, 128)[:, None]
    for number in range(12):
        image = scene[:, 4 * number : 4 * number + 160] + rng.normal(0, 8, (128, 160))
        cv2.imwrite(str(folder / f'{number}_thr.png'), image.astype(np.uint16))
        cv2.imwrite(str(folder / f'{number}_rgb.png'), np.full((60, 80, 3), number, np.uint8))
    return folder


def renamed(bag, target, names):
    """Copy of a bag with other topic names."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    with BagReader(bag) as reader, new_bag(target) as writer:
        made = {
            t.name: writer.add_connection(names[t.name], t.type, typestore=store)
            for t in reader.topics
        }
        for message in reader.messages():
            writer.write(made[message.topic], message.stamp_ns, message.data)
    return target


def test_topics_of_a_foreign_bag(frames, tmp_path):
    thermal, rgb = drive_files(frames)
    frames_to_bag(thermal, tmp_path / 'own', rgb=rgb)
    assert choose_topics(tmp_path / 'own').remap == {}
    names = {'/thermal/image_raw': '/boson/image_raw', '/rgb/image_raw': '/webcam/image'}
    foreign = renamed(tmp_path / 'own', tmp_path / 'foreign', names)
    drive = choose_topics(foreign)
    assert drive.remap == {
        '/boson/image_raw': '/thermal/image_raw',
        '/webcam/image': '/rgb/image_raw',
    }
    assert drive.recorded('/thermal/image_raw') == '/boson/image_raw'
    assert Drive(foreign).recorded('/rgb/image_raw') == '/rgb/image_raw'
    with pytest.raises(BagError, match=r'/boson/image_raw \(mono16\)'):
        choose_topics(foreign, '/nothing')


def test_real_bags_without_a_thermal_camera_are_refused(shared):
    with pytest.raises(BagError, match='no thermal image topic'):
        choose_topics(shared('data/bags') / 'watercan.bag')


def test_a_foreign_bag_goes_through_the_nodes(frames, tmp_path, ros_domain, capfd):
    thermal, rgb = drive_files(frames)
    frames_to_bag(thermal, tmp_path / 'own', rgb=rgb, rate=10.0)
    names = {'/thermal/image_raw': '/boson/image_raw', '/rgb/image_raw': '/webcam/image'}
    foreign = renamed(tmp_path / 'own', tmp_path / 'foreign', names)
    make_bundle(tmp_path / 'tiny', height=64, width=80)
    out = tmp_path / 'out'
    code = main(['demo', str(foreign), '-o', str(out), '--model', str(tmp_path / 'tiny')])
    last = capfd.readouterr().out.strip().splitlines()[-1]
    assert code == 0 and last == str(out / 'report/index.html')
    assert '<html' in (out / 'report/index.html').read_text()
    figures = json.loads((out / 'report/report.json').read_text())
    assert figures['frames']['in'] == 12
    # the first one may fall before the node and the player have found each other
    assert figures['frames']['out'] + figures['frames']['shutter'] >= 10
    with BagReader(out / 'recorded') as bag:
        stamps = {t.name: t.count for t in bag.topics}
    assert stamps['/depth/image_raw'] == stamps['/confidence'] == figures['frames']['out']


def test_a_bad_model_is_told_at_once(frames, tmp_path, capsys):
    (tmp_path / 'empty').mkdir()
    code = main(
        ['demo', str(frames), '-o', str(tmp_path / 'out'), '--model', str(tmp_path / 'empty')]
    )
    text = capsys.readouterr().err
    assert code == 1 and 'model.json' in text
    assert not (tmp_path / 'out').exists()


def test_a_child_that_fails_is_told_with_its_last_lines(tmp_path):
    with (
        Child('broken', ['monother_ros.cli.main', 'play', '/nothing/here'], tmp_path) as child,
        pytest.raises(ChildError, match='does not exist'),
    ):
        child.wait(30)
