# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The adapt node: thermal and RGB pairs in, proven revisions of the thermal network out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo

from monother_ros.core.pairing import Pair, PairMatcher
from monother_ros.nodes.adapt_limits import tune_malloc
from monother_ros.nodes.adapt_outputs import AdaptOutputs
from monother_ros.nodes.adapt_report import node_health
from monother_ros.nodes.adapt_rig import RigInput
from monother_ros.nodes.adapt_services import AdaptServices
from monother_ros.nodes.adapt_settings import revision_folder
from monother_ros.nodes.adapt_worker import AdaptWorker
from monother_ros.nodes.diagnosed import DiagnosedNode
from monother_ros.nodes.inputs import WatchedSubscription, subscribe_image
from monother_ros.nodes.pair_queue import PairOfMessages
from monother_ros.nodes.runner import spin_until_signal
from monother_ros.ros.adapt_parameters import AdaptNodeParameters
from monother_ros.ros.diagnostics import diagnostic_array
from monother_ros.ros.messages import stamp_ns
from monother_ros.ros.transport import describe_transport

QUEUE = 8
"""Images of each camera that wait for their partner."""


class AdaptNode(DiagnosedNode[AdaptNodeParameters]):
    """
    Lifecycle node that learns from the RGB camera, in a process of its own.

    Callbacks only store the newest pair; one worker thread looks at it, learns and publishes.

    :param name: node name.
    :param options: options of rclpy.node.Node (context, parameter_overrides …).
    :raises rclpy.exceptions.ParameterException: a parameter given at start is of the wrong type
        or out of range.
    """

    def __init__(self, name: str = 'adapt_node', **options: Any) -> None:
        super().__init__(name, AdaptNodeParameters, **options)
        self.services_of_node = AdaptServices(self)

    def empty(self) -> None:
        """Hold nothing, as before the node is configured."""
        self.worker: AdaptWorker | None = None
        self.outputs: AdaptOutputs | None = None
        self.rig: RigInput | None = None
        self.matcher: PairMatcher[Any, Any] | None = None
        self.images: dict[str, WatchedSubscription | None] = {'thermal': None, 'rgb': None}
        self.infos: dict[str, WatchedSubscription | None] = {'thermal': None, 'rgb': None}
        self.pairs_seen = 0

    # transitions

    def configure(self) -> None:
        """
        Load student, teacher and memory, and make the publishers.

        :raises MonotherError: parameters, calibration file, models or folders cannot be used.
        """
        parameters = self.start_parameters()
        self.rig = RigInput(self, parameters)
        self.outputs = AdaptOutputs(self, parameters)
        self.matcher = PairMatcher(round(parameters.max_difference * 1e9), QUEUE, self._paired)
        self.worker = AdaptWorker(self, parameters, self.rig, self.outputs)
        self.worker.start()
        self.rig.follow()
        status = self.worker.status
        self.get_logger().info(
            f'{parameters.model} revision {status["revision"]} learns from {status["teacher"]} '
            f'into {revision_folder(parameters)}; extrinsics from {self.rig.source}; '
            f'{describe_transport()}'
        )
        if self.rig.problem is not None:
            self.get_logger().warning(self.rig.problem)

    def activate(self) -> None:
        """Subscribe and learn."""
        assert self.worker is not None and self.rig is not None and self.matcher is not None
        parameters, rig = self.guard.current, self.rig
        self.pairs_seen = 0
        self.matcher.reset()
        self.worker.resume()
        ways = {
            'thermal': (
                *(parameters.thermal_transport, parameters.thermal_reliability),
                *(self._on_thermal, rig.thermal.update),
            ),
            'rgb': (
                *(parameters.rgb_transport, parameters.rgb_reliability),
                *(self._on_rgb, rig.rgb.update),
            ),
        }
        for role, (transport, reliability, on_image, on_info) in ways.items():
            self.images[role] = subscribe_image(
                self, f'{role}/image_raw', transport, reliability, on_image
            )
            self.infos[role] = WatchedSubscription(
                self, CameraInfo, f'{role}/camera_info', reliability, on_info
            )

    def deactivate(self) -> None:
        """Unsubscribe and leave weights and memory as they are."""
        for subscriptions in (self.images, self.infos):
            for role, subscription in subscriptions.items():
                if subscription is not None:
                    subscription.destroy()
                subscriptions[role] = None
        if self.worker is not None:
            self.worker.pause()

    def cleanup(self) -> None:
        """Save the state of learning and free everything."""
        if self.worker is not None:
            worker, self.worker = self.worker, None
            worker.stop()
        if self.outputs is not None:
            self.outputs.destroy()
        if self.rig is not None:
            self.rig.destroy()
        self.outputs = self.rig = self.matcher = None

    # callbacks, all in the executor's thread

    def _on_thermal(self, msg: Any) -> None:
        if self.matcher is not None:
            self.matcher.add_a(stamp_ns(msg), msg)

    def _on_rgb(self, msg: Any) -> None:
        if self.matcher is not None:
            self.matcher.add_b(stamp_ns(msg), msg)

    def _paired(self, pair: Pair[Any, Any]) -> None:
        self.pairs_seen += 1
        if self.worker is not None:
            self.worker.put(PairOfMessages(pair.a, pair.b))

    def time_jumped(self) -> None:
        """Forget what waits and what was smoothed over time."""
        if self.matcher is not None:
            self.matcher.reset()
        if self.worker is not None:
            self.worker.time_jumped()

    def diagnosis(self) -> DiagnosticArray:
        """Health of the node and its parts, now."""
        stamp = self.get_clock().now().to_msg()
        parts = node_health(self)
        name = self.get_fully_qualified_name()
        return diagnostic_array(name, self.guard.current.model, parts, stamp)

    def apply(self, parameters: AdaptNodeParameters) -> None:
        """Take new values of the live parameters."""
        if self.worker is not None:
            self.worker.apply(parameters)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the adapt node until SIGINT or SIGTERM; the process's exit code."""
    tune_malloc()
    return spin_until_signal(AdaptNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
