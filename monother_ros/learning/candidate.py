# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that are being learned, their moving average, and the good ones to fall back to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monother_ros.learning.revisions import CheckFrame

if TYPE_CHECKING:
    from monother_ros.core.bundle import Bundle
    from monother_ros.learning.anchors import Anchors
    from monother_ros.learning.distiller import Distiller
    from monother_ros.learning.online_pair import OnlinePair
    from monother_ros.learning.revisions import RevisionStore
    from monother_ros.learning.student import Student

CHECK_FRAMES = 2
"""Stored frames of a revision, at most."""

BLENDS = tuple(round(0.2 + 0.08 * k, 2) for k in range(11))
"""Shares of what was learned that are tried: 0.2 to 1."""

GROWTH = 2
"""Steps of BLENDS by which the share grows from look to look at most."""

State = dict[str, Tensor]


class Candidate:
    """
    A student's weights in several states: as learned now, averaged, last found good, original.

    What is judged and offered is the average, which wanders less than the weights themselves
    (Polyak & Juditsky 1992), mixed with the original weights as far as that is needed to keep
    what the student knew (Wortsman et al. 2022, Robust fine-tuning of zero-shot models).

    :param student: holds the weights as learned now.
    :param distiller: computes errors with the student's present weights.
    :param original: the student as it came; None where that is the student as it is now.
    """

    def __init__(
        self,
        student: Student,
        distiller: Distiller,
        original: Student | None = None,
    ) -> None:
        self._student = student
        self._distiller = distiller
        self._good: State = student.snapshot()
        self._average: State | None = None
        self._origin: State = student.snapshot_of(original)
        self._original: NDArray[np.float64] | None = None
        self._blend = len(BLENDS) - 1
        # errors of held-out pairs by their stamps: with the good weights, and as judged last
        self._known: dict[int, float] = {}
        self._found: dict[int, float] = {}

    def follow(self, decay: float) -> None:
        """
        Let the average follow the present weights.

        :param decay: share of the average that stays; 0 does without an average.
        """
        if decay == 0.0:
            return
        present = self._student.snapshot()
        if self._average is None:
            self._average = {name: value.clone() for name, value in self._good.items()}
        for name, value in self._average.items():
            if value.is_floating_point():
                value.lerp_(present[name], 1.0 - decay)
            else:
                value.copy_(present[name])

    @property
    def blend(self) -> float:
        """Share of what was learned in the weights that are judged; the rest is the original."""
        return BLENDS[self._blend]

    def _to_judge(self) -> State:
        """Weights to be judged."""
        learned = self._student.snapshot() if self._average is None else self._average
        if self.blend == 1.0:
            return learned
        return {
            name: torch.lerp(self._origin[name], value, self.blend)
            if value.is_floating_point()
            else value
            for name, value in learned.items()
        }

    @contextmanager
    def _with(self, weights: State) -> Iterator[None]:
        """Put weights into the student for a while."""
        present = self._student.snapshot()
        self._student.restore(weights)
        try:
            yield
        finally:
            self._student.restore(present)

    def _judged(self) -> AbstractContextManager[None]:
        return self._with(self._to_judge())

    def errors(
        self, pairs: Sequence[OnlinePair]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Errors of held-out pairs with the good weights and with those to be judged.

        :param pairs: N of them.
        :returns: before and after, each (N,).
        """
        new = [pair for pair in pairs if pair.stamp_ns not in self._known]
        if new:
            with self._with(self._good):
                found = self._distiller.errors(new)
            for pair, value in zip(new, found, strict=True):
                self._known[pair.stamp_ns] = float(value)
        before = np.array([self._known[pair.stamp_ns] for pair in pairs])
        self._known = {pair.stamp_ns: self._known[pair.stamp_ns] for pair in pairs}
        with self._judged():
            after = self._distiller.errors(pairs)
        self._found = {p.stamp_ns: float(v) for p, v in zip(pairs, after, strict=True)}
        return before, after

    def anchor_errors(
        self, anchors: Anchors, enough: Callable[[NDArray[np.float64], NDArray[np.float64]], bool]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Errors of anchors with the original weights and with those to be judged.

        Takes the largest blend with which the anchors are kept, and the least one where none
        keeps them, found by halving: the more of the original is left, the better they are kept.

        :param anchors: M of them.
        :param enough: whether errors before and after say that the anchors are kept.
        :returns: before and after, each (M,).
        """
        if self._original is None:
            with self._with(self._origin):
                self._original = self._distiller.anchor_errors(anchors)
        found: dict[int, NDArray[np.float64]] = {}

        def keeps(index: int) -> bool:
            self._blend = index
            with self._judged():
                found[index] = self._distiller.anchor_errors(anchors)
            assert self._original is not None
            return enough(self._original, found[index])

        low, high = -1, min(self._blend + GROWTH, len(BLENDS) - 1)
        if keeps(high):
            return self._original, found[high]
        while high - low > 1:
            middle = (low + high) // 2
            if keeps(middle):
                low = middle
            else:
                high = middle
        self._blend = max(low, 0)
        return self._original, found[self._blend]

    def accept(self) -> None:
        """The weights that were judged are the good ones from now on."""
        self._good = {name: value.clone() for name, value in self._to_judge().items()}
        self._known, self._found = self._found, {}

    def go_back(self) -> None:
        """Take the good weights again; the optimiser starts anew."""
        self._student.restore(self._good)
        self._average = None
        self._blend = len(BLENDS) - 1  # the good weights hold their blend already
        self._distiller.reset()

    def write(
        self,
        store: RevisionStore,
        parent: Bundle,
        metrics: Mapping[str, Any],
        training: Mapping[str, Any],
        pairs: Sequence[OnlinePair],
    ) -> Bundle:
        """
        The weights to be judged as a revision.

        :param store: where it goes.
        :param parent: bundle or revision that it was trained from.
        :param metrics: what it reached.
        :param training: how it was trained.
        :param pairs: of which some become the frames that every reader checks it with.
        :raises AdaptationError: it cannot be written, or its engine does not say what it says.
        """
        with self._judged():
            step = max(1, len(pairs) // CHECK_FRAMES)
            frames = [self._check_frame(pair) for pair in pairs[::step][:CHECK_FRAMES]]
            return store.write(
                parent,
                self._student.initialisers(),
                weights=self._student.weights(),
                metrics=dict(metrics),
                training=dict(training),
                check=frames,
            )

    def _check_frame(self, pair: OnlinePair) -> CheckFrame:
        """A network input and what the judged weights say of it."""
        inputs = torch.from_numpy(pair.thermal.astype(np.float32))[None]
        with torch.no_grad():
            depth = self._student.predict(inputs.to(self._student.device)).depth
        return CheckFrame(inputs.numpy(), depth.cpu().numpy())

    def tensors(self) -> State:
        """Weights as learned now and their average, to go on from after a restart."""
        found = {f'now.{name}': value for name, value in self._student.snapshot().items()}
        if self._average is not None:
            found.update({f'average.{name}': value for name, value in self._average.items()})
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """
        Go on from :meth:`tensors`; the good weights stay as they are.

        :raises AdaptationError: they do not fit the student.
        """
        groups: dict[str, State] = {'now': {}, 'average': {}}
        for name, value in tensors.items():
            group, _, rest = name.partition('.')
            groups.setdefault(group, {})[rest] = value
        if groups['average']:
            self._student.restore(groups['average'])
            self._average = self._student.snapshot()
        self._student.restore(groups['now'])
