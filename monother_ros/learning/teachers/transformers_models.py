# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth models of the transformers library, from a local folder or from the hub.

Only the model classes of the library are used. Its image processors are not: some need
torchvision, and none takes a known focal length. Their settings are read where a model has them.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from monother_ros.core.errors import TeacherError
from monother_ros.learning.teachers.picture import SizeRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monother_ros.learning.teachers.base import BaseTeacher
    from monother_ros.learning.teachers.results import TeacherOptions

FAMILIES = {
    'depth_anything': ('depth_anything', 'DepthAnythingTeacher'),
    'depth_pro': ('depth_pro', 'DepthProTeacher'),
    'zoedepth': ('zoedepth', 'ZoeDepthTeacher'),
}
"""Module and class of each model type that can teach."""

_HUB_NAME = re.compile(r'[\w][\w.-]*/[\w.-]+')
_METHODS = {2: 'bilinear', 3: 'bicubic'}


@dataclass(frozen=True)
class Processing:
    """
    Settings of a model's image processor, as far as its folder says them.

    :param settings: content of preprocessor_config.json; empty where there is none.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)

    def size_rule(self, default: SizeRule, size: tuple[int, int] | None = None) -> SizeRule:
        """
        Size at which pictures go through the network.

        :param default: of the family, for what the settings leave out.
        :param size: (height, width) that replaces the published target.
        :raises TeacherError: the settings name the size in a way that the family does not know.
        """
        target = self.settings.get('size', {})
        if isinstance(target, int):
            target = {'height': target, 'width': target}
        if target and not {'height', 'width'} <= set(target):
            msg = f'preprocessor_config.json says size {target}; it must name height and width'
            raise TeacherError(msg)
        height, width = size or (
            int(target.get('height', default.height)),
            int(target.get('width', default.width)),
        )
        return SizeRule(
            height,
            width,
            self.settings.get('ensure_multiple_of') or default.multiple,
            bool(self.settings.get('keep_aspect_ratio', default.keep_aspect)),
        )

    def numbers(self, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """
        Three numbers, 'image_mean' or 'image_std'.

        :param key: name of the setting.
        :param default: of the family.
        """
        if not self.settings.get('do_normalize', True):
            return (0.0, 0.0, 0.0) if key == 'image_mean' else (1.0, 1.0, 1.0)
        value = self.settings.get(key, default)
        return tuple(float(v) for v in value) if not isinstance(value, float) else (value,) * 3

    def kernel(self, default: str) -> str:
        """
        Interpolation of the resize, 'bilinear' or 'bicubic'.

        :param default: of the family.
        :raises TeacherError: the settings name another one.
        """
        code = self.settings.get('resample')
        if code is None:
            return default
        if code not in _METHODS:
            msg = f'preprocessor_config.json says resample {code}; 2 and 3 are known here'
            raise TeacherError(msg)
        return _METHODS[code]


def load_transformers(source: str, options: TeacherOptions) -> BaseTeacher:
    """
    Load a depth model of the transformers library.

    Weights are read from safetensors files only, and code of a model's repository is never run. A
    model with missing weights is refused: the library would fill them with random numbers.

    :param source: local folder, or name on the hub such as 'owner/model'.
    :param options: how to run it.
    :returns: the teacher of its family, in evaluation mode on its device.
    :raises TeacherError: transformers is not installed, there is no such model, it cannot be
        downloaded, it is no depth model that is known here, or its weights are incomplete.
    """
    try:
        from transformers import AutoConfig, AutoModelForDepthEstimation
    except ImportError as err:
        msg = f"transformers cannot be imported ({err}); pip install 'monother_ros[teachers]'"
        raise TeacherError(msg) from err
    folder = Path(source).expanduser()
    local = folder.is_dir()
    if not local and (folder.exists() or not _HUB_NAME.fullmatch(source)):
        what = 'is a file' if folder.exists() else 'does not exist'
        msg = (
            f'{source} {what}; give a folder with config.json and model.safetensors, or a name on '
            "the hub such as 'owner/model'"
        )
        raise TeacherError(msg)
    where: dict[str, Any] = {
        'pretrained_model_name_or_path': str(folder) if local else source,
        'local_files_only': local or not options.download,
        'trust_remote_code': False,
    }
    try:
        config = AutoConfig.from_pretrained(**where)
    except (OSError, ValueError) as err:
        raise TeacherError(_why(source, local, err)) from err
    if config.model_type not in FAMILIES:
        msg = (
            f'{source} is of type {config.model_type!r}; transformers models that can teach are '
            f'{", ".join(FAMILIES)}. Export another model to ONNX and describe it'
        )
        raise TeacherError(msg)
    if config.model_type == 'depth_pro' and options.known_focal:
        config.use_fov_model = False
    processing = Processing(_processor_settings(where))
    try:
        model, report = AutoModelForDepthEstimation.from_pretrained(
            **where,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,  # the library would keep half precision of a file
        )
    except (OSError, ValueError, RuntimeError) as err:
        raise TeacherError(_why(source, local, err)) from err
    missing = sorted(report['missing_keys']) + sorted(map(str, report['mismatched_keys']))
    if missing:
        more = f' and {len(missing) - 3} more' if len(missing) > 3 else ''
        msg = (
            f'the weights of {source} are incomplete: {", ".join(missing[:3])}{more} missing, or '
            'of another shape; download the model again'
        )
        raise TeacherError(msg)
    module, kind = FAMILIES[config.model_type]
    family = importlib.import_module(f'monother_ros.learning.teachers.{module}')
    name = folder.name if local else source
    teacher: BaseTeacher = getattr(family, kind)(name, model, processing, options)
    return teacher


def _processor_settings(where: Mapping[str, Any]) -> dict[str, Any]:
    """Read preprocessor_config.json; a model without it runs with its family's settings."""
    from transformers.image_processing_utils import BaseImageProcessor

    known = {key: value for key, value in where.items() if key != 'trust_remote_code'}
    try:
        settings, _ = BaseImageProcessor.get_image_processor_dict(**known)
    except OSError:
        return {}
    return dict(settings)


def _why(source: str, local: bool, err: Exception) -> str:
    """One sentence on why a model could not be loaded and what to do."""
    reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
    if local:
        files = sorted(path.name for path in Path(source).expanduser().iterdir())
        pickled = [name for name in files if name.endswith(('.bin', '.pt', '.pth', '.pkl'))]
        hint = (
            f'{pickled[0]} is a pickle, which is never loaded; convert it to safetensors'
            if pickled and not any(name.endswith('.safetensors') for name in files)
            else 'the folder must hold config.json and model.safetensors'
        )
        return f'{source} cannot be loaded: {reason} ({hint})'
    return (
        f'there is no folder {source} here, and from the hub it cannot be loaded: {reason} Where '
        f"there is no network, run 'hf download {source} --local-dir FOLDER' elsewhere and give "
        'that folder'
    )
