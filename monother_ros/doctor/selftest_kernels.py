# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what surrounds the network pays on the GPU of this machine, and is right there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from monother_ros.core.camera import Intrinsics
from monother_ros.core.cloud import CloudBuilder
from monother_ros.core.errors import EngineError
from monother_ros.core.resize import AlignedResizer
from monother_ros.core.thermal import Normaliser
from monother_ros.doctor.findings import FAIL, INFO, OK, Finding
from monother_ros.engines.cuda import open_cuda
from monother_ros.engines.cuda_kernels import FrameKernels, compare
from monother_ros.engines.probe_frames import scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.core.bundle import Bundle
    from monother_ros.engines.cuda import Cuda

LABEL = 'kernels of a frame'

SIZE = (640, 512)
"""Width and height of the thermal image."""

LIMITS = (0.5, 80.0, 0.0)
"""Nearest and farthest depth in metres, least confidence."""

TOLERANCE = 1e-3
"""Largest difference: of the network input over its deviation; relative, of the points."""


def try_kernels(bundle: Bundle, size: tuple[int, int] = SIZE) -> Finding:
    """
    Run scaling and deprojection on the GPU and on the CPU, in turns.

    :param bundle: whose input is made.
    :param size: width and height of the thermal image in pixels.
    """
    try:
        cuda = open_cuda()
        with cuda.active('try the kernels of a frame'):
            figures = _figures(cuda, bundle, size)
    except EngineError as err:
        return Finding(LABEL, INFO, f'not tried: {err}')
    wrong = [key for key in ('normalise', 'deproject') if not figures[key]['off'] < TOLERANCE]
    told = '; '.join(
        f'{key} {values["gpu_ms"]:.2f} ms, on the CPU {values["cpu_ms"]:.2f} ms, '
        f'off by {values["off"]:.1e}'
        for key, values in figures.items()
    )
    if wrong:
        advice = 'the node does not use them; attach this page to an issue'
        return Finding(LABEL, FAIL, told, advice, figures)
    return Finding(LABEL, OK, told, '', figures)


def _figures(cuda: Cuda, bundle: Bundle, size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Times and differences of both steps."""
    (width, height), (columns, rows) = size, bundle.input_size
    camera = Intrinsics(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2)
    rays = camera.rays()
    raw = (20_000 + 1_500 * scene(height, width, np.random.default_rng(0))).astype(np.uint16)
    # depth that changes slowly, as both ways round pixels at the limits differently
    depth = np.linspace(2.0, 40.0, rows, dtype=np.float32)[:, None].repeat(columns, 1)
    sure = np.linspace(0.1, 0.9, columns, dtype=np.float32)[None].repeat(rows, 0)
    how = bundle.normalisation
    normaliser, builder = Normaliser(how, bundle.input_size), CloudBuilder(camera)
    wanted = normaliser(raw, 0).copy()
    grow_depth, grow_sure = (_grower(how.resize == 'aligned', size) for _ in range(2))
    memory = np.empty((height, width, 5), np.float32)

    def points() -> NDArray[np.float32]:
        return builder.build(grow_depth(depth), grow_sure(sure), raw, out=memory)

    kernels = FrameKernels(cuda, size, bundle.input_size, (rays[..., 0], rays[..., 1]), how)
    try:
        bounds = normaliser.bounds
        found = kernels.normalise(raw, *bounds).copy()
        cloud = kernels.deproject(depth, sure, LIMITS).copy()
        planes = points()
        result = {
            'normalise': compare(
                lambda: kernels.normalise(raw, *bounds), lambda: normaliser(raw, 0)
            ),
            'deproject': compare(lambda: kernels.deproject(depth, sure, LIMITS), points),
        }
        result['normalise']['off'] = float(np.abs(found - wanted).mean() * how.std)
        off = np.abs(cloud[..., :3] - planes[..., :3]) / planes[..., 2:3]
        result['deproject']['off'] = float(off.mean())
        return result
    finally:
        kernels.free()


def _grower(aligned: bool, size: tuple[int, int]) -> Any:
    """Function that brings a plane of the network to the size of the image, in its own memory."""
    out = np.empty(size[::-1], np.float32)
    if aligned:
        resizer = AlignedResizer()
        return lambda plane: resizer(plane, out)
    return lambda plane: cv2.resize(plane, size, dst=out, interpolation=cv2.INTER_LINEAR)
