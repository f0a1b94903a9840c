# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metrics node: published depth against ground truth on a topic, while both are played."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from monother_ros.core.files import atomic_write
from monother_ros.core.pairing import (
    DUPLICATE,
    LATE,
    OVERFLOW,
    RESET,
    UNMATCHED,
    Pair,
    PairMatcher,
)
from monother_ros.evaluation.running import RunningMetrics
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.diagnosed import DiagnosedNode
from monother_ros.nodes.inputs import WatchedSubscription, never_raise
from monother_ros.nodes.metrics_inputs import KEPT, ConfidenceJoiner, Frame
from monother_ros.nodes.metrics_worker import MetricsWorker
from monother_ros.nodes.runner import spin_until_signal
from monother_ros.nodes.static_poses import StaticPoses
from monother_ros.ros.diagnostics import (
    ERROR,
    OK,
    WARN,
    Health,
    assess_input,
    diagnostic_array,
)
from monother_ros.ros.messages import stamp_ns
from monother_ros.ros.metrics_parameters import MetricsNodeParameters
from monother_ros.ros.qos import sensor_profile

PUBLISHED = {
    'abs_rel': 'mean |truth - depth| / truth',
    'rmse': 'root mean square error in metres',
    'd1': 'part of the pixels with max(depth/truth, truth/depth) below 1.25',
    'silog': 'scale-invariant logarithmic error, times 100',
    'scale': 'median of truth / depth, the factor that depth lacks; 1 is right',
    'told': 'part of the pixels with ground truth where depth is known',
    'flicker': 'mean change of ln depth from frame to frame that the ground truth does not have',
    'ause': 'area between the sparsification curves of confidence and true error; 0 is best',
}
"""Value → what it is; published as std_msgs/Float32 on metrics/<value>, means over `window`."""

TRUTH_TOPICS = {
    'depth': ('ground_truth/depth', Image),
    'points': ('ground_truth/points', PointCloud2),
}
"""Kind of ground truth → relative topic and message type."""

NAMES = {
    'matched': 'pairs',
    'time_jump': 'jumps of time',
    **{
        f'{stream}_{reason}': f'{what} {words}'
        for stream, what in (('a', 'depth'), ('b', 'ground truth'))
        for reason, words in (
            (OVERFLOW, 'dropped: no partner came'),
            (UNMATCHED, 'without a partner near in time'),
            (LATE, 'dropped: came too late'),
            (DUPLICATE, 'dropped: same stamp twice'),
            (RESET, 'dropped: time jumped'),
        )
    },
}
"""Counter of the matcher → text for people."""

FLUSH = 0.5
"""Seconds between two looks whether a depth image waits in vain for its confidence."""


