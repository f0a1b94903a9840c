# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Frames that are kept to be looked at, small enough to travel with the result of a unit.

Of each condition the best and the worst frame are kept, and a few that a hash of their number
draws, so that they are the same ones for every model: the one nearest to the median stands for
the usual frame, and with several models the best and the worst are taken of them, too.
"""

from __future__ import annotations

import io
import operator
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.camera import Intrinsics

WIDEST = 320
"""Pixels; wider pictures are shrunk."""

DRAWN = 8
"""Frames of one condition and recording that are drawn."""


@dataclass(frozen=True)
class KeptFrame:
    """
    One frame that may be shown.

    :param index: number of the frame in its recording. :param stamp: ns.
    :param condition: name. :param abs_rel: of this frame.
    :param data: arrays, see :func:`unpack`.
    """

    index: int
    stamp: int
    condition: str
    abs_rel: float
    data: bytes


class Keeper:
    """Frames that are kept: of each condition the best, the worst and those that were drawn."""

    def __init__(self) -> None:
        """See the class."""
        self._best: dict[str, int] = {}
        self._worst: dict[str, int] = {}
        self._drawn: dict[str, list[int]] = {}
        self._frames: dict[int, KeptFrame] = {}

    @property
    def frames(self) -> list[KeptFrame]:
        """What is kept, in the order of time; without those whose content is lost."""
        kept = (self._frames[index] for index in sorted(self._frames))
        return [frame for frame in kept if frame.data]

    def wants(self, index: int, condition: str, abs_rel: float) -> bool:
        """
        Whether a frame would be kept, so that others need not be compressed.

        :param index: of the frame, later than all before. :param condition: name.
        :param abs_rel: of the frame.
        """
        if condition not in self._best:
            return True
        best, worst = (self._frames[k[condition]].abs_rel for k in (self._best, self._worst))
        drawn = self._drawn[condition]
        lowest = len(drawn) < DRAWN or priority(index) < max(map(priority, drawn))
        return abs_rel < best or abs_rel > worst or lowest

    def offer(self, frame: KeptFrame, forget: Callable[[int], None]) -> None:
        """
        Keep a frame where :meth:`wants` would say so.

        :param frame: later than all before.
        :param forget: called with the numbers of frames that are let go for it.
        """
        if not self.wants(frame.index, frame.condition, frame.abs_rel):
            return
        name, before = frame.condition, set(self._frames)
        self._frames[frame.index] = frame
        for places, better in ((self._best, operator.lt), (self._worst, operator.gt)):
            held = places.get(name)
            if held is None or better(frame.abs_rel, self._frames[held].abs_rel):
                places[name] = frame.index
        drawn = [*self._drawn.get(name, []), frame.index]
        self._drawn[name] = sorted(drawn, key=priority)[:DRAWN]
        wanted = {*self._best.values(), *self._worst.values()}
        wanted.update(*self._drawn.values())
        for index in before - wanted:
            del self._frames[index]
            forget(index)

    def fill(self, stored: Callable[[int], bytes | None]) -> None:
        """
        Put the content of frames in place that were offered without it.

        :param stored: gives the content of a frame by its number, or None.
        """
        for index, frame in list(self._frames.items()):
            self._frames[index] = replace(frame, data=stored(index) or b'')


@dataclass(frozen=True, eq=False)
class Look:
    """
    Arrays of a kept frame, all (h, w), at most WIDEST pixels wide.

    :param thermal: uint8, stretched from the 1st to the 99th percentile.
    :param depth: float32 metres, NaN where unknown. :param truth: the same; +inf for sky.
    :param confidence: float32 in [0, 1]; None where the model has none.
    :param intrinsics: fx, fy, cx, cy in pixels of these arrays; None where not known.
    """

    thermal: NDArray[np.uint8]
    depth: NDArray[np.float32]
    truth: NDArray[np.float32]
    confidence: NDArray[np.float32] | None
    intrinsics: tuple[float, float, float, float] | None


def pack(
    thermal: NDArray[Any],
    depth: NDArray[Any],
    truth: NDArray[Any],
    confidence: NDArray[Any] | None,
    camera: Intrinsics | None,
) -> bytes:
    """
    Keep a frame for people's eyes: half precision, at most WIDEST wide.

    Nothing is compressed yet, as most frames that are kept at first make way for others.

    :param thermal: (H, W) raw counts. :param depth: (h, w) metres. :param truth: (h', w') metres.
    :param confidence: (h, w) in [0, 1] or None. :param camera: of the thermal image, or None.
    :returns: for :func:`unpack`; equal input gives equal bytes.
    """
    height, width = thermal.shape
    size = (width, height)
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
    low, high = np.percentile(thermal, [1, 99])
    grey = np.clip((thermal - low) * (255 / max(high - low, 1.0)), 0, 255).astype(np.uint8)
    arrays: dict[str, Any] = {
        'thermal': _sized(grey, size, cv2.INTER_AREA),
        'depth': _sized(depth.astype(np.float32), size, cv2.INTER_NEAREST).astype(np.float16),
        'truth': _sparse_sized(np.asarray(truth, np.float32), size).astype(np.float16),
    }
    if confidence is not None:
        small = _sized(confidence.astype(np.float32), size, cv2.INTER_NEAREST)
        arrays['confidence'] = np.rint(np.nan_to_num(small).clip(0, 1) * 255).astype(np.uint8)
    if camera is not None:
        scaled = camera.scaled(*size)
        arrays['camera'] = np.array([scaled.fx, scaled.fy, scaled.cx, scaled.cy])
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def compressed(data: bytes) -> bytes:
    """
    The same frame in about half of the bytes.

    :param data: of :func:`pack`.
    :returns: for :func:`unpack`; equal input gives equal bytes.
    """
    buffer = io.BytesIO()
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays: dict[str, Any] = dict(file)
        np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> Look:
    """
    Arrays of a kept frame.

    :param data: of :func:`pack` or :func:`compressed`.
    :raises ValueError: it is none.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        confidence = None
        if 'confidence' in file:
            confidence = file['confidence'].astype(np.float32) / np.float32(255)
        camera = None
        if 'camera' in file:
            fx, fy, cx, cy = (float(v) for v in file['camera'])
            camera = (fx, fy, cx, cy)
        depth, truth = (file[name].astype(np.float32) for name in ('depth', 'truth'))
        return Look(file['thermal'], depth, truth, confidence, camera)


def priority(index: int) -> int:
    """
    Rank of a frame in the draw, the same wherever it is asked for; the lowest are kept.

    :param index: number of the frame in its recording.
    """
    return zlib.crc32(index.to_bytes(8, 'little'))


def _sized(image: NDArray[Any], size: tuple[int, int], method: int) -> NDArray[Any]:
    """Image of a size."""
    if image.shape[::-1] == size:
        return image
    return cv2.resize(image, size, interpolation=method)


def _sparse_sized(truth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Truth of a size; where it is sparse, the points of a cell are not lost as it shrinks."""
    clean = np.where(np.isnan(truth) | (truth <= 0), np.float32(np.nan), truth)
    known = np.isfinite(clean)
    if clean.shape[::-1] == size or known.mean() > 0.5:
        return np.asarray(_sized(clean, size, cv2.INTER_NEAREST), np.float32)
    out = np.full(size[::-1], np.nan, np.float32)
    rows, columns = np.nonzero(known)
    places = (rows * size[1] // clean.shape[0], columns * size[0] // clean.shape[1])
    out[places] = clean[known]
    return out
