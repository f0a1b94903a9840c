# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
INT8 by explicit Q/DQ, in the form that TensorRT takes.

Symmetric, signed, one scale per channel of a weight and one per activation; biases stay in
float32. Weights keep their names and values: quantising them is a step of the graph that engines
fold. The metric head is left alone. Ranges come from the calibrators of ONNX Runtime.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import EngineError
from monother_ros.engines.base import all_inputs
from monother_ros.engines.onnx_graph import bundle_model, need_onnx, simplify
from monother_ros.engines.onnx_precision import metric_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle

METHODS = ('entropy', 'percentile')

QUANTISED = ('Conv', 'MatMul', 'Gemm')
"""Operators that run in INT8 where one of their inputs is a weight."""

_LEVELS = 127
_LEAST = 1e-8


@dataclass(frozen=True)
class QuantizeSettings:
    """
    How ranges are chosen.

    :param method: 'entropy' (least Kullback-Leibler divergence of the histogram) or 'percentile'.
    :param percentile: share of absolute values within the range, in percent, for 'percentile'.
    :param keep: names of nodes that stay in floating point.
    """

    method: str = 'percentile'
    percentile: float = 99.99
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """
        Check the numbers.

        :raises EngineError: the method is not known, or the percentile is none.
        """
        if self.method not in METHODS:
            msg = f'calibration {self.method!r} is not known; use one of {", ".join(METHODS)}'
            raise EngineError(msg)
        if not 90 <= self.percentile <= 100:
            msg = f'percentile {self.percentile} must be within 90 to 100'
            raise EngineError(msg)


@dataclass(frozen=True)
class Quantised:
    """
    A quantised network.

    :param content: ONNX file.
    :param nodes: names of the nodes that run in INT8.
    :param ranges: largest absolute value of each quantised activation, by name.
    """

    content: bytes
    nodes: tuple[str, ...]
    ranges: dict[str, float]


def quantize(
    bundle: Bundle,
    inputs: Sequence[NDArray[Any]],
    settings: QuantizeSettings | None = None,
    say: Callable[[str], None] | None = None,
) -> Quantised:
    """
    Quantise the network of a bundle.

    :param bundle: in floating point.
    :param inputs: what the network is fed with, each of the shape of its first input; a few dozen
        that are as varied as what the robot will see.
    :param settings: see there.
    :param say: takes a line now and then.
    :returns: the network.
    :raises EngineError: there is nothing to calibrate with or to quantise, it is quantised
        already, or a package is missing.
    """
    settings = settings or QuantizeSettings()
    if not inputs:
        msg = 'there are no frames to calibrate with'
        raise EngineError(msg)
    model = simplify(bundle_model(bundle))
    if any(node.op_type == 'QuantizeLinear' for node in model.graph.node):
        msg = f'{bundle.name} {bundle.revision} is quantised already; give the one it was made of'
        raise EngineError(msg)
    job = _Job(model, settings)
    if not job.places:
        msg = f'{bundle.name} has no {", ".join(QUANTISED)} with weights that could be quantised'
        raise EngineError(msg)
    feeds = [all_inputs(bundle, value) for value in inputs]
    ranges = _ranges(model, sorted(job.activations()), feeds, settings, say or (lambda _: None))
    job.insert(ranges)
    content = bytes(model.SerializeToString())
    return Quantised(content, tuple(sorted(job.places)), ranges)


def _ranges(
    model: Any,
    names: list[str],
    feeds: list[dict[str, NDArray[Any]]],
    settings: QuantizeSettings,
    say: Callable[[str], None],
) -> dict[str, float]:
    """Largest absolute value of activations that INT8 shall hold."""
    try:
        from onnxruntime.quantization.calibrate import (
            CalibrationDataReader,
            CalibrationMethod,
            create_calibrator,
        )
    except ImportError as err:
        msg = f'the calibrators of onnxruntime cannot be imported: {err}; pip install onnx sympy'
        raise EngineError(msg) from err

    class One(CalibrationDataReader):  # type: ignore[misc]
        """One frame, so that the activations of one frame alone are in memory."""

        def __init__(self, feed: dict[str, NDArray[Any]]) -> None:
            self._feeds = [feed]

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return self._feeds.pop() if self._feeds else None

    entropy = settings.method == 'entropy'
    method = CalibrationMethod.Entropy if entropy else CalibrationMethod.Percentile
    extra: dict[str, Any] = {'symmetric': True}
    if entropy:
        # as many levels as INT8 has on one side of 0
        extra |= {'num_bins': 2048, 'num_quantized_bins': 128}
    else:
        extra |= {'num_bins': 2048, 'percentile': settings.percentile}
    with tempfile.TemporaryDirectory(prefix='monother-quantize.') as folder:
        plain = Path(folder) / 'plain.onnx'
        plain.write_bytes(model.SerializeToString())
        try:
            # the calibrators print what they do
            with contextlib.redirect_stdout(io.StringIO()):
                calibrator = create_calibrator(
                    str(plain),
                    list(QUANTISED),
                    augmented_model_path=str(Path(folder) / 'augmented.onnx'),
                    calibrate_method=method,
                    extra_options=extra,
                )
            for k, feed in enumerate(feeds):
                with contextlib.redirect_stdout(io.StringIO()):
                    calibrator.collect_data(One(feed))
                say(f'calibration: frame {k + 1} of {len(feeds)}')
            with contextlib.redirect_stdout(io.StringIO()):
                found = dict(calibrator.compute_data().items())
        except Exception as err:  # ONNX Runtime raises many types of its own
            msg = f'calibration failed: {err}'
            raise EngineError(msg) from err
    missing = [name for name in names if name not in found]
    if missing:
        msg = f'calibration gave no range of {missing[0]}'
        raise EngineError(msg)
    return {name: _largest(found[name]) for name in names}


