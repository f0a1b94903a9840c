# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a task tells the trainer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from monother_ros.learning.batches import Batches
from monother_ros.learning.distributed import Group
from monother_ros.learning.parameter_groups import Hyper, ParameterGroup


class Task(ABC):
    """
    A network, its data and its loss; everything that decides the numbers of a run.

    ``network`` is what is trained and saved; ``module`` holds it and gives the losses of a batch
    in its forward pass, a mapping with at least ``total``.
    """

    name: ClassVar[str]
    best: ClassVar[str] = 'abs_rel'
    """validation figure by which the best weights are chosen; the lowest wins"""
    unused: ClassVar[bool] = False
    """whether some parameters get no gradient in some or all steps"""
    figures: ClassVar[tuple[str, ...]]
    """what the validation measures"""

    network: nn.Module
    module: nn.Module
    batches: Batches
    steps: int
    """optimiser steps of the whole schedule"""
    losses: tuple[str, ...]
    """parts of the loss, ``total`` first"""
    clip: float
    """limit of the norm of all gradients together"""

    @abstractmethod
    def groups(self) -> Sequence[ParameterGroup]:
        """Groups of the parameters that are trained."""

    @abstractmethod
    def hyper(self, step: int) -> Sequence[Hyper]:
        """Rate and betas of every group in a step, by the step alone."""

    @abstractmethod
    def samples(self, step: int) -> int:
        """Samples of all processes together in a step."""

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Plain values that a checkpoint must agree with to be continued."""

    @abstractmethod
    def watch_at(self, step: int) -> bool:
        """Whether to validate after that many steps."""

    @abstractmethod
    def measure(
        self, network: nn.Module, step: int, rank: int, world: int
    ) -> list[dict[str, float]]:
        """
        Figures of one process's share of the validation samples.

        :param network: in evaluation mode.
        :param step: steps so far.
        :param rank: share: samples rank, rank + world, rank + 2 world …
        :param world: number of shares.
        :returns: figures of every sample of the share; an empty mapping for one without truth.
        """

    eps: float = 1e-8
    """of the optimiser"""

    def connect(self, group: Group) -> None:
        """Take the group of processes whose samples form a batch; called once, at the start."""
        return

    def scaled(self, factor: float) -> None:
        """
        Take by how much gradients are larger in the backward pass than those of the global loss.

        :param factor: number of processes times the scale of half precision.
        """
        return

    def decay(self, step: int) -> float | None:
        """Decay of the moving average of the weights in a step; None where there is none."""
        return None

    def reconcile(self, found: Mapping[str, Any], step: int) -> Mapping[str, Any]:
        """
        Identity of a checkpoint, with those differences taken out that do not matter.

        :param found: identity in the checkpoint.
        :param step: of the checkpoint.
        """
        return found

    def state(self, network: nn.Module) -> dict[str, Tensor]:
        """Weights under the names that files carry."""
        return network.state_dict()

    def metadata(self) -> dict[str, str]:
        """Texts that files of weights carry, so that they can be read without the recipe."""
        return {}

    def load(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Put weights back that :meth:`state` gave."""
        network.load_state_dict(dict(state))
