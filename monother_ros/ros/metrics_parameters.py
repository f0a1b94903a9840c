# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of the metrics node: one dataclass is the source of declaration, checks, YAML and docs.

``python scripts/write_docs.py`` writes the table of docs and the file in config from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monother_ros.ros.parameter_specs import (
    NodeParameters,
    ParameterSpec,
    check_range,
    parameter,
)
from monother_ros.ros.parameters import RELIABILITIES, pose_of

TRUTHS = ('depth', 'points')
"""Kinds of ground truth: a depth image, or the points of a LiDAR."""


@dataclass(frozen=True)
class MetricsNodeParameters(NodeParameters):
    """Every parameter of the metrics node with its default."""

    autostart: bool = parameter(
        True,
        'Configure and activate without waiting for a lifecycle manager.',
        read_only=True,
    )
    truth: str = parameter(
        'depth',
        "What the ground truth is: 'depth' for images on ground_truth/depth, 'points' for the "
        'clouds of a LiDAR on ground_truth/points, projected into the depth image.',
        choices=TRUTHS,
    )
    slop: float = parameter(
        0.02,
        'Largest difference of the stamps of a depth image and its ground truth, in seconds.',
        low=0.0,
        high=1.0,
    )
    lidar_extrinsics: list[float] = field(
        default_factory=lambda: [0.0],
        metadata={
            'spec': ParameterSpec(
                'Pose of the LiDAR in the thermal camera (T_thermal_lidar): the 16 numbers of a '
                '4x4 matrix, row by row, metres; a single 0.0 reads it from /tf_static.'
            )
        },
    )
    range_min: float = parameter(
        0.001,
        'Ground truth at or below it does not count, and depth is clipped to it; metres.',
        low=0.0001,
        high=1000.0,
    )
    range_max: float = parameter(
        80.0,
        'Ground truth at or beyond it does not count, and depth is clipped to it; metres.',
        low=0.001,
        high=1000.0,
    )
    window: int = parameter(
        30,
        'Frames over which the published running values are averaged; the report is over all.',
        low=1,
        high=100000,
        live=True,
    )
    pixels: int = parameter(
        100000,
        'Most pixels of a frame that are scored, every so many-th row and column; 0 for all. A '
        'dense ground truth of 640x512 pixels takes longer than a camera period otherwise.',
        low=0,
        high=10000000,
        live=True,
    )
    report: str = parameter(
        '',
        'JSON file that is written when the node is cleaned up or ends, and by the service '
        '~/write_report; empty: none.',
        live=True,
        optional=True,
    )
    depth_reliability: str = parameter(
        'reliable',
        'QoS of the subscriptions to depth/image_raw, depth/camera_info and confidence.',
        choices=RELIABILITIES,
    )
    truth_reliability: str = parameter(
        'reliable',
        "QoS of the subscription to the ground truth; a LiDAR's driver may need 'best_effort'.",
        choices=RELIABILITIES,
    )
    silence_timeout: float = parameter(
        2.0,
        'Seconds without depth or ground truth after which diagnostics warn.',
        low=0.1,
        high=3600.0,
        live=True,
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
        self.lidar_pose()

    def lidar_pose(self) -> NDArray[np.float64] | None:
        """
        Pose of the LiDAR in the thermal camera.

        :returns: (4, 4) T_thermal_lidar in metres, or None where the parameter does not give it.
        :raises SettingsError: the numbers are not a rigid transform.
        """
        return pose_of(self.lidar_extrinsics, 'lidar_extrinsics')
