# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service of the node's topics, and what can still be overridden from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monother_ros.core.errors import SettingsError

if TYPE_CHECKING:
    from rclpy.qos import QoSProfile
    from rclpy.qos_overriding_options import QoSOverridingOptions

INPUT_DEPTH = 5
"""Messages that the middleware keeps for a subscription, as in SensorDataQoS."""

OUTPUT_DEPTH = {'points': 2}
"""Messages kept per output topic; the others keep 5. A full cloud is 5 to 8 MB."""


def sensor_profile(reliability: str, depth: int = INPUT_DEPTH) -> QoSProfile:
    """
    Volatile keep-last profile, as sensor data uses it.

    :param reliability: 'best_effort' or 'reliable'.
    :param depth: messages kept, >= 1.
    :raises SettingsError: the reliability is not one of the two.
    """
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    policies = {
        'best_effort': ReliabilityPolicy.BEST_EFFORT,
        'reliable': ReliabilityPolicy.RELIABLE,
    }
    if reliability not in policies:
        msg = f'reliability {reliability!r} is not known; use one of {", ".join(policies)}'
        raise SettingsError(msg)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=policies[reliability],
        durability=DurabilityPolicy.VOLATILE,
    )


def output_profile(topic: str, reliability: str) -> QoSProfile:
    """
    Profile of an output topic.

    :param topic: relative name, for instance 'points'.
    :param reliability: 'best_effort' or 'reliable'.
    """
    return sensor_profile(reliability, OUTPUT_DEPTH.get(topic, 5))


def latched_profile() -> QoSProfile:
    """Reliable profile whose last message also reaches those who subscribe later."""
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overridable() -> QoSOverridingOptions:
    """
    Policies that ``qos_overrides.<topic>.<publisher|subscription>.<policy>`` may change.

    Reliability is not among them: it has a parameter of its own per topic, and rclpy would keep
    the value of the first configuration in a read-only parameter.
    """
    from rclpy.qos import QoSPolicyKind
    from rclpy.qos_overriding_options import QoSOverridingOptions

    return QoSOverridingOptions(
        (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY)
    )
