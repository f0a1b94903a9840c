# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, really launched: two cameras in namespaces, with the Fast DDS profile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
# not 'launch': without ROS, the folders of that name would be imported as empty packages
pytest.importorskip('launch_ros', reason='launch comes with a ROS distribution')

pytestmark = pytest.mark.ros_distro

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'depth.launch.py'

LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

def camera(name):
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(sys.argv[1]),
        launch_arguments={'namespace': name, 'model': sys.argv[2], **EXTRA}.items(),
    )

EXTRA = dict(word.split(':=') for word in sys.argv[4:])
service = LaunchService()
service.include_launch_description(LaunchDescription([camera(n) for n in sys.argv[3].split(',')]))
sys.exit(service.run())
"""


@pytest.fixture
def environment(tmp_path, ros_domain):
    """Environment in which ROS finds the package, as after sourcing an installation."""
    variables = dict(os.environ)
    prefix = tmp_path / 'prefix'
    index = prefix / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    (index / 'monother_ros').touch()
    executable = prefix / 'lib/monother_ros/depth_node'
    executable.parent.mkdir(parents=True)
    executable.write_text(
        f'#!/bin/sh\nexec {sys.executable} -m monother_ros.nodes.depth_node "$@"\n'
    )
    executable.chmod(0o755)
    paths = [str(prefix), variables.get('AMENT_PREFIX_PATH', '')]
    variables['AMENT_PREFIX_PATH'] = os.pathsep.join(filter(None, paths))
    variables['ROS_LOG_DIR'] = str(tmp_path / 'log')
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        variables.pop(name, None)
    return variables


class Launched:
    """A launch in a process of its own."""

    def __init__(self, log, environment, *arguments, file=FILE):
        self._log = log
        with log.open('wb') as handle:
            self.process = subprocess.Popen(
                [sys.executable, '-c', LAUNCH, str(file), *arguments],
                env=environment,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self):
        return self._log.read_text()

    def wait_for(self, *words, timeout=30.0):
        end = time.monotonic() + timeout
        while not all(word in self.text() for word in words):
            assert time.monotonic() < end and self.process.poll() is None, self.text()
            time.sleep(0.05)

    def interrupt(self):
        """Send what Ctrl-C sends: the signal goes to the launch and to its processes."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(15)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


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


def test_two_cameras_in_namespaces_give_depth(environment, tmp_path, tiny_bundle):
    import rclpy
    from depth_rig import image_message, picture
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    launched = Launched(tmp_path / 'launch.log', environment, str(tiny_bundle), 'front,rear')
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    node = rclpy.create_node('cameras', context=context)
    executor.add_node(node)
    received = {'front': [], 'rear': []}
    publishers = {}
    for name, messages in received.items():
        publishers[name] = node.create_publisher(Image, f'{name}/thermal/image_raw', 5)
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
        launched.kill()
        node.destroy_node()
        executor.shutdown()
        rclpy.shutdown(context=context)


def test_own_profile_and_remapped_topic_are_respected(environment, tmp_path, tiny_bundle):
    mine = tmp_path / 'mine.xml'
    mine.write_text((FILE.parents[1] / 'config' / 'fastdds.xml').read_text())
    environment['FASTDDS_DEFAULT_PROFILES_FILE'] = str(mine)
    launched = Launched(
        *(tmp_path / 'launch.log', environment, str(tiny_bundle), 'cam'),
        *('thermal_image:=/boson/image', 'autostart:=false'),
    )
    try:
        launched.wait_for('process started')
        import rclpy

        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node('looker', context=context)
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
        node.destroy_node()
        rclpy.shutdown(context=context)
        launched.interrupt()
    finally:
        launched.kill()


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


def test_wrong_choice_is_refused(environment, tiny_bundle, tmp_path):
    launched = Launched(
        tmp_path / 'launch.log', environment, str(tiny_bundle), 'cam', 'use_sim_time:=perhaps'
    )
    assert launched.process.wait(20) != 0
    assert 'use_sim_time' in launched.text()
