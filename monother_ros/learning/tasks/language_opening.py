# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Samples, text encoder and head of language training, from its recipe."""

from __future__ import annotations

from pathlib import Path

from monother_ros.core.errors import SettingsError
from monother_ros.learning.distributed import Group
from monother_ros.learning.language_samples import (
    LANGUAGE_TRAINING_SEED,
    LANGUAGE_VALIDATION_SEED,
    LanguageSamples,
    make_language_samples,
    sample_folder,
)
from monother_ros.learning.tasks.language import LanguageTask
from monother_ros.learning.tasks.recipes import LanguageRecipe
from monother_ros.learning.trust_pairs import TrustPlan
from monother_ros.networks.language_file import load_language
from monother_ros.networks.text_tower import load_text_tower


def language_plans(recipe: LanguageRecipe) -> dict[str, TrustPlan]:
    """Plans of the simulated worlds, by the name of their folder."""
    data = recipe.data
    return {
        'validation': TrustPlan(data.watch, LANGUAGE_VALIDATION_SEED, 3),
        'training': TrustPlan(data.worlds, LANGUAGE_TRAINING_SEED, data.frames),
    }


def open_language(recipe: LanguageRecipe, group: Group, *, render: bool = True) -> LanguageTask:
    """
    The task of a recipe.

    :param recipe: checked.
    :param group: processes of the run; the first one renders what is missing.
    :param render: whether to render at all.
    :raises SettingsError: the recipe names no text encoder, or samples are missing.
    :raises BundleError: text encoder, depth model or the head to begin with cannot be loaded.
    """
    data = recipe.data
    if not data.text_encoder:
        msg = (
            'the recipe names no text encoder; give a CLIP model, for instance '
            '--set data.text_encoder=openai/clip-vit-base-patch32, or a folder'
        )
        raise SettingsError(msg)
    # before the rendering, which takes long
    tower = load_text_tower(data.text_encoder, str(group.device))
    start = None if recipe.start is None else load_language(recipe.start).head
    found: dict[str, LanguageSamples] = {}
    for name, plan in language_plans(recipe).items():
        folder = Path(data.folder) / name
        if render and group.first:
            make_language_samples(plan, folder, data.depth_model, workers=data.workers)
        group.wait()
        found[name] = LanguageSamples(sample_folder(folder, data.depth_model), plan.worlds)
    return LanguageTask(
        found['training'],
        recipe.training,
        tower,
        validation=found['validation'],
        start=start,
        watch_every=recipe.watch_every,
        device=group.device,
    )
