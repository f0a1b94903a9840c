# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that are being learned, their moving average, and the good ones to fall back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

State = dict[str, Tensor]


class Candidate:
    """
    The weights of a student in three states: as learned now, averaged, and last found good.

    The average is what is judged and offered: it wanders less than the weights themselves
    (Polyak & Juditsky 1992).

    :param student: holds the weights as learned now.
    :param distiller: computes errors with the student's present weights.
    :param original_anchors: (M,) errors of the anchors with the original weights; None where the
        student's present weights are the original ones.
    """

    def __init__(
        self,
        student: Student,
        distiller: Distiller,
        original_anchors: NDArray[np.float64] | None = None,
    ) -> None:
        self._student = student
        self._distiller = distiller
        self._good: State = student.snapshot()
        self._average: State | None = None
        self._original = original_anchors
        self._known: dict[int, float] = {}

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

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """Put the weights to be judged into the student for a while."""
        if self._average is None:
            yield
            return
        present = self._student.snapshot()
        self._student.restore(self._average)
        try:
            yield
        finally:
            self._student.restore(present)

    @contextmanager
    def _as_good(self) -> Iterator[None]:
        """Put the good weights into the student for a while."""
        present = self._student.snapshot()
        self._student.restore(self._good)
        try:
            yield
        finally:
            self._student.restore(present)

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
            with self._as_good():
                found = self._distiller.errors(new)
            for pair, value in zip(new, found, strict=True):
                self._known[pair.stamp_ns] = float(value)
        before = np.array([self._known[pair.stamp_ns] for pair in pairs])
        self._known = {pair.stamp_ns: self._known[pair.stamp_ns] for pair in pairs}
        with self._judged():
            after = self._distiller.errors(pairs)
        return before, after

    def anchor_errors(self, anchors: Anchors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Errors of anchors with the original weights and with those to be judged.

        :param anchors: M of them.
        :returns: before and after, each (M,).
        """
        if self._original is None:
            with self._as_good():
                self._original = self._distiller.anchor_errors(anchors)
        with self._judged():
            return self._original, self._distiller.anchor_errors(anchors)

    def accept(self) -> None:
        """The weights that were judged are the good ones from now on."""
        with self._judged():
            self._good = self._student.snapshot()
        self._known.clear()

    def go_back(self) -> None:
        """Take the good weights again; the optimiser starts anew."""
        self._student.restore(self._good)
        self._average = None
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
