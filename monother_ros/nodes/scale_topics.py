# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale of the depth node on topics: what others say about it, and what came of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import Vector3Stamped
from std_msgs.msg import String

from monother_ros.core.errors import MonotherError
from monother_ros.core.scale_sources import ScaleEstimate, silent
from monother_ros.nodes.inputs import never_raise
from monother_ros.ros.diagnostics import OK, WARN, Health
from monother_ros.ros.messages import set_stamp, stamp_ns
from monother_ros.ros.qos import latched_profile, overridable, sensor_profile
from monother_ros.ros.scale import INPUTS, OUTPUT, SOURCE_OUTPUT, scale_from_message

if TYPE_CHECKING:
    from monother_ros.core.scale_arbiter import FusedScale


class ScaleTopics:
    """
    Subscribes to estimates and publishes the scale of every frame.

    :param node: lifecycle node that owns publishers and subscriptions.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._said: dict[str, ScaleEstimate] = {}
        self._last: FusedScale | None = None
        self._told = ''
        self._publisher = node.create_lifecycle_publisher(
            Vector3Stamped,
            OUTPUT,
            sensor_profile('reliable'),
            qos_overriding_options=overridable(),
        )
        self._names = node.create_lifecycle_publisher(
            String, SOURCE_OUTPUT, latched_profile(), qos_overriding_options=overridable()
        )
        self._subscriptions = [
            node.create_subscription(
                Vector3Stamped,
                topic,
                never_raise(node, self._listener(source)),
                latched_profile(),
                qos_overriding_options=overridable(),
            )
            for source, topic in INPUTS.items()
        ]

    def _listener(self, source: str) -> Any:
        def take(msg: Any) -> None:
            try:
                estimate = scale_from_message(msg, source)
            except MonotherError as err:
                estimate = silent(source, str(err), stamp_ns(msg))
                self._node.get_logger().warning(str(err))
            self._said[source] = estimate

        return take

    def wanted(self) -> bool:
        """Whether anybody subscribes to the scale."""
        return bool(self._publisher.get_subscription_count() > 0)

    def estimates(self) -> tuple[ScaleEstimate, ...]:
        """What other sources have said last; for the worker's thread."""
        return tuple(self._said.values())

    def publish(self, metric: FusedScale | None, header: Any) -> None:
        """
        Publish the scale of a frame, and who gave it where that has changed.

        :param metric: of the pipeline's result; None publishes nothing.
        :param header: std_msgs/Header of the thermal image.
        """
        if metric is None:
            return
        self._last = metric
        if self.wanted():
            msg = Vector3Stamped()
            msg.header.frame_id = header.frame_id
            set_stamp(msg.header, stamp_ns(header))
            msg.vector.x, msg.vector.y = float(metric.factor), float(metric.shift)
            msg.vector.z = float(metric.sigma)
            self._publisher.publish(msg)
        told = ' '.join(sorted(metric.weights, key=metric.weights.__getitem__, reverse=True))
        if told != self._told:
            self._told = told
            self._names.publish(String(data=told))

    def health(self, force: str) -> Health:
        """
        Judge the scale.

        :param force: the parameter scale_force.
        """
        metric = self._last
        if metric is None:
            return Health(OK, 'no depth yet')
        values = {
            'factor': f'{metric.factor:.4f}',
            'shift [1/m]': f'{metric.shift:.5f}',
            'sigma [%]': f'{100 * metric.sigma:.1f}' if math.isfinite(metric.sigma) else 'none',
            'source': metric.source,
            **{f'weight of {k}': f'{w:.3f}' for k, w in metric.weights.items()},
            **{f'{k} is silent': why for k, why in metric.silent.items()},
        }
        if force and force not in metric.weights:
            why = metric.silent.get(force, 'it says nothing')
            return Health(WARN, f'scale_force is {force}, but {why}', values)
        return Health(
            OK,
            f'factor {metric.factor:.3f} within {100 * metric.sigma:.0f} %, mostly from '
            f'{metric.source}',
            values,
        )

    def destroy(self) -> None:
        """Remove publishers and subscriptions from the node."""
        for publisher in (self._publisher, self._names):
            self._node.destroy_lifecycle_publisher(publisher)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
