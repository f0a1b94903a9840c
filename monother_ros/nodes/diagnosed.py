# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of this package have in common beside their transitions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined]
from rclpy.duration import Duration

from monother_ros.nodes.inputs import never_raise
from monother_ros.nodes.lifecycle import GuardedLifecycleNode
from monother_ros.ros.parameter_guard import ParameterGuard
from monother_ros.ros.parameter_specs import NodeParameters, declare

P = TypeVar('P', bound=NodeParameters)


class DiagnosedNode(GuardedLifecycleNode, Generic[P]):
    """
    Lifecycle node with typed parameters, diagnostics on a timer, and word of time that jumps.

    Its parameters must have `autostart` and `diagnostics_period`.

    :param name: node name.
    :param parameters: kind of the parameters.
    :param options: options of rclpy.node.Node (context, parameter_overrides …).
    :raises rclpy.exceptions.ParameterException: a parameter given at start is of the wrong type
        or out of range.
    """

    def __init__(self, name: str, parameters: type[P], **options: Any) -> None:
        self._jump: Any = None
        super().__init__(name, **options)
        self.empty()
        declare(self, parameters)
        self.guard = ParameterGuard(self, parameters, self._is_configured, self._apply)
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        period = self.get_parameter('diagnostics_period').value
        self._timer = self.create_timer(
            period, never_raise(self, self._diagnose), clock=self.steady
        )
        backwards = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jump = self.get_clock().create_jump_callback(
            backwards, post_callback=lambda _jump: self.time_jumped()
        )
        if self.get_parameter('autostart').value:
            self.autostart()

    # what a node tells

    @abstractmethod
    def empty(self) -> None:
        """Hold nothing, as before the node is configured; called once, when it is made."""

    @abstractmethod
    def diagnosis(self) -> DiagnosticArray:
        """Health of the node and its parts, now."""

    @abstractmethod
    def time_jumped(self) -> None:
        """Forget what depends on time: it went backwards, or another clock is used."""

    @abstractmethod
    def apply(self, parameters: P) -> None:
        """Take new values of the live parameters; called while the node is configured."""

    # the rest

    def start_parameters(self) -> P:
        """
        Read all parameters, as on configuring.

        :raises SettingsError: the values are not allowed together.
        """
        parameters = self.guard.reload()
        self._set_period(parameters)
        return parameters

    def destroy_node(self) -> None:
        """Stop the worker and free everything, from whatever state."""
        if self._jump is not None:
            self._jump.unregister()
            self._jump = None
        self.deactivate()
        self.cleanup()
        super().destroy_node()

    def _diagnose(self) -> None:
        self._diagnostics.publish(self.diagnosis())

    def _set_period(self, parameters: Any) -> None:
        self._timer.timer_period_ns = int(parameters.diagnostics_period * 1e9)
        self._timer.reset()

    def _is_configured(self) -> bool:
        return self.stage in ('inactive', 'active')

    def _apply(self, new: P, names: set[str]) -> None:
        if 'diagnostics_period' in names:
            self._set_period(new)
        self.apply(new)
        self.get_logger().info(
            'set ' + ', '.join(f'{name} = {getattr(new, name)}' for name in sorted(names))
        )
