# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to take out of a bag: topics and calibration of a rig."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError, DatasetError

Matrix = tuple[tuple[float, ...], ...]
CLOCKS = ('header', 'recorded')


@dataclass(frozen=True)
class RigConfig:
    """
    Topics, calibration and pairing of a rig.

    Where only the /compressed topic of an image is in the bag, that one is taken.

    :raises DatasetError: a value is not allowed.
    """

    thermal: str = '/thermal/image_raw'
    """thermal image topic"""
    rgb: str = '/rgb/image_raw'
    """RGB image topic"""
    thermal_info: str = '/thermal/camera_info'
    """CameraInfo topic, or a file .yaml as camera_calibration writes it"""
    rgb_info: str = '/rgb/camera_info'
    """the same for RGB"""
    extrinsics: Matrix | None = None
    """4x4 pose, X_rgb = T X_thermal, metres, optical frames; None: from the static transforms"""
    tf: str = '/tf_static'
    """topic of static transforms"""
    thermal_depth: str | None = None
    """depth image topic (32FC1 metres, 16UC1 millimetres) registered to the thermal image"""
    rgb_depth: str | None = None
    """the same for the RGB image"""
    lidar: str | None = None
    """PointCloud2 topic that is projected into each camera that has no depth topic"""
    lidar_extrinsics: Matrix | None = None
    """4x4 pose, X_thermal = T X_lidar, metres; None: from the static transforms"""
    hidden_radius: int = 2
    """pixels around a LiDAR point in which a nearer point covers it; 0 keeps all"""
    max_difference: float = 0.02
    """greatest difference of the stamps of a pair, seconds"""
    max_label_difference: float = 0.05
    """greatest difference of the stamps of image and label, seconds"""
    stride: int = 1
    """take every n-th pair"""
    size: tuple[int, int] | None = None
    """height and width of images and labels; None: images as the thermal one, labels as found"""
    clock: str = 'header'
    """'header' pairs by header stamps, 'recorded' by the times of recording"""
    keep_shutter: bool = False
    """keep frozen, flat and jumping thermal frames"""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.clock not in CLOCKS:
            msg = f'clock {self.clock!r} must be one of {", ".join(CLOCKS)}'
            raise DatasetError(msg)
        if self.stride < 1 or min(self.max_difference, self.max_label_difference) < 0:
            msg = 'stride must be at least 1, and differences of stamps not negative'
            raise DatasetError(msg)
        if self.hidden_radius < 0:
            msg = f'hidden_radius {self.hidden_radius} must not be negative'
            raise DatasetError(msg)
        for name in ('extrinsics', 'lidar_extrinsics'):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, pose_matrix(value, name))
        if self.size is not None:
            height, width = (int(n) for n in self.size)
            if min(height, width) < 1:
                msg = f'size {self.size} must be a height and a width in pixels'
                raise DatasetError(msg)
            object.__setattr__(self, 'size', (height, width))

    def as_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)


def pose_matrix(value: Sequence[Any], name: str) -> Matrix:
    """
    Check a rigid transform that a person gave.

    :param value: 16 numbers, in rows or not.
    :param name: of the setting.
    :raises DatasetError: it is no rotation with a translation.
    """
    try:
        matrix = np.asarray(value, np.float64).reshape(4, 4)
    except (TypeError, ValueError) as err:
        msg = f'{name} must hold 4x4 numbers, but is {value!r}'
        raise DatasetError(msg) from err
    turn = matrix[:3, :3]
    rigid = np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
    if not rigid or not np.allclose(matrix[3], [0, 0, 0, 1]):
        msg = f'{name} is no rigid transform (rotation, translation in metres): {matrix.tolist()}'
        raise DatasetError(msg)
    return tuple(tuple(float(v) for v in row) for row in matrix)


def rig_config(settings: Mapping[str, Any]) -> RigConfig:
    """
    Configuration from a recipe.

    :param settings: fields of :class:`RigConfig`.
    :raises DatasetError: a name is not known or a value is not allowed.
    """
    known = [field.name for field in fields(RigConfig)]
    if unknown := sorted(set(settings) - set(known)):
        msg = f'setting {", ".join(unknown)} of a bag is not known; there are {", ".join(known)}'
        raise DatasetError(msg)
    try:
        return RigConfig(**settings)
    except (TypeError, ValueError) as err:
        msg = f'settings of a bag: {err}'
        raise DatasetError(msg) from err


def is_file(info: str) -> bool:
    """Whether a calibration is given as a file, not as a topic."""
    return info.endswith(('.yaml', '.yml'))


def read_camera_yaml(path: str | Path) -> Intrinsics:
    """
    Intrinsics from a calibration file as camera_calibration and camera_info_manager write it.

    :raises CalibrationError: the file cannot be read, or says nothing that is a camera.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
        distortion = content.get('distortion_coefficients') or {}
        k = [float(v) for v in content['camera_matrix']['data']]
        d = tuple(float(v) for v in distortion.get('data', ()))
        width, height = int(content['image_width']), int(content['image_height'])
        model = str(content.get('distortion_model', '')).strip()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        msg = f'calibration {path} cannot be read: {err}'
        raise CalibrationError(msg) from err
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        msg = (
            f'calibration {path} is not laid out as camera_calibration writes it '
            f'(image_width, image_height, camera_matrix: data …): {err!r}'
        )
        raise CalibrationError(msg) from err
    if len(k) != 9:
        msg = f'camera_matrix in {path} has {len(k)} numbers instead of 9'
        raise CalibrationError(msg)
    return Intrinsics(width, height, k[0], k[4], k[2], k[5], model, d if any(d) else ())


def identity(path: Path, config: RigConfig) -> str:
    """
    Digest of everything that decides which pairs a bag gives.

    :param path: of the bag; its files count by name, size and time of change.
    :param config: settings; calibration files count by their content.
    :returns: 32 hexadecimal digits.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    parts: list[Any] = [str(path.resolve())]
    parts += [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    parts += sorted(config.as_dict().items())
    for info in (config.thermal_info, config.rgb_info):
        if is_file(info) and Path(info).is_file():
            parts.append(hashlib.sha256(Path(info).read_bytes()).hexdigest())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def as_array(matrix: Matrix) -> NDArray[np.float64]:
    """(4, 4) float64."""
    return np.asarray(matrix, np.float64)
