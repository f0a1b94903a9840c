# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks that train all of one network at one rate and keep a moving average of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from monother_ros.learning.parameter_groups import Hyper, ParameterGroup
from monother_ros.learning.tasks.base import Task


class SingleSettings(Protocol):
    """What decides the schedule of such a task."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW."""

    @property
    def average(self) -> float:
        """Highest decay of the moving average of the weights."""

    def learning_rate(self, step: int) -> float:
        """Rate of a step."""


class SingleTask(Task):
    """Task whose parameters are all trained at one rate."""

    settings: SingleSettings
    validation: Any
    """samples to watch; None for none"""
    watch_every: int
    """steps between validations, 0 for none"""

    def groups(self) -> Sequence[ParameterGroup]:
        """Weights decay, biases and batch norms do not."""
        named = dict(self.network.named_parameters())
        decayed = tuple(n for n, p in named.items() if p.ndim > 1)
        others = tuple(n for n, p in named.items() if p.ndim <= 1)
        return (
            ParameterGroup('weights', self.settings.weight_decay, decayed),
            ParameterGroup('others', 0.0, others),
        )

    def hyper(self, step: int) -> Sequence[Hyper]:
        """The same rate for all."""
        return (Hyper(self.settings.learning_rate(step), 0.9, 0.999),) * 2

    def decay(self, step: int) -> float:
        """Faster at the start, when the average has seen little."""
        return min(self.settings.average, (1 + step) / (10 + step))

    def watch_at(self, step: int) -> bool:
        """Every so many steps."""
        return self.validation is not None and bool(self.watch_every) and not (
            step % self.watch_every
        )  # fmt: skip
