# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo of learning: what it refuses at once, and a short drive through both nodes."""

from __future__ import annotations

import argparse
import json

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('matplotlib')
pytest.importorskip('torch')
from adapt_rig import FAST, HEIGHT, WIDTH, make_models

from monother_ros.cli import demo_adapt
from monother_ros.cli.main import main
from monother_ros.cli.nodes import Drive
from monother_ros.core.errors import SettingsError
from monother_ros.ros.bags import BagReader


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Tiny student and teacher."""
    return make_models(tmp_path_factory.mktemp('models'))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """A short simulated drive with both cameras and their calibration."""
    pytest.importorskip('embreex')
    from monother_ros.sim.bag import Drive as SimulatedDrive
    from monother_ros.sim.bag import write_drive
    from monother_ros.sim.simulator import SimConfig

    config = SimConfig(
        'yard', 2_000_123, width=WIDTH, height=HEIGHT, rgb_width=WIDTH, rgb_height=HEIGHT
    )
    path = tmp_path_factory.mktemp('bag') / 'drive'
    return write_drive(path, SimulatedDrive(config, 5.0, part=(0.0, 0.5), lidar=False), workers=1)


def options(models, *more):
    """Command line that uses the tiny models."""
    teacher = ['--teacher', f'bundle:{models}/teacher', '--confidence', '', '--anchors', '']
    return ['demo', '--adapt', '--model', str(models / 'student'), *teacher, *more]


def test_missing_models_and_bad_settings_are_told_before_anything_is_simulated(
    models, tmp_path, capsys
):
    out = ['-o', str(tmp_path / 'out')]
    assert main(options(models, *out, '--teacher', 'bundle:nothing')) == 1
    assert 'named nothing' in capsys.readouterr().err
    assert main(options(models, *out, '--set', 'rate=3')) == 1
    assert 'NAME:=VALUE' in capsys.readouterr().err
    assert main(options(models, *out, '--world', 'atlantis')) == 1
    assert 'steel works' in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'input').exists()


def test_only_a_folder_of_the_demo_is_emptied(tmp_path):
    folder = demo_adapt._fresh(tmp_path / 'learned')
    (folder / 'revisions').mkdir()
    assert not (demo_adapt._fresh(folder) / 'revisions').exists()
    own = tmp_path / 'own'
    own.mkdir()
    (own / 'precious').touch()
    with pytest.raises(SettingsError, match='was not made by this demo'):
        demo_adapt._fresh(own)
    assert (own / 'precious').exists()


def test_parameters_of_both_nodes(models, bag, tmp_path):
    parser = argparse.ArgumentParser()
    demo_adapt.add_arguments(parser)
    arguments = parser.parse_args(['--adapt', '--anchors', '', '--set', 'rate:=3.5'])
    arguments.model = 'lite'
    nodes = demo_adapt._nodes(arguments, Drive(bag), tmp_path)
    depth, learner = nodes['depth_node'], nodes['adapt_node']
    assert f'revisions:={tmp_path / "revisions"}' in depth
    assert f'revisions:={tmp_path / "revisions"}' in learner
    assert 'rate:=3.5' in learner and "anchors:=''" in learner
    (pose,) = (word for word in learner if word.startswith('extrinsics:='))
    assert len(json.loads(pose.removeprefix('extrinsics:='))) == 16


def test_a_drive_goes_through_both_nodes(models, bag, tmp_path, ros_domain, capfd):
    out = tmp_path / 'out'
    settings = {k: v for k, v in FAST.items() if v != ''}
    words = [f'--set={name}:={value}' for name, value in settings.items()]
    assert main(options(models, str(bag), '-o', str(out), *words)) == 0
    last = capfd.readouterr().out.strip().splitlines()[-1]
    assert last == str(out / 'report/index.html')
    figures = json.loads((out / 'report/report.json').read_text())
    frames = figures['depth_node']['frames']
    assert frames['in'] == 50
    assert frames['out'] + frames['shutter'] + frames['before_first'] >= 45
    assert figures['learning']['teacher'].startswith('teacher')
    assert figures['learning']['taken'] + sum(figures['learning']['reasons'].values()) > 0
    # one line per frame that was published, as published and as it came
    assert len(figures['series']['published']) == frames['matched']
    difference = figures['live']['largest_difference_before_first_swap_m']
    assert difference is None or difference < 1e-3
    with BagReader(out / 'recorded') as recorded:
        counts = {topic.name: topic.count for topic in recorded.topics}
    assert counts['/revision'] >= 1 and counts['/depth/image_raw'] == frames['out']
    # a second run begins with the model as it came
    assert (out / 'learned' / demo_adapt.MARKER).exists()
