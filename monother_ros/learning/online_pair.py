# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thermal and one RGB picture of the same moment, as learning on the vehicle sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import Bundle
from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import AdaptationError
from monother_ros.core.scale import aligned_intrinsics, fit_intrinsics, focal_scale
from monother_ros.core.thermal import Normaliser
from monother_ros.learning.rectify import Rectifier, sampling

OUTSIDE = 2.0
"""Normalised place of a pixel that the thermal lens did not see."""


@dataclass(frozen=True, eq=False)
class RigView:
    """
    Cameras of a rig at the size of the student's input.

    The student sees the thermal picture as it comes, lens distortion included, as it does at run
    time; its depth is then read at the places of a pinhole camera with the same axes.

    :ivar width: of the student's input in pixels.
    :ivar height: of the student's input in pixels.
    :ivar thermal_intrinsics: (3, 3) float32, pinhole, pixels of width x height.
    :ivar rgb_intrinsics: (3, 3) float32, pinhole, pixels of width x height.
    :ivar extrinsics: (4, 4) float32, X_rgb = T X_thermal, metres, optical frames.
    :ivar thermal_grid: (height, width, 2) float32, where in the student's picture each pixel of
        the pinhole thermal picture lies: x, y from -1 to 1 at the centres of the corner pixels,
        OUTSIDE where the lens saw nothing; None without distortion.
    :ivar focal_scale: metres per metre that the network says.
    :ivar key: digest of all this.
    """

    width: int
    height: int
    thermal_intrinsics: NDArray[np.float32]
    rgb_intrinsics: NDArray[np.float32]
    extrinsics: NDArray[np.float32]
    thermal_grid: NDArray[np.float32] | None
    focal_scale: float
    key: str

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        thermal: Intrinsics,
        rgb: Intrinsics,
        extrinsics: NDArray[np.floating],
    ) -> RigView:
        """
        View of a calibrated rig through a student.

        :param bundle: of the student.
        :param thermal: thermal camera as calibrated, of any size.
        :param rgb: RGB camera as calibrated, of any size.
        :param extrinsics: (4, 4) X_rgb = T X_thermal, metres, optical frames.
        :raises AdaptationError: the extrinsics are no rigid transform.
        """
        pose = np.asarray(extrinsics, np.float64)
        rigid = pose.shape == (4, 4) and bool(np.isfinite(pose).all())
        rigid = rigid and np.allclose(pose[3], (0, 0, 0, 1), atol=1e-6)
        if not rigid or not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-3):
            msg = (
                f'the extrinsics {pose.tolist()} are no rigid transform; give X_rgb = T X_thermal '
                'as a 4x4 matrix with a rotation and metres'
            )
            raise AdaptationError(msg)
        width, height = bundle.input_size
        aligned = bundle.normalisation.resize == 'aligned'
        seen = (
            aligned_intrinsics(thermal, width, height)
            if aligned
            else thermal.scaled(width, height)
        )
        pinhole = replace(seen, distortion_model='plumb_bob', distortion=())
        grid = None
        if seen.distorted:
            columns, rows, inside = sampling(seen, pinhole)
            last = np.array([width - 1, height - 1], np.float32)
            grid = 2.0 * np.stack([columns, rows], -1) / last - 1.0
            grid = np.where(inside[..., None], grid, OUTSIDE).astype(np.float32)
        colour = Rectifier(rgb, (width, height)).camera
        return cls._made(
            width,
            height,
            pinhole.matrix.astype(np.float32),
            colour.matrix.astype(np.float32),
            pose.astype(np.float32),
            grid,
            focal_scale(bundle.focal_length, thermal, width),
        )

    @classmethod
    def _made(
        cls,
        width: int,
        height: int,
        thermal: NDArray[np.float32],
        rgb: NDArray[np.float32],
        extrinsics: NDArray[np.float32],
        grid: NDArray[np.float32] | None,
        scale: float,
    ) -> RigView:
        """With the digest of all values."""
        digest = hashlib.sha256(f'{width} {height} {scale!r}'.encode())
        for part in (thermal, rgb, extrinsics, grid):
            digest.update(b'' if part is None else np.ascontiguousarray(part).tobytes())
        key = digest.hexdigest()[:16]
        return cls(width, height, thermal, rgb, extrinsics, grid, scale, key)

    def as_dict(self) -> dict[str, Any]:
        """Plain arrays, for storage; :meth:`from_dict` reads them."""
        values: dict[str, Any] = {
            'size': np.array([self.width, self.height], np.int64),
            'thermal_intrinsics': self.thermal_intrinsics,
            'rgb_intrinsics': self.rgb_intrinsics,
            'extrinsics': self.extrinsics,
            'focal_scale': np.array([self.focal_scale], np.float64),
        }
        if self.thermal_grid is not None:
            values['thermal_grid'] = self.thermal_grid
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RigView:
        """
        What :meth:`as_dict` gave.

        :raises AdaptationError: a value is missing or of another shape.
        """
        try:
            width, height = (int(v) for v in values['size'])
            shapes = {'thermal_intrinsics': (3, 3), 'rgb_intrinsics': (3, 3), 'extrinsics': (4, 4)}
            thermal, rgb, extrinsics = (
                np.asarray(values[name], np.float32).reshape(shape)
                for name, shape in shapes.items()
            )
            grid = values.get('thermal_grid')
            if grid is not None:
                grid = np.asarray(grid, np.float32).reshape(height, width, 2)
            scale = float(np.asarray(values['focal_scale']).reshape(()))
        except (KeyError, ValueError, TypeError) as err:
            msg = f'a stored rig cannot be read ({err}); delete the memory of pairs'
            raise AdaptationError(msg) from err
        return cls._made(width, height, thermal, rgb, extrinsics, grid, scale)


