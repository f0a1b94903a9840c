# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file of depth that learns: what it names exists, and both nodes get one folder."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest
import yaml

from monother_ros.ros import parameters as depth_parameters
from monother_ros.ros.adapt_parameters import AdaptNodeParameters
from monother_ros.ros.parameter_specs import specs

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / 'launch' / 'adapt.launch.py'
DEPTH = ROOT / 'launch' / 'depth.launch.py'


def constants(file):
    """Literal constants of a launch file, read without the package launch."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue  # computed when launched
    return found


def test_launch_arguments_are_parameters_of_the_nodes():
    adapt, depth = constants(FILE), constants(DEPTH)
    known = specs(AdaptNodeParameters)
    for name in (*adapt['OVERRIDES'], *adapt['SHARED'], 'enabled', 'revisions', 'autostart'):
        assert name in known, name
    assert set(depth['OVERRIDES']) <= set(depth_parameters.specs())
    assert 'revisions' in depth['OVERRIDES']
    # those that one value of the launch file decides for both nodes
    assert set(adapt['SHARED']) <= set(depth['OVERRIDES'])


def test_topics_are_those_of_the_nodes():
    adapt, depth = constants(FILE), constants(DEPTH)
    assert {name: depth['TOPICS'][name][0] for name in adapt['INPUTS']} == adapt['INPUTS']
    assert depth['TOPICS']['revision'][0] == adapt['OUTPUTS']['revision'][0] == 'revision'
    sources = (ROOT / 'monother_ros' / 'nodes' / 'adapt_outputs.py').read_text()
    for topic, _ in adapt['OUTPUTS'].values():
        assert f"'{topic}'" in sources, topic


def test_rviz_shows_what_the_adapt_node_publishes():
    layout = yaml.safe_load((ROOT / 'config' / 'adapt.rviz').read_text())
    shown = {
        display['Topic']['Value']
        for display in layout['Visualization Manager']['Displays']
        if 'Topic' in display
    }
    topics = {topic for topic, _ in constants(FILE)['OUTPUTS'].values()}
    assert {'teacher/depth', 'teacher/confidence', 'mask'} <= shown & topics
    assert {'depth/color', 'points', 'thermal/image_raw', 'rgb/image_raw'} <= shown


@pytest.mark.ros_distro
def test_every_argument_is_described():
    pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    description = PythonLaunchDescriptionSource(str(FILE)).get_launch_description(LaunchContext())
    declared = {a.name: a for a in description.get_launch_arguments()}
    assert {'namespace', 'model', 'revisions', 'learn', 'teacher', 'part', 'rviz'} <= set(declared)
    for argument in declared.values():
        assert len(argument.description) > 8 and argument.default_value is not None
    assert declared['learn'].choices == ['true', 'false']


@pytest.mark.ros_distro
def test_both_nodes_come_up_with_one_folder(tmp_path, ros_domain):
    pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')
    pytest.importorskip('torch')
    import rclpy
    from adapt_rig import make_models
    from rcl_interfaces.srv import GetParameters
    from test_depth_launch import Launched

    models = make_models(tmp_path / 'models')
    prefix = tmp_path / 'prefix'
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    (index / 'monother_ros').touch()
    for name in ('depth_node', 'adapt_node'):
        executable = prefix / 'lib/monother_ros' / name
        executable.parent.mkdir(parents=True, exist_ok=True)
        words = f'exec {sys.executable} -m monother_ros.nodes.{name} "$@"'
        executable.write_text(f'#!/bin/sh\n{words}\n')
        executable.chmod(0o755)
    paths = [str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]
    environment = {
        **os.environ,
        'AMENT_PREFIX_PATH': os.pathsep.join(filter(None, paths)),
        'ROS_LOG_DIR': str(tmp_path / 'log'),
    }
    settings = tmp_path / 'adapt.yaml'
    values = {'confidence': '', 'anchors': '', 'memory': ''}
    settings.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
    folder = tmp_path / 'revisions'
    launched = Launched(
        *(tmp_path / 'launch.log', environment, str(models / 'student'), 'cam'),
        *(f'revisions:={folder}', f'teacher:=bundle:{models / "teacher"}'),
        f'adapt_params_file:={settings}',
        file=FILE,
    )
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('looker', context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        launched.wait_for('cam.depth_node]: active', 'cam.adapt_node]: active', timeout=90.0)
        for name in ('depth_node', 'adapt_node'):
            client = node.create_client(GetParameters, f'/cam/{name}/get_parameters')
            assert client.wait_for_service(timeout_sec=10)
            future = client.call_async(GetParameters.Request(names=['revisions']))
            executor.spin_until_future_complete(future, timeout_sec=10)
            assert future.result().values[0].string_value == str(folder)
        launched.interrupt()
        assert 'Traceback' not in launched.text()
    finally:
        launched.kill()
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
