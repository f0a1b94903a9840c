# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured, and how: everything that changes a figure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from monother_ros.core.errors import SettingsError
from monother_ros.evaluation.metrics import FAR, NEAR

CROPS = ('none', 'garg', 'eigen')
GROUPS = ('depth', 'ranges', 'aligned', 'boundary', 'confidence', 'temporal')
"""Groups of metrics; 'depth' is always there."""
POINTS = ('auto', 'yes', 'no')
SHUTTER = ('auto', 'skip', 'keep')


@dataclass(frozen=True)
class EvaluationSettings:
    """
    Settings of an evaluation.

    :param near: ground truth up to here does not count, prediction is clipped to it; metres.
    :param far: the same at the upper end.
    :param crop: part of the image that counts: none, garg, or eigen (that of KITTI).
    :param metrics: groups of metrics, see GROUPS.
    :param told_only: score only pixels that a robot would publish; by default all pixels count,
        so that a model cannot win by calling hard pixels unknown.
    :param range_min: nearest depth that a robot publishes, m; for `told`.
    :param range_max: farthest one.
    :param confidence_min: least confidence that a robot publishes.
    :param shutter: frames that the shutter detector calls no picture: skip, keep, or auto (keep in
        data sets, whose images were chosen by people).
    :param points: give points of the range sensor to the models: yes, no, or auto (to those that
        take sparse depth).
    :param bin_width: width of the ranges of distance, m.
    :param every: score every n-th frame; the pipeline gets them all.
    :param limit: score at most so many frames of a recording; 0 for all.
    :param bootstrap: resamples of the confidence intervals; 0 for none.
    :param block: seconds of one block of frames, which are drawn together.
    :param level: of the confidence intervals.
    :param seed: of the bootstrap.
    :raises SettingsError: a value is not allowed.
    """

    near: float = NEAR
    far: float = FAR
    crop: str = 'none'
    metrics: tuple[str, ...] = GROUPS
    told_only: bool = False
    range_min: float = 0.5
    range_max: float = 80.0
    confidence_min: float = 0.0
    shutter: str = 'auto'
    points: str = 'auto'
    bin_width: float = 5.0
    every: int = 1
    limit: int = 0
    bootstrap: int = 1000
    block: float = 5.0
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        object.__setattr__(
            self, 'metrics', tuple(g for g in GROUPS if g == 'depth' or g in self.metrics)
        )
        for name, allowed in (('crop', CROPS), ('shutter', SHUTTER), ('points', POINTS)):
            if getattr(self, name) not in allowed:
                msg = f'{name} {getattr(self, name)!r} is not known; use {", ".join(allowed)}'
                raise SettingsError(msg)
        finite = all(
            math.isfinite(v) for v in (self.near, self.far, self.range_max, self.block, self.level)
        )
        if not (finite and 0 < self.near < self.far and 0 < self.range_min < self.range_max):
            msg = (
                f'ranges {self.near} to {self.far} and {self.range_min} to {self.range_max} must '
                'be positive metres, the first below the second'
            )
            raise SettingsError(msg)
        if not (0 < self.level < 1 and self.block > 0 and self.bootstrap >= 0 and self.seed >= 0):
            msg = 'level must be within 0 and 1, block above 0, bootstrap and seed not negative'
            raise SettingsError(msg)
        if not (self.every >= 1 and self.limit >= 0 and 0 <= self.confidence_min <= 1):
            msg = 'every must be at least 1, limit at least 0, confidence_min within 0 and 1'
            raise SettingsError(msg)
        if not 0 < self.bin_width <= self.far or self.far / self.bin_width > 100:
            msg = f'bin_width {self.bin_width} m must divide the range into 1 to 100 parts'
            raise SettingsError(msg)

    @property
    def bins(self) -> int:
        """Number of ranges of distance, from 0 to far."""
        return math.ceil(self.far / self.bin_width - 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), 'metrics': list(self.metrics)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> EvaluationSettings:
        """
        Read what :meth:`as_dict` wrote.

        :raises SettingsError: a value is missing, not known or not allowed.
        """
        try:
            return cls(**{**content, 'metrics': tuple(content.get('metrics', GROUPS))})
        except TypeError as err:
            msg = f'settings of an evaluation do not fit: {err}'
            raise SettingsError(msg) from err
