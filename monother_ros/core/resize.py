# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bilinear resize with aligned corners, as the MonoTher-Depth networks were trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AlignedResizer:
    """
    Bilinear resize in which the centres of the corner pixels stay where they are.

    Output pixel i lies at i (n_in - 1) / (n_out - 1) of the input, per axis; nothing is averaged
    when the image shrinks. The same as torch's interpolate(mode='bilinear', align_corners=True);
    OpenCV's resize aligns the outer edges of the corner pixels instead, and its remap rounds
    positions to 1/32 pixel. One axis is mixed after the other, with tables and memory that are
    kept from call to call: one instance serves one thread.
    """

    def __init__(self) -> None:
        """See the class."""
        self._key: tuple[int, ...] = ()
        self._axes: tuple[_Axis, _Axis] | None = None
        self._turned = np.empty((0, 0), np.float32)

    def __call__(
        self, plane: NDArray[np.float32], out: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """
        Resize one plane.

        :param plane: (H, W) float32.
        :param out: (h, w) float32 to write into; it must not overlap with the plane.
        :returns: out.
        """
        if plane.shape == out.shape:
            np.copyto(out, plane)
            return out
        key = (*plane.shape, *out.shape)
        if self._axes is None or key != self._key:
            height, width = plane.shape
            rows, columns = out.shape
            self._axes = (_Axis(height, rows, width), _Axis(width, columns, rows))
            self._turned = np.empty((width, rows), np.float32)
            self._key = key
        vertical, horizontal = self._axes
        # rows are copied whole, which is fast, so the picture is turned to make columns rows
        cv2.transpose(vertical.mix(plane), dst=self._turned)
        mixed = horizontal.mix(self._turned)
        turned = cv2.transpose(mixed, dst=out)
        if not np.shares_memory(turned, out):
            np.copyto(out, turned)
        return out


class _Axis:
    """
    Linear mixing of rows.

    :param before: number of rows that come in.
    :param after: number of rows that go out.
    :param width: length of a row.
    """

    def __init__(self, before: int, after: int, width: int) -> None:
        position = np.linspace(0.0, before - 1.0, after) if after > 1 else np.zeros(1)
        self.first = np.minimum(position.astype(np.intp), max(before - 2, 0))
        self.second = np.minimum(self.first + 1, before - 1)
        self.share = (position - self.first).astype(np.float32)[:, None]
        self._a = np.empty((after, width), np.float32)
        self._b = np.empty((after, width), np.float32)

    def mix(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (before, width) mixed to (after, width); overwritten by the next call."""
        a, b = self._a, self._b
        # the indices are all inside; 'clip' spares numpy a copy of the result
        np.take(rows, self.first, 0, out=a, mode='clip')
        np.take(rows, self.second, 0, out=b, mode='clip')
        np.subtract(b, a, out=b)
        np.multiply(b, self.share, out=b)
        return np.add(a, b, out=a)
