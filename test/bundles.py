# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small model bundles with a real ONNX network, for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from monother_ros.core.bundle import Bundle, Normalisation, TensorSpec, write_bundle

NEAR, SPAN = 2.0, 30.0
"""The network says depth = NEAR + SPAN * (1 - local mean of the input)."""


def make_onnx(
    height: int = 256, width: int = 320, channels: int = 1, confidence: bool = True
) -> bytes:
    """
    ONNX file whose depth falls with the warmth of a pixel's surroundings.

    depth = 2 + 30 (1 - mean 5x5), in [2, 32] m for an input in [0, 1];
    confidence = clip(1 - 4 |x - mean|, 0, 1).
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.full((1, channels, 5, 5), 1 / (25 * channels), np.float32)
    point = np.full((1, channels, 1, 1), 1 / channels, np.float32)

    def constant(name, value):
        return numpy_helper.from_array(np.asarray(value, np.float32), name)

    nodes = [
        helper.make_node('Conv', ['thermal', 'kernel'], ['mean'], pads=[2, 2, 2, 2]),
        helper.make_node('Mul', ['mean', 'minus_span'], ['scaled']),
        helper.make_node('Add', ['scaled', 'farthest'], ['depth']),
    ]
    outputs = ['depth']
    constants = [
        constant('kernel', kernel),
        constant('minus_span', -SPAN),
        constant('farthest', NEAR + SPAN),
    ]
    if confidence:
        nodes += [
            helper.make_node('Conv', ['thermal', 'point'], ['grey']),
            helper.make_node('Sub', ['grey', 'mean'], ['detail']),
            helper.make_node('Abs', ['detail'], ['strength']),
            helper.make_node('Mul', ['strength', 'minus_four'], ['weight']),
            helper.make_node('Add', ['weight', 'one'], ['raw_confidence']),
            helper.make_node('Clip', ['raw_confidence', 'zero', 'one'], ['confidence']),
        ]
        outputs.append('confidence')
        constants += [
            constant('point', point),
            constant('minus_four', -4.0),
            constant('zero', 0.0),
            constant('one', 1.0),
        ]
    shape = [1, channels, height, width]
    graph = helper.make_graph(
        nodes,
        'tiny',
        [helper.make_tensor_value_info('thermal', TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, height, width])
            for name in outputs
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def make_bundle(
    path: str | Path,
    height: int = 256,
    width: int = 320,
    *,
    name: str = 'tiny',
    revision: str = '1',
    method: str = 'percentile',
    low: float = 2.0,
    high: float = 98.0,
    channels: int = 1,
    confidence: bool = True,
    depth_range: tuple[float, float] = (0.5, 80.0),
    focal_length: float | None = None,
    **fields,
) -> Bundle:
    """Write a bundle with the network of :func:`make_onnx`; further fields as write_bundle."""
    outputs = {'depth': 'depth'} | ({'confidence': 'confidence'} if confidence else {})
    return write_bundle(
        path,
        model=make_onnx(height, width, channels, confidence),
        name=name,
        revision=revision,
        inputs=[TensorSpec('thermal', (1, channels, height, width))],
        outputs=outputs,
        normalisation=Normalisation(method, low, high, channels=channels),
        depth_range=depth_range,
        focal_length=focal_length,
        training={'method': 'made by hand for tests'},
        metrics={},
        **fields,
    )
