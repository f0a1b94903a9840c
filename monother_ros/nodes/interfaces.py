# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Every topic and service of every node, for people and for checks.

The nodes are not made from these tables; a test starts each node and compares what it really
subscribes to, publishes and serves (name, type, reliability, durability) with what is said here.
``python scripts/write_docs.py`` writes docs/nodes.md from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monother_ros.ros.adapt_parameters import AdaptNodeParameters
from monother_ros.ros.language_parameters import LanguageNodeParameters
from monother_ros.ros.metrics_parameters import MetricsNodeParameters
from monother_ros.ros.parameter_specs import NodeParameters
from monother_ros.ros.parameters import DepthNodeParameters

IMAGE = 'sensor_msgs/msg/Image'
INFO = 'sensor_msgs/msg/CameraInfo'
CLOUD = 'sensor_msgs/msg/PointCloud2'
VECTOR = 'geometry_msgs/msg/Vector3Stamped'
STRING = 'std_msgs/msg/String'
FLOAT = 'std_msgs/msg/Float32'
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'
TRIGGER = 'std_srvs/srv/Trigger'
SET_BOOL = 'std_srvs/srv/SetBool'


@dataclass(frozen=True)
class Topic:
    """
    One topic of a node.

    :param name: as the node names it: relative, private (``~/``) or absolute.
    :param type: for instance 'sensor_msgs/msg/Image'.
    :param text: what it carries: units, ranges, frame, stamp.
    :param reliability: 'reliable', 'best_effort', or the parameter that decides.
    :param latched: whether late subscribers get the last message (transient local).
    :param when: condition in words under which it exists; empty for always.
    :param transport: parameter that changes it to CompressedImage on ``<name>/compressed``.
    """

    name: str
    type: str
    text: str
    reliability: str = 'reliable'
    latched: bool = False
    when: str = ''
    transport: str = ''


@dataclass(frozen=True)
class Service:
    """
    One service of a node.

    :param name: as the node names it.
    :param type: for instance 'std_srvs/srv/Trigger'.
    :param text: what it does.
    """

    name: str
    type: str
    text: str


@dataclass(frozen=True)
class NodeInterface:
    """
    What a node is to others.

    :param name: its default name and that of its executable.
    :param text: what it is for, in a sentence or two.
    :param page: page of docs that tells how it behaves.
    :param parameters: page of docs with its parameters.
    :param kind: its parameters.
    :param subscribes: topics it listens to.
    :param publishes: topics it publishes.
    :param services: services it offers, besides those of every lifecycle node.
    """

    name: str
    text: str
    page: str
    parameters: str
    kind: type[NodeParameters]
    subscribes: tuple[Topic, ...] = ()
    publishes: tuple[Topic, ...] = ()
    services: tuple[Service, ...] = ()


def _camera(role: str, use: str, when: str = '') -> tuple[Topic, Topic]:
    """Image and calibration of a camera; both follow the parameters of the role."""
    reliability = f'{role}_reliability'
    return (
        Topic(
            f'{role}/image_raw',
            IMAGE,
            use,
            reliability,
            when=when,
            transport=f'{role}_transport',
        ),
        Topic(
            f'{role}/camera_info',
            INFO,
            f'Calibration of the {role.replace("rgb", "RGB")} camera.',
            reliability,
            when=when,
        ),
    )


_TF_STATIC = Topic(
    '/tf_static',
    TRANSFORMS,
    'Poses of the sensors against each other.',
    latched=True,
    when='while a pose is needed that no parameter gives',
)

_HEALTH = Topic(
    '/diagnostics', DIAGNOSTICS, 'Health of the node and its parts, every `diagnostics_period`.'
)

