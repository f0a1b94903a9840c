# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the adapt node's parameters to what learns."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import torch

from monother_ros.core.bundle import find_bundle, load_bundle
from monother_ros.core.models import find_model
from monother_ros.learning.adaptation import Adaptation, AdaptationSettings
from monother_ros.learning.alignment import AlignmentSettings
from monother_ros.learning.anchors import Anchors
from monother_ros.learning.distiller import DistillerSettings
from monother_ros.learning.gates import GateSettings
from monother_ros.learning.guard import GuardSettings
from monother_ros.learning.revisions import RevisionStore, default_folder
from monother_ros.learning.teacher import TeacherOptions, load_teacher
from monother_ros.networks.confidence_file import load_confidence
from monother_ros.ros.adapt_parameters import AdaptNodeParameters

MEGABYTE = 1_000_000

ANCHORS_FILE = 'anchors.npz'


def adaptation_settings(parameters: AdaptNodeParameters) -> AdaptationSettings:
    """
    Settings of learning.

    :raises SettingsError: the values are not allowed together.
    """
    p = parameters
    return AdaptationSettings(
        distiller=replace(
            DistillerSettings(),
            part=p.part,
            rate=p.learning_rate,
            anchor_weight=p.anchor_weight,
            confidence=bool(p.confidence),
            seed=p.seed,
        ),
        gates=replace(
            GateSettings(),
            stamps=p.max_difference,
            **{
                item.name: getattr(p, f'gate_{item.name}')
                for item in fields(GateSettings)
                if hasattr(p, f'gate_{item.name}')
            },
        ),
        alignment=replace(AlignmentSettings(), slipped=p.slipped, settled=p.settled),
        guard=replace(
            GuardSettings(),
            confidence=p.guard_confidence,
            tolerance=p.guard_tolerance,
            least_gain=p.guard_least_gain,
            least_pairs=p.guard_least_pairs,
        ),
        batch=p.batch,
        anchor_batch=p.anchor_batch,
        step_rate=p.rate,
        pair_rate=p.pair_rate,
        least_pairs=p.least_pairs,
        consider_steps=p.consider_steps,
        held_out_every=p.held_out_every,
        block_seconds=p.block_seconds,
        gap_seconds=p.gap_seconds,
        replay_bytes=p.replay_mb * MEGABYTE,
        held_out_bytes=p.held_out_mb * MEGABYTE,
        average=p.average,
        save_seconds=p.save_seconds,
        seed=p.seed,
    )


def revision_folder(parameters: AdaptNodeParameters) -> Path:
    """Folder of the store of revisions."""
    return Path(parameters.revisions).expanduser() if parameters.revisions else default_folder()


def make_adaptation(parameters: AdaptNodeParameters) -> Adaptation:
    """
    Load student, teacher, confidence network, anchors and memory.

    :raises MonotherError: one of them cannot be loaded; says which and why.
    """
    settings = adaptation_settings(parameters)
    device = parameters.device
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    bundle = load_bundle(find_bundle(parameters.model))
    store = RevisionStore(
        revision_folder(parameters), parameters.revisions_kept, max(1, parameters.threads)
    )
    store.acquire()
    try:
        teacher = load_teacher(
            parameters.teacher, TeacherOptions(device=device, threads=parameters.threads)
        )
        confidence = load_confidence(parameters.confidence) if parameters.confidence else None
        return Adaptation(
            bundle,
            teacher,
            confidence,
            store=store,
            memory=Path(parameters.memory).expanduser() if parameters.memory else None,
            anchors=load_anchors(parameters.anchors) if parameters.anchors else None,
            settings=settings,
            device=device,
        )
    except BaseException:
        store.close()
        raise


def load_anchors(name: str) -> Anchors:
    """
    Anchors by the name of a model folder, or by the path of a folder or file.

    :raises MonotherError: there are none, or they cannot be read.
    """
    if name.endswith('.npz'):
        return Anchors.load(Path(name).expanduser())
    return Anchors.load(find_model(name, ANCHORS_FILE, 'folder of anchors') / ANCHORS_FILE)
