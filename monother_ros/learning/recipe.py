# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training recipes: YAML files with typed dataclasses behind them.

A key that no dataclass has, or a value of another type, is refused by its name together with
what is allowed. What a recipe does not mention has the default of its dataclass.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from monother_ros.core.errors import SettingsError
from monother_ros.core.parsing import parse_yaml
from monother_ros.core.share import share_folders

FOLDER = Path('config') / 'recipes'
"""Of the shipped recipes, below the share folder and in a checkout."""

_KINDS: dict[type, str] = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    dict: 'a mapping',
}

T = TypeVar('T')


def recipe_names() -> list[str]:
    """Names of the shipped recipes, sorted."""
    found = {p.stem for folder in share_folders() for p in (folder / FOLDER).glob('*.yaml')}
    return sorted(found)


def find_recipe(name: str) -> Path:
    """
    File of a recipe.

    :param name: of a shipped recipe, or a path of a YAML file.
    :raises SettingsError: there is none.
    """
    path = Path(name)
    if path.suffix in ('.yaml', '.yml') or path.is_file():
        if path.is_file():
            return path
        msg = f'{path} is not there; give a file or one of {", ".join(recipe_names())}'
        raise SettingsError(msg)
    for folder in share_folders():
        found = folder / FOLDER / f'{name}.yaml'
        if found.is_file():
            return found
    msg = f'recipe {name!r} is not known; use a YAML file or one of {", ".join(recipe_names())}'
    raise SettingsError(msg)


def read_mapping(path: str | Path) -> dict[str, Any]:
    """
    Content of a YAML file that holds a mapping.

    :raises SettingsError: it cannot be read or holds something else.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        msg = f'{path} cannot be read as YAML: {err}'
        raise SettingsError(msg) from err
    if not isinstance(content, dict):
        msg = f'{path} holds no mapping of settings'
        raise SettingsError(msg)
    return content


def change(mapping: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """
    Copy of a mapping with some values replaced.

    :param mapping: of settings, nested.
    :param changes: texts of the form ``key=value`` or ``section.key=value``; values are YAML.
    :raises SettingsError: a text is not of this form, or its section holds no settings.
    """
    result = _copy(mapping)
    for text in changes:
        key, equals, value = text.partition('=')
        parts = key.strip().split('.')
        if not equals or not all(parts):
            msg = f'{text!r} is not of the form key=value or section.key=value'
            raise SettingsError(msg)
        try:
            parsed = parse_yaml(value)
        except ValueError as err:
            msg = f'the value of {text!r} is no YAML: {err}'
            raise SettingsError(msg) from err
        place = result
        for k, part in enumerate(parts[:-1]):
            below = place.get(part)
            if below is None:
                below = place[part] = {}
            if not isinstance(below, dict):
                msg = f'{".".join(parts[: k + 1])} holds a value, no settings; cannot set {key}'
                raise SettingsError(msg)
            place = below
        place[parts[-1]] = parsed
    return result


def _copy(value: Any) -> Any:
    """Copy of nested mappings and lists."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def build(kind: type[T], mapping: Mapping[str, Any], where: str = '') -> T:
    """
    A dataclass from plain values, checked.

    Fields may be of the types bool, int, float, str, Literal, tuple, dict (passed on as it is),
    another dataclass, and unions of these.

    :param kind: the dataclass.
    :param mapping: names of fields and their values.
    :param where: name of the section, for messages.
    :raises SettingsError: an unknown or missing key, or a value of another type.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    place = f'{where}.' if where else ''
    for key in mapping:
        if key not in known:
            msg = f'setting {place}{key} is not known; allowed here: {", ".join(known)}'
            raise SettingsError(msg)
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], value, f'{place}{key}') for key, value in mapping.items()}
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in values:
            msg = f'setting {place}{name} is missing; it is {_describe(hints[name])}'
            raise SettingsError(msg)
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """One value as its type wants it."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        options = get_args(hint)
        if value is None and type(None) in options:
            return None
        failures: list[SettingsError] = []
        for option in options:
            if option is not type(None):
                try:
                    return _value(option, value, where)
                except SettingsError as err:
                    failures.append(err)
        if len(failures) == 1:
            raise failures[0]
    elif origin is Literal:
        if value in get_args(hint) and not isinstance(value, bool):
            return value
    elif origin is tuple and isinstance(value, (list, tuple)):
        items = get_args(hint)
        if items[-1] is Ellipsis:
            items = items[:1] * len(value)
        if len(items) == len(value):
            return tuple(
                _value(item, part, f'{where}[{k}]')
                for k, (item, part) in enumerate(zip(items, value, strict=True))
            )
    elif is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, Mapping):
            return build(hint, value, where)
    elif hint is float and not isinstance(value, bool):
        # YAML 1.1 reads 1e-4 as a text
        if isinstance(value, (int, float, str)):
            with contextlib.suppress(ValueError, OverflowError):
                return float(value)
    elif (origin or hint) is dict and isinstance(value, Mapping):
        return _copy(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    msg = f'setting {where} is {value!r}; allowed: {_describe(hint)}'
    raise SettingsError(msg)


def _describe(hint: Any) -> str:
    """What values a type takes, for people."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return ' or '.join(_describe(option) for option in get_args(hint))
    if hint is type(None):
        return 'null'
    if origin is Literal:
        return ', '.join(str(option) for option in get_args(hint))
    if origin is tuple:
        items = get_args(hint)
        if items[-1] is Ellipsis:
            return f'a list of items, each {_describe(items[0])}'
        return f'a list of {len(items)}: ' + ', '.join(_describe(item) for item in items)
    if is_dataclass(hint) and isinstance(hint, type):
        return f'a mapping with {", ".join(field.name for field in fields(hint))}'
    return _KINDS.get(origin or hint, str(hint))


def plain(recipe: Any) -> dict[str, Any]:
    """Dataclass as nested mappings and lists, for YAML and JSON."""
    return {key: _plain(value) for key, value in asdict(recipe).items()}


def _plain(value: Any) -> Any:
    """One value without tuples and paths."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def to_yaml(recipe: Any) -> str:
    """Text of a recipe with every setting; :func:`build` reads it back to an equal one."""
    return yaml.safe_dump(plain(recipe), sort_keys=False, allow_unicode=True, width=96)
