# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, really launched: two cameras in namespaces, with the Fast DDS profile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
# not 'launch': without ROS, the folders of that name would be imported as empty packages
pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')

pytestmark = pytest.mark.ros_distro

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'depth.launch.py'


def test_every_argument_is_described():
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    description = PythonLaunchDescriptionSource(str(FILE)).get_launch_description(LaunchContext())
    arguments = {a.name: a for a in description.get_launch_arguments()}
    assert {'namespace', 'params_file', 'model', 'engine', 'thermal_image', 'use_sim_time'} <= set(
        arguments
    )
    assert {'autostart', 'rviz', 'fastdds_profile'} <= set(arguments)
    assert {'lidar_points', 'lidar_scan', 'scale_sources', 'scale_force'} <= set(arguments)
    for argument in arguments.values():
        assert len(argument.description) > 8 and argument.default_value is not None
    assert arguments['rviz'].choices == ['true', 'false']


@pytest.mark.parametrize('way', ['included twice', 'cameras:=front,rear'])
def test_two_cameras_in_namespaces_give_depth(launch, tiny_bundle, way):
    import rclpy
    from depth_rig import image_message, picture
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    model = {'model': str(tiny_bundle)}
    includes, source = [{**model, 'namespace': name} for name in ('front', 'rear')], 'thermal'
    if way != 'included twice':
        includes = [
            {**model, 'cameras': 'front, rear', 'thermal_image': '/{camera}_flir/image_raw'}
        ]
        source = None
    launched = launch('depth.launch.py', *includes)
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    node = rclpy.create_node('cameras', context=context)
    executor.add_node(node)
    received = {'front': [], 'rear': []}
    publishers = {}
    for name, messages in received.items():
        topic = f'{name}/{source}/image_raw' if source else f'{name}_flir/image_raw'
        publishers[name] = node.create_publisher(Image, topic, 5)
        node.create_subscription(Image, f'{name}/depth/image_raw', messages.append, 5)
    try:
        launched.wait_for('front.depth_node]: active', 'rear.depth_node]: active')
        end, index = time.monotonic() + 15, 0
        while not all(len(messages) > 3 for messages in received.values()):
            assert time.monotonic() < end, launched.text()
            index += 1
            for name, publisher in publishers.items():
                stamp = index * 33_333_333
                publisher.publish(image_message(picture(index), stamp, frame_id=name))
            executor.spin_once(timeout_sec=0.03)
        for name, messages in received.items():
            assert {m.header.frame_id for m in messages} == {name}
        # the profile of the package is what the node uses
        assert str(FILE.parents[1] / 'config' / 'fastdds.xml') in launched.text()
        launched.interrupt()
        assert 'process has finished cleanly' in launched.text(), launched.text()
        assert 'Traceback' not in launched.text()
    finally:
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)


def test_own_profile_and_remapped_topic_are_respected(launch, tmp_path, tiny_bundle):
    import rclpy

    mine = tmp_path / 'mine.xml'
    mine.write_text((FILE.parents[1] / 'config' / 'fastdds.xml').read_text())
    arguments = {'model': str(tiny_bundle), 'namespace': 'cam', 'autostart': 'false'}
    launched = launch(
        'depth.launch.py',
        {**arguments, 'thermal_image': '/boson/image'},
        FASTDDS_DEFAULT_PROFILES_FILE=str(mine),
    )
    launched.wait_for('process started')
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('looker', context=context)
    try:
        client_names = []
        end = time.monotonic() + 20
        while 'depth_node' not in client_names:
            assert time.monotonic() < end, launched.text()
            client_names = [name for name, _ in node.get_node_names_and_namespaces()]
            time.sleep(0.05)
        # not started by itself: a lifecycle manager would do it
        assert 'active' not in launched.text()
        _configure_and_activate(node, context)
        while not node.get_subscriptions_info_by_topic('/boson/image'):
            assert time.monotonic() < end, launched.text()
            time.sleep(0.05)
        launched.wait_for(str(mine))
        launched.interrupt()
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def _configure_and_activate(node, context):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    client = node.create_client(ChangeState, '/cam/depth_node/change_state')
    assert client.wait_for_service(timeout_sec=10)
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        executor.spin_until_future_complete(future, timeout_sec=10)
        assert future.result().success
    executor.remove_node(node)
    executor.shutdown()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'use_sim_time': 'perhaps'}, 'use_sim_time'),
        ({'engine': 'abacus'}, 'engine'),
        ({'cameras': 'front,rear', 'depth_image': '/depth'}, 'the same topic for all cameras'),
        ({'cameras': 'front,front'}, 'names a camera twice'),
    ],
)
def test_wrong_argument_is_refused(launch, tiny_bundle, arguments, words):
    launched = launch('depth.launch.py', {'model': str(tiny_bundle), **arguments})
    assert launched.process.wait(30) != 0
    assert words in launched.text()
