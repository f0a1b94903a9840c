# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of a stream of frames that may never end: means so far, in constant memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monother_ros.evaluation.metrics import (
    FAR,
    NEAR,
    absolute_relative,
    depth_metrics,
    sparsification,
    valid_mask,
)

BIN = 5.0
"""Width of a range bin in metres."""

WHOLE = 'all'
"""Name of the group of all frames."""


@dataclass
class Sums:
    """
    Sums of the values of frames, each with its own count, as not every frame has every value.

    :param frames: frames that counted.
    """

    frames: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, values: Mapping[str, float]) -> None:
        """Take the values of a frame; a value that is NaN does not count."""
        self.frames += 1
        for name, value in values.items():
            if not math.isnan(value):
                self.totals[name] = self.totals.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Arithmetic mean of each value over the frames that have it."""
        return {name: total / self.counts[name] for name, total in self.totals.items()}


class RunningMetrics:
    """
    Scores frames one by one and keeps means: over the last ones, over all, by condition and range.

    Values per frame are those of :func:`.metrics.depth_metrics` over the pixels where there are
    both depth and ground truth (published depth is NaN where it is not known), and 'told', the
    part of the pixels with ground truth where there is depth; 'scale', the median of ground
    truth over depth, the factor that depth lacks; and, where there is a confidence, 'ause' and 'random_ause' by AbsRel. Means are
    arithmetic ones of values per frame.

    :param near: ground truth at or below does not count, metres.
    :param far: ground truth at or beyond does not count, metres.
    :param window: frames of the running values.
    :param confidence_pixels: most pixels of a frame by which its confidence is judged.
    """

    def __init__(
        self,
        near: float = NEAR,
        far: float = FAR,
        window: int = 30,
        confidence_pixels: int = 20000,
    ) -> None:
        self._near, self._far = near, far
        self.confidence_pixels = confidence_pixels
        self._last: deque[dict[str, float]] = deque(maxlen=window)
        self._groups: dict[str, Sums] = {}
        self._bins: dict[int, Sums] = {}

    @property
    def frames(self) -> int:
        """Frames that counted so far."""
        return self._groups[WHOLE].frames if WHOLE in self._groups else 0

    @property
    def window(self) -> int:
        """Frames of the running values."""
        return self._last.maxlen or 0

    @window.setter
    def window(self, frames: int) -> None:
        self._last = deque(self._last, maxlen=frames)

    def add(
        self,
        depth: NDArray[Any],
        truth: NDArray[Any],
        confidence: NDArray[Any] | None = None,
        condition: str = '',
    ) -> dict[str, float] | None:
        """
        Score a frame.

        :param depth: (H, W) metres, NaN where not known.
        :param truth: (H, W) metres; 0, NaN, infinity and what is out of range do not count.
        :param confidence: (H, W) in [0, 1], or None.
        :param condition: group that the frame belongs to beside all frames; empty for none.
        :returns: the values of the frame; None where no pixel has both depth and ground truth.
        :raises ValueError: the shapes differ.
        """
        if depth.shape != truth.shape:
            msg = f'depth is {depth.shape}, ground truth is {truth.shape}; they must be equal'
            raise ValueError(msg)
        valid = valid_mask(truth, self._near, self._far)
        told = valid & np.isfinite(depth)
        g, p = truth[told], depth[told]
        if not g.size:
            return None
        values = depth_metrics(p, g, near=self._near, far=self._far)
        values['told'] = g.size / np.count_nonzero(valid)
        # as the metrics do: depth below the nearest counts as the nearest
        values['scale'] = float(np.median(g / np.maximum(p, self._near)))
        if confidence is not None and confidence.shape == depth.shape:
            values.update(self._ranked(p, g, confidence[told]))
        self._last.append(values)
        for name in {WHOLE, condition} - {''}:
            self._groups.setdefault(name, Sums()).add(values)
        self._by_range(p, g)
        return values

    def _ranked(
        self, p: NDArray[Any], g: NDArray[Any], confidence: NDArray[Any]
    ) -> dict[str, float]:
        """How well a confidence ranks the errors of a frame."""
        step = -(-g.size // self.confidence_pixels)
        error = absolute_relative(p[::step], g[::step], near=self._near, far=self._far)
        sure = confidence[::step]
        known = np.isfinite(sure)
        if not known.any():
            return {}
        curve = sparsification(error[known], sure[known])
        return {'ause': curve.ause, 'random_ause': curve.random_ause}

    def _by_range(self, p: NDArray[Any], g: NDArray[Any]) -> None:
        """Error of each bin of ground truth, as a value of this frame."""
        error = absolute_relative(p, g, near=self._near, far=self._far)
        index = np.minimum(g, self._far).astype(np.int64) // int(BIN)
        counts = np.bincount(index)
        sums = np.bincount(index, error)
        for number in np.flatnonzero(counts).tolist():
            value = float(sums[number] / counts[number])
            self._bins.setdefault(number, Sums()).add({'abs_rel': value})

    def running(self) -> dict[str, float]:
        """Means over the last frames; empty before the first one."""
        sums = Sums()
        for values in self._last:
            sums.add(values)
        return sums.means()

    def report(self) -> dict[str, Any]:
        """
        What is known so far, as plain numbers for JSON.

        :returns: 'frames'; 'overall', means over all frames; 'conditions', means and number of
            frames of each; 'ranges', mean AbsRel and number of frames of each 5 m bin.
        """
        groups = dict(self._groups)
        overall = groups.pop(WHOLE, Sums())
        return {
            'frames': overall.frames,
            'overall': overall.means(),
            'conditions': {
                name: {'frames': sums.frames, **sums.means()}
                for name, sums in sorted(groups.items())
            },
            'ranges': [
                {
                    'from_m': number * BIN,
                    'to_m': (number + 1) * BIN,
                    'frames': sums.frames,
                    **sums.means(),
                }
                for number, sums in sorted(self._bins.items())
            ],
        }

    def reset(self) -> None:
        """Forget all frames."""
        self._last.clear()
        self._groups.clear()
        self._bins.clear()
