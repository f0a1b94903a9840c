# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of the language node: one dataclass is the source of declaration, checks, YAML and docs.

``python scripts/write_docs.py`` writes the table of docs and the file in config from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import CalibrationError, SettingsError
from monother_ros.core.rigid import rigid_transform
from monother_ros.ros.parameter_specs import NodeParameters, ParameterSpec, parameter
from monother_ros.ros.parameters import RELIABILITIES, TRANSPORTS


@dataclass(frozen=True)
class LanguageNodeParameters(NodeParameters):
    """Every parameter of the language node with its default."""

    autostart: bool = parameter(
        True,
        'Configure and activate without waiting for a lifecycle manager.',
        read_only=True,
    )
    head: str = parameter(
        '',
        "Language head: a folder that 'monother train language_scale' wrote, or a published "
        'checkpoint of RSA; empty: no scale from sentences.',
        optional=True,
    )
    text_encoder: str = parameter(
        '',
        "CLIP text encoder of the head: a folder, or a name on the hub such as 'owner/model'; "
        'empty: the one that the head was trained with.',
        optional=True,
    )
    focal_teacher: str = parameter(
        '',
        'RGB depth model that estimates the field of view where the thermal camera has no '
        "calibration, for instance 'transformers:apple/DepthPro-hf'; empty: no estimate.",
        optional=True,
    )
    focal_pairs: int = parameter(
        5, 'Pairs of images that the field of view is estimated from.', low=1, high=100
    )
    focal_period: float = parameter(
        2.0,
        'Seconds between two pairs that are looked at, at least.',
        low=0.0,
        high=3600.0,
        live=True,
    )
    download: bool = parameter(
        True, 'Whether models may come from the hub; false takes local copies only.'
    )
    device: str = parameter(
        'cpu', 'Where text encoder and teacher run.', choices=('cpu', 'cuda', 'auto')
    )
    threads: int = parameter(
        1, 'Threads of text encoder and teacher on the CPU; 0 takes all cores.', low=0, high=256
    )
    thermal_transport: str = parameter(
        'raw',
        "How thermal images arrive; 'compressed' subscribes to <topic>/compressed.",
        choices=TRANSPORTS,
    )
    thermal_reliability: str = parameter(
        'best_effort',
        'QoS of the thermal image and camera_info subscriptions.',
        choices=RELIABILITIES,
    )
    rgb_transport: str = parameter(
        'raw',
        "How RGB images arrive; 'compressed' subscribes to <topic>/compressed.",
        choices=TRANSPORTS,
    )
    rgb_reliability: str = parameter(
        'best_effort', 'QoS of the RGB image and camera_info subscriptions.', choices=RELIABILITIES
    )
    max_difference: float = parameter(
        0.03,
        'Largest difference of the stamps of a thermal and an RGB image of one pair, in seconds.',
        low=0.0,
        high=1.0,
    )
    extrinsics: list[float] = field(
        default_factory=lambda: [0.0],
        metadata={
            'spec': ParameterSpec(
                'Pose of the thermal camera in the RGB camera (X_rgb = T X_thermal): 16 numbers '
                'of a 4x4 matrix row by row, or 7 numbers x y z qx qy qz qw; metres, optical '
                'frames. A single 0.0 takes it from /tf_static.'
            )
        },
    )
    diagnostics_period: float = parameter(
        1.0, 'Seconds between two messages on /diagnostics.', low=0.05, high=60.0, live=True
    )

    def check_together(self) -> None:
        """
        Check the values against each other.

        :raises SettingsError: the extrinsics are no pose.
        """
        self.pose()

    def pose(self) -> NDArray[np.float64] | None:
        """
        Pose of the thermal camera in the RGB camera.

        :returns: (4, 4) X_rgb = T X_thermal in metres, or None where ``extrinsics`` has none.
        :raises SettingsError: the numbers are no rigid transform.
        """
        if list(self.extrinsics) in ([], [0.0]):
            return None
        try:
            return rigid_transform(list(self.extrinsics), 'extrinsics')
        except CalibrationError as err:
            raise SettingsError(str(err)) from err
