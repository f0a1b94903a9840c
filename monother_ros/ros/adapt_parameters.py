# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of the adapt node: one dataclass is the source of declaration, checks, YAML and docs.

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

PARTS = ('head', 'decoder', 'norm', 'all', 'adapters')
"""What of a student can be trained."""


@dataclass(frozen=True)
class AdaptNodeParameters(NodeParameters):
    """Every parameter of the adapt node with its default."""

    autostart: bool = parameter(
        True,
        'Configure and activate without waiting for a lifecycle manager.',
        read_only=True,
    )
    enabled: bool = parameter(
        True, 'Learn; false leaves weights and memory as they are. ~/enable sets it.', live=True
    )
    model: str = parameter(
        'lite',
        'Model bundle that learns: a shipped name, or the path of a folder. It needs '
        'weights.safetensors, and it is the one that the depth node runs.',
    )
    revisions: str = parameter(
        '',
        'Folder that revisions are written to, the same as that of the depth node; empty: '
        '$MONOTHER_REVISIONS, else ~/.local/share/monother_ros/revisions.',
        optional=True,
    )
    revisions_kept: int = parameter(
        10, 'Revisions that are kept in the folder; the oldest ones go.', low=3, high=1000
    )
    memory: str = parameter(
        '~/.local/share/monother_ros/memory',
        'Folder of the memory of pairs and of the state of learning, which survive a restart; '
        'empty: both are kept in RAM and end with the process.',
        optional=True,
    )
    teacher: str = parameter(
        'bundle:lite-rgb',
        'RGB depth model that is learned from: bundle:, transformers:, onnx: or monother: and its '
        'name or path; see docs/teachers.md.',
    )
    confidence: str = parameter(
        'lite-confidence',
        'Network that says how far to believe the teacher: a name or a path; empty: believe it '
        'wherever both cameras see the same.',
        optional=True,
    )
    anchors: str = parameter(
        'lite-anchors',
        'Frames of where the model comes from, so that it does not forget: a name or a path; '
        'empty: none.',
        optional=True,
    )
    device: str = parameter(
        'cpu', 'Where student and teacher run.', choices=('cpu', 'cuda', 'auto')
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
    silence_timeout: float = parameter(
        2.0,
        'Seconds without an image after which a camera counts as stopped.',
        low=0.1,
        high=3600.0,
        live=True,
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
                'frames. A single 0.0 takes it from the calibration file, or from /tf_static.'
            )
        },
    )
    calibration: str = parameter(
        '',
        'Calibration file of the rig: our own YAML or a camchain of Kalibr, see '
        'docs/adapt_node.md; cameras in it replace their CameraInfo. Empty: none.',
        optional=True,
    )
    thermal_camera: str = parameter(
        '',
        "Name of the thermal camera in a camchain, for instance 'cam0'; empty finds it by topic.",
        optional=True,
    )
    rgb_camera: str = parameter(
        '',
        "Name of the RGB camera in a camchain, for instance 'cam1'; empty finds it by topic.",
        optional=True,
    )
    rate: float = parameter(
        0.5, 'Optimiser steps per second at most.', low=0.01, high=1000.0, live=True
    )
    pair_rate: float = parameter(
        2.0,
        'Pairs of images per second at most that the teacher sees.',
        low=0.01,
        high=100.0,
        live=True,
    )
    part: str = parameter('all', 'Part of the model that is trained.', choices=PARTS)
    learning_rate: float = parameter(2e-4, 'Learning rate of the optimiser.', low=1e-8, high=0.1)
    anchor_weight: float = parameter(
        8.0,
        'Weight of how far the outputs for anchors have moved, against the loss on pairs.',
        low=0.0,
        high=1000.0,
    )
    batch: int = parameter(4, 'Pairs in an optimiser step.', low=1, high=64)
    anchor_batch: int = parameter(2, 'Anchors in an optimiser step.', low=0, high=64)
    average: float = parameter(
        0.98,
        'Decay of the moving average of the weights, which is what is judged and handed over; 0 '
        'takes the weights themselves.',
        low=0.0,
        high=0.9999,
    )
    least_pairs: int = parameter(
        16, 'Pairs in the memory before learning begins.', low=1, high=100_000
    )
    consider_steps: int = parameter(
        20, 'Optimiser steps between two looks of the guard.', low=1, high=1_000_000
    )
    held_out_every: int = parameter(
        5,
        'One of so many blocks of time is held out: judged on, never trained on.',
        low=2,
        high=1000,
    )
    block_seconds: float = parameter(
        2.0, 'Length of such a block, in seconds.', low=0.05, high=3600.0
    )
    gap_seconds: float = parameter(
        0.5,
        'At the border of a held-out block nothing is taken for training for so many seconds.',
        low=0.0,
        high=600.0,
    )
    replay_mb: int = parameter(
        400, 'Size of the memory of pairs, in megabytes.', low=1, high=1_000_000
    )
    held_out_mb: int = parameter(
        60, 'Size of the memory of held-out pairs, in megabytes.', low=1, high=1_000_000
    )
    save_seconds: float = parameter(
        60.0, 'Seconds between two saves of the state of learning.', low=0.1, high=86_400.0
    )
    guard_confidence: float = parameter(
        0.95,
        'How sure it must be that a revision is better on held-out pairs, to hand it over.',
        low=0.51,
        high=0.9999,
    )
    guard_tolerance: float = parameter(
        0.02,
        'Relative growth of the error on the anchors that is put up with.',
        low=0.0,
        high=0.99,
    )
    guard_least_gain: float = parameter(
        0.0,
        'Relative improvement on held-out pairs that must be exceeded.',
        low=0.0,
        high=0.99,
    )
    guard_least_pairs: int = parameter(
        20, 'Held-out pairs below which nothing is decided.', low=8, high=100_000
    )
    gate_shutter: float = parameter(
        1.0,
        'Seconds after a shutter event in which nothing is learned.',
        low=0.0,
        high=60.0,
    )
    gate_night: float = parameter(
        1.25,
        'Visibility of RGB pictures below which it is night; see docs/when_it_learns.md, as '
        'for the other limits of the gates.',
        low=0.0,
        high=100.0,
    )
    gate_day: float = parameter(
        1.6,
        'Visibility above which it is day again.',
        low=0.0,
        high=100.0,
    )
    gate_night_level: float = parameter(
        115.0,
        'Median level of an RGB picture (0 to 255) above which it is never night.',
        low=0.0,
        high=255.0,
    )
    gate_black: float = parameter(
        0.7,
        'Share of an RGB picture that is nearly black from which it is night.',
        low=0.0,
        high=1.0,
    )
    gate_white: float = parameter(
        0.3,
        'Share of an RGB picture that is white from which it is glare.',
        low=0.0,
        high=1.0,
    )
    gate_blob: float = parameter(
        0.04,
        'Share of an RGB picture that one white area with a halo takes from which it is glare.',
        low=0.0,
        high=1.0,
    )
    gate_halo: float = parameter(
        205.0,
        'Mean level around a white area (0 to 255) from which that is a halo.',
        low=0.0,
        high=255.0,
    )
    gate_blurred: float = parameter(
        0.36,
        'Sharpness below which a picture is blurred.',
        low=0.0,
        high=10.0,
    )
    gate_drops: float = parameter(
        0.035,
        'Share of an RGB picture that drops blur from which it rains on the lens.',
        low=0.0,
        high=1.0,
    )
    gate_dry: float = parameter(
        0.022,
        'Share below which it no longer rains on the lens.',
        low=0.0,
        high=1.0,
    )
    gate_same_rgb: float = parameter(
        0.6,
        'Similarity of RGB pictures above which the view is the last one (standing still).',
        low=0.0,
        high=1.0,
    )
    gate_same_thermal: float = parameter(
        0.85,
        'The same of thermal pictures; both must be alike.',
        low=0.0,
        high=1.0,
    )
    slipped: float = parameter(
        5.0,
        'Displacement from which the calibration counts as slipped, in pixels of a picture that '
        'is 320 wide.',
        low=0.5,
        high=100.0,
    )
    settled: float = parameter(
        3.0,
        'Displacement below which it no longer counts as slipped.',
        low=0.1,
        high=100.0,
    )
    seed: int = parameter(0, 'Seed of everything random.', low=0, high=2_147_483_647)
    threads: int = parameter(
        1,
        'CPU threads of optimiser, teacher and image processing; 0: as they like.',
        low=0,
        high=64,
    )
    nice: int = parameter(
        10,
        'Niceness of the thread that learns and of those that it starts; the depth node is at 0.',
        low=0,
        high=19,
    )
    cpu_share: float = parameter(
        1.0,
        'CPU seconds per second that the process takes at most; 1 is one whole core.',
        low=0.02,
        high=256.0,
        live=True,
    )
    memory_limit: int = parameter(
        2500,
        'Megabytes of RAM above which learning stops until they are free again; 0: no limit.',
        low=0,
        high=10_000_000,
        live=True,
    )
    publish_rate: float = parameter(
        1.0,
        'Messages per second at most on teacher/depth, teacher/confidence, teacher/camera_info '
        'and mask, each.',
        low=0.01,
        high=100.0,
        live=True,
    )
    output_reliability: str = parameter('reliable', 'QoS of the outputs.', choices=RELIABILITIES)
    diagnostics_period: float = parameter(
        1.0, 'Seconds between two messages on /diagnostics.', low=0.05, high=60.0, live=True
    )

    def check_together(self) -> None:
        """
        Check the values against each other.

        :raises SettingsError: the extrinsics are no pose, or the gap fills its block.
        """
        if self.gap_seconds >= self.block_seconds:
            msg = (
                f'gap_seconds {self.gap_seconds:g} is not below block_seconds '
                f'{self.block_seconds:g}: nothing would be left to train on'
            )
            raise SettingsError(msg)
        for lower, upper in (
            ('gate_night', 'gate_day'),
            ('gate_dry', 'gate_drops'),
            ('settled', 'slipped'),
        ):
            if getattr(self, lower) > getattr(self, upper):
                msg = f'{lower} {getattr(self, lower):g} is above {upper}; set both together'
                raise SettingsError(msg)
        if self.thermal_camera and self.thermal_camera == self.rgb_camera:
            msg = f'thermal_camera and rgb_camera are both {self.rgb_camera}; name two cameras'
            raise SettingsError(msg)
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
