# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How learning on the vehicle goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from monother_ros.core.errors import SettingsError
from monother_ros.learning.alignment import AlignmentSettings
from monother_ros.learning.distiller import DistillerSettings
from monother_ros.learning.gates import GateSettings
from monother_ros.learning.guard import GuardSettings


@dataclass(frozen=True)
class AdaptationSettings:
    """
    How learning on the vehicle goes.

    :param distiller: of one step.
    :param gates: when not to learn.
    :param alignment: when a calibration counts as slipped.
    :param guard: when weights are offered.
    :param batch: pairs in a step.
    :param anchor_batch: anchors in a step.
    :param step_rate: steps per second at most.
    :param pair_rate: pairs per second that are taken at most.
    :param least_pairs: pairs in the memory before learning begins.
    :param consider_steps: steps between two looks of the guard.
    :param held_out_every: one of so many blocks of time is held out and never trained on.
    :param block_seconds: length of such a block.
    :param gap_seconds: at the border of a held-out block nothing is taken for training, so that
        the two sides do not show the same view.
    :param replay_bytes: size of the memory of pairs.
    :param held_out_bytes: size of the memory of held-out pairs.
    :param average: decay of the moving average of the weights, which is what is judged and
        offered; 0 takes the weights themselves.
    :param save_seconds: between two saves of the state of learning.
    :param seed: of everything random.
    """

    distiller: DistillerSettings = field(default_factory=DistillerSettings)
    gates: GateSettings = field(default_factory=GateSettings)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    batch: int = 4
    anchor_batch: int = 2
    step_rate: float = 0.5
    pair_rate: float = 2.0
    least_pairs: int = 16
    consider_steps: int = 20
    held_out_every: int = 5
    block_seconds: float = 2.0
    gap_seconds: float = 0.5
    replay_bytes: int = 400_000_000
    held_out_bytes: int = 60_000_000
    average: float = 0.98
    save_seconds: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ('batch', 'least_pairs', 'consider_steps', 'replay_bytes', 'held_out_bytes'):
            if getattr(self, name) < 1:
                msg = f'{name} is {getattr(self, name)}; it must be at least 1'
                raise SettingsError(msg)
        for name in ('step_rate', 'pair_rate', 'block_seconds', 'save_seconds'):
            if not getattr(self, name) > 0:
                msg = f'{name} is {getattr(self, name)}; it must be above 0'
                raise SettingsError(msg)
        if self.anchor_batch < 0 or not 0 <= self.average < 1 or self.held_out_every < 2:
            msg = (
                f'anchor_batch {self.anchor_batch} must be >= 0, average {self.average} in [0, 1) '
                f'and held_out_every {self.held_out_every} >= 2'
            )
            raise SettingsError(msg)
        if not 0 <= self.gap_seconds < self.block_seconds:
            msg = f'gap_seconds {self.gap_seconds} must be below block_seconds'
            raise SettingsError(msg)
