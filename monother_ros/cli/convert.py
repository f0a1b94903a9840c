# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The verb ``monother convert``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from monother_ros.core.errors import (
    BundleError,
    SettingsError,
    SimulationError,
    ThermalError,
)
from monother_ros.core.files import atomic_write
from monother_ros.networks.convert import ConvertSettings, convert
from monother_ros.networks.deploy import PRECISIONS, check_size
from monother_ros.networks.names import BRANCHES


def _size(text: str) -> tuple[int, int]:
    """Parse HEIGHTxWIDTH."""
    height, _, width = text.partition('x')
    if not (height.isdigit() and width.isdigit()):
        msg = f'{text!r} is not of the form HEIGHTxWIDTH'
        raise argparse.ArgumentTypeError(msg)
    size = int(height), int(width)
    try:
        check_size(size)
    except BundleError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    return size


def _pixels(text: str) -> float:
    """Parse a focal length."""
    try:
        value = float(text)
    except ValueError:
        value = float('nan')
    if not 0 < value < float('inf'):
        msg = f'{text!r} is no focal length in pixels, a number above 0'
        raise argparse.ArgumentTypeError(msg)
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Declare the options.

    :param parser: of this verb.
    """
    add = parser.add_argument
    add('checkpoint', type=Path, metavar='CHECKPOINT', help='file of the authors, or safetensors')
    add('--to', type=Path, required=True, metavar='BUNDLE', help='folder of the new bundle')
    add('--branch', choices=BRANCHES, default='thermal')
    add(
        '--size', type=_size, default=(252, 644), metavar='HxW',
        help='of the network input, multiples of 14: 252x644 as trained on MS2 (default), 476x644 '
        'as on ViViD',
    )  # fmt: skip
    add('--precision', choices=PRECISIONS, default='fp32', help='fp16 is for GPUs')
    add(
        '--frame', type=Path, metavar='PNG',
        help='picture on which ONNX Runtime is compared with torch: raw 16-bit thermal, or 8-bit '
        'colour for the rgb branch; a simulated or made-up one without it',
    )  # fmt: skip
    add(
        '--focal-length', type=_pixels, metavar='PX',
        help="at the network's width, at which the weights learned metric scale; without it depth "
        'is not corrected for the lens',
    )  # fmt: skip
    add('--name', help='of the model; the name of its folder if not given')
    add(
        '--no-weights', action='store_true',
        help='leave out weights.safetensors, without which the bundle cannot be trained further',
    )  # fmt: skip
    add('--threads', type=int, default=0, help='of torch; 0 leaves its default')
    add('--json', type=Path, metavar='FILE', help='write the figures to this file')


def run(arguments: argparse.Namespace) -> int:
    """
    Convert a checkpoint.

    :param arguments: parsed options.
    :returns: 0.
    :raises BundleError: see :func:`monother_ros.networks.convert.convert`.
    :raises ThermalError: the frame is no thermal picture.
    :raises SettingsError: a negative number of threads.
    """
    if arguments.threads < 0:
        msg = f'{arguments.threads} threads are not possible; use 0 for the default'
        raise SettingsError(msg)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = ConvertSettings(
        branch=arguments.branch,
        size=arguments.size,
        precision=arguments.precision,
        focal_length=arguments.focal_length,
        name=arguments.name,
        weights=not arguments.no_weights,
    )
    if arguments.frame is not None:
        picture, source = read_picture(arguments.frame, settings.branch), arguments.frame.name
    else:
        picture, source = made_picture(settings.branch)
        _say(f'no --frame: compared on {source}, not on a real picture')
    try:
        result = convert(arguments.checkpoint, arguments.to, picture, source, settings, _say)
    except OSError as err:
        msg = f'{arguments.to} cannot be written: {err}'
        raise BundleError(msg) from err
    sizes = result.figures['files [bytes]']
    if arguments.json is not None:
        atomic_write(arguments.json, json.dumps(result.figures, indent=2) + '\n')
    listed = ', '.join(f'{name} {size / 1e6:.1f} MB' for name, size in sizes.items())
    _say(
        f'{result.bundle.path}: revision {result.bundle.revision}, {listed}, '
        f'{result.figures["seconds in all"]:.1f} s'
    )
    if settings.branch == 'thermal':
        _say(f'ros2 launch monother_ros depth.launch.py model:={result.bundle.path.absolute()}')
    return 0


def read_picture(path: Path, branch: str) -> NDArray[Any]:
    """
    Picture to compare on, from a file.

    :param path: PNG or another format that OpenCV reads.
    :param branch: 'thermal' or 'rgb'.
    :returns: (H, W) uint8 or uint16 counts, or (H, W, 3) uint8, red first.
    :raises ThermalError: the file is missing, is no picture or not of this kind.
    """
    if not path.is_file():
        msg = f'there is no picture at {path}'
        raise ThermalError(msg)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        msg = f'{path} is no picture that OpenCV can read; give a PNG'
        raise ThermalError(msg)
    if branch == 'thermal':
        if picture.ndim != 2 or picture.dtype not in (np.uint8, np.uint16):
            msg = (
                f'{path} is {picture.shape} {picture.dtype}; a thermal frame has one channel of '
                'raw counts, 16 bit (8 bit after the gain control of a camera works as well)'
            )
            raise ThermalError(msg)
        return np.asarray(picture)
    if picture.ndim != 3 or picture.dtype != np.uint8:
        msg = f'{path} is {picture.shape} {picture.dtype}; the rgb branch takes 8-bit colour'
        raise ThermalError(msg)
    return np.ascontiguousarray(picture[..., 2::-1])


def made_picture(branch: str) -> tuple[NDArray[Any], str]:
    """
    Picture to compare on where none is given.

    :param branch: 'thermal' or 'rgb'.
    :returns: the picture, and what it is in words: a simulated street where the simulator is
        installed, otherwise a smooth made-up scene with noise.
    """
    try:
        from monother_ros.sim.simulator import SimConfig, Simulator

        frame = Simulator(SimConfig(shutter=False, movers=False)).frame(0.0, (branch,))
        picture = frame.thermal if branch == 'thermal' else frame.rgb
        assert picture is not None
        return picture, 'a simulated street'
    except (ImportError, SimulationError):
        return _noise(branch), 'a made-up picture (the simulator is not installed)'


def _noise(branch: str) -> NDArray[Any]:
    """Random picture with detail at every scale."""
    rng, shape = np.random.default_rng(0), (512, 640)
    picture = np.zeros((*shape, 3), np.float32)
    for scale in (2, 8, 32, 128, 512):
        small = rng.normal(0, 1, (shape[0] // scale + 1, shape[1] // scale + 1, 3))
        picture += cv2.resize(small.astype(np.float32), shape[::-1]) * scale**0.5
    low, high = picture.min(), picture.max()
    picture = (picture - low) / (high - low)
    if branch == 'rgb':
        return (picture * 255).astype(np.uint8)
    return (7000 + picture[..., 0] * 2000).astype(np.uint16)


def _say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)
