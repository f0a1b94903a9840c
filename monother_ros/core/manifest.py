# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Typed reading of a JSON object: every missing or mistyped field is named."""

from __future__ import annotations

import re
import sys
from typing import Any

from monother_ros.core.errors import BundleError

IDENTIFIER = re.compile(r'[A-Za-z0-9][A-Za-z0-9._+-]{0,127}')
_REQUIRED = object()


class Reader:
    """
    Fields of one JSON object.

    :param data: what the JSON parser returned.
    :param where: file, and path inside of it, for messages.
    :raises BundleError: data is no object; every method raises it for a field that is missing or
        of another type than its name says.
    """

    def __init__(self, data: object, where: str) -> None:
        """See the class."""
        if not isinstance(data, dict):
            msg = f'{where} must be a JSON object, but is {_kind(data)}'
            raise BundleError(msg)
        self._data: dict[str, Any] = data
        self.where = where

    def _get(self, key: str, default: object = _REQUIRED) -> Any:
        """Value of a field."""
        if key in self._data:
            return self._data[key]
        if default is _REQUIRED:
            msg = f'{self.where}: the field {key!r} is missing'
            raise BundleError(msg)
        return default

    def _wrong(self, key: str, wanted: str, value: object) -> BundleError:
        """Error for a value of another type."""
        text = repr(value)
        shown = text if len(text) <= 60 else f'{text[:57]}...'
        return BundleError(
            f'{self.where}: the field {key!r} must be {wanted}, but is {_kind(value)} {shown}'
        )

    def has(self, key: str) -> bool:
        """Whether a field is there and not null."""
        return self._data.get(key) is not None

    def text(self, key: str, default: object = _REQUIRED) -> str:
        """Non-empty text."""
        value = self._get(key, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, 'a text', value)
        return value

    def optional_text(self, key: str) -> str | None:
        """Text, or None where it is null or absent."""
        return None if self._get(key, None) is None else self.text(key)

    def identifier(self, key: str) -> str:
        """Text that may be part of a file name."""
        value = self.text(key)
        if not IDENTIFIER.fullmatch(value):
            raise self._wrong(key, 'letters, digits and . _ + - (it names files)', value)
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: object = _REQUIRED) -> str:
        """One of a few texts."""
        value = self.text(key, default)
        if value not in allowed:
            raise self._wrong(key, f'one of {", ".join(allowed)}', value)
        return value

    def integer(self, key: str, default: object = _REQUIRED) -> int:
        """Whole number."""
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, 'a whole number', value)
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """List of whole numbers."""
        value = self._get(key)
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self._wrong(key, 'a list of whole numbers', value)
        return tuple(value)

    def number(self, key: str, default: object = _REQUIRED) -> float:
        """Finite number."""
        value = self._get(key, default)
        if not _is_number(value):
            raise self._wrong(key, 'a finite number', value)
        return float(value)

    def optional_positive(self, key: str) -> float | None:
        """Number > 0, or None where it is null or absent."""
        value = self._get(key, None)
        if value is None:
            return None
        if not _is_number(value) or value <= 0:
            raise self._wrong(key, 'a number > 0 or null', value)
        return float(value)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """List of a known number of finite numbers."""
        value = self._get(key)
        if not isinstance(value, list) or len(value) != count or not all(map(_is_number, value)):
            raise self._wrong(key, f'a list of {count} finite numbers', value)
        return tuple(float(item) for item in value)

    def object(self, key: str) -> Reader:
        """Nested object."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, 'a JSON object', value)
        return Reader(value, f'{self.where}: {key}')

    def objects(self, key: str) -> list[Reader]:
        """List of nested objects with at least one of them."""
        value = self._get(key)
        if not isinstance(value, list) or not value:
            raise self._wrong(key, 'a list with at least one object', value)
        return [Reader(item, f'{self.where}: {key}[{i}]') for i, item in enumerate(value)]

    def mapping(self, key: str, kind: type | None = None) -> dict[str, Any]:
        """Object with free keys, whose values may have to be of one type."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, 'a JSON object', value)
        for name, item in value.items():
            if kind is not None and not isinstance(item, kind):
                raise self._wrong(f'{key}.{name}', f'of type {kind.__name__}', item)
        return dict(value)


def _is_number(value: object) -> bool:
    """Whether a JSON value is a finite number (a truth value is not one)."""
    # a comparison takes whole numbers of any length, and is false for NaN
    limit = sys.float_info.max
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and -limit <= value <= limit  # type: ignore[operator]


def _kind(value: object) -> str:
    """JSON's word for the type of a value."""
    names = {dict: 'an object', list: 'a list', str: 'the text', bool: 'the truth value'}
    if value is None:
        return 'null'
    return names.get(type(value), 'the number')
