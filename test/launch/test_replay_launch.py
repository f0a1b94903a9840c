# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A drive replayed by the launch file: every node, figures, page, and ends that are not good."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')
pytest.importorskip('rosbags')
from recorded_run import Drive, write_input

from monother_ros.ros.bags import BagReader

pytestmark = pytest.mark.ros_distro

DRIVE = Drive(frames=30, shutter=(), inputs=('thermal', 'thermal_info', 'rgb'))


@pytest.fixture
def drive(tmp_path):
    return write_input(tmp_path / 'drive', DRIVE)


def arguments(tmp_path, drive, tiny_bundle, **more):
    return {
        'bag': str(drive),
        'out': str(tmp_path / 'out'),
        'model': str(tiny_bundle),
        'engine': 'onnxruntime',
        'rate': '2.0',
        'settle': '1.0',
        # another name than the simulator's own
        'conditions': '/simulation/condition',
        **more,
    }


def test_drive_is_played_scored_recorded_and_reported(launch, tmp_path, drive, tiny_bundle):
    pytest.importorskip('matplotlib')
    pytest.importorskip('jinja2')
    launched = launch('replay.launch.py', arguments(tmp_path, drive, tiny_bundle))
    assert launched.process.wait(120) == 0
    text = launched.text()
    assert 'Traceback' not in text, text
    out = tmp_path / 'out'
    figures = json.loads((out / 'metrics.json').read_text())
    with BagReader(out / 'recorded') as bag:
        counts = {topic.name: topic.count for topic in bag.topics}
    depths = counts['/depth/image_raw']
    assert depths >= 28 and counts['/confidence'] == depths
    assert figures['frames'] == depths, figures['counts']
    assert figures['topics']['truth'] == '/ground_truth/thermal/depth'
    assert sum(row['frames'] for row in figures['conditions'].values()) == depths
    # the page says the same of the same run
    report = json.loads((out / 'report.json').read_text())
    overall = report['overall']['metrics']['abs_rel']
    assert figures['overall']['abs_rel'] == pytest.approx(overall, rel=1e-3)
    assert (out / 'index.html').is_file()


def test_with_another_player_and_without_recording(launch, tmp_path, drive, tiny_bundle):
    # stands for 'ros2 bag play BAG --clock 100 --rate R --delay D'
    player = tmp_path / 'bin' / 'ros2'
    player.parent.mkdir()
    monother = tmp_path / 'prefix/lib/monother_ros/monother'
    player.write_text(f'#!/bin/sh\nexec {monother} play "$3" --clock --rate "$7" --delay "$9"\n')
    player.chmod(0o755)
    path = f'{player.parent}{os.pathsep}{os.environ["PATH"]}'
    options = {'player': 'ros2', 'record': 'false'}
    launched = launch(
        'replay.launch.py', arguments(tmp_path, drive, tiny_bundle, **options), PATH=path
    )
    assert launched.process.wait(90) == 0
    assert 'Traceback' not in launched.text(), launched.text()
    assert [f.name for f in (tmp_path / 'out').iterdir()] == ['metrics.json']
    figures = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert figures['frames'] >= 28, (figures['counts'], launched.text())
    assert np.isfinite(figures['overall']['abs_rel'])


@pytest.mark.parametrize(
    ('more', 'words'),
    [
        ({'bag': '/no/such/bag'}, 'the player failed with code 1'),
        ({'model': 'no such model', 'wait_timeout': '4'}, 'nobody publishes /depth/image_raw'),
        ({'truth_depth': '/nothing'}, 'cannot wait for subscribers of /nothing: not played'),
    ],
)
def test_what_fails_ends_the_launch_and_says_why(
    launch, tmp_path, drive, tiny_bundle, more, words
):
    launched = launch('replay.launch.py', arguments(tmp_path, drive, tiny_bundle, **more))
    launched.process.wait(60)
    assert words in launched.text(), launched.text()
    assert not (tmp_path / 'out' / 'index.html').exists()


def test_every_argument_is_described():
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launched import LAUNCH_FILES

    from launch import LaunchContext

    source = PythonLaunchDescriptionSource(str(LAUNCH_FILES / 'replay.launch.py'))
    description = source.get_launch_description(LaunchContext())
    declared = {}
    for argument in description.get_launch_arguments():
        declared.setdefault(argument.name, argument)
    assert {'bag', 'player', 'truth', 'out', 'model', 'cameras', 'rviz'} <= set(declared)
    for argument in declared.values():
        assert len(argument.description) > 8, argument.name
    assert declared['bag'].default_value is None
    assert declared['player'].choices == ['monother', 'ros2']
