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

from monother_ros.evaluation.evaluate.frame_metrics import FrameScorer
from monother_ros.evaluation.evaluate.metric_names import METRICS
from monother_ros.evaluation.evaluate.settings import EvaluationSettings
from monother_ros.evaluation.metrics import FAR, NEAR, valid_mask

GROUPS = ('depth', 'ranges', 'confidence', 'temporal')
"""Groups of metrics that are quick enough to be measured beside a camera."""

BIN_VALUES = ('abs_rel', 'rmse', 'd1')
"""Metrics of a range of distance."""

WHOLE = ''
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
        """Take the values of a frame."""
        self.frames += 1
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Arithmetic mean of each value over the frames that have it."""
        return {name: total / self.counts[name] for name, total in self.totals.items()}


class RunningMetrics:
    """
    Scores frames one by one and keeps means: over the last ones, over all, by condition and range.

    Values of a frame are those of ``monother evaluate`` (see FrameScorer) for the pixels that have
    both ground truth and a depth: published depth is NaN where the node does not tell it, and
    `told` is the part of the ground truth where it does.

    :param near: ground truth at or below does not count, metres.
    :param far: ground truth at or beyond does not count, metres.
    :param window: frames of the running values.
    :param pixels: most pixels of a frame that are scored, evenly spread; 0 for all.
    :raises SettingsError: the range is empty.
    """

    def __init__(
        self, near: float = NEAR, far: float = FAR, window: int = 30, pixels: int = 0
    ) -> None:
        self.pixels = pixels
        self.settings = EvaluationSettings(
            near=near,
            far=far,
            bin_width=min(5.0, far),
            metrics=GROUPS,
            told_only=True,
            # whatever was published counts as told
            range_min=1e-9,
            range_max=1e9,
        )
        self._last: deque[dict[str, float]] = deque(maxlen=window)
        self.reset()

    def reset(self) -> None:
        """Forget all frames."""
        self._scorer = FrameScorer(self.settings)
        self._last.clear()
        self._groups: dict[str, Sums] = {WHOLE: Sums()}
        self._bins = [Sums() for _ in range(self.settings.bins)]
        self._index = 0

    @property
    def frames(self) -> int:
        """Frames that counted so far."""
        return self._groups[WHOLE].frames

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
        stamp: int = 0,
    ) -> dict[str, float] | None:
        """
        Score a frame.

        :param depth: (H, W) metres, NaN where not known.
        :param truth: (H, W) metres; 0, NaN, infinity and what is out of range do not count.
        :param confidence: (H, W) in [0, 1], or None.
        :param condition: group that the frame belongs to beside all frames; empty for none.
        :param stamp: ns, rising; changes between frames half a second apart or more do not count.
        :returns: the metrics of the frame; None where no pixel has both depth and ground truth.
        :raises ValueError: the shapes differ.
        """
        if any(plane is not None and plane.shape != truth.shape for plane in (depth, confidence)):
            sure = 'none' if confidence is None else confidence.shape
            msg = (
                f'depth is {depth.shape}, ground truth {truth.shape}, confidence {sure}; they '
                'must be equal'
            )
            raise ValueError(msg)
        self._index += 1
        step = self._step(truth)
        if step > 1:
            depth, truth = depth[::step, ::step], truth[::step, ::step]
            confidence = None if confidence is None else confidence[::step, ::step]
        row = self._scorer.score(depth, confidence, truth, self._index, stamp)
        if row is None:
            return None
        every = {
            name: value
            for name, value in zip(self._scorer.columns, row, strict=True)
            if not math.isnan(value)
        }
        values = {name: every[name] for name in METRICS if name in every}
        self._last.append(values)
        for name in {WHOLE, condition}:
            self._groups.setdefault(name, Sums()).add(values)
        for number, sums in enumerate(self._bins):
            if f'bin{number:02d}_abs_rel' in every:
                sums.add({name: every[f'bin{number:02d}_{name}'] for name in BIN_VALUES})
        return values

    def _step(self, truth: NDArray[Any]) -> int:
        """Every how many-th row and column is scored; a sparse ground truth is scored whole."""
        if not self.pixels or truth.size <= self.pixels:
            return 1
        known = np.count_nonzero(valid_mask(truth, self.settings.near, self.settings.far))
        return max(1, math.ceil(math.sqrt(known / self.pixels)))

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
            frames of each; 'ranges', those of each range of distance.
        """
        width, far = self.settings.bin_width, self.settings.far
        return {
            'frames': self.frames,
            'overall': self._groups[WHOLE].means(),
            'conditions': {
                name: {'frames': sums.frames, **sums.means()}
                for name, sums in sorted(self._groups.items())
                if name != WHOLE
            },
            'ranges': [
                {
                    'from_m': number * width,
                    'to_m': min((number + 1) * width, far),
                    'frames': sums.frames,
                    **sums.means(),
                }
                for number, sums in enumerate(self._bins)
                if sums.frames
            ],
        }
