# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Confidence intervals of means over frames that follow each other in time.

Neighbouring frames are alike, so frames are not drawn one by one, which would give far too narrow
intervals, but in blocks of some seconds (Carlstein 1986: blocks that do not overlap). The interval
holds the middle part of the means of the resamples (percentile method, Efron 1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monother_ros.evaluation.evaluate.schema import Estimate

FEWEST = 4
"""Blocks that are needed for an interval; of fewer, chance makes one of almost no width."""


class BlockBootstrap:
    """
    Resamples of blocks; every metric of the same frames is measured on the same resamples.

    :param blocks: (N,) number of the block of each frame.
    :param resamples: how many; 0 for no intervals.
    :param level: of the intervals, 0 to 1.
    :param seed: equal seeds and blocks give equal intervals.
    """

    def __init__(
        self, blocks: NDArray[np.integer], resamples: int, level: float, seed: int
    ) -> None:
        names, self._block = np.unique(blocks, return_inverse=True)
        self.count = len(names)
        self._level = level
        self._drawn: NDArray[np.float64] | None = None
        if resamples and self.count >= FEWEST:
            rng = np.random.default_rng(seed)
            equal = np.full(self.count, 1 / self.count)
            self._drawn = rng.multinomial(self.count, equal, resamples).astype(np.float64)

    def mean(self, values: NDArray[np.floating]) -> Estimate:
        """
        Mean of the values that are numbers, with its interval.

        Sums are taken in the order of the frames, so that equal rows give equal bits.

        :param values: (N,) one per frame; NaN does not count.
        """
        known = np.isfinite(values)
        frames = int(np.count_nonzero(known))
        if not frames:
            return Estimate(None, None, None, 0)
        block = self._block.reshape(-1)[known]
        sums = np.bincount(block, values[known], self.count)
        counts = np.bincount(block, minlength=self.count).astype(np.float64)
        mean = float(sums.sum() / frames)
        if self._drawn is None or np.count_nonzero(counts) < FEWEST:
            return Estimate(mean, None, None, frames)
        # no matrix product: the order of its sums depends on the number of threads
        total = (self._drawn * counts).sum(1)
        drawn = total > 0
        means = (self._drawn * sums).sum(1)[drawn] / total[drawn]
        edge = 50 * (1 - self._level)
        low, high = np.percentile(means, [edge, 100 - edge])
        return Estimate(mean, float(low), float(high), frames)
