# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Steps of learning on the vehicle.

The student's depth is drawn to the teacher's where that is trusted, and what the student knew is
rehearsed. The same object judges pairs and the student.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from monother_ros.core.errors import AdaptationError, SettingsError
from monother_ros.learning.anchors import FIRST, STRIDE, AnchorBatch, Anchors
from monother_ros.learning.consistency import DEFAULT, Consistency
from monother_ros.learning.distil_losses import (
    PointLosses,
    Points,
    kept_losses,
    point_losses,
    teacher_points,
)
from monother_ros.learning.online_augment import augment
from monother_ros.learning.online_pair import OnlinePair
from monother_ros.learning.pair_view import PairView, PairViews, compare, pixel_places, reduced
from monother_ros.learning.student import PARTS, Student, StudentOutput, frozen

ANCHOR_RANGE = (0.5, 80.0)
"""Metres; true depths outside do not count in the errors of anchors."""

DOUBTED = 0.3
"""Part of the points of a step that counts less than fully, in proportion to the confidence."""

BANDS = 8
"""Ranges of the teacher's depth, of equal ratio, within each of which that part is found. Far
depth is always trusted less; left out for that, the student would never learn it."""

FEWEST = 50
"""Points of a band below which its level stays as it is."""

FOLLOW = 0.1
"""By which a level follows that of the present pairs: what is spoiled for a while is doubted as a
whole, and not only its worst part."""

_JUDGED = 8


@dataclass(frozen=True)
class DistillerSettings:
    """
    How a step is taken.

    :param part: of the student that is trained; see student.PARTS.
    :param rate: learning rate.
    :param weight_decay: of AdamW, towards 0.
    :param pull: decay towards the weights that the student came with, against forgetting: a step
        takes off the part rate * pull of the distance (Xuhong et al. 2018, arXiv 1802.01483). 0
        saves the copy of the weights that it needs.
    :param clip: largest norm of the gradient.
    :param anchor_weight: of how far the student's outputs for anchors have moved; the loss on
        pairs weighs 1. 0 saves the copy of the student that it needs.
    :param confidence: False counts every valid pixel in view as 1, as an ablation.
    :param metric_weight: of L_con, the error in metres.
    :param depth_weight: of the error of log depth.
    :param bins_weight: of the cross-entropy of the bins, where the student has any.
    :param edge_weight: of the error of depth edges.
    :param augment: strength of the changes of the thermal picture, 0 for none.
    :param seed: of these changes.
    :raises SettingsError: a value outside of what is allowed.
    """

    part: str = 'all'
    rate: float = 2e-4
    weight_decay: float = 0.0
    pull: float = 10.0
    clip: float = 1.0
    anchor_weight: float = 8.0
    confidence: bool = True
    metric_weight: float = 0.0
    depth_weight: float = 1.0
    bins_weight: float = 1.0
    edge_weight: float = 0.1
    augment: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.part not in PARTS:
            msg = f'part {self.part!r} is not known; use one of {", ".join(PARTS)}'
            raise SettingsError(msg)
        if not self.rate > 0 or not self.clip > 0:
            msg = f'rate {self.rate} and clip {self.clip} must be above 0'
            raise SettingsError(msg)
        names = (
            *('weight_decay', 'pull', 'anchor_weight', 'augment'),
            *('metric_weight', 'depth_weight', 'bins_weight', 'edge_weight'),
        )
        for name in names:
            if not getattr(self, name) >= 0:
                msg = f'{name} is {getattr(self, name)}; it must not be negative'
                raise SettingsError(msg)
        if self.metric_weight == self.depth_weight == self.bins_weight == 0:
            msg = 'no loss draws the student to its teacher; set depth_weight above 0'
            raise SettingsError(msg)


class StepResult(NamedTuple):
    """What one step was like, before it was taken."""

    loss: float
    """sum that was made smaller"""
    consistency: float
    """L_con, metres"""
    anchor: float
    """loss on anchors, not weighted; 0 without anchors"""
    mask_share: float
    """share of pixels that L_con is averaged over"""
    confidence: float
    """mean confidence where depths can be compared"""
    finite: bool
    """False: loss or gradient was not a number and nothing has changed"""
    seconds: float
    """duration"""


class Judgement(NamedTuple):
    """What is made of one pair, on the RGB grid of the student's input size."""

    confidence: NDArray[np.float32]
    """(h, w) trust in the teacher, 0 to 1"""
    mask: NDArray[np.bool_]
    """(h, w) pixels that are learned from"""
    difference: NDArray[np.float32]
    """(h, w) metres, -1 where depths cannot be compared"""
    loss: float
    """L_con, metres"""


