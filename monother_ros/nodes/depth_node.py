# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The depth node: thermal images in; depth, confidence, cloud and diagnostics out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.errors import BundleError
from monother_ros.core.pipeline import Pipeline, PipelineSettings
from monother_ros.engines.base import Engine, EngineOptions, PlanOptions
from monother_ros.engines.select import load_engine
from monother_ros.nodes.calibration import Calibration
from monother_ros.nodes.diagnosed import DiagnosedNode
from monother_ros.nodes.inputs import WatchedSubscription, never_raise, subscribe_image
from monother_ros.nodes.outputs import Outputs
from monother_ros.nodes.range_input import RangeInput
from monother_ros.nodes.report import node_health
from monother_ros.nodes.rgb import RgbInput
from monother_ros.nodes.runner import spin_until_signal
from monother_ros.nodes.scale_topics import ScaleTopics
from monother_ros.nodes.statistics import FrameStatistics
from monother_ros.nodes.swap import RevisionSwap, revision_folder
from monother_ros.nodes.worker import Arrival, FrameWorker
from monother_ros.ros.diagnostics import diagnostic_array
from monother_ros.ros.messages import stamp_ns
from monother_ros.ros.parameters import DepthNodeParameters
from monother_ros.ros.qos import latched_profile, overridable
from monother_ros.ros.transport import describe_transport

HOUSEKEEPING = 0.25
"""Seconds between two looks at who subscribes, for the inputs that are only needed then."""

WARM_UP = 2
"""Inferences on zeros before the first image: the first ones allocate and are slow."""


