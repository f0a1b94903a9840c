# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera chains as Kalibr writes them (camchain-NAME.yaml, camchain-imucam-NAME.yaml).

Each entry camN has camera_model, intrinsics, distortion_model, distortion_coeffs, resolution,
rostopic, and from the second camera on T_cn_cnm1: points of the camera before it come into camera
N by X_n = T_cn_cnm1 X_(n-1), metres. Files with an IMU have T_cam_imu as well (some tools write
T_imu_cam, its inverse), which takes the place of a missing T_cn_cnm1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.camera_file import read_yaml
from monother_ros.core.errors import CalibrationError
from monother_ros.core.rigid import inverse, rigid_transform

_NAME = re.compile(r'cam(\d+)')
_DISTORTIONS = {'radtan': 'plumb_bob', 'equidistant': 'equidistant', 'none': 'plumb_bob'}
_WORDS = {
    'thermal': ('thermal', 'lwir', 'infrared', 'flir', 'boson', 'lepton', 'tau2', 'seek'),
    'rgb': ('rgb', 'color', 'colour', 'visible'),
}
"""Parts of topic names by which a camera is known."""


@dataclass(frozen=True, eq=False)
class ChainCamera:
    """
    One camera of a chain.

    :param name: 'cam0' and so on.
    :param topic: that it was calibrated from; empty where the file does not say.
    :param intrinsics: of its picture.
    :param pose: (4, 4) that takes points of the chain's first camera to this one, metres.
    """

    name: str
    topic: str
    intrinsics: Intrinsics
    pose: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camchain:
    """
    All cameras of a file, in their order.

    :param path: of the file.
    :param cameras: at least one.
    """

    path: Path
    cameras: tuple[ChainCamera, ...]

    def extrinsics(self, target: ChainCamera, source: ChainCamera) -> NDArray[np.float64]:
        """(4, 4) that takes points of the source camera to the target camera, metres."""
        return np.asarray(target.pose @ inverse(source.pose), np.float64)

    def roles(
        self,
        thermal: str = '',
        rgb: str = '',
        *,
        thermal_topic: str = '',
        rgb_topic: str = '',
    ) -> tuple[ChainCamera, ChainCamera]:
        """
        Thermal and RGB camera of the chain.

        A camera is known by its name where that is given, else by the topic that images are
        taken from, else by words in its topic; of two cameras the other one is then known, too.

        :param thermal: name of the thermal camera ('cam0' …); empty to find it.
        :param rgb: the same for RGB.
        :param thermal_topic: resolved topic of the thermal images.
        :param rgb_topic: resolved topic of the RGB images.
        :raises CalibrationError: a name is not in the file, or it is not clear which is which.
        """
        found: dict[str, ChainCamera | None] = {
            'thermal': self._named(thermal),
            'rgb': self._named(rgb),
        }
        topics = {'thermal': thermal_topic, 'rgb': rgb_topic}
        # what is surer decides first, and of two cameras it decides for both
        for known in (lambda _: None, lambda r: self._by_topic(topics[r]), self._by_words):
            for role in found:
                found[role] = found[role] or known(role)
            if len(self.cameras) == 2:
                for role, other in (('thermal', 'rgb'), ('rgb', 'thermal')):
                    sure = found[other]
                    if found[role] is None and sure is not None:
                        found[role] = next(c for c in self.cameras if c is not sure)
        first, second = found['thermal'], found['rgb']
        if first is None or second is None or first is second:
            seen = ', '.join(f'{c.name} ({c.topic or "no topic"})' for c in self.cameras)
            msg = (
                f'{self.path} does not tell which camera is the thermal and which the RGB one; it '
                f'has {seen}. Set the parameters thermal_camera and rgb_camera to their names'
            )
            raise CalibrationError(msg)
        return first, second

    def _named(self, name: str) -> ChainCamera | None:
        """Camera that the user has named."""
        if not name:
            return None
        for camera in self.cameras:
            if camera.name == name:
                return camera
        known = ', '.join(c.name for c in self.cameras)
        msg = f'{self.path} has no camera {name!r}; it has {known}'
        raise CalibrationError(msg)

    def _by_topic(self, topic: str) -> ChainCamera | None:
        """Camera that was calibrated from a topic."""
        same = [c for c in self.cameras if topic and _base(c.topic) == _base(topic)]
        return same[0] if len(same) == 1 else None

    def _by_words(self, role: str) -> ChainCamera | None:
        """Camera whose topic speaks of the role, where there is just one."""
        words = [c for c in self.cameras if any(w in c.topic.lower() for w in _WORDS[role])]
        return words[0] if len(words) == 1 else None


