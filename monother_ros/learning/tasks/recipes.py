# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the recipes of each task may say, and reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from monother_ros.core.errors import SettingsError
from monother_ros.learning.recipe import build, change, find_recipe, read_mapping
from monother_ros.learning.tasks.adapter_batches import AdapterSettings
from monother_ros.learning.tasks.drives import DriveSettings
from monother_ros.learning.tasks.dual_batches import DualSettings
from monother_ros.learning.tasks.language import LanguageSettings
from monother_ros.learning.tasks.lite_batches import LiteSettings
from monother_ros.learning.tasks.trust import TrustSettings
from monother_ros.learning.tasks.vit_adapter import VitAdapterSettings
from monother_ros.learning.trainer import RunSettings


@dataclass(frozen=True)
class LiteData:
    """Rendered frames."""

    kind: Literal['thermal', 'rgb'] = 'thermal'
    """what the network sees; rgb frames come from more kinds of worlds, for a teacher"""
    folder: str = 'data/lite'
    """where they are; what is missing is rendered"""
    frames: int = 4800
    """training frames"""
    validation: int = 96
    """frames to watch"""
    workers: int = 2
    """processes that render"""


@dataclass(frozen=True)
class LiteRecipe:
    """Training of the lite network."""

    task: Literal['lite'] = 'lite'
    """what is trained"""
    training: LiteSettings = field(default_factory=LiteSettings)
    """what decides the weights"""
    augment: float = 1.0
    """how often pictures are changed, as a part of the usual"""
    data: LiteData = field(default_factory=LiteData)
    """rendered frames"""
    watch_every: int = 500
    """steps between validations; 0 for none"""
    start: str | None = None
    """bundle (name or folder) whose weights to begin with"""
    weights: bool = True
    """put the weights to train on from into the bundle, which doubles its size"""
    run: RunSettings = field(default_factory=RunSettings)
    """how the run is carried out"""


@dataclass(frozen=True)
class PairData:
    """Data sets of pairs; docs/datasets.md lists what each kind takes."""

    training: dict[str, Any] | tuple[dict[str, Any], ...] | None = None
    """kind (ms2, vivid, sim, bag) and its settings, or a list of such"""
    validation: dict[str, Any] | tuple[dict[str, Any], ...] | None = None
    """the same, to watch"""
    validation_samples: int = 0
    """watch only so many samples, evenly spread; 0 for all"""
    drives: DriveSettings | None = None
    """simulated drives to render and to train on where ``training`` is null"""


@dataclass(frozen=True)
class DualRecipe:
    """Training of the dual network."""

    task: Literal['dual']
    """what is trained"""
    training: DualSettings = field(default_factory=DualSettings)
    """what decides the weights"""
    data: PairData = field(default_factory=PairData)
    """what it is trained on"""
    start: str | None = None
    """weights to begin with: a checkpoint of the dual network, a bundle made of one, a checkpoint
    folder of a run, or relative weights of Depth Anything; null for random ones"""
    run: RunSettings = field(default_factory=RunSettings)
    """how the run is carried out"""


@dataclass(frozen=True)
class TrustData:
    """Simulated pairs, and who says their depths."""

    folder: str = 'data/lite-confidence'
    """where they are; what is missing is rendered"""
    worlds: int = 77
    """worlds to train on"""
    frames: int = 8
    """pairs of each"""
    validation: int = 40
    """worlds to watch, three pairs of each"""
    student: str = 'lite'
    """bundle of the thermal network"""
    teacher: str = 'lite-rgb'
    """bundle of the RGB network"""
    workers: int = 2
    """processes that render"""


@dataclass(frozen=True)
class TrustRecipe:
    """Training of the confidence network."""

    task: Literal['confidence']
    """what is trained"""
    training: TrustSettings = field(default_factory=TrustSettings)
    """what decides the weights"""
    data: TrustData = field(default_factory=TrustData)
    """what it is trained on"""
    watch_every: int = 250
    """steps between validations; 0 for none"""
    run: RunSettings = field(default_factory=RunSettings)
    """how the run is carried out"""


@dataclass(frozen=True)
class AdapterRecipe:
    """Training of the sparse depth adapter beside the frozen lite network."""

    task: Literal['sparse']
    """what is trained"""
    training: AdapterSettings = field(default_factory=AdapterSettings)
    """what decides the weights"""
    augment: float = 0.3
    """how often pictures are changed, as a part of the usual"""
    data: LiteData = field(default_factory=LiteData)
    """rendered frames, thermal"""
    watch_every: int = 250
    """steps between validations; 0 for none"""
    start: str = 'lite'
    """bundle (name or folder) of the lite network to stand beside"""
    run: RunSettings = field(default_factory=RunSettings)
    """how the run is carried out"""


@dataclass(frozen=True)
class EncoderShape:
    """A DINOv2 encoder with random weights."""

    embed: int = 384
    """width of a token"""
    blocks: int = 12
    """transformer blocks, at least 4"""
    heads: int = 6
    """attention heads; divides embed"""


