# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Calibration of a thermal and an RGB camera in one file: our own YAML, or a chain of Kalibr.

Our own has the keys of the rig files that training takes, so that one file serves both:

.. code-block:: yaml

    thermal_info: thermal.yaml    # of camera_calibration, beside this file; or its content here
    rgb_info: rgb.yaml
    extrinsics:                   # X_rgb = T X_thermal, metres, optical frames; or 4x4 numbers
      translation: [0.15, -0.03, 0.0]
      rotation: [0.0, 0.0, 0.0, 1.0]

A camera that is left out, or given as a topic, comes from its CameraInfo messages. Other keys of a
rig file (topics, pairing) are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camchain import is_camchain, read_camchain
from monother_ros.core.camera import Intrinsics
from monother_ros.core.camera_file import camera_info_intrinsics, read_camera_info, read_yaml
from monother_ros.core.errors import CalibrationError
from monother_ros.core.rigid import rigid_transform


@dataclass(frozen=True, eq=False)
class RigFile:
    """
    What a calibration file says.

    :param extrinsics: (4, 4) X_rgb = T X_thermal, metres; None where the file has none.
    :param thermal: thermal camera; None where CameraInfo shall say it.
    :param rgb: the same for RGB.
    :param summary: one line for people: what was taken from where.
    """

    extrinsics: NDArray[np.float64] | None
    thermal: Intrinsics | None
    rgb: Intrinsics | None
    summary: str


def read_rig_file(
    path: str | Path,
    thermal: str = '',
    rgb: str = '',
    *,
    thermal_topic: str = '',
    rgb_topic: str = '',
) -> RigFile:
    """
    Read a calibration file; which of the two kinds it is, its keys tell.

    :param path: of the file.
    :param thermal: name of the thermal camera in a chain; see Camchain.roles, as for the others.
    :raises CalibrationError: it cannot be read or used; says why.
    """
    path = Path(path).expanduser()
    data = read_yaml(path)
    if is_camchain(data):
        chain = read_camchain(path, data)
        first, second = chain.roles(thermal, rgb, thermal_topic=thermal_topic, rgb_topic=rgb_topic)
        return RigFile(
            chain.extrinsics(second, first),
            first.intrinsics,
            second.intrinsics,
            f'{path.name}: {first.name} is the thermal camera, {second.name} the RGB one',
        )
    return _own(path, data)


def _own(path: Path, data: Any) -> RigFile:
    """Read our own kind of file."""
    if not isinstance(data, dict):
        msg = f'{path} holds no mapping; it needs extrinsics, or the cameras cam0, cam1 of Kalibr'
        raise CalibrationError(msg)
    cameras = {role: _camera(path, f'{role}_info', data) for role in ('thermal', 'rgb')}
    given = data.get('extrinsics')
    extrinsics = None if given is None else rigid_transform(given, f'extrinsics of {path}')
    parts = [f'{role} camera' for role, camera in cameras.items() if camera is not None]
    parts += ['extrinsics'] if extrinsics is not None else []
    if not parts:
        msg = (
            f'{path} says nothing about the cameras: it has neither extrinsics, thermal_info, '
            'rgb_info, nor the cameras cam0, cam1 of Kalibr'
        )
        raise CalibrationError(msg)
    return RigFile(
        extrinsics, cameras['thermal'], cameras['rgb'], f'{path.name}: {", ".join(parts)}'
    )


def _camera(path: Path, key: str, data: dict[str, Any]) -> Intrinsics | None:
    """Camera given as a file or in place; None where CameraInfo says it."""
    value = data.get(key)
    if isinstance(value, dict):
        return camera_info_intrinsics(value, f'{key} of {path}')
    if isinstance(value, str) and value.endswith(('.yaml', '.yml')):
        return read_camera_info(path.parent / Path(value).expanduser())
    if value is None or (isinstance(value, str) and value.startswith('/')):
        return None
    msg = f'{key} of {path} is {value!r}; give a file .yaml, the content of one, or a topic'
    raise CalibrationError(msg)
