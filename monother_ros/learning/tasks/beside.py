# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks that train a sparse depth adapter beside a frozen network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.learning.augment import CANONICAL_FOCAL, PLAIN
from monother_ros.learning.distributed import Group
from monother_ros.learning.parameter_groups import ParameterGroup
from monother_ros.learning.rendered import Frames
from monother_ros.learning.sparse_patterns import Patterns, sparse_from
from monother_ros.learning.tasks.adapter_batches import AdapterBatches, SparseSettings, picture
from monother_ros.learning.tasks.single import SingleTask

WATCHED = (0, 50, 500, 5000)
"""Points per frame of the validation."""


class BesideTask(SingleTask):
    """Task whose network has a frozen part, which is neither trained nor written."""

    frozen: ClassVar[str]
    """beginning of the names of the frozen part"""
    figures = ('abs_rel', *(f'abs_rel_{n}' for n in WATCHED))

    step_module: Any
    """of the network and its loss, with `total`: sum over processes"""
    settings: SparseSettings  # type: ignore[assignment]
    batches: AdapterBatches
    validation: Frames | None

    @abstractmethod
    def predict(self, network: nn.Module, image: Tensor, sparse: Tensor) -> Tensor:
        """
        Depth of one picture with several sparse depths.

        :param network: in evaluation mode.
        :param image: (1, 1, h, w) as the batches have it.
        :param sparse: (B, 1, h, w) metres, 0 = none.
        :returns: (B, 1, h, w) metres.
        """

    def connect(self, group: Group) -> None:
        """Pool the balanced loss over all processes."""
        self.step_module.total = group.total

    def samples(self, step: int) -> int:
        """Pictures of all processes together in a step."""
        return self.settings.samples(step)

    def groups(self) -> Sequence[ParameterGroup]:
        """Parameters that are trained; those of the frozen part are none of them."""
        trained = {n for n, p in self.network.named_parameters() if p.requires_grad}
        return tuple(
            replace(group, names=tuple(n for n in group.names if n in trained))
            for group in super().groups()
        )

    def state(self, network: nn.Module) -> dict[str, Tensor]:
        """Weights of all but the frozen part."""
        return {k: v for k, v in network.state_dict().items() if not k.startswith(self.frozen)}

    def load(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Put these weights back."""
        kept = {k: v for k, v in network.state_dict().items() if k.startswith(self.frozen)}
        network.load_state_dict({**kept, **state})

    def measure(
        self, network: nn.Module, step: int, rank: int, world: int
    ) -> list[dict[str, float]]:
        """Figures with several numbers of points."""
        del step
        if self.validation is None:
            return []

        def predict(image: Tensor, sparse: Tensor) -> Tensor:
            return self.predict(network, image, sparse)

        device = next(network.parameters()).device
        return [
            point_figures(predict, self.validation, k, self.settings, self.batches.far, device)
            for k in range(rank, len(self.validation), world)
        ]


def point_figures(
    predict: Callable[[Tensor, Tensor], Tensor],
    frames: Frames,
    index: int,
    settings: SparseSettings,
    far: float,
    device: torch.device,
) -> dict[str, float]:
    """
    AbsRel of one frame with several numbers of points, without the run-time pipeline.

    :param predict: see :meth:`BesideTask.predict`.
    :param frames: with ground truth.
    :param index: of the frame.
    :param settings: of the run, for size and range.
    :param far: target depth of sky, metres.
    :param device: of the network.
    :returns: `abs_rel_N` for N points, and their mean `abs_rel`; empty without truth.
    """
    rng = np.random.default_rng([9, index])
    image, log_depth = picture(frames, index, settings, far, rng, PLAIN)
    truth = np.exp(log_depth)
    if not (truth < 80.0).any():
        return {}
    surface = np.where(truth >= far * 0.999, np.float32(np.inf), truth)
    focal = CANONICAL_FOCAL * settings.width / 320
    sparse = []
    for count in WATCHED:
        # least_points and most_points alike give that very number, at 320x256 pixels
        points = max(1, round(count * 320 * 256 / surface.size))
        fixed = Patterns(
            least_points=points, most_points=points, misplaced=0, outliers=0, cluttered=0
        )
        kind = 'points' if count else 'none'
        sparse.append(sparse_from(surface, focal, settings.maximum, rng, fixed, kind=kind))
    with torch.inference_mode():
        found = predict(
            torch.from_numpy(image[None, None]).to(device),
            torch.from_numpy(np.stack(sparse)[:, None]).to(device),
        )
    depth = found[:, 0].float().cpu().numpy()
    figures = {
        f'abs_rel_{count}': depth_metrics(depth[k], truth)['abs_rel']
        for k, count in enumerate(WATCHED)
    }
    return {'abs_rel': float(np.mean(list(figures.values()))), **figures}