class MetricsNode(DiagnosedNode[MetricsNodeParameters]):
    """
    Lifecycle node that scores depth against ground truth.

    Callbacks only pair; one worker thread decodes and scores.

    :param name: node name.
    :param options: options of rclpy.node.Node (context, parameter_overrides …).
    :raises rclpy.exceptions.ParameterException: a parameter given at start is of the wrong type
        or out of range.
    """

    def __init__(self, name: str = 'metrics_node', **options: Any) -> None:
        super().__init__(name, MetricsNodeParameters, **options)

    def empty(self) -> None:
        """Hold nothing, as before the node is configured."""
        self.metrics: RunningMetrics | None = None
        self.worker: MetricsWorker | None = None
        self.calibration: Calibration | None = None
        self.matcher: PairMatcher[Frame, Any] | None = None
        self._joiner: ConfidenceJoiner | None = None
        self._poses = StaticPoses(self)
        self._publishers_of: dict[str, Any] = {}
        self._services: list[Any] = []
        self._inputs: dict[str, WatchedSubscription] = {}
        self._condition_input: Any = None
        self._flusher: Any = None
        self._condition = ''
        self._counts: dict[str, int] = {}

    # transitions

    def configure(self) -> None:
        """
        Make publishers and services.

        :raises SettingsError: the parameters are not allowed together.
        """
        parameters = self.start_parameters()
        self.metrics = RunningMetrics(
            parameters.range_min,
            parameters.range_max,
            parameters.window,
            parameters.pixels,
        )
        self._counts = {}
        self.calibration = Calibration(self.resolve_topic_name('depth/camera_info'))
        self._publishers_of = {
            value: self.create_lifecycle_publisher(
                Float32, f'metrics/{value}', sensor_profile('reliable')
            )
            for value in PUBLISHED
        }
        self._services = [
            self.create_service(Trigger, '~/write_report', self._on_write),
            self.create_service(Trigger, '~/reset', self._on_reset),
        ]

    def activate(self) -> None:
        """Start the worker and subscribe."""
        assert self.metrics is not None and self.calibration is not None
        parameters = self.guard.current
        self.worker = MetricsWorker(self.metrics, self.calibration, self._pose, self._publish)
        self.matcher = PairMatcher(round(parameters.slop * 1e9), KEPT, self._paired)
        self._joiner = ConfidenceJoiner(self._on_frame, self._confidence_expected)
        if parameters.truth == 'points' and parameters.lidar_pose() is None:
            self._poses.follow()
        reliable = parameters.depth_reliability
        inputs: dict[str, tuple[str, Any, str, Callable[[Any], None]]] = {
            'depth': ('depth/image_raw', Image, reliable, self._on_depth),
            'depth_info': ('depth/camera_info', CameraInfo, reliable, self.calibration.update),
            'confidence': ('confidence', Image, reliable, self._on_confidence),
            # last: a player that waits for it then knows that the others are there
            'truth': (
                *TRUTH_TOPICS[parameters.truth],
                parameters.truth_reliability,
                self._on_truth,
            ),
        }
        self._inputs = {
            part: WatchedSubscription(self, kind, topic, reliability, callback, KEPT)
            for part, (topic, kind, reliability, callback) in inputs.items()
        }
        self._condition_input = self.create_subscription(
            String,
            'ground_truth/conditions',
            never_raise(self, self._on_condition),
            sensor_profile('reliable', 10),
        )
        self._flusher = self.create_timer(FLUSH, never_raise(self, self._flush), clock=self.steady)

    def deactivate(self) -> None:
        """Unsubscribe, then let the worker score what waits."""
        if self._joiner is not None:
            self._joiner.flush()
        for subscription in self._inputs.values():
            subscription.destroy()
        self._inputs = {}
        if self._condition_input is not None:
            self.destroy_subscription(self._condition_input)
        if self._flusher is not None:
            self.destroy_timer(self._flusher)
        self._condition_input = self._flusher = self._joiner = None
        self._poses.leave()
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.stop()
        self._counts, self.matcher = self._all_counts(worker), None

    def cleanup(self) -> None:
        """Write the report and free everything."""
        if self.metrics is not None and self.guard.current.report:
            self._write(self.guard.current.report)
        for service in self._services:
            self.destroy_service(service)
        for publisher in self._publishers_of.values():
            self.destroy_lifecycle_publisher(publisher)
        self._services, self._publishers_of = [], {}
        self.metrics = self.calibration = None

    # what comes in, all in the executor's thread

    def _on_depth(self, msg: Any) -> None:
        if self._joiner is not None:
            self._joiner.depth(Frame(stamp_ns(msg), msg, None, self._condition))

    def _on_confidence(self, msg: Any) -> None:
        if self._joiner is not None:
            self._joiner.confidence(stamp_ns(msg), msg)

    def _confidence_expected(self) -> bool:
        return self._inputs['confidence'].publishers().matched > 0

    def _on_frame(self, frame: Frame) -> None:
        if self.matcher is not None:
            self.matcher.add_a(frame.stamp, frame)

    def _on_truth(self, msg: Any) -> None:
        if self.matcher is not None:
            self.matcher.add_b(stamp_ns(msg), msg)

    def _on_condition(self, msg: Any) -> None:
        self._condition = ', '.join(word.strip() for word in str(msg.data).split('/'))[:60]

    def _paired(self, pair: Pair[Frame, Any]) -> None:
        if self.worker is not None:
            self.worker.put(pair.a, pair.b)

    def _flush(self) -> None:
        depth = self._inputs.get('depth')
        if self._joiner is not None and depth is not None and depth.silence() > FLUSH:
            self._joiner.flush()

    def _pose(self, target: str, source: str) -> NDArray[np.float64] | None:
        """Pose of a LiDAR in the frame of depth; called from the worker's thread."""
        given = self.guard.current.lidar_pose()
        return self._poses.transforms.lookup(target, source) if given is None else given

    # what goes out

    def _publish(self, running: dict[str, float]) -> None:
        """Publish running values; called from the worker's thread."""
        for value, publisher in self._publishers_of.items():
            if value in running:
                publisher.publish(Float32(data=running[value]))

    def report(self) -> dict[str, Any]:
        """
        Everything that is known so far, as plain numbers for JSON.

        :returns: that of RunningMetrics.report, with 'topics', 'settings' and 'counts' (pairs,
            drops by reason); empty before the node is configured.
        """
        if self.metrics is None:
            return {}
        parameters = self.guard.current
        worker = self.worker
        if worker is None:
            known = self.metrics.report()
        else:
            with worker.lock:
                known = self.metrics.report()
        return {
            'node': self.get_fully_qualified_name(),
            'topics': {
                'depth': self.resolve_topic_name('depth/image_raw'),
                'confidence': self.resolve_topic_name('confidence'),
                'truth': self.resolve_topic_name(TRUTH_TOPICS[parameters.truth][0]),
            },
            'settings': {
                'truth': parameters.truth,
                'slop_s': parameters.slop,
                'range_min_m': parameters.range_min,
                'range_max_m': parameters.range_max,
                'pixels': parameters.pixels,
            },
            **known,
            'counts': self._all_counts(worker),
        }

    def _all_counts(self, worker: MetricsWorker | None) -> dict[str, int]:
        """Pairs and drops since the node was configured, other than what was scored."""
        counts = dict(self._counts)
        for source in (self.matcher, worker):
            if source is not None:
                for name, count in source.counters.snapshot().items():
                    text = NAMES.get(name, name)
                    counts[text] = counts.get(text, 0) + count
        return counts

    def _write(self, path: str) -> Path:
        """
        Write the report.

        :raises OSError: the file cannot be written.
        """
        target = Path(path).expanduser()
        atomic_write(target, json.dumps(self.report(), indent=2) + '\n')
        self.get_logger().info(f'report of {self.frames} frames written to {target}')
        return target

    @property
    def frames(self) -> int:
        """Frames that were scored."""
        return 0 if self.metrics is None else self.metrics.frames

    def _on_write(self, _request: Any, response: Any) -> Any:
        """Answer ~/write_report."""
        path = self.guard.current.report
        if not path:
            response.success = False
            response.message = "no file is given; set the parameter 'report' to its path"
            return response
        try:
            response.message = str(self._write(path))
            response.success = True
        except OSError as err:
            response.success = False
            response.message = f'{path} cannot be written: {err}'
        return response

    def _on_reset(self, _request: Any, response: Any) -> Any:
        """Answer ~/reset: all figures begin anew."""
        worker = self.worker
        if self.metrics is None:
            response.message = 'the node is not configured: there is nothing to forget'
        elif worker is None:
            self.metrics.reset()
        else:
            with worker.lock:
                self.metrics.reset()
        response.success = True
        return response

    def time_jumped(self) -> None:
        """Forget what waits for its partner."""
        if self._joiner is not None:
            self._joiner.reset()
        if self.matcher is not None:
            self.matcher.reset()

    def apply(self, parameters: MetricsNodeParameters) -> None:
        """Take new values of the live parameters."""
        if self.metrics is not None and self.worker is not None:
            with self.worker.lock:
                self._take(self.metrics, parameters)
        elif self.metrics is not None:
            self._take(self.metrics, parameters)

    @staticmethod
    def _take(metrics: RunningMetrics, parameters: MetricsNodeParameters) -> None:
        metrics.window = parameters.window
        metrics.pixels = parameters.pixels

    def diagnosis(self) -> DiagnosticArray:
        """Health of the node and its inputs, now."""
        parameters = self.guard.current
        parts = {'metrics': self._health()}
        for part, words in (('truth', 'truth_reliability'), ('depth', 'depth_reliability')):
            if part in self._inputs:
                parts[part] = self._input_health(self._inputs[part], words)
        stamp = self.get_clock().now().to_msg()
        return diagnostic_array(self.get_fully_qualified_name(), parameters.truth, parts, stamp)

    def _input_health(self, subscription: WatchedSubscription, parameter: str) -> Health:
        facts = subscription.facts(parameter)
        health = assess_input(facts, self.guard.current.silence_timeout)
        # the end of a bag is no error
        level = min(health.level, WARN) if subscription.received else health.level
        message = health.message.replace('no image on', 'nothing on')
        return Health(level, message.replace(': the camera has stopped', ''), health.values)

    def _health(self) -> Health:
        """Judge what was scored."""
        values = {'state': self.stage, 'frames scored': str(self.frames)}
        if self.problem is not None:
            return Health(ERROR, self.problem, values)
        if self.stage != 'active' or self.metrics is None or self.worker is None:
            return Health(
                WARN, f'{self.stage}: nothing is scored until the node is active', values
            )
        with self.worker.lock:
            running, overall = self.metrics.running(), self.metrics.report()['overall']
        for name in PUBLISHED:
            if name in overall:
                values[name] = f'{overall[name]:.4f}'
            if name in running:
                values[f'{name}, last {self.metrics.window} frames'] = f'{running[name]:.4f}'
        values['scoring [ms]'] = f'{1000 * self.worker.seconds:.1f}'
        values |= {name: str(n) for name, n in self._all_counts(self.worker).items()}
        if self.worker.problem is not None:
            return Health(ERROR, f'the last frame was not scored: {self.worker.problem}', values)
        if not self.frames:
            return Health(OK, 'waiting for the first pair of depth and ground truth', values)
        return Health(OK, f'AbsRel {overall["abs_rel"]:.3f} over {self.frames} frames', values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the metrics node until SIGINT or SIGTERM; the process's exit code."""
    return spin_until_signal(MetricsNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
