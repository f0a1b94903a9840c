# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Samples for the language head: what a depth model says, the truth, and sentences about the scene.

Frames are those of simulated worlds of all scenes, materials, mounts and weathers; sentences count
what is in view, as a detector would (see :mod:`monother_ros.learning.prompts`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.errors import SettingsError
from monother_ros.core.files import atomic_folder
from monother_ros.core.thermal import Normaliser
from monother_ros.engines.select import load_engine
from monother_ros.learning.prompts import objects_in_view, sentences_of
from monother_ros.learning.shards import shard_folder
from monother_ros.learning.trust_pairs import TrustPlan, trust_world_of
from monother_ros.learning.workers import run_jobs

LANGUAGE_TRAINING_SEED = 300_000
"""First world seed of training samples."""
LANGUAGE_VALIDATION_SEED = 700_000
"""First world seed of the samples to watch; they are never trained on."""

SENTENCES = 5
"""Sentences about each frame; the first names all that is in view."""

STRIDE = 4
"""Every so many pixels of the network's picture are kept: one pair of numbers is fitted to all."""


class LanguageSample(NamedTuple):
    """One frame."""

    inverse: NDArray[np.float16]
    """(h, w) inverse depth y of the depth model, 1/m"""
    depth: NDArray[np.float16]
    """(h, w) truth in metres, +inf for sky"""
    sentences: list[str]
    """about the frame"""
    scene: str
    """name of the simulated scene"""


class SampleMaker:
    """
    Makes samples.

    :param bundle: the depth model, thermal.
    :raises SettingsError: the bundle does not see thermal pictures alone.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.modality != 'thermal' or len(bundle.inputs) != 1:
            msg = (
                f'{bundle.name} sees {bundle.modality} through {len(bundle.inputs)} inputs; the '
                'language head is trained on a bundle that sees thermal pictures alone'
            )
            raise SettingsError(msg)
        self.bundle = bundle
        self._engine = load_engine(bundle)

    def samples(self, plan: TrustPlan, index: int) -> list[LanguageSample]:
        """
        Samples of one world.

        :param plan: the worlds.
        :param index: of the world, from 0.
        """
        from monother_ros.sim.raycast import CameraRays
        from monother_ros.sim.simulator import SimConfig, Simulator

        world = trust_world_of(plan, index)
        simulator = Simulator(SimConfig(**world._asdict()))
        rays = CameraRays(simulator.rig.thermal)
        rng = np.random.default_rng([world.seed, 96])
        spec = self.bundle.inputs[0]
        found = []
        for _ in range(plan.frames_per_world):
            frame = simulator.training_frame(rng)
            assert frame.thermal is not None and frame.thermal_depth is not None
            # one frame after another is of another place: nothing is followed over time
            normaliser = Normaliser(self.bundle.normalisation, self.bundle.input_size)
            seen = normaliser(frame.thermal, frame.stamp_ns)[None].astype(spec.dtype)
            said = self._engine.infer({spec.name: seen})['depth'][0, 0]
            truth: NDArray[Any] = frame.thermal_depth
            if truth.shape != said.shape:
                truth = cv2.resize(truth, said.shape[::-1], interpolation=cv2.INTER_NEAREST)
            view = frame.pose @ simulator.rig.base_from_thermal
            hits = simulator.world.see(rays, view, frame.time)
            objects = objects_in_view(hits.material, hits.instance)
            inverse = 1.0 / np.maximum(said[::STRIDE, ::STRIDE], np.float32(1e-3))
            found.append(
                LanguageSample(
                    inverse.astype(np.float16),
                    truth[::STRIDE, ::STRIDE].astype(np.float16),
                    sentences_of(objects, SENTENCES, rng),
                    world.scene,
                )
            )
        return found


def sample_folder(folder: str | Path, depth_model: str) -> Path:
    """
    Where the samples of a depth model lie.

    :param folder: of all of them.
    :param depth_model: bundle, name or path.
    """
    return Path(folder) / f'samples-{load_bundle(find_bundle(depth_model)).digest[:8]}'


def _make(job: tuple[str, str, TrustPlan, list[int]]) -> None:
    """One job of a worker process: samples of some worlds."""
    folder, depth_model, plan, indices = job
    maker = SampleMaker(load_bundle(find_bundle(depth_model)))
    root = sample_folder(folder, depth_model)
    for index in indices:
        target = shard_folder(root, index)
        if target.exists():
            continue
        made = maker.samples(plan, index)
        facts = [{'scene': s.scene, 'sentences': s.sentences} for s in made]
        with atomic_folder(target) as work:
            np.save(work / 'inverse.npy', np.stack([s.inverse for s in made]))
            np.save(work / 'depth.npy', np.stack([s.depth for s in made]))
            (work / 'sentences.json').write_text(json.dumps(facts))


def make_language_samples(
    plan: TrustPlan, folder: str | Path, depth_model: str, *, workers: int = 2
) -> None:
    """
    Render all samples that are missing; can be stopped at any time and goes on where it was.

    :param plan: the worlds.
    :param folder: of the samples; one folder per plan.
    :param depth_model: bundle, name or path.
    :param workers: processes.
    """
    root = sample_folder(folder, depth_model)
    missing = [i for i in range(plan.worlds) if not shard_folder(root, i).exists()]
    jobs = [
        (str(folder), depth_model, plan, missing[i : i + 8]) for i in range(0, len(missing), 8)
    ]
    run_jobs(_make, jobs, workers=workers, unit='8 worlds')


class LanguageSamples:
    """
    Samples on disk, read whole (a few kilobytes each).

    :param folder: of the samples.
    :param worlds: number of worlds to use, from the first.
    :raises SettingsError: they are not there.
    """

    def __init__(self, folder: str | Path, worlds: int) -> None:
        shards = [shard_folder(folder, i) for i in range(worlds)]
        lacking = [s for s in shards if not s.exists()]
        if lacking or not shards:
            msg = f'{folder} lacks {len(lacking)} of {worlds} worlds; let the run render them'
            raise SettingsError(msg)
        self.inverse: NDArray[np.float16] = np.concatenate(
            [np.load(s / 'inverse.npy') for s in shards]
        )
        self.depth: NDArray[np.float16] = np.concatenate(
            [np.load(s / 'depth.npy') for s in shards]
        )
        facts: list[dict[str, Any]] = [
            fact for s in shards for fact in json.loads((s / 'sentences.json').read_text())
        ]
        self.sentences: list[list[str]] = [fact['sentences'] for fact in facts]
        self.scenes: list[str] = [fact['scene'] for fact in facts]

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: int) -> LanguageSample:
        """Sample number ``index``."""
        return LanguageSample(
            self.inverse[index], self.depth[index], self.sentences[index], self.scenes[index]
        )
