# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera calibrations in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.parsing import parse_yaml


def read_camera_info(path: str | Path) -> Intrinsics:
    """
    Intrinsics from a camera_info file, as ROS's camera_calibration writes it.

    :param path: of the file, YAML.
    :raises CalibrationError: it cannot be read, or a field is missing or impossible.
    """
    return camera_info_intrinsics(read_yaml(path), str(path))


def camera_info_intrinsics(data: Any, where: str) -> Intrinsics:
    """
    Intrinsics from the content of a camera_info file.

    :param data: what YAML gave.
    :param where: its file and place, for messages.
    :raises CalibrationError: a field is missing or impossible.
    """
    try:
        k = [float(v) for v in data['camera_matrix']['data']]
        d = tuple(float(v) for v in data.get('distortion_coefficients', {}).get('data', ()))
        return Intrinsics(
            int(data['image_width']),
            int(data['image_height']),
            k[0],
            k[4],
            k[2],
            k[5],
            str(data.get('distortion_model', '')).strip(),
            d if any(d) else (),
        )
    except (
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        IndexError,
        AttributeError,
    ) as err:
        msg = (
            f'{where} is no camera_info file: {type(err).__name__} {err}; image_width, '
            'image_height and camera_matrix.data are needed'
        )
        raise CalibrationError(msg) from err


def read_yaml(path: str | Path) -> Any:
    """
    Content of a YAML file; the first line '%YAML:1.0' that OpenCV wants is left out.

    :raises CalibrationError: it cannot be read, or PyYAML is not installed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding='utf-8')
        if text.startswith('%YAML:'):
            text = text.partition('\n')[2]
        return parse_yaml(text)
    except ImportError as err:
        msg = f'{path} needs PyYAML to be read; pip install PyYAML'
        raise CalibrationError(msg) from err
    except (OSError, ValueError) as err:
        msg = f'{path} cannot be read: {err}'
        raise CalibrationError(msg) from err