def _largest(data: Any) -> float:
    """Larger absolute end of a range."""
    low, high = data.range_value
    return max(float(np.abs(low).max()), float(np.abs(high).max()), _LEAST)


class _Job:
    """Finds what can run in INT8, and puts Q/DQ pairs before it."""

    def __init__(self, model: Any, settings: QuantizeSettings) -> None:
        self._onnx = need_onnx()
        self._graph = model.graph
        self._weights = {
            item.name: item
            for item in self._graph.initializer
            if item.data_type == self._onnx.TensorProto.FLOAT
        }
        self._writers = {name: node for node in self._graph.node for name in node.output}
        head = metric_head(self._graph) | set(settings.keep)
        self.places: dict[str, tuple[str, str, int]] = {}
        """Activation, weight and axis of the weight's channels, by the name of the node."""
        for node in self._graph.node:
            if node.op_type in QUANTISED and node.name not in head:
                place = self._place(node)
                if place is not None:
                    self.places[node.name] = place

    def activations(self) -> set[str]:
        """Names of the activations that need a range."""
        return {place[0] for place in self.places.values()}

    def insert(self, ranges: dict[str, float]) -> None:
        """Put in the pairs."""
        done: dict[str, str] = {}
        nodes: list[Any] = []
        for node in self._graph.node:
            if node.op_type == 'Transpose' and self._feeds_place(node):
                name = node.input[0]
                axis = next(p[2] for p in self.places.values() if p[1] == name)
                node.input[0] = self._weight(name, axis, done, nodes)
            elif node.name in self.places:
                activation, weight, axis = self.places[node.name]
                scale = np.float32(ranges[activation] / _LEVELS)
                node.input[0] = self._pair(activation, scale, None, done, nodes)
                if node.input[1] == weight:
                    node.input[1] = self._weight(weight, axis, done, nodes)
            nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        del self._graph.value_info[:]

    def _place(self, node: Any) -> tuple[str, str, int] | None:
        """Where the pairs of a node go; None where it multiplies two activations."""
        if node.input[0] in self._weights:
            return None
        name, axis = node.input[1], 0
        if node.op_type == 'MatMul':
            axis = -1
        elif node.op_type == 'Gemm' and not any(
            a.name == 'transB' and a.i for a in node.attribute
        ):
            axis = 1
        writer = self._writers.get(name)
        if writer is not None and writer.op_type == 'Transpose':
            name = writer.input[0]
            order = next((list(a.ints) for a in writer.attribute if a.name == 'perm'), None)
            item = self._weights.get(name)
            if item is not None:
                order = order or list(reversed(range(len(item.dims))))
                axis = order[axis]
        item = self._weights.get(name)
        if item is None or len(item.dims) < 2:
            return None
        return node.input[0], name, axis % len(item.dims)

    def _feeds_place(self, node: Any) -> bool:
        """Whether a transposed weight is one of those that are quantised."""
        return any(place[1] == node.input[0] for place in self.places.values())

    def _weight(self, name: str, axis: int, done: dict[str, str], nodes: list[Any]) -> str:
        """Pair of a weight."""
        value = np.abs(self._onnx.numpy_helper.to_array(self._weights[name]))
        others = tuple(k for k in range(value.ndim) if k != axis)
        scale = np.maximum(value.max(axis=others), _LEAST) / _LEVELS
        return self._pair(name, scale.astype(np.float32), axis, done, nodes)

    def _pair(
        self,
        name: str,
        scale: NDArray[Any] | np.float32,
        axis: int | None,
        done: dict[str, str],
        nodes: list[Any],
    ) -> str:
        """Quantise and dequantise a value; its new name."""
        if name in done:
            return done[name]
        make, array = self._onnx.helper.make_node, self._onnx.numpy_helper.from_array
        zero = np.zeros(np.shape(scale), np.int8)
        self._graph.initializer.extend(
            [array(np.asarray(scale), f'{name}.scale'), array(zero, f'{name}.zero')]
        )
        extra = {} if axis is None else {'axis': axis}
        numbers = [f'{name}.scale', f'{name}.zero']
        small, back = f'{name}.int8', f'{name}.back'
        nodes.append(
            make('QuantizeLinear', [name, *numbers], [small], f'quantise:{name}', **extra)
        )
        nodes.append(
            make('DequantizeLinear', [small, *numbers], [back], f'dequantise:{name}', **extra)
        )
        done[name] = back
        return back
