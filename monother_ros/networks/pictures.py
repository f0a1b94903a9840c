# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as input of a converted branch, made by the code that runs on the robot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import Normalisation
from monother_ros.core.errors import BundleError
from monother_ros.core.resize import AlignedResizer
from monother_ros.core.thermal import Normaliser
from monother_ros.networks.monother import RGB_MEAN, RGB_STD, THERMAL_MEAN, THERMAL_STD

NORMALISATION = {
    'thermal': Normalisation(
        'percentile', 2.0, 98.0, THERMAL_MEAN, THERMAL_STD, channels=3, resize='aligned'
    ),
    'rgb': Normalisation('fixed', 0.0, 255.0, channels=3, resize='aligned'),
}
"""What each branch expects; mean and deviation of RGB are part of its network."""


def network_input(
    picture: NDArray[Any], branch: str, size: tuple[int, int]
) -> NDArray[np.float32]:
    """
    Input of a branch, as the depth pipeline or an RGB teacher makes it.

    :param picture: see :func:`monother_ros.networks.convert.convert`.
    :param branch: 'thermal' or 'rgb'.
    :param size: (h, w) in pixels.
    :returns: (1, 3, h, w) float32.
    :raises BundleError: the picture is not RGB where that is needed.
    :raises ThermalError: the picture is no thermal picture.
    """
    height, width = size
    if branch == 'thermal':
        return Normaliser(NORMALISATION[branch], (width, height))(picture, 0)[None]
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        msg = f'an RGB picture must be (height, width, 3) uint8, but is {picture.shape}'
        raise BundleError(msg)
    out, resizer = np.empty((1, 3, height, width), np.float32), AlignedResizer()
    for channel in range(3):
        resizer(picture[..., channel].astype(np.float32) / np.float32(255), out[0, channel])
    return out


def branch_input(example: NDArray[np.float32], branch: str) -> NDArray[np.float32]:
    """
    Input of the branch in torch: the exported RGB network normalises by itself, the branch not.

    :param example: (1, 3, h, w) from :func:`network_input`.
    :param branch: 'thermal' or 'rgb'.
    :returns: (1, 3, h, w) float32.
    """
    if branch == 'thermal':
        return example
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (RGB_MEAN, RGB_STD))
    return (example - mean) / std
