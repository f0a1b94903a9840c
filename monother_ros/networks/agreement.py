# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an exported branch still says what the network said in torch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from monother_ros.core.errors import BundleError
from monother_ros.networks.deploy import confidence_of
from monother_ros.networks.monother import DepthBranch
from monother_ros.networks.onnx_export import OnnxRun


@dataclass(frozen=True)
class Tolerance:
    """
    How far ONNX Runtime may be from torch in float32.

    :param depth_max: largest difference of depth, metres.
    :param depth_mean: mean difference of depth, metres.
    :param depth_relative: mean difference of depth divided by the depth.
    :param confidence_mean: mean difference of confidence.
    """

    depth_max: float
    depth_mean: float
    depth_relative: float
    confidence_mean: float


TOLERANCES = {
    # rounding makes 7e-5 m in the mean and 4e-3 m at most with random weights; a wrong operation,
    # such as the tanh form of the GELU, makes 4e-3 m in the mean, and others far more
    'fp32': Tolerance(5e-2, 5e-4, 1e-4, 1e-3),
    # the gate for engines in half precision: 1 % of the depth; random weights make 0.15 %. The
    # largest difference has no limit: at an edge of the scene one pixel may change sides
    'fp16': Tolerance(math.inf, 0.8, 1e-2, 2e-2),
}


def reference(
    branch: DepthBranch, example: NDArray[np.float32]
) -> tuple[dict[str, NDArray[np.float32]], float]:
    """
    Outputs of the network as it was trained.

    :param branch: in evaluation mode, float32.
    :param example: (1, 3, h, w) float32, prepared.
    :returns: depth and confidence, (1, 1, h, w), and the seconds of a second run.
    """
    tensor = torch.from_numpy(example)
    branch(tensor)  # the first run allocates
    begin = time.perf_counter()
    output = branch(tensor)
    confidence = confidence_of(output.probabilities, output.centres, output.depth)
    seconds = time.perf_counter() - begin
    return {'depth': output.depth.numpy(), 'confidence': confidence.numpy()}, seconds


def run_onnx(
    path: Path, name: str, example: NDArray[np.float32]
) -> tuple[dict[str, NDArray[np.float32]], float]:
    """
    Outputs of ONNX Runtime with as many threads as torch has.

    :param path: of the ONNX file.
    :param name: of its input.
    :param example: (1, 3, h, w) float32.
    :returns: outputs by name, and the seconds of a second run.
    """
    run = OnnxRun(path, torch.get_num_threads())
    run({name: example})
    begin = time.perf_counter()
    found = run({name: example})
    return found, time.perf_counter() - begin


def differences(
    found: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]
) -> dict[str, float]:
    """
    Differences of depth in metres and relative, and of confidence.

    :param found: depth and confidence, (1, 1, h, w).
    :param expected: the same.
    :returns: figures by name; NaN where an output is not a number.
    """
    depth = np.abs(found['depth'].astype(np.float64) - expected['depth'])
    confidence = np.abs(found['confidence'].astype(np.float64) - expected['confidence'])
    return {
        'depth max [m]': float(depth.max()),
        'depth mean [m]': float(depth.mean()),
        'depth mean relative': float((depth / expected['depth']).mean()),
        'confidence max': float(confidence.max()),
        'confidence mean': float(confidence.mean()),
    }


def verdict(difference: dict[str, float], precision: str, source: str) -> str:
    """
    The comparison in words.

    :param difference: from :func:`differences`.
    :param precision: 'fp32' or 'fp16'.
    :param source: what the picture was.
    """
    limit = TOLERANCES[precision]
    return (
        f'ONNX Runtime ({precision}) against torch (fp32) on {source}:\n'
        f'  depth max {difference["depth max [m]"]:.2g} m (limit {limit.depth_max:g}), mean '
        f'{difference["depth mean [m]"]:.2g} m (limit {limit.depth_mean:g}), mean relative '
        f'{difference["depth mean relative"]:.2g} (limit {limit.depth_relative:g})\n'
        f'  confidence max {difference["confidence max"]:.2g}, mean '
        f'{difference["confidence mean"]:.2g} (limit {limit.confidence_mean:g})'
    )


def require_close(difference: dict[str, float], precision: str) -> None:
    """
    Refuse a network that came out different.

    :param difference: from :func:`differences`.
    :param precision: 'fp32' or 'fp16'.
    :raises BundleError: a difference is above its limit or is not a number.
    """
    limit = TOLERANCES[precision]
    close = (
        difference['depth max [m]'] <= limit.depth_max
        and difference['depth mean [m]'] <= limit.depth_mean
        and difference['depth mean relative'] <= limit.depth_relative
        and difference['confidence mean'] <= limit.confidence_mean
    )
    if not close:  # also where a value is not a number
        advice = (
            'these weights need --precision fp32'
            if precision == 'fp16'
            else 'the export is wrong, or the installed versions of torch and onnx do not fit'
        )
        msg = (
            f'ONNX Runtime differs from torch by more than {precision} may: {difference}; {advice}'
        )
        raise BundleError(msg)
