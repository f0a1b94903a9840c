# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Organised point clouds: one point per pixel, written in place."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics

FIELDS = 5
"""x y z confidence intensity; a sixth is rgb."""

_OUTSIDE = -1e4
"""Pixel coordinate that no image has."""


class CloudBuilder:
    """
    Depth to points of one camera; the viewing rays are computed once.

    :param intrinsics: camera of the depth image; lens distortion is undone.
    """

    def __init__(self, intrinsics: Intrinsics) -> None:
        """See the class."""
        self.intrinsics = intrinsics
        rays = intrinsics.rays()
        self._x = np.ascontiguousarray(rays[..., 0])
        self._y = np.ascontiguousarray(rays[..., 1])
        blind = ~np.isfinite(self._x)
        self._one: NDArray[np.float32] | None = None
        if blind.any():
            self._one = np.where(blind, np.float32(np.nan), np.float32(1))

    def build(
        self,
        depth: NDArray[np.float32],
        confidence: NDArray[np.float32] | None = None,
        intensity: NDArray[Any] | None = None,
        rgb: NDArray[np.uint8] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """
        Points in the camera's optical frame (z forward, x right, y down), metres.

        :param depth: (H, W) float32, Z along the optical axis in metres, NaN where unknown.
        :param confidence: (H, W) in [0, 1]; NaN is written where None.
        :param intensity: (H, W), e.g. thermal counts; NaN is written where None.
        :param rgb: (H, W, 3) uint8 RGB colour of every depth pixel, see :class:`ColorSampler`.
        :param out: (H, W, 5) float32, or (H, W, 6) with rgb, to write into; made where None.
        :returns: x y z confidence intensity [rgb]; x, y and z are NaN where depth is. rgb is
            0x00RRGGBB in the bits of a float32, as PCL and RViz expect it.
        :raises ValueError: an array has another size than the camera.
        """
        shape = self._x.shape
        fields = FIELDS + (rgb is not None)
        if out is None:
            out = np.empty((*shape, fields), np.float32)
        if depth.shape != shape or out.shape != (*shape, fields):
            msg = f'depth {depth.shape} and out {out.shape} do not fit a camera of {shape}'
            raise ValueError(msg)
        np.multiply(self._x, depth, out=out[..., 0])
        np.multiply(self._y, depth, out=out[..., 1])
        if self._one is None:
            out[..., 2] = depth
        else:
            np.multiply(self._one, depth, out=out[..., 2])
        out[..., 3] = np.nan if confidence is None else confidence
        out[..., 4] = np.nan if intensity is None else intensity
        if rgb is not None:
            out[..., 5] = pack_rgb(rgb)
        return out


def pack_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """
    Colours as PCL packs them.

    :param rgb: (H, W, 3) uint8 RGB.
    :returns: (H, W) float32 whose bits are 0x00RRGGBB.
    """
    packed = np.zeros((*rgb.shape[:2], 4), np.uint8)
    cv2.mixChannels([np.ascontiguousarray(rgb)], [packed], [0, 2, 1, 1, 2, 0])
    return packed.view(np.float32)[..., 0]


class ColorSampler:
    """
    Colour of thermal pixels from an RGB camera beside the thermal one.

    A thermal pixel with a known depth is moved into the RGB camera and projected with its lens
    distortion. What the RGB camera does not see because something nearer hides it is not told
    apart: it takes the colour of what hides it.

    :param thermal: camera of the depth image.
    :param rgb: camera of the colour image.
    :param extrinsics: (4, 4) T_rgb_thermal: a point of the thermal optical frame in the RGB one.
    """

    def __init__(
        self, thermal: Intrinsics, rgb: Intrinsics, extrinsics: NDArray[np.floating]
    ) -> None:
        """See the class."""
        self.key = (thermal, rgb, extrinsics.tobytes())
        self._rgb = rgb
        rays = thermal.rays()
        directions = np.concatenate([rays, np.ones((*rays.shape[:2], 1), np.float32)], -1)
        turned = directions @ np.asarray(extrinsics[:3, :3], np.float32).T
        self._turned = [np.ascontiguousarray(turned[..., i]) for i in range(3)]
        self._shift = [float(v) for v in extrinsics[:3, 3]]
        # beyond the image corners a distortion polynomial may fold back into the image
        border = rgb.scaled(max(48, rgb.width // 8), max(48, rgb.height // 8)).rays()
        self._radius = 1.1 * float(np.nanmax((border**2).sum(-1)))
        self._outside = np.full(rays.shape[:2], _OUTSIDE, np.float32)

    def sample(self, depth: NDArray[np.float32], image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """
        Colour of every depth pixel.

        :param depth: (H, W) float32 metres in the thermal camera, NaN where unknown.
        :param image: (h, w, 3) uint8 RGB.
        :returns: (H, W, 3) uint8 RGB, black where depth is unknown or outside of the RGB view.
        """
        x, y, z = (
            np.multiply(ray, depth) + np.float32(shift)
            for ray, shift in zip(self._turned, self._shift, strict=True)
        )
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            np.divide(x, z, out=x)
            np.divide(y, z, out=y)
            r2 = x * x + y * y
            seen = cv2.bitwise_and(
                cv2.inRange(z, 1e-3, math.inf), cv2.inRange(r2, 0.0, self._radius)
            )
            u, v = _distort(x, y, r2, self._rgb)
        sx, sy = image.shape[1] / self._rgb.width, image.shape[0] / self._rgb.height
        camera = self._rgb if sx == sy == 1 else self._rgb.scaled(image.shape[1], image.shape[0])
        u = u * np.float32(camera.fx) + np.float32(camera.cx)
        v = v * np.float32(camera.fy) + np.float32(camera.cy)
        for pixel, size in ((u, camera.width), (v, camera.height)):
            cv2.bitwise_and(seen, cv2.inRange(pixel, -0.5, size - 0.5), dst=seen)
            np.clip(pixel, np.float32(0), np.float32(size - 1), out=pixel)
        unseen = cv2.bitwise_not(seen)
        cv2.copyTo(self._outside, unseen, u)
        cv2.copyTo(self._outside, unseen, v)
        return np.asarray(
            cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.uint8
        )


def _distort(
    x: NDArray[np.float32], y: NDArray[np.float32], r2: NDArray[np.float32], camera: Intrinsics
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Apply a camera's lens distortion to normalised coordinates (OpenCV's models)."""
    if not camera.distorted:
        return x, y
    k: list[Any] = [np.float32(v) for v in (*camera.distortion, *(0.0,) * 8)[:8]]
    if camera.distortion_model == 'equidistant':
        r = np.sqrt(r2)
        angle = np.arctan(r)
        a2 = angle * angle
        factor = angle * (1 + a2 * (k[0] + a2 * (k[1] + a2 * (k[2] + a2 * k[3]))))
        factor /= np.maximum(r, np.float32(1e-9))
        return x * factor, y * factor
    k1, k2, p1, p2, k3, k4, k5, k6 = k
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    if k4 or k5 or k6:
        radial /= 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    u, v = x * radial, y * radial
    if p1 or p2:
        xy = x * y
        u += 2 * p1 * xy + p2 * (r2 + 2 * x * x)
        v += p1 * (r2 + 2 * y * y) + 2 * p2 * xy
    return u, v
