# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to take out of a bag: topics and calibration of a rig."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import DatasetError, SettingsError
from monother_ros.learning.recipe import build, read_mapping

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Pose:
    """A rigid transform as people measure it."""

    translation: tuple[float, float, float]
    """metres"""
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """quaternion x, y, z, w of any length"""

    def rows(self) -> Matrix:
        """
        Rows of the 4x4 matrix.

        :raises DatasetError: the quaternion is zero.
        """
        x, y, z, w = self.rotation
        norm = x * x + y * y + z * z + w * w
        if not norm > 1e-12:
            msg = f'quaternion {self.rotation} is no rotation; it is x, y, z, w'
            raise DatasetError(msg)
        s = 2.0 / norm
        a, b, c = self.translation
        return (
            (1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w), a),
            (s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w), b),
            (s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y), c),
            (0.0, 0.0, 0.0, 1.0),
        )


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
    extrinsics: Matrix | Pose | None = None
    """X_rgb = T X_thermal, metres, optical frames: 4x4, or translation and rotation; null: from
    the static transforms"""
    tf: str = '/tf_static'
    """topic of static transforms; /tf for bags of ROS 1 that have them there"""
    thermal_frame: str | None = None
    """optical frame of the thermal camera; null: that of its images"""
    rgb_frame: str | None = None
    """the same for RGB"""
    lidar_frame: str | None = None
    """frame of the LiDAR; null: that of its clouds"""
    thermal_depth: str | None = None
    """depth image topic (32FC1 metres, 16UC1 millimetres) registered to the thermal image"""
    rgb_depth: str | None = None
    """the same for the RGB image"""
    lidar: str | None = None
    """PointCloud2 topic that is projected into each camera that has no depth topic"""
    lidar_extrinsics: Matrix | Pose | None = None
    """X_thermal = T X_lidar, metres, as extrinsics; null: from the static transforms"""
    hidden_radius: int = 4
    """pixels around a LiDAR point in which a nearer point covers it; 0 keeps all"""
    max_difference: float = 0.02
    """greatest difference of the stamps of a pair, seconds"""
    max_label_difference: float = 0.05
    """greatest difference of the stamps of image and label, seconds"""
    stride: int = 1
    """take every n-th pair"""
    max_pairs: int | None = None
    """take so many pairs at most, the first ones; null: all"""
    size: tuple[int, int] | None = None
    """height and width of images and labels; null: images as the thermal one, labels as found"""
    clock: Literal['header', 'recorded'] = 'header'
    """pair by header stamps, or by the times of recording"""
    keep_shutter: bool = False
    """keep frozen, flat and jumping thermal frames"""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.stride < 1 or (self.max_pairs is not None and self.max_pairs < 1):
            msg = f'stride {self.stride} and max_pairs {self.max_pairs} must be at least 1'
            raise DatasetError(msg)
        if min(self.max_difference, self.max_label_difference) < 0 or self.hidden_radius < 0:
            msg = 'max_difference, max_label_difference and hidden_radius must not be negative'
            raise DatasetError(msg)
        if self.thermal == self.rgb:
            msg = f'thermal and rgb are both {self.thermal}; they must be two topics'
            raise DatasetError(msg)
        if self.size is not None and min(self.size) < 1:
            msg = f'size {self.size} must be a height and a width in pixels'
            raise DatasetError(msg)
        for name in ('extrinsics', 'lidar_extrinsics'):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, pose_matrix(value, name))

    def as_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)


def pose_matrix(value: Pose | Sequence[Any], name: str) -> Matrix:
    """
    Check a rigid transform that a person gave.

    :param value: 16 numbers, in rows or not, or a pose.
    :param name: of the setting.
    :raises DatasetError: it is no rotation with a translation.
    """
    try:
        rows = value.rows() if isinstance(value, Pose) else value
        matrix = np.asarray(rows, np.float64).reshape(4, 4)
    except (TypeError, ValueError) as err:
        msg = f'{name} must hold 4x4 numbers, but is {value!r}'
        raise DatasetError(msg) from err
    turn = matrix[:3, :3]
    rigid = np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
    if not rigid or not np.allclose(matrix[3], [0, 0, 0, 1]):
        msg = f'{name} is no rigid transform (rotation, translation in metres): {matrix.tolist()}'
        raise DatasetError(msg)
    return tuple(tuple(float(v) for v in row) for row in matrix)


def rig_config(settings: Mapping[str, Any], base: RigConfig | None = None) -> RigConfig:
    """
    Configuration from a recipe.

    :param settings: fields of :class:`RigConfig`, and ``rig``: a YAML file with more of them.
        Calibration files named in that file lie beside it where their path is relative.
    :param base: what holds where nothing is set.
    :raises DatasetError: a name is not known or a value is not allowed.
    """
    given = {} if base is None else base.as_dict()
    rest = dict(settings)
    file = rest.pop('rig', None)
    try:
        if isinstance(file, Mapping):
            given.update(file)
        elif file is not None:
            given.update(_rig_file(Path(str(file)).expanduser()))
        return build(RigConfig, {**given, **rest})
    except SettingsError as err:
        msg = f'bag of a rig: {err}'
        raise DatasetError(msg) from err


def _rig_file(path: Path) -> dict[str, Any]:
    """Settings of a YAML file, with the paths of calibration files made whole."""
    content = dict(read_mapping(path))
    for name in ('thermal_info', 'rgb_info'):
        info = content.get(name)
        if isinstance(info, str) and is_file(info):
            content[name] = str(path.parent / Path(info).expanduser())
    return content


def is_file(info: str) -> bool:
    """Whether a calibration is given as a file, not as a topic."""
    return info.endswith(('.yaml', '.yml'))


def identity(path: Path, config: RigConfig) -> str:
    """
    Digest of everything that decides which pairs a bag gives.

    :param path: of the bag; its files count by name, size and time of change, so that a bag may
        be moved together with its cache.
    :param config: settings; calibration files count by their content.
    :returns: 32 hexadecimal digits.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    parts: list[Any] = [
        (f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()
    ]
    settings = config.as_dict()
    for name in ('thermal_info', 'rgb_info'):
        info = settings[name]
        if is_file(info) and Path(info).is_file():
            settings[name] = hashlib.sha256(Path(info).read_bytes()).hexdigest()
    parts += sorted(settings.items())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def as_array(pose: Matrix | Pose) -> NDArray[np.float64]:
    """Matrix of a pose, (4, 4) float64."""
    return np.asarray(pose.rows() if isinstance(pose, Pose) else pose, np.float64)
