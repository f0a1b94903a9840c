# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth of one thermal camera that learns on the vehicle from the RGB camera beside it.

Starts what depth.launch.py starts, with all of its arguments, and the adapt node in a process of
its own. Both use one folder of revisions: the adapt node writes it, the depth node takes each new
revision over between two frames. Several cameras (``cameras:=front,rear``) learn apart: each has
nodes in a namespace of its name, and folders of its name in those of revisions and memory.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchContext, LaunchDescription
from monother_ros.learning.revision_reader import default_folder
from monother_ros.ros.adapt_parameters import PARTS, AdaptNodeParameters
from monother_ros.ros.cameras import cameras
from monother_ros.ros.parameter_specs import defaults
from monother_ros.ros.transport import share_folder

HERE = Path(__file__).resolve().parent
SHARE = share_folder() or HERE.parent
DEFAULTS = defaults(AdaptNodeParameters)

INPUTS = {
    'thermal_image': 'thermal/image_raw',
    'thermal_info': 'thermal/camera_info',
    'rgb_image': 'rgb/image_raw',
    'rgb_info': 'rgb/camera_info',
}
"""Argument of depth.launch.py that names an input → name of the topic in both nodes."""

OUTPUTS = {
    'teacher_depth': ('teacher/depth', 'depth of the RGB teacher, 32FC1 in metres'),
    'teacher_confidence': ('teacher/confidence', 'how far the teacher is believed, 0..1'),
    'teacher_info': ('teacher/camera_info', 'CameraInfo of what the teacher says'),
    'mask': ('mask', 'where depth is learned from, mono8'),
    'loss': ('loss', 'loss of each optimiser step'),
    'revision': ('revision', 'latched name of the newest good revision, for the depth node'),
}
"""Launch argument → name in the adapt node, description."""

OVERRIDES = (
    'teacher',
    'confidence',
    'anchors',
    'calibration',
    'memory',
    'part',
    'cpu_share',
    'memory_limit',
)
"""Parameters of the adapt node with a launch argument; an empty one leaves the file's value."""

SHARED = ('model', 'thermal_transport', 'rgb_transport')
"""Arguments of depth.launch.py that count for the adapt node, too."""


def arguments() -> list[DeclareLaunchArgument]:
    """Arguments of the adapt node; those of the depth node are declared by its own file."""
    declared = [
        DeclareLaunchArgument(
            'revisions',
            default_value=str(default_folder()),
            description='folder of revisions, which both nodes use',
        ),
        DeclareLaunchArgument(
            'adapt_name', default_value='adapt_node', description='name of the adapt node'
        ),
        DeclareLaunchArgument(
            'adapt_params_file',
            default_value=str(SHARE / 'config' / 'adapt.yaml'),
            description='YAML file with the parameters of the adapt node',
        ),
        DeclareLaunchArgument(
            'learn',
            default_value='true',
            choices=['true', 'false'],
            description='learn from the start; false waits for the service ~/enable',
        ),
        DeclareLaunchArgument(
            'rviz_config',
            default_value=str(SHARE / 'config' / 'adapt.rviz'),
            description='RViz layout; the default one shows what the teacher says, too',
        ),
    ]
    declared += [
        DeclareLaunchArgument(
            name,
            default_value='',
            choices=['', *PARTS] if name == 'part' else None,
            description=f'parameter {name} of the adapt node (empty: from adapt_params_file, '
            f'{DEFAULTS[name]!r})',
        )
        for name in OVERRIDES
    ]
    declared += [
        DeclareLaunchArgument(name, default_value=topic, description=description)
        for name, (topic, description) in OUTPUTS.items()
    ]
    return declared


def depth() -> IncludeLaunchDescription:
    """What depth.launch.py starts; it finds its own arguments in this context."""
    return IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'depth.launch.py')))


def adapt_nodes(context: LaunchContext) -> list[LifecycleNode]:
    """The adapt node of each camera with what the arguments say."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    names = {**INPUTS, **{name: topic for name, (topic, _) in OUTPUTS.items()}}
    topics = {name: value(name) for name in names}
    switches = {
        'use_sim_time': value('use_sim_time') == 'true',
        'autostart': value('autostart') == 'true',
        'enabled': value('learn') == 'true',
    }
    given = {name: value(name) for name in (*SHARED, *OVERRIDES) if value(name)}
    nodes = []
    for camera in cameras(value('namespace'), value('cameras'), topics):
        own = {name: camera.filled(text) for name, text in given.items()}
        own['revisions'] = camera.folder(value('revisions'))
        if camera.name:  # no two nodes may write one memory
            own['memory'] = camera.folder(value('memory') or DEFAULTS['memory'])
        typed = {name: type(DEFAULTS[name])(text) for name, text in own.items()}
        nodes.append(
            LifecycleNode(
                package='monother_ros',
                executable='adapt_node',
                name=value('adapt_name'),
                namespace=camera.namespace,
                parameters=[camera.filled(value('adapt_params_file')), {**switches, **typed}],
                remappings=[
                    (names[name], camera.filled(text))
                    for name, text in topics.items()
                    if text != names[name]
                ],
                ros_arguments=['--log-level', value('log_level')],
                output='screen',
                emulate_tty=True,
            )
        )
    return nodes


def generate_launch_description() -> LaunchDescription:
    # the first declaration of an argument counts: those here go before those of depth.launch.py
    return LaunchDescription([*arguments(), depth(), OpaqueFunction(function=adapt_nodes)])
