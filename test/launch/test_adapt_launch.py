# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file of depth that learns: what it names exists, and both nodes get one folder."""

from __future__ import annotations

import ast
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
def test_both_nodes_of_each_camera_come_up_with_one_folder(launch, tmp_path):
    pytest.importorskip('torch')
    import rclpy
    from adapt_rig import make_models
    from rcl_interfaces.srv import GetParameters

    models = make_models(tmp_path / 'models')
    settings = tmp_path / 'adapt.yaml'
    values = {'confidence': '', 'anchors': '', 'memory': ''}
    settings.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
    folder = tmp_path / 'revisions'
    launched = launch(
        'adapt.launch.py',
        {
            'cameras': 'front,rear',
            'model': str(models / 'student'),
            'revisions': str(folder),
            'memory': str(tmp_path / 'memory'),
            'teacher': f'bundle:{models / "teacher"}',
            'adapt_params_file': str(settings),
        },
    )
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('looker', context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        nodes = [f'{c}.{n}' for c in ('front', 'rear') for n in ('depth_node', 'adapt_node')]
        launched.wait_for(*(f'{name}]: active' for name in nodes), timeout=90.0)
        for name in nodes:
            camera, kind = name.split('.')
            client = node.create_client(GetParameters, f'/{camera}/{kind}/get_parameters')
            assert client.wait_for_service(timeout_sec=10)
            names = ['revisions', *(['memory'] if kind == 'adapt_node' else [])]
            future = client.call_async(GetParameters.Request(names=names))
            executor.spin_until_future_complete(future, timeout_sec=10)
            held = [value.string_value for value in future.result().values]
            assert held == [str(tmp_path / what / camera) for what in names]
        launched.interrupt()
        assert 'Traceback' not in launched.text()
    finally:
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)
