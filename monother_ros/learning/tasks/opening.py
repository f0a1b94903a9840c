# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a recipe to a task: data found or rendered, network made, first weights loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monother_ros.core.bundle import Bundle, find_bundle, load_bundle
from monother_ros.core.errors import BundleError, DatasetError, SettingsError
from monother_ros.core.files import sha256_file
from monother_ros.learning.augment import AugmentSettings
from monother_ros.learning.datasets import PairDataset, PairSample, open_dataset
from monother_ros.learning.distributed import Group
from monother_ros.learning.rendered import VALIDATION_SEED, DatasetPlan, Frames, render_dataset
from monother_ros.learning.rgb_frames import RgbFrames, RgbPlan, render_rgb_dataset
from monother_ros.learning.tasks.adapter import AdapterTask
from monother_ros.learning.tasks.base import Task
from monother_ros.learning.tasks.drives import render_drives, spread
from monother_ros.learning.tasks.dual import DualTask
from monother_ros.learning.tasks.language_opening import open_language
from monother_ros.learning.tasks.lite import LiteTask
from monother_ros.learning.tasks.recipes import (
    AdapterRecipe,
    DualRecipe,
    LanguageRecipe,
    LiteRecipe,
    PairData,
    Recipe,
    TrustRecipe,
    VitAdapterRecipe,
)
from monother_ros.learning.tasks.trust import TrustTask
from monother_ros.learning.tasks.vit_adapter import VitAdapterTask
from monother_ros.learning.training_state import AVERAGE, NETWORK
from monother_ros.learning.trust_pairs import (
    TRUST_VALIDATION_SEED,
    TrustPlan,
    render_trust_pairs,
)
from monother_ros.learning.trust_samples import (
    TrustSamples,
    TrustSources,
    make_samples,
    sample_folder,
)
from monother_ros.networks.checkpoint import load_depth_anything, load_state, read_checkpoint
from monother_ros.networks.dinov2 import PATCH, DinoV2
from monother_ros.networks.encoder_file import load_encoder
from monother_ros.networks.export import WEIGHTS, load_weights
from monother_ros.networks.lite import LiteConfig, with_channels
from monother_ros.networks.monother import MonoTherNetwork


@dataclass(frozen=True)
class Subset:
    """
    Some pairs of a data set.

    :param whole: the data set.
    :param indices: of the pairs.
    """

    whole: PairDataset
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> PairSample:
        """Pair number ``index`` of those chosen."""
        return self.whole[self.indices[index]]


def open_task(recipe: Recipe, group: Group, *, render: bool = True) -> Task:
    """
    The task of a recipe.

    :param recipe: checked.
    :param group: processes of the run; the first one renders what is missing.
    :param render: whether to render at all.
    :raises SettingsError: data or weights do not fit the recipe.
    :raises DatasetError: data are missing or damaged.
    :raises BundleError: the weights to begin with cannot be read.
    """
    if isinstance(recipe, LiteRecipe):
        return _lite(recipe, group, render)
    if isinstance(recipe, TrustRecipe):
        return _trust(recipe, group, render)
    if isinstance(recipe, AdapterRecipe):
        return _adapter(recipe, group, render)
    if isinstance(recipe, VitAdapterRecipe):
        return _vit_adapter(recipe, group, render)
    if isinstance(recipe, LanguageRecipe):
        return open_language(recipe, group, render=render)
    return _dual(recipe, group, render)


def lite_plans(
    recipe: LiteRecipe | AdapterRecipe | VitAdapterRecipe,
) -> dict[str, DatasetPlan | RgbPlan]:
    """Plans of the rendered frames, by the name of their folder."""
    if recipe.data.kind == 'rgb':
        return {
            'validation': RgbPlan(recipe.data.validation, VALIDATION_SEED, frames_per_world=2),
            'training': RgbPlan(recipe.data.frames),
        }
    return {
        'validation': DatasetPlan(recipe.data.validation, VALIDATION_SEED, frames_per_world=4),
        'training': DatasetPlan(recipe.data.frames),
    }


def lite_parent(recipe: LiteRecipe | AdapterRecipe) -> Bundle | None:
    """Bundle that a run of the lite network begins with."""
    return load_bundle(find_bundle(recipe.start)) if recipe.start else None


