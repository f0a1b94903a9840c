# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A recorded drive through the depth node on live topics, scored against its ground truth.

Starts what depth.launch.py starts, with all of its arguments, in the bag's own time; the metrics
node; a recorder of what comes out; and, once all of them listen, the player. At the end of the bag
everything is shut down, and a page with figures and pictures is written. In the folder ``out``:
metrics.json, the bag ``recorded``, and index.html. Needs the extras bags and report, or
``record:=false``, which needs bags alone.
"""

import signal
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import matches_action
from launch.events.process import SignalProcess
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import ExecutableInPackage

from launch import LaunchContext, LaunchDescription
from monother_ros.ros.cameras import Camera, cameras
from monother_ros.ros.metrics_parameters import TRUTHS
from monother_ros.ros.transport import share_folder

HERE = Path(__file__).resolve().parent
SHARE = share_folder() or HERE.parent

OUTPUTS = {
    'depth_image': 'depth/image_raw',
    'depth_info': 'depth/camera_info',
    'confidence_image': 'confidence',
}
"""Argument of depth.launch.py that names an output → name of the topic in both nodes."""

RECORDED = {**OUTPUTS, 'points': 'points'}
"""Outputs of the depth node that are recorded, beside /diagnostics."""

TRUTH_TOPICS = {
    'truth_depth': (
        'ground_truth/depth',
        'ground_truth/thermal/depth',
        'recorded depth images that are taken as ground truth, 32FC1 m or 16UC1 mm',
    ),
    'truth_points': (
        'ground_truth/points',
        'lidar/points',
        'recorded clouds of the LiDAR that is taken as ground truth',
    ),
    'conditions': (
        'ground_truth/conditions',
        'ground_truth/conditions',
        'recorded texts such as night/fog, by which the figures are split',
    ),
}
"""Launch argument → name in the metrics node, default, description."""

MATCHING = '2.0'
"""Seconds for nodes to find each other when all of them are there."""


def arguments() -> list[DeclareLaunchArgument]:
    """Arguments of the replay; those of the depth node are declared by its own file."""
    switch = ['true', 'false']
    return [
        DeclareLaunchArgument(
            'bag', description='the drive: a rosbag2 folder, .mcap, .db3 or ROS 1 .bag file'
        ),
        DeclareLaunchArgument(
            'player',
            default_value='monother',
            choices=['monother', 'ros2'],
            description="'monother play', which reads ROS 1 bags, too, or 'ros2 bag play'",
        ),
        DeclareLaunchArgument(
            'rate', default_value='1.0', description='speed against the recording'
        ),
        DeclareLaunchArgument(
            'out',
            default_value='monother_replay',
            description='folder for metrics.json, the recorded outputs and the page',
        ),
        DeclareLaunchArgument(
            'truth',
            default_value='depth',
            choices=[*TRUTHS, 'none'],
            description="ground truth in the bag: 'depth' images, 'points' of a LiDAR, or none",
        ),
        *(
            DeclareLaunchArgument(name, default_value=default, description=description)
            for name, (_, default, description) in TRUTH_TOPICS.items()
        ),
        DeclareLaunchArgument(
            'metrics_name', default_value='metrics_node', description='name of the metrics node'
        ),
        DeclareLaunchArgument(
            'metrics_params_file',
            default_value=str(SHARE / 'config' / 'metrics.yaml'),
            description='YAML file with the parameters of the metrics node',
        ),
        DeclareLaunchArgument(
            'record',
            default_value='true',
            choices=switch,
            description='record what the depth node publishes and write a page about it',
        ),
        DeclareLaunchArgument(
            'wait_timeout',
            default_value='120.0',
            description='seconds that the nodes may take until they listen',
        ),
        DeclareLaunchArgument(
            'settle',
            default_value='2.0',
            description='seconds between the last message of the bag and the end',
        ),
        # this first declaration counts, not that of depth.launch.py
        DeclareLaunchArgument(
            'use_sim_time',
            default_value='true',
            choices=switch,
            description='follow /clock, which the player publishes in the time of the bag',
        ),
    ]


class Replay:
    """Processes of one replay and what follows what."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context
        names = (*RECORDED, *TRUTH_TOPICS, 'thermal_image')
        self.topics = {name: self.value(name) for name in names}
        self.cameras = cameras(self.value('namespace'), self.value('cameras'), self.topics)
        self.out = Path(self.value('out')).expanduser().absolute()
        self.recorded = self.out / 'recorded'
        self.records = self.value('record') == 'true'
        self._unheard = {self.name(c, 'depth_image') for c in self.cameras}
        self._started = False

    def value(self, name: str) -> str:
        """Value of a launch argument."""
        return LaunchConfiguration(name).perform(self._context)

    def name(self, camera: Camera, argument: str) -> str:
        """Absolute name of a camera's topic."""
        topic = camera.filled(self.topics[argument])
        return (
            topic if topic.startswith('/') else f'/{camera.namespace}/{topic}'.replace('//', '/')
        )

    def folder(self, camera: Camera) -> Path:
        """Folder of a camera's metrics and page."""
        return self.out / camera.name

    def monother(self, *words: object) -> ExecuteProcess:
        """A verb of the monother command as a process."""
        return ExecuteProcess(
            cmd=[ExecutableInPackage('monother', 'monother_ros'), *map(str, words)],
            output='screen',
        )

    def metrics_node(self, camera: Camera) -> LifecycleNode:
        """The metrics node of a camera."""
        names = {**OUTPUTS, **{name: inner for name, (inner, *_) in TRUTH_TOPICS.items()}}
        return LifecycleNode(
            package='monother_ros',
            executable='metrics_node',
            name=self.value('metrics_name'),
            namespace=camera.namespace,
            parameters=[
                camera.filled(self.value('metrics_params_file')),
                {
                    'use_sim_time': self.value('use_sim_time') == 'true',
                    'truth': self.value('truth'),
                    'report': str(self.folder(camera) / 'metrics.json'),
                },
            ],
            remappings=[(inner, self.name(camera, name)) for name, inner in names.items()],
            ros_arguments=['--log-level', self.value('log_level')],
            output='screen',
            emulate_tty=True,
        )

    def player(self, *options: object) -> ExecuteProcess:
        """Our player, which begins when the nodes listen."""
        suffix = '/compressed' if self.value('thermal_transport') == 'compressed' else ''
        awaited = [self.name(c, 'thermal_image') + suffix for c in self.cameras]
        if self.value('truth') != 'none':
            awaited += [self.name(c, f'truth_{self.value("truth")}') for c in self.cameras]
        words = ['play', self.value('bag'), '--clock', '--rate', self.value('rate')]
        # the metrics node and the recorder must have found the depth node, too
        patience = ['--wait-timeout', self.value('wait_timeout'), '--delay', MATCHING]
        return self.monother(*words, *options, *patience, '--wait-for-subscribers', *awaited)

    def play(self) -> list[object]:
        """Start playing; what follows, follows when the player ends."""
        self._started = True
        if self.value('player') == 'monother':
            player = self.player()
            return [player, self.after(player, 'the player', self.finish)]
        gate = self.player('--wait-only')
        words = ['ros2', 'bag', 'play', self.value('bag'), '--clock', '100']
        pace = ['--rate', self.value('rate'), '--delay', MATCHING]
        player = ExecuteProcess(cmd=[*words, *pace], output='screen')
        return [
            gate,
            self.after(gate, 'waiting for the nodes', lambda: [player]),
            self.after(player, 'the player', self.finish),
        ]

    def after(self, process: ExecuteProcess, what: str, then: object) -> RegisterEventHandler:
        """Actions for when a process has ended well; otherwise everything is shut down."""

        def ended(event: object, _context: LaunchContext) -> list[object]:
            if event.returncode:
                reason = f'{what} failed with code {event.returncode}'
                return [LogInfo(msg=reason), Shutdown(reason=reason)]
            return then()

        return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=ended))

    def finish(self) -> list[object]:
        """After the bag: let the nodes finish, then the recorder, then write the page."""
        then = [Shutdown(reason='the bag has ended')]
        if self.records:
            match = matches_action(self.recorder)
            stop = SignalProcess(signal_number=signal.SIGINT, process_matcher=match)
            then = [EmitEvent(event=stop)]
        return [TimerAction(period=float(self.value('settle')), actions=then)]

    def given(self, camera: Camera) -> list[tuple[str, str]]:
        """Arguments that name a recorded topic, and the name by which the page looks for it."""
        looked_for = {
            'thermal_image': 'thermal/image_raw',
            'conditions': 'ground_truth/conditions',
        }
        if self.value('truth') == 'depth':
            looked_for['truth_depth'] = 'ground_truth/thermal/depth'
        # what nobody has named may be missing in the bag
        optional = (
            {'conditions'} if self.topics['conditions'] == looked_for['conditions'] else set()
        )
        return [(name, topic) for name, topic in looked_for.items() if name not in optional]

    def pages(self) -> list[object]:
        """Write the page of each camera, one after another, then shut down."""
        actions: list[object] = [Shutdown(reason='the report is written')]
        for camera in reversed(self.cameras):
            names = [(self.name(camera, name), f'/{topic}') for name, topic in RECORDED.items()]
            names += [(self.name(camera, name), f'/{topic}') for name, topic in self.given(camera)]
            remaps = [f'{old}:={new}' for old, new in names if old != new]
            words = ['report', self.recorded, '--input', self.value('bag')]
            page = self.monother(
                *words, '-o', self.folder(camera), *(['--remap', *remaps] if remaps else [])
            )
            actions = [page, self.after(page, 'the report', lambda a=actions: a)]
        return actions

    def heard(self, event: object) -> list[object] | None:
        """Start to play when the recorder hears every depth node."""
        text = event.text.decode(errors='replace')
        self._unheard -= {topic for topic in self._unheard if f'recording {topic}\n' in text}
        return None if self._unheard or self._started else self.play()

    def too_late(self, _context: LaunchContext) -> list[object]:
        """Give up where the nodes do not come up."""
        if self._started:
            return []
        missing = ', '.join(sorted(self._unheard))
        reason = f'nobody publishes {missing}: see what the nodes say above'
        return [LogInfo(msg=reason), Shutdown(reason=reason)]

    def actions(self) -> list[object]:
        """Everything that starts with the launch."""
        started: list[object] = []
        if self.value('truth') != 'none':
            started += [self.metrics_node(camera) for camera in self.cameras]
        if not self.records:
            return [*started, *self.play()]
        topics = [self.name(c, argument) for c in self.cameras for argument in RECORDED]
        options = ['-o', self.recorded, '--overwrite', '--topics', *topics, '/diagnostics']
        self.recorder = self.monother('record', *options)
        listen = OnProcessIO(
            target_action=self.recorder, on_stdout=self.heard, on_stderr=self.heard
        )
        patience = float(self.value('wait_timeout'))
        return [
            *started,
            RegisterEventHandler(listen),
            self.after(self.recorder, 'the recorder', self.pages),
            self.recorder,
            TimerAction(period=patience, actions=[OpaqueFunction(function=self.too_late)]),
        ]


def generate_launch_description() -> LaunchDescription:
    depth = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / 'depth.launch.py')))
    # the first declaration of an argument counts: those here go before those of depth.launch.py
    return LaunchDescription(
        [*arguments(), depth, OpaqueFunction(function=lambda context: Replay(context).actions())]
    )
