# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways of learning a new world that the experiment compares, and how each is judged."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adaptation_data import Rendered

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.pipeline import Pipeline, ThermalFrame
from monother_ros.engines.base import EngineOptions
from monother_ros.engines.select import load_engine
from monother_ros.evaluation.accuracy import FAR, NEAR, OPEN_LIMITS, predict
from monother_ros.evaluation.metrics import depth_metrics
from monother_ros.learning.adaptation import Adaptation, AdaptationSettings
from monother_ros.learning.anchors import Anchors
from monother_ros.learning.candidate import Candidate
from monother_ros.learning.distiller import Distiller
from monother_ros.learning.online_pair import OnlinePair, PairMaker
from monother_ros.learning.rectify import Rectifier
from monother_ros.learning.rendered import Frames
from monother_ros.learning.revisions import RevisionStore
from monother_ros.learning.student import load_student
from monother_ros.learning.teacher import Teacher

EPOCHS = 7
"""Of offline fine-tuning, as published."""

OFFLINE_STRIDE = 4
"""Offline fine-tuning sees every fourth pair of the drive: neighbours are alike."""


@dataclass
class VirtualClock:
    """Seconds that pass when told to: the drive and the learner share one time."""

    now: float = 0.0

    def __call__(self) -> float:
        """Seconds so far."""
        return self.now


