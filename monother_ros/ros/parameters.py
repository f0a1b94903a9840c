# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of the depth node: one dataclass is the source of declaration, checks, YAML and docs.

``python scripts/write_docs.py`` writes the table of docs and the file in config from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monother_ros.core.errors import SettingsError
from monother_ros.core.scale_arbiter import ScaleSettings
from monother_ros.core.scale_sources import SOURCES
from monother_ros.ros import parameter_specs
from monother_ros.ros.parameter_specs import (
    RESTART,
    NodeParameters,
    ParameterSpec,
    check_range,
    parameter,
)

__all__ = [
    'RESTART',
    'DepthNodeParameters',
    'ParameterSpec',
    'declare',
    'defaults',
    'read',
    'specs',
]

RELIABILITIES = ('best_effort', 'reliable')
TRANSPORTS = ('raw', 'compressed')
PRECISIONS = ('auto', 'fp32', 'fp16', 'fp16-safe', 'bf16')
SYNC_POLICIES = ('nearest', 'approximate', 'exact')


@dataclass(frozen=True)
class DepthNodeParameters(NodeParameters):
    """Every parameter of the depth node with its default; see :func:`specs` for the rest."""

    autostart: bool = parameter(
        True,
        'Configure and activate without waiting for a lifecycle manager.',
        read_only=True,
    )
    model: str = parameter('lite', 'Model bundle: a shipped name, or the path of a folder.')
    revisions: str = parameter(
        '',
        'Folder of revisions that the adapt node writes; empty: the model stays as it is.',
        optional=True,
    )
    engine: str = parameter(
        'auto',
        "Inference engine: 'auto' for the fastest that works here, or tensorrt, onnxruntime, "
        'openvino.',
    )
    device: str = parameter(
        'auto',
        "Where the engine runs: 'auto' for a GPU where one can be used, cpu, cuda, or cuda:1 for "
        'a GPU by its index.',
    )
    precision: str = parameter(
        'auto',
        "Arithmetic of the engine; 'auto' takes the fastest that passes the acceptance test "
        'against ONNX Runtime.',
        choices=PRECISIONS,
    )
    engine_fallback: bool = parameter(
        False,
        'Go on with ONNX Runtime on the CPU where the engine cannot be built or its GPU is lost.',
    )
    engine_cache: str = parameter(
        '',
        'Folder of compiled engines; empty for $MONOTHER_ENGINES, or '
        '~/.cache/monother_ros/engines without it.',
        optional=True,
    )
    threads: int = parameter(
        0, 'Threads of the inference engine; 0 takes one per core, at most 4.', low=0, high=64
    )
    thermal_transport: str = parameter(
        'raw',
        "How thermal images arrive; 'compressed' subscribes to <topic>/compressed.",
        choices=TRANSPORTS,
    )
    thermal_reliability: str = parameter(
        'best_effort',
        "QoS of the thermal image and camera_info subscriptions; 'reliable' needs a reliable "
        'camera driver.',
        choices=RELIABILITIES,
    )
    expected_rate: float = parameter(
        0.0,
        'Image rate in Hz below nine tenths of which diagnostics warn; 0 for no check.',
        low=0.0,
        high=1000.0,
        live=True,
    )
    silence_timeout: float = parameter(
        2.0,
        'Seconds without an image after which the camera counts as stopped.',
        low=0.1,
        high=3600.0,
        live=True,
    )
    color_cloud: bool = parameter(
        True,
        'Colour the cloud from the RGB camera where its image, calibration and pose are known.',
        live=True,
    )
    rgb_transport: str = parameter(
        'raw',
        "How RGB images arrive; 'compressed' subscribes to <topic>/compressed.",
        choices=TRANSPORTS,
    )
    rgb_reliability: str = parameter(
        'best_effort',
        'QoS of the RGB image and camera_info subscriptions.',
        choices=RELIABILITIES,
    )
    rgb_extrinsics: list[float] = field(
        default_factory=lambda: [0.0],
        metadata={
            'spec': ParameterSpec(
                'Pose of the thermal camera in the RGB camera (T_rgb_thermal): the 16 numbers of '
                'a 4x4 matrix, row by row, metres; a single 0.0 reads it from /tf_static.',
                live=True,
            )
        },
    )
    sync_policy: str = parameter(
        'nearest',
        'How thermal and RGB images are paired: nearest stamp, or the policies of '
        'message_filters where it is installed.',
        choices=SYNC_POLICIES,
    )
    sync_slop: float = parameter(
        0.05,
        'Largest difference of the stamps of a thermal and an RGB image of one pair, in seconds.',
        low=0.0,
        high=10.0,
    )
    lidar_reliability: str = parameter(
        'best_effort',
        'QoS of the subscriptions to lidar/points, lidar/scan and lidar/range.',
        choices=RELIABILITIES,
    )
    lidar_extrinsics: list[float] = field(
        default_factory=lambda: [0.0],
        metadata={
            'spec': ParameterSpec(
                'Pose of the range sensor in the thermal camera (T_thermal_lidar): the 16 numbers '
                'of a 4x4 matrix, row by row, metres; a single 0.0 reads it from /tf_static.',
                live=True,
            )
        },
    )
    lidar_slop: float = parameter(
        0.2,
        'Largest difference of the stamps of a thermal image and the points used with it, in '
        'seconds.',
        low=0.0,
        high=10.0,
        live=True,
    )
    lidar_clutter_filter: bool = parameter(
        True,
        'Leave out points that are echoes of fog, smoke, rain, snow or dust: near ones without '
        'others at a like distance around them. Off for a sensor whose lone points matter, such '
        'as those on wires.',
        live=True,
    )
    scale_sources: str = parameter(
        'range, focal, model, language',
        'Sources of metric scale that count, in the order in which they are believed; one that is '
        'not named is disabled.',
        live=True,
    )
    scale_force: str = parameter(
        '',
        'The one source of metric scale that counts, whatever scale_sources says; empty for all '
        'of them.',
        choices=('', *SOURCES),
        live=True,
        optional=True,
    )
    scale_rate: float = parameter(
        0.5,
        'Largest change of the scale of depth, as its logarithm per second; 0.5 is 1.7 % from '
        'one image to the next at 30 Hz.',
        low=0.001,
        high=100.0,
        live=True,
    )
    scale_window: float = parameter(
        0.5,
        'Seconds over which the fits of points are averaged.',
        low=0.05,
        high=60.0,
        live=True,
    )
    scale_hold: float = parameter(
        30.0,
        'Seconds for which the last fit of points counts, with growing uncertainty.',
        low=0.1,
        high=3600.0,
        live=True,
    )
    output_size: str = parameter(
        'image',
        'Size of depth, confidence and cloud: that of the thermal image or of the network.',
        choices=('image', 'network'),
        live=True,
    )
    range_min: float = parameter(
        0.5,
        'Smallest depth published, in metres; nearer is NaN.',
        low=0.01,
        high=1000.0,
        live=True,
    )
    range_max: float = parameter(
        80.0,
        'Largest depth published, in metres; farther is NaN.',
        low=0.02,
        high=1000.0,
        live=True,
    )
    confidence_min: float = parameter(
        0.0,
        'Smallest confidence for which depth is published; below is NaN.',
        low=0.0,
        high=1.0,
        live=True,
    )
    process_shutter_frames: bool = parameter(
        False,
        'Publish depth also for images taken while the shutter (FFC) is closed.',
        live=True,
    )
    depth_reliability: str = parameter(
        'reliable',
        "QoS of depth/image_raw and depth/camera_info: 'reliable' reaches every subscriber, "
        "'best_effort' is never held up by a slow one.",
        choices=RELIABILITIES,
    )
    confidence_reliability: str = parameter(
        'reliable', 'QoS of confidence; see depth_reliability.', choices=RELIABILITIES
    )
    points_reliability: str = parameter(
        'reliable', 'QoS of points; see depth_reliability.', choices=RELIABILITIES
    )
    color_reliability: str = parameter(
        'reliable', 'QoS of depth/color; see depth_reliability.', choices=RELIABILITIES
    )
    diagnostics_period: float = parameter(
        1.0, 'Seconds between two messages on /diagnostics.', low=0.05, high=60.0, live=True
    )

    def check_together(self) -> None:
        """
        Check the values against each other.

        :raises SettingsError: the range is empty, or the extrinsics are no pose.
        """
        check_range(self.range_min, self.range_max)
        self.extrinsics()
        self.lidar_pose()
        self.scale()

    def extrinsics(self) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """
        Pose of the thermal camera in the RGB camera.

        :returns: (4, 4) T_rgb_thermal in metres, or None where the parameter does not give it.
        :raises SettingsError: the numbers are not a rigid transform.
        """
        return pose_of(self.rgb_extrinsics, 'rgb_extrinsics')

    def lidar_pose(self) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """
        Pose of the range sensor in the thermal camera.

        :returns: (4, 4) T_thermal_lidar in metres, or None where the parameter does not give it.
        :raises SettingsError: the numbers are not a rigid transform.
        """
        return pose_of(self.lidar_extrinsics, 'lidar_extrinsics')

    def scale(self) -> ScaleSettings:
        """
        Settings of the metric scale.

        :raises SettingsError: a source is not known or named twice.
        """
        names = tuple(word for word in self.scale_sources.replace(',', ' ').split() if word)
        return ScaleSettings(
            sources=names,
            force=self.scale_force,
            rate=self.scale_rate,
            window=self.scale_window,
            hold=self.scale_hold,
        )


