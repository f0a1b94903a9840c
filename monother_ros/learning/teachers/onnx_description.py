# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the input and the output of an ONNX file mean: a small file beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from monother_ros.core.errors import TeacherError
from monother_ros.core.parsing import parse_json, parse_yaml
from monother_ros.learning.teachers.picture import METHODS
from monother_ros.learning.teachers.results import KINDS, Kind

EXAMPLE = '{"meaning": "inverse", "kind": "affine-inverse", "mean": [...], "std": [...]}'
SUFFIXES = ('.json', '.yaml', '.yml')
MEANINGS = ('depth', 'inverse')

_CHOICES = {
    'layout': ('nchw', 'nhwc'),
    'colour': ('rgb', 'bgr'),
    'resize': METHODS,
    'meaning': MEANINGS,
    'kind': KINDS,
}


@dataclass(frozen=True)
class OnnxDescription:
    """
    What an ONNX file does not say of itself.

    Depth is factor · output where meaning is 'depth', and 1 / (factor · output) where it is
    'inverse'; a negative disparity has the factor -1.

    :param meaning: 'depth', larger is farther, or 'inverse', larger (after the factor) is nearer.
    :param kind: what is not known of the depth, see :data:`monother_ros.learning.teacher.Kind`.
    :param factor: multiplies the output, for its sign and unit.
    :param input: name of the input; the only one if not given.
    :param output: name of the output with depth; the first if not given.
    :param confidence: name of an output in [0, 1]; None where there is none.
    :param size: (height, width) of the input; needed only where the graph leaves it open.
    :param layout: order of the input's axes, 'nchw' or 'nhwc'.
    :param colour: order of the input's channels, 'rgb' or 'bgr'.
    :param white: value of full intensity before mean and std, 1 or 255.
    :param mean: subtracted from the scaled picture, for each channel in the order of `colour`.
    :param std: divided by after that.
    :param resize: how pictures are brought to the input's size; outputs come back the same way.
    :param focal_length: f0 in pixels at network width, where a metric model was trained with one.
    """

    meaning: str
    kind: Kind
    factor: float = 1.0
    input: str | None = None
    output: str | None = None
    confidence: str | None = None
    size: tuple[int, int] | None = None
    layout: str = 'nchw'
    colour: str = 'rgb'
    white: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = 'area'
    focal_length: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                msg = f'{name} is {getattr(self, name)!r}; use one of {", ".join(allowed)}'
                raise TeacherError(msg)
        if self.kind == 'affine-inverse' and self.meaning == 'depth':
            msg = "kind 'affine-inverse' is an inverse depth: meaning must be 'inverse'"
            raise TeacherError(msg)
        numbers = (self.factor, self.white, *self.mean, *self.std)
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in numbers):
            msg = 'factor, white, mean and std must be finite numbers'
            raise TeacherError(msg)
        if not self.factor or not self.white > 0:
            msg = f'factor {self.factor} must not be 0, and white {self.white} must be > 0'
            raise TeacherError(msg)
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            msg = f'mean {self.mean} and std {self.std} must be three numbers each, std > 0'
            raise TeacherError(msg)
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            msg = f'size {self.size} must be (height, width) in pixels'
            raise TeacherError(msg)
        if self.focal_length is not None and not self.focal_length > 0:
            msg = f'focal_length {self.focal_length} px must be > 0'
            raise TeacherError(msg)


def read_description(source: Any, model: Path) -> OnnxDescription:
    """
    Description of an ONNX file.

    :param source: the description itself, its fields, its file; None looks for a file of the
        model's name with the ending .json, .yaml or .yml.
    :param model: the ONNX file.
    :raises TeacherError: there is none, it cannot be read, or a field is missing or wrong.
    """
    if isinstance(source, OnnxDescription):
        return source
    where = f'the description of {model.name}'
    if not isinstance(source, Mapping):
        path = _find(source, model)
        source, where = _load(path), str(path)
    if not isinstance(source, Mapping):
        msg = f'{where} must hold named fields, such as {EXAMPLE}'
        raise TeacherError(msg)
    known = {item.name for item in fields(OnnxDescription)}
    unknown, missing = sorted(set(source) - known), sorted({'meaning', 'kind'} - set(source))
    if unknown or missing:
        found = [f'{name!r} is not known' for name in unknown]
        found += [f'{name!r} is missing' for name in missing]
        msg = f'{where}: {", ".join(found)}; fields are {", ".join(sorted(known))}'
        raise TeacherError(msg)
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in source.items()
    }
    try:
        return OnnxDescription(**values)
    except TeacherError as err:
        msg = f'{where}: {err}'
        raise TeacherError(msg) from err
    except TypeError as err:
        msg = f'{where} has a field of the wrong type: {err}'
        raise TeacherError(msg) from err


def _find(source: Any, model: Path) -> Path:
    """File that is named, or that lies beside the model."""
    if source is not None:
        path = Path(source).expanduser()
        if not path.is_file():
            msg = f'there is no description of {model.name} at {path}'
            raise TeacherError(msg)
        return path
    for suffix in SUFFIXES:
        path = model.with_suffix(suffix)
        if path.is_file():
            return path
    msg = (
        f'nothing says what the output of {model} means; put a {model.stem}.json beside it, such '
        f'as {EXAMPLE}, or name one (docs/teachers.md)'
    )
    raise TeacherError(msg)


def _load(path: Path) -> Any:
    """Parse JSON or YAML."""
    try:
        text = path.read_text(encoding='utf-8')
        if path.suffix == '.json':
            return parse_json(text)
        try:
            return parse_yaml(text)
        except ImportError as err:
            msg = f'{path} needs PyYAML to be read; pip install PyYAML, or write it as JSON'
            raise TeacherError(msg) from err
        except ValueError as err:
            msg = f'{path} is not valid YAML: {err}'
            raise TeacherError(msg) from err
    except (OSError, ValueError) as err:
        msg = f'{path} cannot be read: {err}'
        raise TeacherError(msg) from err