@dataclass(frozen=True)
class Learner:
    """
    What all ways of learning share.

    :param bundle: student as it came.
    :param teacher: RGB depth.
    :param confidence: network that judges the teacher.
    :param anchors: frames of the source worlds.
    :param settings: of learning on the vehicle.
    """

    bundle: Bundle
    teacher: Teacher
    confidence: torch.nn.Module
    anchors: Anchors
    settings: AdaptationSettings

    def online(self, drive: Rendered, folder: Path, *, confidence: bool = True) -> dict[str, Any]:
        """
        Drive once at real-time rate and learn on the way.

        :param drive: what the cameras see.
        :param folder: for revisions; the newest good one is used at the end.
        :param confidence: False trusts the teacher at every valid pixel.
        :returns: what happened, with the path of the bundle in 'bundle'.
        """
        settings = self.settings
        if not confidence:
            settings = replace(settings, distiller=replace(settings.distiller, confidence=False))
        clock = VirtualClock()
        store = RevisionStore(folder)
        learner = Adaptation(
            self.bundle,
            self.teacher,
            self.confidence,
            store=store,
            anchors=self.anchors,
            settings=settings,
            clock=clock,
        )
        learner.set_rig(drive.thermal_camera, drive.rgb_camera, drive.extrinsics)
        start = time.perf_counter()
        working = 0.0
        history: list[dict[str, Any]] = []
        first = int(drive.stamps[0])
        for index in range(len(drive)):
            stamp = int(drive.stamps[index])
            end = (stamp - first) * 1e-9
            while clock.now < end:
                clock.now = min(end, clock.now + 0.5 / settings.step_rate)
                if learner.due():
                    began = time.perf_counter()
                    known = learner.decision
                    learner.work()
                    working += time.perf_counter() - began
                    if learner.decision is not known and learner.decision is not None:
                        history.append(_look(clock.now, learner))
            learner.offer(np.asarray(drive.thermal[index]), stamp, drive.rgb[index], stamp)
        learner.consider()
        history.append(_look(clock.now, learner))
        return {
            'bundle': str(learner.current.path),
            'steps': learner.steps,
            'seconds': round(time.perf_counter() - start, 1),
            'seconds_of_steps': round(working, 1),
            'offers': learner.offers,
            'roll_backs': learner.rollbacks,
            'counts': learner.counters.snapshot(),
            'problem': learner.problem,
            'history': history,
        }

    def offline(self, drive: Rendered, folder: Path) -> dict[str, Any]:
        """
        Label-free fine-tuning on the whole drive, as published (SSFT): L_con alone.

        :param drive: what the cameras saw.
        :param folder: for the result, as a revision, so that the same engine judges it.
        :returns: what happened, with the path of the bundle in 'bundle'.
        """
        pairs = list(self.pairs(drive, OFFLINE_STRIDE))
        student = load_student(self.bundle)
        rate = self.settings.distiller.rate
        settings = replace(self.settings.distiller, **OFFLINE)
        distiller = Distiller(student, self.confidence, settings)
        rng = np.random.default_rng([self.settings.seed, 5])
        batch = self.settings.batch
        steps = EPOCHS * (len(pairs) // batch)
        start = time.perf_counter()
        order: list[int] = []
        for step in range(steps):
            if len(order) < batch:
                order = rng.permutation(len(pairs)).tolist()
            chosen = [order.pop() for _ in range(batch)]
            # constant for 70 %, then a cosine to nearly nothing
            part = max(0.0, (step / steps - 0.7) / 0.3)
            distiller.rate = rate * (0.5 + 0.5 * math.cos(math.pi * part)) + 1e-9
            distiller.step([pairs[i] for i in chosen], None)
        done = {'pairs': len(pairs), 'steps': steps, 'seconds': time.perf_counter() - start}
        training = {'method': 'offline label-free fine-tuning'}
        made = Candidate(student, distiller).write(
            RevisionStore(folder), self.bundle, {}, training, pairs
        )
        return {**done, 'bundle': str(made.path)}

    def pairs(self, drive: Rendered, stride: int = 1) -> Iterator[OnlinePair]:
        """Pairs of a drive with the teacher's depth, every so many."""
        maker = PairMaker(self.bundle, drive.thermal_camera, drive.rgb_camera, drive.extrinsics)
        focal = torch.tensor([float(maker.rig.rgb_intrinsics[0, 0])])
        for index in range(0, len(drive), stride):
            pair = maker(
                np.asarray(drive.thermal[index]), int(drive.stamps[index]), drive.rgb[index]
            )
            said = self.teacher.predict(torch.from_numpy(pair.rgb)[None], focal).depth[0, 0]
            yield replace(pair, teacher_depth=said.numpy().clip(max=6e4).astype(np.float16))


OFFLINE: dict[str, Any] = {
    'metric_weight': 2.0,
    'depth_weight': 0.0,
    'bins_weight': 0.0,
    'edge_weight': 0.0,
    'augment': 0.0,
}
"""Changes of the distiller's settings for offline fine-tuning: L_con alone, as published."""


def _look(seconds: float, learner: Adaptation) -> dict[str, Any]:
    """One look of the guard, for the report."""
    decision = learner.decision
    return {
        'seconds': round(seconds, 1),
        'steps': learner.steps,
        'action': '' if decision is None else decision.action,
        'gain': None if decision is None or math.isnan(decision.gain) else round(decision.gain, 4),
        'anchor_change': None
        if decision is None or math.isnan(decision.anchor_change)
        else round(decision.anchor_change, 4),
        'blend': learner.candidate.blend,
        'revision': learner.current.revision,
    }


def judge(bundle: str | Path | Bundle, frames: Rendered) -> list[float]:
    """
    AbsRel of each frame through the pipeline and engine that run on the robot, 0.5 to 80 m.

    :param bundle: bundle or revision.
    :param frames: with truth.
    """
    if not isinstance(bundle, Bundle):
        bundle = load_bundle(find_bundle(str(bundle)))
    values = []
    with load_engine(bundle, options=EngineOptions(threads=1)) as engine:
        pipeline = Pipeline(engine, OPEN_LIMITS)
        for index in range(len(frames)):
            pipeline.reset()
            image = np.asarray(frames.thermal[index])
            result = pipeline.process(ThermalFrame(image, index, '', frames.thermal_camera))
            assert result.depth is not None
            truth = frames.depth[index].astype(np.float32)
            values.append(depth_metrics(result.depth, truth, near=NEAR, far=FAR)['abs_rel'])
    return values


def judge_source(bundle: str | Path | Bundle, frames: Frames) -> list[float]:
    """AbsRel on held-out frames of the worlds that the student came from."""
    if not isinstance(bundle, Bundle):
        bundle = load_bundle(find_bundle(str(bundle)))
    with load_engine(bundle, options=EngineOptions(threads=1)) as engine:
        found = predict(engine, frames, range(len(frames)))
    return [depth_metrics(p.depth, p.truth, near=NEAR, far=FAR)['abs_rel'] for p in found]


def judge_teacher(teacher: Teacher, frames: Rendered, size: tuple[int, int]) -> list[float]:
    """AbsRel of the teacher on the RGB pictures, rectified and resized as it sees them."""
    rectifier = Rectifier(frames.rgb_camera, size)
    focal = torch.tensor([rectifier.camera.fx])
    values = []
    for index in range(len(frames)):
        picture = np.ascontiguousarray(rectifier.image(frames.rgb[index]).transpose(2, 0, 1))
        said = teacher.predict(torch.from_numpy(picture)[None], focal).depth[0, 0].numpy()
        truth = rectifier.depth(frames.rgb_depth[index].astype(np.float32))
        # what lies outside of the picture is 0 in the truth, as is sky
        values.append(depth_metrics(said, truth, near=NEAR, far=FAR)['abs_rel'])
    return values


def mean(values: Sequence[float]) -> float:
    """Mean of what is a number."""
    return float(np.nanmean(np.asarray(values, np.float64)))


def new_folder() -> Path:
    """Folder for revisions that nobody needs afterwards."""
    return Path(tempfile.mkdtemp(prefix='adaptation-'))
