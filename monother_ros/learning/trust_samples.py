# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Samples for the confidence network: what it sees of a pair, and how wrong the teacher is there.

The inputs are those of learning on the vehicle (:func:`monother_ros.learning.pair_view.compare`),
with a spoiled RGB picture in some samples. Were the thermal depth always that of the student, the
network would learn to trust agreement alone; so it is scaled, shifted and warped in some samples,
near the truth in some, and near the teacher in some, right or wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.files import atomic_folder
from monother_ros.engines.base import all_inputs
from monother_ros.engines.select import load_engine
from monother_ros.learning.consistency import DEFAULT
from monother_ros.learning.pair_view import PairViews, compare
from monother_ros.learning.rgb_faults import spoil
from monother_ros.learning.shards import shard_folder
from monother_ros.learning.teachers.bundle import BundleTeacher
from monother_ros.learning.teachers.results import TeacherOptions
from monother_ros.learning.trust_pairs import TrustPlan, TrustWorld, true_pairs
from monother_ros.learning.workers import run_jobs

SPOILED = 0.4
"""Part of the samples of a second look at a pair whose RGB picture is spoiled; the first look
never is."""

LOOKS = 2
"""Samples of each pair."""


@dataclass(frozen=True)
class TrustSources:
    """
    Who says the depths.

    :param student: bundle of the thermal network, name or path.
    :param teacher: bundle of the RGB network, name or path.
    """

    student: str
    teacher: str

    def digest(self) -> str:
        """Names the weights of both."""
        return '-'.join(
            load_bundle(find_bundle(n)).digest[:8] for n in (self.student, self.teacher)
        )


class TrustSample(NamedTuple):
    """One sample on the grid of comparisons, h x w."""

    inputs: NDArray[np.float16]
    """(8, h, w) as the confidence network sees them"""
    error: NDArray[np.float16]
    """(h, w) |teacher - truth| in metres, NaN where it does not count"""


class TrustMaker:
    """
    Makes samples.

    :param student: bundle of the thermal network.
    :param teacher: bundle of the RGB network.
    """

    def __init__(self, student: Bundle, teacher: Bundle) -> None:
        self.student = student
        self._engine = load_engine(student)
        self._teacher = BundleTeacher(teacher, TeacherOptions(device='cpu'))
        self._views = PairViews(student.normalisation)

    def samples(self, folder: str | Path, index: int) -> list[tuple[TrustWorld, TrustSample]]:
        """
        Samples of one world.

        :param folder: of the pairs.
        :param index: of the world.
        """
        found = []
        for number, (pair, truth, focal, world) in enumerate(
            true_pairs(folder, index, self.student)
        ):
            rng = np.random.default_rng([world.seed, 99, number])
            said = self._engine.infer(all_inputs(self.student, pair.thermal[None]))
            for look in range(LOOKS):
                rgb = pair.rgb
                if look and rng.random() < SPOILED:
                    rgb = spoil(rgb.transpose(1, 2, 0), rng).transpose(2, 0, 1)
                picture = torch.from_numpy(np.ascontiguousarray(rgb))[None]
                taught = self._teacher.predict(picture, torch.tensor([focal])).depth[0, 0].numpy()
                changed = pair.__class__(0, pair.thermal, rgb, taught.astype(np.float16), pair.rig)
                depth = said['depth'] if not look else disturbed(said['depth'], rng)
                view = self._views.of([changed])
                with torch.no_grad():
                    inputs = compare(view, torch.from_numpy(depth), None).inputs[0].numpy()
                if look:
                    inputs = _agreeing(inputs, truth, rng)
                sample = TrustSample(inputs.astype(np.float16), teacher_error(inputs[4], truth))
                found.append((world, sample))
        return found


def teacher_error(
    taught: NDArray[np.float32], truth: NDArray[np.float32], far: float = DEFAULT.far
) -> NDArray[np.float16]:
    """
    How wrong the teacher is.

    :param taught: (h, w) metres, 0 where unknown.
    :param truth: (h, w) metres, 0 where unknown, +inf sky.
    :param far: metres; a teacher that says so or more is not learned from there, and does not
        count; sky is taken to be there.
    :returns: (h, w) metres, NaN where it does not count.
    """
    counts = (truth > DEFAULT.near) & (taught > DEFAULT.near) & (taught < far)
    error = np.abs(taught - np.minimum(truth, np.float32(far)))
    return np.where(counts, error, np.float32(np.nan)).astype(np.float16)