DEPTH = NodeInterface(
    'depth_node',
    'Thermal images in; metric depth, confidence, cloud and their scale out.',
    'depth_node.md',
    'parameters.md',
    DepthNodeParameters,
    subscribes=(
        *_camera('thermal', 'Counts or grey; see [cameras.md](cameras.md) for the encodings.'),
        *_camera(
            'rgb', 'Colours of the cloud, where paired.', 'while somebody subscribes to `points`'
        ),
        Topic(
            'lidar/points',
            CLOUD,
            'Points of a LiDAR, radar or ToF camera: metric scale, or sparse depth.',
            'lidar_reliability',
        ),
        Topic(
            'lidar/scan',
            'sensor_msgs/msg/LaserScan',
            'Laser scan: metric scale.',
            'lidar_reliability',
        ),
        Topic(
            'lidar/range',
            'sensor_msgs/msg/Range',
            'A single beam: metric scale.',
            'lidar_reliability',
        ),
        Topic(
            'scale/language',
            VECTOR,
            'Scale from a sentence: x factor, y shift in 1/m, z sigma.',
            latched=True,
        ),
        Topic(
            'scale/focal',
            VECTOR,
            'Scale from an estimated field of view: x = f/w, y = 0, z sigma.',
            latched=True,
        ),
        Topic(
            'revision',
            STRING,
            'Name of the newest revision of the model.',
            latched=True,
            when='where the parameter `revisions` is set',
        ),
        _TF_STATIC,
    ),
    publishes=(
        Topic(
            'depth/image_raw',
            IMAGE,
            '32FC1, metres along the optical axis (REP 118), NaN where unknown; header of the '
            'thermal image.',
            'depth_reliability',
        ),
        Topic('depth/camera_info', INFO, "Of the depth image's size.", 'depth_reliability'),
        Topic(
            'confidence',
            IMAGE,
            '32FC1, 0 to 1: probability that the depth is right within a factor of 1.25.',
            'confidence_reliability',
        ),
        Topic(
            'points',
            CLOUD,
            'Organised: x y z in metres (optical frame), confidence, intensity, and rgb where an '
            'RGB image is paired.',
            'points_reliability',
        ),
        Topic('depth/color', IMAGE, 'bgr8, depth for people: red is near.', 'color_reliability'),
        Topic(
            'scale',
            VECTOR,
            'What made this image metric: x factor, y shift in 1/m, z sigma of ln factor.',
        ),
        Topic(
            'scale/source',
            STRING,
            'Sources of the scale that count, the weightiest first.',
            latched=True,
        ),
        _HEALTH,
    ),
)

ADAPT = NodeInterface(
    'adapt_node',
    'Learns from the RGB camera and hands proven revisions of the network to the depth node.',
    'adapt_node.md',
    'adapt_parameters.md',
    AdaptNodeParameters,
    subscribes=(
        *_camera('thermal', 'Counts or grey, as for the depth node.'),
        *_camera('rgb', 'Colour pictures for the teacher.'),
        _TF_STATIC,
    ),
    publishes=(
        Topic(
            'teacher/depth',
            IMAGE,
            '32FC1, metres, NaN where unknown: what the teacher says; stamp and frame of the RGB '
            'image.',
            'output_reliability',
        ),
        Topic(
            'teacher/confidence',
            IMAGE,
            '32FC1, 0 to 1: how far the teacher is believed.',
            'output_reliability',
        ),
        Topic('mask', IMAGE, 'mono8: 255 where is learned from.', 'output_reliability'),
        Topic(
            'teacher/camera_info',
            INFO,
            "Of these three: the RGB camera without distortion at the network's size.",
            'output_reliability',
        ),
        Topic('loss', FLOAT, 'Loss of each optimiser step.', 'output_reliability'),
        Topic(
            'revision',
            STRING,
            'Name of the newest good revision, again when it changes.',
            latched=True,
        ),
        _HEALTH,
    ),
    services=(
        Service('~/enable', SET_BOOL, 'Learn, or leave everything as it is.'),
        Service('~/save', TRIGGER, 'Judge the weights now, and keep the state of learning.'),
        Service('~/rollback', TRIGGER, 'Back to the revision before.'),
        Service('~/reset', TRIGGER, 'Back to the model as it came; the memory is emptied.'),
    ),
)

LANGUAGE = NodeInterface(
    'language_node',
    'Metric scale from a sentence about the scene, and from an estimated field of view.',
    'language.md',
    'language_parameters.md',
    LanguageNodeParameters,
    subscribes=(
        Topic(
            '~/scene_description',
            STRING,
            'A sentence about what is in view.',
            when='where the parameter `head` is set',
        ),
        *_camera(
            'thermal', 'For the field of view.', 'where the parameter `focal_teacher` is set'
        ),
        *_camera('rgb', 'For the field of view.', 'where the parameter `focal_teacher` is set'),
        _TF_STATIC,
    ),
    publishes=(
        Topic(
            'scale/language',
            VECTOR,
            'Scale from the sentence: x factor, y shift in 1/m, z sigma.',
            latched=True,
        ),
        Topic(
            'scale/focal',
            VECTOR,
            'Scale from the field of view: x = f/w, y = 0, z sigma.',
            latched=True,
        ),
        Topic(
            'camera_info_estimated',
            INFO,
            'A guess of the calibration of the thermal camera, with every thermal image.',
            when='where the parameter `focal_teacher` is set',
        ),
        _HEALTH,
    ),
)

