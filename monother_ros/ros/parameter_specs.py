# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known about a node's parameters: the fields of a dataclass, declared and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from monother_ros.core.errors import SettingsError

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar('T')
P = TypeVar('P', bound='NodeParameters')

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
    :param optional: whether a text may be empty.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    read_only: bool = False
    optional: bool = False

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


def parameter(default: T, description: str, **spec: Any) -> T:
    """
    Make a dataclass field that carries its specification.

    :param default: value where the user gives none.
    :param description: see :class:`ParameterSpec`, as for the others.
    """
    metadata = {'spec': ParameterSpec(description, **spec)}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class NodeParameters:
    """
    Parameters of a node; a subclass gives each by :func:`parameter`.

    :raises SettingsError: a value is out of range, or two contradict each other.
    """

    def __post_init__(self) -> None:
        """Check each value, then the values against each other."""
        for name, spec in specs(type(self)).items():
            _check_value(name, getattr(self, name), spec)
        self.check_together()

    def check_together(self) -> None:
        """
        Check the values against each other; each alone is in its range.

        :raises SettingsError: they contradict each other.
        """

    def changed(self, values: Mapping[str, Any]) -> Self:
        """
        Parameters with some values replaced and the whole set checked again.

        :param values: new values by name; names of other owners are ignored.
        :raises SettingsError: the new set is not allowed; self is unchanged.
        """
        return replace(self, **known_values(type(self), values))


def known_values(kind: type[NodeParameters], values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Those of some values that belong to a kind of parameters.

    :returns: values by name; numbers in lists as float, which rclpy gives as its own arrays.
    """
    default = defaults(kind)
    return {
        name: [float(v) for v in value or []] if isinstance(default[name], list) else value
        for name, value in values.items()
        if name in default
    }


def check_range(range_min: float, range_max: float) -> None:
    """
    Check the range of distances of a node.

    :param range_min: metres. :param range_max: metres.
    :raises SettingsError: the range is empty.
    """
    if range_min >= range_max:
        msg = (
            f'range_min {range_min:g} m is not below range_max {range_max:g} m; set both together'
        )
        raise SettingsError(msg)


def _check_value(name: str, value: Any, spec: ParameterSpec) -> None:
    """Refuse a value outside of its specification, or a number that is not finite."""
    if spec.choices and value not in spec.choices:
        msg = f'{name} is {value!r}; use one of {", ".join(spec.choices)}'
        raise SettingsError(msg)
    if isinstance(value, str) and not value.strip() and not spec.optional:
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


def specs(kind: type[NodeParameters]) -> dict[str, ParameterSpec]:
    """Specification of each parameter by name, in the order of declaration."""
    return {item.name: item.metadata['spec'] for item in fields(kind)}


def defaults(kind: type[NodeParameters]) -> dict[str, Any]:
    """Value of each parameter where the user gives none."""
    return asdict(kind())


def declare(node: Any, kind: type[NodeParameters]) -> None:
    """
    Declare every parameter on a node, with description, range and read-only flag.

    :param node: rclpy node without these parameters.
    :param kind: the node's parameters.
    :raises rclpy.exceptions.ParameterException: a value given at start is of the wrong type or
        out of range.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    known = specs(kind)
    for name, value in defaults(kind).items():
        spec = known[name]
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


def read(node: Any, kind: type[P]) -> P:
    """
    Read the declared parameters of a node.

    :raises SettingsError: the values given at start are not allowed together.
    """
    return kind(
        **known_values(kind, {name: node.get_parameter(name).value for name in specs(kind)})
    )