def is_camchain(data: Any) -> bool:
    """Whether the content of a YAML file looks like a chain."""
    return isinstance(data, dict) and any(_NAME.fullmatch(str(key)) for key in data)


def read_camchain(path: str | Path, data: Any = None) -> Camchain:
    """
    Read a chain.

    :param path: of the file.
    :param data: its content where it has been read.
    :raises CalibrationError: it cannot be read, a camera is of a kind that is not known here, or
        the pose between two cameras is missing.
    """
    path = Path(path)
    data = read_yaml(path) if data is None else data
    if not is_camchain(data):
        msg = f'{path} is no camera chain of Kalibr: it has no entry cam0, cam1 …'
        raise CalibrationError(msg)
    names = sorted((str(k) for k in data if _NAME.fullmatch(str(k))), key=lambda n: int(n[3:]))
    cameras: list[ChainCamera] = []
    for name in names:
        where = f'{name} of {path}'
        entry = data[name]
        if not isinstance(entry, dict):
            msg = f'{where} holds no camera'
            raise CalibrationError(msg)
        pose = np.eye(4)
        if cameras:
            step = _step(entry, data[cameras[-1].name], where)
            pose = step @ cameras[-1].pose
        topic = str(entry.get('rostopic') or '')
        cameras.append(ChainCamera(name, topic, _intrinsics(entry, where), pose))
    return Camchain(path, tuple(cameras))


def _intrinsics(entry: dict[str, Any], where: str) -> Intrinsics:
    """One camera's intrinsics."""
    model = str(entry.get('camera_model', 'pinhole'))
    distortion = str(entry.get('distortion_model') or 'none')
    if model != 'pinhole' or distortion not in _DISTORTIONS:
        msg = (
            f'{where} is {model}-{distortion}; use pinhole-radtan or pinhole-equi when calibrating'
        )
        raise CalibrationError(msg)
    try:
        fx, fy, cx, cy = (float(v) for v in entry['intrinsics'])
        width, height = (int(v) for v in entry['resolution'])
        numbers = tuple(float(v) for v in entry.get('distortion_coeffs') or ())
    except (KeyError, TypeError, ValueError, OverflowError) as err:
        msg = (
            f'{where} cannot be used: {type(err).__name__} {err}; intrinsics [fu, fv, pu, pv] and '
            'resolution [width, height] are needed'
        )
        raise CalibrationError(msg) from err
    used = numbers if any(numbers) and distortion != 'none' else ()
    return Intrinsics(width, height, fx, fy, cx, cy, _DISTORTIONS[distortion], used)


def _step(entry: dict[str, Any], before: dict[str, Any], where: str) -> NDArray[np.float64]:
    """Transform that takes points of the camera before to this one."""
    if 'T_cn_cnm1' in entry:
        return rigid_transform(entry['T_cn_cnm1'], f'T_cn_cnm1 of {where}')
    here, there = _from_imu(entry, where), _from_imu(before, f'the camera before {where}')
    if here is None or there is None:
        msg = (
            f'{where} has no T_cn_cnm1: how the cameras stand to each other is not known; '
            'calibrate them together'
        )
        raise CalibrationError(msg)
    return here @ inverse(there)


def _from_imu(entry: dict[str, Any], where: str) -> NDArray[np.float64] | None:
    """Transform that takes points of the IMU to a camera, or None."""
    if 'T_cam_imu' in entry:
        return rigid_transform(entry['T_cam_imu'], f'T_cam_imu of {where}')
    if 'T_imu_cam' in entry:
        return inverse(rigid_transform(entry['T_imu_cam'], f'T_imu_cam of {where}'))
    return None


def _base(topic: str) -> str:
    """Topic without slash at the start and without transport."""
    return re.sub(r'/(compressed|image_transport)$', '', topic.strip().lstrip('/'))
