# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth of one thermal camera with scale from sentences, from an estimated field of view, or both.

Takes every argument of depth.launch.py; those that decide where images are count for both nodes.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchContext, LaunchDescription
from monother_ros.ros.cameras import cameras
from monother_ros.ros.language_parameters import LanguageNodeParameters
from monother_ros.ros.parameter_specs import defaults
from monother_ros.ros.transport import share_folder

HERE = Path(__file__).resolve().parent
SHARE = share_folder() or HERE.parent
DEFAULTS = defaults(LanguageNodeParameters)

INPUTS = {
    'thermal_image': 'thermal/image_raw',
    'thermal_info': 'thermal/camera_info',
    'rgb_image': 'rgb/image_raw',
    'rgb_info': 'rgb/camera_info',
}
"""Argument of depth.launch.py that names an input → name of the topic in both nodes."""

TOPICS = {
    'scene_description': ('~/scene_description', 'sentence about what the camera sees'),
    'estimated_info': ('camera_info_estimated', 'CameraInfo of the estimated field of view'),
}
"""Launch argument → name in the language node, description."""

OVERRIDES = ('head', 'text_encoder', 'focal_teacher', 'device')
"""Parameters of the language node with a launch argument; an empty one leaves the file's value."""

SHARED = ('thermal_transport', 'rgb_transport')
"""Arguments of depth.launch.py that count for the language node, too."""


def arguments() -> list[DeclareLaunchArgument]:
    """Arguments of the language node; those of the depth node are declared by its own file."""
    declared = [
        DeclareLaunchArgument(
            'language_name', default_value='language_node', description='name of the language node'
        ),
        DeclareLaunchArgument(
            'language_params_file',
            default_value=str(SHARE / 'config' / 'language.yaml'),
            description='YAML file with the parameters of the language node',
        ),
    ]
    declared += [
        DeclareLaunchArgument(
            name,
            default_value='',
            description=f'parameter {name} of the language node (empty: from '
            f'language_params_file, {DEFAULTS[name]!r})',
        )
        for name in OVERRIDES
    ]
    declared += [
        DeclareLaunchArgument(name, default_value=topic, description=description)
        for name, (topic, description) in TOPICS.items()
    ]
    return declared


def depth() -> IncludeLaunchDescription:
    """What depth.launch.py starts; it finds its own arguments in this context."""
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'depth.launch.py')))


def language_nodes(context: LaunchContext) -> list[LifecycleNode]:
    """The language node of each camera with what the arguments say."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    switches = {name: value(name) == 'true' for name in ('use_sim_time', 'autostart')}
    given = {name: value(name) for name in (*SHARED, *OVERRIDES) if value(name)}
    names = {**INPUTS, **{name: topic for name, (topic, _) in TOPICS.items()}}
    topics = {name: value(name) for name in names}
    return [
        LifecycleNode(
            package='monother_ros',
            executable='language_node',
            name=value('language_name'),
            namespace=camera.namespace,
            parameters=[
                camera.filled(value('language_params_file')),
                {**switches, **{name: camera.filled(text) for name, text in given.items()}},
            ],
            remappings=[
                (names[name], camera.filled(text))
                for name, text in topics.items()
                if text != names[name]
            ],
            ros_arguments=['--log-level', value('log_level')],
            output='screen',
            emulate_tty=True,
        )
        for camera in cameras(value('namespace'), value('cameras'), topics)
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*arguments(), depth(), OpaqueFunction(function=language_nodes)])
