# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keeps a node's typed parameters in step with what is set from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from monother_ros.core.errors import SettingsError
from monother_ros.ros.parameter_specs import RESTART, NodeParameters, known_values, read, specs

P = TypeVar('P', bound=NodeParameters)


class ParameterGuard(Generic[P]):
    """
    Keeps the typed parameters of a node in step with what is set from outside.

    A set of values is checked as a whole; refused, it leaves every old value in place. What is
    not live is refused with the reason while the node is configured.

    :param node: rclpy node on which :func:`declare` was called.
    :param kind: the node's parameters.
    :param configured: says whether the node holds resources made from the values.
    :param apply: called with the new parameters and the names that changed, in the thread that
        set them, after rclpy stored the values.
    """

    def __init__(
        self,
        node: Any,
        kind: type[P],
        configured: Callable[[], bool],
        apply: Callable[[P, set[str]], None],
    ) -> None:
        self._node = node
        self._kind = kind
        self._specs = specs(kind)
        self._configured = configured
        self._apply = apply
        self.current = kind()
        node.add_on_set_parameters_callback(self._on_set)
        # Humble has no post-set callback; there the values are applied when they are accepted.
        self._has_post = hasattr(node, 'add_post_set_parameters_callback')
        if self._has_post:
            node.add_post_set_parameters_callback(self._on_stored)

    def reload(self) -> P:
        """
        Take all values from the node, as on configuring.

        :raises SettingsError: the values are not allowed together.
        """
        self.current = read(self._node, self._kind)
        return self.current

    def _proposal(self, parameters: Iterable[Any]) -> tuple[P, set[str]]:
        values = known_values(self._kind, {p.name: p.value for p in parameters})
        base = self.current if self._configured() else self._stored()
        new = base.changed(values)
        return new, {name for name in values if getattr(new, name) != getattr(base, name)}

    def _stored(self) -> P:
        """Values as rclpy holds them; the defaults where they are not allowed together."""
        try:
            return read(self._node, self._kind)
        except SettingsError:
            return self._kind()

    def _on_set(self, parameters: list[Any]) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        try:
            new, names = self._proposal(parameters)
        except SettingsError as err:
            return SetParametersResult(successful=False, reason=str(err))
        fixed = sorted(name for name in names if not self._specs[name].live)
        if fixed and self._configured():
            reason = f'{", ".join(fixed)} needs a restart (cleanup + configure): it {RESTART}'
            return SetParametersResult(successful=False, reason=reason)
        if not self._has_post:
            self._take(new, names)
        return SetParametersResult(successful=True)

    def _on_stored(self, parameters: list[Any]) -> None:
        values = {p.name: p.value for p in parameters if p.name in self._specs}
        old = self.current
        if not values or not self._configured():
            return
        new = read(self._node, self._kind)
        self._take(new, {name for name in values if getattr(new, name) != getattr(old, name)})

    def _take(self, new: P, names: set[str]) -> None:
        if self._configured() and names:
            self.current = new
            self._apply(new, names)
