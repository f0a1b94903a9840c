# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The language node: scale from a sentence, and from an estimated field of view.

A process of its own, with torch; the depth node takes what it publishes or does without.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Vector3Stamped
from std_msgs.msg import String

from monother_ros.core.errors import SettingsError
from monother_ros.core.scale_sources import ScaleEstimate
from monother_ros.learning.teachers.base import torch_device
from monother_ros.networks.language_file import load_language
from monother_ros.networks.text_tower import load_text_tower
from monother_ros.nodes.adapt_limits import tune_malloc
from monother_ros.nodes.diagnosed import DiagnosedNode
from monother_ros.nodes.focal_input import FocalInput
from monother_ros.nodes.inputs import never_raise
from monother_ros.nodes.runner import spin_until_signal
from monother_ros.nodes.sentence_worker import Sentence, SentenceWorker
from monother_ros.ros.diagnostics import ERROR, OK, WARN, Health, diagnostic_array
from monother_ros.ros.language_parameters import LanguageNodeParameters
from monother_ros.ros.qos import latched_profile, sensor_profile
from monother_ros.ros.scale import INPUTS, scale_message

NOTHING = (
    "nothing to do: set the parameter 'head' for scale from sentences, or 'focal_teacher' for an "
    'estimated field of view'
)


class LanguageNode(DiagnosedNode[LanguageNodeParameters]):
    """
    Lifecycle node that says what a sentence and the RGB camera's field of view tell of the scale.

    :param name: node name.
    :param options: options of rclpy.node.Node (context, parameter_overrides …).
    :raises rclpy.exceptions.ParameterException: a parameter given at start is of the wrong type
        or out of range.
    """

    def __init__(self, name: str = 'language_node', **options: Any) -> None:
        super().__init__(name, LanguageNodeParameters, **options)

    def empty(self) -> None:
        """Hold nothing, as before the node is configured."""
        self.sentences: SentenceWorker | None = None
        self.focal: FocalInput | None = None
        self._heard: Any = None
        self._said: dict[str, Any] = {}

    # transitions

    def configure(self) -> None:
        """
        Load the models and make the publishers.

        :raises MonotherError: parameters or models cannot be used.
        """
        parameters = self.start_parameters()
        if not parameters.head and not parameters.focal_teacher:
            raise SettingsError(NOTHING)
        if parameters.threads:
            torch.set_num_threads(parameters.threads)
        self._said = {
            source: self.create_lifecycle_publisher(Vector3Stamped, topic, latched_profile())
            for source, topic in INPUTS.items()
        }
        if parameters.head:
            model = load_language(parameters.head)
            source = parameters.text_encoder or model.text_encoder
            if not source:
                msg = (
                    f'{parameters.head} does not say which text encoder it belongs to; set the '
                    "parameter 'text_encoder' (RSA's published heads: the text tower of CLIP RN50)"
                )
                raise SettingsError(msg)
            device = str(torch_device(parameters.device))
            tower = load_text_tower(source, device, download=parameters.download)
            self.sentences = SentenceWorker(model, tower, self._say)
            self.get_logger().info(
                f'scale from sentences: {parameters.head}, text encoder {tower.name}, sigma '
                f'{model.sigma:.2f}, trained for {model.depth_model or "a model not named"}'
            )
        if parameters.focal_teacher:
            self.focal = FocalInput(self, parameters, self._say)

    def activate(self) -> None:
        """Listen."""
        if self.sentences is not None:
            self._heard = self.create_subscription(
                String,
                '~/scene_description',
                never_raise(self, self._on_sentence),
                sensor_profile('reliable', 1),
            )
        if self.focal is not None:
            self.focal.follow()

    def deactivate(self) -> None:
        """Stop listening."""
        if self._heard is not None:
            self.destroy_subscription(self._heard)
            self._heard = None
        if self.focal is not None:
            self.focal.leave()

    def cleanup(self) -> None:
        """Free everything."""
        sentences, self.sentences = self.sentences, None
        if sentences is not None:
            sentences.stop()
        focal, self.focal = self.focal, None
        if focal is not None:
            focal.destroy()
        for publisher in self._said.values():
            self.destroy_lifecycle_publisher(publisher)
        self._said = {}

    # what comes in and goes out

    def _on_sentence(self, msg: Any) -> None:
        if self.sentences is not None:
            now = self.get_clock().now().nanoseconds
            self.sentences.put(Sentence(str(msg.data), now))

    def _say(self, estimate: ScaleEstimate) -> None:
        """Publish an estimate; called from the workers' threads."""
        publisher = self._said.get(estimate.source)
        if publisher is not None:
            publisher.publish(scale_message(estimate))
        if not estimate.speaks:
            self.get_logger().warning(f'{estimate.source}: {estimate.reason}')

    def time_jumped(self) -> None:
        """Forget images that wait."""
        if self.focal is not None:
            self.focal.reset()

    def diagnosis(self) -> DiagnosticArray:
        """Health of the node and its parts, now."""
        values = {'state': self.stage}
        if self.problem is not None:
            parts = {'node': Health(ERROR, self.problem, values)}
        elif self.stage != 'active':
            parts = {'node': Health(WARN, f'{self.stage}: not active', values)}
        else:
            parts = {'node': Health(OK, 'running', values)}
        if self.sentences is not None:
            parts['language'] = self.sentences.health()
        if self.focal is not None:
            self.focal.tend()
            parts['focal'] = self.focal.health()
        stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name()
        return diagnostic_array(name, self.guard.current.head, parts, stamp)

    def apply(self, parameters: LanguageNodeParameters) -> None:
        """Take new values of the live parameters."""
        if self.focal is not None:
            self.focal.apply(parameters)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the language node until SIGINT or SIGTERM; the process's exit code."""
    tune_malloc()
    return spin_until_signal(LanguageNode, arguments)


if __name__ == '__main__':
    sys.exit(main())