class Distiller:
    """
    Takes steps and judges pairs.

    :param student: changed by steps; its part is selected here.
    :param confidence: network of 8 channels; evaluated, never trained. None trusts the teacher
        everywhere.
    :param settings: see :class:`DistillerSettings`.
    :param original: the student as it came, whose outputs for anchors are to be kept; None takes
        the student as it is now.
    """

    def __init__(
        self,
        student: Student,
        confidence: nn.Module | None,
        settings: DistillerSettings | None = None,
        original: Student | None = None,
    ) -> None:
        self.student = student
        self.settings = settings or DistillerSettings()
        self._original: Student | None = None
        if self.settings.anchor_weight > 0:
            self._original = frozen(student if original is None else original)
        self.views = PairViews(student.bundle.normalisation, student.device)
        self._network = None
        if confidence is not None:
            self._network = confidence.eval().requires_grad_(False).to(student.device)
        self._parameters = student.select(self.settings.part)
        self._rate = self.settings.rate
        self._origin: list[Tensor] = []
        if self.settings.pull > 0:
            self._origin = list(student.snapshot_of(original).values())
        self.reset()

    @property
    def rate(self) -> float:
        """Learning rate of the steps to come."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        self._rate = float(value)
        for group in self._optimiser.param_groups:
            group['lr'] = self._rate

    def reset(self) -> None:
        """Start the optimiser anew; the weights stay."""
        self._optimiser = torch.optim.AdamW(
            self._parameters, self._rate, weight_decay=self.settings.weight_decay
        )
        self._generator = torch.Generator().manual_seed(self.settings.seed)
        self._levels = torch.zeros(BANDS)
        self._steps = 0

    # learning

    def step(self, pairs: Sequence[OnlinePair], anchors: AnchorBatch | None = None) -> StepResult:
        """
        One step of the optimiser.

        :param pairs: at least one, of one size.
        :param anchors: to rehearse; None for none. Their true depths are not used: the outputs of
            the student as it came are kept (Li & Hoiem 2018, Learning without Forgetting), since
            a few true depths would be learned by heart.
        :returns: what it was like. Where loss or gradient is not a number, nothing has changed.
        """
        begin = time.perf_counter()
        view = self.views.of(pairs)
        output, known, kept = self._forward(view, anchors)
        with torch.set_grad_enabled(self.settings.metric_weight > 0):
            result = self._compare(view, output.depth)
        losses = point_losses(output, self._points(view, result), self.student.bins)
        loss = self._weighted(losses) + self.settings.metric_weight * result.loss
        anchor = loss.new_zeros(())
        if known is not None and kept is not None:
            anchor = self._weighted(kept_losses(known, kept))
            loss = loss + self.settings.anchor_weight * anchor
        finite = self._apply(loss)
        valid = result.valid
        trust = (result.confidence * valid).sum() / valid.sum().clamp(min=1)
        numbers = torch.stack([loss, result.loss, anchor, result.mask.float().mean(), trust])
        total, metric, rehearsed, share, mean = (float(v) for v in numbers.detach())
        seconds = time.perf_counter() - begin
        return StepResult(total, metric, rehearsed, share, mean, finite, seconds)

    def _forward(
        self, view: PairView, anchors: AnchorBatch | None
    ) -> tuple[StudentOutput, StudentOutput | None, StudentOutput | None]:
        """Outputs of pairs and anchors, in one pass, and of the original for these anchors."""
        inputs = view.inputs
        if anchors is not None and len(anchors.inputs) and self._original is not None:
            more = torch.from_numpy(anchors.inputs).to(inputs.device)
            inputs = torch.cat([inputs, more])
        normalisation = self.student.bundle.normalisation
        changed = augment(
            inputs,
            normalisation.mean,
            normalisation.std,
            self.settings.augment,
            self._generator,
        )
        output = self.student.predict(changed)
        count = len(view.inputs)
        if len(inputs) == count or self._original is None:
            return output, None, None
        with torch.no_grad():
            kept = self._original.predict(changed[count:])
        logits = output.logits
        return (
            StudentOutput(output.depth[:count], None if logits is None else logits[:count]),
            StudentOutput(output.depth[count:], None if logits is None else logits[count:]),
            kept,
        )

    def _compare(self, view: PairView, depth: Tensor) -> Consistency:
        network = self._network if self.settings.confidence else None
        return compare(view, depth, network)

    def _points(self, view: PairView, result: Consistency) -> Points:
        """The teacher's points with the trust they get."""
        points = teacher_points(view, ANCHOR_RANGE[0], DEFAULT.far)
        if not self.settings.confidence:
            return points
        trust = result.confidence.detach()
        near, far = math.log(ANCHOR_RANGE[0]), math.log(DEFAULT.far)
        place = (view.teacher.clamp(*ANCHOR_RANGE).log() - near) / (far - near)
        band = (place * BANDS).long().clamp(0, BANDS - 1)
        levels = self._follow(trust, band, points.weight > 0)
        trust = (trust / levels[band].clamp(min=1e-6)).clamp(max=1.0)
        return points._replace(weight=points.weight * trust)

    def _follow(self, trust: Tensor, band: Tensor, known: Tensor) -> Tensor:
        """Levels of confidence below which points of each band count less, (BANDS,)."""
        levels = self._levels.to(trust.device)
        for index in range(BANDS):
            values = trust[known & (band == index)]
            if len(values) < FEWEST:
                continue
            level = torch.quantile(values[:: max(1, len(values) // 5_000)], DOUBTED)
            # the first pairs tell the level, the others move it
            share = FOLLOW if bool(levels[index] > 0) else 1.0
            levels[index] = torch.lerp(levels[index], level, share)
        self._levels = levels
        return levels

    def _weighted(self, losses: PointLosses) -> Tensor:
        settings = self.settings
        return (
            settings.depth_weight * losses.depth
            + settings.bins_weight * losses.bins
            + settings.edge_weight * losses.edges
        )

    def _apply(self, loss: Tensor) -> bool:
        """Gradient and step; False where nothing was done because something is not a number."""
        self._optimiser.zero_grad(set_to_none=True)
        if not bool(torch.isfinite(loss)):
            return False
        loss.backward()
        used = [p for p in self._parameters if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(used, self.settings.clip)
        finite = bool(torch.isfinite(norm))
        if finite:
            self._optimiser.step()
            self._steps += 1
            share = min(1.0, self._rate * self.settings.pull)
            with torch.no_grad():
                for parameter, origin in zip(self._parameters, self._origin, strict=False):
                    parameter.lerp_(origin, share)
        self._optimiser.zero_grad(set_to_none=True)
        return finite

    # judging

    @torch.no_grad()
    def judge(self, pair: OnlinePair) -> Judgement:
        """
        Confidence, mask and difference of one pair; nothing is learned.

        :param pair: with the teacher's depth.
        """
        view = self.views.of([pair])
        result = self._compare(view, self.student.predict(view.inputs).depth)
        maps = torch.cat([result.confidence, result.mask.float(), result.difference], 1)
        confidence, mask, difference = self._full(maps, view)[0].cpu().numpy()
        return Judgement(confidence, mask > 0.5, difference, float(result.loss))

    @torch.no_grad()
    def weigh(self, pair: OnlinePair) -> NDArray[np.float16]:
        """
        Fixed trust for a pair to be judged on: the student changes, its judge must not.

        :param pair: with the teacher's depth.
        :returns: (h, w) >= 0, 0 where the depths cannot be compared.
        """
        view = self.views.of([pair])
        result = self._compare(view, self.student.predict(view.inputs).depth)
        weight = self._points(view, result).weight
        return self._full(weight, view)[0, 0].cpu().numpy().astype(np.float16)

    @torch.no_grad()
    def express(self, pair: OnlinePair) -> NDArray[np.float32]:
        """
        The student's depth in the RGB camera, for teachers that need a scale.

        :param pair: the teacher's depth is not needed and not used where there is none.
        :returns: (h, w) metres, 0 where unknown.
        """
        view = self.views.of([pair])
        depth = self.student.predict(view.inputs).depth
        missing = view.teacher <= 0
        if bool(missing.any()):
            # where the RGB pixel lands depends on its depth: the student's own is near enough
            filled = torch.where(missing, self._guess(view, depth), view.teacher)
            view = view._replace(teacher=filled)
        result = compare(view, depth, None)
        return self._full(result.expressed, view)[0, 0].cpu().numpy()

    def _guess(self, view: PairView, depth: Tensor) -> Tensor:
        """The student's depth at the pixels of the RGB grid, without regard to parallax."""
        size = (int(view.teacher.shape[-2]), int(view.teacher.shape[-1]))
        rough = F.interpolate(depth, size, mode='nearest') * view.geometry.scale
        points = teacher_points(view._replace(teacher=rough), 0.0, float('inf'))
        fetched = F.grid_sample(depth, points.places, mode='nearest', align_corners=True)
        return fetched * view.geometry.scale

    @torch.no_grad()
    def errors(self, pairs: Sequence[OnlinePair]) -> NDArray[np.float64]:
        """
        Mean |student - teacher| / teacher of each pair, weighted by its fixed trust.

        Both are compared as depth in the thermal camera.

        :param pairs: with a weight; one without counts every pixel in view as 1.
        :returns: (N,); NaN where nothing counts.
        """
        result = []
        for group in _groups(pairs):
            view = self.views.of(group)
            depth = self.student.predict(view.inputs).depth
            points = teacher_points(view, ANCHOR_RANGE[0], DEFAULT.far)
            weight = points.weight * self._fixed(group, view)
            said = F.grid_sample(depth, points.places, align_corners=True, padding_mode='border')
            error = (said * torch.exp(-points.log_depth) - 1.0).abs()
            total = weight.double().sum((1, 2, 3))
            mean = (weight.double() * error).sum((1, 2, 3)) / total
            result += torch.where(total > 1e-3, mean, torch.full_like(mean, torch.nan)).tolist()
        return np.array(result, np.float64)

    def _fixed(self, pairs: Sequence[OnlinePair], view: PairView) -> Tensor:
        """Weights of pairs on the grid of comparisons."""
        rows, columns = view.inputs.shape[-2:]
        plain = np.ones((rows, columns), np.float16)
        weights = np.stack([plain if p.weight is None else p.weight for p in pairs])[:, None]
        tensor = torch.from_numpy(weights).to(view.inputs.device).float()
        places = pixel_places(reduced((rows, columns)), tensor)
        return F.grid_sample(
            tensor, places.expand(len(pairs), -1, -1, -1), mode='nearest', align_corners=True
        )

    @torch.no_grad()
    def anchor_errors(self, anchors: Anchors | AnchorBatch) -> NDArray[np.float64]:
        """
        AbsRel of each anchor over true depths of 0.5 to 80 m.

        :param anchors: some, or all of them.
        :returns: (N,); NaN where no depth counts.
        """
        result = []
        for batch in _batches(anchors):
            said = self.student.predict(torch.from_numpy(batch.inputs).to(self.student.device))
            truth = torch.from_numpy(batch.depth).to(self.student.device).double()
            low, high = ANCHOR_RANGE
            depth = said.depth[..., FIRST::STRIDE, FIRST::STRIDE].double().clamp(low, high)
            counts = (truth > low) & (truth < high)
            error = torch.where(counts, (depth - truth).abs() / truth.clamp(min=low), 0.0)
            mean = error.sum((1, 2, 3)) / counts.sum((1, 2, 3))
            result += mean.tolist()
        return np.array(result, np.float64)

    @staticmethod
    def _full(maps: Tensor, view: PairView) -> Tensor:
        """Maps of a comparison at the size of the student's input."""
        rows, columns = view.inputs.shape[-2:]
        places = pixel_places((rows, columns), maps).expand(len(maps), -1, -1, -1)
        return F.grid_sample(maps, places, mode='nearest', align_corners=True)

    # state

    def state(self) -> dict[str, Any]:
        """State of the optimiser and of what is random: tensors and plain values."""
        state: dict[str, Any] = {
            'steps': self._steps,
            'rate': self._rate,
            'random': self._generator.get_state(),
            'levels': self._levels.cpu().clone(),
        }
        for index, values in self._optimiser.state_dict()['state'].items():
            for name, value in values.items():
                state[f'{index}.{name}'] = value
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """
        Go on from :meth:`state`.

        :param state: of a distiller with the same student and part.
        :raises AdaptationError: it fits another student or part.
        """
        try:
            values: dict[int, dict[str, Any]] = {}
            for key, value in state.items():
                index, _, name = key.partition('.')
                if name:
                    values.setdefault(int(index), {})[name] = value
            shapes = {i: tuple(p.shape) for i, p in enumerate(self._parameters)}
            for number, entry in values.items():
                if tuple(entry['exp_avg'].shape) != shapes[number]:
                    msg = f'parameter {number} has another shape'
                    raise ValueError(msg)
            groups = self._optimiser.state_dict()['param_groups']
            self._optimiser.load_state_dict({'state': values, 'param_groups': groups})
            self._generator.set_state(state['random'])
            self._levels = torch.as_tensor(state['levels']).float().clone()
            self._steps = int(state['steps'])
            self.rate = float(state['rate'])
        except (KeyError, ValueError, TypeError, RuntimeError) as err:
            self.reset()
            msg = f'the state of the optimiser does not fit ({err}); learning starts anew from it'
            raise AdaptationError(msg) from err


def _groups(pairs: Sequence[OnlinePair]) -> Iterator[Sequence[OnlinePair]]:
    for start in range(0, len(pairs), _JUDGED):
        yield pairs[start : start + _JUDGED]


def _batches(anchors: Anchors | AnchorBatch) -> Iterator[AnchorBatch]:
    """Batches of some anchors, in order."""
    if isinstance(anchors, Anchors):
        for start in range(0, len(anchors), _JUDGED):
            yield anchors.batch(range(start, min(start + _JUDGED, len(anchors))))
        return
    for start in range(0, len(anchors.inputs), _JUDGED):
        part = slice(start, start + _JUDGED)
        yield AnchorBatch(anchors.inputs[part], anchors.depth[part], anchors.indices[part])