class DepthNode(DiagnosedNode[DepthNodeParameters]):
    """
    Lifecycle node that turns thermal images into metric depth.

    Callbacks only store the newest message; one worker thread decodes, infers and publishes.

    :param name: node name.
    :param options: options of rclpy.node.Node (context, parameter_overrides …).
    :raises rclpy.exceptions.ParameterException: a parameter given at start is of the wrong type
        or out of range.
    """

    def __init__(self, name: str = 'depth_node', **options: Any) -> None:
        super().__init__(name, DepthNodeParameters, **options)

    def empty(self) -> None:
        """Hold nothing, as before the node is configured."""
        self.statistics = FrameStatistics()
        self.swap: RevisionSwap | None = None
        self.revision: Any = None
        self.pipeline: Pipeline | None = None
        self.outputs: Outputs | None = None
        self.calibration: Calibration | None = None
        self.rgb: RgbInput | None = None
        self.range: RangeInput | None = None
        self.scale: ScaleTopics | None = None
        self.worker: FrameWorker | None = None
        self.image: WatchedSubscription | None = None
        self.info: WatchedSubscription | None = None
        self._housekeeper: Any = None

    @property
    def engine(self) -> Engine | None:
        """Engine that runs the next frame; None before the node is configured."""
        return None if self.pipeline is None else cast(Engine, self.pipeline.engine)

    # transitions

    def configure(self) -> None:
        """
        Load the bundle and its engine, and make the publishers.

        :raises MonotherError: parameters, bundle or engine cannot be used.
        """
        parameters = self.start_parameters()
        self.statistics.clear()
        bundle = load_bundle(find_bundle(parameters.model))
        folder = revision_folder(parameters.revisions)
        options = self._engine_options(parameters, learns=folder is not None)

        def build(chosen: Bundle) -> Engine:
            return load_engine(chosen, parameters.engine, options)

        if folder is None:
            engine = build(bundle)
        else:
            self.swap = RevisionSwap(bundle, folder, self.get_logger(), self.statistics.usual)
            engine = self.swap.first_engine(build)
        try:
            self.pipeline = Pipeline(engine, _settings(parameters))
        except BundleError:
            engine.close()
            raise
        self.outputs = Outputs(self, parameters)
        self.calibration = Calibration(self.resolve_topic_name('thermal/camera_info'))
        self.rgb = RgbInput(self, parameters)
        self.range = RangeInput(self, parameters)
        self.scale = ScaleTopics(self)
        if self.swap is not None:
            self.swap.start(self.pipeline)
            on_revision = never_raise(self, self._on_revision)
            self.revision = self.create_subscription(
                String,
                'revision',
                lambda msg, info: on_revision(msg, info),
                latched_profile(),
                qos_overriding_options=overridable(),
            )
        self.get_logger().info(
            f'model {engine.bundle.name} revision {engine.bundle.revision} on {engine.name} '
            f'({engine.reason}); {describe_transport()}'
        )

    def _engine_options(self, parameters: DepthNodeParameters, *, learns: bool) -> EngineOptions:
        """
        How the engine runs.

        :param learns: whether revisions of the model will come.
        :raises EngineError: the device is none.
        """
        cache = parameters.engine_cache
        return EngineOptions(
            threads=parameters.threads,
            device=parameters.device,
            precision=parameters.precision,
            warmup=False,
            fallback=parameters.engine_fallback,
            plan=PlanOptions(Path(cache).expanduser() if cache else None, refit=learns),
            log=self._note,
            cancelled=lambda: not self.context.ok(),
        )

    def _note(self, text: str) -> None:
        self.get_logger().info(text)

    def activate(self) -> None:
        """
        Warm the engine up, start the worker and subscribe.

        :raises EngineError: the engine does not run.
        """
        assert self.engine is not None and self.pipeline is not None
        assert self.outputs is not None and self.calibration is not None and self.rgb is not None
        assert self.range is not None and self.scale is not None
        inputs = {
            spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.engine.bundle.inputs
        }
        for _ in range(WARM_UP):
            self.engine.infer(inputs)
        parameters = self.guard.current
        self.worker = FrameWorker(
            self,
            self.pipeline,
            self.outputs,
            self.calibration,
            self.rgb,
            self.range,
            self.scale,
            self.statistics,
            self.swap,
        )
        self.worker.start()
        self.range.start()
        self.image = subscribe_image(
            self,
            'thermal/image_raw',
            parameters.thermal_transport,
            parameters.thermal_reliability,
            self._on_image,
        )
        self.info = WatchedSubscription(
            self,
            CameraInfo,
            'thermal/camera_info',
            parameters.thermal_reliability,
            self.calibration.update,
        )
        self._housekeeper = self.create_timer(
            HOUSEKEEPING, never_raise(self, self._housekeep), clock=self.steady
        )

    def deactivate(self) -> None:
        """Unsubscribe, then let the worker finish its image."""
        if self._housekeeper is not None:
            self.destroy_timer(self._housekeeper)
        for subscription in (self.image, self.info):
            if subscription is not None:
                subscription.destroy()
        self._housekeeper = self.image = self.info = None
        if self.rgb is not None:
            self.rgb.need(False)
        if self.range is not None:
            self.range.destroy()
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def cleanup(self) -> None:
        """Free the engines and the publishers."""
        if self.revision is not None:
            self.destroy_subscription(self.revision)
            self.revision = None
        if self.swap is not None:
            swap, self.swap = self.swap, None
            swap.stop()
        if self.rgb is not None:
            self.rgb.destroy()
        if self.scale is not None:
            self.scale.destroy()
        if self.outputs is not None:
            self.outputs.destroy()
        engine = self.engine
        self.rgb = self.range = self.scale = None
        self.outputs = self.calibration = self.pipeline = None
        if engine is not None:
            engine.close()

    # callbacks, all in the executor's thread

    def _on_image(self, msg: Any) -> None:
        if self.worker is None:
            return
        now = self.get_clock().now().nanoseconds
        self.statistics.age = (now - stamp_ns(msg)) * 1e-9
        if self.rgb is not None:
            self.rgb.thermal_arrived(msg)
        if self.worker.put(Arrival(msg, time.monotonic())):
            self.statistics.count('replaced by a newer image')

    def time_jumped(self) -> None:
        """Forget what waits and what was smoothed over time."""
        if self.worker is not None:
            self.worker.request_reset()

    def _on_revision(self, msg: Any, info: Any) -> None:
        if self.swap is not None:
            self.swap.announced(msg.data, info['source_timestamp'])

    def _housekeep(self) -> None:
        if self.swap is not None:
            self.swap.look()
        if self.rgb is not None and self.outputs is not None:
            self.rgb.need(self.outputs.wanted().cloud)

    def diagnosis(self) -> DiagnosticArray:
        """Health of the node and its parts, now."""
        stamp = self.get_clock().now().to_msg()
        frame = self.statistics.frame_id
        parts = node_health(self)
        name = self.get_fully_qualified_name()
        return diagnostic_array(name, frame, parts, stamp)

    def apply(self, parameters: DepthNodeParameters) -> None:
        """Take new values of the live parameters."""
        if self.pipeline is not None:
            self.pipeline.settings = _settings(parameters)
        if self.rgb is not None:
            self.rgb.apply(parameters)
        if self.range is not None:
            self.range.apply(parameters)


def _settings(parameters: DepthNodeParameters) -> PipelineSettings:
    """Live settings of the frame path."""
    return PipelineSettings(
        range_min=parameters.range_min,
        range_max=parameters.range_max,
        confidence_min=parameters.confidence_min,
        process_shutter_frames=parameters.process_shutter_frames,
        output_size=parameters.output_size,
        scale=parameters.scale(),
        clutter_filter=parameters.lidar_clutter_filter,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the depth node until SIGINT or SIGTERM; the process's exit code."""
    return spin_until_signal(DepthNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
