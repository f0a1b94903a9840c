# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""QoS profiles as the middleware sees them."""

from __future__ import annotations

import pytest

from monother_ros.core.errors import SettingsError

rclpy = pytest.importorskip('rclpy')
qos = pytest.importorskip('monother_ros.ros.qos')


def test_inputs_are_sensor_data():
    from rclpy.qos import qos_profile_sensor_data

    profile = qos.sensor_profile('best_effort')
    for name in ('reliability', 'durability', 'history', 'depth'):
        assert getattr(profile, name) == getattr(qos_profile_sensor_data, name), name


def test_reliable_outputs_reach_both_kinds_of_subscriber():
    from rclpy.qos import QoSCompatibility, qos_check_compatible

    # a WARNING says that liveliness and the like are left to the middleware
    reliable = qos.output_profile('depth/image_raw', 'reliable')
    best_effort = qos.output_profile('points', 'best_effort')
    for subscriber in ('reliable', 'best_effort'):
        fits, _ = qos_check_compatible(reliable, qos.sensor_profile(subscriber))
        assert fits != QoSCompatibility.ERROR
    fits, reason = qos_check_compatible(best_effort, qos.sensor_profile('reliable'))
    assert fits == QoSCompatibility.ERROR and 'reliable' in reason.lower()


def test_few_clouds_are_kept_as_they_are_large():
    assert (
        qos.output_profile('points', 'reliable').depth < qos.output_profile('x', 'reliable').depth
    )


def test_unknown_reliability_is_refused():
    with pytest.raises(SettingsError, match='use one of best_effort, reliable'):
        qos.sensor_profile('fast')


def test_history_can_be_overridden_from_outside(ros_domain):
    from rclpy.parameter import Parameter
    from std_msgs.msg import Empty

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node(
        'overridden',
        context=context,
        parameter_overrides=[Parameter('qos_overrides./x.subscription.depth', value=17)],
        start_parameter_services=False,
    )
    try:
        subscription = node.create_subscription(
            Empty,
            '/x',
            lambda _: None,
            qos.sensor_profile('best_effort'),
            qos_overriding_options=qos.overridable(),
        )
        assert subscription.qos_profile.depth == 17
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
