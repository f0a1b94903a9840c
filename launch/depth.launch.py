# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth of one thermal camera, or of several.

Several cameras: ``cameras:=front,rear`` starts a node for each in a namespace of its name; the
topics are relative and so differ, or hold ``{camera}``: ``thermal_image:=/{camera}/image_raw``.
Cameras that need other parameters: sections ``/front/depth_node:`` in the parameter file, or this
file included once per camera. Shared memory for large images is on unless
FASTDDS_DEFAULT_PROFILES_FILE is set; the camera driver must use the same profile.
"""

from collections.abc import Callable
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription
from monother_ros.engines.select import engine_names
from monother_ros.ros.cameras import HELP, Camera, cameras
from monother_ros.ros.parameters import defaults, specs
from monother_ros.ros.transport import chosen_profile, profile_variable, share_folder

SHARE = share_folder() or Path(__file__).resolve().parents[1]

TOPICS = {
    'thermal_image': ('thermal/image_raw', 'thermal image topic (base name for compressed)'),
    'thermal_info': ('thermal/camera_info', 'CameraInfo of the thermal camera'),
    'rgb_image': ('rgb/image_raw', 'RGB image topic, to colour the cloud'),
    'rgb_info': ('rgb/camera_info', 'CameraInfo of the RGB camera'),
    'lidar_points': ('lidar/points', 'PointCloud2 of a LiDAR, radar or ToF camera, for the scale'),
    'lidar_scan': ('lidar/scan', 'LaserScan, for the scale'),
    'lidar_range': ('lidar/range', 'Range of a single beam, for the scale'),
    'scale_language': ('scale/language', 'scale from a sentence, see docs/scale.md'),
    'scale_focal': ('scale/focal', 'scale from an estimated field of view'),
    'scale': ('scale', 'scale of every frame'),
    'depth_image': ('depth/image_raw', 'depth, 32FC1 in metres'),
    'depth_info': ('depth/camera_info', 'CameraInfo of the depth image'),
    'confidence_image': ('confidence', 'confidence, 32FC1 in 0..1'),
    'points': ('points', 'organised point cloud'),
    'depth_color': ('depth/color', 'depth as a picture for people'),
    'revision': ('revision', 'name of the newest revision of the model, see revisions'),
}
"""Launch argument → name in the node, description."""

OVERRIDES = (
    'model',
    'revisions',
    'engine',
    'precision',
    'thermal_transport',
    'rgb_transport',
    'scale_sources',
    'scale_force',
)
"""Node parameters with a launch argument; an empty one leaves the parameter file's value."""


def arguments() -> list[DeclareLaunchArgument]:
    """Launch arguments with descriptions and choices."""
    switch = ['true', 'false']
    declared = [
        DeclareLaunchArgument(
            'namespace', default_value='', description='namespace of the node and its topics'
        ),
        DeclareLaunchArgument('cameras', default_value='', description=HELP),
        DeclareLaunchArgument('name', default_value='depth_node', description='node name'),
        DeclareLaunchArgument(
            'params_file',
            default_value=str(SHARE / 'config' / 'depth.yaml'),
            description='YAML file with the parameters of the node',
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='false',
            choices=switch,
            description='follow /clock (bags, simulation)',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=switch,
            description='configure and activate the node at once',
        ),
        DeclareLaunchArgument(
            'rviz',
            default_value='false',
            choices=switch,
            description='show image, depth, confidence and cloud in RViz',
        ),
        DeclareLaunchArgument(
            'rviz_config',
            default_value=str(SHARE / 'config' / 'monother.rviz'),
            description='RViz layout',
        ),
        DeclareLaunchArgument(
            'fastdds_profile',
            default_value=chosen_profile() or str(SHARE / 'config' / 'fastdds.xml'),
            description="Fast DDS profile for large images; 'none' for the defaults of Fast DDS",
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='least severe messages that are logged',
        ),
    ]
    allowed = {name: spec.choices for name, spec in specs().items() if spec.choices}
    allowed['engine'] = engine_names()
    for name, default in defaults().items():
        if name in OVERRIDES:
            choices = list(dict.fromkeys(('', *allowed[name]))) if name in allowed else None
            declared.append(
                DeclareLaunchArgument(
                    name,
                    default_value='',
                    choices=choices,
                    description=f'node parameter {name} (empty: from params_file, {default!r})',
                )
            )
    declared += [
        DeclareLaunchArgument(name, default_value=topic, description=description)
        for name, (topic, description) in TOPICS.items()
    ]
    return declared


def profile(context: LaunchContext) -> list[SetEnvironmentVariable]:
    """Environment of the node: the Fast DDS profile; by default the user's own if one is set."""
    chosen = LaunchConfiguration('fastdds_profile').perform(context)
    if chosen == 'none':
        return []
    return [SetEnvironmentVariable(profile_variable(), chosen)]


def depth_nodes(context: LaunchContext) -> list[Node]:
    """A node for each camera with what the arguments say, and RViz where it is asked for."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    topics = {name: value(name) for name in TOPICS}
    parameters = {name: value(name) for name in OVERRIDES if value(name)}
    nodes = []
    for camera in cameras(value('namespace'), value('cameras'), topics):
        nodes.append(depth_node(camera, value, topics, parameters))
        if value('rviz') == 'true':
            nodes.append(
                Node(
                    package='rviz2',
                    executable='rviz2',
                    namespace=camera.namespace,
                    arguments=['-d', value('rviz_config')],
                    parameters=[{'use_sim_time': value('use_sim_time') == 'true'}],
                    output='screen',
                )
            )
    return nodes


def depth_node(
    camera: Camera,
    value: Callable[[str], str],
    topics: dict[str, str],
    parameters: dict[str, str],
) -> LifecycleNode:
    """The node of one camera."""
    own = {name: camera.filled(text) for name, text in parameters.items()}
    if 'revisions' in own:
        own['revisions'] = camera.folder(parameters['revisions'])
    switches = {name: value(name) == 'true' for name in ('use_sim_time', 'autostart')}
    return LifecycleNode(
        package='monother_ros',
        executable='depth_node',
        name=value('name'),
        namespace=camera.namespace,
        parameters=[camera.filled(value('params_file')), {**switches, **own}],
        remappings=[
            (TOPICS[name][0], camera.filled(text))
            for name, text in topics.items()
            if text != TOPICS[name][0]
        ],
        ros_arguments=['--log-level', value('log_level')],
        output='screen',
        emulate_tty=True,
    )


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [*arguments(), OpaqueFunction(function=profile), OpaqueFunction(function=depth_nodes)]
    )