def _lite(recipe: LiteRecipe, group: Group, render: bool) -> LiteTask:
    """Frames and network of lite training."""
    folder = _rendered(recipe, group, render)
    parent = lite_parent(recipe)
    opened = RgbFrames if recipe.data.kind == 'rgb' else Frames
    start = None if parent is None else load_weights(parent.path / WEIGHTS)
    channels = 3 if recipe.data.kind == 'rgb' else 1
    if start is not None and start.config.channels != channels:
        start = with_channels(start, channels)
    return LiteTask(
        opened(folder / 'training', recipe.data.frames),
        recipe.training,
        LiteConfig(channels=channels),
        augment=AugmentSettings().weakened(recipe.augment),
        validation=opened(folder / 'validation', recipe.data.validation),
        start=start,
        watch_every=recipe.watch_every,
        device=group.device,
    )


def _rendered(
    recipe: LiteRecipe | AdapterRecipe | VitAdapterRecipe, group: Group, render: bool
) -> Path:
    """Folder of the frames; those that are missing are rendered."""
    folder = Path(recipe.data.folder)
    if render and group.first:
        for name, plan in lite_plans(recipe).items():
            if isinstance(plan, RgbPlan):
                render_rgb_dataset(plan, folder / name, workers=recipe.data.workers)
            else:
                render_dataset(plan, folder / name, workers=recipe.data.workers)
    group.wait()
    return folder


def _adapter(recipe: AdapterRecipe, group: Group, render: bool) -> AdapterTask:
    """Frames and networks of adapter training."""
    parent = lite_parent(recipe)
    if recipe.data.kind != 'thermal' or parent is None:
        msg = 'the sparse depth adapter is trained on thermal frames beside a lite network'
        raise SettingsError(msg)
    folder = _rendered(recipe, group, render)
    return AdapterTask(
        Frames(folder / 'training', recipe.data.frames),
        recipe.training,
        load_weights(parent.path / WEIGHTS),
        augment=AugmentSettings().weakened(recipe.augment),
        validation=Frames(folder / 'validation', recipe.data.validation),
        watch_every=recipe.watch_every,
        device=group.device,
    )


def _vit_adapter(recipe: VitAdapterRecipe, group: Group, render: bool) -> VitAdapterTask:
    """Frames and encoder of the training of a depth branch."""
    settings = recipe.training
    if recipe.data.kind != 'thermal':
        msg = 'the sparse depth branch is trained on thermal frames: set data.kind=thermal'
        raise SettingsError(msg)
    for name in ('width', 'height'):
        pixels = getattr(settings, name)
        if pixels % PATCH or pixels < 32:
            msg = f'setting training.{name} is {pixels}; allowed: multiples of {PATCH} from 42 on'
            raise SettingsError(msg)
    encoder = _encoder(recipe)
    folder = _rendered(recipe, group, render)
    return VitAdapterTask(
        Frames(folder / 'training', recipe.data.frames),
        settings,
        encoder,
        augment=AugmentSettings().weakened(recipe.augment),
        validation=Frames(folder / 'validation', recipe.data.validation),
        watch_every=recipe.watch_every,
        device=group.device,
    )


def _encoder(recipe: VitAdapterRecipe) -> DinoV2:
    """The encoder to stand beside."""
    shape = recipe.random_encoder
    if (recipe.start is None) == (shape is None):
        msg = (
            'the depth branch stands beside an encoder that has learned: give --start with a '
            'checkpoint of MonoTher-Depth, Depth Anything or DINOv2 (none is part of this package)'
        )
        if recipe.start is not None:
            msg = 'start and random_encoder are both set; an encoder comes from one of them'
        raise SettingsError(msg)
    if shape is None:
        assert recipe.start is not None
        encoder, what = load_encoder(weights_file(recipe.start))
        print(f'{recipe.start}: {what}, {encoder.embed} channels, {len(encoder.blocks)} blocks')
        return encoder
    print('the encoder is random: this run tries the machinery, its result is of no use')
    torch.manual_seed(recipe.training.seed + 1)
    try:
        return DinoV2(shape.embed, shape.blocks, shape.heads)
    except ValueError as err:
        msg = f'setting random_encoder cannot be: {err}'
        raise SettingsError(msg) from err


def trust_plans(recipe: TrustRecipe) -> dict[str, TrustPlan]:
    """Plans of the simulated pairs, by the name of their folder."""
    data = recipe.data
    return {
        'validation': TrustPlan(data.validation, TRUST_VALIDATION_SEED, 3),
        'training': TrustPlan(data.worlds, frames_per_world=data.frames),
    }