@dataclass(frozen=True)
class VitAdapterRecipe:
    """Training of the sparse depth branch beside a frozen DINOv2 encoder."""

    task: Literal['sparse_vit']
    """what is trained"""
    training: VitAdapterSettings = field(default_factory=VitAdapterSettings)
    """what decides the weights"""
    augment: float = 0.3
    """how often pictures are changed, as a part of the usual"""
    data: LiteData = field(default_factory=LiteData)
    """rendered frames, thermal"""
    watch_every: int = 250
    """steps between validations; 0 for none"""
    start: str | None = None
    """weights of the encoder: a checkpoint of the dual network (its thermal branch counts), a
    bundle or run made of one, relative weights of Depth Anything, or DINOv2 as published"""
    random_encoder: EncoderShape | None = None
    """for tests of the machinery, in the place of start: an encoder that has learned nothing"""
    precision: Literal['fp32', 'fp16'] = 'fp32'
    """of the encoders in the bundle; ViT-L fits into an ONNX file in fp16 only"""
    run: RunSettings = field(default_factory=RunSettings)
    """how the run is carried out"""


@dataclass(frozen=True)
class LanguageData:
    """Simulated scenes, the depth model that is scaled, and who reads the sentences."""

    folder: str = 'data/language'
    """where they are; what is missing is rendered"""
    worlds: int = 160
    """worlds to train on"""
    frames: int = 8
    """frames of each"""
    watch: int = 40
    """worlds to watch, three frames of each; the error of the head is measured on them"""
    depth_model: str = 'lite'
    """bundle whose inverse depth is scaled"""
    text_encoder: str = ''
    """CLIP text encoder: a folder, or a name on the hub"""
    workers: int = 2
    """processes that render"""


@dataclass(frozen=True)
class LanguageRecipe:
    """Training of the language head."""

    task: Literal['language']
    """what is trained"""
    training: LanguageSettings = field(default_factory=LanguageSettings)
    """what decides the weights"""
    data: LanguageData = field(default_factory=LanguageData)
    """what it is trained on"""
    watch_every: int = 500
    """steps between validations; 0 for none"""
    start: str | None = None
    """language head to begin with: a folder, or a published checkpoint"""
    run: RunSettings = field(default_factory=RunSettings)
    """how the run is carried out"""


Recipe = LiteRecipe | DualRecipe | TrustRecipe | AdapterRecipe | VitAdapterRecipe | LanguageRecipe

_TASKS: dict[
    str,
    type[LiteRecipe]
    | type[DualRecipe]
    | type[TrustRecipe]
    | type[AdapterRecipe]
    | type[VitAdapterRecipe]
    | type[LanguageRecipe],
] = {
    'lite': LiteRecipe,
    'dual': DualRecipe,
    'sparse': AdapterRecipe,
    'sparse_vit': VitAdapterRecipe,
    'confidence': TrustRecipe,
    'language': LanguageRecipe,
}


def load_recipe(
    name: str,
    changes: Sequence[str] = (),
    data: Sequence[str] = (),
    start: str | None = None,
) -> Recipe:
    """
    A recipe, checked.

    :param name: of a shipped recipe, or path of a file.
    :param changes: ``section.key=value`` each.
    :param data: where the data are: for rendered frames their folder, else folders of data sets
        or bags, see :func:`place_data`.
    :param start: weights to begin with.
    :raises SettingsError: there is no such recipe, or a setting of it is not allowed.
    """
    mapping = change(read_mapping(find_recipe(name)), changes)
    if start is not None:
        mapping['start'] = start
    if data:
        place_data(mapping, data)
    task = mapping.get('task')
    if not isinstance(task, str) or task not in _TASKS:
        msg = f'setting task is {task!r}; allowed: {", ".join(_TASKS)}'
        raise SettingsError(msg)
    return build(_TASKS[task], mapping)


def place_data(mapping: dict[str, Any], places: Sequence[str]) -> None:
    """
    Put folders of data into a recipe.

    Lite and confidence: the folder of rendered frames. ``sim`` and ``bag``: the bags to train on;
    where the recipe renders drives, they are not rendered. Others: the root of training and
    validation.

    :param mapping: the recipe; changed in place.
    :param places: folders, as the user gave them.
    :raises SettingsError: several folders for a kind that takes one.
    """
    section = mapping.setdefault('data', {})
    missing = [place for place in places if not Path(place).exists()]
    lite = mapping.get('task') in (
        'lite', 'confidence', 'language', 'sparse', 'sparse_vit',
    )  # fmt: skip
    if missing and not lite:
        msg = f'data {", ".join(missing)} not found'
        raise SettingsError(msg)
    training = section.get('training')
    kind = training.get('kind') if isinstance(training, dict) else None
    if not lite and (kind in ('sim', 'bag') or training is None):
        kind_of = training if isinstance(training, dict) else {'kind': 'sim'}
        section['training'] = {**kind_of, 'path': list(places)}
        section['drives'] = None
        return
    if len(places) > 1:
        msg = f'{len(places)} folders of data for a recipe that takes one; write a recipe file'
        raise SettingsError(msg)
    if lite:
        section['folder'] = places[0]
        return
    for name in ('training', 'validation'):
        if isinstance(section.get(name), dict):
            section[name] = {**section[name], 'root': places[0]}
