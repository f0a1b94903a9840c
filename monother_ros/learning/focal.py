# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Metric scale from the focal length (Depth Pro, Bochkovskii et al. 2024, sections 3.1 and 3.3).

Depth D, focal length f and image width w, both in pixels of the same image, and canonical inverse
depth C belong together by D = f / (w C). Where a thermal camera has no calibration, Depth Pro's
estimate of the field of view of the RGB picture beside it says how wide the thermal picture is:
what both cameras see of the same scene must agree (:class:`FocalMatch`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics
from monother_ros.core.errors import CalibrationError
from monother_ros.core.scale_sources import ScaleEstimate

FOV_RANGE = (1.0, 179.0)
"""Degrees; an estimated field of view is held within."""

INVERSE_RANGE = (1e-4, 1e4)
"""Limits of inverse depth, 1/m."""

FILM_DIAGONAL = math.hypot(36.0, 24.0)
"""Of 35 mm film, mm."""

FIELD_SIGMA = 0.25
"""1-sigma of the log focal length of one estimate: about 78 % of Depth Pro's estimates are within
25 % of the truth (table 5 of the paper)."""

NEAREST, FARTHEST = 0.3, 200.0
"""Metres between which the depth of an edge is used."""

LEAST_EDGES = 200
"""Points on edges of the RGB picture without which nothing is matched."""

POINTS_PER_EDGE = 10.0
"""Neighbouring points of one edge hit or miss together."""

LEAST_SCORE = 5.0
"""Standard deviations above chance without which a match is none."""

LEAST_LEAD = 0.15
"""Part of the best score by which it must be ahead of every other field of view."""

APART = 0.2
"""Difference of log focal lengths from which on two fields of view are different ones."""

CARRY_SIGMA = 0.05
"""1-sigma of the log focal length that carrying it to another camera adds."""


def focal_of_field(degrees: float, width: int) -> float:
    """
    Focal length f = w / (2 tan(fov / 2)).

    :param degrees: horizontal field of view, held within :data:`FOV_RANGE`.
    :param width: of the image in pixels.
    :returns: pixels.
    """
    held = min(max(float(degrees), FOV_RANGE[0]), FOV_RANGE[1])
    return 0.5 * width / math.tan(0.5 * math.radians(held))


def field_of_focal(focal: float, width: int) -> float:
    """
    Horizontal field of view in degrees of a pinhole camera.

    :param focal: in pixels, > 0.
    :param width: of the image in pixels.
    """
    return math.degrees(2.0 * math.atan(0.5 * width / focal))


def focal_of_film(millimetres: float, width: int, height: int) -> float:
    """
    Focal length from its 35 mm equivalent, f_mm · image diagonal / film diagonal.

    :param millimetres: 35 mm equivalent, as EXIF gives it.
    :param width: of the image in pixels.
    :param height: of the image in pixels.
    :returns: pixels.
    """
    return millimetres * math.hypot(width, height) / FILM_DIAGONAL


def canonical_inverse(depth: NDArray[Any], focal: float, width: int) -> NDArray[Any]:
    """
    Canonical inverse depth C = f / (w D).

    :param depth: (…) metres, > 0.
    :param focal: of the image in pixels.
    :param width: of the image in pixels.
    :returns: (…), without unit.
    """
    return np.asarray(focal / (width * depth))


def depth_of_canonical(
    canonical: NDArray[Any], focal: float, size: tuple[int, int]
) -> NDArray[np.float32]:
    """
    Metric depth D = f / (w C) at the size of the picture.

    C w / f is resized (bilinear, pixel centres at halves), held within :data:`INVERSE_RANGE` and
    then inverted, as in the published inference.

    :param canonical: (h, w) canonical inverse depth.
    :param focal: of the picture in pixels.
    :param size: (width, height) of the picture in pixels, also that of D.
    :returns: (height, width) float32 metres, 0.1 mm to 10 km.
    """
    inverse: NDArray[Any] = np.asarray(canonical, np.float32) * np.float32(size[0] / focal)
    if inverse.shape != (size[1], size[0]):
        inverse = cv2.resize(inverse, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(1.0 / np.clip(inverse, *INVERSE_RANGE), np.float32)


def estimated_camera(focal: float, width: int, height: int) -> Intrinsics:
    """
    Pinhole camera with square pixels, its principal point in the middle, no distortion.

    :param focal: in pixels.
    :param width: of the image in pixels.
    :param height: of the image in pixels.
    :raises CalibrationError: the focal length is not positive and finite.
    """
    return Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


class CarriedFocal(NamedTuple):
    """
    Focal length of the thermal camera as the pictures of two cameras say it.

    :param focal: in pixels of the thermal picture.
    :param sigma: standard deviation of its logarithm, from how narrow the best match is.
    :param score: how far the match is above chance, in standard deviations.
    """

    focal: float
    sigma: float
    score: float


class FocalMatch:
    """
    Focal length of a thermal camera from the RGB camera beside it, from one or more pairs.

    The RGB picture's edges, at the depth that the teacher gives them, are seen from the thermal
    camera through the extrinsics, for focal lengths from a wide to a narrow field of view; the one
    under which they fall onto edges of the thermal picture is taken. Outlines of objects show in
    both, whatever the objects look like inside. An RGB focal length that is wrong by some factor
    makes the result wrong by the same factor.

    :param size: (width, height) of the thermal pictures in pixels.
    :param fields: narrowest and widest horizontal field of view that is tried, degrees.
    """

    def __init__(self, size: tuple[int, int], fields: tuple[float, float] = (15.0, 110.0)) -> None:
        self.size = size
        wide, narrow = focal_of_field(fields[1], size[0]), focal_of_field(fields[0], size[0])
        self.focals: NDArray[np.float64] = np.exp(
            np.linspace(math.log(wide), math.log(narrow), 160)
        )
        self.scores = np.zeros(len(self.focals))
        self.pairs = 0

    def add(
        self,
        rgb_camera: Intrinsics,
        thermal_from_rgb: NDArray[np.floating],
        depth: NDArray[Any],
        rgb: NDArray[np.uint8],
        thermal: NDArray[Any],
    ) -> None:
        """
        Look at one pair.

        :param rgb_camera: of the RGB picture, from its CameraInfo or :func:`estimated_camera`.
        :param thermal_from_rgb: (4, 4) X_thermal = T X_rgb, metres.
        :param depth: (H, W) metres of the RGB picture; 0, NaN and infinity are unknown or far.
        :param rgb: (H, W, 3) uint8.
        :param thermal: (h, w) counts of any type.
        :raises CalibrationError: the thermal picture has another size, or a picture has hardly an
            edge.
        """
        if thermal.shape != (self.size[1], self.size[0]):
            msg = f'the thermal picture is {thermal.shape[::-1]}, the ones before {self.size}'
            raise CalibrationError(msg)
        points = _edge_points(rgb, depth, rgb_camera)
        matrix = np.asarray(thermal_from_rgb, np.float64)
        seen = points @ matrix[:3, :3].T + matrix[:3, 3]
        seen = seen[seen[:, 2] > NEAREST]
        strength = _edge_strength(thermal)
        for what, poor in (
            ('RGB', len(seen) < LEAST_EDGES),
            ('thermal', float(strength.std()) < 1e-3),
        ):
            if poor:
                msg = f'the {what} picture has hardly an edge: no field of view can be found by it'
                raise CalibrationError(msg)
        rays = seen[:, :2] / seen[:, 2:]
        self.scores += [_agreement(strength, rays * focal) for focal in self.focals]
        self.pairs += 1

    def result(self) -> CarriedFocal:
        """
        Say the focal length under which all pairs so far fit.

        :raises CalibrationError: none brings the edges together clearly better than all others.
        """
        scores = self.scores / math.sqrt(max(self.pairs, 1))
        best = int(np.argmax(scores))
        away = np.abs(np.log(self.focals / self.focals[best])) > APART
        rival = float(scores[away].max(initial=0.0))
        score = float(scores[best])
        at_end = best in (0, len(scores) - 1)
        if score < LEAST_SCORE or rival > (1 - LEAST_LEAD) * score or at_end:
            msg = (
                f'no field of view brings the edges of {self.pairs} pairs of pictures together '
                f'(best {score:.1f}, rival {rival:.1f}); calibrate the thermal camera, or check '
                'the extrinsics'
            )
            raise CalibrationError(msg)
        top = np.log(self.focals[scores > 0.8 * score])
        sigma = math.hypot(CARRY_SIGMA, float(np.std(top)))
        return CarriedFocal(float(self.focals[best]), sigma, score)


def focal_estimate(focal: float, width: int, sigma: float, stamp_ns: int) -> ScaleEstimate:
    """
    The estimate that the depth node takes on ``scale/focal``, 1 / D = (w / f) C.

    :param focal: of the thermal image in pixels.
    :param width: of the thermal image in pixels.
    :param sigma: standard deviation of the logarithm of the focal length.
    :param stamp_ns: time of the pictures it was made from, nanoseconds.
    """
    return ScaleEstimate('focal', width / focal, space='inverse', sigma=sigma, stamp_ns=stamp_ns)


def _agreement(strength: NDArray[np.float32], offsets: NDArray[np.float64]) -> float:
    """
    How much better points lie on edges than the same points moved to either side do.

    :param strength: (h, w) of :func:`_edge_strength`.
    :param offsets: (N, 2) pixels from the middle of the picture.
    :returns: standard deviations; 0 where hardly a point is in view.
    """
    height, width = strength.shape
    columns = np.rint(offsets[:, 0] + (width - 1) / 2).astype(np.int64)
    rows = np.rint(offsets[:, 1] + (height - 1) / 2).astype(np.int64)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    # in a wide picture many points share a pixel, which is one piece of evidence only
    pixels = np.unique(rows[inside] * width + columns[inside])
    if len(pixels) < LEAST_EDGES // 4:
        return 0.0
    rows, columns = np.divmod(pixels, width)
    hits = float(strength[rows, columns].mean())
    # edges gather around the horizon: chance is what the same rows give elsewhere
    moved = [
        strength[rows, (columns + int(part * width)) % width] for part in (-0.3, -0.15, 0.15, 0.3)
    ]
    chance = float(np.mean(moved))
    spread = float(np.std(moved))
    return (hits - chance) / max(spread, 1e-6) * math.sqrt(len(pixels) / POINTS_PER_EDGE)


def _grey_edges(grey: NDArray[Any]) -> NDArray[np.bool_]:
    """Edges of a picture; the strongest eighth of its slopes begin one."""
    soft = cv2.GaussianBlur(grey, (0, 0), 1.2)
    slopes = cv2.magnitude(cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    high = float(np.percentile(slopes, 88))
    if high < 8.0:
        return np.zeros(grey.shape, np.bool_)
    return np.asarray(cv2.Canny(soft, 0.5 * high, high, L2gradient=True) > 0)


def _edge_points(
    rgb: NDArray[np.uint8], depth: NDArray[Any], camera: Intrinsics
) -> NDArray[np.float64]:
    """Points (N, 3) in metres in the RGB optical frame that lie on edges of picture or depth."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    finite = np.nan_to_num(np.asarray(depth, np.float32), nan=0.0, posinf=FARTHEST, neginf=0.0)
    held = np.clip(finite, NEAREST, FARTHEST)
    # an edge belongs to the nearer side
    near = cv2.erode(held, np.ones((3, 3), np.uint8))
    outline = (cv2.dilate(held, np.ones((3, 3), np.uint8)) > 1.2 * near) & (held < 1.05 * near)
    where = (outline | _grey_edges(grey)) & (finite > NEAREST) & (near < FARTHEST)
    rays = camera.rays()[where]
    known = np.isfinite(rays).all(1)
    z = near[where][known].astype(np.float64)
    return np.concatenate([rays[known] * z[:, None], z[:, None]], 1)


def _edge_strength(thermal: NDArray[Any]) -> NDArray[np.float32]:
    """(h, w) in 0..1, 1 on an edge, falling off within a hundredth of the width."""
    counts = np.nan_to_num(np.asarray(thermal, np.float32))
    low, high = np.percentile(counts, [1, 99])
    grey = np.clip((counts - low) * (255.0 / max(float(high - low), 1e-6)), 0, 255)
    edges = _grey_edges(grey.astype(np.uint8))
    if not edges.any():
        return np.zeros(counts.shape, np.float32)
    away = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.exp(-0.5 * (away / (0.008 * counts.shape[1])) ** 2), np.float32)
