# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package as its users install it: colcon build, pip install, and the metadata they read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import monother_ros

REPOSITORY = Path(__file__).resolve().parent.parent
EXECUTABLES = ('adapt_node', 'depth_node', 'language_node', 'metrics_node', 'monother')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A clean copy of what git tracks, as a user would have it."""
    if not (REPOSITORY / '.git').exists():
        pytest.skip('not a git checkout')
    listed = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=REPOSITORY, capture_output=True, check=True
    )
    target = tmp_path_factory.mktemp('workspace') / 'src' / 'monother_ros'
    for name in filter(None, listed.stdout.decode().split('\0')):
        file = REPOSITORY / name
        if file.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / name)
    return target


def run(words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_installed(prefix):
    """What ros2 run, ros2 launch and find_bundle look for is there and runs."""
    index = prefix / 'share/ament_index/resource_index/packages/monother_ros'
    share = prefix / 'share/monother_ros'
    assert index.is_file()
    for name in (
        'package.xml',
        'launch/depth.launch.py',
        'config/adapt.yaml',
        'config/depth.yaml',
        'config/monother.rviz',
        'config/fastdds.xml',
        'models/lite/model.json',
        'models/lite/model.onnx',
    ):
        assert (share / name).is_file(), f'{name} is not installed'
    site = next(prefix.glob('lib/python3*/site-packages'))
    environment = {**os.environ, 'PYTHONPATH': str(site)}
    for name in EXECUTABLES:
        executable = prefix / 'lib/monother_ros' / name
        assert os.access(executable, os.X_OK), f'{name} is not executable'
    shown = run([prefix / 'lib/monother_ros/monother', '--version'], env=environment, cwd=prefix)
    assert shown.strip() == monother_ros.__version__


def test_colcon_build(source):
    pytest.importorskip('colcon_ros', reason='colcon is not installed')
    workspace = source.parent.parent
    run([sys.executable, '-m', 'colcon', 'build', '--event-handlers', 'log-'], cwd=workspace)
    check_installed(workspace / 'install/monother_ros')


def test_pip_install(source, tmp_path):
    # without --ignore-installed pip would remove the environment's own installation first
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--ignore-installed']
    run([*pip, '--no-build-isolation', '--prefix', tmp_path, source])
    check_installed(tmp_path)


def test_depth_only_robot_needs_little():
    """A fresh interpreter that imports the depth node loads neither torch nor the simulator."""
    pytest.importorskip('rclpy')
    code = (
        'import sys, monother_ros.nodes.depth_node; '
        'print(",".join(m for m in ("torch", "trimesh", "rosbags", "matplotlib", "scipy") '
        'if m in sys.modules))'
    )
    assert run([sys.executable, '-c', code]).strip() == ''


def test_metadata_agrees():
    manifest = ET.parse(REPOSITORY / 'package.xml').getroot()
    assert manifest.get('format') == '3'
    assert manifest.findtext('version') == monother_ros.__version__
    assert manifest.findtext('export/build_type') == 'ament_python'
    setup = (REPOSITORY / 'setup.py').read_text()
    assert f"version='{monother_ros.__version__}'" in setup
    log = (REPOSITORY / 'CHANGELOG.rst').read_text()
    assert re.search(rf'^{re.escape(monother_ros.__version__)} \(', log, re.MULTILINE)


def test_manifest_declares_every_ros_import():
    """Each ROS package that the code imports unconditionally is an exec_depend."""
    manifest = ET.parse(REPOSITORY / 'package.xml').getroot()
    declared = {e.text for e in manifest.iter('exec_depend')}
    pattern = re.compile(
        r'^\s*(?:from|import) (rclpy|[a-z_]+_msgs|std_srvs|builtin_interfaces)\b', re.M
    )
    used = set()
    for file in (REPOSITORY / 'monother_ros').rglob('*.py'):
        used.update(pattern.findall(file.read_text()))
    assert used, 'no ROS import found: the pattern is wrong'
    assert used <= declared


def test_sizes_of_binaries():
    models = [f for f in (REPOSITORY / 'models').rglob('*') if f.is_file()]
    assert sum(f.stat().st_size for f in models) <= 20e6
    lite = [f for f in models if f.parent.name == 'lite']
    assert 0 < sum(f.stat().st_size for f in lite) <= 10e6