def _trust(recipe: TrustRecipe, group: Group, render: bool) -> TrustTask:
    """Samples of confidence training."""
    data = recipe.data
    sources = TrustSources(data.student, data.teacher)
    plans, found = trust_plans(recipe), {}
    for name, plan in plans.items():
        folder = Path(data.folder) / name
        if render and group.first:
            render_trust_pairs(plan, folder, workers=data.workers)
            make_samples(plan, folder, sources, workers=data.workers)
        group.wait()
        found[name] = TrustSamples(sample_folder(folder, sources), plan.worlds)
    return TrustTask(
        found['training'],
        recipe.training,
        validation=found['validation'],
        watch_every=recipe.watch_every,
        device=group.device,
    )


def _dual(recipe: DualRecipe, group: Group, render: bool) -> DualTask:
    """Pairs and network of dual training."""
    data = recipe.data
    if data.drives is not None and data.training is None:
        if render and group.first:
            render_drives(data.drives)
        group.wait()
    training, validation = (
        open_pairs(data, part, reference=recipe.training.reference)
        for part in ('training', 'validation')
    )
    if training is None:
        msg = 'the recipe names no training data; give --data or set data.training'
        raise SettingsError(msg)
    torch.manual_seed(recipe.training.seed)
    network = MonoTherNetwork(recipe.training.config())
    start = None if recipe.start is None else begin_with(network, recipe.start)
    network = network.to(group.device)
    return DualTask(training, recipe.training, network, validation, start)


def open_pairs(data: PairData, part: str, *, reference: bool = False) -> PairDataset | None:
    """
    Pairs to train on, or to watch.

    :param data: section of the recipe.
    :param part: 'training' or 'validation'.
    :param reference: scale cameras as published (Q8) where the recipe says nothing.
    :returns: None where the recipe has none.
    :raises DatasetError: they are missing or damaged, or there is not one pair.
    """
    spec = data.training if part == 'training' else data.validation
    if data.drives is not None and data.training is None and spec is None:
        paths = [str(path) for path in data.drives.paths(part)]
        cache = str(Path(data.drives.folder) / 'cache')
        spec = {'kind': 'sim', 'path': paths, 'cache': cache} if paths else None
    if spec is None:
        return None
    parts = [spec] if isinstance(spec, Mapping) else list(spec)
    dataset = open_dataset([_published(part, reference=reference) for part in parts])
    if not len(dataset):
        msg = f'the {part} data hold no pair: {spec}'
        raise DatasetError(msg)
    if part == 'training':
        return dataset
    return Subset(dataset, spread(len(dataset), data.validation_samples))


def _published(spec: Mapping[str, Any], *, reference: bool) -> dict[str, Any]:
    """Specification of a data set, with the published scaling of cameras where it is asked for."""
    if reference and spec.get('kind') in ('ms2', 'vivid'):
        return {'reference': True, **spec}
    return dict(spec)


def begin_with(network: MonoTherNetwork, start: str) -> str:
    """
    Give a network its first weights.

    :param network: changed in place.
    :param start: see :class:`~monother_ros.learning.tasks.recipes.DualRecipe`.
    :returns: digest of the file.
    :raises BundleError: it cannot be read, or lacks the thermal branch.
    """
    path = weights_file(start)
    state: Mapping[str, Any] = read_checkpoint(path)
    if any(name.startswith('depth_head.') for name in state):
        load_depth_anything(network, path)
        return sha256_file(path)
    report = load_state(network, state)
    lacking = [name for name in report.missing if not _optional(name)]
    if report.mis_shaped or lacking:
        msg = f'{path} does not fit the network of the recipe:\n{report.text()}'
        raise BundleError(msg)
    if report.missing:
        print(f'{path}: {len(report.missing)} entries are not there and begin at random')
    return sha256_file(path)


def _optional(name: str) -> bool:
    """Whether an entry belongs to the RGB branch or the confidence network."""
    return '_extra.' in name or name.startswith('conf_net.')


def weights_file(start: str) -> Path:
    """
    File of weights that a user named.

    :param start: a file, a folder of a run or bundle, or the name of a bundle.
    :raises BundleError: there is none.
    """
    path = Path(start)
    if path.is_file():
        return path
    folder = path if path.is_dir() else find_bundle(start)
    for name in (AVERAGE, NETWORK, WEIGHTS):
        if (folder / name).is_file():
            return folder / name
    msg = f'{folder} holds none of {AVERAGE}, {NETWORK}, {WEIGHTS}'
    raise BundleError(msg)
