# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""monother teacher: show what a depth teacher says about a picture."""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from monother_ros.core.camera import Intrinsics
from monother_ros.core.camera_file import read_camera_info
from monother_ros.core.colorize import colorize
from monother_ros.core.errors import TeacherError
from monother_ros.core.files import atomic_write
from monother_ros.learning.teacher import TeacherOptions, load_teacher

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monother_ros.learning.teacher import TeacherDepth

_ENDINGS = ('.png', '.jpg', '.npy')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    parser.add_argument('picture', type=Path, metavar='PICTURE', help='colour picture')
    parser.add_argument(
        '--teacher', required=True, metavar='SPEC',
        help='transformers:FOLDER, transformers:OWNER/MODEL, onnx:FILE, bundle:FOLDER or '
        'monother:CHECKPOINT',
    )  # fmt: skip
    parser.add_argument(
        '-o', '--out', type=Path, action='append', required=True, metavar='FILE',
        help='.png or .jpg for colours, .npy for float32 depth; may be given several times',
    )  # fmt: skip
    parser.add_argument(
        '--intrinsics', type=Path, metavar='YAML', help='camera_info file of the camera'
    )
    parser.add_argument(
        '--focal-length', type=float, metavar='PX',
        help='horizontal focal length of the camera, if there is no camera_info file',
    )  # fmt: skip
    parser.add_argument('--device', default='auto', help='cpu, cuda, or auto')
    parser.add_argument('--precision', default='fp32', help='fp32, fp16 or bf16')
    parser.add_argument(
        '--size', type=_size, metavar='HxW', help='at which pictures go through the network'
    )
    parser.add_argument('--domain', help='head of a ZoeDepth with several: nyu, kitti')
    parser.add_argument(
        '--flip', action=argparse.BooleanOptionalAction, help='average with the mirrored picture'
    )
    parser.add_argument(
        '--trained-focal-length', type=float, metavar='PX',
        help='focal length at network width of the camera that a metric model was trained with',
    )  # fmt: skip
    parser.add_argument(
        '--description', type=Path, metavar='FILE', help='what an ONNX file means, JSON or YAML'
    )
    parser.add_argument('--offline', action='store_true', help='take nothing from the hub')
    parser.add_argument('--near', type=float, help='depth of the reddest colour')
    parser.add_argument('--far', type=float, help='depth of the bluest colour')


def run(arguments: argparse.Namespace) -> int:
    """
    Load the teacher, ask it, write what it says.

    :param arguments: parsed options.
    :returns: 0.
    :raises TeacherError: the picture, the teacher or an output cannot be used.
    """
    for path in arguments.out:
        if path.suffix not in _ENDINGS:
            msg = f'{path} ends with none of {", ".join(_ENDINGS)}'
            raise TeacherError(msg)
    bgr = cv2.imread(str(arguments.picture), cv2.IMREAD_COLOR)
    if bgr is None:
        msg = f'{arguments.picture} is no picture that OpenCV can read'
        raise TeacherError(msg)
    rgb = np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)
    intrinsics = _camera(arguments, rgb.shape[1], rgb.shape[0])
    teacher = load_teacher(
        arguments.teacher,
        TeacherOptions(
            device=arguments.device,
            precision=arguments.precision,
            size=arguments.size,
            flip=arguments.flip,
            known_focal=False,
            domain=arguments.domain,
            focal_length=arguments.trained_focal_length,
            description=arguments.description,
            download=not arguments.offline,
        ),
    )
    start = time.perf_counter()
    result = teacher.depth(rgb, intrinsics)
    seconds = time.perf_counter() - start
    for path in arguments.out:
        atomic_write(path, _content(result, path.suffix, arguments.near, arguments.far))
    print(f'{getattr(teacher, "description", teacher.name)}, {seconds:.2f} s: {_summary(result)}')
    return 0


def _camera(arguments: argparse.Namespace, width: int, height: int) -> Intrinsics | None:
    """Intrinsics that were given, by file or by focal length."""
    if arguments.intrinsics is not None:
        return read_camera_info(arguments.intrinsics)
    focal = arguments.focal_length
    if focal is None:
        return None
    return Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def _content(result: TeacherDepth, ending: str, near: float | None, far: float | None) -> bytes:
    """Bytes of one output file."""
    if ending == '.npy':
        buffer = io.BytesIO()
        np.save(buffer, result.depth)
        return buffer.getvalue()
    known: NDArray[np.float32] = result.depth[result.known]
    low, high = np.percentile(known, [2, 98]) if known.size else (1.0, 2.0)
    low, high = near or float(low), far or float(high)
    picture = colorize(
        np.where(result.known, result.depth, np.nan).astype(np.float32),
        low,
        max(high, low * 1.001),
    )
    written, data = cv2.imencode(ending, picture)
    if not written:
        msg = f'OpenCV cannot write {ending}'
        raise TeacherError(msg)
    return data.tobytes()


def _summary(result: TeacherDepth) -> str:
    """What came out, for people."""
    known = result.depth[result.known]
    if not known.size:
        return 'no depth anywhere; is the sign of the output described rightly?'
    low, middle, high = np.percentile(known, [5, 50, 95])
    unit = ' m' if result.kind == 'metric' else ''
    parts = [f'depth {low:.3g} to {high:.3g}{unit} (median {middle:.3g})']
    if known.size < result.depth.size:
        parts.append(f'{100 * (1 - known.size / result.depth.size):.1f} % unknown')
    if result.kind != 'metric':
        missing = 'a factor' if result.kind == 'scale' else 'scale and shift of 1/depth'
        parts.append(f'{missing} unknown')
    if result.confidence is not None:
        parts.append(f'mean confidence {result.confidence.mean():.2f}')
    if result.focal_length is not None:
        parts.append(f'focal length {result.focal_length:.1f} px')
    return ', '.join(parts)


def _size(text: str) -> tuple[int, int]:
    """HxW from the command line."""
    try:
        height, width = (int(part) for part in text.lower().split('x'))
    except ValueError as err:
        msg = f'{text!r} is not HxW, such as 252x644'
        raise argparse.ArgumentTypeError(msg) from err
    return height, width
