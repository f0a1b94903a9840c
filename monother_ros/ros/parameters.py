# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of the depth node: one dataclass is the source of declaration, checks, YAML and docs.

``python -m monother_ros.ros.parameters`` prints the table of docs/parameters.md, with the argument
``yaml`` the file config/depth.yaml.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np

from monother_ros.core.errors import SettingsError

T = TypeVar('T')

RELIABILITIES = ('best_effort', 'reliable')
TRANSPORTS = ('raw', 'compressed')
SYNC_POLICIES = ('nearest', 'approximate', 'exact')

RESTART = (
    'takes effect when the node is configured: deactivate, clean up, set it, configure and '
    'activate again, or restart the node with it'
)


@dataclass(frozen=True)
class ParameterSpec:
    """
    What is known about one parameter besides its name, type and default.

    :param description: one sentence for people, with the unit.
    :param low: smallest value allowed, or None.
    :param high: largest value allowed, or None.
    :param choices: values allowed for a text parameter; empty for any.
    :param live: whether a running node takes a new value.
    :param read_only: whether it can only be given at start.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    read_only: bool = False

    @property
    def allowed(self) -> str:
        """Allowed values in words; empty where anything of the type goes."""
        if self.choices:
            return ', '.join(self.choices)
        if self.low is not None and self.high is not None:
            return f'{self.low:g} to {self.high:g}'
        return ''

    @property
    def change(self) -> str:
        """When a new value is taken, in words."""
        if self.read_only:
            return 'at start only'
        return 'live' if self.live else 'when configured'


def _parameter(default: T, description: str, **spec: Any) -> T:
    """Make a dataclass field that carries its specification."""
    metadata = {'spec': ParameterSpec(description, **spec)}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class DepthNodeParameters:
    """Every parameter of the depth node with its default; see :func:`specs` for the rest."""

    autostart: bool = _parameter(
        True,
        'Configure and activate without waiting for a lifecycle manager.',
        read_only=True,
    )
    model: str = _parameter('lite', 'Model bundle: a shipped name, or the path of a folder.')
    engine: str = _parameter(
        'auto', "Inference engine by name; 'auto' takes the fastest that is installed."
    )
    device: str = _parameter(
        'cpu', 'Where the engine runs, if it can choose.', choices=('cpu', 'cuda')
    )
    threads: int = _parameter(
        0, 'Threads of the inference engine; 0 takes one per core, at most 4.', low=0, high=64
    )
    thermal_transport: str = _parameter(
        'raw',
        "How thermal images arrive; 'compressed' subscribes to <topic>/compressed.",
        choices=TRANSPORTS,
    )
    thermal_reliability: str = _parameter(
        'best_effort',
        "QoS of the thermal image and camera_info subscriptions; 'reliable' needs a reliable "
        'camera driver.',
        choices=RELIABILITIES,
    )
    expected_rate: float = _parameter(
        0.0,
        'Image rate in Hz below nine tenths of which diagnostics warn; 0 for no check.',
        low=0.0,
        high=1000.0,
        live=True,
    )
    silence_timeout: float = _parameter(
        2.0,
        'Seconds without an image after which the camera counts as stopped.',
        low=0.1,
        high=3600.0,
        live=True,
    )
    color_cloud: bool = _parameter(
        True,
        'Colour the cloud from the RGB camera where its image, calibration and pose are known.',
        live=True,
    )
    rgb_transport: str = _parameter(
        'raw',
        "How RGB images arrive; 'compressed' subscribes to <topic>/compressed.",
        choices=TRANSPORTS,
    )
    rgb_reliability: str = _parameter(
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
    sync_policy: str = _parameter(
        'nearest',
        'How thermal and RGB images are paired: nearest stamp, or the policies of '
        'message_filters where it is installed.',
        choices=SYNC_POLICIES,
    )
    sync_slop: float = _parameter(
        0.05,
        'Largest difference of the stamps of a thermal and an RGB image of one pair, in seconds.',
        low=0.0,
        high=10.0,
    )
    output_size: str = _parameter(
        'image',
        'Size of depth, confidence and cloud: that of the thermal image or of the network.',
        choices=('image', 'network'),
        live=True,
    )
    range_min: float = _parameter(
        0.5,
        'Smallest depth published, in metres; nearer is NaN.',
        low=0.01,
        high=1000.0,
        live=True,
    )
    range_max: float = _parameter(
        80.0,
        'Largest depth published, in metres; farther is NaN.',
        low=0.02,
        high=1000.0,
        live=True,
    )
    confidence_min: float = _parameter(
        0.0,
        'Smallest confidence for which depth is published; below is NaN.',
        low=0.0,
        high=1.0,
        live=True,
    )
    process_shutter_frames: bool = _parameter(
        False,
        'Publish depth also for images taken while the shutter (FFC) is closed.',
        live=True,
    )
    depth_reliability: str = _parameter(
        'reliable',
        "QoS of depth/image_raw and depth/camera_info: 'reliable' reaches every subscriber, "
        "'best_effort' is never held up by a slow one.",
        choices=RELIABILITIES,
    )
    confidence_reliability: str = _parameter(
        'reliable', 'QoS of confidence; see depth_reliability.', choices=RELIABILITIES
    )
    points_reliability: str = _parameter(
        'reliable', 'QoS of points; see depth_reliability.', choices=RELIABILITIES
    )
    color_reliability: str = _parameter(
        'reliable', 'QoS of depth/color; see depth_reliability.', choices=RELIABILITIES
    )
    diagnostics_period: float = _parameter(
        1.0, 'Seconds between two messages on /diagnostics.', low=0.05, high=60.0, live=True
    )

    def __post_init__(self) -> None:
        """
        Check each value and the values against each other.

        :raises SettingsError: a value is out of range, or two contradict each other.
        """
        for name, spec in specs().items():
            _check_value(name, getattr(self, name), spec)
        if self.range_min >= self.range_max:
            msg = (
                f'range_min {self.range_min:g} m is not below range_max {self.range_max:g} m; '
                'set both together'
            )
            raise SettingsError(msg)
        self.extrinsics()

    def extrinsics(self) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """
        Pose of the thermal camera in the RGB camera.

        :returns: (4, 4) T_rgb_thermal in metres, or None where the parameter does not give it.
        :raises SettingsError: the numbers are not a rigid transform.
        """
        values = list(self.rgb_extrinsics)
        if values in ([], [0.0]):
            return None
        if len(values) != 16:
            msg = f'rgb_extrinsics has {len(values)} numbers; give 16 (a 4x4 matrix row by row)'
            raise SettingsError(msg)
        matrix = np.array(values, np.float64).reshape(4, 4)
        rotation = matrix[:3, :3]
        rigid = (
            np.isfinite(matrix).all()
            and np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6)
            and np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
            and np.linalg.det(rotation) > 0
        )
        if not rigid:
            msg = (
                'rgb_extrinsics is not a rigid transform: the first three rows must hold a '
                'rotation and a translation in metres, the last row 0 0 0 1'
            )
            raise SettingsError(msg)
        return matrix

    def changed(self, values: Mapping[str, Any]) -> DepthNodeParameters:
        """
        Parameters with some values replaced and the whole set checked again.

        :param values: new values by name; names of other owners are ignored.
        :raises SettingsError: the new set is not allowed; self is unchanged.
        """
        known = specs()
        return replace(self, **{name: v for name, v in values.items() if name in known})


def _check_value(name: str, value: Any, spec: ParameterSpec) -> None:
    """Refuse a value outside of its specification, or a number that is not finite."""
    if spec.choices and value not in spec.choices:
        msg = f'{name} is {value!r}; use one of {", ".join(spec.choices)}'
        raise SettingsError(msg)
    if isinstance(value, str) and not value.strip():
        msg = f'{name} is empty; give a value'
        raise SettingsError(msg)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            msg = f'{name} is {value}; give a finite number'
            raise SettingsError(msg)
        low = -math.inf if spec.low is None else spec.low
        high = math.inf if spec.high is None else spec.high
        if not low <= value <= high:
            msg = f'{name} is {value:g}; it must be within {low:g} to {high:g}'
            raise SettingsError(msg)


def specs() -> dict[str, ParameterSpec]:
    """Specification of each parameter by name, in the order of declaration."""
    return {item.name: item.metadata['spec'] for item in fields(DepthNodeParameters)}


def defaults() -> dict[str, Any]:
    """Value of each parameter where the user gives none."""
    return asdict(DepthNodeParameters())


def declare(node: Any) -> None:
    """
    Declare every parameter on a node, with description, range and read-only flag.

    :param node: rclpy node without these parameters.
    :raises rclpy.exceptions.ParameterException: a value given at start is of the wrong type or
        out of range.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    for name, value in defaults().items():
        spec = specs()[name]
        descriptor = ParameterDescriptor(
            description=spec.description,
            read_only=spec.read_only,
            additional_constraints='; '.join(
                part
                for part in (
                    f'one of {spec.allowed}' if spec.choices else '',
                    '' if spec.live or spec.read_only else RESTART,
                )
                if part
            ),
        )
        if spec.low is not None and spec.high is not None:
            if isinstance(value, float):
                span = FloatingPointRange(from_value=spec.low, to_value=spec.high)
                descriptor.floating_point_range = [span]
            else:
                whole = IntegerRange(from_value=int(spec.low), to_value=int(spec.high))
                descriptor.integer_range = [whole]
        node.declare_parameter(name, value, descriptor)


def read(node: Any) -> DepthNodeParameters:
    """
    Read the declared parameters of a node.

    :raises SettingsError: the values given at start are not allowed together.
    """
    values = {name: node.get_parameter(name).value for name in specs()}
    values['rgb_extrinsics'] = [float(v) for v in values['rgb_extrinsics']]
    return DepthNodeParameters(**values)


if __name__ == '__main__':
    from monother_ros.ros.parameter_texts import markdown_text, yaml_text

    sys.stdout.write(yaml_text() if 'yaml' in sys.argv[1:] else markdown_text())
