# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The sensor rig: a thermal camera, an RGB camera and a LiDAR on one mast.

Frames follow REP-103: `base_link` stands on the ground (x forward, y left, z up), the camera
frames are optical (z forward, x right, y down), `lidar_frame` is x forward, y left, z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics

MOUNTS = {'mast': (1.0, 0.0), 'low': (0.62, -0.03), 'high': (1.5, 0.10)}
"""How the cameras are mounted: factor on their height, and how far they look down, radians."""

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation that turns optical axes into body axes: body = OPTICAL @ optical."""


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """
    Rotation of a body with x forward, y left, z up: roll first, then pitch, then yaw.

    :param yaw: turn to the left in radians.
    :param pitch: nose down in radians.
    :param roll: right side down in radians.
    :returns: (3, 3) float64.
    """
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    turn = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    nod = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    lean = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return np.asarray(turn @ nod @ lean, np.float64)


def transform(
    turn: NDArray[np.float64], offset: tuple[float, float, float] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Homogeneous transform.

    :param turn: (3, 3) rotation.
    :param offset: (3,) metres.
    :returns: (4, 4) float64.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = offset
    return matrix


@dataclass(frozen=True)
class Lidar:
    """
    A spinning LiDAR.

    :param elevations: elevation of each ring in radians, upwards positive.
    :param columns: measurements per ring and turn.
    :param range_min: nearest return, m.
    :param range_max: farthest return, m.
    :param noise: standard deviation of the range, m.
    """

    elevations: tuple[float, ...]
    columns: int = 720
    range_min: float = 0.4
    range_max: float = 90.0
    noise: float = 0.02

    def directions(self) -> NDArray[np.float32]:
        """Unit vectors of one turn in `lidar_frame`, (rings * columns, 3) float32, by ring."""
        azimuth = np.arange(self.columns) * (-2 * np.pi / self.columns)
        elevation = np.asarray(self.elevations)[:, None]
        flat = np.cos(elevation)
        up = np.broadcast_to(np.sin(elevation), (len(self.elevations), self.columns))
        rays = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], -1)
        return rays.reshape(-1, 3).astype(np.float32)


@dataclass(frozen=True)
class Rig:
    """
    Sensors and where they sit; each transform takes sensor coordinates to `base_link`.

    :param thermal: thermal camera.
    :param rgb: RGB camera.
    :param lidar: LiDAR.
    :param base_from_thermal: (4, 4), `thermal_optical_frame` to `base_link`.
    :param base_from_rgb: (4, 4), `rgb_optical_frame` to `base_link`.
    :param base_from_lidar: (4, 4), `lidar_frame` to `base_link`.
    """

    thermal: Intrinsics
    rgb: Intrinsics
    lidar: Lidar
    base_from_thermal: NDArray[np.float64]
    base_from_rgb: NDArray[np.float64]
    base_from_lidar: NDArray[np.float64]

    @property
    def rgb_from_thermal(self) -> NDArray[np.float64]:
        """(4, 4) transform of points in `thermal_optical_frame` to `rgb_optical_frame`."""
        return np.linalg.inv(self.base_from_rgb) @ self.base_from_thermal


def make_rig(
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (320, 256),
    rgb_size: tuple[int, int] = (480, 360),
    rings: int = 16,
    columns: int = 720,
    mount: str = 'mast',
) -> Rig:
    """
    Rig with the mounting tolerances of a real one.

    The nominal thermal camera has 260 px focal length at 320 px width and stands 1.2 m above
    the ground (up to 15 % more or less); focal lengths differ by up to 2 %.

    :param rng: source of the tolerances.
    :param size: (width, height) of the thermal image in pixels.
    :param rgb_size: (width, height) of the RGB image in pixels.
    :param rings: LiDAR rings.
    :param columns: LiDAR measurements per ring.
    :param mount: mast; low, about 0.75 m as on a small robot, looking up a little; or high, about
        1.8 m as on a vehicle's roof, looking down.
    """
    raised, nod = MOUNTS[mount]
    scale = size[0] / 320
    focal = 260 * scale * float(rng.uniform(0.98, 1.02))
    centre = rng.normal(0, 2.0, 2) * scale
    k1 = float(rng.uniform(-0.27, -0.21))
    thermal = Intrinsics(
        width=size[0],
        height=size[1],
        fx=focal,
        fy=focal * float(rng.uniform(0.997, 1.003)),
        cx=(size[0] - 1) / 2 + float(centre[0]),
        cy=(size[1] - 1) / 2 + float(centre[1]),
        distortion=(k1, 0.075, float(rng.normal(0, 4e-4)), float(rng.normal(0, 4e-4)), 0.0),
    )
    rgb_focal = 0.72 * rgb_size[0] * float(rng.uniform(0.98, 1.02))
    rgb_centre = rng.normal(0, 2.5, 2)
    rgb = Intrinsics(
        width=rgb_size[0],
        height=rgb_size[1],
        fx=rgb_focal,
        fy=rgb_focal,
        cx=(rgb_size[0] - 1) / 2 + float(rgb_centre[0]),
        cy=(rgb_size[1] - 1) / 2 + float(rgb_centre[1]),
        distortion=(-0.10, 0.02, float(rng.normal(0, 3e-4)), float(rng.normal(0, 3e-4)), 0.0),
    )
    height = 1.2 * float(rng.uniform(0.87, 1.13)) * raised
    tilt = rng.normal(0, 0.006, (3, 3))
    down = float(rng.uniform(0.0, 0.05)) + nod
    # each optical frame is the sensor's body frame, turned by a small mounting error
    return Rig(
        thermal=thermal,
        rgb=rgb,
        lidar=Lidar(tuple(np.radians(np.linspace(-16.0, 14.0, rings)).tolist()), columns),
        base_from_thermal=transform(
            rotation(tilt[0, 0], down + tilt[0, 1], tilt[0, 2]) @ OPTICAL, (0.10, 0.06, height)
        ),
        base_from_rgb=transform(
            rotation(tilt[1, 0], down + tilt[1, 1], tilt[1, 2]) @ OPTICAL,
            (0.12, -0.09, height + 0.03),
        ),
        base_from_lidar=transform(rotation(tilt[2, 0], tilt[2, 1], 0), (0.0, 0.0, height + 0.28)),
    )