def pose_of(values: Sequence[float], name: str) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """
    Rigid transform of a parameter.

    :param values: 16 numbers of a (4, 4) matrix row by row; none or a single 0.0 for no pose.
    :param name: of the parameter.
    :returns: (4, 4) in metres, or None.
    :raises SettingsError: the numbers are not a rigid transform.
    """
    given = list(values)
    if given in ([], [0.0]):
        return None
    if len(given) != 16:
        msg = f'{name} has {len(given)} numbers; give 16 (a 4x4 matrix row by row)'
        raise SettingsError(msg)
    matrix = np.array(given, np.float64).reshape(4, 4)
    rotation = matrix[:3, :3]
    rigid = (
        np.isfinite(matrix).all()
        and np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6)
        and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
        and np.linalg.det(rotation) > 0
    )
    if not rigid:
        msg = (
            f'{name} is not a rigid transform: the first three rows must hold a rotation and a '
            'translation in metres, the last row 0 0 0 1'
        )
        raise SettingsError(msg)
    return matrix


def specs() -> dict[str, ParameterSpec]:
    """Specification of each parameter of the depth node; see parameter_specs.specs."""
    return parameter_specs.specs(DepthNodeParameters)


def defaults() -> dict[str, Any]:
    """Value of each parameter of the depth node where the user gives none."""
    return parameter_specs.defaults(DepthNodeParameters)


def declare(node: Any) -> None:
    """Declare the parameters of the depth node; see parameter_specs.declare."""
    parameter_specs.declare(node, DepthNodeParameters)


def read(node: Any) -> DepthNodeParameters:
    """Read the parameters of a depth node; see parameter_specs.read."""
    return parameter_specs.read(node, DepthNodeParameters)
