# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learning rate after setbacks, and a loss that explodes."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from monother_ros.core.errors import AdaptationError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


class RateFall:
    """
    Factor on the learning rate: falls at each roll back, recovers slowly with offers.

    :param fall: factor of one roll back, in (0, 1).
    :param floor: least factor, in (0, 1].
    :param recovery: factor of one offer, >= 1; never beyond 1 in total.
    """

    def __init__(self, fall: float = 0.5, floor: float = 1 / 32, recovery: float = 1.25) -> None:
        if not (0 < fall < 1 and 0 < floor <= 1 and recovery >= 1):
            msg = (
                f'fall {fall} (0..1), floor {floor} (0..1] or recovery {recovery} (>= 1) is wrong'
            )
            raise SettingsError(msg)
        self.fall, self.floor, self.recovery = fall, floor, recovery
        self.factor = 1.0
        """Of the learning rate, floor..1."""

    def rolled_back(self) -> float:
        """
        Learn more slowly.

        :returns: the new factor.
        """
        self.factor = max(self.factor * self.fall, self.floor)
        return self.factor

    def offered(self) -> float:
        """
        Learn faster again.

        :returns: the new factor.
        """
        self.factor = min(self.factor * self.recovery, 1.0)
        return self.factor

    def reset(self) -> None:
        """Back to the full rate."""
        self.factor = 1.0

    def state(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {'factor': self.factor}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """
        Go on from :meth:`state`.

        :raises AdaptationError: it is none.
        """
        factor = state.get('factor')
        if not isinstance(factor, int | float) or not 0 < factor <= 1:
            msg = f'the state of the learning rate is damaged (factor: {factor!r}); reset learning'
            raise AdaptationError(msg)
        self.factor = max(float(factor), self.floor)


class ExplosionWatch:
    """
    Tells a loss that explodes from one that is noisy.

    A loss is too large beyond the median of the last ordinary ones by `reach` times their spread
    (median distance from the median, at least `least` of the median's size), and an explosion when
    it stays so. Losses that are too large do not enter the median.

    :param reach: spreads above the median.
    :param patience: losses in a row that are too large or not finite.
    :param window: losses that the median is of.
    :param warmup: losses before which only those that are not finite count.
    :param least: least spread, as a part of the median's size.
    """

    def __init__(
        self,
        reach: float = 8.0,
        patience: int = 3,
        window: int = 64,
        warmup: int = 12,
        least: float = 0.1,
    ) -> None:
        if reach <= 0 or patience < 1 or warmup < 2 or window < warmup or least <= 0:
            msg = 'reach, patience, window, warmup and least must be positive, window >= warmup'
            raise SettingsError(msg)
        self.reach, self.patience, self.warmup, self.least = reach, patience, warmup, least
        self._losses: deque[float] = deque(maxlen=window)
        self._run = 0

    def update(self, loss: float) -> bool:
        """
        Take the next loss.

        :param loss: of a step, may be NaN or infinite.
        :returns: whether the loss has exploded; stays so until :meth:`reset` or an ordinary loss.
        """
        if self._is_too_large(loss):
            self._run += 1
        else:
            self._run = 0
            self._losses.append(loss)
        return self._run >= self.patience

    def reset(self) -> None:
        """Forget all losses: the weights are others now."""
        self._losses.clear()
        self._run = 0

    def _is_too_large(self, loss: float) -> bool:
        if not math.isfinite(loss):
            return True
        if len(self._losses) < self.warmup:
            return False
        losses = np.array(self._losses)
        median = float(np.median(losses))
        spread = float(np.median(np.abs(losses - median)))
        return loss > median + self.reach * max(spread, self.least * abs(median), 1e-6)