@dataclass(frozen=True, eq=False)
class OnlinePair:
    """
    A pair to learn from.

    :ivar stamp_ns: of the thermal picture.
    :ivar thermal: (C, h, w) float16, the student's input.
    :ivar rgb: (3, h, w) uint8, rectified, red first.
    :ivar teacher_depth: (h, w) float16 metres in the RGB camera, 0 where unknown.
    :ivar rig: cameras.
    :ivar weight: (h, w) float16 >= 0, fixed trust on the RGB grid of a pair that is held out; None
        for one to train on.
    """

    stamp_ns: int
    thermal: NDArray[np.float16]
    rgb: NDArray[np.uint8]
    teacher_depth: NDArray[np.float16]
    rig: RigView
    weight: NDArray[np.float16] | None = None


class PairMaker:
    """
    From the pictures of two cameras to pairs; for one rig and one stream.

    :param bundle: of the student.
    :param thermal: thermal camera as calibrated.
    :param rgb: RGB camera as calibrated.
    :param extrinsics: (4, 4) X_rgb = T X_thermal, metres, optical frames.
    :raises AdaptationError: the extrinsics are no rigid transform.
    """

    def __init__(
        self,
        bundle: Bundle,
        thermal: Intrinsics,
        rgb: Intrinsics,
        extrinsics: NDArray[np.floating],
    ) -> None:
        self.rig = RigView.of(bundle, thermal, rgb, extrinsics)
        self._cameras = (thermal, rgb)
        self._normaliser = Normaliser(bundle.normalisation, bundle.input_size)
        self._rectifier = Rectifier(rgb, bundle.input_size)

    def reset(self) -> None:
        """Forget earlier frames: time has jumped."""
        self._normaliser.reset()

    def __call__(self, thermal: NDArray[Any], stamp_ns: int, rgb: NDArray[np.uint8]) -> OnlinePair:
        """
        One pair; the teacher's depth is not known yet and all zero.

        :param thermal: (H, W) uint8 or uint16 counts.
        :param stamp_ns: of the thermal picture.
        :param rgb: (H, W, 3) uint8, red first.
        :raises ThermalError: the thermal picture cannot be taken.
        :raises CalibrationError: a picture has another aspect than its calibration.
        """
        camera = self._cameras[0]
        fit_intrinsics(camera, thermal.shape[1], thermal.shape[0])
        seen = self._normaliser(thermal, stamp_ns)
        source = self._rectifier.source
        if rgb.shape[:2] != (source.height, source.width):
            fitted = fit_intrinsics(source, rgb.shape[1], rgb.shape[0])
            self._rectifier = Rectifier(fitted, (self.rig.width, self.rig.height))
        colour = np.ascontiguousarray(self._rectifier.image(rgb).transpose(2, 0, 1))
        unknown = np.zeros((self.rig.height, self.rig.width), np.float16)
        return OnlinePair(stamp_ns, seen.astype(np.float16), colour, unknown, self.rig)
