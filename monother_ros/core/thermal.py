# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Raw thermal counts to network input, as the model bundle says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.errors import ThermalError
from monother_ros.core.resize import AlignedResizer

if TYPE_CHECKING:
    from monother_ros.core.bundle import Normalisation

MIN_SPAN = 1.0
"""Narrowest window in counts: below it there is quantisation only, and a flat frame divides."""

RELOCK = 0.5
"""Part of the window by which measured bounds may leave the smoothed ones before it is dropped."""

COMMON_SHIFT = 0.15
"""Part of the window by which both bounds move together within one frame at an offset jump."""


def check_raw(raw: NDArray[Any]) -> None:
    """
    Refuse what is no thermal picture.

    :param raw: (H, W) uint8 or uint16.
    :raises ThermalError: another type or shape, or no pixels.
    """
    if raw.ndim != 2 or raw.dtype not in (np.uint8, np.uint16) or raw.size == 0:
        msg = (
            f'a thermal image must be (height, width) uint8 or uint16 with pixels in it, but is '
            f'{raw.shape} {raw.dtype}'
        )
        raise ThermalError(msg)


def percentile_bounds(raw: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """
    Two percentiles of a picture, exact, with linear interpolation as numpy.percentile.

    Counted by histogram: 0.4 ms for 640x512 of 16 bit, where sorting takes 6 ms.

    :param raw: (H, W) uint8 or uint16.
    :param low: lower percentile, 0..100.
    :param high: upper percentile, 0..100.
    :returns: bounds in counts.
    """
    below = np.cumsum(np.bincount(raw.reshape(-1)))
    last = raw.size - 1
    bounds = []
    for percent in (low, high):
        position = percent / 100.0 * last
        first = math.floor(position)
        ranks = np.array([first, min(first + 1, last)])
        a, b = np.searchsorted(below, ranks, side='right').tolist()
        bounds.append(a + (b - a) * (position - first))
    return bounds[0], bounds[1]


class Normaliser:
    """
    Scales raw counts to [0, 1], clips, resizes to the network, then applies mean and std.

    Scaling and clipping come before resizing, as in MonoTher-Depth: where a pixel is clipped the
    two steps do not commute. The resize is the bundle's: 'area' averages areas when it shrinks and
    is bilinear otherwise, 'aligned' is :class:`monother_ros.core.resize.AlignedResizer`; the
    aspect is not kept. Buffers are reused; one instance serves one camera and one thread.

    'stable_percentile' follows the percentiles of the frames with a time constant that runs on
    their stamps. The window moves at once, and the picture stays as it was, where both bounds
    shift together from one frame to the next (offset jump after a shutter); it locks on anew where
    the picture would saturate, and after time has jumped backwards.

    :param spec: method and numbers.
    :param size: network (width, height) in pixels.
    """

    def __init__(self, spec: Normalisation, size: tuple[int, int]) -> None:
        """See the class."""
        self.spec = spec
        self.size = size
        self.bounds: tuple[float, float] = (0.0, 0.0)
        self._scaled = np.empty((0, 0), np.float32)
        self._aligned = AlignedResizer() if spec.resize == 'aligned' else None
        self._measured: tuple[float, float] | None = None
        self._stamp: int | None = None

    def reset(self) -> None:
        """Forget earlier frames."""
        self._measured = None
        self._stamp = None

    def __call__(
        self, raw: NDArray[Any], stamp_ns: int, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """
        Network input of one frame.

        :param raw: (H, W) uint8 or uint16.
        :param stamp_ns: time of the frame in nanoseconds.
        :param out: (channels, h, w) float32 to write into; made where None.
        :returns: (channels, h, w) float32.
        :raises ThermalError: raw is no thermal picture, or 'fixed' counts are asked of 8 bit.
        """
        check_raw(raw)
        width, height = self.size
        shape = (self.spec.channels, height, width)
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            msg = f'out must be {shape} float32, but is {out.shape} {out.dtype}'
            raise ThermalError(msg)
        self.bounds = self._window(raw, stamp_ns)
        same = raw.shape == (height, width)
        scaled = out[0] if same else self._scale_buffer(raw.shape)
        _scale(raw, *self.bounds, scaled)
        if not same and self._aligned is not None:
            self._aligned(scaled, out[0])
        elif not same:
            shrinks = raw.shape[0] >= height and raw.shape[1] >= width
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            resized = cv2.resize(scaled, self.size, dst=out[0], interpolation=method)
            if resized is not out[0] and not np.shares_memory(resized, out):
                out[0] = resized
        if self.spec.mean or self.spec.std != 1.0:
            out[0] -= np.float32(self.spec.mean)
            out[0] *= np.float32(1.0 / self.spec.std)
        out[1:] = out[0]
        return out

    def _scale_buffer(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Full-size scratch memory, made anew when the image size changes."""
        if self._scaled.shape != shape:
            self._scaled = np.empty(shape, np.float32)
        return self._scaled

    def _window(self, raw: NDArray[Any], stamp_ns: int) -> tuple[float, float]:
        """Counts that become 0 and 1 in this frame."""
        spec = self.spec
        if spec.method == 'fixed':
            if raw.dtype == np.uint8 and spec.high > 255:
                msg = (
                    f'this model takes counts of {spec.low:g}..{spec.high:g}, but the camera '
                    'sends 8 bit (AGC); switch the driver to 16 bit or take a model that follows '
                    'percentiles of the frame'
                )
                raise ThermalError(msg)
            return spec.low, spec.high
        measured = percentile_bounds(raw, spec.low, spec.high)
        if spec.method == 'percentile':
            return measured
        return self._follow(measured, stamp_ns)

    def _follow(self, measured: tuple[float, float], stamp_ns: int) -> tuple[float, float]:
        """Smoothed window of 'stable_percentile'."""
        before, self._measured = self._measured, measured
        last, self._stamp = self._stamp, stamp_ns
        if before is None or last is None or stamp_ns < last:
            return measured
        low, high = self.bounds
        span = max(high - low, MIN_SPAN)
        down, up = measured[0] - before[0], measured[1] - before[1]
        shift = min(down, up, key=abs)
        if down * up > 0 and abs(shift) > COMMON_SHIFT * span and abs(up - down) < abs(shift):
            # before and after the shutter the same scene has other counts: move with it
            mean = (down + up) / 2
            low, high = low + mean, high + mean
        # a window that is suddenly narrow (flat frame) is approached slowly, never locked on to
        if measured[0] < low - RELOCK * span or measured[1] > high + RELOCK * span:
            return measured
        if measured[0] > high or measured[1] < low:
            return measured
        tau = self.spec.time_constant
        gain = 1.0 if tau <= 0 else -math.expm1(-(stamp_ns - last) / 1e9 / tau)
        return low + gain * (measured[0] - low), high + gain * (measured[1] - high)


def _scale(raw: NDArray[Any], low: float, high: float, out: NDArray[np.float32]) -> None:
    """
    Write (raw - low) / (high - low), clipped to [0, 1], into out.

    Whole counts are subtracted first, which float32 does exactly, so that a narrow window high up
    in 16 bit loses nothing.
    """
    base = math.floor(low)
    scale = 1.0 / max(high - low, MIN_SPAN)
    np.subtract(raw, np.float32(base), out=out, dtype=np.float32)
    np.multiply(out, np.float32(scale), out=out)
    np.subtract(out, np.float32((low - base) * scale), out=out)
    np.clip(out, np.float32(0), np.float32(1), out=out)