def _field(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """(h, w) smooth random field of unit deviation."""
    knots = rng.standard_normal((int(rng.integers(2, 7)), int(rng.integers(2, 9))), np.float32)
    return np.asarray(cv2.resize(knots, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def disturbed(depth: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """
    Depth of a student that errs in other ways: scale, offset, smooth errors.

    :param depth: (1, 1, h, w) metres.
    :param rng: source of the errors.
    """
    scale = np.exp(np.float32(rng.normal(0, 0.3)))
    smooth = np.exp(np.float32(rng.uniform(0, 0.3)) * _field(depth.shape[2:], rng))  # type: ignore[arg-type]
    moved = depth * scale * smooth + np.float32(rng.normal(0, 0.3))
    return np.maximum(moved, np.float32(0.3)).astype(np.float32)


def _agreeing(
    inputs: NDArray[np.float32], truth: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """In half of the cases a thermal depth near the truth or near the teacher's instead."""
    pick = rng.random()
    if pick > 0.5:
        return inputs
    taught = inputs[4]
    known = np.where(truth > 0, np.minimum(truth, np.float32(120.0)), taught)
    near = known if pick < 0.25 else taught
    noise = np.float32(rng.uniform(0.01, 0.12)) * _field(truth.shape, rng)  # type: ignore[arg-type]
    depth = near * np.exp(noise)
    comparable = inputs[2] >= 0
    result = inputs.copy()
    result[3] = np.where(comparable, depth, inputs[3])
    result[2] = np.where(comparable, np.abs(taught - depth), inputs[2])
    return result


def sample_folder(folder: str | Path, sources: TrustSources) -> Path:
    """Where the samples of pairs lie."""
    return Path(folder) / f'samples-{sources.digest()}'


def _make(job: tuple[str, list[int], TrustSources]) -> None:
    """One job of a worker process: samples of some worlds."""
    folder, indices, sources = job
    torch.set_num_threads(1)
    maker = TrustMaker(*(load_bundle(find_bundle(n)) for n in (sources.student, sources.teacher)))
    for index in indices:
        target = shard_folder(sample_folder(folder, sources), index)
        if target.exists():
            continue
        made = maker.samples(folder, index)
        with atomic_folder(target) as work:
            np.save(work / 'inputs.npy', np.stack([s.inputs for _, s in made]))
            np.save(work / 'error.npy', np.stack([s.error for _, s in made]))
            (work / 'worlds.json').write_text(json.dumps([w._asdict() for w, _ in made]))


def make_samples(
    plan: TrustPlan, folder: str | Path, sources: TrustSources, *, workers: int = 2
) -> None:
    """
    Make all samples that are missing, of pairs that have been rendered.

    :param plan: of the pairs.
    :param folder: of the pairs.
    :param sources: who says the depths.
    :param workers: processes.
    """
    root = sample_folder(folder, sources)
    missing = [i for i in range(plan.worlds) if not shard_folder(root, i).exists()]
    jobs = [(str(folder), missing[i : i + 8], sources) for i in range(0, len(missing), 8)]
    run_jobs(_make, jobs, workers=workers, unit='8 worlds')


class TrustSamples:
    """
    Samples on disk, read as memory maps.

    :param folder: of the samples.
    :param worlds: number of worlds to use, from the first.
    """

    def __init__(self, folder: str | Path, worlds: int) -> None:
        shards = [shard_folder(folder, i) for i in range(worlds)]
        self._inputs = [np.load(s / 'inputs.npy', mmap_mode='r') for s in shards]
        self._error = [np.load(s / 'error.npy', mmap_mode='r') for s in shards]
        self.worlds: list[dict[str, str]] = [
            world for s in shards for world in json.loads((s / 'worlds.json').read_text())
        ]
        self._where = [(k, j) for k, part in enumerate(self._error) for j in range(len(part))]

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: int) -> TrustSample:
        """Sample number ``index``."""
        shard, row = self._where[index]
        return TrustSample(
            np.asarray(self._inputs[shard][row]), np.asarray(self._error[shard][row])
        )