METRICS = NodeInterface(
    'metrics_node',
    'Scores published depth against ground truth on a topic while both are played.',
    'replay.md',
    'metrics_parameters.md',
    MetricsNodeParameters,
    subscribes=(
        Topic('depth/image_raw', IMAGE, 'Depth to score, 32FC1 metres.', 'depth_reliability'),
        Topic('depth/camera_info', INFO, 'Of the depth image.', 'depth_reliability'),
        Topic('confidence', IMAGE, '32FC1, 0 to 1, of the same stamps.', 'depth_reliability'),
        Topic(
            'ground_truth/depth',
            IMAGE,
            'True depth, 32FC1 metres or 16UC1 millimetres.',
            'truth_reliability',
            when='where the parameter `truth` is depth',
        ),
        Topic(
            'ground_truth/points',
            CLOUD,
            'Points of a LiDAR, projected into the depth image.',
            'truth_reliability',
            when='where the parameter `truth` is points',
        ),
        Topic(
            'ground_truth/conditions',
            STRING,
            'Name of what holds from now on, such as night/fog; the report is split by it.',
        ),
        Topic(
            '/tf_static',
            TRANSFORMS,
            'Pose of the LiDAR.',
            latched=True,
            when='where the parameter `truth` is points and `lidar_extrinsics` has no pose',
        ),
    ),
    publishes=(
        *(
            Topic(f'metrics/{name}', FLOAT, f'{text}, mean over the last `window` frames.')
            for name, text in (
                ('abs_rel', 'Mean of |truth − depth| / truth'),
                ('rmse', 'Root mean square error in metres'),
                ('d1', 'Part of the pixels within a factor of 1.25'),
                ('silog', 'Scale-invariant logarithmic error, times 100'),
                ('scale', 'Median of truth / depth, the factor that depth lacks; 1 is right'),
                ('told', 'Part of the pixels with ground truth where depth is known'),
                (
                    'flicker',
                    'Mean change of ln depth from frame to frame that the truth does not have',
                ),
                ('ause', 'Area between the sparsification curves; 0 is best'),
            )
        ),
        _HEALTH,
    ),
    services=(
        Service('~/write_report', TRIGGER, 'Write the JSON file named by the parameter `report`.'),
        Service('~/reset', TRIGGER, 'Forget everything that was scored.'),
    ),
)

NODES = (DEPTH, ADAPT, LANGUAGE, METRICS)
"""Every node with an executable of its own."""


def short(type_name: str) -> str:
    """Type as ROS people write it: 'sensor_msgs/Image' of 'sensor_msgs/msg/Image'."""
    package, _, name = type_name.split('/')
    return f'{package}/{name}'


def markdown(nodes: Iterable[NodeInterface] = NODES) -> str:
    """Content of docs/nodes.md: a section for each node with its topics and services."""
    lines = [
        '# Nodes',
        '',
        'Every topic and service. Written by `python scripts/write_docs.py` from '
        '`monother_ros/nodes/interfaces.py`, which a test compares with the running nodes.',
        '',
        'Names are relative to the namespace of the node and can be remapped. Where the column '
        'QoS names a parameter, that parameter decides between reliable and best effort; latched '
        'topics (reliable, transient local) give their last message to late subscribers. History, '
        'depth and durability can be overridden by `qos_overrides.<topic>…` of most topics. '
        'Nothing is computed for a topic that nobody subscribes to.',
        '',
        'Every node is a lifecycle node that configures and activates itself unless `autostart` '
        'is false (`ros2 lifecycle get /depth_node`), and has the usual services of parameters '
        'and of lifecycle nodes besides those listed.',
    ]
    for node in nodes:
        lines += [
            '',
            f'## {node.name}',
            '',
            f'{node.text} How it behaves: [{node.page}]({node.page}). Its parameters: '
            f'[{node.parameters}]({node.parameters}).',
            '',
        ]
        if node.subscribes or node.publishes:
            lines += ['| | Topic | Type | QoS | |', '|---|---|---|---|---|']
            lines += [_row('in', topic) for topic in node.subscribes]
            lines += [_row('out', topic) for topic in node.publishes]
        if node.services:
            lines += ['', '| Service | Type | |', '|---|---|---|']
            lines += [f'| `{s.name}` | {short(s.type)} | {s.text} |' for s in node.services]
    return '\n'.join(lines) + '\n'


def _row(direction: str, topic: Topic) -> str:
    """Row of the table of topics."""
    fixed = topic.reliability in ('reliable', 'best_effort')
    qos = topic.reliability.replace('_', ' ') if fixed else f'`{topic.reliability}`'
    if topic.latched:
        qos = 'latched'
    text = topic.text.replace('|', '\\|')
    if topic.when:
        text += f' Only {topic.when}.'
    kind = short(topic.type)
    if topic.transport:
        kind += f'; CompressedImage on `…/compressed` by `{topic.transport}`'
    return f'| {direction} | `{topic.name}` | {kind} | {qos} | {text} |'
