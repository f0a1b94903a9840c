# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth of one thermal camera.

Several cameras: include this file once per camera, each with a namespace of its own. Shared memory
for large images is on unless FASTDDS_DEFAULT_PROFILES_FILE is set; the camera driver must use the
same profile.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription
from monother_ros.ros.parameters import defaults
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
    'confidence': ('confidence', 'confidence, 32FC1 in 0..1'),
    'points': ('points', 'organised point cloud'),
    'depth_color': ('depth/color', 'depth as a picture for people'),
    'revision': ('revision', 'name of the newest revision of the model, see revisions'),
}
"""Launch argument → name in the node, description."""

OVERRIDES = (
    'model',
    'revisions',
    'engine',
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
    for name, default in defaults().items():
        if name in OVERRIDES:
            choices = ['', 'raw', 'compressed'] if name.endswith('transport') else None
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


def depth_node(context: LaunchContext) -> list[LifecycleNode]:
    """The node with what the arguments say."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters = {
        'use_sim_time': value('use_sim_time') == 'true',
        'autostart': value('autostart') == 'true',
    }
    parameters.update({name: value(name) for name in OVERRIDES if value(name)})
    return [
        LifecycleNode(
            package='monother_ros',
            executable='depth_node',
            name=value('name'),
            namespace=value('namespace'),
            parameters=[value('params_file'), parameters],
            remappings=[
                (topic, value(name)) for name, (topic, _) in TOPICS.items() if value(name) != topic
            ],
            ros_arguments=['--log-level', value('log_level')],
            output='screen',
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *arguments(),
            OpaqueFunction(function=profile),
            OpaqueFunction(function=depth_node),
            Node(
                condition=IfCondition(LaunchConfiguration('rviz')),
                package='rviz2',
                executable='rviz2',
                namespace=LaunchConfiguration('namespace'),
                arguments=['-d', LaunchConfiguration('rviz_config')],
                parameters=[{'use_sim_time': LaunchConfiguration('use_sim_time')}],
                output='screen',
            ),
        ]
    )
