# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node whose failing transitions say why and leave a clear state."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from monother_ros.core.errors import MonotherError

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


class GuardedLifecycleNode(LifecycleNode):
    """
    Lifecycle node with the transitions as plain methods that may raise.

    rclpy swallows what a transition raises. Here it is logged, kept in :attr:`problem`, what was
    half done is undone, and the node stays in the state it came from. A node that fails on the
    way down (deactivate, clean up, shut down) goes down all the same.

    :param name: node name.
    :param options: options of rclpy.node.Node.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.stage = 'unconfigured'
        self.problem: str | None = None
        super().__init__(name, **options)
        self._autostart_timer: Any = None

    def configure(self) -> None:
        """Make what the node needs; called in the unconfigured state."""

    def activate(self) -> None:
        """Start working; called in the inactive state."""

    def deactivate(self) -> None:
        """Stop working; must not raise when it is called twice."""

    def cleanup(self) -> None:
        """Free what configure made; must not raise when it is called twice."""

    def autostart(self) -> None:
        """Configure and activate from the executor as soon as the node is spun."""
        # a steady clock: a timer on ROS time would never fire before /clock is published
        self._autostart_timer = self.create_timer(
            0.001, self._autostart, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        self._autostart_timer = None
        if self.stage == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`configure`; on an error the node stays unconfigured."""
        return self._up('configure', self.configure, super().on_configure, state, 'inactive')

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`activate`; on an error the node stays inactive."""
        return self._up('activate', self.activate, super().on_activate, state, 'active')

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`deactivate`."""
        return self._down('deactivate', (self.deactivate,), super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`cleanup`."""
        return self._down('clean up', (self.cleanup,), super().on_cleanup, state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run :meth:`deactivate` and :meth:`cleanup` from whatever state."""
        steps = (self.deactivate, self.cleanup)
        return self._down('shut down', steps, super().on_shutdown, state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything and return to the unconfigured state."""
        steps = (self.deactivate, self.cleanup)
        return self._down('recover', steps, super().on_error, state)

    def _up(
        self,
        verb: str,
        step: Callable[[], None],
        entities: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
        stage: str,
    ) -> TransitionCallbackReturn:
        self.problem = None
        try:
            step()
            if entities(state) != SUCCESS:
                msg = f'a publisher did not {verb}'
                raise RuntimeError(msg)
        except Exception as err:
            self.problem = f'cannot {verb}: {_reason(err)}'
            self.get_logger().error(f'{self.problem}; the node stays {self.stage}')
            self._quietly(verb, self.deactivate if verb == 'activate' else self.cleanup)
            return FAILURE
        self.stage = stage
        self.get_logger().info(f'{stage}')
        return SUCCESS

    def _down(
        self,
        verb: str,
        steps: tuple[Callable[[], None], ...],
        entities: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        for step in steps:
            self._quietly(verb, step)
        self._quietly(verb, lambda: entities(state))
        self.stage = {'deactivate': 'inactive', 'shut down': 'finalized'}.get(verb, 'unconfigured')
        self.get_logger().info(f'{self.stage}')
        return SUCCESS

    def _quietly(self, verb: str, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as err:
            self.get_logger().error(f'while trying to {verb}: {_reason(err)}')


def _reason(err: Exception) -> str:
    """Own errors explain themselves; others come with where they were raised."""
    if isinstance(err, MonotherError):
        return str(err)
    return ''.join(traceback.format_exception(type(err), err, err.__traceback__)).strip()
