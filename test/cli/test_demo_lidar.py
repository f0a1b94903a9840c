# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo with a LiDAR: a spoiled model, a drive through the real nodes, the figures."""

from __future__ import annotations

import argparse
import json

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('embreex', reason='the simulator is not installed')
pytest.importorskip('onnxruntime')

from bundles import make_bundle

from monother_ros.cli import demo, demo_lidar
from monother_ros.cli.nodes import Drive, lidar_pose
from monother_ros.core.bundle import load_bundle
from monother_ros.core.errors import BagError, SettingsError
from monother_ros.ros.bags import BagReader
from monother_ros.sim.bag import Drive as SimulatedDrive
from monother_ros.sim.bag import write_drive
from monother_ros.sim.simulator import SimConfig


def test_a_spoiled_model_is_whole_and_states_another_focal_length(tmp_path):
    make_bundle(tmp_path / 'tiny', 64, 80, focal_length=70.0)
    path = demo_lidar.spoiled(str(tmp_path / 'tiny'), 1.4, tmp_path / 'model')
    assert load_bundle(path).focal_length == pytest.approx(50.0)
    assert load_bundle(tmp_path / 'tiny').focal_length == 70.0
    # again, over what an earlier run left
    assert load_bundle(
        demo_lidar.spoiled(str(tmp_path / 'tiny'), 0.7, path)
    ).focal_length == pytest.approx(100.0)
    assert demo_lidar.spoiled(str(tmp_path / 'tiny'), 1.0, path) == tmp_path / 'tiny'
    (tmp_path / 'mine').mkdir()
    with pytest.raises(SettingsError, match='not made by this demo'):
        demo_lidar.spoiled(str(tmp_path / 'tiny'), 1.3, tmp_path / 'mine')
    with pytest.raises(SettingsError, match='out of range'):
        demo_lidar.spoiled(str(tmp_path / 'tiny'), -1.0, path)
    make_bundle(tmp_path / 'none', 64, 80, focal_length=None)
    with pytest.raises(SettingsError, match='no focal length'):
        demo_lidar.spoiled(str(tmp_path / 'none'), 1.3, path)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Five seconds of a corridor."""
    config = SimConfig(
        'corridor', 1_000_400, width=160, height=128, rate=5.0, rgb_width=64, rgb_height=48,
        shutter=False,
    )  # fmt: skip
    return write_drive(tmp_path_factory.mktemp('drive') / 'bag', SimulatedDrive(config, 6.0))


def test_a_lidar_mends_the_scale(bag, tmp_path, ros_domain, monkeypatch, capsys):
    monkeypatch.setattr(demo_lidar, 'SETTLING', 2.5)
    drive = demo.choose_topics(bag)
    assert drive.remap == {} and lidar_pose(drive) is not None
    arguments = argparse.Namespace(model='lite', wrong_scale=1.4)
    recorded = demo_lidar.run_lidar(arguments, drive, tmp_path, demo.OUTPUTS, simulated=True)
    figures = json.loads((tmp_path / 'lidar.json').read_text())
    assert figures['factor'] == 1.4
    without, mended = (
        figures['runs'][name]['conditions']['day/clear']
        for name in ('without LiDAR', 'with LiDAR')
    )
    assert without['frames'] > 3 and mended['frames'] > 3
    assert without['scale error'] > 0.15 > 2 * mended['scale error']
    assert mended['abs_rel'] < without['abs_rel']
    assert 'with LiDAR' in capsys.readouterr().out
    with BagReader(recorded) as reader:
        counts = {t.name: t.count for t in reader.topics}
        names = [m.data for _, m, _ in reader.read(['/scale/source'])]
    assert counts['/scale'] == counts['/depth/image_raw']
    assert names[-1].split()[0] == 'range'


def test_a_bag_without_a_lidar_is_refused(bag, tmp_path):
    config = SimConfig('corridor', 5, width=32, height=32, rgb_width=32, rgb_height=32, rate=5.0)
    plain = write_drive(tmp_path / 'plain', SimulatedDrive(config, 0.4, lidar=False))
    arguments = argparse.Namespace(model='lite', wrong_scale=None)
    with pytest.raises(BagError, match='/lidar/points'):
        demo_lidar.run_lidar(arguments, Drive(plain), tmp_path, (), simulated=False)
